# SPDX-License-Identifier: GPL-3.0-or-later
"""socket(2) and socketpair(2), on real sockets of this process."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING

import pytest
from tests.unit.net.calls import errno_of, everything

from madcap.kernel.net.create import check, sys_socket, sys_socketpair
from madcap.kernel.reply import Continue, Install

if TYPE_CHECKING:
    from tests.unit.net.conftest import Caller


@pytest.mark.parametrize(
    ("family", "kind", "protocol", "error"),
    [
        pytest.param(2, 1 | 0x100, 0, errno.EINVAL, id="unknown flag"),
        pytest.param(46, 1, 0, errno.EAFNOSUPPORT, id="family beyond the last"),
        pytest.param(-1, 1, 0, errno.EAFNOSUPPORT, id="negative family"),
        pytest.param(2, 11, 0, errno.EINVAL, id="type beyond the last"),
        pytest.param(2, 7, 0, errno.ESOCKTNOSUPPORT, id="type without a name"),
        pytest.param(17, 7, 0, errno.EPERM, id="type without a name, packet"),
        pytest.param(0, 1, 0, errno.EAFNOSUPPORT, id="unspec"),
        pytest.param(1, 1, 2, errno.EPROTONOSUPPORT, id="unix protocol"),
        pytest.param(1, 4, 0, errno.ESOCKTNOSUPPORT, id="unix type"),
        pytest.param(1, 7, 2, errno.EPROTONOSUPPORT, id="unix protocol before type"),
        pytest.param(2, 7, -1, errno.EINVAL, id="inet protocol before type"),
        pytest.param(2, 3, -1, errno.EINVAL, id="raw, bad protocol"),
        pytest.param(2, 3, 0, errno.EPROTONOSUPPORT, id="raw, no protocol"),
        pytest.param(2, 3, 1, errno.EPERM, id="raw"),
        pytest.param(10, 10, 0, errno.ESOCKTNOSUPPORT, id="inet6 packet"),
        pytest.param(38, 5, 0, errno.EAFNOSUPPORT, id="kernel crypto"),
        pytest.param(16, 1, 0, errno.ESOCKTNOSUPPORT, id="netlink stream"),
        pytest.param(16, 3, 0, errno.EPROTONOSUPPORT, id="netlink route"),
        pytest.param(17, 3, 768, errno.EPERM, id="packet"),
        pytest.param(40, 1, 0, errno.EAFNOSUPPORT, id="vsock"),
    ],
)
def test_socket_refuses(caller: Caller, family: int, kind: int, protocol: int, error: int) -> None:
    assert errno_of(lambda: caller(sys_socket, family, kind, protocol)) == error
    assert errno_of(lambda: caller(sys_socketpair, family, kind, protocol)) == error


@pytest.mark.parametrize("cloexec", [False, True])
def test_socket_is_installed_with_the_flag_that_was_asked_for(
    caller: Caller, cloexec: bool
) -> None:
    kind = socket.SOCK_STREAM | (socket.SOCK_CLOEXEC if cloexec else 0)
    reply = caller(sys_socket, socket.AF_INET, kind, 0)
    assert isinstance(reply, Install)
    assert reply.cloexec is cloexec


@pytest.mark.policy("allow/net/link+route")
def test_socket_makes_an_allowed_netlink_socket(caller: Caller) -> None:
    assert isinstance(caller(sys_socket, socket.AF_NETLINK, socket.SOCK_RAW, 0), Install)


@pytest.mark.policy("trace/allow_unsafe_kcapi:1")
def test_kernel_crypto_is_possible_where_it_is_allowed(caller: Caller) -> None:
    """Whether this kernel has it is another question: CONFIG_CRYPTO_USER_API."""
    check(caller.req, 38, socket.SOCK_SEQPACKET, 0)
    assert errno_of(lambda: check(caller.req, 38, 7, 0)) == errno.ESOCKTNOSUPPORT
    assert errno_of(lambda: check(caller.req, 38, 11, 0)) == errno.EINVAL


@pytest.mark.policy("trace/force_local_net:1")
def test_socket_attaches_the_filter_of_force_local_net(caller: Caller) -> None:
    seen: list[int] = []

    def handler(req: object) -> int:
        reply = sys_socket(req)  # type: ignore[arg-type]
        assert isinstance(reply, Install)
        with socket.socket(fileno=os.dup(reply.fd)) as sock:
            seen.append(sock.getsockopt(socket.SOL_SOCKET, 44))  # SO_LOCK_FILTER
            sock.bind(("127.0.0.1", 0))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.sendto(b"local", sock.getsockname())
            assert sock.recv(10) == b"local"
        return 0

    caller(handler, socket.AF_INET, socket.SOCK_DGRAM, 0)
    assert seen == [1]


def test_socketpair_asks_for_unnamed(caller: Caller, records: list[dict[str, object]]) -> None:
    assert errno_of(lambda: caller(sys_socketpair, 1, 1, 0)) == errno.EOPNOTSUPP
    assert records == [
        {
            "ctx": "access",
            "cap": "net/bind",
            "act": "deny",
            "sys": "socketpair",
            "unix": b"!unnamed",
            "abs": True,
            "tip": "configure `allow/net/bind+!unnamed'",
        }
    ]


@everything
def test_socketpair_is_left_to_the_kernel(caller: Caller) -> None:
    assert isinstance(caller(sys_socketpair, 1, 1, 0), Continue)
