# SPDX-License-Identifier: GPL-3.0-or-later
"""getdents64(2) and getdents(2): listings without what the policy hides."""

from __future__ import annotations

import errno
import os
import struct

from madcap.kernel.names import is_safe_name
from madcap.kernel.target import descriptor_name, subject
from madcap.linux import fs
from madcap.linux._call import Buffer, bind, c_int, c_ulong, c_void_p
from madcap.policy import actions as A
from madcap.policy import categories as C

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from madcap.kernel.request import Request

_MAX = 65536
_DT_UNKNOWN, _DT_BLK, _DT_LNK = 0, 6, 10
_ORDINARY = (8, 4, _DT_LNK)  # DT_REG, DT_DIR
_NEXT = struct.Struct("=QH")  # d_off and d_reclen, after d_ino.
_old_getdents = bind("getdents", c_int, c_void_p, c_ulong)


def sys_getdents64(req: Request) -> int:
    """getdents64(2)."""
    return _getdents(req, fs.getdents64, 19, 18)


def sys_getdents(req: Request) -> int:
    """getdents(2), whose entries have their type in the last byte."""
    return _getdents(req, _old_getdents, 18, None)


def _getdents(req: Request, read: Callable[..., int], name_at: int, type_at: int | None) -> int:
    fd = req.descriptor(req.i32(0))
    count = min(req.u32(2), _MAX)
    directory = descriptor_name(req, fd)
    req.alive()
    buffer = Buffer(count) if count else Buffer(1)
    start = _place(fd)
    while True:
        got = read(fd, buffer.address, count)
        if got <= 0:
            return got
        kept = _filter(req, directory, bytes(buffer.data[:got]), name_at, type_at)
        if kept:
            return _hand_over(req, fd, kept, start)


def _place(fd: int) -> int:
    try:
        return os.lseek(fd, 0, os.SEEK_CUR)
    except OSError:
        return 0  # Not a directory, as getdents will say.


def _hand_over(req: Request, fd: int, entries: bytes, start: int) -> int:
    """Write *entries* to the caller and return their size.

    Where its buffer is not all memory, those that fit are written, and *fd* stands after them: at
    *start* where none fits, which is EFAULT.
    """
    address = req.args[1]
    try:
        req.write(address, entries)
    except OSError as error:
        if error.errno != errno.EFAULT:
            raise
    else:
        return len(entries)
    at, place = 0, start
    try:
        while at < len(entries):
            offset, size = struct.unpack_from("=qH", entries, at + 8)
            req.write(address + at, entries[at : at + size])
            at, place = at + size, offset
    except OSError as error:
        os.lseek(fd, place, os.SEEK_SET)
        if error.errno != errno.EFAULT or not at:
            raise
    return at


def _filter(
    req: Request, directory: bytes, data: bytes, name_at: int, type_at: int | None
) -> bytes:
    """Return the entries of *data* that the caller may see; the last one tells where to go on."""
    out = bytearray()
    at, last, offset, end = 0, -1, 0, len(data)
    prefix = directory if directory == b"/" else directory + b"/"
    visible = _visible_in_proc if prefix[:6] == b"/proc/" else _visible
    check, shown = req.policy.check, (A.ALLOW, A.WARN)
    any_name = "allow_unsafe_filename" in req.policy.flags and visible is _visible
    while at < end:
        offset, size = _NEXT.unpack_from(data, at + 8)
        after = at + size
        name = data[at + name_at : data.index(0, at + name_at)]
        kind = data[at + type_at] if type_at is not None else data[after - 1]
        if (
            check(C.LIST, prefix + name)[0] in shown
            if any_name and kind in _ORDINARY and name[:1] != b"."
            else name in (b".", b"..") or visible(req, prefix, name, kind)
        ):
            last = len(out)
            out += data[at:after]
        at = after
    if last >= 0:
        struct.pack_into("=Q", out, last + 8, offset)
    return bytes(out)


def _visible(req: Request, prefix: bytes, name: bytes, kind: int) -> bool:
    policy = req.policy
    if kind == _DT_UNKNOWN or (kind == _DT_BLK and "allow_unsafe_mkbdev" not in req.host.options):
        return False
    if "allow_unsafe_filename" not in policy.flags and not is_safe_name(name):
        return False
    return policy.check(C.LIST, prefix + name)[0] in (A.ALLOW, A.WARN)


def _visible_in_proc(req: Request, prefix: bytes, name: bytes, kind: int) -> bool:
    if kind == _DT_UNKNOWN or (prefix == b"/proc/" and name == b"%d" % req.host.pid):
        return False
    policy = req.policy
    links_hidden = "force_no_magiclinks" in policy.flags
    if links_hidden and kind == _DT_LNK and name not in (b"self", b"thread-self"):
        return False
    return policy.check(C.LIST, subject(req, prefix + name))[0] in (A.ALLOW, A.WARN)
