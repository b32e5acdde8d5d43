# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases for names and peers: accept, getsockname, getpeername, getsockopt, credentials."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import struct
from typing import TYPE_CHECKING

from netcalls import (
    CLOEXEC,
    DGRAM,
    DIRTY,
    INET,
    INET6,
    MSG_DONTWAIT,
    NONBLOCK,
    SCM_CREDENTIALS,
    SCM_PIDFD,
    SEQPACKET,
    SOL_SOCKET,
    STREAM,
    UNIX,
    Header,
    bind,
    connect,
    credentials,
    inet,
    inet6,
    listener,
    rights,
    unix,
)
from rawcalls import unmapped_page

if TYPE_CHECKING:
    from collections.abc import Callable

    from run_cases import Tree

SO_PASSCRED, SO_PEERCRED, SO_PASSPIDFD, SO_PEERPIDFD = 16, 17, 76, 77


def told(t: Tree, name: str, fd: object, room: int = 128) -> object:
    """Ask for an address; return the result, the length told, and as much of it as there is."""
    address, length = ctypes.create_string_buffer(b"U" * 128), ctypes.c_int(room)
    extra = (0,) if name == "accept4" else ()
    result = t(name, fd, address, ctypes.byref(length), *extra)
    size = length.value
    text = address.raw[: max(0, min(room, size))]
    if name.startswith("accept"):
        result = result if isinstance(result, str) else "accepted"
    return [result, size, text.decode("latin-1")]


def in_child(job: Callable[[], object]) -> int:
    """Run *job* in a child that lives as long as the case; return its process id."""
    pid = os.fork()
    if pid == 0:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        job()
        signal.pause()
    _children.append(pid)
    return pid


_children: list[int] = []


def who(pid: int) -> str:
    """Say who *pid* is."""
    if pid == os.getpid():
        return "self"
    return f"child {_children.index(pid)}" if pid in _children else f"other {pid}"


def pid_of(pidfd: int) -> int:
    """Return the process that *pidfd* is of, by asking the kernel to signal nobody but it."""
    with open(f"/proc/self/fdinfo/{pidfd}") as info:
        for line in info:
            if line.startswith("Pid:"):
                return int(line.split()[1])
    return -1


def peer(end: socket.socket) -> object:
    """Return who the kernel says is at the other end."""
    pid, uid, gid = struct.unpack("=iII", end.getsockopt(SOL_SOCKET, SO_PEERCRED, 12))
    return [who(pid) if pid else pid, uid == os.getuid(), gid == os.getgid()]


def case_names_of_accepted_peers(t: Tree) -> object:
    seen: dict[str, object] = {}
    for sort in (STREAM, SEQPACKET):
        path = b"server%d" % sort
        server = t("socket", UNIX, sort, 0)
        bind(t, server, unix(path))
        t("listen", server, 9)
        for name, own in (
            ("unnamed", None),
            ("path", b"client%d" % sort),
            ("dotted", b"./client.%d" % sort),
            ("below", b"dir/../dir/client%d" % sort),
            ("terminated", b"cliend%d\0" % sort),
            ("abstract", b"\0abstract-%d-%d" % (os.getpid(), sort)),
        ):
            client = t("socket", UNIX, sort, 0)
            if own is not None:
                bind(t, client, unix(own))
            for call in ("accept", "accept4"):
                connected = connect(t, client, unix(path))
                answer = told(t, call, server)
                if name == "abstract":
                    answer = len(str(answer)) > 9
                seen[f"{sort} {name} {call}"] = [connected, answer]
                os.close(int(client))
                client = t("socket", UNIX, sort, 0)
            os.close(int(client))
    return seen


def case_accept_of_internet_peers(t: Tree) -> object:
    seen: dict[str, object] = {}
    for family in (socket.AF_INET, socket.AF_INET6):
        with listener(family) as server:
            for room in (0, 1, 2, 8, 16, 28, 128, -1):
                client = socket.create_connection(server.getsockname()[:2])
                got = told(t, "accept", server.fileno(), room)
                seen[f"{family} {room}"] = [
                    str(part)[:1] if i == 2 else part for i, part in enumerate(got)
                ]  # type: ignore[arg-type]
                client.close()
    return seen  # fmt: skip


def case_accept_with_bad_arguments(t: Tree) -> object:
    seen: dict[str, object] = {}
    hole = unmapped_page()
    for family, address in ((UNIX, unix(b"sock")), (INET, inet(0))):
        server = t("socket", family, STREAM, 0)
        seen[f"{family} not listening"] = t("accept", server, 0, 0)
        bind(t, server, address)
        seen[f"{family} still not"] = t("accept4", server, 0, 0, 0)
        t("listen", server, 9)
        to = (
            address
            if family == UNIX
            else inet(socket.socket(fileno=os.dup(int(server))).getsockname()[1])
        )
        os.set_blocking(int(server), False)
        seen[f"{family} nobody"] = [t("accept", server, 0, 0), told(t, "accept4", server)]
        seen[f"{family} bad flags"] = t("accept4", server, 0, 0, 1)
        length = ctypes.c_int(128)
        for what, words in (
            ("address in a hole", (hole, ctypes.byref(length))),
            ("length in a hole", (ctypes.create_string_buffer(128), hole)),
            ("no length", (ctypes.create_string_buffer(128), 0)),
            ("no address", (0, hole)),
            ("neither", (0, 0)),
        ):
            before = len(os.listdir("/proc/self/fd"))
            client = socket.socket(family)
            client.setblocking(False)
            connect(t, client.fileno(), to)
            result = t("accept4", server, *words, 0)
            # Where it failed the connection is gone, and no descriptor stayed behind.
            more = len(os.listdir("/proc/self/fd")) - before - 1
            seen[f"{family} {what}"] = [result if isinstance(result, str) else "fd", more]
            client.close()
            seen[f"{family} {what}, then"] = t("accept4", server, 0, 0, 0)
    seen["datagram"] = t("accept", t("socket", INET, DGRAM, 0), 0, 0)
    return seen  # fmt: skip


def case_flags_of_accepted_descriptors(t: Tree) -> object:
    seen = []
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("sock")
        server.listen()
        for flags in (0, CLOEXEC, NONBLOCK, CLOEXEC | NONBLOCK, DIRTY | CLOEXEC):
            for address in (0, ctypes.create_string_buffer(128)):
                client = socket.socket(socket.AF_UNIX)
                client.connect("sock")
                length = ctypes.byref(ctypes.c_int(128))
                fd = t("accept4", server.fileno(), address, length if address else 0, flags)
                seen.append([os.get_inheritable(int(fd)), os.get_blocking(int(fd))])
    return seen


def case_names_in_every_room(t: Tree) -> object:
    seen: dict[str, object] = {}
    for name in (b"name", b"./name2", b"dir/name3", b"n" * 107, b"m" * 108, b"dir//.//name4"):
        fd = t("socket", UNIX, STREAM, 0)
        bound = bind(t, fd, unix(name))
        t("listen", fd, 5)
        client = t("socket", UNIX, STREAM, 0)
        joined = connect(t, client, unix(name))
        rooms = (0, 2, 3, 6, len(name) + 2, len(name) + 3, 110, 128, -1)
        text = name[:20].decode()
        seen[text] = [bound, joined]
        seen[f"{text} own"] = [told(t, "getsockname", fd, room) for room in rooms]
        seen[f"{text} peer"] = [told(t, "getpeername", client, room) for room in rooms]
        seen[f"{text} other"] = [told(t, "getsockname", client), told(t, "getpeername", fd)]
    return seen


def case_names_of_other_sockets(t: Tree) -> object:
    hole = unmapped_page()
    one, two = socket.socketpair()
    fresh = t("socket", UNIX, STREAM, 0)
    length = ctypes.byref(ctypes.c_int(128))
    address = ctypes.create_string_buffer(128)
    auto = t("socket", UNIX, STREAM, 0)
    bind(t, auto, unix(b""))
    return {
        "pair": [told(t, "getsockname", one.fileno()), told(t, "getpeername", two.fileno())],
        "fresh": [told(t, "getsockname", fresh), told(t, "getpeername", fresh)],
        "inet": told(t, "getsockname", t("socket", INET, STREAM, 0)),
        "inet6": told(t, "getsockname", t("socket", INET6, DGRAM, 0)),
        "chosen": len(str(told(t, "getsockname", auto))),
        "holes": [
            t("getsockname", fresh, hole, length),
            t("getsockname", fresh, address, hole),
            t("getpeername", one.fileno(), hole, length),
            t("getpeername", one.fileno(), address, hole),
            t("getsockname", DIRTY | one.fileno(), address, length),
        ],
    }


def case_names_go_with_descriptors(t: Tree) -> object:
    """A listener that was passed on, or inherited, has its name still."""
    server = t("socket", UNIX, STREAM, 0)
    bind(t, server, unix(b"./sock"))
    t("listen", server, 5)
    one, two = socket.socketpair()
    t("sendmsg", one.fileno(), Header([b"x"], control=rights(int(server))).data, 0)
    into = Header([4], control=64)
    t("recvmsg", two.fileno(), into.data, 0)
    (fd,) = struct.unpack("=i", into.messages()[0][2])
    os.rename("sock", "renamed")
    client = t("socket", UNIX, STREAM, 0)
    return [
        told(t, "getsockname", fd),
        connect(t, client, unix(b"renamed")),
        told(t, "getpeername", client),
    ]


def case_names_after_changing_directory(t: Tree) -> object:
    os.chdir("dir")
    server = t("socket", UNIX, DGRAM, 0)
    bound = bind(t, server, unix(b"../sock"))
    os.chdir("..")
    client = t("socket", UNIX, DGRAM, 0)
    bind(t, client, unix(b"mine"))
    sent = t("sendto", client, b"x", 1, 0, unix(b"sock"), 6)
    into = Header([4], name=64)
    got = t("recvmsg", server, into.data, 0)
    return [bound, told(t, "getsockname", server), sent, got, into.name().decode()]


def case_names_in_proc(t: Tree) -> object:
    """/proc/net/unix shows the paths as they were given."""
    mark = b"%d" % os.getpid()
    given = [t.root + b"/in." + mark, b"./relative." + mark, b"dir/../dir/in." + mark]
    kept = []
    for path in given:
        kept.append(t("socket", UNIX, STREAM, 0))
        bind(t, kept[-1], unix(path))
        t("listen", kept[-1], 1)
    seen: list[object] = []
    for name in ("/proc/net/unix", "/proc/self/net/unix", f"/proc/{os.getpid()}/net/unix"):
        with open(name, "rb") as file:
            lines = file.read().splitlines()
        own = sorted(line.split()[7].replace(mark, b"PID") for line in lines if b"." + mark in line)
        seen.append([lines[0].split()[0].decode(), [path.decode() for path in own]])
    return seen


def case_who_is_at_the_other_end(_tree: Tree) -> object:
    seen: dict[str, object] = {}
    for sort in (STREAM, SEQPACKET):
        server = socket.socket(UNIX, sort)
        server.bind(f"sock{sort}")
        server.listen()

        def join(sort: int = sort) -> None:
            client = socket.socket(UNIX, sort)
            client.connect(f"sock{sort}")
            _kept.append(client)

        results = []
        for _ in range(2):
            in_child(join)
            end, _ = server.accept()
            results.append(peer(end))
        mine = socket.socket(UNIX, sort)
        mine.connect(f"sock{sort}")
        results.append(peer(mine))
        results.append(peer(server.accept()[0]))
        results.append(peer(server))
        results.append(peer(socket.socket(UNIX, sort)))
        results.append([peer(end) for end in socket.socketpair(UNIX, sort)])
        seen[str(sort)] = results
    seen["datagram"] = peer(socket.socket(UNIX, DGRAM))
    seen["datagram pair"] = [peer(end) for end in socket.socketpair(UNIX, DGRAM)]
    seen["inet"] = peer(socket.socket(INET, STREAM))
    return seen


_kept: list[socket.socket] = []


def case_the_peer_is_who_listened(_tree: Tree) -> object:
    """Whoever connects sees the process that called listen, not the one that accepts."""
    server = socket.socket(UNIX)
    server.bind("sock")
    ready, told_ready = os.pipe()

    def listen() -> None:
        server.listen()
        os.write(told_ready, b"x")

    in_child(listen)
    os.read(ready, 1)
    client = socket.socket(UNIX)
    client.connect("sock")
    return [peer(client), peer(server.accept()[0])]


def case_the_peer_of_an_abstract_name(_tree: Tree) -> object:
    name = b"\0madcap-peer-%d" % os.getpid()
    server = socket.socket(UNIX)
    server.bind(name)
    server.listen()

    def join() -> None:
        client = socket.socket(UNIX)
        client.connect(name)
        _kept.append(client)

    in_child(join)
    client = socket.socket(UNIX)
    end, _ = server.accept()
    client.connect(name)
    return [peer(end), peer(client), peer(server.accept()[0])]


def case_a_pidfd_of_the_peer(t: Tree) -> object:
    server = socket.socket(UNIX)
    server.bind("sock")
    server.listen()

    def join() -> None:
        client = socket.socket(UNIX)
        client.connect("sock")
        _kept.append(client)

    in_child(join)
    end, _ = server.accept()
    try:
        (fd,) = struct.unpack("=i", end.getsockopt(SOL_SOCKET, SO_PEERPIDFD, 4))
    except OSError as error:
        return error.errno  # Before Linux 6.5.
    one, _ = socket.socketpair()
    (own,) = struct.unpack("=i", one.getsockopt(SOL_SOCKET, SO_PEERPIDFD, 4))
    room = ctypes.c_int(3)
    short = t(
        "getsockopt", end.fileno(), SOL_SOCKET, SO_PEERPIDFD, ctypes.byref(room), ctypes.byref(room)
    )
    return [
        who(pid_of(fd)), os.get_inheritable(fd), who(pid_of(own)), short,
        t("getsockopt", t("socket", UNIX, STREAM, 0), SOL_SOCKET, SO_PEERPIDFD,
          ctypes.create_string_buffer(4), ctypes.byref(ctypes.c_int(4))),
    ]  # fmt: skip


def case_options_are_read_in_every_room(t: Tree) -> object:
    one, _ = socket.socketpair()
    hole = unmapped_page()
    seen: dict[str, object] = {}
    for option in (SO_PEERCRED, 3, 39, 2):
        for room in (0, 1, 4, 8, 12, 16, -1):
            value, length = ctypes.create_string_buffer(b"U" * 16), ctypes.c_int(room)
            got = t("getsockopt", one.fileno(), SOL_SOCKET, option, value, ctypes.byref(length))
            seen[f"{option} {room}"] = [got, length.value, value.raw[4:].hex()[:16]]
        length = ctypes.c_int(16)
        seen[f"{option} holes"] = [
            t("getsockopt", one.fileno(), SOL_SOCKET, option, hole, ctypes.byref(length)),
            t("getsockopt", one.fileno(), SOL_SOCKET, option, value, hole),
            t("getsockopt", one.fileno(), SOL_SOCKET, 9999, value, ctypes.byref(length)),
            t("getsockopt", one.fileno(), 77, option, value, ctypes.byref(length)),
        ]
    for row in list(seen):
        if row.startswith("17 ") and "hole" not in row:
            seen[row] = seen[row][:2]  # type: ignore[index]
    return seen


def senders(end: socket.socket, count: int) -> list[object]:
    """Receive *count* messages and say who the control data says they are from."""
    found: list[object] = []
    for _ in range(count):
        into = Header([64], control=128)
        # A receive that fails is told by the test natively.
        data = ctypes.CDLL(None).recvmsg(end.fileno(), into.data, 0)
        names: list[object] = [data]
        for level, kind, body in into.messages():
            if (level, kind) == (SOL_SOCKET, SCM_CREDENTIALS):
                pid, uid, gid = struct.unpack("=iII", body)
                names.append([who(pid), uid == os.getuid(), gid == os.getgid()])
            elif (level, kind) == (SOL_SOCKET, SCM_PIDFD):
                (fd,) = struct.unpack("=i", body)
                names.append(["pidfd", who(pid_of(fd)), os.get_inheritable(fd)])
        found.append(names)
    return found


def ways_to_send(end: socket.socket) -> list[Callable[[], object]]:
    """Return what sends a message on *end*, each in another way."""
    return [
        lambda: end.send(b"send"),
        lambda: end.sendmsg([b"message"]),
        lambda: os.write(end.fileno(), b"write"),
        lambda: end.sendmsg([b"with"], [(SOL_SOCKET, SCM_CREDENTIALS, own())]),
    ]


def case_who_sent_it(_tree: Tree) -> object:
    seen: dict[str, object] = {}
    for sort in (STREAM, DGRAM, SEQPACKET):
        one, two = socket.socketpair(UNIX, sort)
        two.setsockopt(SOL_SOCKET, SO_PASSCRED, 1)
        results: list[object] = []
        for send in ways_to_send(one):
            send()
            results += senders(two, 1)
            in_child(send)
            results += senders(two, 1)
        seen[str(sort)] = results
    return seen


def own() -> bytes:
    """Return the credentials of this process."""
    return struct.pack("=iII", os.getpid(), os.getuid(), os.getgid())


def case_who_sent_to_a_name(_tree: Tree) -> object:
    server = socket.socket(UNIX, DGRAM)
    server.bind("sock")
    server.setsockopt(SOL_SOCKET, SO_PASSCRED, 1)
    results = []
    for bound in (False, True):

        def send(bound: bool = bound) -> None:
            client = socket.socket(UNIX, DGRAM)
            if bound:
                client.bind(f"client{os.getpid()}")
            client.sendto(b"to a name", "sock")
            client.sendmsg([b"to a name"], [], 0, "sock")
            _kept.append(client)

        send()
        results += senders(server, 2)
        in_child(send)
        results += senders(server, 2)
    return results


def case_who_sent_in_a_pidfd(_tree: Tree) -> object:
    results: list[object] = []
    for sort in (STREAM, DGRAM, SEQPACKET):
        one, two = socket.socketpair(UNIX, sort)
        try:
            two.setsockopt(SOL_SOCKET, SO_PASSPIDFD, 1)
        except OSError as error:
            return error.errno  # Before Linux 6.5.
        for send in ways_to_send(one)[:2]:
            send()
            results += senders(two, 1)
            in_child(send)
            results += senders(two, 1)
    return results


def case_credentials_that_are_not_the_senders(t: Tree) -> object:
    seen: dict[str, object] = {}
    for sort in (STREAM, DGRAM, SEQPACKET):
        one, two = socket.socketpair(UNIX, sort)
        two.setsockopt(SOL_SOCKET, SO_PASSCRED, 1)
        me, uid, gid = os.getpid(), os.getuid(), os.getgid()
        seen[str(sort)] = [
            t("sendmsg", one.fileno(), Header([b"x"], control=credentials(*claim)).data, 0)
            for claim in (
                (me, uid, gid), (1, uid, gid), (os.getppid(), uid, gid), (0, uid, gid),
                (me, uid + 1, gid), (me, uid, gid + 1), (-1, uid, gid),
            )
        ]  # fmt: skip
        seen[f"{sort} told"] = senders(two, 1)
    return seen


def case_credentials_are_not_told_unasked(t: Tree) -> object:
    one, two = socket.socketpair()
    sent = t(
        "sendmsg",
        one.fileno(),
        Header([b"x"], control=credentials(os.getpid(), os.getuid(), os.getgid())).data,
        0,
    )
    return [sent, senders(two, 1)]  # fmt: skip


def case_credentials_and_descriptors_together(t: Tree) -> object:
    results = []
    for sort in (STREAM, DGRAM, SEQPACKET):
        one, two = socket.socketpair(UNIX, sort)
        two.setsockopt(SOL_SOCKET, SO_PASSCRED, 1)
        both = credentials(os.getpid(), os.getuid(), os.getgid()) + rights(t.fd(b"file"))
        sent = t("sendmsg", one.fileno(), Header([b"x"], control=both).data, 0)
        into = Header([4], control=128)
        got = t("recvmsg", two.fileno(), into.data, 0)
        kinds = [(level, kind, len(data)) for level, kind, data in into.messages()]
        results.append([sent, got, kinds, into.seen()])
        for room in (16, 32, 40, 48, 52, 56):
            t("sendmsg", one.fileno(), Header([b"x"], control=both).data, 0)
            into = Header([4], control=room)
            got = t("recvmsg", two.fileno(), into.data, 0)
            kinds = [(level, kind, len(data)) for level, kind, data in into.messages()]
            results.append([room, got, kinds, into.seen()])
    return results


def case_a_pair_has_names_and_descriptors(t: Tree) -> object:
    seen: dict[str, object] = {}
    for kind in (STREAM, DGRAM, SEQPACKET, STREAM | CLOEXEC, DGRAM | NONBLOCK, 0, 7, 99):
        fds = (ctypes.c_int * 2)(-1, -1)
        result = t("socketpair", UNIX, kind, 0, fds)
        seen[str(kind)] = [result, [fd >= 0 for fd in fds]]
        if result == 0:
            seen[f"{kind} flags"] = [[os.get_inheritable(fd), os.get_blocking(fd)] for fd in fds]
    fds = (ctypes.c_int * 2)(-1, -1)
    before = len(os.listdir("/proc/self/fd"))
    seen["others"] = [t("socketpair", family, STREAM, 0, fds) for family in (INET, INET6, 99, -1)]
    seen["protocol"] = [t("socketpair", UNIX, STREAM, protocol, fds) for protocol in (1, 2, -1)]
    seen["hole"] = t("socketpair", UNIX, STREAM, 0, unmapped_page())
    seen["no place"] = t("socketpair", UNIX, STREAM, 0, 0)
    seen["left open"] = len(os.listdir("/proc/self/fd")) - before
    return seen


def case_mapped_and_dual_addresses(t: Tree) -> object:
    server = socket.socket(socket.AF_INET6)
    server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    server.bind(("::", 0))
    server.listen()
    port = server.getsockname()[1]
    seen: dict[str, object] = {}
    for name, family, to in (
        ("four", INET, inet(port)),
        ("six", INET6, inet6(port)),
        ("mapped", INET6, inet6(port, "::ffff:127.0.0.1")),
    ):
        fd = t("socket", family, STREAM, 0)
        joined = connect(t, fd, to)
        _, address = server.accept()
        seen[name] = [joined, address[0]]
    only = t("socket", INET6, STREAM, 0)
    socket.socket(fileno=os.dup(int(only))).setsockopt(41, socket.IPV6_V6ONLY, 1)
    seen["only six"] = connect(t, only, inet6(port, "::ffff:127.0.0.1"))
    seen["bound mapped"] = bind(t, t("socket", INET6, STREAM, 0), inet6(0, "::ffff:127.0.0.1"))
    seen["bound only six"] = bind(t, only, inet6(0, "::ffff:127.0.0.1"))
    return seen


def case_ports_that_are_chosen_late(t: Tree) -> object:
    """IP_BIND_ADDRESS_NO_PORT: the port comes with the connection."""
    with listener() as server:
        fd = int(t("socket", INET, STREAM, 0))
        end = socket.socket(fileno=os.dup(fd))
        end.setsockopt(socket.IPPROTO_IP, 24, 1)
        bound = bind(t, fd, inet(0, "127.0.0.3"))
        before = end.getsockname()
        joined = connect(t, fd, inet(server.getsockname()[1]))
        _, seen = server.accept()
        return [bound, before[1], joined, seen[0], end.getsockname()[1] == seen[1]]


def case_netlink_has_the_callers_port(t: Tree) -> object:
    fd = t("socket", 16, 3, 0)
    if isinstance(fd, str):
        return fd
    address, length = ctypes.create_string_buffer(12), ctypes.byref(ctypes.c_int(12))
    results = [t("bind", fd, struct.pack("=HHII", 16, 0, 0, 0), 12)]
    results.append(t("getsockname", fd, address, length))
    results.append(struct.unpack("=HHII", address.raw)[2] == os.getpid())
    request = struct.pack("=IHHII", 16 + 16, 18, 0x301, 1, 0) + bytes(16)  # RTM_GETLINK
    results.append(t("sendto", fd, request, len(request), 0, struct.pack("=HHII", 16, 0, 0, 0), 12))
    into = Header([8192], name=12)
    results.append(int(t("recvmsg", fd, into.data, MSG_DONTWAIT)) > 32)
    return [*results, into.seen()[0]]
