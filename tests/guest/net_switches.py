# SPDX-License-Identifier: GPL-3.0-or-later
"""Try what switches about sockets allow or forbid; print how each attempt ended."""

from __future__ import annotations

import errno
import json
import os
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ANY = "0.0.0.0"  # noqa: S104 - the wildcard is what is tried
found: dict[str, object] = {}


def attempt(name: str, call: Callable[[], object]) -> None:
    """Note what *call* returns, or the name of its errno."""
    try:
        found[name] = call()
    except OSError as error:
        found[name] = errno.errorcode[error.errno or 0]


def made(*words: int) -> str:
    """Make a socket."""
    socket.socket(*words).close()
    return "made"


def set_option(level: int, option: int, value: int, kind: int = socket.SOCK_STREAM) -> object:
    """Set an option; return whether it took."""
    with socket.socket(socket.AF_INET, kind) as end:
        end.setsockopt(level, option, value)
        return end.getsockopt(level, option) == value


def bound(family: int, address: str, port: int = 0) -> str:
    """Bind; return the address that came of it."""
    with socket.socket(family) as end:
        end.bind((address, port))
        return str(end.getsockname()[0])


def out_of_band() -> str:
    """Send out-of-band data."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        two, _ = server.accept()
        with one, two:
            one.send(b"x", socket.MSG_OOB)
            return "sent"


def fast_open() -> str:
    """Connect by sending."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as end:
        end.sendto(b"hello", 0x2000_0000, server.getsockname())
        two, _ = server.accept()
        with two:
            return two.recv(9).decode()


def source() -> str:
    """Ask by control data for another source address; return the one that was used."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end,
    ):
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        info = struct.pack("=i4s4s", 0, socket.inet_aton("127.0.0.9"), bytes(4))
        end.sendmsg([b"x"], [(socket.IPPROTO_IP, 8, info)], 0, server.getsockname())
        return str(server.recvfrom(9)[1][0])


def scoped() -> str:
    """Bind an address with a scope; return the scope that came of it."""
    with socket.socket(socket.AF_INET6) as end:
        end.bind(("::1", 0, 0, 1))
        return str(end.getsockname()[3])


def passed() -> object:
    """Pass a descriptor to ourselves."""
    one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, two:
        socket.send_fds(one, [b"x"], [0])
        _, fds, flags, _ = socket.recv_fds(two, 9, 4)
        return [len(fds), bool(flags & socket.MSG_CTRUNC)]


def notices() -> str:
    """Listen for what the kernel tells of routes, and ask it something: is there an answer?"""
    with socket.socket(16, 3, 0) as end:
        end.bind((0, 1))
        end.settimeout(2)
        end.send(struct.pack("=IHHII", 32, 18, 0x301, 1, 0) + bytes(16))
        return "answered" if end.recv(65536) else "nothing"


def other_host() -> str:
    """Connect to an address of elsewhere, which may become our own."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as end:
        end.settimeout(2)
        end.connect(("192.0.2.1", server.getsockname()[1]))
        return str(end.getpeername()[0])


attempt("vsock", lambda: made(40, 1))
attempt("crypto", lambda: made(38, 5))
attempt("netlink", lambda: made(16, 3, 0))
attempt("raw", lambda: made(2, 3, 1))
attempt("bind any", lambda: bound(2, ANY))
attempt("bind any 6", lambda: bound(10, "::"))
attempt("connect any", lambda: socket.socket().connect((ANY, 1)))
attempt("send any", lambda: socket.socket(2, 2).sendto(b"x", (ANY, 9)))
attempt("privileged", lambda: bound(2, "127.0.0.1", 80))
attempt("out of band", out_of_band)
attempt("fast open", fast_open)
attempt("congestion", lambda: socket.socket().setsockopt(6, 13, b"reno"))
attempt("priority", lambda: set_option(1, 12, 4))
attempt("no delay", lambda: set_option(6, 1, 1))
attempt("filter", lambda: socket.socket().setsockopt(1, 26, bytes(16)))
attempt("lock filter", lambda: socket.socket().setsockopt(1, 44, 1))
attempt("source", source)
attempt("scope", scoped)
attempt("passed", passed)
if "ROUTES" in os.environ:
    attempt("notices", notices)
if "ELSEWHERE" in os.environ:
    attempt("elsewhere", other_host)
print(json.dumps(found))
