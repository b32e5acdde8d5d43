# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases for socket, bind, connect and sendto."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from typing import TYPE_CHECKING

from netcalls import (
    CLOEXEC,
    DGRAM,
    DIRTY,
    INET,
    INET6,
    NONBLOCK,
    SEQPACKET,
    STREAM,
    UNIX,
    bind,
    connect,
    inet,
    inet6,
    listener,
    unix,
)
from rawcalls import at_end_of_page, unmapped_page

if TYPE_CHECKING:
    from run_cases import Tree


def case_sockets_of_every_sort(t: Tree) -> object:
    seen = {}
    for family in (UNIX, INET, INET6):
        for sort in (STREAM, DGRAM, SEQPACKET, STREAM | CLOEXEC, DGRAM | NONBLOCK | CLOEXEC, 0, 99):
            for protocol in (0, 6, 17, 1):
                fd = t("socket", family, sort, protocol)
                if isinstance(fd, int):
                    flags = [fcntl.fcntl(fd, fcntl.F_GETFD), fcntl.fcntl(fd, fcntl.F_GETFL)]
                    os.close(fd)
                    seen[f"{family} {sort} {protocol}"] = flags
                else:
                    seen[f"{family} {sort} {protocol}"] = fd
    return seen


def case_arguments_of_socket_are_ints(t: Tree) -> object:
    fds = [t("socket", DIRTY | INET, DIRTY | STREAM, DIRTY), t("socket", INET, STREAM, DIRTY | 6)]
    return [isinstance(fd, int) for fd in fds]


def case_bind_and_getsockname(t: Tree) -> object:
    seen = []
    for address, family in ((inet(0), INET), (inet6(0), INET6)):
        fd = t("socket", family, STREAM, 0)
        first = bind(t, fd, address)
        with socket.socket(fileno=os.dup(fd)) as again:
            name = again.getsockname()
        seen.append([first, name[0], name[1] > 0, bind(t, fd, address)])
    return seen


def case_a_port_in_use(t: Tree) -> object:
    with listener() as server:
        port = server.getsockname()[1]
        return bind(t, t("socket", INET, STREAM, 0), inet(port))


def case_bind_of_wrong_addresses(t: Tree) -> object:
    def fresh(family: int = INET) -> object:
        return t("socket", family, STREAM, 0)

    hole = unmapped_page()
    return {
        "not mine": bind(t, fresh(), inet(0, "192.0.2.1")),
        "other family": bind(t, fresh(), inet6(0)),
        "short": bind(t, fresh(), inet(0)[:8]),
        "empty": bind(t, fresh(), b""),
        "one byte": bind(t, fresh(), b"\2"),
        "long": bind(t, fresh(), inet(0) + bytes(112)),
        "too long": bind(t, fresh(), inet(0) + bytes(113)),
        "negative": t("bind", fresh(), inet(0), -1),
        "hole": t("bind", fresh(), hole, 16),
        "half in a hole": t("bind", fresh(), hole - 8, 16),
        "up to a hole": t("bind", fresh(), at_end_of_page(inet(0)), 16),
        "null": t("bind", fresh(), 0, 16),
        "no socket": bind(t, t.fd(b"file"), inet(0)),
        "bad descriptor": bind(t, 99, inet(0)),
        "path descriptor": bind(t, t.fd(b"file", 0o10000000), inet(0)),
        "short 6": bind(t, fresh(INET6), inet6(0)[:20]),
        "unix to inet": bind(t, fresh(), unix(b"x")),
        "inet to unix": bind(t, fresh(UNIX), inet(0)),
    }


def case_connect_over_loopback(t: Tree) -> object:
    seen = []
    for family, address in ((INET, inet), (INET6, inet6)):
        with listener(socket.AF_INET if family == INET else socket.AF_INET6) as server:
            fd = t("socket", family, STREAM, 0)
            result = connect(t, fd, address(server.getsockname()[1]))
            peer, name = server.accept()
            os.write(fd, b"hello")
            seen.append([result, peer.recv(9).decode(), name[0], connect(t, fd, address(1))])
            peer.close()
    return seen


def case_connect_where_nobody_listens(t: Tree) -> object:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        return connect(t, t("socket", INET, STREAM, 0), inet(reserved.getsockname()[1]))


def case_connect_without_waiting(t: Tree) -> object:
    with listener() as server:
        fd = t("socket", INET, STREAM | NONBLOCK, 0)
        first = connect(t, fd, inet(server.getsockname()[1]))
        peer, _ = server.accept()
        again = connect(t, fd, inet(server.getsockname()[1]))
        peer.close()
        return [first in (0, "EINPROGRESS"), again in (0, "EISCONN")]


def case_connect_to_wrong_addresses(t: Tree) -> object:
    hole = unmapped_page()
    return {
        "family 0 of a stream": connect(t, t("socket", INET, STREAM, 0), inet(1, family=0)),
        "other family": connect(t, t("socket", INET, STREAM, 0), inet6(1)),
        "short": connect(t, t("socket", INET, STREAM, 0), inet(1)[:8]),
        "one byte": connect(t, t("socket", INET, STREAM, 0), b"\2"),
        "too long": connect(t, t("socket", INET, STREAM, 0), inet(1) + bytes(113)),
        "negative": t("connect", t("socket", INET, STREAM, 0), inet(1), -1),
        "hole": t("connect", t("socket", INET, STREAM, 0), hole, 16),
        "half in a hole": t("connect", t("socket", INET, STREAM, 0), hole - 8, 16),
        "no socket": connect(t, t.fd(b"file"), inet(1)),
        "bad descriptor": connect(t, 99, inet(1)),
        "negative descriptor": connect(t, -1, inet(1)),
    }


def case_a_datagram_socket_connects_and_disconnects(t: Tree) -> object:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        fd = t("socket", INET, DGRAM, 0)
        first = connect(t, fd, inet(server.getsockname()[1]))
        os.write(fd, b"one")
        one = server.recv(9).decode()
        return [first, one, connect(t, fd, inet(0, family=0)), t("write", fd, b"x", 1)]


def case_sendto_with_an_address(t: Tree) -> object:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        address = inet(server.getsockname()[1])
        fd = t("socket", INET, DGRAM, 0)
        hole = unmapped_page()
        return {
            "plain": [t("sendto", fd, b"one", 3, 0, address, 16), server.recv(9).decode()],
            "dirty length": [
                t("sendto", fd, b"two", 3, 0, address, DIRTY | 16),
                server.recv(9).decode(),
            ],
            "empty": [t("sendto", fd, b"", 0, 0, address, 16), server.recv(9).decode()],
            "big": [
                t("sendto", fd, b"x" * 60_000, 60_000, 0, address, 16),
                len(server.recv(65_536)),
            ],
            "too big": t("sendto", fd, b"x" * 66_000, 66_000, 0, address, 16),
            "no address": t("sendto", fd, b"x", 1, 0, 0, 0),
            "bad address": t("sendto", fd, b"x", 1, 0, hole, 16),
            "short address": t("sendto", fd, b"x", 1, 0, address, 8),
            "bad data": t("sendto", fd, hole, 9, 0, address, 16),
            "port 0": t("sendto", fd, b"x", 1, 0, inet(0), 16),
            "no socket": t("sendto", t.fd(b"file"), b"x", 1, 0, address, 16),
            "bad descriptor": t("sendto", 99, b"x", 1, 0, address, 16),
        }


def case_sendto_on_streams(t: Tree) -> object:
    with listener() as server:
        port = server.getsockname()[1]
        fd = t("socket", INET, STREAM, 0)
        before = t("sendto", fd, b"x", 1, 0x4000, inet(port), 16)
        first = connect(t, fd, inet(port))
        peer, _ = server.accept()
        sent = t("sendto", fd, b"hello", 5, 0, inet(1), 16)
        got = peer.recv(9).decode()
        peer.close()
        return [before, first, sent, got]


def case_unix_sockets_by_path(t: Tree) -> object:
    server, client = t("socket", UNIX, STREAM, 0), t("socket", UNIX, STREAM, 0)
    os.umask(0o027)
    return {
        "bind": bind(t, server, unix(b"sock")),
        "mode": t.look(b"sock")[0],
        "before listen": connect(t, client, unix(b"sock")),
        "listen": t("listen", server, 5),
        "connect": connect(t, client, unix(b"sock\0")),
        "again": connect(t, client, unix(b"sock")),
        "bind again": bind(t, server, unix(b"sock2")),
        "bind in use": bind(t, t("socket", UNIX, STREAM, 0), unix(b"sock")),
        "bind over a link": bind(t, t("socket", UNIX, STREAM, 0), unix(b"dangling")),
        "other type": connect(t, t("socket", UNIX, DGRAM, 0), unix(b"sock")),
        "name": socket.socket(fileno=os.dup(server)).getsockname(),
        "peer": socket.socket(fileno=os.dup(client)).getpeername(),
        "absent": connect(t, t("socket", UNIX, STREAM, 0), unix(b"absent")),
        "file": connect(t, t("socket", UNIX, STREAM, 0), unix(b"file")),
        "directory": connect(t, t("socket", UNIX, STREAM, 0), unix(b"dir")),
        "below a file": bind(t, t("socket", UNIX, STREAM, 0), unix(b"file/x")),
        "locked": bind(t, t("socket", UNIX, STREAM, 0), unix(b"locked/x")),
        "no directory": bind(t, t("socket", UNIX, STREAM, 0), unix(b"absent/x")),
        "directory of old": bind(t, t("socket", UNIX, STREAM, 0), unix(b"dir")),
        "longest": bind(t, t("socket", UNIX, STREAM, 0), unix(b"n" * 108)),
        "too long": bind(t, t("socket", UNIX, STREAM, 0), unix(b"n" * 109)),
        "names": t.names(),
    }


def case_a_unix_socket_through_links(t: Tree) -> object:
    server = t("socket", UNIX, STREAM, 0)
    os.symlink(b"dir/sock", b"tosock")
    made = [bind(t, server, unix(b"dirlink/sock")), t("listen", server, 5), t.names(b"dir")]
    names = (b"dir/sock", b"dirlink/sock", b"tosock", b"./dir/../dir/sock", t.root + b"/dir/sock")
    return [made, [connect(t, t("socket", UNIX, STREAM, 0), unix(name)) for name in names]]


def case_a_connected_unix_socket_carries_data(t: Tree) -> object:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("sock")
        server.listen()
        client = t("socket", UNIX, STREAM, 0)
        result = connect(t, client, unix(b"sock"))
        peer, _ = server.accept()
        os.write(client, b"ping")
        text = peer.recv(9).decode()
        credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        pid, uid, gid = struct.unpack("iII", credentials)
        peer.close()
        return [result, text, uid == os.getuid(), gid == os.getgid(), pid > 0]


def case_unix_datagrams(t: Tree) -> object:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind("gram")
        server.settimeout(5)
        client = t("socket", UNIX, DGRAM, 0)
        bound = bind(t, client, unix(b"mine"))
        sent = t("sendto", client, b"ping", 4, 0, unix(b"gram"), 6)
        data, name = server.recvfrom(9)
        absent = t("sendto", client, b"ping", 4, 0, unix(b"absent"), 8)
        joined = connect(t, client, unix(b"gram"))
        os.write(client, b"pong")
        return [bound, sent, data.decode(), name, absent, joined, server.recv(9).decode()]


def case_a_dead_unix_socket_refuses(t: Tree) -> object:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("sock")
        server.listen()
    return [connect(t, t("socket", UNIX, STREAM, 0), unix(b"sock")), t.look(b"sock")[0]]


def case_abstract_and_autobound_names(t: Tree) -> object:
    name = b"\0madcap-%d" % os.getpid()
    server, client = t("socket", UNIX, STREAM, 0), t("socket", UNIX, STREAM, 0)
    auto = t("socket", UNIX, STREAM, 0)
    return [
        bind(t, server, unix(name)),
        t("listen", server, 5),
        connect(t, client, unix(name)),
        bind(t, auto, unix(b"")),
        len(socket.socket(fileno=auto).getsockname()),
        bind(t, t("socket", UNIX, STREAM, 0), unix(name)),
        connect(t, t("socket", UNIX, STREAM, 0), unix(name + b"x")),
    ]


def case_a_unix_socket_in_a_removed_directory(t: Tree) -> object:
    os.chdir(b"hollow")
    os.rmdir(b"../hollow")
    return [
        bind(t, t("socket", UNIX, STREAM, 0), unix(b"sock")),
        connect(t, t("socket", UNIX, STREAM, 0), unix(b"sock")),
    ]


def case_a_full_backlog_without_waiting(t: Tree) -> object:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("sock")
        server.listen(0)
        results = []
        for _ in range(4):
            fd = t("socket", UNIX, STREAM | NONBLOCK, 0)
            results.append(connect(t, fd, unix(b"sock")))
        return results


def case_a_pair_passes_data(t: Tree) -> object:
    one, two = socket.socketpair()
    one.sendall(b"hello")
    both = [two.recv(9).decode(), t("sendto", one.fileno(), b"x", 1, 0, 0, 0)]
    buffer = ctypes.create_string_buffer(8)
    return [*both, two.recv_into(buffer)]


def case_fast_open_connects_and_sends(t: Tree) -> object:
    """Blocking and not; what happens without a server, and on sockets that know no such thing."""
    fast = 0x2000_0000
    seen: dict[str, object] = {}
    with listener() as server:
        to = inet(server.getsockname()[1])
        for size in (0, 5, 300_000):
            fd = t("socket", INET, STREAM, 0)
            sent = t("sendto", fd, b"x" * size, size, fast, to, 16)
            peer, _ = server.accept()
            os.close(int(fd))
            got = 0
            while piece := peer.recv(1 << 20):
                got += len(piece)
            seen[str(size)] = [sent, got == sent]
        fd = t("socket", INET, STREAM | NONBLOCK, 0)
        seen["without waiting"] = t("sendto", fd, b"x", 1, fast, to, 16) in (1, "EINPROGRESS")
        seen["no address"] = t("sendto", t("socket", INET, STREAM, 0), b"x", 1, fast, 0, 0)
        seen["short"] = t("sendto", t("socket", INET, STREAM, 0), b"x", 1, fast, to, 8)
    refused = t("sendto", t("socket", INET, STREAM, 0), b"x", 1, fast | 0x4000, to, 16)
    seen["refused"] = refused
    return seen
