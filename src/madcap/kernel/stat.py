# SPDX-License-Identifier: GPL-3.0-or-later
"""The stat(2) family, access(2), readlink(2), statfs(2)."""

from __future__ import annotations

import errno
import os
import struct

from madcap.abi import flags as F
from madcap.kernel import virtual
from madcap.kernel.judge import admit, hide_device, require
from madcap.kernel.lookup import from_descriptor, lookup
from madcap.kernel.reply import Written
from madcap.kernel.request import RESULT
from madcap.kernel.target import EMPTY, FOLLOW, subject
from madcap.linux import fs
from madcap.linux._call import MACHINE
from madcap.policy import actions as A
from madcap.policy import categories as C

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.reply import Reply
    from madcap.kernel.request import Request
    from madcap.kernel.target import Target

_STAT_SIZE = 128 if MACHINE == "aarch64" else 144
_STAT_MODE = RESULT + (16 if MACHINE == "aarch64" else 24)
_STAT_ATIME, _STAT_MTIME, _STAT_CTIME = RESULT + 72, RESULT + 88, RESULT + 104
_STATX_SIZE = 256
_STATX_MODE = RESULT + 28
_STATX_ATIME, _STATX_BTIME, _STATX_CTIME, _STATX_MTIME = (RESULT + n for n in (64, 80, 96, 112))
_STATX_RESERVED = 0x8000_0000
_DEVICES = (F.S_IFCHR, F.S_IFBLK)
_U32 = struct.Struct("=I")
_U16 = struct.Struct("=H")

_AT_STAT = (
    F.AT_EMPTY_PATH | F.AT_SYMLINK_NOFOLLOW | F.AT_NO_AUTOMOUNT
    | F.AT_STATX_FORCE_SYNC | F.AT_STATX_DONT_SYNC
)  # fmt: skip


def sys_stat(req: Request) -> Reply:
    """stat(2)."""
    return _stat(req, F.AT_FDCWD, req.path(0), 1, FOLLOW)


def sys_lstat(req: Request) -> Reply:
    """lstat(2)."""
    return _stat(req, F.AT_FDCWD, req.path(0), 1, 0)


def sys_fstat(req: Request) -> Reply:
    """fstat(2)."""
    number = req.i32(0)
    if number < 0:
        raise OSError(errno.EBADF, "bad descriptor")
    return _fill(req, from_descriptor(req, number), 1)


def sys_newfstatat(req: Request) -> Reply:
    """newfstatat(2): fstatat with struct stat."""
    flags = req.u32(3)
    if flags & ~_AT_STAT:
        flags = _known(req, flags)
    path = _path_or_empty(req, 1, flags)
    return _stat(req, req.i32(0), path, 2, _how(flags))


def sys_statx(req: Request) -> Reply:
    """statx(2)."""
    flags, mask = req.u32(2), req.u32(3)
    both = F.AT_STATX_FORCE_SYNC | F.AT_STATX_DONT_SYNC
    if flags & both == both or mask & _STATX_RESERVED:
        raise OSError(errno.EINVAL, "flags or mask")
    if flags & ~_AT_STAT:
        flags = _known(req, flags)
    path = _path_or_empty(req, 1, flags)
    how = _how(flags)
    if path[:8] == b"/dev/syd" and virtual.is_magic(path):
        virtual.run(req, path)
        return _write(req, 4, virtual.statx_bytes(req))
    target = lookup(req, req.i32(0), path, how)
    sync = flags & both
    req.alive()
    fs.statx_into(target.fd, sync, mask, req.result)
    data = req.scratch.data
    kind = _U16.unpack_from(data, _STATX_MODE)[0] & F.S_IFMT
    if _judge(req, target, kind, path):
        fs.statx_into(target.fd, sync, mask, req.result)
        kind = _U16.unpack_from(data, _STATX_MODE)[0] & F.S_IFMT
    if kind in _DEVICES and _hides_times(req, kind):
        data[_STATX_ATIME : _STATX_ATIME + 12] = data[_STATX_CTIME : _STATX_CTIME + 12]
        data[_STATX_BTIME : _STATX_BTIME + 12] = data[_STATX_CTIME : _STATX_CTIME + 12]
        data[_STATX_MTIME : _STATX_MTIME + 12] = data[_STATX_CTIME : _STATX_CTIME + 12]
    return Written(req.args[4], _STATX_SIZE)


def _known(req: Request, flags: int) -> int:
    """Return *flags* without the unknown ones: those are EINVAL, but not for a mere descriptor.

    Since Linux 6.11 an empty path with AT_EMPTY_PATH is fstat(2), whatever else the flags say.
    """
    if not flags & F.AT_EMPTY_PATH or req.i32(0) < 0 or not _is_empty(req):
        raise OSError(errno.EINVAL, "flags")
    fd = req.directory(req.i32(0))
    fs.fstat_with(fd, flags, req.result)
    return flags & _AT_STAT


def _is_empty(req: Request) -> bool:
    try:
        return not _path_or_empty(req, 1, F.AT_EMPTY_PATH)
    except OSError:
        return False


def _how(flags: int) -> int:
    how = 0 if flags & F.AT_SYMLINK_NOFOLLOW else FOLLOW
    return how | EMPTY if flags & F.AT_EMPTY_PATH else how


def _path_or_empty(req: Request, index: int, flags: int) -> bytes:
    """The path argument; with AT_EMPTY_PATH a null pointer is an empty path (Linux 6.11)."""
    if flags & F.AT_EMPTY_PATH and not req.args[index]:
        return b""
    return req.path(index)


def _stat(req: Request, dirfd: int, path: bytes, out: int, how: int) -> Reply:
    if path[:8] == b"/dev/syd" and virtual.is_magic(path):
        virtual.run(req, path)
        return _write(req, out, virtual.stat_bytes(req))
    return _fill(req, lookup(req, dirfd, path, how), out)


def _fill(req: Request, target: Target, out: int) -> Reply:
    """Judge *target* and write its struct stat to argument *out*."""
    kind = target.mode & F.S_IFMT
    if target.mode < 0:  # Otherwise `Looker.look` left the struct.
        req.alive()
        fs.fstat_into(target.fd, req.result)
        kind = _U32.unpack_from(req.scratch.data, _STAT_MODE)[0] & F.S_IFMT
    name = target.name
    usual = kind not in _DEVICES and name[:6] != b"/proc/" and not req.policy.masks
    if usual and req.policy.check(C.STAT, name)[0] == A.ALLOW:
        req.host.tell_known(req.policy, name)
        return Written(req.args[out], _STAT_SIZE)
    req.alive()
    if _judge(req, target, kind, name):
        fs.fstat_into(target.fd, req.result)
        kind = _U32.unpack_from(req.scratch.data, _STAT_MODE)[0] & F.S_IFMT
    if kind in _DEVICES and _hides_times(req, kind):
        data = req.scratch.data
        data[_STAT_ATIME : _STAT_ATIME + 16] = data[_STAT_CTIME : _STAT_CTIME + 16]
        data[_STAT_MTIME : _STAT_MTIME + 16] = data[_STAT_CTIME : _STAT_CTIME + 16]
    return Written(req.args[out], _STAT_SIZE)


def _judge(req: Request, target: Target, kind: int, path: bytes) -> bool:
    """Judge a stat of *target*; True where a mask took its place (and its descriptor)."""
    if kind == F.S_IFBLK:
        hide_device(req, kind)
    name = target.name
    if name[:6] == b"/proc/":
        name = subject(req, name)
    if req.policy.check(C.STAT, name)[0] != A.ALLOW:
        require(req, C.STAT, name)
    if not path or target.magic or not req.policy.masks:
        return False
    masked = masked_fd(req, name, kind)
    if masked < 0:
        return False
    target.fd = masked
    return True


def masked_fd(req: Request, name: bytes, kind: int) -> int:
    """Return an O_PATH descriptor of what *name* is masked with, -1 where it isn't."""
    mask = req.policy.mask_of(name)
    if mask is None:
        return -1
    path = mask[1] if kind == F.S_IFDIR else mask[0]
    return req.own(fs.openat2(req.host.root, path, F.O_PATH, F.RESOLVE_NO_SYMLINKS))


def _hides_times(req: Request, kind: int) -> bool:
    if kind == F.S_IFCHR:
        return "allow_unsafe_stat_cdev" not in req.host.options
    return kind == F.S_IFBLK and "allow_unsafe_stat_bdev" not in req.host.options


def _write(req: Request, index: int, data: bytes) -> int:
    req.write(req.args[index], data)
    return 0


def sys_access(req: Request) -> int:
    """access(2)."""
    return _access(req, F.AT_FDCWD, 0, req.i32(1), 0)


def sys_faccessat(req: Request) -> int:
    """faccessat(2), the three-argument call of the kernel."""
    return _access(req, req.i32(0), 1, req.i32(2), 0)


def sys_faccessat2(req: Request) -> int:
    """faccessat2(2)."""
    return _access(req, req.i32(0), 1, req.i32(2), req.u32(3))


def _access(req: Request, dirfd: int, index: int, mode: int, flags: int) -> int:
    if mode & ~7:
        raise OSError(errno.EINVAL, "mode")
    if flags & ~(F.AT_EACCESS | F.AT_EMPTY_PATH | F.AT_SYMLINK_NOFOLLOW):
        raise OSError(errno.EINVAL, "flags")
    target = lookup(req, dirfd, req.path(index), _how(flags))
    admit(req, target, C.STAT)
    keep = flags & (F.AT_EACCESS | F.AT_SYMLINK_NOFOLLOW)
    return fs.faccessat2(target.fd, b"", mode, keep | F.AT_EMPTY_PATH)


def sys_readlink(req: Request) -> int:
    """readlink(2)."""
    return _readlink(req, F.AT_FDCWD, 0)


def sys_readlinkat(req: Request) -> int:
    """readlinkat(2)."""
    return _readlink(req, req.i32(0), 1)


def _readlink(req: Request, dirfd: int, index: int) -> int:
    size = req.i32(index + 2)
    if size <= 0:
        raise OSError(errno.EINVAL, "size")
    path = req.path(index)
    target = lookup(req, dirfd, path, EMPTY)
    kind = target.type
    if not path and kind != F.S_IFLNK:
        raise OSError(errno.ENOENT, "not a link")
    admit(req, target, C.READLINK)
    if req.policy.masks and masked_fd(req, subject(req, target.name), kind) >= 0:
        raise OSError(errno.EINVAL, "masked: what is shown in its place is not a link")
    if kind != F.S_IFLNK:
        raise OSError(errno.EINVAL, "not a link")
    if target.name == b"/proc/self":
        text = b"%d" % req.tgid
    elif target.name == b"/proc/thread-self":
        text = b"%d/task/%d" % (req.tgid, req.tid)
    else:
        text = os.readlink(b"", dir_fd=target.fd)
        private = b"/memfd:" + req.host.unique_name
        if text.startswith(private):  # A copy of ours: show what it stands for.
            text = text[len(private) :].removesuffix(b" (deleted)")
    text = text[: min(size, 65536)]
    req.write(req.args[index + 1], text)
    return len(text)


def sys_statfs(req: Request) -> int:
    """statfs(2)."""
    return _statfs(req, lookup(req, F.AT_FDCWD, req.path(0), FOLLOW))


def sys_fstatfs(req: Request) -> int:
    """fstatfs(2)."""
    number = req.i32(0)
    if number < 0:
        raise OSError(errno.EBADF, "bad descriptor")
    return _statfs(req, from_descriptor(req, number))


def _statfs(req: Request, target: Target) -> int:
    admit(req, target, C.STAT)
    fs.fstatfs(target.fd, req.scratch.pointer)
    return _write(req, 1, bytes(req.scratch.data[:120]))
