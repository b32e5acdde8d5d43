# SPDX-License-Identifier: GPL-3.0-or-later
"""The one list of system calls that the supervisor sees: who performs them, and when.

The filter's notify set, dispatch and the list of tests that must exist are derived from it. *when*
says under which policy a call is trapped at all; where it isn't, the kernel runs it untouched. A
row without a handler is a call whose emulation is not built: it answers *refuse* instead.
"""

from __future__ import annotations

import errno

from madcap.kernel import (
    anonymous,
    attr,
    change,
    dents,
    device,
    memory,
    others,
    process,
    signals,
    stat,
    syslog,
    sysv,
    watch,
    xattr,
)
from madcap.kernel import exec as exec_
from madcap.kernel import open as open_
from madcap.kernel.net import accept as net_accept
from madcap.kernel.net import bind as net_bind
from madcap.kernel.net import connect as net_connect
from madcap.kernel.net import create as net_create
from madcap.kernel.net import message as net_message
from madcap.kernel.net import name as net_name
from madcap.kernel.net import receive as net_receive
from madcap.kernel.net import send as net_send
from madcap.kernel.net.install import MARKS
from madcap.linux._call import NUMBERS
from madcap.policy import actions
from madcap.policy import categories as C

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from madcap.kernel.dispatch import Handlers
    from madcap.kernel.reply import Reply
    from madcap.kernel.request import Request
    from madcap.policy.domain import Domain
    from madcap.policy.sandbox import Sandbox

    Handler = Callable[[Request], Reply]
    When = Callable[["Conditions"], bool]


class Conditions:
    """What decides at start which calls are trapped; see docs/design.md.

    *enabled*: the categories on in any domain; *unlocked*: the policy may still change;
    *readable*: it may at least be read; *masks*: some path may be masked; *scoped*: the kernel
    keeps signals inside (Landlock); *by_status*: the interrupter wants to know of signal handlers;
    *moves*: kinds of event that lead from one domain to another. A filter is for good, so all
    domains count, whichever is active. *memory*: memory may be limited. *unasked*: the calls whose
    plain forms nobody has to look at (see `Plan`).
    """

    __slots__ = (
        "blocks",
        "by_status",
        "enabled",
        "masks",
        "memory",
        "moves",
        "options",
        "readable",
        "scoped",
        "unasked",
        "unlocked",
    )

    def __init__(self, sandbox: Sandbox, scoped: bool) -> None:
        self.options = sandbox.options
        self.enabled = 0
        for domain in sandbox.domains.values():
            self.enabled |= domain.enabled
        lock = sandbox.lock
        self.unlocked = lock is not None and lock < 4
        self.readable = lock is not None and lock < 5
        self.masks = self.unlocked or any(domain.masks for domain in sandbox.domains.values())
        self.scoped = scoped
        self.by_status = sandbox.environ.get(b"SYD_INTERRUPT") == b"status"
        self.blocks = any(domain.blocklist is not None for domain in sandbox.domains.values())
        self.memory = self.on(C.MEM) and (
            self.unlocked or any(d.mem_max or d.mem_vm_max for d in sandbox.domains.values())
        )
        self.moves = {move.kind for domain in sandbox.domains.values() for move in domain.moves}
        self.unasked = self._unasked(list(sandbox.domains.values()))

    def _unasked(self, domains: list[Domain]) -> frozenset[str]:
        """Return the calls about sockets whose answer is known for as long as the sandbox lives."""
        flags = set().union(*(domain.flags for domain in domains))
        if self.unlocked or flags & MARKS or self.moves:
            return frozenset()
        names = set()
        if not self.blocks:
            names |= {"accept", "accept4"}
        if "force_local_net" not in flags and "deny_passrights" not in self.options:
            names.add("socket")
            unnamed = [domain.check(C.NET_BIND, b"!unnamed")[0] for domain in domains]
            if all(action == actions.ALLOW for action in unnamed):
                names.add("socketpair")
        return frozenset(names)

    def on(self, mask: int) -> bool:
        """Tell whether any category of *mask* is on in any domain."""
        return bool(self.enabled & mask)

    def off(self, option: str) -> bool:
        """Tell whether the hardening that *option* would lift is in force."""
        return option not in self.options


class Row:
    """One system call."""

    __slots__ = ("handler", "name", "refuse", "when")

    def __init__(
        self, name: str, handler: Handler | None, when: When, refuse: int = errno.ENOSYS
    ) -> None:
        self.name = name
        self.handler = handler
        self.when = when
        self.refuse = refuse


def _always(_c: Conditions) -> bool:
    return True


def _exec(_c: Conditions) -> bool:
    return True  # The format of a program is checked even where every category is off.


def _stat(c: Conditions) -> bool:
    return (
        c.on(C.STAT | C.WALK)
        or c.off("allow_unsafe_stat_cdev")
        or c.off("allow_unsafe_stat_bdev")
        or c.unlocked
    )


def _open(c: Conditions) -> bool:
    wanted = C.TRUNCATE | C.CHMOD | C.CHATTR | C.READ | C.READDIR | C.WRITE | C.CREATE | C.MKTEMP
    wanted |= C.WALK
    return c.on(wanted) or c.off("allow_unsafe_magiclinks") or c.masks or c.readable


def _on(mask: int, *, masks: bool = True) -> When:
    """Return the condition of a call that takes a name: the walk category hides those from all."""
    if masks:
        return lambda c: c.on(mask | C.WALK) or c.masks
    return lambda c: c.on(mask | C.WALK)


def _only(mask: int) -> When:
    """Return the condition of a call that takes no name."""
    return lambda c: c.on(mask)


def _unless(option: str) -> When:
    return lambda c: c.off(option)


def _with(option: str) -> When:
    return lambda c: not c.off(option)


_CREAT: Final = C.READ | C.WRITE | C.CREATE | C.TRUNCATE
_LINK: Final = C.RENAME | C.CREATE
_RENAME: Final = C.RENAME | C.CREATE | C.DELETE
_MKNOD: Final = C.CREATE | C.MKDIR | C.MKBDEV | C.MKCDEV | C.MKFIFO | C.NET_BIND
_CHOWN: Final = C.CHOWN | C.CHGRP | C.CHMOD | C.CHATTR | C.UTIME
_TRUNCATE: Final = C.TRUNCATE | C.CHMOD | C.CHATTR
_NET: Final = C.NET_BIND | C.NET_CONNECT


def _by_status(c: Conditions) -> bool:
    return c.by_status


def _kill(c: Conditions) -> bool:
    return not c.scoped


def _xattr_read(c: Conditions) -> bool:
    return c.on(C.READ | C.WALK) or c.off("allow_unsafe_xattr") or c.unlocked


def _xattr_write(c: Conditions) -> bool:
    return c.on(C.CHATTR | C.WALK) or c.off("allow_unsafe_xattr") or c.masks


def _notify(c: Conditions) -> bool:
    switches = ("allow_unsafe_notify_bdev", "allow_unsafe_notify_cdev")
    return c.on(C.NOTIFY | C.WALK) or any(map(c.off, switches))


def _anonymous(c: Conditions) -> bool:
    return c.on(C.CREATE) or c.unlocked


def _memfd(c: Conditions) -> bool:
    # Also where every category is off: without the switch the file is sealed against execution.
    return c.on(_CREAT | C.EXEC) or c.unlocked or c.off("allow_unsafe_memfd")


def _secret(c: Conditions) -> bool:
    return c.on(_CREAT) or c.unlocked


def _syslog(c: Conditions) -> bool:
    return c.unlocked or "allow_safe_syslog" in c.options


def _shm(c: Conditions) -> bool:
    return not c.off("allow_unsafe_shm") and c.off("allow_unsafe_perm_shm")


def _msgrcv(c: Conditions) -> bool:
    return not c.off("allow_unsafe_shm") and c.off("allow_unsafe_copy")


def _mq(c: Conditions) -> bool:
    return not c.off("allow_unsafe_msgqueue") and c.off("allow_unsafe_perm_msgqueue")


def _socket(c: Conditions) -> bool:
    limits = ("allow_unsupp_socket", "allow_unsafe_kcapi", "allow_unsafe_socket")
    return c.on(_NET) or c.unlocked or any(map(c.off, limits))


def _socketpair(c: Conditions) -> bool:
    return _socket(c) or "bind" in c.moves


def _bind(c: Conditions) -> bool:
    return c.on(C.NET_BIND | C.WALK) or c.unlocked or "bind" in c.moves


def _connect(c: Conditions) -> bool:
    wanted = C.NET_CONNECT | C.WALK
    return c.on(wanted) or c.blocks or c.unlocked or "connect" in c.moves


def _sendmsg(c: Conditions) -> bool:
    return _connect(c) or c.on(C.SENDFD)


def _accept(c: Conditions) -> bool:
    return c.on(_NET) or c.blocks or c.unlocked or "accept" in c.moves


def _names(c: Conditions) -> bool:
    return c.on(_NET) or c.unlocked


def _recvmsg(c: Conditions) -> bool:
    return c.off("allow_unsafe_recvmsg") and (c.on(_NET | C.RECVFD) or c.unlocked)


def _chdir(c: Conditions) -> bool:
    return _chdirs(c) and not c.off("allow_unsafe_ptrace")


def _chdirs(c: Conditions) -> bool:
    return c.on(C.CHDIR | C.WALK) or "chdir" in c.moves


def _mmap(c: Conditions) -> bool:
    return c.memory or (judges_mappings(c) and not c.off("allow_unsafe_ptrace"))


def _memory(c: Conditions) -> bool:
    return c.memory


def judges_mappings(c: Conditions) -> bool:
    """Tell whether anything wants to know which files are mapped as executable."""
    return (
        c.on(C.EXEC | C.TPE | C.FORCE)
        or c.unlocked
        or "mmap" in c.moves
        or any(map(c.off, _MAPPING_SWITCHES))
    )


_MAPPING_SWITCHES: Final = (
    "allow_unsafe_exec_memory",
    "allow_unsafe_exec_noreg",
    "allow_unsafe_exec_stack",
    "allow_unsafe_exec_textrel",
)

# fmt: off

TABLE: Final = (
    # name                   handler                           trapped when
    Row("open",               open_.sys_open,                   _open),
    Row("openat",             open_.sys_openat,                 _open),
    Row("openat2",            open_.sys_openat2,                _open),
    Row("creat",              open_.sys_creat,                  _on(_CREAT)),
    Row("stat",               stat.sys_stat,                    _stat),
    Row("lstat",              stat.sys_lstat,                   _stat),
    Row("fstat",              stat.sys_fstat,                   _stat),
    Row("newfstatat",         stat.sys_newfstatat,              _stat),
    Row("statx",              stat.sys_statx,                   _stat),
    Row("access",             stat.sys_access,                  _on(C.STAT, masks=False)),
    Row("faccessat",          stat.sys_faccessat,               _on(C.STAT, masks=False)),
    Row("faccessat2",         stat.sys_faccessat2,              _on(C.STAT, masks=False)),
    Row("statfs",             stat.sys_statfs,                  _on(C.STAT, masks=False)),
    Row("fstatfs",            stat.sys_fstatfs,                 _on(C.STAT, masks=False)),
    Row("readlink",           stat.sys_readlink,                _on(C.READLINK, masks=False)),
    Row("readlinkat",         stat.sys_readlinkat,              _on(C.READLINK, masks=False)),
    Row("getdents",           dents.sys_getdents,               _only(C.LIST)),
    Row("getdents64",         dents.sys_getdents64,             _only(C.LIST)),
    Row("mkdir",              change.sys_mkdir,                 _on(C.MKDIR)),
    Row("mkdirat",            change.sys_mkdirat,               _on(C.MKDIR)),
    Row("mknod",              change.sys_mknod,                 _on(_MKNOD)),
    Row("mknodat",            change.sys_mknodat,               _on(_MKNOD)),
    Row("symlink",            change.sys_symlink,               _on(C.SYMLINK)),
    Row("symlinkat",          change.sys_symlinkat,             _on(C.SYMLINK)),
    Row("unlink",             change.sys_unlink,                _on(C.DELETE)),
    Row("rmdir",              change.sys_rmdir,                 _on(C.RMDIR)),
    Row("unlinkat",           change.sys_unlinkat,              _on(C.DELETE | C.RMDIR)),
    Row("rename",             change.sys_rename,                _on(_RENAME)),
    Row("renameat",           change.sys_renameat,              _on(_RENAME)),
    Row("renameat2",          change.sys_renameat2,             _on(_RENAME)),
    Row("link",               change.sys_link,                  _on(_LINK)),
    Row("linkat",             change.sys_linkat,                _on(_LINK)),
    Row("chmod",              attr.sys_chmod,                   _on(C.CHMOD)),
    Row("fchmod",             attr.sys_fchmod,                  _on(C.CHMOD)),
    Row("fchmodat",           attr.sys_fchmodat,                _on(C.CHMOD)),
    Row("fchmodat2",          attr.sys_fchmodat2,               _on(C.CHMOD)),
    Row("chown",              attr.sys_chown,                   _on(_CHOWN)),
    Row("lchown",             attr.sys_lchown,                  _on(_CHOWN)),
    Row("fchown",             attr.sys_fchown,                  _on(_CHOWN)),
    Row("fchownat",           attr.sys_fchownat,                _on(_CHOWN)),
    Row("utime",              attr.sys_utime,                   _on(C.UTIME)),
    Row("utimes",             attr.sys_utimes,                  _on(C.UTIME)),
    Row("futimesat",          attr.sys_futimesat,               _on(C.UTIME)),
    Row("utimensat",          attr.sys_utimensat,               _on(C.UTIME)),
    Row("truncate",           attr.sys_truncate,                _on(_TRUNCATE)),
    Row("ftruncate",          attr.sys_ftruncate,               _on(_TRUNCATE)),
    Row("fallocate",          attr.sys_fallocate,               _on(_TRUNCATE)),
    Row("execve",             exec_.sys_execve,                 _exec),
    Row("execveat",           exec_.sys_execveat,               _exec),
    Row("chroot",             process.sys_chroot,               _unless("allow_unsafe_chroot")),
    Row("pidfd_open",         process.sys_pidfd_open,           _always),
    Row("ptrace",             process.sys_ptrace,               _unless("allow_unsafe_ptrace")),
    Row("prctl",              process.sys_prctl,                _unless("allow_unsafe_prctl")),
    Row("uname",              process.sys_uname,                _unless("allow_unsafe_uname")),
    Row("sysinfo",            process.sys_sysinfo,              _unless("allow_unsafe_sysinfo")),
    Row("syslog",             syslog.sys_syslog,                _syslog),
    Row("rt_sigaction",       signals.sys_rt_sigaction,         _by_status),
    Row("prlimit64",           others.sys_prlimit64,            _with("allow_unsafe_prlimit")),
    Row("setpriority",         others.sys_setpriority,          _with("allow_unsafe_nice")),
    Row("ioprio_set",          others.sys_ioprio_set,           _with("allow_unsafe_nice")),
    Row("sched_setaffinity",   others.sys_sched_setaffinity,    _with("allow_unsafe_nice")),
    Row("sched_setattr",       others.sys_sched_setattr,        _with("allow_unsafe_nice")),
    Row("sched_setparam",      others.sys_sched_setparam,       _with("allow_unsafe_nice")),
    Row("sched_setscheduler",  others.sys_sched_setscheduler,   _with("allow_unsafe_nice")),
    Row("kill",               process.sys_kill,                 _kill),
    Row("tkill",              process.sys_tkill,                _kill),
    Row("tgkill",             process.sys_tgkill,               _kill),
    Row("rt_sigqueueinfo",    process.sys_rt_sigqueueinfo,      _kill),
    Row("rt_tgsigqueueinfo",  process.sys_rt_tgsigqueueinfo,    _kill),
    Row("getxattr",           xattr.sys_getxattr,               _xattr_read),
    Row("lgetxattr",          xattr.sys_lgetxattr,              _xattr_read),
    Row("fgetxattr",          xattr.sys_fgetxattr,              _xattr_read),
    Row("getxattrat",         xattr.sys_getxattrat,             _xattr_read),
    Row("listxattr",          xattr.sys_listxattr,              _xattr_read),
    Row("llistxattr",         xattr.sys_llistxattr,             _xattr_read),
    Row("flistxattr",         xattr.sys_flistxattr,             _xattr_read),
    Row("listxattrat",        xattr.sys_listxattrat,            _xattr_read),
    Row("setxattr",           xattr.sys_setxattr,               _xattr_write),
    Row("lsetxattr",          xattr.sys_lsetxattr,              _xattr_write),
    Row("fsetxattr",          xattr.sys_fsetxattr,              _xattr_write),
    Row("setxattrat",         xattr.sys_setxattrat,             _xattr_write),
    Row("removexattr",        xattr.sys_removexattr,            _xattr_write),
    Row("lremovexattr",       xattr.sys_lremovexattr,           _xattr_write),
    Row("fremovexattr",       xattr.sys_fremovexattr,           _xattr_write),
    Row("removexattrat",      xattr.sys_removexattrat,          _xattr_write),
    Row("inotify_add_watch",  watch.sys_inotify_add_watch,      _notify),
    Row("fanotify_mark",      watch.sys_fanotify_mark,          _notify),
    Row("epoll_create",       anonymous.sys_epoll_create,       _anonymous),
    Row("epoll_create1",      anonymous.sys_epoll_create1,      _anonymous),
    Row("eventfd",            anonymous.sys_eventfd,            _anonymous),
    Row("eventfd2",           anonymous.sys_eventfd2,           _anonymous),
    Row("signalfd",           anonymous.sys_signalfd,           _anonymous),
    Row("signalfd4",          anonymous.sys_signalfd4,          _anonymous),
    Row("timerfd_create",     anonymous.sys_timerfd_create,     _anonymous),
    Row("inotify_init",       anonymous.sys_inotify_init,       _anonymous),
    Row("inotify_init1",      anonymous.sys_inotify_init1,      _anonymous),
    Row("fanotify_init",      anonymous.sys_fanotify_init,      _anonymous),
    Row("pipe",               anonymous.sys_pipe,               _anonymous),
    Row("pipe2",              anonymous.sys_pipe2,              _anonymous),
    Row("memfd_create",       anonymous.sys_memfd_create,       _memfd),
    Row("memfd_secret",       anonymous.sys_memfd_secret,       _secret),
    Row("ioctl",              device.sys_ioctl,                 _only(C.IOCTL)),
    Row("shmget",             sysv.sys_shmget,                  _shm),
    Row("shmctl",             sysv.sys_shmctl,                  _shm),
    Row("shmat",              sysv.sys_shmat,                   _shm),
    Row("msgget",             sysv.sys_msgget,                  _shm),
    Row("msgctl",             sysv.sys_msgctl,                  _shm),
    Row("semget",             sysv.sys_semget,                  _shm),
    Row("semctl",             sysv.sys_semctl,                  _shm),
    Row("msgrcv",             sysv.sys_msgrcv,                  _msgrcv),
    Row("mq_open",            sysv.sys_mq_open,                 _mq),
    Row("socket",             net_create.sys_socket,            _socket),
    Row("socketpair",         net_create.sys_socketpair,        _socketpair),
    Row("bind",               net_bind.sys_bind,                _bind),
    Row("listen",             net_bind.sys_listen,              _bind),
    Row("connect",            net_connect.sys_connect,          _connect),
    Row("accept",             net_accept.sys_accept,            _accept),
    Row("accept4",            net_accept.sys_accept4,           _accept),
    Row("sendto",             net_send.sys_sendto,              _connect),
    Row("sendmsg",            net_message.sys_sendmsg,          _sendmsg),
    Row("sendmmsg",           net_message.sys_sendmmsg,         _sendmsg),
    Row("recvfrom",           net_receive.sys_recvfrom,         _names),
    Row("recvmsg",            net_receive.sys_recvmsg,          _recvmsg),
    Row("recvmmsg",           net_receive.sys_recvmmsg,         _recvmsg),
    Row("getsockname",        net_name.sys_getsockname,         _names),
    Row("getpeername",        net_name.sys_getpeername,         _names),
    Row("getsockopt",         net_name.sys_getsockopt,          _names),
    Row("chdir",              exec_.sys_chdir,                  _chdir),
    Row("fchdir",             exec_.sys_fchdir,                 _chdir),
    Row("mmap",               memory.sys_mmap,                  _mmap),
    Row("mremap",             memory.sys_mremap,                _memory),
    Row("brk",                memory.sys_brk,                   _memory),
)
# fmt: on

#: Default-on categories that no call asks about yet.
_UNBUILT: Final = 0


def unbuilt_categories() -> list[str]:
    """Return the names of the categories that are on by default and not enforced yet."""
    return C.names_of(_UNBUILT)


def stops(c: Conditions) -> frozenset[str]:
    """Return the calls that are decided at a ptrace stop, because only the kernel can make them."""
    if not c.off("allow_unsafe_ptrace"):
        return frozenset()
    names = set()
    if _chdirs(c):
        names |= {"chdir", "fchdir"}
    if judges_mappings(c) or c.memory:
        names.add("mmap")
    return frozenset(names)


def rows() -> list[Row]:
    """Return all rows that this machine has a call for."""
    return [row for row in TABLE if row.name in NUMBERS]


def plan(conditions: Conditions) -> tuple[Handlers, frozenset[str], dict[str, int]]:
    """Return (handlers by number, names to notify, errno by name of calls that aren't built)."""
    handlers: Handlers = {}
    refuse: dict[str, int] = {}
    for row in rows():
        if not row.when(conditions):
            continue
        if row.handler is None:
            refuse[row.name] = row.refuse
        else:
            handlers[NUMBERS[row.name]] = (row.name, row.handler)
    return handlers, frozenset(name for name, _ in handlers.values()), refuse
