# SPDX-License-Identifier: GPL-3.0-or-later
"""connect(2), on real sockets of this process."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING

import pytest
from tests.unit.net.calls import ALL, ANY, connect, errno_of, everything, sin, sin6, unix

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.net.conftest import Caller


@everything
@pytest.mark.parametrize(
    ("family", "kind", "raw", "error"),
    [
        pytest.param(2, 1, sin(ANY, 80), errno.ENETUNREACH, id="any"),
        pytest.param(10, 1, sin6("::", 80), errno.ENETUNREACH, id="any6"),
        pytest.param(10, 2, sin(ANY, 80), errno.ENETUNREACH, id="any4 on udp6"),
        pytest.param(2, 2, sin("10.0.0.1", 80), errno.ECONNREFUSED, id="denied"),
        pytest.param(10, 2, sin6("::ffff:10.0.0.1", 80), errno.ECONNREFUSED, id="mapped"),
        pytest.param(2, 2, sin6("::1", 80), errno.EAFNOSUPPORT, id="in6 on in"),
        pytest.param(10, 1, sin("127.0.0.1", 80), errno.EINVAL, id="in on tcp6"),
        pytest.param(2, 1, b"\2", errno.EINVAL, id="one byte"),
        pytest.param(1, 1, b"\0\0" + bytes(14), errno.EINVAL, id="unspec on a unix stream"),
        pytest.param(1, 1, unix("/etc/hostname"), errno.ECONNREFUSED, id="a file"),
        pytest.param(1, 1, unix("/nonexistent"), errno.ENOENT, id="missing"),
        pytest.param(1, 1, unix("/etc/hostname/"), errno.ENOTDIR, id="slash"),
        pytest.param(1, 1, unix(b"\0nobody"), errno.ECONNREFUSED, id="abstract"),
    ],
)
def test_connect_fails(caller: Caller, family: int, kind: int, raw: bytes, error: int) -> None:
    with socket.socket(family, kind) as sock:
        sock.settimeout(5)
        assert errno_of(lambda: connect(caller, sock, raw)) == error


@pytest.mark.policy("allow/net/connect+loopback!1-100")
@pytest.mark.parametrize(
    ("family", "kind", "raw", "record"),
    [
        pytest.param(
            2,
            1,
            sin("127.0.0.1", 800),
            {"addr": "tcp!127.0.0.1!800", "ipv": 4, "proto": "tcp"},
            id="tcp",
        ),
        pytest.param(
            10,
            2,
            sin6("2001:db8::2", 53),
            {"addr": "udp!2001:db8::2!53", "ipv": 6, "proto": "udp"},
            id="udp6",
        ),
        pytest.param(
            10,
            1,
            sin6("::ffff:1.2.3.4", 53),
            {"addr": "tcp!1.2.3.4!53", "ipv": 4, "proto": "tcp"},
            id="mapped",
        ),
    ],
)
def test_connect_logs_a_denial_with_the_rule_that_would_allow_it(
    caller: Caller,
    records: list[dict[str, object]],
    family: int,
    kind: int,
    raw: bytes,
    record: dict[str, object],
) -> None:
    with socket.socket(family, kind) as sock:
        assert errno_of(lambda: connect(caller, sock, raw)) == errno.ECONNREFUSED
    start = {"ctx": "access", "cap": "net/connect", "act": "deny", "sys": "connect"}
    tip = f"configure `allow/net/connect+{record['addr']}'"
    assert records == [{**start, **record, "tip": tip}]


@everything
def test_connect_follows_links_and_relative_paths(caller: Caller, tmp_path: Path) -> None:
    os.chdir(tmp_path)
    (tmp_path / "link").symlink_to("s")
    for path in ("s", "./link", f"{tmp_path}/s"):
        with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
            server.bind("s")
            server.listen()
            assert connect(caller, client, unix(path)) == 0
        os.unlink("s")


@everything
def test_connect_with_unspec_dissolves_an_association(caller: Caller) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        assert connect(caller, sock, sin("127.0.0.1", 9)) == 0
        assert sock.getpeername() == ("127.0.0.1", 9)
        assert connect(caller, sock, bytes(16)) == 0
        assert errno_of(sock.getpeername) == errno.ENOTCONN


@everything
def test_connect_takes_the_scope_away(caller: Caller, records: list[dict[str, object]]) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        assert connect(caller, sock, sin6("::1", 9, 7)) == 0
        assert sock.getpeername()[3] == 0
    assert records[0] == {
        "ctx": "net",
        "op": "zero_scope_id",
        "sys": "connect",
        "addr": "::1!9",
        "scope_id": 7,
        "msg": "zeroed sin6_scope_id=7 on ::1!9",
        "tip": "configure `trace/allow_unsafe_ipv6_scope:1'",
    }


@everything
@pytest.mark.policy(*ALL, "block+127.0.0.1")
def test_connect_asks_the_block_list(caller: Caller) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        assert errno_of(lambda: connect(caller, sock, sin("127.0.0.1", 9))) == errno.ECONNREFUSED
        assert connect(caller, sock, sin("127.0.0.2", 9)) == 0


@pytest.mark.policy("sandbox/net:off", "block+127.0.0.1")
def test_connect_asks_the_block_list_also_where_the_category_is_off(caller: Caller) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        assert errno_of(lambda: connect(caller, sock, sin("127.0.0.1", 9))) == errno.ECONNREFUSED
        assert connect(caller, sock, sin("127.0.0.2", 9)) == 0
