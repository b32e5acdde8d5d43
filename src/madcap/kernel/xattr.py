# SPDX-License-Identifier: GPL-3.0-or-later
"""Extended attributes, by path and by descriptor, with the system's own names hidden.

Paths are acted on through /proc/self/fd/N of the pinned object with the classic calls, which every
kernel has. The *at forms of Linux 6.13 are decoded here and use the same road.
"""

from __future__ import annotations

import errno
import struct

from madcap.abi import flags as F
from madcap.kernel.attr import open_descriptor
from madcap.kernel.judge import admit
from madcap.kernel.lookup import lookup
from madcap.kernel.stat import masked_fd
from madcap.kernel.target import EMPTY, FOLLOW, Target, subject
from madcap.kernel.virtual import may_command
from madcap.linux._call import Buffer, bind, c_char_p, c_int, c_ulong, c_void_p
from madcap.policy import categories as C

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.request import Request

_NAME_MAX = 255
_SIZE_MAX = 65536
_HIDDEN = (b"security.", b"system.", b"trusted.")
_ACL = (b"system.posix_acl_access", b"system.posix_acl_default")
_ARGS_SIZE = 16

_getxattr = bind("getxattr", c_char_p, c_char_p, c_void_p, c_ulong)
_listxattr = bind("listxattr", c_char_p, c_void_p, c_ulong)
_setxattr = bind("setxattr", c_char_p, c_char_p, c_char_p, c_ulong, c_int)
_removexattr = bind("removexattr", c_char_p, c_char_p)


def _road(target: Target) -> bytes:
    return b"/proc/self/fd/%d" % target.fd


def _name(req: Request, address: int) -> bytes:
    try:
        name = req.string(address, _NAME_MAX + 1)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise OSError(errno.ERANGE, "name too long") from None
        raise
    if not name:
        raise OSError(errno.ERANGE, "empty name")
    return name


def _hides(req: Request, name: bytes) -> bool:
    """Tell whether *name* is one that only the system is concerned with."""
    if "allow_unsafe_xattr" in req.host.options or not name.startswith(_HIDDEN):
        return False
    return not may_command(req)


def _path(req: Request, index: int, follow: bool) -> Target:
    return lookup(req, F.AT_FDCWD, req.path(index), FOLLOW if follow else 0)


def _at_flags(req: Request) -> int:
    flags = req.u32(2)
    if flags & ~(F.AT_EMPTY_PATH | F.AT_SYMLINK_NOFOLLOW):
        raise OSError(errno.EINVAL, "flags")
    return flags


def _at(req: Request, cwd: bool = True) -> Target:
    flags = _at_flags(req)
    how = 0 if flags & F.AT_SYMLINK_NOFOLLOW else FOLLOW
    empty = flags & F.AT_EMPTY_PATH
    path = b"" if empty and not req.args[1] else req.path(1)
    if not path and empty and (req.i32(0) != F.AT_FDCWD or not cwd):
        return open_descriptor(req, req.i32(0))
    return lookup(req, req.i32(0), path, how | EMPTY if empty else how)


def _args(req: Request, index: int) -> tuple[int, int, int]:
    """Decode struct xattr_args: (value, size, flags)."""
    size = req.args[index + 1]
    if size < _ARGS_SIZE:
        raise OSError(errno.EINVAL, "size")
    if size > 4096:
        raise OSError(errno.E2BIG, "size")
    data = req.read(req.args[index], size)
    if any(data[_ARGS_SIZE:]):
        raise OSError(errno.E2BIG, "unknown fields")
    value, length, flags = struct.unpack_from("=QII", data)
    return value, length, flags


def _masked(req: Request, target: Target) -> None:
    if req.policy.masks and not target.magic:
        fd = masked_fd(req, subject(req, target.name), target.type)
        if fd >= 0:
            target.fd = fd
            target._st = None
            target.mode = -1


# Reading


def sys_getxattr(req: Request) -> int:
    """getxattr(2)."""
    name = _name(req, req.args[1])
    return _get(req, _path(req, 0, True), name, req.args[2], req.args[3])


def sys_lgetxattr(req: Request) -> int:
    """lgetxattr(2)."""
    name = _name(req, req.args[1])
    return _get(req, _path(req, 0, False), name, req.args[2], req.args[3])


def sys_fgetxattr(req: Request) -> int:
    """fgetxattr(2)."""
    name = _name(req, req.args[1])
    return _get(req, open_descriptor(req, req.i32(0)), name, req.args[2], req.args[3])


def sys_getxattrat(req: Request) -> int:
    """getxattrat(2), Linux 6.13."""
    value, size, flags = _args(req, 4)
    if flags:
        raise OSError(errno.EINVAL, "flags")
    _at_flags(req)
    name = _name(req, req.args[3])
    return _get(req, _at(req), name, value, size)


def _get(req: Request, target: Target, name: bytes, address: int, size: int) -> int:
    hidden = _hides(req, name)
    admit(req, target, C.READ)
    if hidden:
        raise OSError(errno.ENODATA, "no such attribute")
    _masked(req, target)
    if not size:
        return _getxattr(_road(target), name, 0, 0)
    buffer = Buffer(min(size, _SIZE_MAX))
    got = _getxattr(_road(target), name, buffer.address, buffer.size)
    req.write(address, buffer.data[:got])
    return got


def sys_listxattr(req: Request) -> int:
    """listxattr(2)."""
    return _list(req, _path(req, 0, True), req.args[1], req.args[2])


def sys_llistxattr(req: Request) -> int:
    """llistxattr(2)."""
    return _list(req, _path(req, 0, False), req.args[1], req.args[2])


def sys_flistxattr(req: Request) -> int:
    """flistxattr(2)."""
    return _list(req, open_descriptor(req, req.i32(0)), req.args[1], req.args[2])


def sys_listxattrat(req: Request) -> int:
    """listxattrat(2), Linux 6.13."""
    return _list(req, _at(req, cwd=False), req.args[3], req.args[4])


def _list(req: Request, target: Target, address: int, size: int) -> int:
    admit(req, target, C.READ)
    if target.type == F.S_IFLNK:
        return 0
    _masked(req, target)
    buffer = Buffer(_SIZE_MAX)
    got = _listxattr(_road(target), buffer.address, _SIZE_MAX)
    names = [name for name in bytes(buffer.data[:got]).split(b"\0") if name]
    shown = b"".join(name + b"\0" for name in names if not _hides(req, name))
    if not size:
        return len(shown)
    if len(shown) > size:
        raise OSError(errno.ERANGE, "buffer too small")
    if shown:
        req.write(address, shown)
    return len(shown)


# Changing


def sys_setxattr(req: Request) -> int:
    """setxattr(2)."""
    prepared = _prepare_set(req, req.args[1], req.args[2], req.args[3], req.u32(4))
    return _set(req, _path(req, 0, True), *prepared)


def sys_lsetxattr(req: Request) -> int:
    """lsetxattr(2)."""
    prepared = _prepare_set(req, req.args[1], req.args[2], req.args[3], req.u32(4))
    return _set(req, _path(req, 0, False), *prepared)


def sys_fsetxattr(req: Request) -> int:
    """fsetxattr(2)."""
    prepared = _prepare_set(req, req.args[1], req.args[2], req.args[3], req.u32(4))
    return _set(req, open_descriptor(req, req.i32(0)), *prepared)


def sys_setxattrat(req: Request) -> int:
    """setxattrat(2), Linux 6.13."""
    value, size, flags = _args(req, 4)
    _at_flags(req)
    prepared = _prepare_set(req, req.args[3], value, size, flags)
    return _set(req, _at(req), *prepared)


def _prepare_set(
    req: Request, name_at: int, value_at: int, size: int, flags: int
) -> tuple[bytes, bytes, int]:
    """Check and read what a set call brings: (name, value, flags)."""
    if flags & ~3:
        raise OSError(errno.EINVAL, "flags")
    name = _name(req, name_at)
    if size > _SIZE_MAX or size > req.host.sandbox.xattr_max:
        raise OSError(errno.E2BIG, "value too large")
    value = req.read(value_at, size) if size else b""
    return name, value, flags


def _set(req: Request, target: Target, name: bytes, value: bytes, flags: int) -> int:
    hidden = _hides(req, name)
    wanted = C.CHATTR | (C.CHMOD if name in _ACL else 0)
    admit(req, target, wanted)
    if hidden and name in _ACL:
        # What a file system without access lists says: programs then set the mode alone.
        raise OSError(errno.EOPNOTSUPP, "no access lists")
    if hidden:
        raise OSError(errno.EPERM, "not for the caller")
    return _setxattr(_road(target), name, value, len(value), flags)


def sys_removexattr(req: Request) -> int:
    """removexattr(2)."""
    name = _name(req, req.args[1])
    return _remove(req, _path(req, 0, True), name)


def sys_lremovexattr(req: Request) -> int:
    """lremovexattr(2)."""
    name = _name(req, req.args[1])
    return _remove(req, _path(req, 0, False), name)


def sys_fremovexattr(req: Request) -> int:
    """fremovexattr(2)."""
    name = _name(req, req.args[1])
    return _remove(req, open_descriptor(req, req.i32(0)), name)


def sys_removexattrat(req: Request) -> int:
    """removexattrat(2), Linux 6.13."""
    _at_flags(req)
    name = _name(req, req.args[3])
    return _remove(req, _at(req, cwd=False), name)


def _remove(req: Request, target: Target, name: bytes) -> int:
    hidden = _hides(req, name)
    admit(req, target, C.CHATTR)
    if hidden:
        raise OSError(errno.EPERM, "not for the caller")
    return _removexattr(_road(target), name)
