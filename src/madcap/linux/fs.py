# SPDX-License-Identifier: GPL-3.0-or-later
"""File-system calls that `os` lacks, retries, or can't make on descriptors; each made once.

Directories are always named by descriptor, and `openat2` is the only way to open anything, so a
supervisor thread's filter can answer every other open with ENOSYS.
"""

from __future__ import annotations

import struct

from madcap.abi.flags import AT_EMPTY_PATH, HUGETLBFS_MAGIC, O_CLOEXEC, STATX_MNT_ID
from madcap.linux._call import (
    Buffer,
    bind,
    c_char_p,
    c_int,
    c_long,
    c_uint,
    c_ulong,
    c_void_p,
    failure,
    plain,
)

_MAGIC = struct.Struct("=I")  # The low half of statfs.f_type, which is what magic numbers use.
_HOW = struct.Struct("=QQQ")  # struct open_how: flags, mode, resolve
_MNT_ID, _MNT_ID_AT = struct.Struct("=Q"), 144  # In struct statx.

_openat2, _NR_openat2 = plain("openat2")


def openat2(dirfd: int, path: bytes, flags: int, resolve: int = 0, mode: int = 0) -> int:
    """openat2(2), close-on-exec. Not repeated on EINTR. Raises OSError."""
    how = _HOW.pack(flags | O_CLOEXEC, mode, resolve)
    fd = _openat2(_NR_openat2, dirfd, path, how, 24)
    if fd < 0:
        raise failure("openat2")
    return fd


def openat2_how(flags: int, resolve: int, mode: int = 0) -> bytes:
    """Return the struct open_how for `open_with`; make it once where the same one serves often."""
    return _HOW.pack(flags | O_CLOEXEC, mode, resolve)


def open_with(dirfd: int, path: bytes, how: bytes) -> int:
    """openat2(2) with a prepared *how*. Returns -1 on failure: ask `get_errno` at once."""
    return _openat2(_NR_openat2, dirfd, path, how, 24)


_fstatat, _NR_fstatat = plain("newfstatat")
_statx, _NR_statx = plain("statx")
faccessat2 = bind("faccessat2", c_int, c_char_p, c_int, c_int)
mkdirat = bind("mkdirat", c_int, c_char_p, c_uint)
mknodat = bind("mknodat", c_int, c_char_p, c_uint, c_ulong)
unlinkat = bind("unlinkat", c_int, c_char_p, c_int)
symlinkat = bind("symlinkat", c_char_p, c_int, c_char_p)
linkat = bind("linkat", c_int, c_char_p, c_int, c_char_p, c_int)
renameat2 = bind("renameat2", c_int, c_char_p, c_int, c_char_p, c_uint)
fchmodat2 = bind("fchmodat2", c_int, c_char_p, c_uint, c_int)
fchmodat = bind("fchmodat", c_int, c_char_p, c_uint)
fchmod = bind("fchmod", c_int, c_uint)
fchownat = bind("fchownat", c_int, c_char_p, c_uint, c_uint, c_int)
fchown = bind("fchown", c_int, c_uint, c_uint)
utimensat = bind("utimensat", c_int, c_char_p, c_char_p, c_int)
truncate = bind("truncate", c_char_p, c_long)
ftruncate = bind("ftruncate", c_int, c_long)
fallocate = bind("fallocate", c_int, c_int, c_long, c_long)
_fstatfs, _NR_fstatfs = plain("fstatfs")
getdents64 = bind("getdents64", c_int, c_void_p, c_ulong)
readlinkat = bind("readlinkat", c_int, c_char_p, c_void_p, c_ulong)
execveat = bind("execveat", c_int, c_char_p, c_void_p, c_void_p, c_int)
chdir_fd = bind("fchdir", c_int)


def fstat_into(fd: int, address: c_void_p) -> None:
    """Fill the native struct stat at *address* (`Buffer.at`) with what *fd* refers to."""
    if _fstatat(_NR_fstatat, fd, b"", address, AT_EMPTY_PATH) < 0:
        raise failure("newfstatat")


def fstat_with(fd: int, flags: int, address: c_void_p) -> None:
    """As `fstat_into`, with *flags* beside AT_EMPTY_PATH: EINVAL where the kernel objects."""
    if _fstatat(_NR_fstatat, fd, b"", address, flags) < 0:
        raise failure("newfstatat")


def statx_into(fd: int, flags: int, mask: int, address: c_void_p) -> None:
    """Fill the struct statx at *address* (`Buffer.at`) with what *fd* refers to."""
    if _statx(_NR_statx, fd, b"", flags | AT_EMPTY_PATH, mask, address) < 0:
        raise failure("statx")


def mount_id(fd: int) -> int:
    """Return which mount the file of *fd* was reached through (STATX_MNT_ID, Linux 5.8)."""
    found = Buffer(256)
    statx_into(fd, 0, STATX_MNT_ID, found.pointer)
    number: int = _MNT_ID.unpack_from(found.data, _MNT_ID_AT)[0]
    return number


def fstatfs(fd: int, address: c_void_p) -> None:
    """Fill the struct statfs at *address* (`Buffer.at`) with the file system that *fd* is on."""
    if _fstatfs(_NR_fstatfs, fd, address) < 0:
        raise failure("fstatfs")


def memory_name(fd: int, text: bytes) -> bytes:
    """Return the name for rules of the memory file *fd*, whose link text begins with *text*.

    The kernel says ``/memfd:NAME`` also where its pages are huge (hugetlbfs).
    """
    _, _, name = text.partition(b":")
    huge = filesystem_type(fd, Buffer(128)) == HUGETLBFS_MAGIC
    return (b"!memfd-hugetlb:" if huge else b"!memfd:") + name


def filesystem_type(fd: int, scratch: Buffer) -> int:
    """Return the magic number of the file system that *fd* is on; *scratch* has 120 bytes."""
    fstatfs(fd, scratch.pointer)
    return _MAGIC.unpack_from(scratch.data, 0)[0]  # type: ignore[no-any-return]
