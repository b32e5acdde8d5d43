# SPDX-License-Identifier: GPL-3.0-or-later
"""Which argument of a call is the first path that it names."""

from __future__ import annotations

#: By argument, counted from 0.
_FIRST = {
    0: """access chmod chown creat lchown link lstat mkdir mknod open readlink rename rmdir stat
        statfs truncate unlink utime utimes""",
    1: """faccessat faccessat2 fchmodat fchmodat2 fchownat futimesat linkat mkdirat mknodat
        newfstatat openat openat2 readlinkat renameat renameat2 statx unlinkat utimensat""",
}


def first_paths(numbers: dict[str, int]) -> bytes:
    """Return, by call number, that argument counted from 1; 0 where there is none."""
    table = bytearray(512)
    for argument, names in _FIRST.items():
        for name in names.split():
            if name in numbers:
                table[numbers[name]] = argument + 1
    return bytes(table)
