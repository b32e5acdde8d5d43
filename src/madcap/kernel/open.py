# SPDX-License-Identifier: GPL-3.0-or-later
"""The open(2) family.

The object is pinned by an O_PATH descriptor, judged, and that descriptor is what gets reopened
through our own /proc/self/fd: a rename that races us can't change which file was decided on. A
file that does not exist is made below its pinned parent with O_EXCL, so that what appears there
meanwhile is never opened unjudged; the whole lookup is then done again.
"""

from __future__ import annotations

import errno
import os
import struct

from madcap import events
from madcap.abi import flags as F
from madcap.kernel import substitute, virtual
from madcap.kernel.change import forced_mode, under_umask
from madcap.kernel.host import OPEN
from madcap.kernel.judge import capabilities, hide_device, outcome
from madcap.kernel.lookup import lookup
from madcap.kernel.procfs import refuse_elsewhere
from madcap.kernel.reply import Continue, Install
from madcap.kernel.stat import masked_fd
from madcap.kernel.target import BASE, FOLLOW, MAY, MISS, Target, subject
from madcap.linux.fs import filesystem_type, openat2
from madcap.policy import actions as A
from madcap.policy import categories as C

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.reply import Reply
    from madcap.kernel.request import Request

_RESOLVE_ALL = 0x3F
_CREATION = F.O_CREAT | OPEN.TMPFILE_BIT
_PATH_KEEPS = F.O_PATH | OPEN.DIRECTORY | OPEN.NOFOLLOW | F.O_CLOEXEC
_DROPPED = F.O_CREAT | F.O_EXCL | OPEN.NOFOLLOW | F.O_CLOEXEC | F.O_PATH
_HOW_SIZE = 24
_RACES = 32  # How often a file may appear or vanish between lookup and creation.


class How:
    """What open_how says: *flags*, *mode*, *resolve*."""

    __slots__ = ("flags", "mode", "resolve")

    def __init__(self, flags: int, mode: int, resolve: int = 0) -> None:
        self.flags = flags
        self.mode = mode
        self.resolve = resolve


#: Files that name programs (or firmware) which the kernel runs as root outside of any sandbox, or
#: make it run them for others, or crash. Their owner, root, may write them without a capability.
_HELPERS = (
    b"/proc/sys/kernel/core_pattern", b"/proc/sys/kernel/modprobe", b"/proc/sys/kernel/hotplug",
    b"/proc/sys/kernel/poweroff_cmd", b"/proc/sys/fs/binfmt_misc/register", b"/proc/sysrq-trigger",
    b"/sys/kernel/uevent_helper", b"/sys/module/firmware_class/parameters/path",
)  # fmt: skip


def sys_creat(req: Request) -> Reply:
    """creat(2)."""
    flags = F.O_CREAT | F.O_WRONLY | F.O_TRUNC
    return _open(req, F.AT_FDCWD, 0, How(flags, req.mode(1) & 0o7777))


def sys_open(req: Request) -> Reply:
    """open(2)."""
    return _open(req, F.AT_FDCWD, 0, _classic(req.u32(1), req.mode(2)))


def sys_openat(req: Request) -> Reply:
    """openat(2)."""
    return _open(req, req.i32(0), 1, _classic(req.u32(2), req.mode(3)))


def _classic(flags: int, mode: int) -> How:
    """What open(2) makes of its arguments: unknown flags are dropped, so is an unused mode."""
    flags &= OPEN.ALL
    if flags & F.O_PATH:
        flags &= _PATH_KEEPS
    return How(flags, mode & 0o7777 if flags & _CREATION else 0)


def sys_openat2(req: Request) -> Reply:
    """openat2(2): strict about its arguments."""
    size = req.args[3]
    if size < _HOW_SIZE:
        raise OSError(errno.EINVAL, "size")
    if size > 4096:
        raise OSError(errno.E2BIG, "size")
    data = req.read(req.args[2], size)
    if any(data[_HOW_SIZE:]):
        raise OSError(errno.E2BIG, "unknown fields")
    flags, mode, resolve = struct.unpack_from("=QQQ", data)
    if flags & ~OPEN.ALL or resolve & ~_RESOLVE_ALL:
        raise OSError(errno.EINVAL, "flags")
    if flags & F.O_PATH and flags & ~_PATH_KEEPS:
        raise OSError(errno.EINVAL, "O_PATH with other flags")
    if mode & ~0o7777 or (mode and not flags & _CREATION):
        raise OSError(errno.EINVAL, "mode")
    both = F.RESOLVE_BENEATH | F.RESOLVE_IN_ROOT
    if resolve & both == both:
        raise OSError(errno.EINVAL, "resolve")
    return _open(req, req.i32(0), 1, How(flags, mode, resolve))


def _open(req: Request, dirfd: int, index: int, how: How) -> Reply:
    """Do what the open family shares once each call has decoded its arguments."""
    flags = how.flags
    _combinations(how)
    path = req.path(index)
    if path[:8] == b"/dev/syd" and virtual.is_magic(path):
        return virtual.open_(req, path, flags)
    wanted = _categories(flags)
    policy_flags = req.policy.flags
    if "force_ro_open" in policy_flags and wanted & (C.WRITE | C.CREATE | C.TRUNCATE | C.MKTEMP):
        raise OSError(errno.EPERM, "read-only")
    for _ in range(_RACES):
        target = _resolve(req, dirfd, path, how)
        req.alive()
        if target.fd >= 0:
            return _existing(req, target, how, wanted)
        reply = _create(req, target, how, wanted)
        if reply is not None:
            return reply
        req.finish()
    raise OSError(errno.EAGAIN, "the file comes and goes")


def _combinations(how: How) -> None:
    """Raise EINVAL (or EAGAIN) for flags that do not go together."""
    flags = how.flags
    if flags & OPEN.TMPFILE_BIT:
        if flags & F.O_CREAT or not flags & OPEN.DIRECTORY or not flags & F.O_ACCMODE:
            raise OSError(errno.EINVAL, "O_TMPFILE")
    elif flags & F.O_CREAT and flags & OPEN.DIRECTORY:
        raise OSError(errno.EINVAL, "O_CREAT with O_DIRECTORY")
    if how.resolve & F.RESOLVE_CACHED and flags & (_CREATION | F.O_TRUNC):
        raise OSError(errno.EAGAIN, "RESOLVE_CACHED")


def _categories(flags: int) -> int:
    access = flags & F.O_ACCMODE
    wanted = C.READ if access != F.O_WRONLY else 0
    if access:
        wanted |= C.WRITE
    if flags & OPEN.TMPFILE_BIT:
        return wanted | C.MKTEMP
    if flags & F.O_CREAT:
        return wanted | C.CREATE
    return wanted | C.TRUNCATE if flags & F.O_TRUNC else wanted


def _resolve(req: Request, dirfd: int, path: bytes, how: How) -> Target:
    flags = how.flags
    if not flags & F.O_CREAT:
        return lookup(req, dirfd, path, 0 if flags & OPEN.NOFOLLOW else FOLLOW, how.resolve)
    if path[-1:] == b"/":
        # The kernel says EISDIR once the way there is walked.
        target = lookup(req, dirfd, path, MAY | BASE, how.resolve)
        if flags & F.O_EXCL and target.base in (b"", b".", b".."):
            raise OSError(errno.EEXIST, "a dot")
        raise OSError(errno.EISDIR, "trailing slash")
    if flags & F.O_EXCL:
        return lookup(req, dirfd, path, MISS, how.resolve)
    nofollow = flags & OPEN.NOFOLLOW or "allow_unsafe_create" not in req.policy.flags
    target = lookup(req, dirfd, path, MAY if nofollow else MAY | FOLLOW, how.resolve)
    if target.directory:
        raise OSError(errno.EISDIR, "a directory")
    return target


def _existing(req: Request, target: Target, how: How, wanted: int) -> Reply:
    """Judge an object that exists and open it."""
    flags, host = how.flags, req.host
    st = target.st
    mode = st.st_mode
    kind = mode & F.S_IFMT
    if kind == F.S_IFLNK:
        if flags & OPEN.DIRECTORY:
            raise OSError(errno.ENOTDIR, "a link")
        if not (flags & F.O_PATH and "allow_unsafe_open_path" in req.policy.flags):
            raise OSError(errno.ELOOP, "a link")
    if kind == F.S_IFDIR:
        writes = flags & (F.O_ACCMODE | F.O_TRUNC) and not flags & OPEN.TMPFILE_BIT
        if writes or flags & F.O_CREAT:
            raise OSError(errno.EISDIR, "a directory")
        if wanted & C.READ:
            wanted = wanted & ~C.READ | C.READDIR
    elif flags & OPEN.DIRECTORY:
        raise OSError(errno.ENOTDIR, "not a directory")
    hide_device(req, kind)
    if flags & F.O_CREAT:
        wanted &= ~C.CREATE
        if flags & F.O_TRUNC:
            wanted |= C.TRUNCATE
    if kind == F.S_IFREG and flags & F.O_TRUNC:
        wanted |= C.CHMOD | C.CHATTR
    name = subject(req, target.name)
    refuse_elsewhere(req, st.st_dev, name, target.fd)
    early = _early_refusal(req, target, how, name, kind)
    _judge(req, target, how, wanted, name, kind)
    if early:
        raise OSError(early, "refused by hardening")
    if flags & F.O_NOATIME and st.st_uid != host.euid:
        raise OSError(errno.EPERM, "O_NOATIME")
    if flags & F.O_PATH and "allow_unsafe_open_path" in req.policy.flags:
        return Continue("an O_PATH descriptor gives no access; trace/allow_unsafe_open_path asks")
    return _reopen(req, target, how, name, kind)


def _early_refusal(req: Request, target: Target, how: How, name: bytes, kind: int) -> int:
    """Return the errno of the refusals that come before the rules' word, 0 for none."""
    flags, policy_flags = how.flags, req.policy.flags
    mode = target.st.st_mode
    writes = flags & F.O_ACCMODE
    if (kind == F.S_IFCHR and name == b"/dev/kmsg") or name == b"/proc/kmsg":
        return errno.EPERM
    # Writing to a process's memory file disregards page protection: code could be changed in place.
    memory = name[:6] == b"/proc/" and name.endswith(b"/mem")
    if writes and memory and "allow_unsafe_exec_memory" not in req.host.options:
        return errno.EACCES
    agent = name.startswith(b"/sys/fs/cgroup/") and name.endswith(b"/release_agent")
    if writes and (agent or name in _HELPERS):
        return errno.EACCES
    if flags & F.O_CREAT and "allow_unsafe_create" not in policy_flags:
        untrusted = mode & 0o022 or target.st.st_uid != req.host.euid
        if kind in (F.S_IFREG, F.S_IFIFO) and untrusted:
            events.emit(
                events.WARN,
                {"ctx": "trusted_file_create", "path": name, "sys": req.name, "err": errno.EACCES},
                pid=req.tid,
                msg="O_CREAT on an existing file that others can write or own",
                tip="configure `trace/allow_unsafe_create:1'",
            )
            return errno.EACCES
    if kind != F.S_IFREG:
        return 0
    if writes and mode & 0o111 and "force_wx_open" in policy_flags:
        return errno.EPERM
    if mode & (F.S_ISUID | F.S_ISGID) and "allow_unsafe_open_suid" not in policy_flags:
        return errno.EACCES
    return 0


def _judge(req: Request, target: Target, how: How, wanted: int, name: bytes, kind: int) -> None:
    """Ask the rules about the path and about the file system it is on."""
    policy = req.policy
    verdict = policy.check(wanted, name)
    worst = None
    if policy.enabled & C.FS and target.fd >= 0:
        magic = filesystem_type(target.fd, req.scratch)
        worst = policy.check_fs(magic)
        if worst[0] == A.ALLOW:
            worst = None
    if verdict[0] == A.ALLOW and worst is None:
        return
    record = _record(req, target, how, name, kind)
    error: OSError | None = None
    for each in (verdict, worst):
        if each is None or each[0] == A.ALLOW:
            continue
        head = {
            "ctx": "access",
            "cap": capabilities(each[1]),
            "act": A.NAMES[each[0]],
            "sys": req.name,
        }
        text = name if each is verdict else str(record["fs"]).encode()
        try:
            outcome(req, each, errno.EACCES, {**head, **record}, text)
        except OSError as refusal:
            error = refusal
    if error is not None:
        raise error


_TYPES = {
    F.S_IFREG: "reg", F.S_IFDIR: "dir", F.S_IFLNK: "lnk", F.S_IFIFO: "fifo", F.S_IFCHR: "chr",
    F.S_IFBLK: "blk", F.S_IFSOCK: "sock",
}  # fmt: skip


def _record(req: Request, target: Target, how: How, name: bytes, kind: int) -> dict[str, object]:
    """Return the keys of an access record that the open family has of its own."""
    from madcap.policy.fsmagic import name_of

    flags = how.flags
    pin = target.fd if target.fd >= 0 else target.parent
    known = (
        (F.O_APPEND, "append"), (F.O_ASYNC, "async"), (F.O_CLOEXEC, "cloexec"),
        (F.O_CREAT, "creat"), (OPEN.DIRECT, "direct"), (OPEN.DIRECTORY, "directory"),
        (F.O_DSYNC, "dsync"), (F.O_SYNC & ~F.O_DSYNC, "sync"), (F.O_EXCL, "excl"),
        (OPEN.LARGEFILE, "largefile"), (F.O_NOATIME, "noatime"), (F.O_NOCTTY, "noctty"),
        (F.O_NONBLOCK, "nonblock"), (OPEN.NOFOLLOW, "nofollow"), (F.O_PATH, "path"),
    )  # fmt: skip
    shown = flags
    if flags & F.O_CREAT and not flags & F.O_EXCL and "allow_unsafe_create" not in req.policy.flags:
        shown |= OPEN.NOFOLLOW
    oflags = [word for bit, word in known if shown & bit]
    if flags & F.O_ACCMODE == F.O_RDWR:
        oflags.append("rdwr")
    if flags & OPEN.TMPFILE_BIT:
        oflags.append("tmpfile")
    if flags & F.O_TRUNC:
        oflags.append("trunc")
    if flags & F.O_ACCMODE == F.O_WRONLY:
        oflags.append("wronly")
    rflags = []
    if not flags & F.O_CREAT:
        rflags.append("must-path")
    elif flags & F.O_EXCL:
        rflags.append("miss-last")
    if shown & OPEN.NOFOLLOW or (flags & F.O_CREAT and flags & F.O_EXCL):
        rflags.append("no-follow")
    record: dict[str, object] = {}
    if req.policy.enabled & C.FS:
        record["fs"] = name_of(filesystem_type(pin, req.scratch))
    record["path"] = name
    record["mode"] = how.mode
    if kind:
        record["type"] = _TYPES.get(kind, "mfd")
    record["oflags"] = oflags
    record["rflags"] = rflags
    return record


def _reopen(req: Request, target: Target, how: How, name: bytes, kind: int) -> Reply:
    """Open the object that *target* pins and hand the descriptor to the caller."""
    flags, host = how.flags, req.host
    fd = target.fd
    if req.policy.masks:
        masked = masked_fd(req, name, kind)
        if masked >= 0:
            fd, kind = masked, os.fstat(masked).st_mode & F.S_IFMT
    if flags & OPEN.TMPFILE_BIT:
        mode = forced_mode(req, how.mode)
        new = under_umask(req, openat2, fd, b".", flags & ~F.O_CLOEXEC | F.O_NOCTTY, 0, mode)
        req.own(new)
        return Install(new, cloexec=_cloexec(req, flags))
    if kind == F.S_IFREG:
        copy = substitute.contents(req, name)
        if copy is not None and not flags & F.O_ACCMODE:
            return Install(req.own(copy), cloexec=_cloexec(req, flags))
    opened = flags & ~_DROPPED | F.O_NOCTTY
    if flags & F.O_PATH:
        opened |= F.O_NONBLOCK
    if kind == F.S_IFCHR and name in (b"/dev/tty", b"/dev/console"):
        fd = _terminal(req, name, fd)
    text = b"%d" % fd
    if kind == F.S_IFIFO and not opened & F.O_NONBLOCK:
        new = host.blocking(req, lambda: openat2(host.self_fd, text, opened), True)
    else:
        new = openat2(host.self_fd, text, opened)
    req.own(new)
    return Install(new, cloexec=_cloexec(req, flags))


def _cloexec(req: Request, flags: int) -> bool:
    return bool(flags & F.O_CLOEXEC) or "force_cloexec" in req.policy.flags


def _terminal(req: Request, name: bytes, fd: int) -> int:
    """Return an O_PATH descriptor of the caller's controlling terminal.

    /dev/tty means whoever opens it, and that is us.
    """
    from madcap.linux.process import read_file

    stat = read_file(req.host.proc, b"%d/stat" % req.tid)
    req.alive()
    device = int(stat.rpartition(b")")[2].split()[4])
    if device == 0:
        if name == b"/dev/console":
            return fd
        raise OSError(errno.ENXIO, "no controlling terminal")
    major = device >> 8 & 0xFFF
    minor = device & 0xFF | device >> 12 & 0xFFF00
    if 136 <= major <= 143:
        path = b"dev/pts/%d" % ((major - 136) * 256 + minor)
    elif major == 4:
        path = b"dev/tty%d" % minor if minor < 64 else b"dev/ttyS%d" % (minor - 64)
    else:
        raise OSError(errno.ENXIO, "unknown terminal")
    terminal = req.own(openat2(req.host.root, path, F.O_PATH, F.RESOLVE_NO_SYMLINKS))
    if os.fstat(terminal).st_rdev != os.makedev(major, minor):
        raise OSError(errno.ENXIO, "not the terminal")
    return terminal


def _create(req: Request, target: Target, how: How, wanted: int) -> Reply | None:
    """Make the file that is missing; None where it exists by now."""
    flags = how.flags
    name = subject(req, target.name)
    _judge(req, target, how, wanted, name, 0)
    mode = forced_mode(req, how.mode)
    policy_flags = req.policy.flags
    if flags & F.O_ACCMODE and mode & 0o111 and "force_wx_open" in policy_flags:
        raise OSError(errno.EPERM, "executable")
    if mode & (F.S_ISUID | F.S_ISGID) and "allow_unsafe_open_suid" not in policy_flags:
        raise OSError(errno.EACCES, "set-id")
    opened = flags & ~(F.O_CLOEXEC | OPEN.NOFOLLOW) | F.O_CREAT | F.O_EXCL | F.O_NOCTTY
    resolve = F.RESOLVE_BENEATH | F.RESOLVE_NO_SYMLINKS | F.RESOLVE_NO_MAGICLINKS
    try:
        new = under_umask(req, openat2, target.parent, target.base, opened, resolve, mode)
    except FileExistsError:
        if flags & F.O_EXCL:
            raise
        return None
    req.own(new)
    return Install(new, cloexec=_cloexec(req, flags))
