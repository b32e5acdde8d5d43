# SPDX-License-Identifier: GPL-3.0-or-later
"""Large blocks of memory don't stay with the threads that had them."""

from __future__ import annotations

import threading

from tests.support.child import in_child

from madcap.linux._call import Buffer, return_blocks_from

SIZE = 4 << 20
THREADS = 8


def _kept() -> int:
    """Return by how many KiB the memory of a process grew by what its threads have let go."""

    def memory() -> int:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("RssAnon:"))

    def hold() -> None:
        for _ in range(3):
            Buffer(SIZE)
        done.wait()

    return_blocks_from(1 << 20)
    done = threading.Barrier(THREADS + 1)
    before = memory()
    for _ in range(THREADS):
        threading.Thread(target=hold).start()
    done.wait()
    return memory() - before


def test_large_blocks_go_back_to_the_kernel() -> None:
    assert in_child(_kept) < SIZE >> 10
