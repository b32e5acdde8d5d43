# SPDX-License-Identifier: GPL-3.0-or-later
"""sendto(2), sendmsg(2), sendmmsg(2), on real sockets of this process."""

from __future__ import annotations

import errno
import os
import signal
import socket
import struct
from typing import TYPE_CHECKING

import pytest
from tests.unit.net.calls import ANY, errno_of, everything, header, sendto, sin, sin6, unix

from madcap.kernel.net.message import sys_sendmmsg, sys_sendmsg

if TYPE_CHECKING:
    from tests.unit.net.conftest import Caller


@everything
@pytest.mark.parametrize(
    ("family", "kind", "raw", "error"),
    [
        pytest.param(2, 2, sin("10.0.0.1", 80), errno.ENOTCONN, id="denied"),
        pytest.param(2, 2, sin("10.0.0.1", 80, family=0), errno.ENOTCONN, id="denied as unspec"),
        pytest.param(10, 2, sin("10.0.0.1", 80), errno.ENOTCONN, id="denied, in on in6"),
        pytest.param(10, 2, sin6("::1", 80, family=0), errno.EDESTADDRREQ, id="in6 unspec"),
        pytest.param(10, 2, b"\1\0" + bytes(26), errno.EINVAL, id="in6 other"),
        pytest.param(2, 2, b"\1\0" + bytes(14), errno.EAFNOSUPPORT, id="in other"),
        pytest.param(2, 2, sin(ANY, 80), errno.ENETUNREACH, id="any"),
        pytest.param(2, 1, sin("10.0.0.1", 80), errno.EPIPE, id="tcp takes no notice"),
        pytest.param(1, 1, unix("/etc/hostname"), errno.EOPNOTSUPP, id="unix stream"),
        pytest.param(1, 5, unix("/etc/hostname"), errno.ENOTCONN, id="unix seqpacket"),
        pytest.param(1, 2, unix("/nonexistent"), errno.ENOENT, id="unix missing"),
    ],
)
def test_sendto_fails(caller: Caller, family: int, kind: int, raw: bytes, error: int) -> None:
    with socket.socket(family, kind) as sock:
        got = errno_of(lambda: sendto(caller, sock, b"x", raw, socket.MSG_NOSIGNAL))
        assert got == error
        with pytest.raises(OSError, match=r".") as caught:
            caller(sys_sendmsg, sock.fileno(), caller.at(header(caller, [b"x"], raw)), 0x4000)
        assert caught.value.errno == error


@everything
@pytest.mark.parametrize("flag", [1, 0x2000_0000], ids=["out of band", "fast open"])
def test_sends_refuse_flags(caller: Caller, flag: int) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        to = sin("127.0.0.1", 9)
        assert errno_of(lambda: sendto(caller, sock, b"x", to, flag)) == errno.EOPNOTSUPP


@everything
def test_sends_reach_a_udp_socket(caller: Caller) -> None:
    with socket.socket(type=2) as server, socket.socket(type=2) as client:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        to = sin(*server.getsockname())
        assert sendto(caller, client, b"one", to) == 3
        message = caller.at(header(caller, [b"t", b"", b"wo"], to))
        assert caller(sys_sendmsg, client.fileno(), message, 0) == 3
        many = [header(caller, [text], to) + bytes(8) for text in (b"three", b"four", b"five")]
        messages = caller.at(b"".join(many))
        assert caller(sys_sendmmsg, client.fileno(), messages, 3, 0) == 3
        assert [server.recv(10) for _ in range(5)] == [b"one", b"two", b"three", b"four", b"five"]
        lengths = [caller.seen(messages + 64 * index + 56, 4)[0] for index in range(3)]
        assert lengths == [5, 4, 4]


@everything
def test_sendmmsg_tells_how_many_went_out_before_a_failure(caller: Caller) -> None:
    with socket.socket(type=2) as client:
        good, bad = sin("127.0.0.1", 9), sin("10.0.0.1", 9)
        parts = [header(caller, [b"x"], to) + bytes(8) for to in (good, bad, good)]
        messages = caller.at(b"".join(parts))
        assert caller(sys_sendmmsg, client.fileno(), messages, 3, 0) == 1
        only = messages + 64
        got = errno_of(lambda: caller(sys_sendmmsg, client.fileno(), only, 1, 0))
        assert got == errno.ENOTCONN
        assert caller(sys_sendmmsg, client.fileno(), 0, 0, 0) == 0


@everything
@pytest.mark.parametrize("kind", [1, 2, 5])
@pytest.mark.parametrize("size", [0, 1, 8192, 8193, 100_000])
def test_sendmsg_sends_all_of_its_pieces(caller: Caller, kind: int, size: int) -> None:
    one, other = socket.socketpair(socket.AF_UNIX, kind)
    data = os.urandom(size)
    with one, other:
        message = caller.at(header(caller, [data[:1], data[1:5000], data[5000:]]))
        assert caller(sys_sendmsg, one.fileno(), message, 0) == size
        if kind == 1 and not size:
            return
        got = other.recv(1 << 20)
        while len(got) < size:
            got += other.recv(1 << 20)
        assert got == data


@everything
def test_a_datagram_that_is_too_long_is_refused_before_it_is_copied(caller: Caller) -> None:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, other, socket.socket(type=2) as udp:
        huge = struct.pack("=QIxxxxQQQQixxxx", 0, 0, caller.at(struct.pack("=QQ", 4096, 1 << 40)),
                           1, 0, 0, 0)  # fmt: skip
        message = caller.at(huge)
        got = errno_of(lambda: caller(sys_sendmsg, one.fileno(), message, 0))
        assert got == errno.EMSGSIZE
        got = errno_of(lambda: sendto(caller, udp, bytes(70_000), sin("127.0.0.1", 9)))
        assert got == errno.EMSGSIZE


@everything
@pytest.mark.parametrize(
    ("fields", "error"),
    [
        pytest.param((0, 0, 8, 1, 0, 0, 0), errno.EFAULT, id="vector"),
        pytest.param((0, 0, 4096, 1025, 0, 0, 0), errno.EMSGSIZE, id="too many pieces"),
        pytest.param((4096, 0x8000_0000, 0, 0, 0, 0, 0), errno.EINVAL, id="name length"),
        pytest.param((8, 16, 0, 0, 0, 0, 0), errno.EFAULT, id="name"),
        pytest.param((0, 0, 0, 0, 8, 1 << 40, 0), errno.ENOBUFS, id="control length"),
        pytest.param((0, 0, 0, 0, 8, 24, 0), errno.EFAULT, id="control"),
    ],
)
def test_sendmsg_fails(caller: Caller, fields: tuple[int, ...], error: int) -> None:
    message = caller.at(struct.pack("=QIxxxxQQQQixxxx", *fields))
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        assert errno_of(lambda: caller(sys_sendmsg, sock.fileno(), message, 0)) == error
        compat = 0x8000_0000
        got = errno_of(lambda: caller(sys_sendmsg, sock.fileno(), message, compat))
        assert got == errno.EINVAL
        assert errno_of(lambda: caller(sys_sendmsg, sock.fileno(), 8, 0)) == errno.EFAULT


@everything
@pytest.mark.parametrize(("kind", "count"), [(1, 1), (2, 0), (5, 0)])
def test_sends_signal_a_broken_pipe_on_streams_only(caller: Caller, kind: int, count: int) -> None:
    hits: list[int] = []
    before = signal.signal(signal.SIGPIPE, lambda number, _frame: hits.append(number))
    try:
        one, other = socket.socketpair(socket.AF_UNIX, kind)
        other.close()
        with one:
            message = caller.at(header(caller, [b"x"]))
            got = errno_of(lambda: caller(sys_sendmsg, one.fileno(), message, 0x4000))
            assert (got in (errno.EPIPE, errno.ECONNREFUSED), hits) == (True, [])
            one.shutdown(socket.SHUT_WR)
            got = errno_of(lambda: caller(sys_sendmsg, one.fileno(), message, 0))
            assert (got, len(hits)) == (errno.EPIPE, count)
    finally:
        signal.signal(signal.SIGPIPE, before)


@everything
def test_a_full_socket_is_waited_for_only_where_the_caller_waits(caller: Caller) -> None:
    waits: list[bool] = []

    def blocking(_req: object, _call: object, restartable: bool) -> int:
        waits.append(restartable)
        raise OSError(errno.EINTR, "stop here")

    caller.host.blocking = blocking
    one, other = socket.socketpair()
    with one, other:
        message = caller.at(header(caller, [bytes(1 << 20)]))
        partial = caller(sys_sendmsg, one.fileno(), message, 0)
        assert isinstance(partial, int)
        assert 0 < partial < 1 << 20
        assert waits == [True]
        got = errno_of(lambda: caller(sys_sendmsg, one.fileno(), message, socket.MSG_DONTWAIT))
        assert (got, len(waits)) == (errno.EAGAIN, 1)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("=qq", 5, 0))
        assert errno_of(lambda: caller(sys_sendmsg, one.fileno(), message, 0)) == errno.EINTR
        assert waits == [True, False]
        one.setblocking(False)
        got = errno_of(lambda: caller(sys_sendmsg, one.fileno(), message, 0))
        assert (got, len(waits)) == (errno.EAGAIN, 2)
