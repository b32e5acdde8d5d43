# SPDX-License-Identifier: GPL-3.0-or-later
"""bind(2), on real sockets of this process."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING

import pytest
from tests.unit.net.calls import ANY, bind, connect, errno_of, everything, sin, sin6, unix

from madcap.kernel.net.bind import sys_bind

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.net.conftest import Caller


@everything
@pytest.mark.parametrize(
    ("family", "raw", "bound"),
    [
        pytest.param(2, sin(ANY, 0), "127.0.0.1", id="any"),
        pytest.param(2, sin(ANY, 0, family=0), "127.0.0.1", id="any, unspec"),
        pytest.param(2, sin("127.0.0.7", 0), "127.0.0.7", id="loopback"),
        pytest.param(10, sin6("::", 0), "::1", id="any6"),
        pytest.param(10, sin6("::ffff:0.0.0.0", 0), "::ffff:127.0.0.1", id="mapped any"),
    ],
)
def test_bind_puts_loopback_in_place_of_the_wildcard(
    caller: Caller, family: int, raw: bytes, bound: str
) -> None:
    with socket.socket(family) as sock:
        assert bind(caller, sock, raw) == 0
        assert sock.getsockname()[0] == bound


@everything
@pytest.mark.parametrize(
    ("family", "raw", "length", "error"),
    [
        pytest.param(2, b"", 0, errno.EINVAL, id="nothing"),
        pytest.param(2, bytes(129), 129, errno.EINVAL, id="129 bytes"),
        pytest.param(2, bytes(16), -1, errno.EINVAL, id="negative length"),
        pytest.param(2, sin("127.0.0.1", 0), 15, errno.EINVAL, id="short"),
        pytest.param(2, sin("127.0.0.1", 0, family=0), 16, errno.EAFNOSUPPORT, id="unspec"),
        pytest.param(2, sin6("::1", 0), 28, errno.EAFNOSUPPORT, id="in6 on in"),
        pytest.param(10, sin("127.0.0.1", 0), 16, errno.EINVAL, id="in on in6"),
        pytest.param(10, sin("127.0.0.1", 0) + bytes(12), 28, errno.EAFNOSUPPORT, id="long in"),
        pytest.param(2, sin("127.0.0.1", 80), 16, errno.EACCES, id="privileged"),
        pytest.param(2, sin("10.0.0.1", 80), 16, errno.EACCES, id="privileged and denied"),
        pytest.param(2, sin("10.0.0.1", 8080), 16, errno.EADDRNOTAVAIL, id="denied"),
        pytest.param(1, b"\2\0/x", 4, errno.EINVAL, id="unix, family"),
        pytest.param(1, unix("/etc/hostname"), 15, errno.EADDRINUSE, id="unix, exists"),
        pytest.param(1, unix("/nonexistent/x"), 16, errno.ENOENT, id="unix, no directory"),
        pytest.param(1, unix("/tmp/not/"), 11, errno.ENOENT, id="unix, slash"),
    ],
)
def test_bind_fails(caller: Caller, family: int, raw: bytes, length: int, error: int) -> None:
    with socket.socket(family) as sock:
        assert errno_of(lambda: bind(caller, sock, raw, length)) == error


@everything
def test_bind_needs_an_open_socket(caller: Caller) -> None:
    raw = sin("127.0.0.1", 0)
    assert errno_of(lambda: caller(sys_bind, 999, caller.at(raw), 16)) == errno.EBADF
    with open("/etc/hostname") as file:
        fd = file.fileno()
        assert errno_of(lambda: caller(sys_bind, fd, caller.at(raw), 16)) == errno.ENOTSOCK
    path = os.open("/etc", os.O_PATH)
    assert errno_of(lambda: caller(sys_bind, path, caller.at(raw), 16)) == errno.EBADF
    os.close(path)
    with socket.socket() as sock:
        assert errno_of(lambda: caller(sys_bind, sock.fileno(), 8, 16)) == errno.EFAULT


@everything
@pytest.mark.parametrize("size", [107, 108])
def test_bind_makes_a_unix_socket_with_the_longest_names(
    caller: Caller, tmp_path: Path, size: int
) -> None:
    os.chdir(tmp_path)
    name = (b"./" + b"n" * 108)[:size]
    with socket.socket(socket.AF_UNIX) as sock:
        assert bind(caller, sock, unix(name)) == 0
    assert os.path.exists(tmp_path / os.fsdecode(name[2:]))


@everything
def test_bind_uses_the_umask_of_the_caller(caller: Caller, tmp_path: Path) -> None:
    os.umask(0o027)
    with socket.socket(socket.AF_UNIX) as sock:
        assert bind(caller, sock, unix(f"{tmp_path}/s\0")) == 0
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o750


@everything
@pytest.mark.policy("deny/net/bind+/tmp/***", "allow/net/bind+/var/***")
def test_bind_to_a_denied_path_leaves_nothing(
    caller: Caller, records: list[dict[str, object]]
) -> None:
    path = f"/tmp/denied{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as sock:
        assert errno_of(lambda: bind(caller, sock, unix(path))) == errno.EADDRNOTAVAIL
    assert not os.path.exists(path)
    assert records[0]["unix"] == path.encode()
    assert records[0]["abs"] is False
    assert records[0]["tip"] == f"configure `allow/net/bind+{path}'"


@everything
def test_bind_takes_abstract_names_with_nul(caller: Caller) -> None:
    name = b"\0madcap\0test%d" % os.getpid()
    with socket.socket(socket.AF_UNIX) as sock:
        assert bind(caller, sock, unix(name)) == 0
        assert sock.getsockname() == name


@everything
def test_bind_with_the_family_alone_gets_a_name(caller: Caller) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        assert bind(caller, sock, b"\1\0") == 0
        name = sock.getsockname()
        assert isinstance(name, bytes)
        assert len(name) == 6


@pytest.mark.policy("allow/net/bind+loopback!0-65535", "trace/allow_safe_bind:1")
def test_bind_lets_everybody_connect_where_it_is_safe(caller: Caller) -> None:
    with socket.socket() as sock, socket.socket() as client:
        assert bind(caller, sock, sin("127.0.0.1", 0)) == 0
        sock.listen()
        port = sock.getsockname()[1]
        assert connect(caller, client, sin("127.0.0.1", port)) == 0
        assert errno_of(lambda: connect(caller, client, sin("127.0.0.2", port))) == 111


@pytest.mark.policy("allow/net/bind+/tmp/***", "allow/net/bind+/var/***", "trace/allow_safe_bind:1")
def test_bind_lets_everybody_connect_to_a_bound_path(caller: Caller, tmp_path: Path) -> None:
    raw = unix(f"{tmp_path}/s")
    with socket.socket(socket.AF_UNIX) as sock, socket.socket(socket.AF_UNIX) as client:
        assert bind(caller, sock, raw) == 0
        sock.listen()
        assert connect(caller, client, raw) == 0
    assert len(caller.sandbox.active.rules) == 3
