# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases for extended attributes: by path, by descriptor, and the calls of Linux 6.13."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import TYPE_CHECKING

from cases_open import O_PATH
from cases_order import AT, HOLE, OUTS, descriptors, every, paths
from rawcalls import AT_FDCWD

if TYPE_CHECKING:
    from cases_order import Choices
    from run_cases import Tree

NAMES: Choices = {
    "user.a": b"user.a", "user.b": b"user.b", "empty": b"", "null": 0, "hole": HOLE,
    "user.": b"user.", "other": b"other.a", "255": b"user." + b"n" * 250,
    "256": b"user." + b"n" * 251, "none": b"user",
}  # fmt: skip
VALUES: Choices = {"abc": b"abc", "null": 0, "hole": HOLE}
SIZES: Choices = {"3": 3, "0": 0, "70000": 70_000}
FLAGS: Choices = {"none": 0, "create": 1, "replace": 2, "both": 3, "bad": 4}
ROOMS: Choices = {"99": 99, "0": 0, "1": 1}


def prepared(t: Tree) -> Tree:
    """Give some files attributes."""
    for name in (b"file", b"dir", b"dir/inner"):
        os.setxattr(name, b"user.a", b"first")
        os.setxattr(name, b"user.c", b"third")
    return t


def held(t: Tree) -> Choices:
    """Return descriptors; AT_FDCWD is one that some kernels take by mistake."""
    fds = descriptors(t)
    del fds["cwd"]
    return {**fds, "read": t.fd(b"file")}


def some(t: Tree) -> Choices:
    """Return the paths that matter here."""
    return paths(t, "link", "dangling", "fifo", "unreadable", "locked")


def case_setxattr(t: Tree) -> object:
    return every(prepared(t), "setxattr", some(t), NAMES, VALUES, SIZES, {"none": 0, "bad": 4})


def case_setxattr_creates_or_replaces(t: Tree) -> object:
    prepared(t)
    answers = every(t, "setxattr", {"file": b"file"}, NAMES, {"abc": b"abc"}, {"3": 3}, FLAGS)
    return [answers, sorted(os.listxattr(b"file")), os.getxattr(b"file", b"user.a").decode()]


def case_lsetxattr(t: Tree) -> object:
    return every(prepared(t), "lsetxattr", some(t), NAMES, {"abc": b"abc"}, {"3": 3}, FLAGS)


def case_fsetxattr(t: Tree) -> object:
    return every(prepared(t), "fsetxattr", held(t), NAMES, VALUES, SIZES, {"none": 0, "both": 3})


def case_getxattr(t: Tree) -> object:
    return every(prepared(t), "getxattr", some(t), NAMES, OUTS, ROOMS)


def case_lgetxattr(t: Tree) -> object:
    return every(prepared(t), "lgetxattr", some(t), NAMES, OUTS, ROOMS)


def case_fgetxattr(t: Tree) -> object:
    return every(prepared(t), "fgetxattr", held(t), NAMES, OUTS, ROOMS)


def case_listxattr(t: Tree) -> object:
    return every(prepared(t), "listxattr", some(t), OUTS, ROOMS)


def case_llistxattr(t: Tree) -> object:
    return every(prepared(t), "llistxattr", some(t), OUTS, ROOMS)


def case_flistxattr(t: Tree) -> object:
    return every(prepared(t), "flistxattr", held(t), OUTS, ROOMS)


def case_removexattr(t: Tree) -> object:
    return every(prepared(t), "removexattr", some(t), NAMES)


def case_lremovexattr(t: Tree) -> object:
    return every(prepared(t), "lremovexattr", some(t), NAMES)


def case_fremovexattr(t: Tree) -> object:
    return every(prepared(t), "fremovexattr", held(t), NAMES)


def case_values_are_what_was_set(t: Tree) -> object:
    os.setxattr(b"file", b"user.v", b"\0bytes\xff")
    os.setxattr(b"file", b"user.v", b"longer than before", os.XATTR_REPLACE)
    os.setxattr(b"file", b"user.none", b"")
    del t
    seen = {name: os.getxattr(b"file", name).decode() for name in sorted(os.listxattr(b"file"))}
    os.removexattr(b"file", b"user.v")
    return [seen, os.listxattr(b"file")]


# Linux 6.13


def structures(*contents: tuple[int, int, int]) -> Choices:
    """Return struct xattr_args: (value, size, flags) for each, and what is none."""
    found: Choices = {"null": 0, "half": HOLE - 8}
    for words in contents:
        label = f"{'value' if words[0] else 'null'} {words[1]} {words[2]}"
        found[label] = struct.pack("=QII", *words) + bytes(16)
    return found


SPANS: Choices = {"16": 16, "8": 8, "24": 24, "5000": 5000}
KEYS: Choices = {"user.a": b"user.a", "user.b": b"user.b", "empty": b"", "null": 0}


def starts(t: Tree) -> Choices:
    """Return what the calls start from."""
    return {"cwd": AT_FDCWD, "file": t.fd(b"file"), "path": t.fd(b"file", O_PATH), "bad": 99}


def few(t: Tree) -> Choices:
    """Return a few paths."""
    names: Choices = {
        "absent": b"absent",
        "file": b"file",
        "link": b"link",
        "empty": b"",
        "null": 0,
    }
    del t
    return names


def case_setxattrat(t: Tree) -> object:
    value = ctypes.create_string_buffer(b"abc")
    at = ctypes.addressof(value)
    args = structures((at, 3, 0), (at, 3, 3), (at, 3, 4), (at, 70_000, 0), (0, 3, 0))
    return every(prepared(t), "setxattrat", starts(t), few(t), AT, KEYS, args, SPANS)


def case_getxattrat(t: Tree) -> object:
    into = ctypes.create_string_buffer(99)
    at = ctypes.addressof(into)
    args = structures((at, 99, 0), (at, 1, 0), (0, 0, 0), (0, 9, 0), (at, 99, 1))
    return every(prepared(t), "getxattrat", starts(t), few(t), AT, KEYS, args, SPANS)


def case_listxattrat(t: Tree) -> object:
    return every(prepared(t), "listxattrat", starts(t), few(t), AT, OUTS, ROOMS)


def case_removexattrat(t: Tree) -> object:
    return every(prepared(t), "removexattrat", starts(t), few(t), AT, NAMES)
