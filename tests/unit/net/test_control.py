# SPDX-License-Identifier: GPL-3.0-or-later
"""Control messages, on real sockets of this process."""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import TYPE_CHECKING

import pytest
from tests.unit.net.calls import ALL, errno_of, everything, header, rights, sin

from madcap.kernel.net.message import sys_sendmsg

if TYPE_CHECKING:
    from tests.unit.net.conftest import Caller


@pytest.mark.policy(*ALL, "allow/sendfd+!file")
@pytest.mark.parametrize("kind", [1, 2, 5])
def test_sendmsg_passes_descriptors(caller: Caller, kind: int) -> None:
    one, other = socket.socketpair(socket.AF_UNIX, kind)
    with one, other, open("/etc/hostname", "rb") as file:
        control = rights(file.fileno(), file.fileno())
        message = caller.at(header(caller, [b"x"], control=control))
        assert caller(sys_sendmsg, one.fileno(), message, 0) == 1
        data, fds, _, _ = socket.recv_fds(other, 10, 5)
        assert data == b"x"
        assert [os.readlink(f"/proc/self/fd/{fd}") for fd in fds] == ["/etc/hostname"] * 2
        for fd in fds:
            os.close(fd)


@everything
def test_sendmsg_refuses_descriptors_that_may_not_be_sent(
    caller: Caller, records: list[dict[str, object]]
) -> None:
    one, other = socket.socketpair()
    with one, other:
        message = caller.at(header(caller, [b"x"], control=rights(one.fileno())))
        got = errno_of(lambda: caller(sys_sendmsg, one.fileno(), message, 0))
        assert got == errno.EACCES
        assert records[0]["path"] == b"!socket"
        assert records[0]["tip"] == "configure `allow/sendfd+!socket'"
        other.setblocking(False)
        assert errno_of(lambda: other.recv(1)) == errno.EAGAIN


@everything
@pytest.mark.parametrize(
    ("control", "error"),
    [
        pytest.param(rights(*[0] * 254), errno.EINVAL, id="too many"),
        pytest.param(rights(999), errno.EBADF, id="not open"),
        pytest.param(struct.pack("=Qii", 15, 1, 1), errno.EINVAL, id="short message"),
        pytest.param(struct.pack("=Qii", 99, 1, 1), errno.EINVAL, id="long message"),
        pytest.param(struct.pack("=Qiiiii4x", 28, 1, 2, 1, 0, 0), errno.EPERM, id="credentials"),
    ],
)
def test_sendmsg_refuses_control_messages(caller: Caller, control: bytes, error: int) -> None:
    one, other = socket.socketpair()
    with one, other:
        message = caller.at(header(caller, [b"x"], control=control))
        assert errno_of(lambda: caller(sys_sendmsg, one.fileno(), message, 0)) == error


@everything
def test_sendmsg_drops_the_choice_of_a_source_address(caller: Caller) -> None:
    with socket.socket(type=2) as server, socket.socket(type=2) as client:
        server.bind(("127.0.0.1", 0))
        info = struct.pack("=Qii", 28, socket.IPPROTO_IP, 8)
        info += struct.pack("=i", 0) + socket.inet_aton("127.0.0.9") + bytes(4) + bytes(4)
        message = caller.at(header(caller, [b"x"], sin(*server.getsockname()), info))
        assert caller(sys_sendmsg, client.fileno(), message, 0) == 1
        assert server.recvfrom(5)[1][0] == "127.0.0.1"
