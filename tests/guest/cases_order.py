# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases that make each call on files with every combination of good and bad arguments.

With two things wrong at once the answer tells which of them the kernel looks at first; where none
is wrong the call succeeds. Argument by argument, what can be wrong is a choice with a name.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import struct
from typing import TYPE_CHECKING

from cases_open import O_PATH
from rawcalls import AT_FDCWD, call, guarded_page, named

if TYPE_CHECKING:
    from collections.abc import Callable

    from run_cases import Tree

    Choices = dict[str, object]

HOLE = guarded_page()
OUT = ctypes.create_string_buffer(8192)
OUTS: Choices = {"ok": OUT, "null": 0, "hole": HOLE, "half": HOLE - 8}
MODES: Choices = {"755": 0o755, "dirty": 0x7EAD_0000_01ED}
AT: Choices = {
    "none": 0,
    "nofollow": 0x100,
    "empty": 0x1000,
    "both": 0x1100,
    "bad": 0x80_0000,
    "worse": 0x80_1000,
}


def every(
    t: Tree, name: str, *arguments: Choices, after: Callable[[], object] = int
) -> dict[str, int | str]:
    """Make call *name* with each combination of the choices; return all answers by their names."""
    answers = {}
    for combination in itertools.product(*(choices.items() for choices in arguments)):
        words = [value for _, value in combination]
        answer = t(name, *words)
        after()
        answers[" ".join(label for label, _ in combination)] = answer
    return answers


def paths(t: Tree, *names: str) -> Choices:
    """Return paths, good and bad; *names* take more of the tree."""
    known: Choices = {
        "file": b"file", "dir": b"dir", "absent": b"absent", "file/x": b"file/x", "empty": b"",
        "null": 0, "hole": HOLE, "name": b"n" * 256, "long": b"x/" * 2100, "loop": b"loop",
        "blind/inside": b"blind/inside",
    }  # fmt: skip
    del t
    return {**known, **{name: name.encode() for name in names}}


def few(*names: str) -> Choices:
    """Return a few paths, for calls with two."""
    return {"empty": b"", "null": 0, "long": b"x/" * 2100, **{n: n.encode() for n in names}}


def descriptors(t: Tree) -> Choices:
    """Return descriptors of all sorts."""
    return {
        "cwd": AT_FDCWD, "dir": t.fd(b"dir"), "file": t.fd(b"file", os.O_RDWR),
        "path": t.fd(b"file", O_PATH), "fifo": t.fd(b"fifo", os.O_RDWR), "event": os.eventfd(1),
        "bad": 99, "negative": -1,
    }  # fmt: skip


def starts(t: Tree) -> Choices:
    """Return what an *at call may start from."""
    return {"cwd": AT_FDCWD, "dir": t.fd(b"dir"), "file": t.fd(b"file"), "bad": 99}


# Opening


def opened(t: Tree, name: str, *arguments: Choices) -> object:
    """Do as `every`, for calls that return a descriptor: that it is one is all that is told."""
    del t
    answers = {}
    for combination in itertools.product(*(choices.items() for choices in arguments)):
        result = call(name, *(value for _, value in combination))
        if result >= 0:
            os.close(result)
        answers[" ".join(label for label, _ in combination)] = named(min(result, 0))
    return answers


FLAGS: Choices = {
    "read": 0, "write": 1, "three": 3, "creat": 0o101, "excl": 0o301, "directory": 0o200000,
    "tmpfile": 0o20200001, "badtmp": 0o20200000, "path": O_PATH, "nofollow": os.O_NOFOLLOW,
    "creatdir": 0o200101, "trunc": 0o1001, "noatime": os.O_NOATIME, "odd": 1 << 30,
}  # fmt: skip


def case_open(t: Tree) -> object:
    return opened(t, "open", paths(t, "link", "locked/new"), FLAGS, MODES)


def case_openat(t: Tree) -> object:
    return opened(t, "openat", starts(t), paths(t, "inner", "/etc"), FLAGS, {"644": 0o644})


def case_openat2(t: Tree) -> object:
    hows: Choices = {
        f"{flags:o} {mode:o} {resolve}": struct.pack("=QQQ", flags, mode, resolve) + bytes(16)
        for flags in (0, 0o101, O_PATH, O_PATH | 1, 1 << 40)
        for mode in (0, 0o644, 0o10000)
        for resolve in (0, 4, 8, 24, 1 << 20)
    }
    hows |= {"null": 0, "hole": HOLE, "half": HOLE - 8}
    sizes: Choices = {"24": 24, "40": 40, "16": 16, "0": 0, "5000": 5000}
    names: Choices = {"inner": b"inner", "absent": b"absent", "null": 0, "empty": b"", "/": b"/"}
    return opened(t, "openat2", {"dir": t.fd(b"dir"), "bad": 99}, names, hows, sizes)


def case_creat(t: Tree) -> object:
    return opened(t, "creat", paths(t, "locked/new", "link"), MODES)


# Looking


def case_stat(t: Tree) -> object:
    return every(t, "stat", paths(t, "link", "dangling"), OUTS)


def case_lstat(t: Tree) -> object:
    return every(t, "lstat", paths(t, "link", "dangling"), OUTS)


def case_fstat(t: Tree) -> object:
    return every(t, "fstat", descriptors(t), OUTS)


def case_newfstatat(t: Tree) -> object:
    return every(t, "newfstatat", descriptors(t), paths(t, "link", "inner"), OUTS, AT)


def case_statx(t: Tree) -> object:
    masks: Choices = {"basic": 0x7FF, "reserved": 1 << 31}
    return every(t, "statx", descriptors(t), paths(t, "inner"), {**AT, "sync": 0x6000}, masks, OUTS)


_ACCESS: Choices = {"f": 0, "r": 4, "w": 2, "x": 1, "bad": 8}


def case_access(t: Tree) -> object:
    return every(t, "access", paths(t, "program", "locked", "dangling"), _ACCESS)


def case_faccessat(t: Tree) -> object:
    return every(t, "faccessat", descriptors(t), paths(t, "inner"), _ACCESS)


def case_faccessat2(t: Tree) -> object:
    return every(t, "faccessat2", descriptors(t), paths(t, "link"), _ACCESS, {**AT, "e": 0x200})


_SIZES: Choices = {"99": 99, "2": 2, "0": 0, "-1": -1}


def case_readlink(t: Tree) -> object:
    return every(t, "readlink", paths(t, "link", "dangling", "dir/"), OUTS, _SIZES)


def case_readlinkat(t: Tree) -> object:
    fds = {**descriptors(t), "link": t.fd(b"link", O_PATH | os.O_NOFOLLOW)}
    return every(t, "readlinkat", fds, paths(t, "link"), OUTS, _SIZES)


def case_statfs(t: Tree) -> object:
    return every(t, "statfs", paths(t, "link", "/proc"), OUTS)


def case_fstatfs(t: Tree) -> object:
    return every(t, "fstatfs", descriptors(t), OUTS)


_ROOMS: Choices = {"4096": 4096, "64": 64, "10": 10, "0": 0}


def case_getdents(t: Tree) -> object:
    return every(t, "getdents", descriptors(t), OUTS, _ROOMS)


def case_getdents64(t: Tree) -> object:
    return every(t, "getdents64", descriptors(t), OUTS, _ROOMS)


# Names


def case_mkdir(t: Tree) -> object:
    return every(t, "mkdir", paths(t, "locked/new", ".", "/", "new/"), MODES)


def case_mkdirat(t: Tree) -> object:
    return every(t, "mkdirat", starts(t), paths(t, "inner", "new"), MODES)


_KINDS: Choices = {
    "zero": 0o644, "regular": 0o100644, "fifo": 0o10644, "socket": 0o140644, "directory": 0o40644,
    "link": 0o120644, "nothing": 0o50644, "all": 0o170644,
}  # fmt: skip
_DEVICE: Choices = {"0": 0, "1:3": 0x103}


def case_mknod(t: Tree) -> object:
    return every(t, "mknod", paths(t, "locked/new", "new", "new/", "."), _KINDS, _DEVICE)


def case_mknodat(t: Tree) -> object:
    return every(t, "mknodat", starts(t), paths(t, "new"), _KINDS, {"0": 0})


_TEXTS: Choices = {"ok": b"text", "empty": b"", "null": 0, "hole": HOLE, "long": b"x" * 4096}


def case_symlink(t: Tree) -> object:
    return every(t, "symlink", _TEXTS, paths(t, "locked/new", "new", "new/", "."))


def case_symlinkat(t: Tree) -> object:
    return every(t, "symlinkat", _TEXTS, starts(t), paths(t, "new"))


def case_unlink(t: Tree) -> object:
    return every(t, "unlink", paths(t, "locked/inside", "link", "fifo/", "dir/."))


def case_rmdir(t: Tree) -> object:
    return every(t, "rmdir", paths(t, "locked/inside", "hollow", "hollow/.", "/", "dir/.."))


def case_unlinkat(t: Tree) -> object:
    flags: Choices = {"none": 0, "removedir": 0x200, "bad": 0x100}
    return every(t, "unlinkat", starts(t), paths(t, "inner", "sub", "."), flags)


_OLD = few("file", "absent", "dir", "dir/", "locked/inside", "file/x", ".")
_NEW = few("new", "other", "hollow", "locked/new", "absent/x", "..", "new/")


def case_rename(t: Tree) -> object:
    return every(t, "rename", _OLD, _NEW)


def case_renameat(t: Tree) -> object:
    return every(t, "renameat", starts(t), _OLD, starts(t), few("new", "sub"))


def case_renameat2(t: Tree) -> object:
    flags: Choices = {str(n): n for n in (0, 1, 2, 3, 6, 8)}
    one, two = starts(t), {"cwd": AT_FDCWD, "bad": 99}
    return every(t, "renameat2", one, few("file", "absent"), two, few("other", "new"), flags)


def case_link(t: Tree) -> object:
    return every(t, "link", _OLD, _NEW)


def case_linkat(t: Tree) -> object:
    flags: Choices = {"none": 0, "follow": 0x400, "empty": 0x1000, "bad": 0x100}
    return every(
        t, "linkat", starts(t), few("link", "absent"), {"cwd": AT_FDCWD, "bad": 99},
        few("new", "other"), flags,
    )  # fmt: skip


# Attributes


def theirs() -> list[str]:
    """Return the name of a file that the caller may not change: root has none."""
    return ["/etc/hostname"] if os.getuid() else []


def case_chmod(t: Tree) -> object:
    return every(t, "chmod", paths(t, "link", *theirs()), MODES)


def case_fchmod(t: Tree) -> object:
    return every(t, "fchmod", descriptors(t), MODES)


def case_fchmodat(t: Tree) -> object:
    return every(t, "fchmodat", descriptors(t), paths(t, "inner"), MODES)


def case_fchmodat2(t: Tree) -> object:
    return every(t, "fchmodat2", descriptors(t), paths(t, "link"), MODES, AT)


def ids() -> Choices:
    """Return user or group ids."""
    return {"keep": -1, "mine": os.getuid(), "root": 0, "other": 12_345}


def case_chown(t: Tree) -> object:
    return every(t, "chown", paths(t, "link", *theirs()), ids(), ids())


def case_lchown(t: Tree) -> object:
    return every(t, "lchown", paths(t, "link", "dangling"), ids(), ids())


def case_fchown(t: Tree) -> object:
    return every(t, "fchown", descriptors(t), ids(), ids())


def case_fchownat(t: Tree) -> object:
    some: Choices = {"keep": -1, "root": 0}
    return every(t, "fchownat", descriptors(t), paths(t, "link"), some, some, AT)


def words(*numbers: int) -> object:
    """Return an array of 64-bit words."""
    return (ctypes.c_int64 * len(numbers))(*numbers)


_TIMES: Choices = {
    "ok": words(1, 2, 3, 4), "null": 0, "hole": HOLE, "half": HOLE - 8,
    "bad": words(1, 1_000_000_000, 3, 4), "omit": words(0, (1 << 30) - 2, 0, (1 << 30) - 2),
    "one": words(0, (1 << 30) - 1, 9, (1 << 30) - 2),
}  # fmt: skip


def case_utime(t: Tree) -> object:
    return every(t, "utime", paths(t, "link", *theirs()), _TIMES)


def case_utimes(t: Tree) -> object:
    return every(t, "utimes", paths(t, "link", *theirs()), _TIMES)


def case_futimesat(t: Tree) -> object:
    return every(t, "futimesat", descriptors(t), paths(t, "inner"), _TIMES)


def case_utimensat(t: Tree) -> object:
    return every(t, "utimensat", descriptors(t), paths(t, "link", *theirs()), _TIMES, AT)


_LENGTHS: Choices = {"5": 5, "-1": -1, "2^62": 1 << 62}


def case_truncate(t: Tree) -> object:
    return every(t, "truncate", paths(t, "link", "fifo", "unreadable"), _LENGTHS)


def case_ftruncate(t: Tree) -> object:
    fds = {**descriptors(t), "read": t.fd(b"file")}
    return every(t, "ftruncate", fds, _LENGTHS)


def case_fallocate(t: Tree) -> object:
    fds = {**descriptors(t), "read": t.fd(b"file")}
    modes: Choices = {str(n): n for n in (0, 1, 2, 3, 8, 0x10, 0x20, 0x21, 0x40, 0x100)}
    offsets: Choices = {"0": 0, "4096": 4096, "-1": -1, "2^62": 1 << 62}
    return every(t, "fallocate", fds, modes, offsets, {"4096": 4096, "0": 0, "-1": -1, "1": 1})


# Directories


def case_chdir(t: Tree) -> object:
    return every(t, "chdir", paths(t, "dirlink", "locked"), after=lambda: os.chdir(t.root))


def case_fchdir(t: Tree) -> object:
    return every(t, "fchdir", descriptors(t), after=lambda: os.chdir(t.root))
