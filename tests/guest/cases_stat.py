# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases for the stat family, the access family, readlink and getdents64."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import TYPE_CHECKING

from cases_open import NAMES, O_PATH
from rawcalls import (
    AT_EACCESS,
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_SYMLINK_NOFOLLOW,
    at_end_of_page,
    call,
    named,
    unmapped_page,
)

if TYPE_CHECKING:
    from run_cases import Tree

STAT = "QQQIIIIQqqq6Q3q"
STATX = "IIQIIIHHQQQQ"
DIRTY = 0x7EAD_BEEF_0000_0000


def stat_by(t: Tree, name: str, *arguments: object, after: tuple[int, ...] = ()) -> object:
    """Make a call that fills a struct stat; return type and mode, owner, and size of a file."""
    buffer = ctypes.create_string_buffer(256)
    result = t(name, *arguments, buffer, *(after or (0,)))
    if result != 0:
        return result
    _, _, links, mode, uid, gid, _, _, size, _, _, _, _, mtime, *_ = struct.unpack_from(
        STAT, buffer.raw
    )
    ours = [uid == os.getuid(), gid == os.getgid()]
    return [oct(mode), *ours, links, size, mtime > 0] if mode & 0o40000 == 0 else [oct(mode), *ours]


def statx_by(t: Tree, dirfd: int, name: object, flags: int, mask: int = 0x7FF) -> object:
    """Make statx; return type and mode, links, size of a file."""
    buffer = ctypes.create_string_buffer(256)
    result = t("statx", dirfd, name, flags, mask, buffer)
    if result != 0:
        return result
    got, _, _, links, _, _, mode, _, _, size, _, _ = struct.unpack_from(STATX, buffer.raw)
    return [oct(mode), got & 0x7FF] + ([links, size] if mode & 0o40000 == 0 else [])


def case_stat_of_every_sort_of_name(t: Tree) -> object:
    return {name.decode(): stat_by(t, "stat", name) for name in NAMES}


def case_lstat_of_every_sort_of_name(t: Tree) -> object:
    return {name.decode(): stat_by(t, "lstat", name) for name in NAMES}


def case_newfstatat_of_every_sort_of_name(t: Tree) -> object:
    return {
        f"{name.decode()} {flags:#x}": stat_by(t, "newfstatat", AT_FDCWD, name, after=(flags,))
        for name in NAMES
        for flags in (0, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)
    }


def case_statx_of_every_sort_of_name(t: Tree) -> object:
    return {
        f"{name.decode()} {flags:#x}": statx_by(t, AT_FDCWD, name, flags)
        for name in NAMES
        for flags in (0, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH)
    }


def case_flags_of_newfstatat_and_statx(t: Tree) -> object:
    return {
        f"{flags:#x}": [
            stat_by(t, "newfstatat", AT_FDCWD, b"file", after=(flags,)),
            statx_by(t, AT_FDCWD, b"file", flags),
        ]
        for flags in (0x800, 0x2000, 0x4000, 0x6000, 0x200, 0x400, 0x1, 0x10000, 1 << 31, DIRTY)
    }


def case_statx_mask_and_reserved_bit(t: Tree) -> object:
    seen = [statx_by(t, AT_FDCWD, b"file", 0, mask) for mask in (0, 1, 0x7FF, 0xFFF, 1 << 31)]
    return [item[0] if isinstance(item, list) else item for item in seen]


def case_stat_of_descriptors(t: Tree) -> object:
    receive, send = os.pipe()
    held = {
        "file": t.fd(b"file"),
        "dir": t.fd(b"dir"),
        "path": t.fd(b"file", O_PATH),
        "link": t.fd(b"link", O_PATH | os.O_NOFOLLOW),
        "fifo": t.fd(b"fifo", os.O_RDWR),
        "pipe": receive,
        "null": t.fd(b"/dev/null"),
        "bad": 99,
        "negative": -1,
        "dirty": DIRTY | send,
    }
    seen = {}
    for what, fd in held.items():
        first = stat_by(t, "fstat", fd)
        seen[what] = [
            first,
            stat_by(t, "newfstatat", fd, b"", after=(AT_EMPTY_PATH,)) == first,
            stat_by(t, "newfstatat", fd, b""),
            stat_by(t, "newfstatat", fd, b"inner"),
            statx_by(t, fd, b"", AT_EMPTY_PATH),
            stat_by(t, "newfstatat", fd, 0, after=(AT_EMPTY_PATH,)) == first,
            statx_by(t, fd, 0, AT_EMPTY_PATH),
        ]
    return seen


def case_stat_of_a_deleted_file(t: Tree) -> object:
    fd = t.fd(b"file")
    os.unlink(b"file")
    return [
        stat_by(t, "fstat", fd),
        stat_by(t, "newfstatat", fd, b"", after=(AT_EMPTY_PATH,)),
        stat_by(t, "stat", b"file"),
        stat_by(t, "stat", b"/proc/self/fd/%d" % fd),
        t("access", b"/proc/self/fd/%d" % fd, os.R_OK),
    ]


def case_stat_relative_to_a_descriptor(t: Tree) -> object:
    fd = t.fd(b"dir")
    return [
        stat_by(t, "newfstatat", fd, b"inner"),
        stat_by(t, "newfstatat", fd, b"../file"),
        stat_by(t, "newfstatat", DIRTY | fd, b"inner"),
        stat_by(t, "newfstatat", 99, b"inner"),
        stat_by(t, "newfstatat", 99, t.root + b"/file"),
        stat_by(t, "newfstatat", t.fd(b"file"), b"inner"),
        statx_by(t, fd, b"inner", 0),
        t("faccessat", fd, b"inner", os.R_OK),
        t("faccessat", fd, b"absent", os.R_OK),
    ]


def case_stat_in_a_directory_that_was_removed(t: Tree) -> object:
    os.chdir(b"hollow")
    os.rmdir(b"../hollow")
    return [
        stat_by(t, "stat", b"."),
        stat_by(t, "stat", b"x"),
        stat_by(t, "stat", b"../file"),
        stat_by(t, "newfstatat", AT_FDCWD, b"", after=(AT_EMPTY_PATH,)),
        t("access", b".", os.F_OK),
    ]


def case_bad_addresses(t: Tree) -> object:
    hole = unmapped_page()
    return {
        "path null": stat_by(t, "stat", 0),
        "path hole": stat_by(t, "stat", hole),
        "path ends at a hole": stat_by(t, "stat", at_end_of_page(b"file")),
        "path before a hole": stat_by(t, "stat", at_end_of_page(b"file\0")),
        "buffer null": t("stat", b"file", 0),
        "buffer hole": t("stat", b"file", hole),
        "buffer half": t("stat", b"file", hole - 8),
        "buffer half of fstat": t("fstat", 0, hole - 8),
        "absent and bad buffer": t("stat", b"absent", hole),
        "statx buffer": t("statx", AT_FDCWD, b"file", 0, 0x7FF, hole - 8),
        "access": t("access", hole, 0),
        "readlink path": t("readlink", hole, ctypes.create_string_buffer(9), 9),
        "readlink buffer": t("readlink", b"link", hole, 9),
        "readlink half": t("readlink", b"link", hole - 2, 9),
        "getdents": t("getdents64", t.fd(b"dir"), hole, 999),
    }


def case_a_read_only_buffer(t: Tree) -> object:
    area = call("mmap", 0, 4096, 1, 0x22, -1, 0)
    return [t("stat", b"file", area), t("readlink", b"link", area, 99)]


def case_long_names(t: Tree) -> object:
    names = (b"n" * 255, b"n" * 256, b"./" * 2045 + b"/file", b"./" * 2047 + b"file", b"x/" * 4000)
    return [[stat_by(t, "stat", n), t("access", n, 0), stat_by(t, "lstat", n)] for n in names]


def case_access_of_every_sort_of_name(t: Tree) -> object:
    return {
        f"{name.decode()} {mode}": t("access", name, mode) for name in NAMES for mode in range(8)
    }


def case_access_of_programs_and_directories(t: Tree) -> object:
    names = (b"program", b"locked", b"blind", b"blind/inside", b"fifo", b"/dev/null", b"/etc", b"/")
    return {
        f"{name.decode()} {mode}": t("access", name, mode) for name in names for mode in range(8)
    }


def case_access_modes_that_are_none(t: Tree) -> object:
    return [t("access", b"file", mode) for mode in (8, 16, -1, 0o777, DIRTY, DIRTY | 4)]


def case_faccessat2_flags(t: Tree) -> object:
    fd = t.fd(b"dir")
    flags = (
        0,
        AT_EACCESS,
        AT_SYMLINK_NOFOLLOW,
        AT_EMPTY_PATH,
        AT_EACCESS | AT_EMPTY_PATH,
        0x400,
        1,
    )
    return {
        f"{name.decode()} {bits:#x}": [
            t("faccessat2", dirfd, name, mode, bits)
            for dirfd in (AT_FDCWD, fd)
            for mode in (0, 2, 8)
        ]
        for name in (b"file", b"link", b"dangling", b"", b"unreadable")
        for bits in flags
    }


def case_faccessat_has_no_flags(t: Tree) -> object:
    return [
        t("faccessat", AT_FDCWD, b"dangling", 0, AT_SYMLINK_NOFOLLOW),
        t("faccessat", 99, b"x", 0),
    ]


def readlink(t: Tree, name: object, size: int = 4096) -> object:
    """Return what readlink(2) fills in, and its result."""
    buffer = ctypes.create_string_buffer(4096)
    result = t("readlink", name, buffer, size)
    return [result, buffer.value.decode()] if isinstance(result, int) else result


def case_readlink_of_every_sort_of_name(t: Tree) -> object:
    def length_apart(answer: object) -> object:
        # The length of an absolute link depends on where the tree lies.
        return answer[1] if isinstance(answer, list) else answer

    return {name.decode(): length_apart(readlink(t, name)) for name in NAMES}


def case_readlink_sizes(t: Tree) -> object:
    return [readlink(t, b"link", size) for size in (0, -1, 1, 3, 4, 5, 1 << 31, 1 << 32)]


def case_readlinkat(t: Tree) -> object:
    buffer = ctypes.create_string_buffer(99)
    link = t.fd(b"link", O_PATH | os.O_NOFOLLOW)
    os.symlink(b"target", b"dir/inlink")
    directory = t.fd(b"dir")
    return [
        t("readlinkat", link, b"", buffer, 99),
        t("readlinkat", t.fd(b"file"), b"", buffer, 99),
        t("readlinkat", AT_FDCWD, b"", buffer, 99),
        t("readlinkat", directory, b"inlink", buffer, 99),
        t("readlinkat", directory, b"inner", buffer, 99),
        t("readlinkat", 99, b"inlink", buffer, 99),
        buffer.value.decode(),
    ]


def case_links_of_proc(t: Tree) -> object:
    fd = t.fd(b"file")
    me = str(os.getpid())
    return [
        os.readlink("/proc/self") == me,
        os.readlink("/proc/thread-self") == f"{me}/task/{me}",
        os.readlink(f"/proc/self/fd/{fd}"),
        os.readlink(f"/proc/{me}/fd/{fd}"),
        os.readlink("/proc/self/cwd"),
        os.readlink("/proc/self/root"),
        os.readlink("/proc/self/exe"),
        stat_by(t, "stat", b"/proc/self/fd/%d" % fd),
        stat_by(t, "lstat", b"/proc/self/fd/%d" % fd)[0],
        stat_by(t, "stat", b"/proc/self/fd/%d/" % fd),
        stat_by(t, "stat", b"/proc/self/fd/98"),
    ]


def entries(fd: int, size: int) -> object:
    """Read a directory through getdents64 with a buffer of *size*; return the sorted names."""
    found, buffer = [], ctypes.create_string_buffer(size)
    while (result := call("getdents64", fd, buffer, size)) > 0:
        place = 0
        while place < result:
            length, kind = struct.unpack_from("HB", buffer.raw, place + 16)
            name = buffer.raw[place + 19 : place + length].partition(b"\0")[0]
            found.append([name.decode(), kind])
            place += length
    return [named(result), sorted(found)]


def case_getdents64_with_buffers_of_any_size(t: Tree) -> object:
    os.mkdir(b"many")
    for number in range(300):
        os.close(os.open(b"many/%d-%s" % (number, b"x" * (number % 50)), os.O_CREAT, 0o600))
    whole = entries(t.fd(b"many"), 65_536)
    seen = [entries(t.fd(b"many"), size) == whole for size in (300, 999, 4096, 1 << 20)]
    return [whole, seen, entries(t.fd(b"many"), 20), entries(t.fd(b"."), 4096)]


def case_getdents64_of_other_things(t: Tree) -> object:
    buffer = ctypes.create_string_buffer(999)
    gone = t.fd(b"hollow")
    os.rmdir(b"hollow")
    fds = (t.fd(b"file"), t.fd(b"dir", O_PATH), 99, -1, gone)
    return [t("getdents64", fd, buffer, 999) for fd in fds]


def case_getdents64_rewinds(t: Tree) -> object:
    fd = t.fd(b"dir")
    first = entries(fd, 99)
    again = entries(fd, 99)
    os.lseek(fd, 0, os.SEEK_SET)
    return [first, again, entries(fd, 999) == first]


def case_root_and_proc_can_be_listed(t: Tree) -> object:
    names = t.names(b"/proc/self")
    return [
        "etc" in t.names(b"/"),
        "fd" in names,
        "status" in names,
        len(t.names(b"/proc/self/task")),
    ]
