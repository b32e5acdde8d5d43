# SPDX-License-Identifier: GPL-3.0-or-later
"""Nobody is reached, and nothing passed, that no rule allows: by swapping, or by another door.

Each race runs natively too, where it has to reach what is denied inside, or it would prove nothing.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.guest import Guest

TRIES = 1500


def free_ports(kind: int) -> list[int]:
    """Return two ports that nobody has."""
    ends = [socket.socket(socket.AF_INET, kind) for _ in range(2)]
    for end in ends:
        end.bind(("127.0.0.1", 0))
    ports = [end.getsockname()[1] for end in ends]
    for end in ends:
        end.close()
    return ports


def race(guest: Guest, kind: str, allowed: object, denied: object, *rules: str) -> dict[str, int]:
    """Run one race; return how often it reached what is allowed, what is denied, and nothing."""

    def prepare(work: Path) -> None:
        for name in (allowed, denied):
            if isinstance(name, str):
                (work / name).mkdir()
                os.chown(work / name, guest.identity.uid, guest.identity.gid)

    outcome = guest.python(
        "race_net.py", kind, str(TRIES), str(allowed), str(denied), profile="attacks.syd-3",
        rules=["trace/allow_unsafe_hardlinks:1", *rules], prepare=prepare, timeout=120,
    )  # fmt: skip
    assert outcome.status == 0, outcome._replace(log=outcome.log[:3])
    counts: dict[str, int] = json.loads(outcome.out)
    return counts


def check(guest: Guest, counts: dict[str, int]) -> None:
    """Require that the denied was reached natively, and only there."""
    assert counts["allowed"] > 0
    if guest.kind == "native":
        assert counts["denied"] > 0
    else:
        assert counts["denied"] == 0
        assert counts["refused"] > 0


@pytest.mark.parametrize(
    "kind", ["sendto", "sendmsg", "sendmmsg", "connect", "pointer", "pointers"]
)
def test_an_address_that_is_swapped_leads_nowhere_else(guest: Guest, kind: str) -> None:
    allowed, denied = free_ports(socket.SOCK_DGRAM)
    rules = ("allow/net/bind+loopback!1-65535", f"allow/net/connect+loopback!{allowed}")
    check(guest, race(guest, kind, allowed, denied, *rules))


@pytest.mark.parametrize("kind", ["sendto", "sendmsg", "connect", "parent"])
def test_a_path_that_is_swapped_leads_nowhere_else(guest: Guest, kind: str) -> None:
    rules = (
        "allow/net/bind+/***",
        "deny/net/connect+/***",
        f"allow/net/connect+{guest.work}/a/sock",
    )
    check(guest, race(guest, kind, "a", "d", *rules))


def test_a_socket_that_is_swapped_is_still_the_one_that_was_judged(guest: Guest) -> None:
    allowed, denied = free_ports(socket.SOCK_DGRAM)
    rules = ("allow/net/bind+loopback!1-65535", "allow/net/connect+tcp!loopback!1-65535")
    counts = race(guest, "socket", allowed, denied, *rules)
    assert (counts["denied"] > 0) == (guest.kind == "native")
    if guest.kind != "native":
        assert 0 < counts["refused"] < TRIES


def test_a_descriptor_that_is_swapped_is_not_passed(guest: Guest) -> None:
    rules = ("allow/net/bind+!unnamed", "allow/sendfd+!pipe", "allow/recvfd+!*")
    check(guest, race(guest, "descriptor", "a", "d", *rules))


def test_a_vector_that_is_swapped_does_no_harm(sandbox: Guest) -> None:
    allowed, denied = free_ports(socket.SOCK_DGRAM)
    rules = ("allow/net/bind+loopback!1-65535", f"allow/net/connect+loopback!{allowed}")
    counts = race(sandbox, "vector", allowed, denied, *rules)
    assert counts["allowed"] + counts["refused"] == TRIES
    assert counts["denied"] == 0
    assert counts["allowed"] > 0


_DOORS = """
import errno, json, os, socket, struct, sys
found = {}
def attempt(name, call):
    try:
        call()
        found[name] = "done"
    except OSError as error:
        found[name] = errno.errorcode[error.errno]
server = socket.create_server(("127.0.0.1", 0))
port = server.getsockname()[1]
datagrams = socket.socket(2, 2)
datagrams.bind(("127.0.0.1", port))
to = ("127.0.0.1", port)
raw = struct.pack("=H", 0) + struct.pack(">H", port) + bytes((127, 0, 0, 1)) + bytes(8)
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def plain(function, *words):
    if function(*words) < 0:
        raise OSError(ctypes.get_errno(), "failed")
def six():
    made = socket.socket(10, 1)
    made.connect(("::ffff:127.0.0.1", port))
attempt("connect", lambda: socket.create_connection(to))
attempt("mapped", six)
attempt("mapped datagram", lambda: socket.socket(10, 2).sendto(b"x", ("::ffff:127.0.0.1", port)))
attempt("datagram", lambda: socket.socket(2, 2).sendto(b"x", to))
attempt("message", lambda: socket.socket(2, 2).sendmsg([b"x"], [], 0, to))
attempt("fast open", lambda: socket.socket(2, 1).sendto(b"x", 0x20000000, to))
attempt("fast open message", lambda: socket.socket(2, 1).sendmsg([b"x"], [], 0x20000000, to))
other = socket.socket(2, 2)
attempt("no family", lambda: plain(libc.sendto, other.fileno(), b"x", 1, 0, raw, 16))
def many():
    one = socket.socket(2, 2)
    address = ctypes.create_string_buffer(struct.pack("=H", 2) + raw[2:], 16)
    data = ctypes.create_string_buffer(b"x", 1)
    vector = struct.pack("=QQ", ctypes.addressof(data), 1)
    pieces = ctypes.create_string_buffer(vector, 16)
    header = struct.pack("=QIxxxxQQQQixxxxQ", ctypes.addressof(address), 16,
                         ctypes.addressof(pieces), 1, 0, 0, 0, 0)
    plain(libc.sendmmsg, one.fileno(), header, 1, 0)
attempt("many messages", many)
def seconds():
    one = socket.socket(2, 2)
    plain(libc.connect, one.fileno(), bytes(16), 16)
    one.send(b"x")
attempt("dissolved", seconds)
print(json.dumps(found))
"""

_REFUSED = {
    "connect": "ECONNREFUSED", "mapped": "ECONNREFUSED", "mapped datagram": "ENOTCONN",
    "datagram": "ENOTCONN", "message": "ENOTCONN", "fast open": "ENOTSUP",
    "fast open message": "ENOTSUP", "no family": "ENOTCONN", "many messages": "ENOTCONN",
    "dissolved": "EDESTADDRREQ",
}  # fmt: skip


def _run(guest: Guest, program: str, *rules: str, **options: Any) -> dict[str, object]:
    outcome = guest.run(
        "/usr/bin/python3", "-c", program, profile="attacks.syd-3", rules=rules, **options
    )
    assert outcome.status == 0, outcome._replace(log=outcome.log[:3])
    found: dict[str, object] = json.loads(outcome.out)
    return found


def test_no_other_door_leads_to_an_address_that_is_denied(guest: Guest) -> None:
    """An IPv4 address in IPv6 clothes, without its family, by fast open, among many messages."""
    rules = ("allow/net/connect+any!0-65535", "deny/net/connect+127.0.0.1!0-65535",
             "allow/net/bind+loopback!0-65535")  # fmt: skip
    found = _run(guest, _DOORS, *rules)
    if guest.kind == "native":
        done = {name for name, how in found.items() if how == "done"}
        assert done >= set(_REFUSED) - {"dissolved"}
    else:
        assert found == _REFUSED


def test_fast_open_is_judged_where_it_is_allowed(sandbox: Guest) -> None:
    rules = ("allow/net/connect+any!0-65535", "deny/net/connect+127.0.0.1!0-65535",
             "allow/net/bind+loopback!0-65535", "trace/allow_unsafe_tcp_fastopen:1")  # fmt: skip
    found = _run(sandbox, _DOORS, *rules)
    assert found["fast open"] == found["fast open message"] == "ENOTCONN"


_SOME = """
import ctypes, errno, json, select, socket, struct
libc = ctypes.CDLL(None, use_errno=True)
ends = [socket.socket(2, 2) for _ in range(2)]
for end, port in zip(ends, PORTS):
    end.bind(("127.0.0.1", port))
kept = []
def at(data):
    kept.append(ctypes.create_string_buffer(data, len(data)))
    return ctypes.addressof(kept[-1])
def header(port, text):
    to = at(struct.pack("=H", 2) + struct.pack(">H", port) + bytes((127, 0, 0, 1)) + bytes(8))
    vector = at(struct.pack("=QQ", at(text), len(text)))
    return struct.pack("=QIxxxxQQQQixxxxIxxxx", to, 16, vector, 1, 0, 0, 0, 77)
def send(*headers):
    array = ctypes.create_string_buffer(b"".join(headers))
    sent = libc.sendmmsg(sender.fileno(), array, len(headers), 0)
    told = [struct.unpack_from("=I", array, 64 * i + 56)[0] for i in range(len(headers))]
    return sent if sent >= 0 else errno.errorcode[ctypes.get_errno()], told
def arrived(end):
    texts = []
    while select.select([end], [], [], 0)[0]:
        texts.append(end.recv(9).decode())
    return texts
sender = socket.socket(2, 2)
good, bad = PORTS
found = {"between": send(header(good, b"1"), header(bad, b"22"), header(good, b"333")),
         "first": send(header(bad, b"4"), header(good, b"5"))}
found["allowed"], found["denied"] = map(arrived, ends)
print(json.dumps(found))
"""


def test_of_many_messages_those_before_a_denied_one_are_sent(guest: Guest) -> None:
    ports = free_ports(socket.SOCK_DGRAM)
    rules = ("allow/net/bind+loopback!1-65535", f"allow/net/connect+loopback!{ports[0]}")
    found = _run(guest, _SOME.replace("PORTS", repr(ports)), *rules)
    if guest.kind == "native":
        assert found == {
            "between": [3, [1, 2, 3]], "first": [2, [1, 1]],
            "allowed": ["1", "333", "5"], "denied": ["22", "4"],
        }  # fmt: skip
    else:
        assert found == {
            "between": [1, [1, 77, 77]], "first": ["ENOTCONN", [77, 77]],
            "allowed": ["1"], "denied": [],
        }  # fmt: skip


_FAMILIES = """
import ctypes, errno, json
libc = ctypes.CDLL(None, use_errno=True)
found = {}
for name, words in {
    "netlink": (16, 3, 0), "uevent": (16, 3, 15), "packet": (17, 3, 0), "packet dgram": (17, 2, 8),
    "old packet": (2, 10, 768), "raw": (2, 3, 1), "raw udp": (2, 3, 17), "raw 6": (10, 3, 58),
    "vsock": (40, 1, 0), "crypto": (38, 5, 0), "can": (29, 3, 1), "bluetooth": (31, 3, 0),
    "rds": (21, 5, 0), "key": (15, 3, 2), "xdp": (44, 3, 0), "smc": (43, 1, 0),
    "kcm": (41, 5, 0), "tipc": (30, 1, 0), "appletalk": (5, 2, 0), "dirty": (2 | 1 << 40, 3, 1),
}.items():
    for call in ("socket", "socketpair"):
        pair = (ctypes.c_int * 2)()
        ctypes.set_errno(0)
        more = (pair,) if call == "socketpair" else ()
        number = 41 if call == "socket" else 53
        result = libc.syscall(*(ctypes.c_long(word) for word in (number, *words)), *more)
        how = errno.errorcode.get(ctypes.get_errno(), "made") if result < 0 else "made"
        found[f"{name} {call}"] = how
print(json.dumps(found))
"""


def test_other_families_are_refused_by_default(sandbox: Guest) -> None:
    found = _run(sandbox, _FAMILIES, "allow/net+any!0-65535", "allow/net/bind+!unnamed")
    expected = {
        "netlink": "EPROTONOSUPPORT", "uevent": "EPROTONOSUPPORT", "packet": "EPERM",
        "packet dgram": "EPERM", "old packet": "EPERM", "raw": "EPERM", "raw udp": "EPERM",
        "raw 6": "EPERM", "dirty": "EPERM",
    }  # fmt: skip
    for name, how in found.items():
        assert how == expected.get(name.rpartition(" ")[0], "EAFNOSUPPORT"), name


def test_root_gets_no_more_families(root_sandbox: Guest) -> None:
    found = _run(root_sandbox, _FAMILIES, "allow/net+any!0-65535", "trace/allow_unsafe_socket:1")
    assert "made" not in found.values(), found


_NAMES = """
import errno, json, os, socket, struct
found = {}
def attempt(name, call):
    try:
        call()
        found[name] = "done"
    except OSError as error:
        found[name] = errno.errorcode[error.errno]
mark = os.environ["MARK"].encode()
def bind(name):
    socket.socket(1, 1).bind(name)
attempt("as allowed", lambda: bind(b"\\0" + mark + b"good"))
attempt("another", lambda: bind(b"\\0" + mark + b"evil"))
attempt("with a NUL behind", lambda: bind(b"\\0" + mark + b"good\\0"))
attempt("with a NUL and more", lambda: bind(b"\\0" + mark + b"good\\0evil"))
attempt("with a NUL before", lambda: bind(b"\\0\\0" + mark + b"good"))
attempt("only NULs", lambda: bind(bytes(9)))
attempt("with an at", lambda: bind(b"\\0@" + mark + b"good"))
print(json.dumps(found))
"""


def test_abstract_names_are_compared_with_all_their_bytes(guest: Guest) -> None:
    mark = f"madcap-{os.getpid()}-"
    found = _run(guest, _NAMES, f"allow/net/bind+@{mark}good", environment={"MARK": mark})
    if guest.kind == "native":
        assert set(found.values()) == {"done"}
    else:
        assert found.pop("as allowed") == "done"
        assert set(found.values()) == {"EADDRNOTAVAIL"}


_PASSED = """
import array, json, os, socket, sys
def names(data):
    found = []
    for fd in array.array("i", data):
        found.append(os.read(fd, 99).decode("latin-1"))
        os.close(fd)
    return found
end = socket.socket(1, 1)
end.connect(os.environ["WORK"] + "/door")
before = len(os.listdir("/proc/self/fd"))
text, control, flags, _ = end.recvmsg(64, 1024)
print(json.dumps({
    "text": text.decode(), "passed": [names(data) for _, _, data in control],
    "truncated": bool(flags & socket.MSG_CTRUNC),
    "more": len(os.listdir("/proc/self/fd")) - before,
}))
"""


def test_a_descriptor_from_outside_is_not_taken_where_that_is_denied(guest: Guest) -> None:
    """A descriptor needs no path and asks no rule again: what comes in has to be looked at."""

    def prepare(work: Path) -> None:
        (guest.home / "key").write_text("denied")
        door.bind(str(work / "door"))
        os.chown(work / "door", guest.identity.uid, guest.identity.gid)
        door.listen()
        thread.start()

    with socket.socket(socket.AF_UNIX) as door:

        def answer() -> None:
            end, _ = door.accept()
            with end, open(guest.home / "key") as key:
                socket.send_fds(end, [b"here"], [key.fileno()])
                end.recv(1)

        thread = threading.Thread(target=answer)
        found = _run(guest, _PASSED, f"allow/net/connect+{guest.work}/door", prepare=prepare)
        thread.join()
    if guest.kind == "native":
        assert found == {"text": "here", "passed": [["denied"]], "truncated": False, "more": 0}
    else:
        assert found == {"text": "here", "passed": [], "truncated": True, "more": 0}


_FORGED = """
import errno, json, os, socket, struct
found = {}
one, two = socket.socketpair(1, 2)
two.setsockopt(1, 16, 1)
for name, claim in {
    "init": (1, 0, 0), "root": (os.getpid(), 0, os.getgid()),
    "parent": (os.getppid(), os.getuid(), os.getgid()),
}.items():
    try:
        one.sendmsg([b"x"], [(1, 2, struct.pack("=iII", *claim))])
        found[name] = "sent"
    except OSError as error:
        found[name] = errno.errorcode[error.errno]
print(json.dumps(found))
"""


def test_credentials_cannot_be_forged(guest: Guest) -> None:
    """The supervisor sends the message, but its process id is not the guest's to give."""
    found = _run(guest, _FORGED, "allow/net/bind+!unnamed")
    assert set(found.values()) == {"EPERM"}
