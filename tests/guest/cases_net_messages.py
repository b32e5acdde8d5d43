# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases for messages, one or many, sent and received: what is copied, and what is reported."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from typing import TYPE_CHECKING

from netcalls import (
    DGRAM,
    DIRTY,
    INET,
    MSG_CMSG_CLOEXEC,
    MSG_CTRUNC,
    MSG_DONTWAIT,
    MSG_EOR,
    MSG_NOSIGNAL,
    MSG_PEEK,
    MSG_TRUNC,
    MSG_WAITALL,
    MSG_WAITFORONE,
    SCM_CREDENTIALS,
    SCM_RIGHTS,
    SOL_SOCKET,
    STREAM,
    UNIX,
    Header,
    cmsg,
    inet,
    listener,
    read_only_page,
    rights,
    several,
    unix,
)
from rawcalls import at_end_of_page, unmapped_page

if TYPE_CHECKING:
    from run_cases import Tree

SORTS = {"stream": STREAM, "datagram": DGRAM, "packets": socket.SOCK_SEQPACKET}


def pairs() -> list[tuple[str, socket.socket, socket.socket]]:
    """Return a connected pair of each sort, those over UDP and TCP too."""
    made = [(name, *socket.socketpair(UNIX, sort)) for name, sort in SORTS.items()]
    with listener() as server:
        one = socket.create_connection(server.getsockname())
        made.append(("tcp", one, server.accept()[0]))
    left, right = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    for end in (left, right):
        end.bind(("127.0.0.1", 0))
    left.connect(right.getsockname())
    right.connect(left.getsockname())
    made.append(("udp", left, right))
    for _, *ends in made:
        for end in ends:
            end.settimeout(5)
            end.setblocking(True)
    return made


def send(t: Tree, end: socket.socket, header: Header, flags: int = 0) -> object:
    return t("sendmsg", end.fileno(), header.data, flags)


def receive(t: Tree, end: socket.socket, header: Header, flags: int = 0) -> object:
    return t("recvmsg", end.fileno(), header.data, flags)


def case_what_is_sent_in_pieces_arrives(t: Tree) -> object:
    seen = {}
    for name, one, two in pairs():
        sent = send(t, one, Header([b"ab", b"", b"cde", b"f"]))
        into = Header([1, 0, 4, 9])
        got = receive(t, two, into)
        seen[name] = [sent, got, [into.part(i) for i in range(4)], into.seen()]
    return seen


def case_nothing_is_sent_and_received(t: Tree) -> object:
    seen = {}
    for name, one, two in pairs():
        results: list[object] = [send(t, one, Header([])), send(t, one, Header([b""]))]
        into = Header([4])
        results += [receive(t, two, into, MSG_DONTWAIT), into.seen()]
        results += [receive(t, two, Header([]), MSG_DONTWAIT)]
        results += [t("recvfrom", two.fileno(), 0, 0, MSG_DONTWAIT, 0, 0)]
        seen[name] = results
    return seen


def case_a_message_too_long_is_cut(t: Tree) -> object:
    seen = {}
    for name, one, two in pairs():
        if name in ("stream", "tcp"):
            continue
        results: list[object] = []
        for flags in (0, MSG_TRUNC, MSG_PEEK, MSG_PEEK | MSG_TRUNC):
            one.send(b"0123456789")
            into = Header([2, 3])
            results.append([receive(t, two, into, flags), into.part(0), into.part(1), into.seen()])
            if flags & MSG_PEEK:
                two.recv(99)
        seen[name] = results
    return seen


def case_recvfrom_cuts_as_well(t: Tree) -> object:
    seen = {}
    for name, one, two in pairs():
        if name in ("stream", "tcp"):
            continue
        results: list[object] = []
        for flags in (0, MSG_TRUNC, MSG_PEEK | MSG_TRUNC):
            one.send(b"0123456789")
            into, address = ctypes.create_string_buffer(6), ctypes.create_string_buffer(b"U" * 32)
            length = ctypes.c_int(32)
            got = t("recvfrom", two.fileno(), into, 3, flags, address, ctypes.byref(length))
            results.append([got, into.raw.decode(), length.value])
            if flags & MSG_PEEK:
                two.recv(99)
        seen[name] = results
    return seen


def case_a_stream_is_read_in_parts(t: Tree) -> object:
    seen = {}
    for name, one, two in pairs():
        if name not in ("stream", "tcp"):
            continue
        one.send(b"0123456789")
        peeked, first, rest = Header([4]), Header([4]), Header([9])
        seen[name] = [
            [receive(t, two, peeked, MSG_PEEK), peeked.part(0, 4)],
            [receive(t, two, first, MSG_TRUNC if name == "stream" else 0), first.part(0, 4)],
            [receive(t, two, rest), rest.part()],
            receive(t, two, Header([9]), MSG_DONTWAIT),
        ]
    return seen


def case_all_of_it_is_waited_for(t: Tree) -> object:
    seen = {}
    for name, one, two in pairs():
        if name not in ("stream", "tcp"):
            continue
        one.send(b"01")
        pid = os.fork()
        if pid == 0:
            socket.socket(fileno=os.dup(one.fileno())).sendall(b"2345")
            os._exit(0)
        os.waitpid(pid, 0)
        into = Header([3, 3])
        got = receive(t, two, into, MSG_WAITALL)
        one.send(b"67")
        one.shutdown(socket.SHUT_WR)
        last = Header([9])
        seen[name] = [got, into.part(0, 3), into.part(1, 3), receive(t, two, last, MSG_WAITALL)]
        seen[f"{name} end"] = [last.part(), receive(t, two, Header([9]))]
    return seen


def case_the_end_of_a_stream(t: Tree) -> object:
    seen = {}
    for name, one, two in pairs():
        one.close()
        into = Header([4], control=32)
        seen[name] = [receive(t, two, into, MSG_DONTWAIT), into.seen()]
    return seen


def case_addresses_of_senders(t: Tree) -> object:
    seen = {}
    for sort in ("datagram", "udp"):
        if sort == "udp":
            server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            server.bind(("127.0.0.1", 0))
            client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            client.bind(("127.0.0.1", 0))
            expected = inet(client.getsockname()[1])
        else:
            server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            server.bind("server")
            client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            client.bind("client-of-the-server")
            expected = unix(b"client-of-the-server\0")
        results = []
        for room in (0, 1, 2, 5, len(expected), 128, 4096):
            client.sendto(b"x", server.getsockname())
            into = Header([4], name=room)
            got = receive(t, server, into)
            start = into.name()[:room]
            results.append([got, into.seen(), start == expected[:room]])
            client.sendto(b"x", server.getsockname())
            data, name, length = (ctypes.create_string_buffer(n) for n in (4, 4096, 4))
            length.raw = struct.pack("=I", room)
            got = t("recvfrom", server.fileno(), data, 4, 0, name, length)
            told = struct.unpack("=I", length.raw)[0]
            short = min(room, told)
            results.append([got, told, name.raw[:short] == expected[:short]])
        client.sendto(b"x", server.getsockname())
        results.append(t("recvfrom", server.fileno(), data, 4, 0, name, 0))
        length.raw = struct.pack("=i", -1)
        client.sendto(b"y", server.getsockname())
        results.append(t("recvfrom", server.fileno(), data, 4, 0, name, length))
        client.sendto(b"z", server.getsockname())
        results.append(receive(t, server, Header([4], name=16, name_length=-1)))
        seen[sort] = results
    return seen


def case_senders_without_a_name(t: Tree) -> object:
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind("server")
    client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    client.sendto(b"x", "server")
    into = Header([4], name=16)
    results: list[object] = [receive(t, server, into), into.seen()]
    client.sendto(b"x", "server")
    data, name, length = (ctypes.create_string_buffer(n) for n in (4, 16, 4))
    length.raw = struct.pack("=I", 16)
    results += [t("recvfrom", server.fileno(), data, 4, 0, name, length), length.raw[0]]
    return results


def case_bad_memory_when_sending(t: Tree) -> object:
    hole = unmapped_page()
    seen = {}
    for name, one, two in pairs():
        fd = one.fileno()
        seen[name] = {
            "header in a hole": t("sendmsg", fd, hole, 0),
            "header half in a hole": t("sendmsg", fd, hole - 8, 0),
            "no header": t("sendmsg", fd, 0, 0),
            "vector in a hole": send(t, one, Header([b"x"], vector=hole)),
            "no vector": send(t, one, Header([b"x"], vector=0)),
            "no vector, no pieces": send(t, one, Header([], vector=0)),
            "data in a hole": send(t, one, Header([(hole, 4)])),
            "second piece in a hole": send(t, one, Header([b"good", (hole, 4)])),
            "up to a hole": send(t, one, Header([(at_end_of_page(b"0123"), 4)])),
            "beyond": send(t, one, Header([(at_end_of_page(b"4567"), 5)])),
            "negative size": send(t, one, Header([(hole - 64, -1 & (1 << 64) - 1)])),
            "kernel memory": send(t, one, Header([((1 << 64) - 4096, 4)])),
            "too many pieces": send(t, one, Header([b"x"], count=1025)),
            "most pieces": send(t, one, Header([b"x"] * 1024)),
            "control in a hole": send(t, one, Header([b"x"], control=hole, control_length=16)),
            "no control": send(t, one, Header([b"x"], control=None, control_length=16)),
            "large control": send(t, one, Header([b"x"], control=hole, control_length=1 << 32)),
            "name in a hole": send(t, one, Header([b"x"], name=hole, name_length=16)),
            "negative name": send(t, one, Header([b"x"], name=hole, name_length=-1)),
            "long name": send(t, one, Header([b"x"], name=bytes(200))),
        }
        two.setblocking(False)
        arrived = []
        try:
            while len(arrived) < 99:
                arrived.append(len(two.recv(4096)))
        except BlockingIOError:
            pass
        seen[name]["arrived"] = arrived
    return seen


def case_bad_memory_when_receiving(t: Tree) -> object:
    fixed, hole = read_only_page(b"x"), unmapped_page()
    attempts: dict[str, Header | int] = {
        "header in a hole": hole,
        "no header": 0,
        "vector in a hole": Header([4], vector=hole),
        "data in a hole": Header([(hole, 4)]),
        "no data": Header([(0, 4)]),
        "data half in a hole": Header([(hole - 4, 10)]),
        "second piece in a hole": Header([4, (hole, 6)]),
        "read-only": Header([(fixed, 10)]),
        "negative size": Header([(hole - 64, -1 & (1 << 64) - 1)]),
        "too many pieces": Header([4], count=1025),
        "name in a hole": Header([10], name=hole, name_length=16),
        "control in a hole": Header([10], control=hole, control_length=64),
        "large control": Header([10], control=hole, control_length=1 << 32),
    }
    seen = {}
    for name, one, two in pairs():
        two.setblocking(False)
        for what, header in attempts.items():
            if what == "read-only" and name in ("stream", "tcp"):
                continue  # There the data is lost: docs/deviations.md.
            one.send(b"0123456789")
            where = header if isinstance(header, int) else header.data
            got = t("recvmsg", two.fileno(), where, 0)
            seen[f"{name}: {what}"] = [got, left_in(two)]
    return seen


def left_in(end: socket.socket) -> int:
    """Return how many bytes can still be read."""
    total = 0
    try:
        while total < 99:
            total += len(end.recv(99))
    except BlockingIOError:
        pass
    return total


def case_recvfrom_into_bad_memory(t: Tree) -> object:
    fixed, hole = read_only_page(b"x"), unmapped_page()
    seen = {}
    for name, one, two in pairs():
        two.setblocking(False)
        results = {}
        data, address, length = (ctypes.create_string_buffer(n) for n in (16, 128, 4))
        for what, where, size, to, room in (
            ("data in a hole", hole, 4, address, length),
            ("half", hole - 4, 10, address, length),
            ("read-only", fixed, 10, address, length),
            ("address in a hole", data, 4, hole, length),
            ("length in a hole", data, 4, address, hole),
            ("too large", data, 1 << 47, address, length),
        ):
            if name == "stream" and where == fixed:
                continue
            one.send(b"0123456789")
            length.raw = struct.pack("=I", 128)
            got = t("recvfrom", two.fileno(), where, size, 0, to, room)
            results[what] = [got, left_in(two)]
        seen[name] = results
    return seen


def case_wrong_descriptors(t: Tree) -> object:
    header = Header([b"x"])
    seen: dict[str, list[object]] = {}
    for name, fd in (("file", t.fd(b"file")), ("bad", 99), ("negative", -1), ("path", None)):
        number = t.fd(b"file", 0o10000000) if fd is None else fd
        seen[name] = [
            t("sendmsg", number, header.data, 0),
            t("recvmsg", number, header.data, 0),
            t("sendmmsg", number, header.data, 1, 0),
            t("recvmmsg", number, header.data, 1, 0, 0),
            t("recvfrom", number, header.data, 4, 0, header.data, header.data),
            t("accept", number, 0, 0),
            t("accept4", number, 0, 0, 0),
            t("getsockname", number, header.data, header.data),
            t("getpeername", number, header.data, header.data),
            t("getsockopt", number, SOL_SOCKET, 17, header.data, header.data),
            t("listen", number, 1),
        ]
    return seen


def case_flags_and_descriptors_are_ints(t: Tree) -> object:
    seen = {}
    for name, one, two in pairs():
        into = Header([9])
        seen[name] = [
            t("sendmsg", DIRTY | one.fileno(), Header([b"hello"]).data, DIRTY | MSG_NOSIGNAL),
            t("recvmsg", DIRTY | two.fileno(), into.data, DIRTY | MSG_DONTWAIT),
            into.part(),
        ]
    return seen


def case_flags_for_others(t: Tree) -> object:
    seen = {}
    for name, one, two in pairs():
        one.send(b"x")
        seen[name] = [
            t("sendmsg", one.fileno(), Header([b"x"]).data, 0x8000_0000),
            t("recvmsg", two.fileno(), Header([4]).data, 0x8000_0000),
            t("recvmsg", two.fileno(), Header([4], flags=0xFFFF).data, MSG_CMSG_CLOEXEC),
            t("sendmsg", one.fileno(), Header([b"x"], flags=0x7FFF_FFFF).data, MSG_EOR),
            t("recvmsg", two.fileno(), Header([4]).data, MSG_DONTWAIT),
        ]
    return seen


def case_many_messages_at_once(t: Tree) -> object:
    seen = {}
    for name, one, two in pairs():
        messages = several([Header([b"one"]), Header([b"two", b"2"]), Header([b""])])
        sent = t("sendmmsg", one.fileno(), messages, 3, 0)
        told = [struct.unpack_from("=I", messages.raw, 64 * i + 56)[0] for i in range(3)]
        headers = [Header([8]) for _ in range(3)]
        into = several(headers)
        got = t("recvmmsg", two.fileno(), into, 3, MSG_DONTWAIT, 0)
        lengths = [struct.unpack_from("=I", into.raw, 64 * i + 56)[0] for i in range(3)]
        seen[name] = [sent, told, got, lengths[: got if isinstance(got, int) else 0]]
        seen[f"{name} data"] = [header.part() for header in headers]
    return seen


def case_some_of_many_messages_fail(t: Tree) -> object:
    hole = unmapped_page()
    seen = {}
    for name, one, two in pairs():
        bad = several([Header([b"one"]), Header([(hole, 4)]), Header([b"three"])])
        first = t("sendmmsg", one.fileno(), bad, 3, 0)
        alone = t("sendmmsg", one.fileno(), ctypes.addressof(bad) + 64, 2, 0)
        none = t("sendmmsg", one.fileno(), bad, 0, 0)
        nowhere = t("sendmmsg", one.fileno(), hole, 1, 0)
        one.send(b"four")
        into = several([Header([8]), Header([(hole, 4)]), Header([8])])
        got = t("recvmmsg", two.fileno(), into, 3, MSG_DONTWAIT, 0)
        # What went wrong after the first message, the kernel tells the next call; we don't.
        seen[name] = [first, alone, none, nowhere, got]
    return seen


def case_recvmmsg_and_time(t: Tree) -> object:
    seen = {}
    for name, one, two in pairs():
        one.send(b"one")
        results: list[object] = []
        for pause in ((0, 0), (0, 50_000_000), (-1, 0), (0, 1_000_000_000), (0, -1)):
            into = several([Header([8]), Header([8])])
            time = ctypes.create_string_buffer(struct.pack("=qq", *pause))
            results.append(t("recvmmsg", two.fileno(), into, 1, MSG_DONTWAIT, time))
        one.send(b"two")
        into = several([Header([8]), Header([8])])
        results.append(t("recvmmsg", two.fileno(), into, 2, MSG_WAITFORONE, 0))
        results.append(t("recvmmsg", two.fileno(), into, 2, 0, unmapped_page()))
        seen[name] = results
    return seen


def case_sending_after_the_end(t: Tree) -> object:
    seen = {}
    for name, one, two in pairs():
        if name == "udp":
            continue
        two.close()
        results = [send(t, one, Header([b"x"]), MSG_NOSIGNAL)]
        if name == "tcp":
            results.append(send(t, one, Header([b"x"]), MSG_NOSIGNAL))
        one.shutdown(socket.SHUT_WR) if name == "stream" else None
        results.append(send(t, one, Header([b"x"]), MSG_NOSIGNAL))
        seen[name] = results
    return seen


def case_sending_on_what_is_not_connected(t: Tree) -> object:
    seen = {}
    for family in (UNIX, INET):
        for name, sort in SORTS.items():
            if family == INET and name == "packets":
                continue
            fd = t("socket", family, sort, 0)
            to = unix(b"absent") if family == UNIX else inet(1)
            seen[f"{family} {name}"] = [
                t("sendmsg", fd, Header([b"x"]).data, MSG_NOSIGNAL),
                t("sendmsg", fd, Header([b"x"], name=to).data, MSG_NOSIGNAL),
                t("sendto", fd, b"x", 1, MSG_NOSIGNAL, to, len(to)),
                t("recvmsg", fd, Header([4]).data, MSG_DONTWAIT),
                t("recvfrom", fd, Header([4]).data, 4, MSG_DONTWAIT, Header([4]).data, 0),
            ]
    return seen


def case_addresses_on_connected_sockets(t: Tree) -> object:
    seen = {}
    for name, one, two in pairs():
        to = inet(two.getsockname()[1]) if name in ("udp", "tcp") else unix(b"absent")
        seen[name] = [
            send(t, one, Header([b"x"], name=to)),
            t("sendto", one.fileno(), b"x", 1, 0, to, len(to)),
            send(t, one, Header([b"x"], name=to[:1])),
            send(t, one, Header([b"x"], name=b"\0\0" + to[2:])),
        ]
    return seen


def case_large_messages(t: Tree) -> object:
    seen = {}
    for name, one, two in pairs():
        results: list[object] = []
        for size in (60_000, 200_000, 1_000_000):
            one.setblocking(False)
            two.setblocking(False)
            sent = send(t, one, Header([b"a" * (size // 2), b"b" * (size // 2)]))
            got = 0
            data = b""
            if isinstance(sent, int):
                while got < sent:
                    try:
                        data += two.recv(2_000_000)
                    except BlockingIOError:
                        break
                    got = len(data)
                complete = got == sent and data[: size // 2].count(b"a") == min(sent, size // 2)
                results.append([sent == size or name in ("stream", "tcp"), complete])
            else:
                results.append(sent)
        seen[name] = results
    return seen


def case_a_large_message_is_received_in_one(t: Tree) -> object:
    seen = {}
    for name, one, two in pairs():
        if name == "tcp":
            continue
        one.send(b"y" * 50_000)
        into = Header([20_000, 40_000])
        seen[name] = [receive(t, two, into), into.part(0, 20_000).count("y"), into.seen()]
    return seen


def case_control_data_that_is_wrong(t: Tree) -> object:
    seen: dict[str, object] = {}
    for name, one, two in pairs():
        fd = one.fileno()
        for what, data in (
            ("short", b"\1" * 8),
            ("length 0", bytes(16)),
            ("length too large", struct.pack("=Qii", 64, SOL_SOCKET, SCM_RIGHTS) + bytes(8)),
            ("bad descriptor", rights(99)),
            ("negative descriptor", rights(-1)),
            ("no descriptor", rights()),
            ("half a descriptor", cmsg(SOL_SOCKET, SCM_RIGHTS, b"\0\0")),
            ("too many", rights(*[fd] * 254)),
            ("short credentials", cmsg(SOL_SOCKET, SCM_CREDENTIALS, bytes(8))),
            ("unknown type", cmsg(SOL_SOCKET, 99, bytes(4))),
            ("unknown level", cmsg(77, 1, bytes(4))),
            ("trailing bytes", rights(fd) + b"\1\2\3"),
        ):
            if name in ("tcp", "udp") and what.startswith("unknown"):
                continue
            seen[f"{name}: {what}"] = send(t, one, Header([b"x"], control=data), MSG_NOSIGNAL)
        two.close()
    return seen


def case_descriptors_are_passed(t: Tree) -> object:
    seen = {}
    for name, one, two in pairs():
        if name in ("tcp", "udp"):
            continue
        results: list[object] = []
        for flags, room in (
            (0, 64), (MSG_CMSG_CLOEXEC, 64), (0, 24), (0, 20), (0, 19), (0, 16), (0, 8), (0, 0),
        ):  # fmt: skip
            before = len(os.listdir("/proc/self/fd"))
            sent = send(t, one, Header([b"x"], control=rights(t.fd(b"file"), t.fd(b"other"))))
            into = Header([4], control=room)
            got = receive(t, two, into, flags)
            found = []
            for _, _, data in into.messages():
                for (fd,) in struct.iter_unpack("=i", data[: len(data) // 4 * 4]):
                    found.append([os.get_inheritable(fd), os.read(fd, 99).decode()])
                    os.close(fd)
            after = len(os.listdir("/proc/self/fd"))
            results.append([sent, got, into.seen(), found, after - before])
        seen[name] = results
    return seen


def case_descriptors_that_nobody_takes(t: Tree) -> object:
    """They are closed: by recvfrom, by a receive without room, and with the socket."""
    seen = {}
    for name, one, two in pairs():
        if name in ("tcp", "udp"):
            continue
        read, write = os.pipe()
        for _ in range(3):
            send(t, one, Header([b"x"], control=rights(write)))
        os.close(write)
        data, address, length = (ctypes.create_string_buffer(n) for n in (4, 16, 4))
        length.raw = struct.pack("=I", 16)
        results = [t("recvfrom", two.fileno(), data, 1, 0, address, length)]
        into = Header([1])
        results += [receive(t, two, into), into.seen()[2] & MSG_CTRUNC]
        two.close()
        os.set_blocking(read, False)
        seen[name] = [*results, t("read", read, data, 1)]
    return seen


def case_descriptors_at_the_limit(t: Tree) -> object:
    import resource

    one, two = socket.socketpair()
    numbers = [t.fd(b"file") for _ in range(4)]
    send(t, one, Header([b"x"], control=rights(*numbers)))
    for number in numbers[1:]:
        os.close(number)
    top = max(map(int, os.listdir("/proc/self/fd")))
    limit = numbers[1] + 2
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, resource.getrlimit(7)[1]))
    into = Header([4], control=64)
    got = receive(t, two, into)
    found = [len(data) // 4 for _, _, data in into.messages()]
    return [got, into.seen()[1:], found, top > 0]


def case_peeked_descriptors(t: Tree) -> object:
    one, two = socket.socketpair()
    send(t, one, Header([b"x"], control=rights(t.fd(b"file"))))
    results = []
    for flags in (MSG_PEEK, MSG_PEEK, 0):
        into = Header([4], control=64)
        got = receive(t, two, into, flags)
        (fd,) = struct.unpack("=i", into.messages()[0][2])
        results.append([got, into.seen(), os.pread(fd, 9, 0).decode()])
    return results


def case_descriptors_and_two_messages_in_one_stream(t: Tree) -> object:
    """A receive ends where other descriptors begin."""
    one, two = socket.socketpair()
    one.send(b"plain")
    send(t, one, Header([b"first"], control=rights(t.fd(b"file"))))
    send(t, one, Header([b"second"], control=rights(t.fd(b"other"))))
    one.send(b"last")
    results = []
    for _ in range(4):
        into = Header([64], control=64)
        results.append(
            [
                receive(t, two, into, MSG_DONTWAIT),
                into.part(0, 32).rstrip("."),
                len(into.messages()),
            ]
        )
    return results  # fmt: skip


def case_a_socket_passed_over_itself(t: Tree) -> object:
    one, two = socket.socketpair()
    sent = send(t, one, Header([b"x"], control=rights(one.fileno(), two.fileno())))
    into = Header([4], control=64)
    got = receive(t, two, into)
    fds = struct.unpack("=ii", into.messages()[0][2])
    os.write(fds[0], b"through")
    return [sent, got, two.recv(9).decode()]


def case_message_time_stamps_and_marks(t: Tree) -> object:
    seen = {}
    for name, one, two in pairs():
        if name != "udp":
            continue
        two.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        two.setsockopt(socket.IPPROTO_IP, 12, 1)  # IP_RECVTTL
        tos = cmsg(0, 1, struct.pack("=i", 0x10))
        sent = send(t, one, Header([b"x"], control=tos))
        into = Header([4], control=128)
        got = receive(t, two, into)
        found = sorted([level, kind, data.hex()] for level, kind, data in into.messages())
        seen[name] = [sent, got, found]
        send(t, one, Header([b"x"], control=tos))
        short = Header([4], control=20)
        seen["cut"] = [receive(t, two, short), short.seen()]
    return seen


def case_errors_of_a_datagram_come_back(t: Tree) -> object:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        to = inet(closed.getsockname()[1])
    fd = t("socket", INET, DGRAM, 0)
    return [
        t("connect", fd, to, 16),
        t("sendmsg", fd, Header([b"x"]).data, 0),
        t("sendmsg", fd, Header([b"x"]).data, 0),
        t("sendmsg", fd, Header([b"x"]).data, 0),
        t("recvmsg", fd, Header([4]).data, MSG_DONTWAIT),
        t("recvmsg", fd, Header([4]).data, MSG_DONTWAIT),
    ]
