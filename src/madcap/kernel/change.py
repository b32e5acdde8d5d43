# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls that make, remove, link and rename names: mkdir, unlink, rename, link, symlink, mknod."""

from __future__ import annotations

import errno
import os

from madcap import events
from madcap.abi import flags as F
from madcap.kernel.judge import admit
from madcap.kernel.lookup import from_descriptor, lookup
from madcap.kernel.target import BASE, EMPTY, FOLLOW, MAY, MISS, Target
from madcap.linux import fs
from madcap.policy import categories as C

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from madcap.kernel.request import Request

#: The category that would create an object of a type.
_CREATES = {
    F.S_IFREG: C.CREATE, F.S_IFDIR: C.MKDIR, F.S_IFLNK: C.SYMLINK, F.S_IFIFO: C.MKFIFO,
    F.S_IFBLK: C.MKBDEV, F.S_IFCHR: C.MKCDEV, F.S_IFSOCK: C.NET_BIND,
}  # fmt: skip


def under_umask(req: Request, make: Callable[..., int], *args: object) -> int:
    """Call *make* with the caller's umask in force in this thread."""
    umask = req.umask()
    os.umask(umask)
    try:
        return make(*args)
    finally:
        os.umask(0o777)


def forced_mode(req: Request, mode: int) -> int:
    """Take the bits of trace/force_umask out of *mode*."""
    forced = req.policy.force_umask
    return mode & ~forced if forced is not None else mode


# Making


def sys_mkdir(req: Request) -> int:
    """mkdir(2)."""
    return _mkdir(req, F.AT_FDCWD, 0)


def sys_mkdirat(req: Request) -> int:
    """mkdirat(2)."""
    return _mkdir(req, req.i32(0), 1)


def _mkdir(req: Request, dirfd: int, index: int) -> int:
    target = lookup(req, dirfd, req.path(index), MISS)
    admit(req, target, C.MKDIR)
    return under_umask(req, fs.mkdirat, target.parent, target.base, req.mode(index + 1) & 0o7777)


def sys_mknod(req: Request) -> int:
    """mknod(2)."""
    return _mknod(req, F.AT_FDCWD, 0)


def sys_mknodat(req: Request) -> int:
    """mknodat(2)."""
    return _mknod(req, req.i32(0), 1)


def _mknod(req: Request, dirfd: int, index: int) -> int:
    mode = req.mode(index + 1)
    kind = mode & F.S_IFMT or F.S_IFREG
    if kind == F.S_IFDIR:
        raise OSError(errno.EPERM, "a directory")
    if kind not in _CREATES or kind == F.S_IFLNK:
        raise OSError(errno.EINVAL, "type")
    path = req.path(index)
    if path.endswith(b"/") and path.strip(b"/"):
        _no_slash(req, dirfd, path)
    target = lookup(req, dirfd, path, MISS)
    admit(req, target, _CREATES[kind])
    permission = mode & 0o7777
    if kind == F.S_IFREG:
        permission = forced_mode(req, permission)
    device = req.u32(index + 2)
    return under_umask(req, fs.mknodat, target.parent, target.base, kind | permission, device)


def _no_slash(req: Request, dirfd: int, path: bytes) -> None:
    """Raise what the kernel gives for a new non-directory whose path ends in a slash."""
    lookup(req, dirfd, path, MISS)
    raise OSError(errno.ENOENT, "trailing slash")


def sys_symlink(req: Request) -> int:
    """symlink(2)."""
    return _symlink(req, F.AT_FDCWD, 1)


def sys_symlinkat(req: Request) -> int:
    """symlinkat(2)."""
    return _symlink(req, req.i32(1), 2)


def _symlink(req: Request, dirfd: int, index: int) -> int:
    text = req.path(0)
    if not text:
        raise OSError(errno.ENOENT, "empty target")
    path = req.path(index)
    if path.endswith(b"/") and path.strip(b"/"):
        _no_slash(req, dirfd, path)
    target = lookup(req, dirfd, path, MISS)
    admit(req, target, C.SYMLINK)
    return fs.symlinkat(text, target.parent, target.base)


# Removing


def sys_unlink(req: Request) -> int:
    """unlink(2)."""
    return _unlink(req, F.AT_FDCWD, req.path(0))


def sys_rmdir(req: Request) -> int:
    """rmdir(2)."""
    return _rmdir(req, F.AT_FDCWD, req.path(0))


def sys_unlinkat(req: Request) -> int:
    """unlinkat(2)."""
    flags = req.u32(2)
    if flags & ~F.AT_REMOVEDIR:
        raise OSError(errno.EINVAL, "flags")
    return (_rmdir if flags else _unlink)(req, req.i32(0), req.path(1))


def _unlink(req: Request, dirfd: int, path: bytes) -> int:
    target = lookup(req, dirfd, path, BASE)
    if target.base in (b"", b".", b".."):
        raise OSError(errno.EISDIR, "a directory")
    if target.directory:
        raise OSError(errno.EISDIR if target.type == F.S_IFDIR else errno.ENOTDIR, "slash")
    _not_in_proc(target)
    admit(req, target, C.DELETE)
    req.shares = True
    return fs.unlinkat(target.parent, target.base, 0)


def _rmdir(req: Request, dirfd: int, path: bytes) -> int:
    target = lookup(req, dirfd, path, BASE)
    if target.base == b".":
        raise OSError(errno.EINVAL, "dot")
    if target.base == b"..":
        raise OSError(errno.ENOTEMPTY, "dot-dot")
    if not target.base:
        raise OSError(errno.EBUSY, "the root")
    if target.type != F.S_IFDIR:
        _may_remove(target)
        raise OSError(errno.ENOTDIR, "not a directory")
    _not_in_proc(target)
    admit(req, target, C.RMDIR)
    _let_go(req)
    return fs.unlinkat(target.parent, target.base, F.AT_REMOVEDIR)


def _let_go(req: Request) -> None:
    """See that what is removed is gone when the caller is answered: this thread may be in it."""
    req.shares = True
    os.fchdir(req.host.root)


def _may_remove(target: Target) -> None:
    """Raise EACCES where the caller may not change the directory: the kernel looks there first."""
    fs.faccessat2(target.parent, b"", 3, F.AT_EACCESS | F.AT_EMPTY_PATH)


def _not_in_proc(target: Target) -> None:
    if target.name.startswith(b"/proc/"):
        raise OSError(errno.EACCES, "below /proc")


# Two names


def sys_rename(req: Request) -> int:
    """rename(2)."""
    return _rename(req, F.AT_FDCWD, 0, F.AT_FDCWD, 1, 0)


def sys_renameat(req: Request) -> int:
    """renameat(2)."""
    return _rename(req, req.i32(0), 1, req.i32(2), 3, 0)


def sys_renameat2(req: Request) -> int:
    """renameat2(2)."""
    return _rename(req, req.i32(0), 1, req.i32(2), 3, req.u32(4))


def _rename(req: Request, olddir: int, old: int, newdir: int, new: int, flags: int) -> int:
    if flags & ~7 or (flags & F.RENAME_EXCHANGE and flags & ~F.RENAME_EXCHANGE):
        raise OSError(errno.EINVAL, "flags")
    exchange, noreplace = flags & F.RENAME_EXCHANGE, flags & F.RENAME_NOREPLACE
    source = lookup(req, olddir, req.path(old), BASE | MAY)
    target = lookup(req, newdir, req.path(new), BASE | MAY)
    dot = (b"", b".", b"..")
    _same_mount(source, target)
    if source.base in dot:
        raise OSError(errno.EBUSY, "dot")
    if target.base in dot:
        raise OSError(errno.EEXIST if noreplace else errno.EBUSY, "dot")
    if source.fd < 0:
        _not_too_long(source)
        raise OSError(errno.ENOENT, "missing")
    _not_too_long(target)
    if target.fd >= 0 and noreplace:
        raise OSError(errno.EEXIST, "exists")
    if target.fd < 0 and exchange:
        raise OSError(errno.ENOENT, "missing")
    kind = source.type
    if kind != F.S_IFDIR and (source.directory or (target.directory and not exchange)):
        raise OSError(errno.ENOTDIR, "slash")
    if exchange and target.directory and target.type != F.S_IFDIR:
        raise OSError(errno.ENOTDIR, "slash")
    wanted = C.RENAME | (C.RMDIR if kind == F.S_IFDIR else C.DELETE)
    if flags & F.RENAME_WHITEOUT:
        wanted |= C.CREATE
    if exchange:
        wanted |= _CREATES[target.type]
    admit(req, source, wanted)
    wanted = _CREATES[kind]
    if target.fd >= 0:
        wanted |= C.RMDIR if target.type == F.S_IFDIR else C.DELETE
        if exchange:
            wanted |= C.RENAME
    admit(req, target, wanted)
    _pinned(source)
    _pinned(target)
    _let_go(req)
    return fs.renameat2(source.parent, source.base, target.parent, target.base, flags)


def _not_too_long(target: Target) -> None:
    if target.fd < 0 and len(target.base) > 255:
        raise OSError(errno.ENAMETOOLONG, "name too long")


def _pinned(target: Target) -> None:
    """Raise ESTALE's cousin ENOENT where *target*'s name now leads to another object.

    The kernel renames by name; an object swapped in after the check was not the one judged. Its
    own name was judged, though, for the same category: only a change of type matters.
    """
    if target.fd < 0:
        return
    try:
        now = os.stat(target.base, dir_fd=target.parent, follow_symlinks=False)
    except FileNotFoundError:
        return
    if now.st_mode & F.S_IFMT != target.type:
        raise OSError(errno.ENOENT, "changed meanwhile")


def _same_mount(one: Target, other: Target) -> None:
    pins = [target.parent if target.parent >= 0 else target.fd for target in (one, other)]
    if pins[0] != pins[1] and fs.mount_id(pins[0]) != fs.mount_id(pins[1]):
        raise OSError(errno.EXDEV, "different mounts")


def sys_link(req: Request) -> int:
    """link(2)."""
    return _link(req, F.AT_FDCWD, 0, F.AT_FDCWD, 1, 0)


def sys_linkat(req: Request) -> int:
    """linkat(2)."""
    return _link(req, req.i32(0), 1, req.i32(2), 3, req.u32(4))


def _link(req: Request, olddir: int, old: int, newdir: int, new: int, flags: int) -> int:
    if flags & ~(F.AT_EMPTY_PATH | F.AT_SYMLINK_FOLLOW):
        raise OSError(errno.EINVAL, "flags")
    how = FOLLOW if flags & F.AT_SYMLINK_FOLLOW else 0
    path = req.path(old)
    if not path and flags & F.AT_EMPTY_PATH:
        # Natively this needs CAP_DAC_READ_SEARCH (before 6.10) or the opener's own credentials.
        source = from_descriptor(req, olddir)
    else:
        source = lookup(req, olddir, path, how | EMPTY if flags & F.AT_EMPTY_PATH else how)
    newpath = req.path(new)
    if newpath.endswith(b"/") and newpath.strip(b"/"):
        _no_slash(req, newdir, newpath)
    target = lookup(req, newdir, newpath, MISS)
    if fs.mount_id(source.fd) != fs.mount_id(target.parent):
        # Below /proc a name that is missing can't even be asked for.
        missing = target.name[:6] == b"/proc/"
        raise OSError(errno.ENOENT if missing else errno.EXDEV, "different mounts")
    admit(req, source, C.RENAME)
    admit(req, target, _CREATES[source.type])
    # The kernel refuses a directory (EPERM), but first one who may not write the target's.
    if source.type != F.S_IFDIR and "allow_unsafe_hardlinks" not in req.policy.flags:
        _trusted_hardlink(req, source)
    return fs.linkat(
        req.host.self_fd, b"%d" % source.fd, target.parent, target.base, F.AT_SYMLINK_FOLLOW
    )


def _trusted_hardlink(req: Request, source: Target) -> None:
    """Raise EPERM where the caller could not both read and write what it wants to link."""
    st = source.st
    kind = st.st_mode & F.S_IFMT
    refused = False
    if kind == F.S_IFLNK:
        refused = st.st_uid != req.host.euid
    elif (
        kind != F.S_IFREG
        or st.st_mode & F.S_ISUID
        or st.st_mode & (F.S_ISGID | 0o010) == F.S_ISGID | 0o010
    ):
        refused = True
    else:
        try:
            fs.faccessat2(source.fd, b"", 6, F.AT_EACCESS | F.AT_EMPTY_PATH)
        except OSError:
            refused = True
    if refused:
        events.emit(
            events.WARN,
            {"ctx": "link", "path": source.name, "sys": req.name, "err": errno.EPERM},
            pid=req.tid,
            msg="a file that the caller can't both read and write is not linked",
            tip="configure `trace/allow_unsafe_hardlinks:1'",
        )
        raise OSError(errno.EPERM, "untrusted hard link")
