# SPDX-License-Identifier: GPL-3.0-or-later
"""Large blocks take memory when they are filled, and don't stay with the threads that had them."""

from __future__ import annotations

import os
import socket
import threading

from tests.support.child import in_child

from madcap.linux._call import Buffer, Room, return_blocks_from

SIZE = 4 << 20
THREADS = 8


def memory() -> int:
    """Return how much memory this process has, in KiB."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon:"))


def _kept() -> int:
    """Return by how many KiB the memory of a process grew by what its threads have let go."""

    def hold() -> None:
        for _ in range(3):
            Buffer(SIZE)
        done.wait()

    return_blocks_from(272 << 10)
    done = threading.Barrier(THREADS + 1)
    before = memory()
    for _ in range(THREADS):
        threading.Thread(target=hold).start()
    done.wait()
    return memory() - before


def test_large_blocks_go_back_to_the_kernel() -> None:
    assert in_child(_kept) < SIZE >> 10


def _taken() -> int:
    """Return by how many KiB the memory of a process grew by rooms that nothing came into."""
    return_blocks_from(272 << 10)
    before = memory()
    rooms = [Room(SIZE) for _ in range(THREADS)]
    return memory() - before if len(rooms) == THREADS else -1


def test_a_room_takes_no_memory_until_it_is_filled() -> None:
    assert in_child(_taken) < SIZE >> 10


def test_a_room_is_filled_where_its_address_says() -> None:
    room = Room(10_000)
    one, two = socket.socketpair()
    with one, two:
        one.send(b"something")
        with open(f"/proc/{os.getpid()}/mem", "r+b", 0) as ours:
            ours.seek(room.address + 1)
            ours.write(two.recv(9))
    assert bytes(room.data[:12]) == b"\0something\0\0"
    assert len(room.data) == room.size == 10_000
