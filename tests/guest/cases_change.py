# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases for the calls that change a file system: names, links, modes, times, lengths."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

from cases_open import O_PATH, kind
from rawcalls import (
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_REMOVEDIR,
    AT_SYMLINK_FOLLOW,
    AT_SYMLINK_NOFOLLOW,
    at_end_of_page,
    unmapped_page,
)

if TYPE_CHECKING:
    from run_cases import Tree

DIRTY = 0x7EAD_BEEF_0000_0000
TARGETS = (
    b"file", b"file/", b"absent", b"absent/", b"link", b"link/", b"dirlink", b"dirlink/",
    b"dangling", b"dangling/", b"loop", b"dir", b"dir/", b"dir/.", b"dir/..", b"hollow", b"hollow/",
    b"hollow/.", b"hollow/..", b".", b"..", b"/", b"", b"locked/inside", b"locked/new",
    b"blind/inside", b"file/x", b"absent/x", b"dir/inner", b"dir/sub", b"fifo",
    b"n" * 256, b"/proc/self/x",
)  # fmt: skip
# Of two errors at once, such as no such file and another file system, either may come first.
PLACES = TARGETS[:-1]


def each(t: Tree, attempt: object, names: tuple[bytes, ...] = TARGETS) -> object:
    """Try *attempt* on each name in turn, in one tree; return the answers and what remains."""
    answers = {name.decode()[:20]: attempt(name) for name in names}  # type: ignore[operator]
    return [answers, t.names(), t.names(b"dir"), t.names(b"locked")]


def case_unlink_of_every_sort_of_name(t: Tree) -> object:
    return each(t, lambda name: t("unlink", name))


def case_rmdir_of_every_sort_of_name(t: Tree) -> object:
    return each(t, lambda name: t("rmdir", name))


def case_unlinkat_of_every_sort_of_name(t: Tree) -> object:
    return each(t, lambda name: t("unlinkat", AT_FDCWD, name, 0))


def case_unlinkat_of_directories(t: Tree) -> object:
    return each(t, lambda name: t("unlinkat", AT_FDCWD, name, AT_REMOVEDIR))


def case_unlinkat_by_descriptor(t: Tree) -> object:
    fd = t.fd(b"dir")
    return [
        t("unlinkat", fd, b"inner", 0),
        t("unlinkat", fd, b"sub", 0),
        t("unlinkat", fd, b"sub", AT_REMOVEDIR),
        t("unlinkat", fd, b"sub", 1),
        t("unlinkat", 99, b"x", 0),
        t("unlinkat", t.fd(b"file"), b"x", 0),
        t("unlinkat", fd, b"", 0),
        t("unlinkat", DIRTY | fd, b"../other", 0),
        t.names(b"dir"),
        t.names(),
    ]


def case_mkdir_of_every_sort_of_name(t: Tree) -> object:
    return each(t, lambda name: t("mkdir", name, 0o755))


def case_mkdir_modes_and_masks(t: Tree) -> object:
    seen = []
    for mask in (0, 0o027, 0o777):
        os.umask(mask)
        for mode in (0, 0o700, 0o777, 0o1777):
            name = b"new-%o-%o" % (mask, mode)
            seen.append([t("mkdir", name, mode), t.look(name)])
    return seen


def case_mkdirat(t: Tree) -> object:
    fd = t.fd(b"dir")
    return [
        t("mkdirat", fd, b"made", 0o755),
        t("mkdirat", fd, b"made/deep/", 0o755),
        t("mkdirat", fd, b"made", 0o755),
        t("mkdirat", fd, b"", 0o755),
        t("mkdirat", 99, b"x", 0o755),
        t("mkdirat", 99, t.root + b"/absolute-dir", 0o755),
        t("mkdirat", t.fd(b"file"), b"x", 0o755),
        t.names(b"dir"),
        t.names(),
    ]


def case_in_a_directory_that_was_removed(t: Tree) -> object:
    os.chdir(b"hollow")
    os.rmdir(b"../hollow")
    return [
        t("mkdir", b"x", 0o755),
        t("symlink", b"x", b"y"),
        t("unlink", b"x"),
        t("rename", b"../file", b"x"),
        t("rename", b"x", b"../y"),
        t("link", b"../file", b"x"),
        t("mkdir", b"../made", 0o755),
        t("rmdir", b"."),
        t.names(b".."),
    ]


def case_rename_of_every_sort_of_name(t: Tree) -> object:
    return each(t, lambda name: t("rename", name, b"new"), PLACES)


def case_rename_to_every_sort_of_name(t: Tree) -> object:
    def attempt(name: bytes) -> object:
        t.write(b"source", b"source\n")
        return t("rename", b"source", name)

    return each(t, attempt, PLACES)


def case_rename_of_a_directory_to_every_sort_of_name(t: Tree) -> object:
    def attempt(name: bytes) -> object:
        os.makedirs(b"source", exist_ok=True)
        return t("rename", b"source", name)

    return each(t, attempt, PLACES)


def case_rename_into_itself(t: Tree) -> object:
    return [
        t("rename", b"dir", b"dir/sub/x"),
        t("rename", b"dir", b"dir/x"),
        t("rename", b"dir/sub", b"dir"),
        t("rename", b"file", b"file"),
        t("rename", b"dir", b"dir"),
        t("rename", b"dir/", b"renamed/"),
        t("rename", b"file", b"filed/"),
        t.names(),
    ]


def case_renameat2_flags(t: Tree) -> object:
    answers = {}
    for flags in (0, 1, 2, 3, 4, 6, 8, 1 << 20):
        for old, new in (
            (b"file", b"other"),
            (b"file", b"new"),
            (b"dir", b"file"),
            (b"absent", b"x"),
        ):
            answer = t("renameat2", AT_FDCWD, old, AT_FDCWD, new, flags)
            answers[f"{flags} {old.decode()} {new.decode()}"] = answer
            if answer == 0:
                state = [t.names(), t.look(b"file") if os.path.lexists(b"file") else None]
                answers[f"{flags} {old.decode()} {new.decode()} after"] = state
                if flags & 2 == 0 and flags & 4 == 0:
                    os.rename(new, old)
                    t.write(b"other", b"other\n")
    return answers


def case_renameat_by_descriptor(t: Tree) -> object:
    one, two = t.fd(b"dir"), t.fd(b"hollow")
    return [
        t("renameat", one, b"inner", two, b"moved"),
        t("renameat", one, b"inner", two, b"moved"),
        t("renameat", 99, b"inner", two, b"moved"),
        t("renameat", two, b"moved", 99, b"x"),
        t("renameat", two, b"moved", t.fd(b"file"), b"x"),
        t("renameat", two, b"", one, b"x"),
        t("renameat", two, b"moved", one, b""),
        t("renameat", 99, t.root + b"/file", one, b"from-root"),
        t.names(b"dir"),
        t.names(b"hollow"),
    ]


def case_rename_across_mounts(t: Tree) -> object:
    return [t("rename", b"file", b"/dev/shm/x"), t("link", b"file", b"/dev/shm/x"), t.names()]


def case_link_of_every_sort_of_name(t: Tree) -> object:
    return each(t, lambda name: t("link", name, b"new-" + name.replace(b"/", b"-")[:20]))


def case_link_to_every_sort_of_name(t: Tree) -> object:
    return each(t, lambda name: t("link", b"file", name), PLACES)


def case_linkat_flags(t: Tree) -> object:
    file = t.fd(b"file")
    return [
        t("linkat", AT_FDCWD, b"link", AT_FDCWD, b"a", 0),
        t("linkat", AT_FDCWD, b"link", AT_FDCWD, b"b", AT_SYMLINK_FOLLOW),
        t("linkat", AT_FDCWD, b"dangling", AT_FDCWD, b"c", AT_SYMLINK_FOLLOW),
        t("linkat", AT_FDCWD, b"file", AT_FDCWD, b"d", AT_SYMLINK_NOFOLLOW),
        t("linkat", AT_FDCWD, b"/proc/self/fd/%d" % file, AT_FDCWD, b"e", AT_SYMLINK_FOLLOW),
        t("linkat", AT_FDCWD, b"/proc/self/fd/%d" % file, AT_FDCWD, b"f", 0),
        t("linkat", t.fd(b"dir"), b"inner", AT_FDCWD, b"g", 0),
        [[name, t.look(name.encode())] for name in t.names() if len(name) == 1],
    ]


def case_symlink_of_every_sort_of_name(t: Tree) -> object:
    return each(t, lambda name: t("symlink", b"anything", name))


def case_symlink_targets(t: Tree) -> object:
    long = b"x" * 4095
    targets = (b"", b"/", b"a" * 255, long, long + b"x", b"../../..", b"with space", b"\xff")
    made = [t("symlink", target, b"l%d" % i) for i, target in enumerate(targets)]
    return [made, [os.readlink(b"l%d" % i) == targets[i] for i in range(len(made)) if made[i] == 0]]


def case_symlinkat(t: Tree) -> object:
    fd = t.fd(b"dir")
    return [
        t("symlinkat", b"to", fd, b"made"),
        t("symlinkat", b"to", fd, b"made"),
        t("symlinkat", b"to", fd, b""),
        t("symlinkat", b"to", 99, b"x"),
        t("symlinkat", b"to", fd, b"../beside"),
        t.names(b"dir"),
        t.names(),
    ]


def case_chmod_of_every_sort_of_name(t: Tree) -> object:
    names = tuple(name for name in TARGETS if name not in (b"/", b"..", b"dir/.."))
    answers = each(t, lambda name: t("chmod", name, 0o640 if b"file" in name else 0o750), names)
    return [answers, [t.look(name) for name in (b"file", b"dir", b"hollow", b"fifo", b"link")]]


def case_chmod_bits(t: Tree) -> object:
    seen = []
    for mode in (0, 0o777, 0o1777, 0o2755, 0o4755, 0o7777, 0o170777):
        seen.append([t("chmod", b"file", mode), t.look(b"file")])
        seen.append([t("chmod", b"hollow", mode & 0o1777 | 0o700), t.look(b"hollow")])
    return seen


def case_chmod_of_what_belongs_to_others(t: Tree) -> object:
    return (
        []
        if os.getuid() == 0
        else [t("chmod", n, 0o777) for n in (b"/etc/hostname", b"/usr", b"/")]
    )


def case_fchmodat_flags(t: Tree) -> object:
    fd, path = t.fd(b"dir"), t.fd(b"file", O_PATH)
    return [
        t("fchmodat", fd, b"inner", 0o600),
        t("fchmodat", 99, b"inner", 0o600),
        t("fchmodat", fd, b"", 0o600),
        t("fchmodat2", fd, b"inner", 0o604, 0),
        t("fchmodat2", fd, b"", 0o755, AT_EMPTY_PATH),
        t("fchmodat2", path, b"", 0o606, AT_EMPTY_PATH),
        t("fchmodat2", AT_FDCWD, b"link", 0o600, AT_SYMLINK_NOFOLLOW),
        t("fchmodat2", AT_FDCWD, b"file", 0o620, AT_SYMLINK_NOFOLLOW),
        t("fchmodat2", AT_FDCWD, b"file", 0o600, 0x400),
        t.look(b"dir/inner"),
        t.look(b"file"),
    ]


def case_fchmod(t: Tree) -> object:
    gone = t.fd(b"other")
    os.unlink(b"other")
    fds = (t.fd(b"file"), t.fd(b"dir"), t.fd(b"file", O_PATH), gone, 99, -1)
    return [[t("fchmod", fd, 0o741) for fd in fds], t.look(b"file"), t.look(gone)]


def times(*values: int) -> ctypes.Array[ctypes.c_int64]:
    """Return an array of 64-bit words: timespecs, timevals or an utimbuf."""
    return (ctypes.c_int64 * len(values))(*values)


def stamps(name: bytes) -> list[int]:
    """Return the access and change times of a file, or 0 where they are of today."""
    seen = os.lstat(name)
    return [t if t < 10**18 else 0 for t in (seen.st_atime_ns, seen.st_mtime_ns)]


def case_times_are_set(t: Tree) -> object:
    fd = t.fd(b"file")
    now, omit = (1 << 30) - 1, (1 << 30) - 2
    steps = {
        "utime": lambda: t("utime", b"file", times(11, 12)),
        "utimes": lambda: t("utimes", b"file", times(21, 210_000, 22, 220_000)),
        "futimesat": lambda: t("futimesat", AT_FDCWD, b"file", times(31, 1, 32, 2)),
        "futimesat null": lambda: t("futimesat", fd, 0, times(33, 3, 34, 4)),
        "utimensat": lambda: t("utimensat", AT_FDCWD, b"file", times(41, 5, 42, 6), 0),
        "omit one": lambda: t("utimensat", AT_FDCWD, b"file", times(0, omit, 43, 7), 0),
        "omit other": lambda: t("utimensat", AT_FDCWD, b"file", times(44, 8, 0, omit), 0),
        "omit both": lambda: t("utimensat", AT_FDCWD, b"file", times(0, omit, 0, omit), 0),
        "null path": lambda: t("utimensat", fd, 0, times(51, 9, 52, 10), 0),
        "null path and flags": lambda: t("utimensat", fd, 0, times(53, 9, 54, 10), 0x100),
        "empty path": lambda: t("utimensat", fd, b"", times(55, 11, 56, 12), AT_EMPTY_PATH),
        "empty path without flag": lambda: t("utimensat", fd, b"", times(57, 1, 58, 2), 0),
        "now": lambda: t("utimensat", AT_FDCWD, b"file", times(0, now, 59, 3), 0),
        "null": lambda: t("utimensat", AT_FDCWD, b"file", 0, 0),
        "utime null": lambda: t("utime", b"file", 0),
        "utimes null": lambda: t("utimes", b"file", 0),
        "negative": lambda: t("utimensat", AT_FDCWD, b"file", times(-1, 0, -2, 5), 0),
    }
    return {what: [step(), stamps(b"file")] for what, step in steps.items()}


def case_times_of_links(t: Tree) -> object:
    return [
        t("utimensat", AT_FDCWD, b"link", times(1, 0, 2, 0), AT_SYMLINK_NOFOLLOW),
        stamps(b"link"),
        t("utimensat", AT_FDCWD, b"link", times(3, 0, 4, 0), 0),
        stamps(b"file"),
        t("utimensat", AT_FDCWD, b"dangling", times(5, 0, 6, 0), 0),
        t("utimensat", AT_FDCWD, b"loop", times(5, 0, 6, 0), 0),
        t("utime", b"dir/", times(7, 8)),
        stamps(b"dir"),
        t("utime", b"file/", times(7, 8)),
        t("utime", b"absent", times(7, 8)),
        t("utime", b"", times(7, 8)),
    ]


def case_times_that_are_wrong(t: Tree) -> object:
    hole = unmapped_page()
    return [
        t("utimensat", AT_FDCWD, b"file", times(1, 1_000_000_000, 1, 0), 0),
        t("utimensat", AT_FDCWD, b"file", times(1, -1, 1, 0), 0),
        t("utimes", b"file", times(1, 1_000_000, 1, 0)),
        t("utimes", b"file", times(1, -1, 1, 0)),
        t("utimensat", AT_FDCWD, b"file", hole, 0),
        t("utime", b"file", hole - 8),
        t("utimensat", AT_FDCWD, b"file", times(1, 0, 1, 0), 0x400),
        t("utimensat", AT_FDCWD, b"absent", times(1, -1, 1, 0), 0),
        t("utimensat", 99, 0, times(1, 0, 1, 0), 0),
        t("utimensat", AT_FDCWD, 0, times(1, 0, 1, 0), 0),
    ]


def case_times_of_what_belongs_to_others(t: Tree) -> object:
    if os.getuid() == 0:
        return []
    return [t("utime", b"/etc/hostname", times(1, 2)), t("utime", b"/etc/hostname", 0)]


def case_truncate_of_every_sort_of_name(t: Tree) -> object:
    names = tuple(name for name in TARGETS if not name.startswith(b"/proc"))
    return [
        each(t, lambda name: t("truncate", name, 3), names),
        t.look(b"file"),
        t.look(b"unreadable"),
    ]


def case_truncate_lengths(t: Tree) -> object:
    lengths = (0, 5, 9, 4096, 1 << 40, -1, 1 << 62)
    return [[t("truncate", b"file", n), t.look(b"file")] for n in lengths]


def case_ftruncate(t: Tree) -> object:
    gone = t.fd(b"other", os.O_RDWR)
    os.unlink(b"other")
    receive, send = os.pipe()
    written = t.fd(b"file", os.O_WRONLY)
    fds = (written, t.fd(b"file"), t.fd(b"dir"), t.fd(b"file", O_PATH), gone, receive, send, 99, -1)
    answers = [t("ftruncate", fd, 2) for fd in fds]
    return [answers, t("ftruncate", written, -1), t.look(b"file"), os.fstat(gone).st_size]


def case_bad_addresses(t: Tree) -> object:
    hole = unmapped_page()
    short = at_end_of_page(b"file")
    return {
        "unlink": t("unlink", hole),
        "unlink short": t("unlink", short),
        "rmdir": t("rmdir", 0),
        "mkdir": t("mkdir", hole, 0o755),
        "rename old": t("rename", hole, b"x"),
        "rename new": t("rename", b"file", hole),
        "link old": t("link", hole, b"x"),
        "link new": t("link", b"file", hole),
        "symlink target": t("symlink", hole, b"x"),
        "symlink name": t("symlink", b"x", hole),
        "chmod": t("chmod", hole, 0o600),
        "truncate": t("truncate", hole, 0),
        "utime": t("utime", hole, 0),
        "names": t.names(),
    }


def case_long_names(t: Tree) -> object:
    most, over, path = b"n" * 255, b"n" * 256, b"./" * 2047 + b"file"
    return {
        "mkdir": [t("mkdir", most, 0o755), t("rmdir", most), t("mkdir", over, 0o755)],
        "rename": [t("rename", b"file", over), t("rename", over, b"x"), t("rename", path, b"x")],
        "link": [t("link", b"file", most), t("link", b"file", over)],
        "symlink": [t("symlink", b"x", over), t("symlink", b"x", path)],
        "unlink": [t("unlink", most), t("unlink", over), t("unlink", path)],
        "chmod": [t("chmod", over, 0o600), t("chmod", path, 0o600)],
        "truncate": [t("truncate", over, 1), t("truncate", path, 1)],
    }


def case_a_read_only_file_system(t: Tree) -> object:
    return {
        "mkdir": t("mkdir", b"/proc/x", 0o755),
        "unlink sys": t("unlink", b"/sys/kernel"),
        "chmod": t("chmod", b"/proc/version", 0o777),
        "rmdir": t("rmdir", b"/sys/kernel"),
        "open": kind(t("open", b"/proc/sys/absent", os.O_CREAT | os.O_WRONLY, 0o600)),
    }


def case_a_set_group_id_directory_hands_on_its_group(t: Tree) -> object:
    os.chmod(b"hollow", 0o2755)
    return [t("mkdir", b"hollow/sub", 0o755), t.look(b"hollow/sub"), t.look(b"hollow")]


def case_a_sticky_directory_of_mine(t: Tree) -> object:
    os.chmod(b"hollow", 0o1777)
    t.write(b"hollow/x", b"x")
    return [t("rename", b"hollow/x", b"hollow/y"), t("unlink", b"hollow/y")]
