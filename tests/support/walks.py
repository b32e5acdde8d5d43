# SPDX-License-Identifier: GPL-3.0-or-later
"""Make up random walks through a file tree, for tests/guest/walker.py to take."""

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
    "slash", "wrong", "newslash", "fifo", "locked", "blind", "none", "nowhere", "program", "many",
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


def path(rng: random.Random) -> Any:
    """Return a path, rarely one that is none."""
    luck = rng.random()
    if luck < 0.01:
        return rng.choice((0, 1, ["hole"], ["edge", "a"], ["edge", "f"], ["edge", "f\0"]))
    if luck < 0.03:
        return rng.choice(("", "/", "//", ".", "..", "./", "../", "/..", "./.", "a/" * 2100))
    if luck < 0.05:
        slot = _FIRST + rng.randrange(SLOTS)
        name = rng.choice(_NAMES)
        roads = (f"cwd/{name}", f"fd/{slot}", f"fd/{slot}/{name}", "cwd", "cwd/..", f"fd/{slot}/..")
        start = rng.choice(("/proc/self/", "/proc/self/", "/proc/thread-self/", "/dev/"))
        return start + (f"fd/{slot}" if start == "/dev/" else rng.choice(roads))
    parts = [_part(rng) for _ in range(rng.choice((1, 1, 1, 1, 2, 2, 2, 3, 3, 4)))]
    start = rng.choices(("", "$TREE/", "./", "../"), (20, 3, 1, 1))[0]
    end = rng.choices(("", "/", "/.", "/..", "//", "/./"), (24, 4, 1, 1, 1, 1))[0]
    return start + "/".join(parts) + end


def _part(rng: random.Random) -> str:
    luck = rng.random()
    if luck < 0.05:
        return rng.choice((".", "..", ""))
    return rng.choice(_ODD) if luck < 0.08 else rng.choice(_NAMES)


def dirty(rng: random.Random, number: int) -> Any:
    """Return *number* for an argument that the kernel reads as an int: what is above is garbage."""
    return ["dirty", number] if rng.random() < 0.02 else number


def descriptor(rng: random.Random) -> Any:
    """Return the number of a descriptor, open or not."""
    if rng.random() < 0.05:
        return dirty(rng, rng.choice((-1, 999, CWD)))
    return dirty(rng, slot(rng))


def slot(rng: random.Random) -> int:
    """Return the number of a descriptor that a step may have made."""
    return _FIRST + rng.randrange(SLOTS)


def dirfd(rng: random.Random) -> Any:
    """Return what an *at call starts from."""
    return dirty(rng, CWD) if rng.random() < 0.6 else descriptor(rng)


def out(rng: random.Random, what: str, size: int = 512) -> Any:
    """Return a buffer that a call fills and that is shown as *what*, rarely none."""
    return rng.choice((0, ["hole"], ["half"])) if rng.random() < 0.02 else ["out", what, size]


def _open_flags(rng: random.Random) -> int:
    flags = rng.choice((0, 0, 1, 2, 2)) | os.O_NONBLOCK
    for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
        flags |= rng.choice(_FLAGS)
    return flags


def _at_flags(rng: random.Random) -> Any:
    return dirty(rng, rng.choice(_AT) if rng.random() < 0.5 else 0)


def _times(rng: random.Random) -> Any:
    if rng.random() < 0.2:
        return rng.choice((0, 0, 0, 0, ["hole"], ["half"]))
    nanoseconds = (0, 1, 999_999_999, 1_000_000_000, (1 << 30) - 1, (1 << 30) - 2, -1)
    pairs = [(rng.randrange(900_000_000), rng.choice(nanoseconds)) for _ in range(2)]
    return ["words", [*pairs[0], *pairs[1]]]


def _old_times(rng: random.Random, fraction: bool) -> Any:
    if rng.random() < 0.2:
        return rng.choice((0, 0, ["hole"], ["half"]))
    seconds = [rng.choice((0, -1, rng.randrange(900_000_000))) for _ in range(2)]
    if not fraction:
        return ["words", seconds]
    parts = [rng.choice((0, 1, 999_999, 1_000_000, -1)) for _ in range(2)]
    return ["words", [seconds[0], parts[0], seconds[1], parts[1]]]


def _length(rng: random.Random) -> int:
    return rng.choice((0, 1, 5, 4096, 100_000, 1 << 40, 1 << 62, -1))


def _owner(rng: random.Random) -> Any:
    return rng.choice((-1, -1, ["me"], ["me"], 0, 12345, 1 << 32))


def _kind(rng: random.Random) -> int:
    kinds = (0o010000, 0o010000, 0o100000, 0, 0o040000, 0o120000, 0o140000, 0o170000, 0o050000)
    return rng.choice(kinds) | rng.choice(_MODES)


def _open(rng: random.Random) -> Made:
    mode = rng.choice(_MODES)
    name = rng.choice(("open", "openat", "openat", "openat2", "creat"))
    if name == "creat":
        return name, [path(rng), mode]
    if name == "open":
        return name, [path(rng), dirty(rng, _open_flags(rng)), dirty(rng, mode)]
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
    how: Any = ["how", flags, mode, resolve] if rng.random() < 0.98 else ["half"]
    return name, [dirfd(rng), path(rng), how, size]


def _stat(rng: random.Random) -> Made:
    name = rng.choice(("stat", "lstat", "fstat", "newfstatat", "newfstatat", "statx"))
    if name == "fstat":
        return name, [descriptor(rng), out(rng, "stat")]
    if name == "newfstatat":
        return name, [dirfd(rng), path(rng), out(rng, "stat"), _at_flags(rng)]
    if name == "statx":
        mask = rng.choice((0, 0x7FF, 0xFFF, 0x1FFF, 1))
        return name, [dirfd(rng), path(rng), _at_flags(rng), mask, out(rng, "statx")]
    return name, [path(rng), out(rng, "stat")]


def _look(rng: random.Random) -> Made:
    name = rng.choice(("access", "faccessat", "faccessat2", "readlink", "readlinkat", "statfs",
                       "fstatfs"))  # fmt: skip
    mode = dirty(rng, rng.choice((0, 1, 2, 3, 4, 5, 6, 7, 8)))
    size = rng.choice((512, 512, 1, 0, -1))
    made: Makers = {
        "access": lambda: [path(rng), mode],
        "faccessat": lambda: [dirfd(rng), path(rng), mode],
        "faccessat2": lambda: [dirfd(rng), path(rng), mode, _at_flags(rng)],
        "readlink": lambda: [path(rng), out(rng, "text"), size],
        "readlinkat": lambda: [dirfd(rng), path(rng), out(rng, "text"), size],
        "statfs": lambda: [path(rng), out(rng, "statfs")],
        "fstatfs": lambda: [descriptor(rng), out(rng, "statfs")],
    }
    return name, made[name]()


def _make(rng: random.Random) -> Made:
    name = rng.choice(("mkdir", "mkdirat", "mknod", "mknodat", "symlink", "symlinkat", "symlink",
                       "bind"))  # fmt: skip
    mode = dirty(rng, rng.choice((0o755, 0o755, rng.choice(_MODES))))
    text: Any = rng.choice(_TARGETS) if rng.random() < 0.9 else path(rng)
    made: Makers = {
        "mkdir": lambda: [path(rng), mode],
        "mkdirat": lambda: [dirfd(rng), path(rng), mode],
        "mknod": lambda: [path(rng), _kind(rng), 0],
        "mknodat": lambda: [dirfd(rng), path(rng), _kind(rng), 0],
        "symlink": lambda: [text, path(rng)],
        "symlinkat": lambda: [text, dirfd(rng), path(rng)],
        "bind": lambda: ["/".join(_part(rng) for _ in range(rng.choice((1, 1, 2))))[:100]],
    }
    return name, made[name]()


def _remove(rng: random.Random) -> Made:
    name = rng.choice(("unlink", "rmdir", "unlinkat"))
    what = path(rng)
    if str(what).startswith(("/proc/", "/dev/fd/")):  # Refused inside with EACCES, by design.
        what = "f"
    if name == "unlinkat":
        return name, [dirfd(rng), what, dirty(rng, rng.choice((0, 0x200, 0x200, 1)))]
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
    return name, [*both, dirty(rng, rng.choice((0, 1, 1, 2, 2, 2, 3, 4, 5, 6, 8)))]


def _attribute(rng: random.Random) -> Made:
    name = rng.choice(("chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "lchown", "fchown",
                       "fchownat", "utimensat", "utimensat", "utime", "utimes", "futimesat",
                       "truncate", "ftruncate", "fallocate"))  # fmt: skip
    mode = dirty(rng, rng.choice((0o755, 0o755, 0o644, rng.choice(_MODES))))
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
        "utime": lambda: [path(rng), _old_times(rng, False)],
        "utimes": lambda: [path(rng), _old_times(rng, True)],
        "futimesat": lambda: [dirfd(rng), path(rng), _old_times(rng, True)],
        "truncate": lambda: [path(rng), _length(rng)],
        "ftruncate": lambda: [descriptor(rng), _length(rng)],
        "fallocate": lambda: [
            descriptor(rng), dirty(rng, rng.choice((0, 0, 1, 3, 2, 16, 8, 0x20, 0x40, 0x100))),
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
            "list": lambda: [*on, out(rng, "list"), room],
            "remove": lambda: [*on, key],
        }
        return name, made[what]()
    # Since Linux 6.13 some f*xattr calls take AT_FDCWD for a descriptor: no program asks for that.
    one = descriptor(rng) if who == "f" else path(rng)
    one = -1 if one in (CWD, ["dirty", CWD]) else one
    made = {
        "set": lambda: [one, key, ["value", "abc"], size, dirty(rng, flags)],
        "get": lambda: [one, key, out(rng, "text"), room],
        "list": lambda: [one, out(rng, "list"), room],
        "remove": lambda: [one, key],
    }
    return name, made[what]()


def _state(rng: random.Random) -> Made:
    name = rng.choice(("chdir", "chdir", "fchdir", "umask", "close", "write", "read", "lseek"))
    fd = descriptor(rng)
    made: Makers = {
        "chdir": lambda: [path(rng)],
        "fchdir": lambda: [fd],
        "umask": lambda: [rng.choice((0o022, 0, 0o077, 0o777, 0o1022))],
        "close": lambda: [slot(rng)],
        "write": lambda: [fd, ["value", "written"], 7],
        "read": lambda: [fd, ["out", "text", 512], 100],
        "lseek": lambda: [fd, 0, 0],
    }
    return name, made[name]()


def _listing(rng: random.Random) -> Made:
    name = rng.choice(("getdents64", "getdents64", "getdents", "seekdir"))
    fd = slot(rng)
    room = rng.choice((4096, 4096, 512, 300, 100, 64, 24, 10, 0))
    what = "dents" if name == "getdents64" else "old dents"
    if name == "seekdir":
        return name, [fd, rng.randrange(20)]
    return name, [fd, out(rng, what, 4096), room]


def _watch(rng: random.Random) -> Made:
    name = rng.choice(("inotify_add_watch", "inotify_add_watch", "inotify_rm_watch", "events",
                       "events", "fanotify_mark"))  # fmt: skip
    made: Makers = {
        "inotify_add_watch": lambda: [slot(rng), path(rng), dirty(rng, _watched(rng))],
        "inotify_rm_watch": lambda: [slot(rng), rng.choice((1, 1, 2, 3, 9, -1))],
        "events": lambda: [slot(rng)],
        "fanotify_mark": lambda: [
            slot(rng), rng.choice((1, 1, 2, 5, 9, 3, 0, 0x80, 0x11, 0x101, 0x201)),
            rng.choice((8, 2, 0x20, 0x100, 0x4000_0020, 0, 1 << 40, 0x10000)),
            dirfd(rng), path(rng),
        ],
    }  # fmt: skip
    return name, made[name]()


def _watched(rng: random.Random) -> int:
    mask = rng.choice((0xFFF, 0xFFF, 0xFFF, 0x100, 0x200, 4, 0x400, 0x20, 0, 0x1000, 1 << 20))
    for _ in range(rng.choice((0, 0, 1, 2))):
        mask |= rng.choice((1 << 24, 1 << 25, 1 << 26, 1 << 28, 1 << 29, 1 << 31, 1 << 30))
    return mask


def _anonymous(rng: random.Random) -> Made:
    """Return a call that makes a descriptor without a name: other calls then meet it."""
    name = rng.choice(("memfd_create", "eventfd2", "epoll_create1", "timerfd_create", "signalfd4",
                       "inotify_init1", "inotify_init1", "inotify_init1", "fanotify_init",
                       "socket"))  # fmt: skip
    flags = dirty(rng, rng.choice((0, 0, os.O_CLOEXEC, os.O_NONBLOCK, 1, 2, 0x40)))
    names = ("m", "", "a b", "n" * 249, "n" * 250, "/x")
    known: Makers = {
        "memfd_create": lambda: [rng.choice(names), rng.choice((0, 1, 2, 3, 0x10, 0x18, 0x40))],
        "eventfd2": lambda: [3, flags],
        "epoll_create1": lambda: [flags],
        "timerfd_create": lambda: [rng.choice((0, 1, 2, 7, 8, 9, 11, -1)), flags],
        "signalfd4": lambda: [-1, ["words", [0]], rng.choice((8, 8, 8, 4)), flags],
        "inotify_init1": lambda: [os.O_NONBLOCK | rng.choice((0, 0, os.O_CLOEXEC, 1))],
        "fanotify_init": lambda: [
            rng.choice((0x200, 0x202, 0xC00, 0, 4, 0x20)),
            rng.choice((0, 2)),
        ],
        "socket": lambda: [1, rng.choice((1, 2, 5, 1 | os.O_NONBLOCK)), 0],
    }
    return name, known[name]()


def _use(rng: random.Random) -> Made:
    """Return a call that executes or connects to an object."""
    if rng.random() < 0.5:
        return "connect", ["/".join(_part(rng) for _ in range(rng.choice((1, 1, 2))))[:100]]
    # A null pointer is killed inside, by design.
    flags = rng.choice((0, 0, 0x100, 0x1000, 0x1100, 0x200))
    return "spawn", [dirfd(rng), path(rng) or ["hole"], flags]


_KINDS: tuple[tuple[Callable[[random.Random], Made], float], ...] = (
    (_open, 8), (_stat, 4), (_look, 4), (_make, 6), (_remove, 3), (_two, 5), (_attribute, 6),
    (_xattr, 3), (_state, 3), (_listing, 2), (_watch, 2), (_anonymous, 1), (_use, 0.5),
)  # fmt: skip


def walk(rng: random.Random, steps: int) -> Walk:
    """Return a walk of so many *steps*."""
    makers, weights = zip(*_KINDS, strict=True)
    found = []
    for maker in rng.choices(makers, weights, k=steps):
        name, arguments = maker(rng)
        who = rng.choices((0, 1, 2, 3), (20, 1, 1, 1))[0]
        found.append([name, arguments, rng.randrange(SLOTS), who])
    return found
