# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls that make descriptors without a name: pipes, memory files, epoll, eventfd and the like.

The create category judges them by a keyword. Most take numbers only, so an allowed call is run by
the kernel itself; it is made here where a switch changes the descriptor, or where a name that the
guest could change meanwhile was judged.
"""

from __future__ import annotations

import errno
import os
import struct

from madcap.abi import flags as F
from madcap.kernel.judge import capabilities, outcome
from madcap.kernel.reply import Continue, Install
from madcap.linux._call import bind, c_char_p, c_int, c_long, c_ulong
from madcap.policy import actions as A
from madcap.policy import categories as C

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from madcap.kernel.reply import Reply
    from madcap.kernel.request import Request

_VALUES = Continue("only numbers were judged, and they are in registers")
_MFD_CLOEXEC, _MFD_ALLOW_SEALING, _MFD_HUGETLB, _MFD_NOEXEC_SEAL, _MFD_EXEC = 1, 2, 4, 8, 16
_MFD_FLAGS = 0x1F | 0x3F << 26  # The size of huge pages is in the upper bits.
_MFD_NAME_MAX = 249
_O_NOTIFICATION_PIPE = F.O_EXCL
_PIPE_FLAGS = F.O_CLOEXEC | F.O_NONBLOCK | 0o40000 | 0o200000 | _O_NOTIFICATION_PIPE
_F_SETPIPE_SZ = 1031
_EFD_FLAGS = 1 | F.O_CLOEXEC | F.O_NONBLOCK
_CLOCKS = (0, 1, 7, 8, 9)
_ALARM_CLOCKS = (8, 9)

_memfd_create = bind("memfd_create", c_char_p, c_ulong)
_memfd_secret = bind("memfd_secret", c_ulong)
_plain = {
    name: bind(name, c_long, c_long, c_long, c_long)
    for name in ("epoll_create1", "eventfd2", "timerfd_create", "inotify_init1", "fanotify_init")
}
_signalfd4 = bind("signalfd4", c_int, c_char_p, c_ulong, c_int)


def _judge(req: Request, keyword: bytes, denied: int, wanted: int = C.CREATE) -> None:
    """Raise OSError(*denied*) unless policy lets the caller make a *keyword*."""
    verdict = req.policy.check(wanted, keyword)
    if verdict[0] == A.ALLOW:
        return
    record: dict[str, object] = {
        "ctx": "access",
        "cap": capabilities(verdict[1]),
        "act": A.NAMES[verdict[0]],
        "sys": req.name,
    }
    if req.name == "memfd_create":
        record.update(err=denied, path=keyword, args=list(req.args))
    else:
        record["path"] = keyword
    req.alive()
    outcome(req, verdict, denied, record, keyword)


def _forced(req: Request) -> bool:
    flags = req.policy.flags
    return "force_cloexec" in flags or "force_rand_fd" in flags


def _install(req: Request, fd: int, flags: int) -> Install:
    cloexec = bool(flags & F.O_CLOEXEC) or "force_cloexec" in req.policy.flags
    return Install(req.own(fd), cloexec=cloexec)


def _values(req: Request, make: Callable[[], int], flags: int) -> Reply:
    """Answer an allowed call that takes only numbers."""
    return _install(req, make(), flags) if _forced(req) else _VALUES


def _only(flags: int, known: int) -> int:
    if flags & ~known:
        raise OSError(errno.EINVAL, "flags")
    return flags


def sys_epoll_create(req: Request) -> Reply:
    """epoll_create(2)."""
    if req.i32(0) <= 0:
        raise OSError(errno.EINVAL, "size")
    _judge(req, b"!eventpoll", errno.ENOMEM)
    return _values(req, lambda: _plain["epoll_create1"](F.O_CLOEXEC, 0, 0, 0), 0)


def sys_epoll_create1(req: Request) -> Reply:
    """epoll_create1(2)."""
    flags = _only(req.u32(0), F.O_CLOEXEC)
    _judge(req, b"!eventpoll", errno.ENOMEM)
    return _values(req, lambda: _plain["epoll_create1"](F.O_CLOEXEC, 0, 0, 0), flags)


def sys_eventfd(req: Request) -> Reply:
    """eventfd(2), the call without flags."""
    return _eventfd(req, 0)


def sys_eventfd2(req: Request) -> Reply:
    """eventfd2(2)."""
    return _eventfd(req, req.u32(1))


def _eventfd(req: Request, flags: int) -> Reply:
    _only(flags, _EFD_FLAGS)
    _judge(req, b"!eventfd", errno.ENODEV)
    return _values(req, lambda: _plain["eventfd2"](req.u32(0), flags | F.O_CLOEXEC, 0, 0), flags)


def sys_signalfd(req: Request) -> Reply:
    """signalfd(2), the call without flags; hooked only for new descriptors."""
    return _signalfd(req, 0)


def sys_signalfd4(req: Request) -> Reply:
    """signalfd4(2); hooked only for new descriptors."""
    return _signalfd(req, req.u32(3))


def _signalfd(req: Request, flags: int) -> Reply:
    if req.args[2] != 8:
        raise OSError(errno.EINVAL, "size of the signal set")
    mask = req.read(req.args[1], 8)
    _only(flags, F.O_CLOEXEC | F.O_NONBLOCK)
    if req.i32(0) != -1:
        raise OSError(errno.EBADF, "bad descriptor")
    _judge(req, b"!signalfd", errno.ENODEV)
    # A signalfd reads the signals of whoever reads it, so who made it doesn't matter.
    return _values(req, lambda: _signalfd4(-1, mask, 8, flags | F.O_CLOEXEC), flags)


def sys_timerfd_create(req: Request) -> Reply:
    """timerfd_create(2)."""
    clock, flags = req.i32(0), req.u32(1)
    _only(flags, F.O_CLOEXEC | F.O_NONBLOCK)
    if clock not in _CLOCKS:
        raise OSError(errno.EINVAL, "clock")
    if clock in _ALARM_CLOCKS:
        raise OSError(errno.EPERM, "CAP_WAKE_ALARM")
    _judge(req, b"!timerfd", errno.ENODEV)
    return _values(req, lambda: _plain["timerfd_create"](clock, flags | F.O_CLOEXEC, 0, 0), flags)


def sys_inotify_init(req: Request) -> Reply:
    """inotify_init(2)."""
    _judge(req, b"!inotify", errno.ENOMEM)
    return _values(req, lambda: _plain["inotify_init1"](F.O_CLOEXEC, 0, 0, 0), 0)


def sys_inotify_init1(req: Request) -> Reply:
    """inotify_init1(2)."""
    flags = _only(req.u32(0), F.O_CLOEXEC | F.O_NONBLOCK)
    _judge(req, b"!inotify", errno.ENOMEM)
    return _values(req, lambda: _plain["inotify_init1"](flags | F.O_CLOEXEC, 0, 0, 0), flags)


def sys_fanotify_init(req: Request) -> Reply:
    """fanotify_init(2): the kernel validates, we only judge."""
    _judge(req, b"!fanotify", errno.EPERM)
    return _VALUES


def sys_pipe(req: Request) -> Reply:
    """pipe(2)."""
    return _pipe(req, 0)


def sys_pipe2(req: Request) -> Reply:
    """pipe2(2)."""
    return _pipe(req, req.u32(1))


def _pipe(req: Request, flags: int) -> Reply:
    _only(flags, _PIPE_FLAGS)
    notification = flags & _O_NOTIFICATION_PIPE
    if notification:
        _judge(req, b"!notification_pipe", errno.ENOPKG)
        return _VALUES
    _judge(req, b"!pipe", errno.ENOMEM)
    address = req.pointer(req.args[0])
    req.alive()
    ends = os.pipe2(flags | F.O_CLOEXEC)
    for fd in ends:
        req.own(fd)
    _shrink(req, ends[1])
    # The descriptors can't be in place before the numbers are written, nor the other way round;
    # the caller sleeps meanwhile. An unwritable buffer is found first, so that nothing leaks.
    req.write(address, req.read(address, 8))
    numbers = [req.install(fd, cloexec=bool(flags & F.O_CLOEXEC)) for fd in ends]
    req.write(address, struct.pack("=ii", *numbers))
    return 0


def _shrink(req: Request, fd: int) -> None:
    import fcntl

    limit = req.host.sandbox.pipe_max
    try:
        if fcntl.fcntl(fd, 1032) > limit:  # F_GETPIPE_SZ
            fcntl.fcntl(fd, _F_SETPIPE_SZ, limit)
    except OSError:
        return  # A pipe of the default size is no danger, only larger than wished.


def sys_memfd_create(req: Request) -> Reply:
    """memfd_create(2)."""
    flags = req.u32(1)
    both = _MFD_EXEC | _MFD_NOEXEC_SEAL
    if flags & ~_MFD_FLAGS or flags & both == both:
        raise OSError(errno.EINVAL, "flags")
    try:
        name = req.string(req.args[0], _MFD_NAME_MAX + 1)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise OSError(errno.EINVAL, "name too long") from None
        raise
    kind = b"!memfd-hugetlb:" if flags & _MFD_HUGETLB else b"!memfd:"
    if name.startswith(req.host.unique_name):
        req.signal(9)
        raise OSError(errno.EACCES, "a private name")
    wanted = C.CREATE
    if "allow_unsafe_memfd" not in req.host.options:
        flags = (flags & ~_MFD_EXEC) | _MFD_NOEXEC_SEAL
    elif not flags & _MFD_NOEXEC_SEAL:
        wanted |= C.EXEC
    _judge(req, kind + name, errno.EACCES, wanted)
    req.alive()
    fd = _memfd_create(name, flags | _MFD_CLOEXEC)
    return _install(req, fd, F.O_CLOEXEC if flags & _MFD_CLOEXEC else 0)


def sys_memfd_secret(req: Request) -> Reply:
    """memfd_secret(2)."""
    flags = _only(req.u32(0), F.O_CLOEXEC)
    _judge(req, b"!secretmem", errno.EACCES)
    return _values(req, lambda: _memfd_secret(F.O_CLOEXEC), flags)
