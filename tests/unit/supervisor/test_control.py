# SPDX-License-Identifier: GPL-3.0-or-later
"""The control socket, served in this process: framing, who is heard, modes, limits, the lock."""

from __future__ import annotations

import array
import json
import os
import socket
import tempfile
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from madcap.kernel.host import Host
from madcap.policy.report import state
from madcap.policy.sandbox import Sandbox
from madcap.supervisor.control import Control, open_listener

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PONG = b'{"err":0,"msg":"PONG"}\n'
ACK = b'{"err":0,"msg":"ACK"}\n'
INVALID = b'{"err":22,"msg":"EINVAL: Invalid argument"}\n'
VERSION = b'{"major":3,"minor":2,"version":"3.2"}\n'
NOBODY = 1 << 30  # No process has this number, so none of ours descends from it.


class Server:
    """A control socket with its thread."""

    def __init__(self, *commands: str, trapped: bool = True, pid: int = NOBODY) -> None:
        self.name = f"@madcap-test-{os.getpid()}-{time.monotonic_ns()}"
        self.sandbox = Sandbox({})
        for command in (f"ipc:{self.name}", f"ipc/uid:{os.getuid()}", *commands):
            self.sandbox.execute(command)
        self.sandbox.execute("ipc/gid:off")
        self.sandbox.start()
        self.host = Host(self.sandbox)
        self.host.pid = pid
        control = Control(self.host, open_listener(self.sandbox), trapped=trapped)
        self.thread = threading.Thread(target=control.run)
        self.thread.start()

    def connect(self) -> socket.socket:
        """Return a connection."""
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        peer.settimeout(20)
        try:
            peer.connect("\0" + self.name[1:])
        except OSError:
            peer.close()
            raise
        return peer

    def ask(self, data: bytes, fds: Sequence[int] = ()) -> bytes:
        """Send *data* at once and return all that comes until the end."""
        with self.connect() as peer:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
            peer.sendmsg([data], rights if fds else [])
            return everything(peer)

    def close(self) -> None:
        """End the thread."""
        self.sandbox.seal()
        self.thread.join(20)
        assert not self.thread.is_alive()
        for fd in (self.host.root, self.host.proc, self.host.self_fd, self.host.null):
            os.close(fd)


def patterns(sandbox: Sandbox) -> list[object]:
    """Return what the rules of *sandbox* are about."""
    rules = state(sandbox)["glob_rules"]
    assert isinstance(rules, list)
    return [rule["pat"] for rule in rules]


def everything(peer: socket.socket) -> bytes:
    """Return what *peer* sends until it closes."""
    parts = []
    while part := peer.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def exactly(peer: socket.socket, size: int) -> bytes:
    """Return the next *size* bytes."""
    data = b""
    while len(data) < size:
        part = peer.recv(size - len(data))
        assert part, f"closed after {data!r}"
        data += part
    return data


@pytest.fixture
def server() -> Iterator[Server]:
    there = Server()
    yield there
    there.close()


@pytest.fixture
def file() -> Iterator[Any]:
    with tempfile.TemporaryFile() as there:
        yield there


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"ping\n", PONG),
        (b" \tping x y\r\n", PONG),
        (b"PING\n", INVALID),
        (b"version\n", VERSION),
        (b"3\n", ACK),
        (b"sandbox/read:on\n", ACK),
        (b" sandbox/read:on\n", INVALID),
        (b"sandbox/read:on \n", INVALID),
        (b"nonsense\n", INVALID),
        ("é\n".encode(), INVALID),
        (b"panic\n", INVALID),
        (b"ghost\n", INVALID),
        (b"load/3\n", INVALID),
        (b"include /x\n", INVALID),
        (b"stat x\n", INVALID),
        (b"dump\n", b'{"err":16,"msg":"EBUSY: Device or resource busy"}\n'),
        (b"sandbox/pid?\n", b'{"err":2,"msg":"ENOENT: No such file or directory"}\n'),
        (b"lock:off\n", b'{"err":1,"msg":"EPERM: Operation not permitted"}\n'),
        (b"load\n", b'{"err":9,"msg":"EBADF: Bad file number"}\n'),
        (b"ping\nversion\nnonsense\n", PONG + VERSION + INVALID),
        (b"ping\nquit\nping\n", PONG + PONG),
        *((word + b"\n", b"") for word in (b"quit", b"exit", b"prompt n", b"prompt n x")),
        (b"prompt n\nping\n", PONG),
        (b"prompt p\nprompt n\n", b"; "),
        (b"prompt p\nping\n\nquit\n", b"; " + PONG + b"; ; "),
        (b"prompt p\nprompt\nping\nquit\n", b"; " + PONG),
        (b"prompt\nping\nexit\n", b"; " + PONG + b"; "),
        (b"prompt i\nprompt zz\nquit\n", b"Unknown prompt mode!\n"),
        (b"\0\n", b'{"err":84,"msg":"EILSEQ"}\n'),
        (b"ping\n\xff\nping\n", PONG + b'{"err":84,"msg":"EILSEQ"}\n'),
        (b"x" * 4096, b'{"err":7,"msg":"RATE"}\n'),
        (b"x" * 4095 + b"\n", b'{"err":7,"msg":"RATE"}\n'),
        (b"x" * 4094 + b"\n", INVALID),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_lines_are_answered_and_then_the_connection_ends(
    server: Server, sent: bytes, answer: bytes
) -> None:
    assert server.ask(sent) == answer


def test_state_is_told_in_both_forms(server: Server) -> None:
    shown = server.ask(b"stat\n")
    assert json.loads(shown)["lock"] == "ipc"
    assert not shown.endswith(b"\n")
    assert server.ask(b"stats\n").startswith(b"Syd:\n")


def test_lines_may_come_in_pieces_and_the_connection_stays_open_where_asked(
    server: Server,
) -> None:
    with server.connect() as peer:
        peer.sendall(b"prompt i\npi")
        time.sleep(0.05)
        for _ in range(3):
            peer.sendall(b"ng\npi")
            assert exactly(peer, len(PONG)) == PONG
        peer.sendall(b"x" * 4000)
        peer.sendall(b"x" * 94)
        assert everything(peer) == b'{"err":7,"msg":"RATE"}\n'


def test_answers_reach_a_peer_that_sends_no_more(server: Server) -> None:
    with server.connect() as peer:
        peer.sendall(b"prompt i\nping\nstat\nrest")
        peer.shutdown(socket.SHUT_WR)
        assert everything(peer).startswith(PONG + b'{"id"')


def test_long_answers_wait_until_they_are_read(server: Server) -> None:
    with server.connect() as peer:
        peer.sendall(b"prompt i\n" + b"stat\n" * 700)
        time.sleep(0.1)
        assert server.ask(b"ping\n") == PONG  # Others are served meanwhile.
        peer.sendall(b"quit\n")
        assert everything(peer).count(b'{"id"') == 700


def test_configuration_is_loaded_from_a_descriptor(server: Server, file: Any) -> None:
    file.write(b"# x\n\nsandbox/read:on\nallow/read+/a\n")
    file.seek(0)
    assert server.ask(b"load\n", [file.fileno()]) == ACK
    assert patterns(server.sandbox) == ["/a"]
    assert server.ask(b"load\n", [file.fileno()]) == ACK  # It was read to its end.


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (b"allow/read+/a\nbad\nallow/read+/b\n", "22"),
        (b"allow/read+/a\nallow/read+/b", "36"),
        (b"allow/read+/a\n#" + b"x" * 4096 + b"\n", "36"),
        (b"allow/read+/a\ninclude /x.syd-3\n", "16"),
        (b"allow/read+/a\nallow/read+/\xff\n", "84"),
        (b"allow/read+/a\nlock:nope\n", "22"),
    ],
)
def test_loading_ends_at_the_first_error(
    server: Server, file: Any, text: bytes, error: str
) -> None:
    file.write(text)
    file.seek(0)
    assert str(json.loads(server.ask(b"load\n", [file.fileno()]))["err"]) == error
    assert patterns(server.sandbox) == ["/a"]


def test_descriptors_are_taken_for_nothing_else(server: Server, file: Any) -> None:
    one, two = [file.fileno()], [file.fileno()] * 2
    message = b'{"err":74,"msg":"EBADMSG"}\n'
    for data in (b"load", b"load \n", b"ping\n", b"ping\nload\n", b"load\nping\n"):
        assert server.ask(data, one) == message
    assert server.ask(b"load\n", two) == b'{"err":24,"msg":"NFDS"}\n'
    with open("/dev/null", "rb") as null:
        reply = server.ask(b"load\n", [null.fileno()])
    assert reply == b'{"err":77,"msg":"EBADFD: File descriptor in bad state"}\n'
    with server.connect() as peer:
        peer.sendall(b"prompt i\nlo")
        time.sleep(0.05)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", one))]
        peer.sendmsg([b"ad\n"], rights)
        assert everything(peer) == message


def test_drop_loads_nothing_but_takes_what_narrows(server: Server, file: Any) -> None:
    assert server.ask(b"lock:drop\n") == ACK
    assert server.ask(b"load\n", [file.fileno()]) == (
        b'{"err":1,"msg":"EPERM: Operation not permitted"}\n'
    )
    assert server.ask(b"deny/read+/x\n") == ACK
    assert server.ask(b"stat\n").startswith(b"{")


@pytest.mark.parametrize("command", [b"lock:on\n", b"lock:on\nping\n"])
def test_lock_ends_all_connections_without_an_answer(server: Server, command: bytes) -> None:
    with server.connect() as other:
        other.sendall(b"prompt i\nping\n")
        assert exactly(other, len(PONG)) == PONG
        assert server.ask(command) == b""
        assert everything(other) == b""
    server.thread.join(20)
    with pytest.raises(ConnectionRefusedError):
        server.connect()


def test_lock_that_a_guest_sets_ends_the_socket_too() -> None:
    there = Server("lock:off")
    there.sandbox.execute("lock:on")
    there.thread.join(20)
    assert not there.thread.is_alive()
    with pytest.raises(ConnectionRefusedError):
        there.connect()
    there.close()


REFUSED = b'{"err":13,"msg":"AUTH"}\n'


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (f"ipc/uid:{os.getuid() + 1}", PONG if os.getuid() == 0 else REFUSED),
        ("ipc/uid:none", PONG),
    ],
)
def test_sender_must_be_who_was_named(command: str, answer: bytes) -> None:
    """Root may always, or no one could name another user."""
    there = Server(command)
    assert there.ask(b"ping\n") == answer
    there.close()


@pytest.mark.parametrize("trapped", [True, False])
def test_guests_are_not_heard(trapped: bool) -> None:
    """Who descends from the supervisor is a guest; here that is this process and its children."""
    there = Server(trapped=trapped, pid=os.getpid())
    assert there.ask(b"ping\n") == REFUSED
    there.close()
    there = Server(trapped=trapped, pid=os.getppid())
    assert there.ask(b"ping\n") == REFUSED
    there.close()


@pytest.mark.parametrize(("trapped", "answer"), [(True, PONG), (False, REFUSED)])
def test_sender_that_is_gone_is_heard_only_if_it_cannot_have_been_a_guest(
    trapped: bool, answer: bytes
) -> None:
    there = Server(trapped=trapped)
    with there.connect() as peer:
        # Keep the server busy until the sender is gone.
        with there.host.policy_lock, there.connect() as other:
            other.sendall(b"stat\n")
            time.sleep(0.1)
            child = os.fork()
            if child == 0:
                os.write(peer.fileno(), b"ping\n")
                os._exit(0)
            os.waitpid(child, 0)
        assert everything(peer) == answer
    there.close()


def test_idle_and_superfluous_connections_are_closed() -> None:
    there = Server("ipc/idle:2", "ipc/max:1")
    with there.connect() as first:
        first.sendall(b"prompt i\nping\n")
        assert exactly(first, len(PONG)) == PONG
        begun = time.monotonic()
        with there.connect() as second:
            assert everything(second) == b""
        assert everything(first) == b""
        assert 1.5 < time.monotonic() - begun < 10
    assert there.ask(b"ping\n") == PONG
    there.close()


def test_socket_file_is_for_its_owner_and_never_replaced(tmp_path: Any) -> None:
    sandbox = Sandbox({})
    sandbox.execute(f"ipc:{tmp_path}/socket")
    fd = open_listener(sandbox)
    assert (tmp_path / "socket").stat().st_mode & 0o7777 == 0o600
    with pytest.raises(OSError, match="bind") as caught:
        open_listener(sandbox)
    assert caught.value.errno == 98
    os.close(fd)
