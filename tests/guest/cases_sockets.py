# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases for calls on sockets with every combination of good and bad arguments."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
from typing import TYPE_CHECKING

from cases_order import HOLE, OUT, every, opened
from rawcalls import call, named

if TYPE_CHECKING:
    from cases_order import Choices
    from run_cases import Tree

NONBLOCK, CLOEXEC = socket.SOCK_NONBLOCK, socket.SOCK_CLOEXEC
UNIX: Choices = {"stream": 1, "datagram": 2, "packet": 5, "all": 1 | NONBLOCK | CLOEXEC, "bad": 99}


def lengths() -> Choices:
    """Return pointers to lengths of a buffer."""
    numbers = {str(n): ctypes.create_string_buffer(struct.pack("=i", n)) for n in (128, 2, 0, -1)}
    return {**numbers, "null": 0, "hole": HOLE}


def named_pair() -> tuple[socket.socket, socket.socket]:
    """Return a listening socket of this directory, and one that is connected to it."""
    server, client = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    server.bind("name")
    server.listen(9)
    client.connect("name")
    return server, client


def case_socketpair(t: Tree) -> object:
    pair = (ctypes.c_int * 2)(-1, -1)

    def close() -> None:
        for fd in pair:
            with contextlib.suppress(OSError):  # The numbers are told even where the call fails.
                os.close(fd)
        pair[:] = [-1, -1]

    places: Choices = {"ok": pair, "null": 0, "hole": HOLE, "half": HOLE - 4}
    families: Choices = {"unix": 1, "inet": 2, "bad": 99}
    # A place that is no memory is found before the family is looked at, and here after it.
    seen = [
        every(t, "socketpair", families, UNIX, {"0": 0, "9": 9}, {"ok": pair}, after=close),
        every(t, "socketpair", {"unix": 1}, {"stream": 1}, {"0": 0}, places, after=close),
    ]
    return [seen, named(call("socketpair", 1, 1, 0, pair)), list(pair)]


def case_accept(t: Tree) -> object:
    server, client = named_pair()
    server.setblocking(False)
    fds: Choices = {"server": server.fileno(), "client": client.fileno(), "file": t.fd(b"file"),
                    "bad": 99, "-1": -1}  # fmt: skip
    return opened(t, "accept", fds, {"ok": OUT, "null": 0}, lengths())


def case_accept4(t: Tree) -> object:
    server, client = named_pair()
    server.setblocking(False)
    fds: Choices = {"server": server.fileno(), "client": client.fileno(), "bad": 99}
    flags: Choices = {"none": 0, "all": NONBLOCK | CLOEXEC, "bad": 1}
    return opened(t, "accept4", fds, {"ok": OUT, "null": 0}, lengths(), flags)


def asked(t: Tree, name: str, fds: Choices, *before: Choices) -> object:
    """Ask about each of *fds* with buffers and lengths of all sorts."""
    answers = {}
    for buffer in ("ok", "hole"):
        for length in lengths():
            into = lengths()[length]
            chosen = {"ok": OUT, "hole": HOLE}[buffer]
            seen = every(t, name, fds, *before, {buffer: chosen}, {length: into})
            # Kernels do not agree on whether the length is told where the name cannot be.
            told = buffer == "ok" and isinstance(into, ctypes.Array)
            written = into.raw.hex() if told else None
            answers[f"{buffer} {length}"] = [seen, written]
    return answers


def case_getsockname(t: Tree) -> object:
    server, client = named_pair()
    fds: Choices = {"client": client.fileno(), "file": t.fd(b"file"), "bad": 99,
                    "server": server.fileno()}  # fmt: skip
    return asked(t, "getsockname", fds)


def case_getpeername(t: Tree) -> object:
    server, client = named_pair()
    fds: Choices = {"server": server.fileno(), "file": t.fd(b"file"), "bad": 99,
                    "client": client.fileno()}  # fmt: skip
    return asked(t, "getpeername", fds)


def case_getsockopt(t: Tree) -> object:
    server, client = named_pair()
    fds: Choices = {"file": t.fd(b"file"), "bad": 99, "client": client.fileno()}
    options: Choices = {"type": 3, "error": 4, "peercred": 17, "accepts": 30, "bad": 9999}
    seen = asked(t, "getsockopt", fds, {"socket": 1, "bad": 9999}, options)
    server.close()
    return seen
