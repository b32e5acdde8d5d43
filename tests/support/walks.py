# SPDX-License-Identifier: GPL-3.0-or-later
"""Make up random walks through a file tree, for tests/guest/walker.py to take.

Where hypothesis makes a walk shorter, first options take the place of others: see dice.py.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tests.support.dice import Dice, several

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import SearchStrategy

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


def path(dice: Dice) -> Any:
    """Return a path, rarely one that is none."""
    sort = dice.weighted(("names", "process", "odd", "none"), (95, 2, 2, 1))
    if sort == "none":
        return dice.choice((0, 1, ["hole"], ["edge", "a"], ["edge", "f"], ["edge", "f\0"]))
    if sort == "odd":
        return dice.choice(("", "/", "//", ".", "..", "./", "../", "/..", "./.", "a/" * 2100))
    if sort == "process":
        fd = slot(dice)
        name = dice.choice(_NAMES)
        roads = (f"cwd/{name}", f"fd/{fd}", f"fd/{fd}/{name}", "cwd", "cwd/..", f"fd/{fd}/..")
        start = dice.choice(("/proc/self/", "/proc/self/", "/proc/thread-self/", "/dev/"))
        return start + (f"fd/{fd}" if start == "/dev/" else dice.choice(roads))
    parts = [_part(dice) for _ in range(dice.choice((1, 1, 1, 1, 2, 2, 2, 3, 3, 4)))]
    start = dice.weighted(("", "$TREE/", "./", "../"), (20, 3, 1, 1))
    end = dice.weighted(("", "/", "/.", "/..", "//", "/./"), (24, 4, 1, 1, 1, 1))
    return start + "/".join(parts) + end


def _part(dice: Dice) -> str:
    return dice.choice(dice.weighted((_NAMES, (".", "..", ""), _ODD), (92, 5, 3)))


def dirty(dice: Dice, number: int) -> Any:
    """Return *number* for an argument that the kernel reads as an int: what is above is garbage."""
    return ["dirty", number] if dice.rarely(2) else number


def descriptor(dice: Dice) -> Any:
    """Return the number of a descriptor, open or not."""
    if dice.rarely(5):
        return dirty(dice, dice.choice((-1, 999, CWD)))
    return dirty(dice, slot(dice))


def slot(dice: Dice) -> int:
    """Return the number of a descriptor that a step may have made."""
    return _FIRST + dice.below(SLOTS)


def dirfd(dice: Dice) -> Any:
    """Return what an *at call starts from."""
    return dirty(dice, CWD) if not dice.rarely(40) else descriptor(dice)


def out(dice: Dice, what: str, size: int = 512) -> Any:
    """Return a buffer that a call fills and that is shown as *what*, rarely none."""
    return dice.choice((0, ["hole"], ["half"])) if dice.rarely(2) else ["out", what, size]


def _open_flags(dice: Dice) -> int:
    flags = dice.choice((0, 0, 1, 2, 2)) | os.O_NONBLOCK
    for _ in range(dice.choice((0, 0, 1, 1, 2, 3))):
        flags |= dice.choice(_FLAGS)
    return flags


def _at_flags(dice: Dice) -> Any:
    return dirty(dice, dice.choice(_AT) if dice.rarely(50) else 0)


def _times(dice: Dice) -> Any:
    if dice.rarely(20):
        return dice.choice((0, 0, 0, 0, ["hole"], ["half"]))
    nanoseconds = (0, 1, 999_999_999, 1_000_000_000, (1 << 30) - 1, (1 << 30) - 2, -1)
    pairs = [(dice.below(900_000_000), dice.choice(nanoseconds)) for _ in range(2)]
    return ["words", [*pairs[0], *pairs[1]]]


def _old_times(dice: Dice, fraction: bool) -> Any:
    if dice.rarely(20):
        return dice.choice((0, 0, ["hole"], ["half"]))
    seconds = [dice.choice((0, -1, dice.below(900_000_000))) for _ in range(2)]
    if not fraction:
        return ["words", seconds]
    parts = [dice.choice((0, 1, 999_999, 1_000_000, -1)) for _ in range(2)]
    return ["words", [seconds[0], parts[0], seconds[1], parts[1]]]


def _length(dice: Dice) -> int:
    return dice.choice((0, 1, 5, 4096, 100_000, 1 << 40, 1 << 62, -1))


def _owner(dice: Dice) -> Any:
    return dice.choice((-1, -1, ["me"], ["me"], 0, 12345, 1 << 32))


def _kind(dice: Dice) -> int:
    kinds = (0o010000, 0o010000, 0o100000, 0, 0o040000, 0o120000, 0o140000, 0o170000, 0o050000)
    return dice.choice(kinds) | dice.choice(_MODES)


def _open(dice: Dice) -> Made:
    mode = dice.choice(_MODES)
    name = dice.choice(("open", "openat", "openat", "openat2", "creat"))
    if name == "creat":
        return name, [path(dice), mode]
    if name == "open":
        return name, [path(dice), dirty(dice, _open_flags(dice)), dirty(dice, mode)]
    if name == "openat":
        return name, [dirfd(dice), path(dice), _open_flags(dice), mode]
    flags = _open_flags(dice)
    if not flags & (os.O_CREAT | (os.O_TMPFILE & ~os.O_DIRECTORY)) and not dice.rarely(10):
        mode = 0
    if flags & os.O_PATH and not dice.rarely(10):
        flags &= os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    resolve = 0
    for _ in range(dice.choice((0, 0, 1, 1, 2))):
        resolve |= dice.choice((1, 2, 4, 8, 16, 64))
    size = dice.weighted((24, 32, 16, 40), (20, 1, 1, 1))
    how: Any = ["how", flags, mode, resolve] if not dice.rarely(2) else ["half"]
    return name, [dirfd(dice), path(dice), how, size]


def _stat(dice: Dice) -> Made:
    name = dice.choice(("stat", "lstat", "fstat", "newfstatat", "newfstatat", "statx"))
    if name == "fstat":
        return name, [descriptor(dice), out(dice, "stat")]
    if name == "newfstatat":
        return name, [dirfd(dice), path(dice), out(dice, "stat"), _at_flags(dice)]
    if name == "statx":
        mask = dice.choice((0, 0x7FF, 0xFFF, 0x1FFF, 1))
        return name, [dirfd(dice), path(dice), _at_flags(dice), mask, out(dice, "statx")]
    return name, [path(dice), out(dice, "stat")]


def _look(dice: Dice) -> Made:
    name = dice.choice(("access", "faccessat", "faccessat2", "readlink", "readlinkat", "statfs",
                       "fstatfs"))  # fmt: skip
    mode = dirty(dice, dice.choice((0, 1, 2, 3, 4, 5, 6, 7, 8)))
    size = dice.choice((512, 512, 1, 0, -1))
    made: Makers = {
        "access": lambda: [path(dice), mode],
        "faccessat": lambda: [dirfd(dice), path(dice), mode],
        "faccessat2": lambda: [dirfd(dice), path(dice), mode, _at_flags(dice)],
        "readlink": lambda: [path(dice), out(dice, "text"), size],
        "readlinkat": lambda: [dirfd(dice), path(dice), out(dice, "text"), size],
        "statfs": lambda: [path(dice), out(dice, "statfs")],
        "fstatfs": lambda: [descriptor(dice), out(dice, "statfs")],
    }
    return name, made[name]()


def _make(dice: Dice) -> Made:
    name = dice.choice(("mkdir", "mkdirat", "mknod", "mknodat", "symlink", "symlinkat", "symlink",
                       "bind"))  # fmt: skip
    mode = dirty(dice, dice.choice((0o755, 0o755, dice.choice(_MODES))))
    text: Any = dice.choice(_TARGETS) if not dice.rarely(10) else path(dice)
    made: Makers = {
        "mkdir": lambda: [path(dice), mode],
        "mkdirat": lambda: [dirfd(dice), path(dice), mode],
        "mknod": lambda: [path(dice), _kind(dice), 0],
        "mknodat": lambda: [dirfd(dice), path(dice), _kind(dice), 0],
        "symlink": lambda: [text, path(dice)],
        "symlinkat": lambda: [text, dirfd(dice), path(dice)],
        "bind": lambda: ["/".join(_part(dice) for _ in range(dice.choice((1, 1, 2))))[:100]],
    }
    return name, made[name]()


def _remove(dice: Dice) -> Made:
    name = dice.choice(("unlink", "rmdir", "unlinkat"))
    what = path(dice)
    if str(what).startswith(("/proc/", "/dev/fd/")):  # Refused inside with EACCES, by design.
        what = "f"
    if name == "unlinkat":
        return name, [dirfd(dice), what, dirty(dice, dice.choice((0, 0x200, 0x200, 1)))]
    return name, [what]


def _two(dice: Dice) -> Made:
    name = dice.choice(("rename", "renameat", "renameat2", "renameat2", "link", "linkat", "linkat"))
    if name in ("rename", "link"):
        return name, [path(dice), path(dice)]
    both = [dirfd(dice), path(dice), dirfd(dice), path(dice)]
    if name == "renameat":
        return name, both
    if name == "linkat":
        return name, [*both, _at_flags(dice)]
    return name, [*both, dirty(dice, dice.choice((0, 1, 1, 2, 2, 2, 3, 4, 5, 6, 8)))]


def _attribute(dice: Dice) -> Made:
    name = dice.choice(("chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "lchown", "fchown",
                       "fchownat", "utimensat", "utimensat", "utime", "utimes", "futimesat",
                       "truncate", "ftruncate", "fallocate"))  # fmt: skip
    mode = dirty(dice, dice.choice((0o755, 0o755, 0o644, dice.choice(_MODES))))
    made: Makers = {
        "chmod": lambda: [path(dice), mode],
        "fchmod": lambda: [descriptor(dice), mode],
        "fchmodat": lambda: [dirfd(dice), path(dice), mode],
        "fchmodat2": lambda: [dirfd(dice), path(dice), mode, _at_flags(dice)],
        "chown": lambda: [path(dice), _owner(dice), _owner(dice)],
        "lchown": lambda: [path(dice), _owner(dice), _owner(dice)],
        "fchown": lambda: [descriptor(dice), _owner(dice), _owner(dice)],
        "fchownat": lambda: [dirfd(dice), path(dice), _owner(dice), _owner(dice), _at_flags(dice)],
        "utimensat": lambda: [dirfd(dice), path(dice), _times(dice), _at_flags(dice)],
        "utime": lambda: [path(dice), _old_times(dice, False)],
        "utimes": lambda: [path(dice), _old_times(dice, True)],
        "futimesat": lambda: [dirfd(dice), path(dice), _old_times(dice, True)],
        "truncate": lambda: [path(dice), _length(dice)],
        "ftruncate": lambda: [descriptor(dice), _length(dice)],
        "fallocate": lambda: [
            descriptor(dice), dirty(dice, dice.choice((0, 0, 1, 3, 2, 16, 8, 0x20, 0x40, 0x100))),
            dice.choice((0, 1, 4096, -1)), dice.choice((0, 1, 4096, 100_000, -1)),
        ],
    }  # fmt: skip
    return name, made[name]()


def _xattr(dice: Dice) -> Made:
    who = dice.choice(("", "l", "f", "at"))
    what = dice.choice(("set", "set", "get", "list", "remove"))
    name = f"{what}xattrat" if who == "at" else f"{who}{what}xattr"
    key = dice.choice(_XATTRS)
    size, flags = dice.choice((3, 3, 3, 0, 70_000)), dice.choice((0, 0, 1, 2, 3, 4))
    room = dice.choice((512, 512, 0, 1))
    if who == "at":
        on = [dirfd(dice), path(dice), dice.choice((0, 0, 0x100, 0x1000, 0x200))]
        args = ["xattr", "abc", size, flags]
        into = ["xattr", "", room, 0]
        made: Makers = {
            "set": lambda: [*on, key, args, 16],
            "get": lambda: [*on, key, into, 16],
            "list": lambda: [*on, out(dice, "list"), room],
            "remove": lambda: [*on, key],
        }
        return name, made[what]()
    # Since Linux 6.13 some f*xattr calls take AT_FDCWD for a descriptor: no program asks for that.
    one = descriptor(dice) if who == "f" else path(dice)
    one = -1 if one in (CWD, ["dirty", CWD]) else one
    made = {
        "set": lambda: [one, key, ["value", "abc"], size, dirty(dice, flags)],
        "get": lambda: [one, key, out(dice, "text"), room],
        "list": lambda: [one, out(dice, "list"), room],
        "remove": lambda: [one, key],
    }
    return name, made[what]()


def _state(dice: Dice) -> Made:
    name = dice.choice(("chdir", "chdir", "fchdir", "umask", "close", "write", "read", "lseek"))
    fd = descriptor(dice)
    made: Makers = {
        "chdir": lambda: [path(dice)],
        "fchdir": lambda: [fd],
        "umask": lambda: [dice.choice((0o022, 0, 0o077, 0o777, 0o1022))],
        "close": lambda: [slot(dice)],
        "write": lambda: [fd, ["value", "written"], 7],
        "read": lambda: [fd, ["out", "text", 512], 100],
        "lseek": lambda: [fd, 0, 0],
    }
    return name, made[name]()


def _listing(dice: Dice) -> Made:
    name = dice.choice(("getdents64", "getdents64", "getdents", "seekdir"))
    fd = slot(dice)
    room = dice.choice((4096, 4096, 512, 300, 100, 64, 24, 10, 0))
    what = "dents" if name == "getdents64" else "old dents"
    if name == "seekdir":
        return name, [fd, dice.below(20)]
    return name, [fd, out(dice, what, 4096), room]


def _watch(dice: Dice) -> Made:
    name = dice.choice(("inotify_add_watch", "inotify_add_watch", "inotify_rm_watch", "events",
                       "events", "fanotify_mark"))  # fmt: skip
    made: Makers = {
        "inotify_add_watch": lambda: [slot(dice), path(dice), dirty(dice, _watched(dice))],
        "inotify_rm_watch": lambda: [slot(dice), dice.choice((1, 1, 2, 3, 9, -1))],
        "events": lambda: [slot(dice)],
        "fanotify_mark": lambda: [
            slot(dice), dice.choice((1, 1, 2, 5, 9, 3, 0, 0x80, 0x11, 0x101, 0x201)),
            dice.choice((8, 2, 0x20, 0x100, 0x4000_0020, 0, 1 << 40, 0x10000)),
            dirfd(dice), path(dice),
        ],
    }  # fmt: skip
    return name, made[name]()


def _watched(dice: Dice) -> int:
    mask = dice.choice((0xFFF, 0xFFF, 0xFFF, 0x100, 0x200, 4, 0x400, 0x20, 0, 0x1000, 1 << 20))
    for _ in range(dice.choice((0, 0, 1, 2))):
        mask |= dice.choice((1 << 24, 1 << 25, 1 << 26, 1 << 28, 1 << 29, 1 << 31, 1 << 30))
    return mask


def _anonymous(dice: Dice) -> Made:
    """Return a call that makes a descriptor without a name: other calls then meet it."""
    name = dice.choice(("memfd_create", "eventfd2", "epoll_create1", "timerfd_create", "signalfd4",
                       "inotify_init1", "inotify_init1", "inotify_init1", "fanotify_init",
                       "socket"))  # fmt: skip
    flags = dirty(dice, dice.choice((0, 0, os.O_CLOEXEC, os.O_NONBLOCK, 1, 2, 0x40)))
    names = ("m", "", "a b", "n" * 249, "n" * 250, "/x")
    known: Makers = {
        "memfd_create": lambda: [dice.choice(names), dice.choice((0, 1, 2, 3, 0x10, 0x18, 0x40))],
        "eventfd2": lambda: [3, flags],
        "epoll_create1": lambda: [flags],
        "timerfd_create": lambda: [dice.choice((0, 1, 2, 7, 8, 9, 11, -1)), flags],
        "signalfd4": lambda: [-1, ["words", [0]], dice.choice((8, 8, 8, 4)), flags],
        "inotify_init1": lambda: [os.O_NONBLOCK | dice.choice((0, 0, os.O_CLOEXEC, 1))],
        "fanotify_init": lambda: [
            dice.choice((0x200, 0x202, 0xC00, 0, 4, 0x20)),
            dice.choice((0, 2)),
        ],
        "socket": lambda: [1, dice.choice((1, 2, 5, 1 | os.O_NONBLOCK)), 0],
    }
    return name, known[name]()


def _use(dice: Dice) -> Made:
    """Return a call that executes or connects to an object."""
    if dice.rarely(50):
        return "connect", ["/".join(_part(dice) for _ in range(dice.choice((1, 1, 2))))[:100]]
    # A null pointer is killed inside, by design.
    flags = dice.choice((0, 0, 0x100, 0x1000, 0x1100, 0x200))
    return "spawn", [dirfd(dice), path(dice) or ["hole"], flags]


_KINDS: tuple[tuple[Callable[[Dice], Made], int], ...] = (
    (_open, 16), (_stat, 8), (_look, 8), (_make, 12), (_remove, 6), (_two, 10), (_attribute, 12),
    (_xattr, 6), (_state, 6), (_listing, 4), (_watch, 4), (_anonymous, 2), (_use, 1),
)  # fmt: skip
_MAKERS, _WEIGHTS = zip(*_KINDS, strict=True)


def _step(dice: Dice) -> Step | None:
    """Return a step, or None, which is the plainest."""
    maker = dice.weighted((None, *_MAKERS), (1, *_WEIGHTS))
    if maker is None:
        return None
    name, arguments = maker(dice)
    who = dice.weighted((0, 1, 2, 3), (20, 1, 1, 1))
    return [name, arguments, dice.below(SLOTS), who]


def walks(length: int) -> SearchStrategy[Walk]:
    """Return a strategy for walks of at most *length* steps."""
    return several(_step, length)
