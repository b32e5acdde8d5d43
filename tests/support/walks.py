# SPDX-License-Identifier: GPL-3.0-or-later
"""Make up random walks through a file tree (tests/guest/walker.py), and shrink them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    Step = list[Any]
    Walk = list[Step]
    Made = tuple[str, list[Any]]
    Makers = dict[str, Callable[[], list[Any]]]

CWD = -100
SLOTS = 8
_FIRST = 100

_NAMES = (
    "a", "b", "c", "f", "g", "l", "m", "x", "y", "z", "up", "loop", "dangling", "absolute", "dot",
    "slash", "wrong", "newslash", "fifo", "locked", "blind", "none", "nowhere",
)  # fmt: skip
_ODD = ("n" * 255, "n" * 256, "-x", "s p", "q*", "\xc3\xa9", "\xff", "t\t", "...", "~")
_TARGETS = (
    "a", "f", "b/", "..", "../a", "x", "x/", ".", "../..", "loop", "l", "m/f", "$TREE/b", "/", "",
    "n" * 300, "a/../l", "//", "n/" * 2047, "n/" * 2048, "up/.", "./m", "/dev/null",
)  # fmt: skip
_MODES = (0, 0o400, 0o444, 0o555, 0o600, 0o644, 0o700, 0o711, 0o755, 0o777, 0o1777, 0o4755, 0o2755)
_XATTRS = ("user.a", "user.a", "user.b", "user.", "user", "", "user." + "n" * 250,
           "user." + "n" * 251)  # fmt: skip
_FLAGS = (
    os.O_CREAT, os.O_CREAT, os.O_EXCL, os.O_TRUNC, os.O_APPEND, os.O_DIRECTORY, os.O_NOFOLLOW,
    os.O_CLOEXEC, os.O_PATH, os.O_TMPFILE, os.O_NOATIME, os.O_SYNC, os.O_NOCTTY, os.O_LARGEFILE,
    0o20200000 & ~os.O_DIRECTORY, 0o10, 1 << 30,
)  # fmt: skip
_AT = (0, 0, 0, 0x100, 0x1000, 0x1100, 0x200, 0x400, 0x800, 0x1400, 0x2000, 0x4000, 0x10000)


def path(rng: random.Random) -> str | int:
    """Return a path, rarely one that is none."""
    luck = rng.random()
    if luck < 0.01:
        return rng.choice((0, 1))
    if luck < 0.03:
        return rng.choice(("", "/", "//", ".", "..", "./", "../", "/..", "./.", "a/" * 2100))
    if luck < 0.05:
        slot = _FIRST + rng.randrange(SLOTS)
        roads = ("cwd/" + rng.choice(_NAMES), f"fd/{slot}", f"fd/{slot}/x", "cwd", "cwd/..")
        return "/proc/self/" + rng.choice(roads)
    parts = [_part(rng) for _ in range(rng.choice((1, 1, 1, 1, 2, 2, 2, 3, 3, 4)))]
    start = rng.choices(("", "$TREE/", "./", "../"), (20, 3, 1, 1))[0]
    end = rng.choices(("", "/", "/.", "/..", "//", "/./"), (24, 4, 1, 1, 1, 1))[0]
    return start + "/".join(parts) + end


def _part(rng: random.Random) -> str:
    luck = rng.random()
    if luck < 0.05:
        return rng.choice((".", "..", ""))
    return rng.choice(_ODD) if luck < 0.08 else rng.choice(_NAMES)


def descriptor(rng: random.Random) -> int:
    """Return the number of a descriptor, open or not."""
    luck = rng.random()
    return rng.choice((-1, 999, CWD)) if luck < 0.05 else _FIRST + rng.randrange(SLOTS)


def dirfd(rng: random.Random) -> int:
    """Return what an *at call starts from."""
    return CWD if rng.random() < 0.6 else descriptor(rng)


def _open_flags(rng: random.Random) -> int:
    flags = rng.choice((0, 0, 1, 2, 2)) | os.O_NONBLOCK
    for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
        flags |= rng.choice(_FLAGS)
    return flags


def _at_flags(rng: random.Random) -> int:
    return rng.choice(_AT) if rng.random() < 0.5 else 0


def _times(rng: random.Random) -> Any:
    if rng.random() < 0.2:
        return 0
    nanoseconds = (0, 1, 999_999_999, 1_000_000_000, (1 << 30) - 1, (1 << 30) - 2, -1)
    pairs = [[rng.randrange(900_000_000), rng.choice(nanoseconds)] for _ in range(2)]
    return ["times", pairs]


def _length(rng: random.Random) -> int:
    return rng.choice((0, 1, 5, 4096, 100_000, 1 << 40, 1 << 62, -1))


def _owner(rng: random.Random) -> int:
    return rng.choice((-1, -1, os.geteuid() or -1, 0))


def _kind(rng: random.Random) -> int:
    kinds = (0o010000, 0o010000, 0o100000, 0, 0o040000, 0o120000, 0o140000, 0o170000, 0o050000)
    return rng.choice(kinds) | rng.choice(_MODES)


def _open(rng: random.Random) -> Made:
    mode = rng.choice(_MODES)
    name = rng.choice(("open", "openat", "openat", "openat2", "creat"))
    if name == "creat":
        return name, [path(rng), mode]
    if name == "open":
        return name, [path(rng), _open_flags(rng), mode]
    if name == "openat":
        return name, [dirfd(rng), path(rng), _open_flags(rng), mode]
    flags = _open_flags(rng)
    if not flags & (os.O_CREAT | (os.O_TMPFILE & ~os.O_DIRECTORY)) and rng.random() < 0.9:
        mode = 0
    if flags & os.O_PATH and rng.random() < 0.9:
        flags &= os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    resolve = 0
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        resolve |= rng.choice((1, 2, 4, 8, 16, 64))
    size = rng.choices((24, 32, 16, 40), (20, 1, 1, 1))[0]
    return name, [dirfd(rng), path(rng), ["how", flags, mode, resolve], size]


def _stat(rng: random.Random) -> Made:
    name = rng.choice(("stat", "lstat", "fstat", "newfstatat", "newfstatat", "statx"))
    out = ["out", "stat", 512]
    if name == "fstat":
        return name, [descriptor(rng), out]
    if name == "newfstatat":
        return name, [dirfd(rng), path(rng), out, _at_flags(rng)]
    if name == "statx":
        mask = rng.choice((0, 0x7FF, 0xFFF, 0x1FFF, 1))
        return name, [dirfd(rng), path(rng), _at_flags(rng), mask, ["out", "statx", 512]]
    return name, [path(rng), out]


def _look(rng: random.Random) -> Made:
    name = rng.choice(("access", "faccessat", "faccessat2", "readlink", "readlinkat", "statfs",
                       "fstatfs"))  # fmt: skip
    mode = rng.choice((0, 1, 2, 3, 4, 5, 6, 7, 8))
    size = rng.choice((512, 512, 1, 0, -1))
    made: Makers = {
        "access": lambda: [path(rng), mode],
        "faccessat": lambda: [dirfd(rng), path(rng), mode],
        "faccessat2": lambda: [dirfd(rng), path(rng), mode, _at_flags(rng)],
        "readlink": lambda: [path(rng), ["out", "text", 512], size],
        "readlinkat": lambda: [dirfd(rng), path(rng), ["out", "text", 512], size],
        "statfs": lambda: [path(rng), ["out", "statfs", 512]],
        "fstatfs": lambda: [descriptor(rng), ["out", "statfs", 512]],
    }
    return name, made[name]()


def _make(rng: random.Random) -> Made:
    name = rng.choice(("mkdir", "mkdirat", "mknod", "mknodat", "symlink", "symlinkat", "symlink"))
    mode = rng.choice((0o755, 0o755, rng.choice(_MODES)))
    text: Any = rng.choice(_TARGETS) if rng.random() < 0.9 else path(rng)
    made: Makers = {
        "mkdir": lambda: [path(rng), mode],
        "mkdirat": lambda: [dirfd(rng), path(rng), mode],
        "mknod": lambda: [path(rng), _kind(rng), 0],
        "mknodat": lambda: [dirfd(rng), path(rng), _kind(rng), 0],
        "symlink": lambda: [text, path(rng)],
        "symlinkat": lambda: [text, dirfd(rng), path(rng)],
    }
    return name, made[name]()


def _remove(rng: random.Random) -> Made:
    name = rng.choice(("unlink", "rmdir", "unlinkat"))
    what = path(rng)
    if str(what).startswith("/proc/"):  # Refused inside with EACCES, by design.
        what = "f"
    if name == "unlinkat":
        return name, [dirfd(rng), what, rng.choice((0, 0x200, 0x200, 1))]
    return name, [what]


def _two(rng: random.Random) -> Made:
    name = rng.choice(("rename", "renameat", "renameat2", "renameat2", "link", "linkat", "linkat"))
    if name in ("rename", "link"):
        return name, [path(rng), path(rng)]
    both = [dirfd(rng), path(rng), dirfd(rng), path(rng)]
    if name == "renameat":
        return name, both
    if name == "linkat":
        return name, [*both, _at_flags(rng)]
    return name, [*both, rng.choice((0, 1, 1, 2, 2, 2, 3, 4, 8))]


def _attribute(rng: random.Random) -> Made:
    name = rng.choice(("chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "lchown", "fchown",
                       "fchownat", "utimensat", "utimensat", "truncate", "ftruncate",
                       "fallocate"))  # fmt: skip
    mode = rng.choice((0o755, 0o755, 0o644, rng.choice(_MODES)))
    made: Makers = {
        "chmod": lambda: [path(rng), mode],
        "fchmod": lambda: [descriptor(rng), mode],
        "fchmodat": lambda: [dirfd(rng), path(rng), mode],
        "fchmodat2": lambda: [dirfd(rng), path(rng), mode, _at_flags(rng)],
        "chown": lambda: [path(rng), _owner(rng), _owner(rng)],
        "lchown": lambda: [path(rng), _owner(rng), _owner(rng)],
        "fchown": lambda: [descriptor(rng), _owner(rng), _owner(rng)],
        "fchownat": lambda: [dirfd(rng), path(rng), _owner(rng), _owner(rng), _at_flags(rng)],
        "utimensat": lambda: [dirfd(rng), path(rng), _times(rng), _at_flags(rng)],
        "truncate": lambda: [path(rng), _length(rng)],
        "ftruncate": lambda: [descriptor(rng), _length(rng)],
        "fallocate": lambda: [
            descriptor(rng), rng.choice((0, 0, 1, 3, 2, 16, 8, 0x100)),
            rng.choice((0, 1, 4096, -1)), rng.choice((0, 1, 4096, 100_000, -1)),
        ],
    }  # fmt: skip
    return name, made[name]()


def _xattr(rng: random.Random) -> Made:
    who = rng.choice(("", "l", "f", "at"))
    what = rng.choice(("set", "set", "get", "list", "remove"))
    name = f"{what}xattrat" if who == "at" else f"{who}{what}xattr"
    key = rng.choice(_XATTRS)
    size, flags = rng.choice((3, 3, 3, 0, 70_000)), rng.choice((0, 0, 1, 2, 3, 4))
    room = rng.choice((512, 512, 0, 1))
    if who == "at":
        on = [dirfd(rng), path(rng), rng.choice((0, 0, 0x100, 0x1000, 0x200))]
        args = ["xattr", "abc", size, flags]
        into = ["xattr", "", room, 0]
        made: Makers = {
            "set": lambda: [*on, key, args, 16],
            "get": lambda: [*on, key, into, 16],
            "list": lambda: [*on, ["out", "list", 512], room],
            "remove": lambda: [*on, key],
        }
        return name, made[what]()
    # Since Linux 6.13 some f*xattr calls take AT_FDCWD for a descriptor: no program asks for that.
    one = descriptor(rng) if who == "f" else path(rng)
    one = -1 if one == CWD else one
    made = {
        "set": lambda: [one, key, ["value", "abc"], size, flags],
        "get": lambda: [one, key, ["out", "text", 512], room],
        "list": lambda: [one, ["out", "list", 512], room],
        "remove": lambda: [one, key],
    }
    return name, made[what]()


def _state(rng: random.Random) -> Made:
    name = rng.choice(("chdir", "chdir", "fchdir", "umask", "close", "write", "read", "lseek",
                       "getdents64", "getdents64", "getdents64"))  # fmt: skip
    fd = descriptor(rng)
    room = rng.choice((4096, 4096, 512, 100, 24, 10, 0))
    made: Makers = {
        "chdir": lambda: [path(rng)],
        "fchdir": lambda: [fd],
        "umask": lambda: [rng.choice((0o022, 0, 0o077, 0o777, 0o1022))],
        "close": lambda: [_FIRST + rng.randrange(SLOTS)],
        "write": lambda: [fd, ["value", "written"], 7],
        "read": lambda: [fd, ["out", "text", 512], 100],
        "lseek": lambda: [fd, 0, 0],
        "getdents64": lambda: [fd, ["out", "dents", 4096], room],
    }
    return name, made[name]()


_KINDS: tuple[tuple[Callable[[random.Random], Made], int], ...] = (
    (_open, 8), (_stat, 4), (_look, 4), (_make, 6), (_remove, 3), (_two, 5), (_attribute, 5),
    (_xattr, 3), (_state, 4),
)  # fmt: skip


def walk(rng: random.Random, steps: int) -> Walk:
    """Return a walk of so many *steps*."""
    makers, weights = zip(*_KINDS, strict=True)
    found = []
    for maker in rng.choices(makers, weights, k=steps):
        name, arguments = maker(rng)
        found.append([name, arguments, rng.randrange(SLOTS)])
    return found


def shrink(steps: Walk, fails: Callable[[list[Walk]], list[bool]]) -> Walk:
    """Return a shortest walk that still *fails*, which is asked about many walks at once."""
    size = max(len(steps) // 2, 1)
    while True:
        ranges = range(0, len(steps) - 1, size)  # The last step stays: it shows the difference.
        shorter = [steps[:at] + steps[min(at + size, len(steps) - 1) :] for at in ranges]
        answers = fails(shorter) if shorter else []
        if any(answers):
            steps = shorter[answers.index(True)]
        elif size == 1:
            return steps
        else:
            size = max(size // 2, 1)
