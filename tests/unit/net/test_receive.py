# SPDX-License-Identifier: GPL-3.0-or-later
"""Receiving, accepting, and asking for names, on real sockets of this process."""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import TYPE_CHECKING

import pytest
from tests.unit.net.calls import bind, connect, errno_of, everything, sendto, unix

from madcap.kernel.net import incoming
from madcap.kernel.net.accept import sys_accept, sys_accept4
from madcap.kernel.net.name import sys_getpeername, sys_getsockname, sys_getsockopt
from madcap.kernel.net.receive import sys_recvfrom, sys_recvmmsg, sys_recvmsg
from madcap.kernel.reply import Continue, Install

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.net.conftest import Caller


class Inbox:
    """A struct msghdr (with the length of a struct mmsghdr behind it) and what it points to."""

    def __init__(self, caller: Caller, *sizes: int, name: int = 0, control: int = 0) -> None:
        self.caller = caller
        self.sizes = sizes
        self.pieces = [caller.at(bytes(size)) for size in sizes]
        vector = b"".join(
            struct.pack("=QQ", at, size) for at, size in zip(self.pieces, sizes, strict=True)
        )
        self.name = caller.at(bytes(name)) if name else 0
        self.control = caller.at(bytes(control)) if control else 0
        self.raw = struct.pack(
            "=QIxxxxQQQQixxxxQ",
            self.name,
            name,
            caller.at(vector),
            len(sizes),
            self.control,
            control,
            0,
            0,
        )
        self.at = caller.at(self.raw)

    def look(self, at: int | None = None) -> dict[str, object]:
        """Return what was written."""
        fields = struct.unpack("=QIxxxxQQQQixxxxQ", self.caller.seen(at or self.at, 64))
        data = [self.caller.seen(p, size) for p, size in zip(self.pieces, self.sizes, strict=True)]
        return {
            "data": b"|".join(data),
            "name": self.caller.seen(self.name, fields[1]) if self.name else b"",
            "control": self.caller.seen(self.control, fields[5]) if self.control else b"",
            "flags": fields[6],
            "length": fields[7],
        }


def test_recvmsg_fills_the_pieces_in_turn(caller: Caller) -> None:
    one, other = socket.socketpair()
    inbox = Inbox(caller, 2, 0, 3, 5, name=110)
    with one, other:
        one.send(b"abcdefg")
        assert caller(sys_recvmsg, other.fileno(), inbox.at, 0) == 7
    seen = inbox.look()
    assert seen["data"] == b"ab||cde|fg\0\0\0"
    assert (seen["name"], seen["flags"]) == (b"", 0)


def test_recvmsg_tells_of_what_did_not_fit(caller: Caller) -> None:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    inbox = Inbox(caller, 2)
    with one, other:
        one.send(b"abcdefg")
        one.send(b"abcdefg")
        assert caller(sys_recvmsg, other.fileno(), inbox.at, 0) == 2
        assert inbox.look()["flags"] == socket.MSG_TRUNC
        assert caller(sys_recvmsg, other.fileno(), inbox.at, socket.MSG_TRUNC) == 7
        assert inbox.look()["data"] == b"ab"


@pytest.mark.parametrize("flags", [0x8000_0000, 1, 0x200_0000])
def test_recvmsg_refuses_flags(caller: Caller, flags: int) -> None:
    one, other = socket.socketpair()
    with one, other:
        got = errno_of(lambda: caller(sys_recvmsg, one.fileno(), Inbox(caller, 1).at, flags))
    assert got == (errno.EINVAL if flags >> 31 else errno.EOPNOTSUPP)


def test_recvmsg_waits_only_where_the_caller_does(caller: Caller) -> None:
    waits: list[bool] = []

    def blocking(_req: object, _call: object, restartable: bool) -> int:
        waits.append(restartable)
        raise OSError(errno.EINTR, "stop here")

    caller.host.blocking = blocking
    one, other = socket.socketpair()
    inbox = Inbox(caller, 5)
    with one, other:
        assert errno_of(lambda: caller(sys_recvmsg, one.fileno(), inbox.at, 0)) == errno.EINTR
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("=qq", 5, 0))
        assert errno_of(lambda: caller(sys_recvmsg, one.fileno(), inbox.at, 0x100)) == errno.EINTR
        assert waits == [True, False]
        got = errno_of(lambda: caller(sys_recvmsg, one.fileno(), inbox.at, socket.MSG_DONTWAIT))
        assert (got, len(waits)) == (errno.EAGAIN, 2)
        one.setblocking(False)
        got = errno_of(lambda: caller(sys_recvmsg, one.fileno(), inbox.at, 0))
        assert (got, len(waits)) == (errno.EAGAIN, 2)


def test_recvmmsg_counts_messages(caller: Caller) -> None:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    boxes = [Inbox(caller, 10) for _ in range(3)]
    messages = caller.at(b"".join(box.raw for box in boxes))
    with one, other:
        one.send(b"one")
        one.send(b"three")
        wait_for_one = 0x10000
        assert caller(sys_recvmmsg, other.fileno(), messages, 3, wait_for_one, 0) == 2
        assert [boxes[i].look(messages + 64 * i)["length"] for i in (0, 1)] == [3, 5]
        bad = caller.at(struct.pack("=qq", 0, 10**9))
        got = errno_of(lambda: caller(sys_recvmmsg, other.fileno(), messages, 1, 0, bad))
        assert got == errno.EINVAL
        one.send(b"late")
        pause = caller.at(struct.pack("=qq", 5, 0))
        assert caller(sys_recvmmsg, other.fileno(), messages, 1, 0, pause) == 1
        assert 4 <= struct.unpack("=qq", caller.seen(pause, 16))[0] <= 5


@pytest.mark.policy("allow/recvfd+!file")
def test_recvmsg_hands_descriptors_on(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[str, bool]] = []

    def give(_req: object, fd: int, *, cloexec: bool) -> int:
        given.append((os.readlink(f"/proc/self/fd/{fd}"), cloexec))
        return 70 + len(given)

    monkeypatch.setattr(incoming, "give", give)
    one, other = socket.socketpair()
    with one, other, open("/etc/hostname", "rb") as file:
        for flags in (0, 0x4000_0000):
            socket.send_fds(one, [b"x"], [file.fileno()])
            inbox = Inbox(caller, 1, control=24)
            assert caller(sys_recvmsg, other.fileno(), inbox.at, flags) == 1
            seen = inbox.look()
            assert seen["flags"] == flags
            expected = struct.pack("=Qii", 20, 1, 1) + struct.pack("=i", 70 + len(given)) + bytes(4)
            assert seen["control"] == expected
    assert given == [("/etc/hostname", False), ("/etc/hostname", True)]


def test_recvmsg_drops_all_descriptors_where_one_is_denied(
    caller: Caller, records: list[dict[str, object]]
) -> None:
    caller.sandbox.execute("allow/recvfd+!file")
    one, other = socket.socketpair()
    before = len(os.listdir("/proc/self/fd"))
    with one, other, open("/etc/hostname", "rb") as file:
        socket.send_fds(one, [b"x"], [file.fileno(), other.fileno()])
        inbox = Inbox(caller, 1, control=24)
        assert caller(sys_recvmsg, other.fileno(), inbox.at, 0) == 1
        assert (inbox.look()["control"], inbox.look()["flags"]) == (b"", socket.MSG_CTRUNC)
    assert records[0]["path"] == b"!socket"
    assert records[0]["cap"] == "recvfd"
    assert len(os.listdir("/proc/self/fd")) == before - 2


@everything
def test_names_are_those_that_were_bound(caller: Caller, tmp_path: Path) -> None:
    os.chdir(tmp_path)
    path = b"./server"
    length = caller.at(struct.pack("=I", 110))
    address = caller.at(bytes(110))

    def shown() -> bytes:
        raw = caller.seen(address, int.from_bytes(caller.seen(length, 4), "little"))
        caller.req.memory.write(caller.req.tid, length, struct.pack("=I", 110))
        return raw

    kind = socket.SOCK_DGRAM
    with socket.socket(socket.AF_UNIX, kind) as server, socket.socket(1, kind) as client:
        bind(caller, server, unix(path))
        bind(caller, client, unix(f"{tmp_path}/client"))
        os.chdir(tmp_path)  # A handler leaves its thread's own directory elsewhere.
        assert caller(sys_getsockname, server.fileno(), address, length) == 0
        assert shown() == unix(path) + b"\0"
        connect(caller, client, unix("server"))
        assert caller(sys_getpeername, client.fileno(), address, length) == 0
        assert shown() == unix(path) + b"\0"
        assert sendto(caller, client, b"x", unix("server")) == 1
        data = caller.at(b"?")
        assert caller(sys_recvfrom, server.fileno(), data, 1, 0, address, length) == 1
        assert shown() == unix(f"{tmp_path}/client") + b"\0"


def test_names_of_other_sockets_are_left_to_the_kernel(caller: Caller) -> None:
    with socket.socket() as sock:
        assert isinstance(caller(sys_getsockname, sock.fileno(), 0, 0), Continue)
        assert isinstance(caller(sys_recvfrom, sock.fileno(), 4096, 1, 0, 4096, 4096), Continue)
        assert isinstance(caller(sys_getsockopt, sock.fileno(), 1, 4, 0, 0), Continue)
        assert isinstance(caller(sys_accept, sock.fileno(), 0, 0), Continue)


@everything
def test_peercred_tells_who_connected(caller: Caller, tmp_path: Path) -> None:
    raw = unix(f"{tmp_path}/s")
    value, length = caller.at(bytes(12)), caller.at(struct.pack("=I", 12))
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        bind(caller, server, raw)
        server.listen()
        connect(caller, client, raw)
        accepted, _ = server.accept()
        with accepted:
            assert caller(sys_getsockopt, accepted.fileno(), 1, 17, value, length) == 0
    assert struct.unpack("=i", caller.seen(value, 4)) == (os.getpid(),)


@pytest.mark.policy("block+127.0.0.1")
def test_accept_refuses_a_peer_on_the_block_list(
    caller: Caller, records: list[dict[str, object]]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.connect(server.getsockname())
        got = errno_of(lambda: caller(sys_accept4, server.fileno(), 0, 0, 0))
        assert got == errno.ECONNABORTED
        assert client.recv(1) == b""
    assert records[0]["ctx"] == "block"
    assert records[0]["tip"] == "configure `block-127.0.0.1'"


@pytest.mark.policy("block+10.0.0.0/8")
def test_accept_tells_the_address_of_the_peer(caller: Caller) -> None:
    address, length = caller.at(bytes(16)), caller.at(struct.pack("=I", 16))
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.connect(server.getsockname())
        got = errno_of(lambda: caller(sys_accept4, server.fileno(), address, length, 0x10))
        assert got == errno.EINVAL
        flags = socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        reply = caller(sys_accept4, server.fileno(), address, length, flags)
        assert isinstance(reply, Install)
        assert reply.cloexec
        port = client.getsockname()[1]
    assert caller.seen(address, 4) == struct.pack("=H", 2) + struct.pack("!H", port)
