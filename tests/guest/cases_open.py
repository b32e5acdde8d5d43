# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases for open, openat, openat2 and creat."""

from __future__ import annotations

import ctypes
import fcntl
import os
import stat
from typing import TYPE_CHECKING

from rawcalls import AT_FDCWD, at_end_of_page, call, named, unmapped_page

if TYPE_CHECKING:
    from run_cases import Tree

O_TMPFILE = 0o20200000
O_PATH = 0o10000000
DIRTY = 0x7EAD_BEEF_0000_0000
RESOLVE_NO_XDEV, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS = 1, 2, 4
RESOLVE_BENEATH, RESOLVE_IN_ROOT = 8, 16

NAMES = (
    b"file", b"./file", b"dir/../file", b".//file", b"file/", b"file/.", b"file/..", b"file/x",
    b"absent", b"absent/", b"absent/x", b"link", b"link/", b"dirlink", b"dirlink/",
    b"dirlink/inner", b"dangling", b"dangling/", b"loop", b"loop/x", b"absolute", b"up",
    b"slashlink", b"fileslash",
    b"dir", b"dir/", b"dir/.", b"dir/..", b"dir/sub/../inner", b"unreadable", b"blind/inside",
    b"locked/inside", b"", b".", b"..", b"/", b"//", b"dir/absent/../inner", b"file/../other",
)  # fmt: skip


def kind(result: int | str) -> object:
    """Return a descriptor as what it refers to: its type and name. Errors stay."""
    if not isinstance(result, int):
        return result
    mode = os.fstat(result).st_mode
    name = os.readlink(f"/proc/self/fd/{result}")
    os.close(result)
    return [stat.S_IFMT(mode), name if name.startswith("/") else name.partition(":")[0]]


def table(t: Tree, flags: int, names: tuple[bytes, ...] = NAMES) -> dict[str, object]:
    """Open each of *names* with *flags*."""
    return {name.decode(): kind(t("open", name, flags, 0o640)) for name in names}


def how(flags: int, mode: int = 0, resolve: int = 0, *more: int) -> ctypes.Array[ctypes.c_uint64]:
    """Return a struct open_how."""
    words = (flags, mode, resolve, *more)
    return (ctypes.c_uint64 * len(words))(*words)


def case_reading_every_sort_of_name(t: Tree) -> object:
    return table(t, os.O_RDONLY)


def case_writing_every_sort_of_name(t: Tree) -> object:
    return table(t, os.O_WRONLY)


def case_reading_and_writing_every_sort_of_name(t: Tree) -> object:
    return table(t, os.O_RDWR)


def case_nofollow_of_every_sort_of_name(t: Tree) -> object:
    return table(t, os.O_RDONLY | os.O_NOFOLLOW)


def case_directory_of_every_sort_of_name(t: Tree) -> object:
    return table(t, os.O_RDONLY | os.O_DIRECTORY)


def case_directory_nofollow_of_every_sort_of_name(t: Tree) -> object:
    return table(t, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


def case_path_of_every_sort_of_name(t: Tree) -> object:
    return table(t, O_PATH)


def case_path_nofollow_of_every_sort_of_name(t: Tree) -> object:
    return table(t, O_PATH | os.O_NOFOLLOW)


def case_exclusive_creation_of_every_sort_of_name(t: Tree) -> object:
    return [table(t, os.O_RDWR | os.O_CREAT | os.O_EXCL), t.names(), t.names(b"dir")]


def case_creation_of_every_sort_of_name(t: Tree) -> object:
    return [table(t, os.O_RDWR | os.O_CREAT), t.names(), t.names(b"dir")]


def case_creation_with_nofollow_of_every_sort_of_name(t: Tree) -> object:
    return [table(t, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW), t.names()]


def case_truncation_of_every_sort_of_name(t: Tree) -> object:
    return [table(t, os.O_WRONLY | os.O_TRUNC), t.look(b"file"), t.look(b"dir/inner")]


def case_creat_makes_and_truncates(t: Tree) -> object:
    first, second = t("creat", b"new", 0o777), t("creat", b"file", 0o777)
    return [kind(first), kind(second), t.look(b"new"), t.look(b"file"), t("creat", b"dir", 0o600)]


def case_mode_bits_of_new_files(t: Tree) -> object:
    seen = []
    for mask in (0, 0o022, 0o077, 0o777):
        os.umask(mask)
        for mode in (0, 0o600, 0o644, 0o777, 0o1777, 0o177777):
            name = b"new-%o-%o" % (mask, mode)
            kind(t("open", name, os.O_CREAT | os.O_WRONLY, mode))
            seen.append(t.look(name))
    return seen


def case_a_new_file_may_be_written_whatever_its_mode(t: Tree) -> object:
    fd = t("open", b"new", os.O_CREAT | os.O_RDWR, 0)
    return [os.write(fd, b"text"), os.pread(fd, 9, 0).decode(), t.look(b"new")]


def case_creation_in_directories_one_may_not_write(t: Tree) -> object:
    names = (b"locked/new", b"blind/new", b"dir/new", b"absent/new", b"file/new", b"hollow/new/")
    return [t("open", name, os.O_CREAT | os.O_WRONLY, 0o600) in range(100) for name in names] + [
        t("open", name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        for name in names
        if b"d/" in name
    ]


def case_a_dangling_link_is_created_through(t: Tree) -> object:
    result = kind(t("open", b"dangling", os.O_CREAT | os.O_WRONLY, 0o600))
    return [result, t.names(), t("open", b"dangling", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)]


def case_flags_that_do_not_go_together(t: Tree) -> object:
    flags = {
        "access mode 3": 3,
        "creat of a directory": os.O_CREAT | os.O_DIRECTORY,
        "creat and tmpfile": os.O_CREAT | O_TMPFILE | os.O_RDWR,
        "tmpfile read-only": O_TMPFILE,
        "half of tmpfile": 0o20000000 | os.O_RDWR,
        "path and creat": O_PATH | os.O_CREAT,
        "path and write": O_PATH | os.O_RDWR,
        "excl alone": os.O_EXCL,
        "unknown": 1 << 30,
    }
    return {
        f"{what} {name.decode()}": kind(t("open", name, bits, 0o600))
        for what, bits in flags.items()
        for name in (b"file", b"dir", b"absent-" + what.encode())
    }


def case_tmpfile_is_nameless_and_can_be_linked(t: Tree) -> object:
    fd = t("open", b"hollow", O_TMPFILE | os.O_RDWR, 0o666)
    text = os.write(fd, b"text")
    before = [t.look(fd), t.names(b"hollow")]
    linked = t("linkat", AT_FDCWD, b"/proc/self/fd/%d" % fd, AT_FDCWD, b"hollow/named", 0x400)
    return [text, before, linked, t.names(b"hollow"), t.look(b"hollow/named")]


def case_exclusive_tmpfile_cannot_be_linked(t: Tree) -> object:
    fd = t("open", b"hollow", O_TMPFILE | os.O_RDWR | os.O_EXCL, 0o600)
    return t("linkat", AT_FDCWD, b"/proc/self/fd/%d" % fd, AT_FDCWD, b"hollow/named", 0x400)


def case_tmpfile_in_odd_places(t: Tree) -> object:
    names = (b"file", b"absent", b"locked", b"dir/", b".", b"dirlink", b"link", b"")
    return [isinstance(t("open", n, O_TMPFILE | os.O_RDWR, 0o600), int) for n in names] + [
        t("open", n, O_TMPFILE | os.O_WRONLY, 0o600) for n in (b"file", b"absent", b"link", b"")
    ]


def case_close_on_exec_is_as_asked(t: Tree) -> object:
    seen = []
    for flags in (0, os.O_CLOEXEC, os.O_CLOEXEC | os.O_DIRECTORY, os.O_CREAT | os.O_CLOEXEC):
        fd = t("open", b"dir" if flags & os.O_DIRECTORY else b"file", flags, 0o600)
        seen.append(fcntl.fcntl(fd, fcntl.F_GETFD))
    return seen


def case_the_lowest_descriptor_is_used(t: Tree) -> object:
    held = [t.fd(b"file") for _ in range(5)]
    os.close(held[1])
    os.close(held[3])
    got = [t("open", b"other", 0), t("openat", AT_FDCWD, b"other", 0)]
    return [got[0] == held[1], got[1] == held[3]]


def case_status_flags_are_kept(t: Tree) -> object:
    flags = (
        os.O_APPEND,
        os.O_NONBLOCK,
        os.O_SYNC,
        os.O_DSYNC,
        os.O_NOATIME,
        os.O_DIRECT,
        os.O_ASYNC,
    )
    seen = []
    for flag in flags:
        fd = t("open", b"file", os.O_RDWR | flag)
        # O_LARGEFILE comes and goes with the way a file was opened; it means nothing on 64 bits.
        seen.append(fcntl.fcntl(fd, fcntl.F_GETFL) & ~0o100000 if isinstance(fd, int) else fd)
    return seen


def case_append_appends(t: Tree) -> object:
    fd = t("open", b"file", os.O_WRONLY | os.O_APPEND)
    os.write(fd, b"more\n")
    return t.read(b"file")


def case_relative_to_a_descriptor(t: Tree) -> object:
    fd, file = t.fd(b"dir"), t.fd(b"file")
    path = t.fd(b"dir", O_PATH)
    return {
        "inner": kind(t("openat", fd, b"inner", 0)),
        "by a path descriptor": kind(t("openat", path, b"inner", 0)),
        "up": kind(t("openat", fd, b"../file", 0)),
        "absolute": kind(t("openat", fd, t.root + b"/file", 0)),
        "absolute with a bad descriptor": kind(t("openat", 99, t.root + b"/file", 0)),
        "bad": t("openat", 99, b"inner", 0),
        "negative": t("openat", -5, b"inner", 0),
        "of a file": t("openat", file, b"inner", 0),
        "empty": t("openat", fd, b"", 0),
        "dirt above": kind(t("openat", DIRTY | fd, b"inner", 0)),
        "dirt above cwd": kind(t("openat", (AT_FDCWD & 0xFFFF_FFFF) | DIRTY, b"file", 0)),
        "dirt above flags": kind(t("openat", AT_FDCWD, b"file", DIRTY)),
    }


def case_in_a_directory_that_was_removed(t: Tree) -> object:
    os.chdir(b"hollow")
    os.rmdir(b"../hollow")
    return {
        "relative": t("open", b"x", 0),
        "create": t("open", b"x", os.O_CREAT | os.O_WRONLY, 0o600),
        "up": isinstance(t("open", b"..", 0), int),
        "up and in": isinstance(t("open", b"../file", 0), int),
        "dot": isinstance(t("open", b".", 0), int),
        "absolute": kind(t("open", t.root + b"/file", 0)),
    }


def case_bad_addresses(t: Tree) -> object:
    hole = unmapped_page()
    return {
        "null": t("open", 0, 0),
        "low": t("open", 8, 0),
        "hole": t("open", hole, 0),
        "kernel": t("open", -4096, 0),
        "not canonical": t("open", 1 << 62, 0),
        "ends at a hole": t("open", at_end_of_page(b"file"), 0),
        "complete before a hole": kind(t("open", at_end_of_page(b"file\0"), 0)),
        "how in a hole": t("openat2", AT_FDCWD, b"file", hole, 24),
        "how null": t("openat2", AT_FDCWD, b"file", 0, 24),
    }


def case_names_that_are_too_long(t: Tree) -> object:
    return {
        "component of 255": kind(t("open", b"n" * 255, os.O_CREAT | os.O_WRONLY, 0o600)) != 0,
        "component of 256": t("open", b"n" * 256, 0),
        "created component of 256": t("open", b"n" * 256, os.O_CREAT | os.O_WRONLY, 0o600),
        "path of 4095": kind(t("open", b"./" * 2045 + b"/file", 0)),
        "path of 4096": t("open", b"." + b"/" * 4091 + b"file", 0),
        "path of 9000": t("open", b"./" * 4500 + b"file", 0),
        "slashes to 4095": kind(t("open", b"." + b"/" * 4090 + b"file", 0)),
        "long middle": t("open", b"n" * 256 + b"/x", 0),
        "after a file": t("open", b"file/" + b"n" * 256, 0),
    }


def case_a_chain_of_links(t: Tree) -> object:
    os.symlink(b"file", b"l0")
    for number in range(1, 45):
        os.symlink(b"l%d" % (number - 1), b"l%d" % number)
    return [kind(t("open", b"l%d" % n, 0)) for n in (1, 20, 38, 39, 40, 41, 44)]


def case_odd_names_are_just_names(t: Tree) -> object:
    names = (
        b"a b",
        b" lead",
        b"trail ",
        b"-x",
        b"new\nline",
        b"\xff\xfe",
        b"*?[]",
        b"\xe2\x82\xac",
    )
    made = [isinstance(t("open", n, os.O_CREAT | os.O_WRONLY, 0o600), int) for n in names]
    return [made, t.names()]


def case_a_fifo_without_waiting(t: Tree) -> object:
    nobody = t("open", b"fifo", os.O_WRONLY | os.O_NONBLOCK)
    reader = t("open", b"fifo", os.O_RDONLY | os.O_NONBLOCK)
    writer = t("open", b"fifo", os.O_WRONLY | os.O_NONBLOCK)
    os.write(writer, b"through")
    return [nobody, os.read(reader, 99).decode(), kind(t("open", b"fifo", os.O_RDWR))]


def case_a_fifo_waits_for_the_other_side(t: Tree) -> object:
    pid = os.fork()
    if pid == 0:
        os.write(call("open", b"fifo", os.O_WRONLY), b"hello")
        os._exit(0)
    text = os.read(t("open", b"fifo", os.O_RDONLY), 9).decode()
    return [text, os.waitpid(pid, 0)[1]]


def case_devices(t: Tree) -> object:
    return {
        "null": kind(t("open", b"/dev/null", os.O_RDWR)),
        "full": named(call("write", t("open", b"/dev/full", os.O_WRONLY), b"x", 1)),
        "zero": os.read(t("open", b"/dev/zero", os.O_RDONLY), 2).hex(),
        "null as a directory": t("open", b"/dev/null/x", os.O_RDONLY),
        "null truncated": kind(t("open", b"/dev/null", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)),
    }


def case_own_descriptors_by_name(t: Tree) -> object:
    fd = t.fd(b"file")
    receive, send = os.pipe()
    again = t("open", b"/proc/self/fd/%d" % send, os.O_WRONLY)
    os.write(again, b"x")
    return {
        "file": kind(t("open", b"/proc/self/fd/%d" % fd, os.O_RDWR)),
        "dev": kind(t("open", b"/dev/fd/%d" % fd, os.O_RDONLY)),
        "thread": kind(t("open", b"/proc/thread-self/fd/%d" % fd, os.O_RDONLY)),
        "pipe": os.read(receive, 9).decode(),
        "closed": t("open", b"/proc/self/fd/99", os.O_RDONLY),
        "nofollow": t("open", b"/proc/self/fd/%d" % fd, os.O_RDONLY | os.O_NOFOLLOW),
        "cwd": kind(t("open", b"/proc/self/cwd/file", os.O_RDONLY)),
        "exe": isinstance(t("open", b"/proc/self/exe", os.O_RDONLY), int),
        "root": kind(t("open", b"/proc/self/root", os.O_RDONLY)),
    }


def case_openat2_resolve_flags(t: Tree) -> object:
    flags = {
        "no_xdev": RESOLVE_NO_XDEV,
        "no_magiclinks": RESOLVE_NO_MAGICLINKS,
        "no_symlinks": RESOLVE_NO_SYMLINKS,
        "beneath": RESOLVE_BENEATH,
        "in_root": RESOLVE_IN_ROOT,
    }
    names = (
        b"file", b"link", b"dirlink/inner", b"absolute", b"up", b"../file", b"dir/../file",
        b"/file", b"/etc/hostname", b"/proc/self/cwd/file", b"loop", b"dangling", b"dir/..", b".",
        b"dir/../../x", b"..",
    )  # fmt: skip
    here = t.fd(b".")
    return {
        f"{what} {name.decode()}": kind(t("openat2", here, name, how(os.O_RDONLY, 0, bits), 24))
        for what, bits in flags.items()
        for name in names
        # Linux sees another mount in the first absolute link of a walk, because it compares with a
        # root that it has not looked up yet. That is a slip of the kernel's, not worth following.
        if (what, name) != ("no_xdev", b"absolute")
    }


def case_openat2_in_root_below_a_directory(t: Tree) -> object:
    here = t.fd(b"dir")
    os.symlink(b"/inner", b"dir/absolute")
    os.symlink(b"../../inner", b"dir/climb")
    names = (b"/inner", b"../inner", b"absolute", b"climb", b"..", b"/sub/../../inner")
    return [kind(t("openat2", here, name, how(0, 0, RESOLVE_IN_ROOT), 24)) for name in names]


def case_openat2_checks_its_structure(t: Tree) -> object:
    good = how(os.O_RDONLY)
    return {
        "short": t("openat2", AT_FDCWD, b"file", good, 23),
        "zero": t("openat2", AT_FDCWD, b"file", good, 0),
        "longer": kind(t("openat2", AT_FDCWD, b"file", how(0, 0, 0, 0, 0), 40)),
        "longer and not zero": t("openat2", AT_FDCWD, b"file", how(0, 0, 0, 7), 32),
        "a page": kind(t("openat2", AT_FDCWD, b"file", how(*[0] * 512), 4096)),
        "over a page": t("openat2", AT_FDCWD, b"file", how(*[0] * 513), 4104),
        "unknown flag": t("openat2", AT_FDCWD, b"file", how(1 << 40), 24),
        "unknown resolve": t("openat2", AT_FDCWD, b"file", how(0, 0, 1 << 9), 24),
        "mode without creat": t("openat2", AT_FDCWD, b"file", how(0, 0o600), 24),
        "mode too large": t("openat2", AT_FDCWD, b"new", how(os.O_CREAT | 1, 0o10000), 24),
        "creat": kind(t("openat2", AT_FDCWD, b"new", how(os.O_CREAT | 1, 0o600), 24)),
        "beneath and in_root": t("openat2", AT_FDCWD, b"file", how(0, 0, 24), 24),
        "path and more": t("openat2", AT_FDCWD, b"file", how(O_PATH | os.O_RDWR), 24),
        "bad descriptor": t("openat2", 99, b"file", good, 24),
    }


def case_a_full_descriptor_table(t: Tree) -> object:
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = []
    while len(held) < min(most, 100_000):
        fd = call("fcntl", 0, 0, 0)  # F_DUPFD
        if fd < 0:
            break
        held.append(fd)
    result = t("open", b"file", 0)
    for fd in held[:2]:
        os.close(fd)
    return [result, kind(t("open", b"file", 0)) if held else "never full"]


def case_shared_mapping_of_data(t: Tree) -> object:
    import mmap

    fd = t.fd(b"file", os.O_RDWR)
    with mmap.mmap(fd, 9) as shared:
        shared[:3] = b"CON"
    os.close(fd)
    return t.read(b"file")
