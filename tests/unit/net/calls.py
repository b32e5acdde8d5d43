# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses, headers and calls for the tests of handlers."""

from __future__ import annotations

import array
import socket
import struct
from typing import TYPE_CHECKING

import pytest

from madcap.kernel.net import address as a
from madcap.kernel.net.bind import sys_bind
from madcap.kernel.net.connect import sys_connect
from madcap.kernel.net.send import sys_sendto

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.net.conftest import Caller

ANY = "0.0.0.0"  # noqa: S104 - the wildcard is what is tested

ALL = (
    "allow/net/bind+loopback!0-65535",
    "allow/net/connect+loopback!0-65535",
    "allow/net/bind+/***",
    "allow/net/connect+/***",
    "allow/net/bind+@*",
    "allow/net/connect+@*",
    "allow/net+!unnamed",
    "trace/allow_unsafe_symlinks:1",
)
everything = pytest.mark.policy(*ALL)


def unix(path: bytes | str) -> bytes:
    return b"\1\0" + (path if isinstance(path, bytes) else path.encode())


def bind(caller: Caller, sock: socket.socket, raw: bytes, length: int | None = None) -> object:
    size = len(raw) if length is None else length
    return caller(sys_bind, sock.fileno(), caller.at(raw), size)


def connect(caller: Caller, sock: socket.socket, raw: bytes) -> object:
    return caller(sys_connect, sock.fileno(), caller.at(raw), len(raw))


def sendto(caller: Caller, sock: socket.socket, data: bytes, raw: bytes, flags: int = 0) -> object:
    to = caller.at(raw) if raw else 0
    return caller(sys_sendto, sock.fileno(), caller.at(data), len(data), flags, to, len(raw))


def header(caller: Caller, pieces: list[bytes], raw: bytes = b"", control: bytes = b"") -> bytes:
    vector = b"".join(struct.pack("=QQ", caller.at(piece), len(piece)) for piece in pieces)
    name = caller.at(raw) if raw else 0
    data = caller.at(control) if control else 0
    fields = (name, len(raw), caller.at(vector), len(pieces), data, len(control), 0)
    return struct.pack("=QIxxxxQQQQixxxx", *fields)


def rights(*fds: int) -> bytes:
    body = array.array("i", fds).tobytes()
    return struct.pack("=Qii", 16 + len(body), socket.SOL_SOCKET, socket.SCM_RIGHTS) + body


def sin(ip: str, port: int, family: int = a.AF_INET) -> bytes:
    return struct.pack("=H", family) + struct.pack("!H", port) + socket.inet_aton(ip) + bytes(8)


def sin6(ip: str, port: int, scope: int = 0, family: int = a.AF_INET6) -> bytes:
    packed = socket.inet_pton(socket.AF_INET6, ip)
    return (
        struct.pack("=H", family) + struct.pack("!HI", port, 7) + packed + struct.pack("=I", scope)
    )


def errno_of(call: Callable[[], object]) -> int | None:
    with pytest.raises(OSError, match=r".") as caught:
        call()
    return caught.value.errno
