# SPDX-License-Identifier: GPL-3.0-or-later
"""inotify_add_watch(2) and fanotify_mark(2): watches on pinned objects."""

from __future__ import annotations

import errno
import os

from madcap.abi import flags as F
from madcap.kernel.attr import open_descriptor
from madcap.kernel.judge import admit
from madcap.kernel.lookup import lookup
from madcap.kernel.target import FOLLOW, Target
from madcap.linux._call import bind, c_char_p, c_int, c_uint, c_ulong
from madcap.policy import categories as C

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.request import Request

_IN_ALL = 0xFFF
_IN_ONLYDIR, _IN_DONT_FOLLOW, _IN_EXCL_UNLINK = 0x0100_0000, 0x0200_0000, 0x0400_0000
_IN_MASK_CREATE, _IN_MASK_ADD, _IN_ONESHOT = 0x1000_0000, 0x2000_0000, 0x8000_0000
_IN_KNOWN = (
    _IN_ALL
    | 0xE000
    | _IN_ONLYDIR
    | _IN_DONT_FOLLOW
    | _IN_EXCL_UNLINK
    | _IN_MASK_CREATE
    | _IN_MASK_ADD
    | 0x4000_0000
    | _IN_ONESHOT
)
_IN_DEVICE = 1 | 2  # IN_ACCESS, IN_MODIFY: they tell when somebody types.
_IN_UNMOUNT = 0x2000

_FAN_ADD, _FAN_REMOVE, _FAN_DONT_FOLLOW, _FAN_ONLYDIR = 1, 2, 4, 8
_FAN_DEVICE = 1 | 2 | 0x20000  # FAN_ACCESS, FAN_MODIFY, FAN_ACCESS_PERM

_inotify_add_watch = bind("inotify_add_watch", c_int, c_char_p, c_uint)
_fanotify_mark = bind("fanotify_mark", c_int, c_uint, c_ulong, c_int, c_char_p)


def _device(req: Request, target: Target) -> bool:
    """Tell whether the events of *target* would tell about a device."""
    options = req.host.options
    if target.type == F.S_IFCHR:
        return "allow_unsafe_notify_cdev" not in options
    return target.type == F.S_IFBLK and "allow_unsafe_notify_bdev" not in options


def sys_inotify_add_watch(req: Request) -> int:
    """inotify_add_watch(2)."""
    mask = req.u32(2)
    if not mask & _IN_KNOWN or mask & ~_IN_KNOWN:
        raise OSError(errno.EINVAL, "mask")
    fd = open_descriptor(req, req.i32(0)).fd
    both = _IN_MASK_ADD | _IN_MASK_CREATE
    if mask & both == both or req.link_text(fd) != b"anon_inode:inotify":
        raise OSError(errno.EINVAL, "not an inotify descriptor, or both ways to add")
    follow = 0 if mask & _IN_DONT_FOLLOW else FOLLOW
    target = lookup(req, F.AT_FDCWD, req.path(1), follow)
    admit(req, target, C.NOTIFY)
    if mask & _IN_ONLYDIR and target.type != F.S_IFDIR:
        raise OSError(errno.ENOTDIR, "not a directory")
    if _device(req, target):
        mask &= ~_IN_DEVICE
        if not mask & _IN_ALL:
            raise OSError(errno.EINVAL, "nothing left to watch")
    mask &= ~(_IN_DONT_FOLLOW | _IN_ONLYDIR)  # The object is pinned; our road to it is a link.
    if not mask:
        mask = _IN_UNMOUNT
    _readable(req, target)
    return _inotify_add_watch(fd, b"/proc/self/fd/%d" % target.fd, mask)


def _readable(req: Request, target: Target) -> None:
    """The kernel asks for read permission on the object."""
    from madcap.linux.fs import faccessat2

    if target.type != F.S_IFLNK:
        faccessat2(target.fd, b"", os.R_OK, F.AT_EACCESS | F.AT_EMPTY_PATH)
    req.alive()


def sys_fanotify_mark(req: Request) -> int:
    """fanotify_mark(2)."""
    flags, mask, dirfd = req.u32(1), req.args[2], req.i32(3)
    try:
        fd = req.descriptor(req.i32(0))
    except OSError:
        fd = -1
    req.alive()
    # Flags, mask, descriptor and rights come before the path: the kernel says what is wrong there.
    try:
        return _fanotify_mark(fd, flags, mask, -1, b"x")  # FAN_MARK_FLUSH: it needs no path.
    except OSError as error:
        if error.errno != errno.EBADF or fd < 0 or req.link_text(fd) != b"anon_inode:[fanotify]":
            raise
    if not req.args[4]:
        target = open_descriptor(req, dirfd)
    else:
        follow = 0 if flags & _FAN_DONT_FOLLOW else FOLLOW
        target = lookup(req, dirfd, req.path(4), follow)
    admit(req, target, C.NOTIFY)
    if flags & _FAN_ONLYDIR and target.type != F.S_IFDIR:
        raise OSError(errno.ENOTDIR, "not a directory")
    if _device(req, target):
        mask &= ~_FAN_DEVICE
        if not mask:
            raise OSError(errno.EINVAL, "nothing left to watch")
    flags &= ~(_FAN_DONT_FOLLOW | _FAN_ONLYDIR)
    return _fanotify_mark(fd, flags, mask, F.AT_FDCWD, b"/proc/self/fd/%d" % target.fd)
