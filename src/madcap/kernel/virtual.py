# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual device /dev/syd: commands by stat(2), the state by open(2)."""

from __future__ import annotations

import errno
import os
import select
import struct

from madcap import events
from madcap.errors import PolicyError
from madcap.kernel.reply import Install
from madcap.linux._call import MACHINE
from madcap.policy import categories as C
from madcap.policy.lock import close

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.reply import Reply
    from madcap.kernel.request import Request
    from madcap.policy.sandbox import Sandbox

_ROOT = b"/dev/syd"
_ORIGIN = "/dev/syd"
_OFF, _EXEC, _DROP, _READ = 0, 1, 3, 4
#: What the permission bits of the magic stat tell.
_MODE_BITS = (
    (0o400, C.READ), (0o200, C.WRITE), (0o100, C.EXEC), (0o040, C.STAT), (0o020, C.PROXY),
    (0o010, C.TPE), (0o004, C.LOCK), (0o002, C.URING), (0o001, C.FORCE),
)  # fmt: skip
_ATIME, _CTIME, _MTIME = 505958400, -2036448000, -842745600


def is_magic(path: bytes) -> bool:
    """Tell whether *path*, as the caller wrote it, names the virtual device."""
    rest = path[len(_ROOT) :]
    return not rest or rest[:1] == b"/" or rest in (b".el", b".sh")


def _is_first(req: Request) -> bool:
    """Tell whether the caller is the first process, alive; its number may be another's later."""
    host = req.host
    if req.tid != host.eldest or not host.eldest_lives:
        return False
    watch = select.poll()
    watch.register(host.eldest_fd, select.POLLIN)
    return not watch.poll(0)


def may_command(req: Request) -> bool:
    """Tell whether the lock lets this caller give commands (under drop only narrowing ones)."""
    host = req.host
    lock = host.sandbox.lock
    if lock == _EXEC:
        return _is_first(req)
    return lock in (None, _OFF, _DROP)


def may_read(req: Request) -> bool:
    """Tell whether the lock lets this caller read the state."""
    host = req.host
    lock = host.sandbox.lock
    if lock == _EXEC:
        return _is_first(req)
    return lock in (None, _OFF, _READ)


def run(req: Request, path: bytes) -> None:
    """Execute the command that the magic *path* names.

    Raises ENOENT where the lock keeps this caller out, else the command's errno.
    """
    req.alive()
    host = req.host
    sandbox = host.sandbox
    if host.chrooted or not may_command(req):
        raise OSError(errno.ENOENT, "locked")
    host.plain_stat = sandbox.lock == _DROP  # The answer must not tell the state
    command = path[len(_ROOT) + 1 :] if path[len(_ROOT) : len(_ROOT) + 1] == b"/" else b""
    try:
        text = command.decode()
    except UnicodeDecodeError:
        raise OSError(errno.EINVAL, "not UTF-8") from None
    if text == "panic":
        if sandbox.lock is not None and sandbox.lock >= _DROP:
            raise OSError(errno.EPERM, "locked")
        os._exit(127)
    with host.policy_lock:
        try:
            if text == "ghost":
                _ghost(req)
            elif text == "load" or text.startswith("load/"):
                _load(req, text[5:])
            else:
                sandbox.execute(text, (_ORIGIN, req.tid))
        except PolicyError as error:
            raise OSError(error.errno, str(error)) from None


def _ghost(req: Request) -> None:
    """Lock for good: from the next one on every trapped call of everybody answers ENOSYS."""
    host = req.host
    close(host.sandbox)
    events.emit(
        events.WARN,
        {"ctx": "confine", "op": "enter_ghost_mode", "sys": req.name, "args": list(req.args)},
        pid=req.tid,
    )
    host.ghost = True
    host.end_calls()


def _load(req: Request, what: str) -> None:
    """Load configuration from the caller's descriptor *what*, or the built-in profile *what*."""
    sandbox = req.host.sandbox
    if not what:
        raise OSError(errno.EINVAL, "load without a name")
    if sandbox.lock == _DROP:
        raise OSError(errno.EPERM, "drop")
    if not what.isdigit():
        if what == "user":
            raise OSError(errno.EBUSY, "possible only before the start")
        sandbox.include_profile(what)
        return
    from madcap.kernel.loading import load

    fd = req.descriptor(int(what))
    req.alive()
    load(sandbox, fd, _ORIGIN)


def _state(req: Request) -> tuple[int, int, int]:
    """Return (mode, nlink, rdev) of the magic stat."""
    sandbox = req.host.sandbox
    enabled = sandbox.active.enabled
    mode = 0o020000
    for bit, wanted in _MODE_BITS:
        if enabled & wanted:
            mode |= bit
    return mode, enabled & 0xFFFF_FFFF, os.makedev(3, 1)


def stat_bytes(req: Request) -> bytes:
    """Return the struct stat of a command that was carried out."""
    st = os.fstat(req.host.null)
    if req.host.plain_stat:
        mode, nlink, rdev, ino = st.st_mode, st.st_nlink, st.st_rdev, st.st_ino
        times = (int(st.st_atime), 0, int(st.st_mtime), 0, int(st.st_ctime), 0)
    else:
        (mode, nlink, rdev), ino = _state(req), 0
        times = (_ATIME, 0, _MTIME, 0, _CTIME, 0)
    if MACHINE == "aarch64":
        head = struct.pack(
            "=QQIIIIQQqiiq",
            st.st_dev,
            ino,
            mode,
            nlink,
            st.st_uid,
            st.st_gid,
            rdev,
            0,
            0,
            4096,
            0,
            0,
        )
        return (head + struct.pack("=6q", *times)).ljust(128, b"\0")
    head = struct.pack(
        "=QQQIIIIQqqq", st.st_dev, ino, nlink, mode, st.st_uid, st.st_gid, 0, rdev, 0, 4096, 0
    )
    return (head + struct.pack("=6q", *times)).ljust(144, b"\0")


def statx_bytes(req: Request) -> bytes:
    """Return the struct statx of a command that was carried out."""
    st = os.fstat(req.host.null)
    mode, nlink, rdev = _state(req)
    ino, times = 0, (_ATIME, 0, _CTIME, _MTIME)
    if req.host.plain_stat:
        mode, nlink, rdev, ino = st.st_mode, st.st_nlink, st.st_rdev, st.st_ino
        times = (int(st.st_atime), 0, int(st.st_ctime), int(st.st_mtime))
    head = struct.pack(
        "=IIQIIIHHQQQQ", 0x7FF, 4096, 0, nlink, st.st_uid, st.st_gid, mode & 0xFFFF, 0, ino, 0, 0, 0
    )
    stamps = b"".join(struct.pack("=qIi", second, 0, 0) for second in times)
    devices = struct.pack(
        "=IIII", os.major(rdev), os.minor(rdev), os.major(st.st_dev), os.minor(st.st_dev)
    )
    return (head + stamps + devices).ljust(256, b"\0")


def open_(req: Request, path: bytes, flags: int) -> Reply:
    """Open the virtual device: the state as JSON for who may read it."""
    from madcap.kernel.substitute import sealed

    req.alive()
    host = req.host
    sandbox = host.sandbox
    if host.chrooted or not may_read(req):
        raise OSError(errno.ENOENT, "locked")
    if flags & 0o10000000:
        raise OSError(errno.EINVAL, "O_PATH")
    if flags & 3 == 1:
        raise OSError(errno.EBADF, "write-only")
    text = _text(sandbox, path[len(_ROOT) :])
    return Install(
        req.own(sealed(req, text.encode("utf-8", "surrogateescape"), path)), cloexec=True
    )


def _text(sandbox: Sandbox, name: bytes) -> str:
    """Return what a read of ``/dev/syd`` *name* shows."""
    if not name:
        from madcap.policy.report import dump_text

        return dump_text(sandbox) + "\n"
    if name in (b".el", b".sh") and sandbox.client is not None:
        return sandbox.client(name[1:].decode())
    from madcap.policy.interface import EGGS

    egg = EGGS.get(name[1:])
    if egg is None:
        raise OSError(errno.EINVAL, "no such text")
    return egg
