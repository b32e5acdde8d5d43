# SPDX-License-Identifier: GPL-3.0-or-later
"""Race against the checks of socket calls: one thread calls, another swaps what the call is about.

    race_net.py KIND TRIES ALLOWED DENIED

ALLOWED and DENIED are ports, or directories with a socket `sock` in each. Prints how often what
arrived came out at either, and how many calls failed. The calling thread lets go of the
interpreter for each call, so the other one swaps while the call is being looked at.
"""

from __future__ import annotations

import array
import ctypes
import json
import os
import random
import select
import socket
import struct
import sys
import threading
from typing import TYPE_CHECKING

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import rawcalls
from netcalls import Header, inet, rights, several, unix

if TYPE_CHECKING:
    from collections.abc import Callable

KIND, TRIES = sys.argv[1], int(sys.argv[2])
ALLOWED, DENIED = sys.argv[3], sys.argv[4]
CONTROL_AT = 16  # The first descriptor in a message that passes some.

chance = random.Random(1)  # noqa: S311 - no secret
done = False


def swapping(swap: Callable[[int], None]) -> threading.Thread:
    """Start a thread that calls *swap* with 0 and 1, as it falls, until all is done."""

    def run() -> None:
        while not done:
            swap(chance.getrandbits(1))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def receivers() -> list[socket.socket]:
    """Return what listens at the allowed and at the denied place."""
    made = []
    for place in (ALLOWED, DENIED):
        if place.isdigit():
            end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            end.bind(("127.0.0.1", int(place)))
        else:
            end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            end.bind(f"{place}/sock")
        end.setblocking(False)
        made.append(end)
    return made


def drain(ends: list[socket.socket], counts: list[int]) -> None:
    """Count what arrived."""
    for index, end in enumerate(ends):
        while select.select([end], [], [], 0)[0]:
            end.recv(64)
            counts[index] += 1


def race(call: Callable[[], int], swap: Callable[[int], None], ends: list[socket.socket]) -> None:
    """Call and swap; print what came of it."""
    global done
    counts, refused = [0, 0], 0
    thread = swapping(swap)
    for _ in range(TRIES):
        if call() < 0:
            refused += 1
        drain(ends, counts)
    done = True
    thread.join()
    print(json.dumps({"allowed": counts[0], "denied": counts[1], "refused": refused}))


def addresses() -> list[bytes]:
    """Return the two places as addresses of the same length."""
    if ALLOWED.isdigit():
        return [inet(int(port)) for port in (ALLOWED, DENIED)]
    longest = max(len(ALLOWED), len(DENIED))
    return [
        unix((place + "/" * (longest - len(place)) + "/sock").encode())
        for place in (ALLOWED, DENIED)
    ]


def text_of_an_address(use: str) -> None:
    """Swap the bytes of the address."""
    ends, both = receivers(), addresses()
    buffer = ctypes.create_string_buffer(both[0], len(both[0]))
    sender = socket.socket(ends[0].family, socket.SOCK_DGRAM)
    header = Header([b"x"], name=both[0])
    many = several([header])
    at = ctypes.addressof(buffer) if use in ("sendto", "connect") else header.at_name

    def call() -> int:
        if use == "sendto":
            return rawcalls.call("sendto", sender.fileno(), b"x", 1, 0x4000, buffer, len(both[0]))
        if use == "sendmsg":
            return rawcalls.call("sendmsg", sender.fileno(), header.data, 0x4000)
        if use == "sendmmsg":
            return rawcalls.call("sendmmsg", sender.fileno(), many, 1, 0x4000)
        result = rawcalls.call("connect", sender.fileno(), buffer, len(both[0]))
        if result == 0:
            os.write(sender.fileno(), b"x")
        return result

    race(call, lambda turn: ctypes.memmove(at, both[turn], len(both[turn])) and None, ends)


def pointer_in_a_header() -> None:
    """Swap where the header says that the address is."""
    ends = receivers()
    headers = [Header([b"x"], name=address) for address in addresses()]
    shared = headers[0].data
    sender = socket.socket(ends[0].family, socket.SOCK_DGRAM)
    pointers = [struct.pack("=Q", header.at_name) for header in headers]
    race(
        lambda: rawcalls.call("sendmsg", sender.fileno(), shared, 0x4000),
        lambda turn: ctypes.memmove(shared, pointers[turn], 8) and None,
        ends,
    )


def pointer_in_many_headers() -> None:
    """Do the same in an array of headers."""
    ends = receivers()
    headers = [Header([b"x"], name=address) for address in addresses()]
    shared = several([headers[0], headers[0]])
    sender = socket.socket(ends[0].family, socket.SOCK_DGRAM)
    pointers = [struct.pack("=Q", header.at_name) for header in headers]
    at = ctypes.addressof(shared) + 64

    race(
        lambda: rawcalls.call("sendmmsg", sender.fileno(), shared, 2, 0x4000) - 2,
        lambda turn: ctypes.memmove(at, pointers[turn], 8) and None,
        ends,
    )


def socket_behind_a_number() -> None:
    """Swap the socket: one that ignores addresses, so is not asked about, for one that doesn't."""
    ends = receivers()
    stream = socket.create_server(("127.0.0.1", 0))
    connected = socket.create_connection(stream.getsockname())
    datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    number = os.dup(connected.fileno())
    sources = (connected.fileno(), datagram.fileno())
    to = addresses()[1]
    race(
        lambda: rawcalls.call("sendto", number, b"x", 1, 0x4040, to, len(to)),
        lambda turn: os.dup2(sources[turn], number) and None,
        ends,
    )


def descriptor_in_a_message() -> None:
    """Swap the descriptor in the control data: a pipe may be sent, a file may not."""
    global done
    one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    pipe, file = os.pipe()[0], os.open(sys.argv[0], os.O_RDONLY)
    header = Header([b"x"], control=rights(pipe))
    at = header.at_control + CONTROL_AT
    numbers = [struct.pack("=i", fd) for fd in (pipe, file)]
    counts, refused = [0, 0], 0
    thread = swapping(lambda turn: ctypes.memmove(at, numbers[turn], 4) and None)
    for _ in range(TRIES):
        if rawcalls.call("sendmsg", one.fileno(), header.data, 0x40) < 0:
            refused += 1
            continue
        _, control, _, _ = two.recvmsg(4, 64)
        for fd in array.array("i", control[0][2]):
            counts[os.fstat(fd).st_mode & 0o170000 == 0o100000] += 1
            os.close(fd)
    done = True
    thread.join()
    print(json.dumps({"allowed": counts[0], "denied": counts[1], "refused": refused}))


def parent_of_a_path() -> None:
    """Swap the directory that leads to the socket: the one that is allowed for the other."""
    ends = receivers()
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    to = unix(b"way/sock")
    os.symlink(ALLOWED, "way")
    for name, place in (("to0", ALLOWED), ("to1", DENIED)):
        os.symlink(place, name)

    def swap(turn: int) -> None:
        os.link(f"to{turn}", "new", follow_symlinks=False)
        os.rename("new", "way")
        if os.path.lexists("new"):
            os.unlink("new")

    race(lambda: rawcalls.call("sendto", sender.fileno(), b"x", 1, 0, to, len(to)), swap, ends)


def vector_of_a_message() -> None:
    """Swap where data lies for where nothing is, and its size for another."""
    ends, (to, _) = receivers(), addresses()
    hole = rawcalls.unmapped_page()
    header = Header([b"x" * 16], name=to)
    good = ctypes.string_at(header.at_vector, 16)
    both = [good, struct.pack("=QQ", hole - 8, 1 << 20)]
    sender = socket.socket(ends[0].family, socket.SOCK_DGRAM)
    race(
        lambda: rawcalls.call("sendmsg", sender.fileno(), header.data, 0x4000),
        lambda turn: ctypes.memmove(header.at_vector, both[turn], 16) and None,
        ends,
    )


sys.setswitchinterval(2e-5)
KINDS: dict[str, Callable[[], None]] = {
    "sendto": lambda: text_of_an_address("sendto"),
    "sendmsg": lambda: text_of_an_address("sendmsg"),
    "connect": lambda: text_of_an_address("connect"),
    "sendmmsg": lambda: text_of_an_address("sendmmsg"),
    "pointer": pointer_in_a_header,
    "pointers": pointer_in_many_headers,
    "socket": socket_behind_a_number,
    "descriptor": descriptor_in_a_message,
    "parent": parent_of_a_path,
    "vector": vector_of_a_message,
}
KINDS[KIND]()
