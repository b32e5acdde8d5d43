# SPDX-License-Identifier: GPL-3.0-or-later
"""Loops for tests/guest/each_call.py: each kind of call, where it succeeds and where it fails.

A group is the names of the calls that it is about, and steps that can be taken over and over: what
one makes another removes. Descriptors and memory that a call gives are given back.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import socket
import struct
from functools import partial

from rawcalls import AT_FDCWD, AT_REMOVEDIR, NUMBERS, guarded_page

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    After = Callable[[int], object] | None
    Step = tuple[str, bool, Callable[[], int], After]
    Group = tuple[str, list[Step]]

HOLE = guarded_page()
ABSENT, DEEP, FILE, DIRECTORY, LINK, NEW = b"absent", b"absent/x", b"file", b"dir", b"link", b"new"
NOBODY = 1 << 22  # A number that no task has.
CLOSED = 999  # One that no descriptor has.
CREAT, STAT, RMID, NOWAIT = 0o1000, 2, 0, 0o4000  # Of System V calls.
OUT = ctypes.create_string_buffer(4096)
NUMBER = NUMBERS[os.uname().machine]
_libc = ctypes.CDLL(None, use_errno=True)
_libc.shmdt.argtypes = [ctypes.c_void_p]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long


def prepared(name: str, *arguments: object) -> Callable[[], int]:
    """Return call *name*, to be made over and over."""
    words = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    return partial(_syscall, ctypes.c_long(NUMBER[name]), *words)


def good(name: str, *arguments: object, after: After = None) -> Step:
    """Return a call that succeeds; *after* is called with its result."""
    return name, True, prepared(name, *arguments), after


def bad(name: str, *arguments: object) -> Step:
    """Return a call that fails."""
    return name, False, prepared(name, *arguments), None


def make(name: str, *arguments: object) -> Step:
    """Return a call that makes a descriptor, which is closed."""
    return good(name, *arguments, after=os.close)


def opening() -> list[Group]:
    """Return calls that open files."""
    how = struct.pack("=QQQ", 0, 0, 0)
    return [
        ("open", [make("open", FILE, 0), bad("open", ABSENT, 0)]),
        ("openat", [make("openat", AT_FDCWD, FILE, 0), bad("openat", AT_FDCWD, ABSENT, 0)]),
        ("openat2", [make("openat2", AT_FDCWD, FILE, how, 24),
                     bad("openat2", AT_FDCWD, ABSENT, how, 24)]),
        ("creat", [make("creat", b"scratch", 0o644), bad("creat", DEEP, 0o644)]),
    ]  # fmt: skip


def looking() -> list[Group]:
    """Return calls that ask about files."""
    directory = os.open(DIRECTORY, os.O_RDONLY)
    file = os.open(FILE, os.O_RDONLY)

    def rewind(_: int) -> None:
        os.lseek(directory, 0, os.SEEK_SET)

    def both(name: str, before: tuple[object, ...], *more: object) -> Group:
        return name, [good(name, *before, FILE, *more), bad(name, *before, ABSENT, *more)]

    def of_descriptor(name: str, *more: object) -> Group:
        return name, [good(name, file, *more), bad(name, CLOSED, *more)]

    at = (AT_FDCWD,)
    return [
        both("stat", (), OUT), both("lstat", (), OUT), of_descriptor("fstat", OUT),
        both("newfstatat", at, OUT, 0), both("statx", at, 0, 0xFFF, OUT),
        both("access", (), 4), both("faccessat", at, 4), both("faccessat2", at, 4, 0),
        both("statfs", (), OUT), of_descriptor("fstatfs", OUT),
        ("readlink", [good("readlink", LINK, OUT, 99), bad("readlink", FILE, OUT, 99)]),
        ("readlinkat", [good("readlinkat", AT_FDCWD, LINK, OUT, 99),
                        bad("readlinkat", AT_FDCWD, ABSENT, OUT, 99)]),
        *((name, [good(name, directory, OUT, 4096, after=rewind), bad(name, file, OUT, 4096)])
          for name in ("getdents64", "getdents")),
    ]  # fmt: skip


def changing() -> list[Group]:
    """Return calls that make, move and remove files."""
    at = AT_FDCWD
    return [
        ("mkdir rmdir", [good("mkdir", NEW, 0o755), bad("mkdir", FILE, 0o755), good("rmdir", NEW),
                         bad("rmdir", FILE)]),
        ("symlink unlink", [good("symlink", FILE, NEW), bad("symlink", FILE, FILE),
                            good("unlink", NEW), bad("unlink", ABSENT)]),
        ("rename", [good("rename", b"a", NEW), good("rename", NEW, b"a"),
                    bad("rename", ABSENT, NEW)]),
        ("mkdirat unlinkat", [good("mkdirat", at, NEW, 0o755), bad("mkdirat", at, FILE, 0o755),
                              good("unlinkat", at, NEW, AT_REMOVEDIR),
                              bad("unlinkat", at, ABSENT, 0)]),
        ("link", [good("link", FILE, NEW), bad("link", ABSENT, NEW), good("unlink", NEW)]),
        ("mknod", [good("mknod", NEW, 0o010644, 0), bad("mknod", FILE, 0o010644, 0),
                   good("unlink", NEW)]),
        ("renameat", [good("renameat", at, b"a", at, NEW), good("renameat", at, NEW, at, b"a"),
                      bad("renameat", at, ABSENT, at, NEW)]),
        ("renameat2", [good("renameat2", at, b"a", at, b"b", 2),
                       bad("renameat2", at, b"a", at, b"b", 1)]),
        ("linkat symlinkat mknodat", [
            good("linkat", at, FILE, at, NEW, 0), bad("linkat", at, ABSENT, at, NEW, 0),
            good("unlink", NEW),
            good("symlinkat", FILE, at, NEW), bad("symlinkat", FILE, at, FILE),
            good("unlink", NEW),
            good("mknodat", at, NEW, 0o010644, 0), bad("mknodat", at, FILE, 0o010644, 0),
            good("unlink", NEW),
        ]),
    ]  # fmt: skip


def attributes() -> list[Group]:
    """Return calls that change what files are."""
    file = os.open(FILE, os.O_RDWR)
    at, times = AT_FDCWD, struct.pack("=qqqq", 1, 0, 2, 0)

    def both(name: str, good_: object, bad_: object, *more: object) -> Group:
        return name, [good(name, good_, *more), bad(name, bad_, *more)]

    def both_at(name: str, *more: object) -> Group:
        return name, [good(name, at, FILE, *more), bad(name, at, ABSENT, *more)]

    return [
        both("chmod", FILE, ABSENT, 0o644), both("fchmod", file, CLOSED, 0o644),
        both_at("fchmodat", 0o644), both_at("fchmodat2", 0o644, 0),
        both("chown", FILE, ABSENT, -1, os.getgid()), both("lchown", FILE, ABSENT, -1, -1),
        both("fchown", file, CLOSED, -1, -1), both_at("fchownat", -1, -1, 0),
        both_at("utimensat", times, 0), both("utime", FILE, ABSENT, times),
        both("utimes", FILE, ABSENT, times), both_at("futimesat", times),
        both("truncate", FILE, ABSENT, 5), both("ftruncate", file, CLOSED, 5),
        both("fallocate", file, CLOSED, 0, 0, 100),
    ]  # fmt: skip


def extended() -> list[Group]:
    """Return calls about extended attributes."""
    file = os.open(FILE, os.O_RDWR)
    name, none, value = b"user.a", b"user.none", b"value"
    held = ctypes.create_string_buffer(64)
    how = struct.pack("=QII", ctypes.addressof(held), 5, 0)
    _keep.append(held)
    at = (AT_FDCWD, FILE, 0)
    groups: list[Group] = []
    for letter, where in (("", FILE), ("l", FILE), ("f", file)):
        groups += [
            (f"{letter}getxattr", [good(f"{letter}getxattr", where, b"user.kept", OUT, 99),
                                   bad(f"{letter}getxattr", where, none, OUT, 99)]),
            (f"{letter}listxattr", [good(f"{letter}listxattr", where, OUT, 99),
                                    bad(f"{letter}listxattr", where, OUT, 1)]),
            (f"{letter}setxattr {letter}removexattr", [
                good(f"{letter}setxattr", where, name, value, 5, 0),
                bad(f"{letter}setxattr", where, name, value, 5, 1),
                good(f"{letter}removexattr", where, name),
                bad(f"{letter}removexattr", where, none),
            ]),
        ]  # fmt: skip
    return [*groups,
        ("getxattrat", [good("getxattrat", *at, b"user.kept", how, 16),
                        bad("getxattrat", *at, none, how, 16)]),
        ("listxattrat", [good("listxattrat", *at, OUT, 99), bad("listxattrat", *at, OUT, 1)]),
        ("setxattrat removexattrat", [
            good("setxattrat", *at, name, how, 16), bad("setxattrat", *at, none, how, 15),
            good("removexattrat", *at, name), bad("removexattrat", *at, none),
        ]),
    ]  # fmt: skip


def tasks() -> list[Group]:
    """Return calls about tasks, limits and the system."""
    me, usr1 = os.getpid(), int(signal.SIGUSR1)
    signal.signal(usr1, signal.SIG_IGN)
    info = struct.pack("=iii", usr1, 0, -1) + bytes(116)
    action = struct.pack("=QQQQ", 1, 0, 0, 0)
    same = struct.pack("=IIQiIQQQ", 48, 0, 0, os.nice(0), 0, 0, 0, 0)
    mask = sum(1 << cpu for cpu in os.sched_getaffinity(0)).to_bytes(8, "little")
    limit = struct.pack("=QQ", *resource.getrlimit(resource.RLIMIT_NOFILE))
    priority = os.nice(0)
    argv, env = (ctypes.c_char_p * 2)(b"x", None), (ctypes.c_char_p * 1)(None)
    prepared("ptrace", 0, 0, 0, 0)()  # It succeeds once.
    return [
        ("uname", [good("uname", OUT), bad("uname", HOLE)]),
        ("sysinfo", [good("sysinfo", OUT), bad("sysinfo", HOLE)]),
        ("prctl", [good("prctl", 15, b"name", 0, 0, 0), bad("prctl", 15, HOLE, 0, 0, 0)]),
        ("execve", [bad("execve", ABSENT, argv, env), bad("execve", DIRECTORY, argv, env)]),
        ("execveat", [bad("execveat", AT_FDCWD, ABSENT, argv, env, 0),
                      bad("execveat", AT_FDCWD, DIRECTORY, argv, env, 0)]),
        ("kill", [good("kill", me, 0), bad("kill", NOBODY, 0)]),
        ("tgkill", [good("tgkill", me, me, 0), bad("tgkill", me, NOBODY, 0)]),
        ("tkill", [good("tkill", me, 0), bad("tkill", NOBODY, 0)]),
        ("rt_sigqueueinfo", [good("rt_sigqueueinfo", me, usr1, info),
                             bad("rt_sigqueueinfo", NOBODY, usr1, info)]),
        ("rt_tgsigqueueinfo", [good("rt_tgsigqueueinfo", me, me, usr1, info),
                               bad("rt_tgsigqueueinfo", me, NOBODY, usr1, info)]),
        ("rt_sigaction", [good("rt_sigaction", 12, action, OUT, 8),
                          bad("rt_sigaction", 9, action, OUT, 8)]),
        ("pidfd_open", [make("pidfd_open", me, 0), bad("pidfd_open", NOBODY, 0)]),
        ("prlimit64", [good("prlimit64", 0, 7, limit, OUT), bad("prlimit64", 0, 99, limit, OUT)]),
        ("setpriority", [good("setpriority", 0, 0, priority), bad("setpriority", 0, NOBODY, 19)]),
        ("ioprio_set", [good("ioprio_set", 1, 0, 2 << 13 | 4), bad("ioprio_set", 1, 0, 7 << 13)]),
        ("sched_setaffinity", [good("sched_setaffinity", 0, 8, mask),
                               bad("sched_setaffinity", 0, 8, bytes(8))]),
        ("sched_setattr", [good("sched_setattr", 0, same, 0), bad("sched_setattr", 0, HOLE, 0)]),
        ("sched_setparam", [good("sched_setparam", 0, bytes(4)),
                            bad("sched_setparam", 0, b"\1\0\0\0")]),
        ("sched_setscheduler", [good("sched_setscheduler", 0, 0, bytes(4)),
                                bad("sched_setscheduler", 0, 99, bytes(4))]),
        ("chroot", [bad("chroot", ABSENT), bad("chroot", FILE)]),
        ("ptrace", [bad("ptrace", 0, 0, 0, 0)]),
        ("syslog", [good("syslog", 3, OUT, 64), bad("syslog", 99, OUT, 64)]),
    ]  # fmt: skip


def anonymous() -> list[Group]:
    """Return calls that make descriptors without a name, and that watch files."""
    ends = (ctypes.c_int * 2)()
    signals = struct.pack("=Q", 1 << 9)
    watch = _libc.inotify_init1(os.O_NONBLOCK)
    group = _libc.fanotify_init(0x200, 0)

    def close(_: int) -> None:
        os.close(ends[0])
        os.close(ends[1])

    def marked(how: int, name: bytes = FILE) -> tuple[object, ...]:
        return group, how, 0x20, AT_FDCWD, name

    return [
        ("pipe2", [good("pipe2", ends, 0, after=close), bad("pipe2", ends, 1)]),
        ("pipe", [good("pipe", ends, after=close), bad("pipe", HOLE)]),
        ("epoll_create1", [make("epoll_create1", 0), bad("epoll_create1", 1)]),
        ("epoll_create", [make("epoll_create", 1), bad("epoll_create", 0)]),
        ("eventfd2", [make("eventfd2", 0, 0), bad("eventfd2", 0, 2)]),
        ("eventfd", [make("eventfd", 0)]),
        ("signalfd4", [make("signalfd4", -1, signals, 8, 0), bad("signalfd4", -1, signals, 4, 0)]),
        ("signalfd", [make("signalfd", -1, signals, 8), bad("signalfd", -1, signals, 4)]),
        ("timerfd_create", [make("timerfd_create", 1, 0), bad("timerfd_create", 99, 0)]),
        ("memfd_create", [make("memfd_create", b"m", 0), bad("memfd_create", HOLE, 0)]),
        ("inotify_init1", [make("inotify_init1", 0), bad("inotify_init1", 1)]),
        ("inotify_init", [make("inotify_init")]),
        ("inotify_add_watch", [good("inotify_add_watch", watch, FILE, 0x200),
                               bad("inotify_add_watch", watch, ABSENT, 0x200)]),
        ("fanotify_init", [make("fanotify_init", 0x200, 0), bad("fanotify_init", 1 << 20, 0)]),
        ("fanotify_mark", [good("fanotify_mark", *marked(1)), bad("fanotify_mark", *marked(3)),
                           good("fanotify_mark", *marked(2)),
                           bad("fanotify_mark", *marked(1, ABSENT))]),
        ("memfd_secret", [bad("memfd_secret", 0x40)]),
        ("ioctl", [good("ioctl", os.open(FILE, os.O_RDONLY), 0x541B, OUT),
                   bad("ioctl", CLOSED, 0x541B, OUT)]),
    ]  # fmt: skip


def programs() -> Group:
    """Return calls that execute a program: each takes a process, so they are made less often."""
    true = os.open("/bin/true", os.O_RDONLY)

    def by_name() -> int:
        pid = os.posix_spawn("/bin/true", ["true"], {})
        return -os.waitpid(pid, 0)[1]

    def by_descriptor() -> int:
        pid = os.fork()
        if pid == 0:
            try:
                os.execve(true, ["true"], {})  # noqa: S606 - no shell
            finally:
                os._exit(1)
        return -os.waitpid(pid, 0)[1]

    return "execve execveat", [
        ("execve", True, by_name, None),
        ("execveat", True, by_descriptor, None),
    ]


def system_v() -> list[Group]:
    """Return calls about System V memory, queues and semaphores, and POSIX queues."""
    memory = _libc.shmget(0, 4096, CREAT | 0o600)
    queue = _libc.msgget(0, CREAT | 0o600)
    semaphores = _libc.semget(0, 2, CREAT | 0o600)
    message = struct.pack("=q", 1) + b"text"
    name = b"madcap-%d" % os.getpid()
    null = ctypes.c_void_p(None)
    undo.extend([
        prepared("shmctl", memory, RMID, 0), prepared("msgctl", queue, RMID, 0),
        prepared("semctl", semaphores, 0, RMID, 0),
    ])  # fmt: skip
    removed = {kind: ctypes.c_long(0) for kind in ("shm", "msg", "sem")}

    def note(kind: str) -> Callable[[int], object]:
        def after(result: int) -> None:
            removed[kind].value = result

        return after

    return [
        ("shmget shmctl", [good("shmget", 0, 4096, CREAT | 0o600, after=note("shm")),
                           bad("shmget", 0x7A5E_0001, 4096, 0),
                           good("shmctl", removed["shm"], RMID, 0), bad("shmctl", -1, STAT, OUT)]),
        ("shmat", [good("shmat", memory, 0, 0, after=_libc.shmdt), bad("shmat", -1, 0, 0)]),
        ("msgget msgctl", [good("msgget", 0, CREAT | 0o600, after=note("msg")),
                           bad("msgget", 0x7A5E_0001, 0),
                           good("msgctl", removed["msg"], RMID, 0), bad("msgctl", -1, STAT, OUT)]),
        ("msgrcv", [good("msgsnd", queue, message, 4, NOWAIT),
                    good("msgrcv", queue, OUT, 99, 0, NOWAIT),
                    bad("msgrcv", queue, OUT, 99, 0, NOWAIT)]),
        ("semget semctl", [good("semget", 0, 1, CREAT | 0o600, after=note("sem")),
                           bad("semget", 0x7A5E_0001, 1, 0),
                           good("semctl", removed["sem"], 0, RMID, 0),
                           bad("semctl", semaphores, 9, 12, 0)]),
        ("mq_open", [make("mq_open", name, 0o300, 0o600, null), good("mq_unlink", name),
                     bad("mq_open", name, 0, 0, 0)]),
    ]  # fmt: skip


def sockets() -> list[Group]:
    """Return calls on sockets."""
    server, client, plain = (socket.socket(socket.AF_UNIX) for _ in range(3))
    server.bind("server")
    server.listen(9)
    server.setblocking(False)
    client.connect("server")
    server.accept()[0].detach()
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    named = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    named.bind("named")
    named.setblocking(False)
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    pair = (ctypes.c_int * 2)()
    fresh = ctypes.c_long(-1)  # The socket that was made last.
    size = ctypes.create_string_buffer(struct.pack("=i", 128))
    _keep.extend([server, client, plain, left, right, named, sender])

    def address(name: bytes) -> tuple[object, ...]:
        text = struct.pack("=H", socket.AF_UNIX) + name + b"\0"
        return text, len(text)

    def message(name: bytes, room: int) -> ctypes.Array[ctypes.c_char]:
        text = ctypes.create_string_buffer(address(name)[0], 128)  # type: ignore[arg-type]
        data = ctypes.create_string_buffer(b"text", 64)
        vector = ctypes.create_string_buffer(struct.pack("=QQ", ctypes.addressof(data), room), 16)
        _keep.extend([text, data, vector])
        length = len(name) + 3 if name else 0
        head = struct.pack("=QI4xQQQQi4x", ctypes.addressof(text) if name else 0, length,
                           ctypes.addressof(vector), 1, 0, 0, 0)  # fmt: skip
        return ctypes.create_string_buffer(head + bytes(8), 64)

    def note(result: int) -> None:
        fresh.value = result

    def close_fresh(_: int) -> None:
        os.close(fresh.value)

    def close_pair(_: int) -> None:
        os.close(pair[0])
        os.close(pair[1])

    def reset(_: int) -> None:
        struct.pack_into("=i", size, 0, 128)

    def answered(result: int) -> None:
        os.close(result)
        os.close(fresh.value)
        reset(0)

    stream = (socket.AF_UNIX, 1, 0)
    accept = (server.fileno(), OUT, size)
    to, lost, into = message(b"named", 4), message(b"absent", 4), message(b"", 64)
    end, send = named.fileno(), sender.fileno()
    return [
        ("socket", [make("socket", *stream), bad("socket", socket.AF_UNIX, 99, 0)]),
        ("connect accept", [
            good("socket", *stream, after=note), bad("connect", fresh, *address(b"absent")),
            good("connect", fresh, *address(b"server")), good("accept", *accept, after=answered),
            bad("accept", *accept),
        ]),
        ("sendto recvfrom", [
            good("sendto", send, b"text", 4, 0, *address(b"named")),
            bad("sendto", send, b"text", 4, 0, *address(b"absent")),
            good("recvfrom", end, OUT, 99, 0, OUT, size, after=reset),
            bad("recvfrom", end, OUT, 99, 0, OUT, size),
        ]),
        ("sendmsg recvmsg", [
            good("sendmsg", send, to, 0), bad("sendmsg", send, lost, 0),
            good("recvmsg", end, into, 0), bad("recvmsg", end, into, 0),
        ]),
        ("sendmmsg recvmmsg", [
            good("sendmmsg", send, to, 1, 0), bad("sendmmsg", send, lost, 1, 0),
            good("recvmmsg", end, into, 1, 0, 0), bad("recvmmsg", end, into, 1, 0, 0),
        ]),
        ("bind", [good("socket", *stream, after=note), good("bind", fresh, *address(b"bound")),
                  bad("bind", fresh, *address(b"server")),
                  good("unlink", b"bound", after=close_fresh)]),
        ("accept4", [
            good("socket", *stream, after=note), good("connect", fresh, *address(b"server")),
            good("accept4", *accept, 0, after=answered), bad("accept4", *accept, 0),
        ]),
        ("getsockname", [good("getsockname", server.fileno(), OUT, size, after=reset),
                         bad("getsockname", CLOSED, OUT, size)]),
        ("getpeername", [good("getpeername", client.fileno(), OUT, size, after=reset),
                         bad("getpeername", server.fileno(), OUT, size)]),
        ("getsockopt", [good("getsockopt", client.fileno(), 1, 17, OUT, size, after=reset),
                        bad("getsockopt", CLOSED, 1, 17, OUT, size)]),
        ("listen", [good("listen", server.fileno(), 9), bad("listen", CLOSED, 9)]),
        ("socketpair", [good("socketpair", *stream, pair, after=close_pair),
                        bad("socketpair", 2, 1, 0, pair)]),
    ]  # fmt: skip


def memory() -> list[Group]:
    """Return calls that change directories and map memory, which stop at a tracer."""
    program = os.open("/bin/true", os.O_RDONLY)
    here = os.open(".", os.O_RDONLY)
    area = prepared("mmap", 0, 8192, 3, 0x22, -1, 0)()

    def unmap(result: int) -> None:
        _libc.munmap(result, 4096)

    return [
        ("chdir", [good("chdir", b"."), bad("chdir", ABSENT)]),
        ("fchdir", [good("fchdir", here), bad("fchdir", CLOSED)]),
        ("mmap", [good("mmap", 0, 4096, 5, 2, program, 0, after=unmap),
                  bad("mmap", 0, 4096, 5, 2, CLOSED, 0)]),
        ("mremap", [good("mremap", area, 4096, 4096, 0, 0),
                    bad("mremap", area + 1, 4096, 4096, 0, 0)]),
        ("brk", [good("brk", 0)]),
    ]  # fmt: skip


def groups() -> dict[str, list[Step]]:
    """Return the steps of all groups by the names of the calls that they are about."""
    kinds = (opening, looking, changing, sockets, anonymous, attributes, tasks, memory, extended,
             system_v)  # fmt: skip
    return dict([*(group for kind in kinds for group in kind()), programs()])


def fill() -> None:
    """Make the files that calls are about."""
    for name in (FILE, b"a", b"b"):
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o644))
    os.setxattr(FILE, "user.kept", b"value")
    os.mkdir(DIRECTORY)
    os.symlink(FILE, LINK)


_keep: list[object] = []  # What calls point to.
undo: list[Callable[[], int]] = []  # Calls that remove what would stay for ever.
