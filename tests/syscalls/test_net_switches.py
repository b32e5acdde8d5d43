# SPDX-License-Identifier: GPL-3.0-or-later
"""What switches and the block list do to sockets."""

from __future__ import annotations

import json
import socket
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


_ALL = ("allow/net+any!0-65535", "allow/net/bind+!unnamed")
_BY_DEFAULT = {
    "vsock": "EAFNOSUPPORT", "crypto": "EAFNOSUPPORT", "netlink": "EPROTONOSUPPORT", "raw": "EPERM",
    "bind any": "127.0.0.1", "bind any 6": "::1", "connect any": "ENETUNREACH",
    "send any": "ENETUNREACH", "privileged": "EACCES", "out of band": "ENOTSUP",
    "fast open": "ENOTSUP", "congestion": "ENOENT", "priority": False, "no delay": True,
    "filter": "EPERM", "lock filter": None, "source": "127.0.0.1", "scope": "0", "passed": "EACCES",
}  # fmt: skip


def _tried(guest: Guest, *rules: str, **environment: str) -> dict[str, Any]:
    outcome = guest.python("net_switches.py", rules=rules, environment=environment)
    assert outcome.status == 0, outcome
    found: dict[str, Any] = json.loads(outcome.out)
    return found


def test_what_sockets_may_do_by_default(sandbox: Guest) -> None:
    assert _tried(sandbox, *_ALL) == _BY_DEFAULT


@pytest.mark.parametrize(
    ("rules", "changes"),
    [
        pytest.param(
            ["trace/allow_unsafe_any_addr:1"],
            {"bind any": "0.0.0.0", "bind any 6": "::", "connect any": "ECONNREFUSED",  # noqa: S104
             "send any": 1},
            id="any address",
        ),
        pytest.param(["trace/allow_unsafe_oob:1"], {"out of band": "sent"}, id="out of band"),
        pytest.param(["trace/allow_unsafe_tcp_fastopen:1"], {"fast open": "hello"}, id="fast open"),
        pytest.param(
            ["trace/allow_unsafe_setsockopt:1"], {"congestion": None, "priority": True},
            id="socket options",
        ),
        pytest.param(
            ["trace/allow_unsafe_ip_pktinfo:1"], {"source": "127.0.0.9"}, id="packet information"
        ),
        pytest.param(["trace/allow_unsafe_ipv6_scope:1"], {"scope": "0"}, id="scope"),
        pytest.param(["allow/sendfd+!*"], {"passed": [0, True]}, id="sendfd"),
        pytest.param(["allow/passfd+!*"], {"passed": [1, False]}, id="sendfd and recvfd"),
        pytest.param(["allow/net/link+route"], {"netlink": "made"}, id="netlink"),
        pytest.param(["allow/net/link+kobject_uevent"], {}, id="another netlink family"),
    ],
)  # fmt: skip
def test_a_switch_changes_what_it_names(
    sandbox: Guest, rules: list[str], changes: dict[str, Any]
) -> None:
    assert _tried(sandbox, *_ALL, *rules) == _BY_DEFAULT | changes


def test_every_address_is_made_local(sandbox: Guest) -> None:
    found = _tried(sandbox, *_ALL, "trace/force_local_net:1", ELSEWHERE="1")
    assert found["elsewhere"] == "127.0.0.1"


@pytest.mark.parametrize("switch", ["0", "1"])
def test_netlink_answers_whether_or_not_notices_are_kept_out(sandbox: Guest, switch: str) -> None:
    rules = ("allow/net/link+route", f"trace/allow_unsafe_netlink:{switch}")
    found = _tried(sandbox, *_ALL, *rules, ROUTES="1")
    assert found["notices"] == "answered"


_SAFE_BIND = """
import errno, json, os, socket
found = {}
def attempt(name, call):
    try:
        call()
        found[name] = "done"
    except OSError as error:
        found[name] = errno.errorcode[error.errno]
def connect(family, name):
    with socket.socket(family) as end:
        end.connect(name)
server = socket.create_server(("127.0.0.1", 0))
attempt("bound", lambda: connect(2, server.getsockname()))
attempt("other", lambda: connect(2, ("127.0.0.1", 1)))
for name in (os.environ["WORK"] + "/sock", b"\\0madcap-%d" % os.getpid()):
    with socket.socket(1) as listener:
        listener.bind(name)
        listener.listen()
        attempt("abstract" if isinstance(name, bytes) else "path", lambda: connect(1, name))
print(json.dumps(found))
"""


def test_what_was_bound_may_be_connected_to_with_safe_bind(sandbox: Guest) -> None:
    rules = ("sandbox/net/connect:on", "deny/net/connect+any!0-65535", "deny/net/connect+/***",
             "allow/net/bind+any!0-65535", "allow/net/bind+@*")  # fmt: skip
    refused = _found(sandbox, _SAFE_BIND, *rules)
    assert set(refused.values()) == {"ECONNREFUSED"}
    allowed = _found(sandbox, _SAFE_BIND, *rules, "trace/allow_safe_bind:1")
    assert allowed == {"bound": "done", "other": "ECONNREFUSED", "path": "done", "abstract": "done"}


_RIGHTS = """
import errno, json, os, socket
found = {}
def attempt(name, call):
    try:
        found[name] = call()
    except OSError as error:
        found[name] = errno.errorcode[error.errno]
def passed(one, two):
    socket.send_fds(one, [b"x"], [0])
    return len(socket.recv_fds(two, 9, 4)[1])
for name, kind in (("stream", 1), ("datagram", 2), ("packets", 5)):
    one, two = socket.socketpair(1, kind)
    attempt(name, lambda: passed(one, two))
    attempt(f"{name} set back", lambda: two.setsockopt(1, 83, 1))
    attempt(f"{name} again", lambda: passed(one, two))
server, client = socket.socket(1), socket.socket(1)
server.bind(os.environ["WORK"] + "/sock")
server.listen()
client.connect(server.getsockname())
end, _ = server.accept()
attempt("to a server", lambda: passed(client, end))
attempt("to a client", lambda: passed(end, client))
to, frm = socket.socket(1, 2), socket.socket(1, 2)
to.bind(os.environ["WORK"] + "/other")
frm.connect(to.getsockname())
attempt("to a name", lambda: passed(frm, to))
print(json.dumps(found))
"""


def test_deny_passrights_closes_every_unix_socket_to_descriptors(guest: Guest) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        try:
            end.getsockopt(socket.SOL_SOCKET, 83)
        except OSError:
            pytest.skip("needs SO_PASSRIGHTS (Linux 6.16)")
    found = _found(guest, _RIGHTS, *_RULES, "trace/deny_passrights:1")
    if guest.kind == "native":
        assert set(found.values()) == {1, None}
    else:
        assert set(found.values()) == {"EPERM"}


def test_families_without_rules_are_possible_where_they_are_allowed(guest: Guest) -> None:
    """A kernel may have no vsock either: then nobody gets one."""
    found = _tried(guest, *_ALL, "trace/allow_unsupp_socket:1")
    natively = _tried(guest.sibling("native"), *_ALL)
    assert found["vsock"] == natively["vsock"]
    assert (found["raw"], found["netlink"]) == (
        (natively["raw"], natively["netlink"])
        if guest.kind == "native"
        else ("EPERM", "EPROTONOSUPPORT")
    )


def test_what_is_received_may_be_left_to_the_kernel(sandbox: Guest) -> None:
    found = _tried(sandbox, *_ALL, "allow/sendfd+!*", "trace/allow_unsafe_recvmsg:1")
    assert found["passed"] == [1, False]
