# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask for memory in one way, by raw calls; prints the errno, or what brk(2) did.

Arguments: the way (mmap, file, mremap, dontunmap, brk, touch), and how many MiB.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import sys

WAY, SIZE = sys.argv[1], int(sys.argv[2]) << 20
ANONYMOUS, PRIVATE = 0x20, 2
MAYMOVE, DONTUNMAP = 1, 4
BRK, MMAP, MREMAP = 12, 9, 25

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long


def call(number: int, *arguments: int) -> int:
    result: int = LIBC.syscall(number, *map(ctypes.c_long, arguments))
    return -ctypes.get_errno() if result == -1 else result


def shown(result: int) -> str:
    return errno.errorcode[-result] if -4096 < result < 0 else "0"


def small() -> int:
    return call(MMAP, 0, 4096, 3, PRIVATE | ANONYMOUS, -1, 0)


if WAY == "mmap":
    print(shown(call(MMAP, 0, SIZE, 3, PRIVATE | ANONYMOUS, -1, 0)))
elif WAY == "file":
    fd = os.memfd_create("x")
    os.ftruncate(fd, SIZE)
    print(shown(call(MMAP, 0, SIZE, 1, PRIVATE, fd, 0)))
elif WAY == "mremap":
    print(shown(call(MREMAP, small(), 4096, SIZE, MAYMOVE, 0)))
elif WAY == "dontunmap":
    start = call(MMAP, 0, SIZE, 3, PRIVATE | ANONYMOUS, -1, 0)
    print(shown(start if start < 0 else call(MREMAP, start, SIZE, SIZE, MAYMOVE | DONTUNMAP, 0)))
elif WAY == "brk":
    before = call(BRK, 0)
    after = call(BRK, before + SIZE)
    print("0" if after == before + SIZE else "unchanged" if after == before else "odd")
elif WAY == "touch":
    with mmap.mmap(-1, SIZE) as area:
        for at in range(0, SIZE, 4096):
            area[at] = 1
        print(shown(small()))
