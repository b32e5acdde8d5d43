# SPDX-License-Identifier: GPL-3.0-or-later
"""The short road to an object: one call that opens a path without links, and what it is named.

Each function returns None where the path has to be walked instead (walk.py).
"""

from __future__ import annotations

import errno
import os

from madcap.abi import flags as F
from madcap.kernel.procfs import refuse_elsewhere
from madcap.kernel.target import (
    BASE,
    DIRECTORY_HOW,
    FOLLOW,
    FOLLOW_HOW,
    MAY,
    MISS,
    NOFOLLOW_HOW,
    Target,
)
from madcap.linux.listener import NO_WAY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.request import Request


def is_clean(path: bytes) -> bool:
    """Tell whether *path*, if it has no links, is canonical below its start."""
    if path[-1] == 0x2F or b"//" in path:
        return False
    if b"/." in path and (b"/./" in path or b"/../" in path or path.endswith((b"/.", b"/.."))):
        return False
    return path[0] != 0x2E or not (path in (b".", b"..") or path.startswith((b"./", b"../")))


def at_once(req: Request, start: int, prefix: bytes, path: bytes, how: int) -> Target | None:
    """Open *path* in one call, or return None where it has to be walked.

    *prefix* is the canonical name of *start*, b"" for the root.
    """
    fd = _look(req, 0, start, path, FOLLOW_HOW if how & FOLLOW else NOFOLLOW_HOW)
    if fd < 0:
        return None
    name = b""
    if is_clean(path):
        name = path if path[0] == 0x2F else prefix + b"/" + path
    return _named(req, fd, name, path)


def from_here(req: Request, dirfd: int, path: bytes, how: int) -> Target | None:
    """Open the relative *path* in one call, or return None where it has to be walked.

    This thread goes to the caller's directory itself: that is half as dear as to hold a descriptor
    of it and to ask /proc for its name. Whatever is found at /proc, the name is the kernel's.
    """
    clean = is_clean(path)
    fd = _look(req, req.tid, dirfd, path, FOLLOW_HOW if how & FOLLOW else NOFOLLOW_HOW, clean)
    if fd < 0:
        return None
    name = b""
    if clean:
        prefix = req.looker.cwd
        name = prefix + b"/" + path if prefix != b"/" else b"/" + path
    return _named(req, fd, name, path)


def entry(req: Request, dirfd: int, path: bytes, how: int) -> Target | None:
    """Pin the directory and the name that *path* ends in, or return None where it has to be walked.

    The way to the directory is opened in one call.
    """
    if not is_clean(path):
        return None
    head, _, base = path.rpartition(b"/")
    parent, above = _directory(req, dirfd, head, absolute=path[0] == 0x2F)
    if parent < 0 or above == b"/proc" or above[:6] == b"/proc/" or above[:1] not in (b"/", b""):
        return None
    name = above + b"/" + base
    fd = req.looker.look(0, parent, base, NOFOLLOW_HOW, named=False)
    if fd < 0:
        if fd != -errno.ENOENT or not how & (MAY | MISS):
            return None
        target = Target(-1, name)
    else:
        req.own(fd)
        target = Target(fd, name, req.looker.mode)
        if req.host.procs_elsewhere:
            refuse_elsewhere(req, target.st.st_dev, name, fd)
        if how & MISS:
            raise OSError(errno.EEXIST, "exists")
        if how & FOLLOW and not how & BASE and target.type == F.S_IFLNK:
            return None
    target.parent = parent
    target.base = base
    return target


def _directory(req: Request, dirfd: int, head: bytes, *, absolute: bool) -> tuple[int, bytes]:
    """Return (descriptor or -1, canonical name) of the directory that *head* leads to.

    A call with two names in one directory means the same one by both.
    """
    key = (dirfd, head, absolute)
    if req.directory_seen is not None and req.directory_seen[0] == key:
        return req.directory_seen[1]
    if absolute:
        parent, above = req.host.root, head
        if head:
            parent = _look(req, 0, parent, head, DIRECTORY_HOW)
    else:
        parent = _look(req, req.tid, dirfd, head or b".", DIRECTORY_HOW, True)
        above = req.looker.cwd
        if above == b"/":
            above = b"/" + head if head else b""
        elif head:
            above += b"/" + head
    if parent >= 0:
        req.directory_seen = (key, (parent, above))
    return parent, above


def _look(req: Request, tid: int, dirfd: int, path: bytes, how: bytes, named: bool = False) -> int:
    """Open *path*, which leads over no link, as `Looker.look` does; -1 where it has to be walked.

    That is so where there is a link, or the directory can't be entered: the walk finds out why.
    """
    if tid and dirfd < 0 and dirfd != F.AT_FDCWD:
        raise OSError(errno.EBADF, "bad descriptor")
    fd = req.looker.look(tid, dirfd, path, how, named=named)
    if fd >= 0:
        return req.own(fd)
    if fd not in (-errno.ELOOP, NO_WAY):
        raise OSError(-fd, "lookup")
    return -1


def _named(req: Request, fd: int, name: bytes, path: bytes) -> Target | None:
    """Return the target for *fd*, to which *path* led; the kernel is asked where *name* is b"".

    None for what is in /proc: the walk tells whose entry that is and what its links mean.
    """
    if not name:
        name = req.link_text(fd)
        if name.endswith(b" (deleted)") and os.fstat(fd).st_nlink == 0:
            name = name[:-10]
    if name[:6] == b"/proc/" and (name[6:7].isdigit() or name[6:7] in b"st"):
        return None
    if name[:1] != b"/":
        raise OSError(errno.ENOENT, "unreachable")
    target = Target(fd, name, req.looker.mode)
    if req.host.procs_elsewhere:
        refuse_elsewhere(req, target.st.st_dev, name, fd)
    target.directory = path[-1] == 0x2F
    return target
