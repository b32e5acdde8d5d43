# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls that change attributes or length: chmod, chown, utime, truncate families."""

from __future__ import annotations

import errno
import os
import struct

from madcap import events
from madcap.abi import flags as F
from madcap.kernel.change import forced_mode
from madcap.kernel.judge import admit, owns
from madcap.kernel.lookup import lookup
from madcap.kernel.target import EMPTY, FOLLOW, Target, descriptor_name
from madcap.linux import fs
from madcap.policy import categories as C

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.request import Request

_SIGXFSZ = 25
_FALLOC_IN_PLACE = 0x50  # FALLOC_FL_ZERO_RANGE, _UNSHARE_RANGE: the other modes keep the size.
_NO_ID = 0xFFFF_FFFF
_SPECIAL_TIMES = (F.UTIME_NOW, F.UTIME_OMIT)


def open_descriptor(req: Request, number: int) -> Target:
    """Return the object behind the caller's descriptor *number*, which must not be O_PATH."""
    fd = req.descriptor(number)
    status = _status_flags(fd)
    if status & F.O_PATH:
        raise OSError(errno.EBADF, "an O_PATH descriptor")
    target = Target(fd, descriptor_name(req, fd))
    target.magic = True
    return target


def _status_flags(fd: int) -> int:
    import fcntl

    return fcntl.fcntl(fd, 3)  # F_GETFL


def _at(req: Request, dirfd: int, index: int, flags: int) -> Target:
    """Resolve the path at *index* for a call with AT_ *flags*."""
    if flags & ~(F.AT_EMPTY_PATH | F.AT_SYMLINK_NOFOLLOW):
        raise OSError(errno.EINVAL, "flags")
    how = 0 if flags & F.AT_SYMLINK_NOFOLLOW else FOLLOW
    empty = flags & F.AT_EMPTY_PATH
    return lookup(req, dirfd, req.path(index), how | EMPTY if empty else how)


# chmod


def sys_chmod(req: Request) -> int:
    """chmod(2)."""
    return _chmod(req, _at(req, F.AT_FDCWD, 0, 0), req.mode(1))


def sys_fchmodat(req: Request) -> int:
    """fchmodat(2), the three-argument call of the kernel."""
    return _chmod(req, _at(req, req.i32(0), 1, 0), req.mode(2))


def sys_fchmodat2(req: Request) -> int:
    """fchmodat2(2), Linux 6.6."""
    return _chmod(req, _at(req, req.i32(0), 1, req.u32(3)), req.mode(2))


def sys_fchmod(req: Request) -> int:
    """fchmod(2)."""
    return _chmod(req, open_descriptor(req, req.i32(0)), req.mode(1))


def _chmod(req: Request, target: Target, mode: int) -> int:
    mode &= 0o7777
    admit(req, target, C.CHMOD)
    kind = target.type
    if kind == F.S_IFLNK:
        raise OSError(errno.EOPNOTSUPP, "a link")
    if kind and not owns(req, target):  # About an inode without a type the kernel knows best.
        raise OSError(errno.EPERM, "not the owner")
    st = target.st
    if kind == F.S_IFREG:
        mode = forced_mode(req, mode)
    elif kind == F.S_IFDIR and "allow_unsafe_sticky" not in req.policy.flags:
        kept = st.st_mode & (F.S_ISVTX | F.S_ISGID) & ~mode
        if kept:
            events.emit(
                events.WARN,
                {"ctx": "immutable_sticky", "path": target.name, "sys": req.name, "mode": mode},
                pid=req.tid,
                msg="the sticky and set-group-id bits of a directory stay",
                tip="configure `trace/allow_unsafe_sticky:1'",
            )
            mode |= kept
    if mode & F.S_ISGID and kind != F.S_IFDIR and st.st_gid not in req.host.groups:
        mode &= ~F.S_ISGID
    try:
        return fs.fchmodat2(target.fd, b"", mode, F.AT_EMPTY_PATH)
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
    return fs.fchmodat(req.host.self_fd, b"%d" % target.fd, mode)


# chown


def sys_chown(req: Request) -> int:
    """chown(2)."""
    return _chown(req, _at(req, F.AT_FDCWD, 0, 0), 1)


def sys_lchown(req: Request) -> int:
    """lchown(2)."""
    return _chown(req, _at(req, F.AT_FDCWD, 0, F.AT_SYMLINK_NOFOLLOW), 1)


def sys_fchownat(req: Request) -> int:
    """fchownat(2)."""
    return _chown(req, _at(req, req.i32(0), 1, req.u32(4)), 2)


def sys_fchown(req: Request) -> int:
    """fchown(2)."""
    return _chown(req, open_descriptor(req, req.i32(0)), 1)


def _chown(req: Request, target: Target, index: int) -> int:
    uid, gid = req.u32(index), req.u32(index + 1)
    wanted = (C.CHOWN if uid != _NO_ID else 0) | (C.CHGRP if gid != _NO_ID else 0) or C.UTIME
    if target.type != F.S_IFDIR:
        wanted |= C.CHMOD | C.CHATTR
    admit(req, target, wanted)
    if target.type:
        st = target.st
        host = req.host
        if uid != _NO_ID and not uid == st.st_uid == host.euid:
            raise OSError(errno.EPERM, "owner")
        if gid != _NO_ID and (not owns(req, target) or gid not in (st.st_gid, *host.groups)):
            raise OSError(errno.EPERM, "group")
    return fs.fchownat(target.fd, b"", uid, gid, F.AT_EMPTY_PATH)


# utime


def sys_utime(req: Request) -> int:
    """utime(2): whole seconds."""
    times = None
    if req.args[1]:
        atime, mtime = struct.unpack("=qq", req.read(req.args[1], 16))
        times = struct.pack("=qqqq", atime, 0, mtime, 0)
    return _utime(req, _at(req, F.AT_FDCWD, 0, 0), times)


def sys_utimes(req: Request) -> int:
    """utimes(2): microseconds."""
    times = _timevals(req, 1)
    return _utime(req, _at(req, F.AT_FDCWD, 0, 0), times)


def sys_futimesat(req: Request) -> int:
    """futimesat(2): microseconds; a null path means the descriptor."""
    times = _timevals(req, 2)
    dirfd = req.i32(0)
    if not req.args[1] and dirfd != F.AT_FDCWD:
        return _utime(req, open_descriptor(req, dirfd), times)
    return _utime(req, _at(req, dirfd, 1, 0), times)


def sys_utimensat(req: Request) -> int:
    """utimensat(2): nanoseconds; a null path means the descriptor."""
    flags = req.u32(3)
    times = None
    if req.args[2]:
        times = req.read(req.args[2], 32)
        _, anano, _, mnano = struct.unpack("=qqqq", times)
        if anano == mnano == F.UTIME_OMIT:
            return 0
    dirfd = req.i32(0)
    if not req.args[1] and dirfd != F.AT_FDCWD:
        if flags:
            raise OSError(errno.EINVAL, "flags")
        return _utime(req, open_descriptor(req, dirfd), times)
    return _utime(req, _at(req, dirfd, 1, flags), times)


def _timevals(req: Request, index: int) -> bytes | None:
    if not req.args[index]:
        return None
    asec, ausec, msec, musec = struct.unpack("=qqqq", req.read(req.args[index], 32))
    if not (0 <= ausec < 1_000_000 and 0 <= musec < 1_000_000):
        raise OSError(errno.EINVAL, "microseconds")
    return struct.pack("=qqqq", asec, ausec * 1000, msec, musec * 1000)


def _utime(req: Request, target: Target, times: bytes | None) -> int:
    if times is not None:
        _, anano, _, mnano = struct.unpack("=qqqq", times)
        for nano in (anano, mnano):
            if nano not in _SPECIAL_TIMES and not 0 <= nano <= 999_999_999:
                raise OSError(errno.EINVAL, "nanoseconds")
    admit(req, target, C.UTIME)
    # The kernel tests owner and write access against our ids, which are the caller's.
    return fs.utimensat(target.fd, b"", times, F.AT_EMPTY_PATH)


# truncate


def _truncate_mask(target: Target) -> int:
    if target.type == F.S_IFREG:
        return C.TRUNCATE | C.CHMOD | C.CHATTR
    return C.TRUNCATE


def _may_grow(req: Request, target: Target, size: int) -> None:
    """Raise EFBIG, and SIGXFSZ, where *target* would become larger than the caller's files may.

    The kernel would ask for our own limit.
    """
    if target.type != F.S_IFREG or size <= target.st.st_size:
        return
    limit = req.limit(b"Max file size")
    if limit is not None and size > limit:
        req.signal(_SIGXFSZ)
        raise OSError(errno.EFBIG, "larger than the limit")


def sys_truncate(req: Request) -> int:
    """truncate(2)."""
    length = req.i64(1)
    if length < 0:
        raise OSError(errno.EINVAL, "length")
    target = _at(req, F.AT_FDCWD, 0, 0)
    admit(req, target, _truncate_mask(target))
    if target.type == F.S_IFDIR:
        raise OSError(errno.EISDIR, "a directory")
    if target.type == F.S_IFREG:
        fs.faccessat2(target.fd, b"", os.W_OK, F.AT_EACCESS | F.AT_EMPTY_PATH)
        _may_grow(req, target, length)
    return fs.truncate(b"/proc/self/fd/%d" % target.fd, length)


def sys_ftruncate(req: Request) -> int:
    """ftruncate(2)."""
    length = req.i64(1)
    if length < 0:
        raise OSError(errno.EINVAL, "length")
    target = open_descriptor(req, req.i32(0))
    admit(req, target, _truncate_mask(target))
    if _status_flags(target.fd) & F.O_ACCMODE:
        _may_grow(req, target, length)
    return fs.ftruncate(target.fd, length)


def sys_fallocate(req: Request) -> int:
    """fallocate(2)."""
    offset, length = req.i64(2), req.i64(3)
    target = open_descriptor(req, req.i32(0))
    if offset < 0 or length <= 0:
        raise OSError(errno.EINVAL, "range")
    admit(req, target, _truncate_mask(target))
    mode = req.i32(1)
    if _status_flags(target.fd) & F.O_ACCMODE and not mode & ~_FALLOC_IN_PLACE:
        _may_grow(req, target, offset + length)
    return fs.fallocate(target.fd, mode, offset, length)
