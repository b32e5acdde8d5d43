# SPDX-License-Identifier: GPL-3.0-or-later
"""What switches and the block list do to sockets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.support.guest import Guest

_DESCRIPTORS = """
import array, json, os, socket
def marks(*fds):
    return [not os.get_inheritable(fd) for fd in fds]
def raw(family, kind):
    import ctypes
    return ctypes.CDLL(None).socket(family, kind, 0)
def accepted(server, client):
    import ctypes
    client.connect(server.getsockname())
    return ctypes.CDLL(None).accept(server.fileno(), None, None)
import ctypes
libc = ctypes.CDLL(None)
found = {"socket": marks(raw(2, 1), raw(1, 2), raw(10, 2))}
pair = (ctypes.c_int * 2)()
libc.socketpair(1, 1, 0, pair)
found["socketpair"] = marks(*pair)
server = socket.create_server(("127.0.0.1", 0))
found["accept"] = marks(accepted(server, socket.socket()))
name = ctypes.create_string_buffer(128)
client = socket.create_connection(server.getsockname())
found["accept with address"] = marks(
    libc.accept(server.fileno(), name, ctypes.byref(ctypes.c_int(128))))
server = socket.socket(socket.AF_UNIX)
server.bind(os.environ["WORK"] + "/sock")
server.listen()
found["accept unix"] = marks(accepted(server, socket.socket(socket.AF_UNIX)))
one, two = socket.socketpair()
one.sendmsg([b"x"], [(1, 1, array.array("i", [0, 1]))])
data = two.recvmsg(1, 64, 0)[1][0][2]
found["recvmsg"] = marks(*array.array("i", data))
print(json.dumps(found))
"""

_RULES = ("allow/net+any!0-65535", "allow/net+/***", "allow/passfd+!*", "allow/net+!unnamed")


def _found(guest: Guest, program: str, *rules: str) -> dict[str, Any]:
    outcome = guest.run("/usr/bin/python3", "-c", program, rules=rules)
    assert outcome.status == 0, outcome
    found: dict[str, Any] = json.loads(outcome.out)
    return found


def test_force_cloexec_marks_every_descriptor_that_sockets_bring(guest: Guest) -> None:
    found = _found(guest, _DESCRIPTORS, *_RULES, "trace/force_cloexec:1")
    inside = guest.kind == "madcap"
    assert len(found) == 6
    assert {name for name, marks in found.items() if set(marks) != {inside}} == set()


_NUMBERS = """
import json, socket
print(json.dumps({"fds": [socket.socket().fileno() for _ in range(4)]
                 + [end.fileno() for end in socket.socketpair()]}))
"""


def test_force_rand_fd_scatters_descriptors(guest: Guest) -> None:
    found = _found(guest, _NUMBERS, *_RULES, "trace/force_rand_fd:1")["fds"]
    assert (max(found) > 64) == (guest.kind == "madcap")


_BLOCKED = """
import errno, json, socket, threading
found = {}
server = socket.create_server(("127.0.0.1", 0))
port = server.getsockname()[1]
client = socket.socket()
client.bind((SOURCE, 0))
try:
    client.connect(("127.0.0.1", port))
    found["connect"] = "done"
except OSError as error:
    found["connect"] = errno.errorcode[error.errno]
for name in ("accept", "accept again") if found["connect"] == "done" else ():
    server.setblocking(name == "accept")
    try:
        server.accept()
        found[name] = "done"
    except OSError as error:
        found[name] = errno.errorcode[error.errno]
plain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try:
    plain.sendto(b"x", ("127.0.0.2", 9))
    found["sendto"] = "done"
except OSError as error:
    found["sendto"] = errno.errorcode[error.errno]
print(json.dumps(found))
"""


@pytest.mark.parametrize("more", [(), ("sandbox/net:off",)], ids=["rules", "no rules"])
def test_the_block_list_is_asked_about_both_ends(guest: Guest, more: tuple[str, ...]) -> None:
    """Also where net/connect is off: the block list stands above the rules."""
    program = _BLOCKED.replace("SOURCE", '"127.0.0.2"')
    rules = (*_RULES, *more, "block+127.0.0.2", "sandbox/sendfd,recvfd:off")
    found = _found(guest, program, *rules)
    if guest.kind == "native":
        assert found == {
            "connect": "done", "accept": "done", "accept again": "EAGAIN", "sendto": "done",
        }  # fmt: skip
    else:
        assert found == {
            "connect": "done", "accept": "ECONNABORTED", "accept again": "EAGAIN",
            "sendto": "ENOTCONN",
        }  # fmt: skip


def test_who_is_blocked_is_not_connected_to(sandbox: Guest) -> None:
    program = _BLOCKED.replace("SOURCE", '"127.0.0.1"')
    found = _found(sandbox, program, *_RULES, "block+127.0.0.1")
    assert found == {"connect": "ECONNREFUSED", "sendto": "done"}
