# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual device /dev/syd: commands by stat(2), the state by open(2)."""

from __future__ import annotations

import errno
import os
import struct

from madcap.errors import PolicyError
from madcap.kernel.reply import Install
from madcap.linux._call import MACHINE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.reply import Reply
    from madcap.kernel.request import Request

_ROOT = b"/dev/syd"
_ATIME, _CTIME, _MTIME = 505958400, -2036448000, -842745600


def is_magic(path: bytes) -> bool:
    """Tell whether *path*, as the caller wrote it, names the virtual device."""
    rest = path[len(_ROOT) :]
    return not rest or rest[:1] == b"/" or rest in (b".el", b".sh")


def run(req: Request, path: bytes) -> None:
    """Execute the command that the magic *path* names.

    Raises ENOENT where the lock keeps this caller out, else the command's errno.
    """
    req.alive()
    host = req.host
    sandbox = host.sandbox
    if host.chrooted or not sandbox.may_command(req.tid == host.eldest and host.eldest_lives):
        raise OSError(errno.ENOENT, "locked")
    host.plain_stat = sandbox.lock == 3  # drop: the answer must not tell the state
    command = path[len(_ROOT) + 1 :] if path[len(_ROOT) : len(_ROOT) + 1] == b"/" else b""
    try:
        text = command.decode()
    except UnicodeDecodeError:
        raise OSError(errno.EINVAL, "not UTF-8") from None
    if text == "panic":
        if sandbox.lock is not None and sandbox.lock >= 3:
            raise OSError(errno.EPERM, "locked")
        os._exit(127)
    if text == "ghost" or text == "load" or text.startswith("load/"):
        raise OSError(errno.EOPNOTSUPP, "not built")
    with host.policy_lock:
        try:
            sandbox.execute(text, ("/dev/syd", req.tid))
        except PolicyError as error:
            raise OSError(error.errno, str(error)) from None


def _state(req: Request) -> tuple[int, int, int]:
    """Return (mode, nlink, rdev) of the magic stat."""
    from madcap.policy.report import stat_mode, stat_nlink

    sandbox = req.host.sandbox
    return stat_mode(sandbox), stat_nlink(sandbox), os.makedev(3, 1)


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
    if host.chrooted or not sandbox.may_read(req.tid == host.eldest and host.eldest_lives):
        raise OSError(errno.ENOENT, "locked")
    if flags & 0o10000000:
        raise OSError(errno.EINVAL, "O_PATH")
    if flags & 3 == 1:
        raise OSError(errno.EBADF, "write-only")
    if path != _ROOT:
        raise OSError(errno.EINVAL, "no such text")
    from madcap.policy.report import dump_text

    return Install(req.own(sealed(req, dump_text(sandbox).encode() + b"\n")), cloexec=True)
