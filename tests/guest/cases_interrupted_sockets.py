# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals and calls on sockets that block: each with a handler that restarts and one that doesn't.

A signal comes at 0.3 s, what the call waits for at 0.9 s, and a result says in which third of the
time something happened.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import struct
import time
from typing import TYPE_CHECKING

import cases_signals as base
from cases_interrupts import MSG_NOSIGNAL, both, during, name
from cases_signals import AT_SIGNAL, AT_WRITER, SA_RESTART, handle, later
from rawcalls import call

if TYPE_CHECKING:
    from run_cases import Tree

MSGHDR = struct.Struct("=QIxxxxQQQQixxxx")


def message(data: ctypes.Array[ctypes.c_char], address: bytes = b"") -> ctypes.Array[ctypes.c_char]:
    """Return a struct mmsghdr (its first part is a struct msghdr) about *data*."""
    name_at = ctypes.create_string_buffer(address, max(len(address), 1))
    pieces = ctypes.create_string_buffer(
        struct.pack("=QQ", ctypes.addressof(data), ctypes.sizeof(data)), 16
    )
    packed = MSGHDR.pack(
        ctypes.addressof(name_at) if address else 0, len(address),
        ctypes.addressof(pieces), 1, 0, 0, 0,
    )  # fmt: skip
    header = ctypes.create_string_buffer(packed, 64)
    _kept.append((name_at, pieces, data))
    return header


_kept: list[object] = []


def unix_listener(path: str = "socket", backlog: int = 8) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.bind(path)
    made.listen(backlog)
    return made


def dial(path: str = "socket") -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.connect(path)
    return made


def case_accept(_tree: Tree) -> object:
    server = unix_listener()

    def act() -> list[object]:
        return during(
            lambda: call("accept4", server.fileno(), 0, 0, 0),
            (AT_SIGNAL, signal.SIGUSR1),
            then=dial,
        )

    return both(act)


def case_accept_restarts_then_ends(_tree: Tree) -> object:
    server = unix_listener()
    handle(signal.SIGUSR1, SA_RESTART)
    handle(signal.SIGUSR2, 0)
    return during(
        lambda: call("accept4", server.fileno(), 0, 0, 0),
        (AT_SIGNAL, signal.SIGUSR1),
        (AT_SIGNAL + 0.2, signal.SIGUSR2),
        then=dial,
    )


def case_accept_on_the_internet(_tree: Tree) -> object:
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen()
    address = server.getsockname()

    def act() -> list[object]:
        return during(
            lambda: call("accept4", server.fileno(), 0, 0, 0),
            (AT_SIGNAL, signal.SIGUSR1),
            then=lambda: socket.create_connection(address),
        )

    return both(act)


def time_out(sock: socket.socket, option: int, seconds: float) -> None:
    whole = int(seconds)
    pair = struct.pack("=qq", whole, int((seconds - whole) * 1e6))
    sock.setsockopt(socket.SOL_SOCKET, option, pair)


def case_accept_with_a_time_out_never_restarts(_tree: Tree) -> object:
    server = unix_listener()
    time_out(server, socket.SO_RCVTIMEO, 3)
    return both(
        lambda: during(
            lambda: call("accept4", server.fileno(), 0, 0, 0), (AT_SIGNAL, signal.SIGUSR1)
        )
    )


def case_time_outs_end_the_call(_tree: Tree) -> object:
    server = unix_listener()
    time_out(server, socket.SO_RCVTIMEO, 0.5)
    start = time.monotonic()
    seen = [name(call("accept4", server.fileno(), 0, 0, 0))]
    one, _other = socket.socketpair()
    time_out(one, socket.SO_RCVTIMEO, 0.5)
    data = ctypes.create_string_buffer(10)
    seen.append(name(call("recvmsg", one.fileno(), message(data), 0)))
    took = time.monotonic() - start
    return [seen, 0.9 < took < 1.6]


def case_recvfrom_with_an_address(_tree: Tree) -> object:
    here = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    here.bind("here")
    data, address = ctypes.create_string_buffer(10), ctypes.create_string_buffer(128)
    length = ctypes.c_int(128)

    def act() -> list[object]:
        return during(
            lambda: call("recvfrom", here.fileno(), data, 10, 0, address, ctypes.byref(length)),
            (AT_SIGNAL, signal.SIGUSR1),
            then=send_to_here,
        )

    return both(act)


def send_to_here() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"x", "here")


def case_recvmsg(_tree: Tree) -> object:
    one, other = socket.socketpair()
    data = ctypes.create_string_buffer(10)

    def act() -> list[object]:
        return during(
            lambda: call("recvmsg", one.fileno(), message(data), 0),
            (AT_SIGNAL, signal.SIGUSR1),
            then=lambda: other.send(b"x"),
        )

    return both(act)


def case_recvmsg_with_a_time_out_never_restarts(_tree: Tree) -> object:
    one, _other = socket.socketpair()
    time_out(one, socket.SO_RCVTIMEO, 3)
    data = ctypes.create_string_buffer(10)
    return both(
        lambda: during(
            lambda: call("recvmsg", one.fileno(), message(data), 0), (AT_SIGNAL, signal.SIGUSR1)
        )
    )


def case_recvmmsg(_tree: Tree) -> object:
    one, other = socket.socketpair()
    data = ctypes.create_string_buffer(10)

    def act() -> list[object]:
        return during(
            lambda: call("recvmmsg", one.fileno(), message(data), 1, 0, 0),
            (AT_SIGNAL, signal.SIGUSR1),
            then=lambda: other.send(b"x"),
        )

    return both(act)


def full_pair() -> tuple[socket.socket, socket.socket]:
    """Return a pair of stream sockets; the first can send no more."""
    one, other = socket.socketpair()
    one.setblocking(False)
    try:
        while True:
            one.send(bytes(65536))
    except BlockingIOError:
        one.setblocking(True)
    return one, other


def drain(sock: socket.socket) -> None:
    """Read for a while what comes."""
    sock.settimeout(0.3)
    try:
        while sock.recv(1 << 20):
            pass
    except TimeoutError:
        pass


def case_sendmsg_on_a_full_socket(_tree: Tree) -> object:
    data = ctypes.create_string_buffer(1000)

    def act() -> list[object]:
        one, other = full_pair()
        return during(
            lambda: call("sendmsg", one.fileno(), message(data), 0),
            (AT_SIGNAL, signal.SIGUSR1),
            then=lambda: drain(other),
        )

    return both(act)


def case_sendmmsg_on_a_full_socket(_tree: Tree) -> object:
    data = ctypes.create_string_buffer(1000)

    def act() -> list[object]:
        one, other = full_pair()
        return during(
            lambda: call("sendmmsg", one.fileno(), message(data), 1, 0),
            (AT_SIGNAL, signal.SIGUSR1),
            then=lambda: drain(other),
        )

    return both(act)


def case_sendmsg_with_a_time_out_never_restarts(_tree: Tree) -> object:
    data = ctypes.create_string_buffer(1000)

    def act() -> list[object]:
        one, _other = full_pair()
        time_out(one, socket.SO_SNDTIMEO, 3)
        return during(
            lambda: call("sendmsg", one.fileno(), message(data), 0), (AT_SIGNAL, signal.SIGUSR1)
        )

    return both(act)


def case_send_that_got_something_out(_tree: Tree) -> object:
    """What was sent before the signal is what the call returns."""
    one, _other = socket.socketpair()
    handle(signal.SIGUSR1, SA_RESTART)
    data = ctypes.create_string_buffer(4 << 20)
    me = os.getpid()
    helper = later(AT_SIGNAL, lambda: os.kill(me, signal.SIGUSR1))
    sent = call("sendmsg", one.fileno(), message(data), 0)
    os.waitpid(helper, 0)
    return 0 < sent < 4 << 20


def case_datagram_to_a_full_queue(_tree: Tree) -> object:
    here = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    here.bind("here")
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sender.setblocking(False)
    try:
        while True:
            sender.sendto(b"x", "here")
    except BlockingIOError:
        sender.setblocking(True)
    to = struct.pack("=H", 1) + b"here"
    data = ctypes.create_string_buffer(b"y")

    def act() -> list[object]:
        return during(
            lambda: call("sendto", sender.fileno(), data, 1, 0, to, len(to)),
            (AT_SIGNAL, signal.SIGUSR1),
            then=lambda: here.recv(10),
        )

    return both(act)


def case_connect_to_a_full_backlog(_tree: Tree) -> object:
    to = struct.pack("=H", 1) + b"full"
    server = unix_listener("full", 0)
    waiting = [dial("full")]

    def act() -> list[object]:
        client = socket.socket(socket.AF_UNIX)
        waiting.append(client)
        return during(
            lambda: call("connect", client.fileno(), to, len(to)),
            (AT_SIGNAL, signal.SIGUSR1),
            then=server.accept,
        )

    return both(act)


def case_connect_with_a_time_out_never_restarts(_tree: Tree) -> object:
    to = struct.pack("=H", 1) + b"full"
    _server = unix_listener("full", 0)
    _waiting = dial("full")

    def act() -> list[object]:
        with socket.socket(socket.AF_UNIX) as client:
            time_out(client, socket.SO_SNDTIMEO, 3)
            return during(
                lambda: call("connect", client.fileno(), to, len(to)),
                (AT_SIGNAL, signal.SIGUSR1),
            )

    return both(act)


def case_kill_leaves_no_listener(_tree: Tree) -> object:
    """After a server was killed in accept(2), nobody accepts."""
    pid = os.fork()
    if pid == 0:
        server = unix_listener()
        call("accept4", server.fileno(), 0, 0, 0)
        os._exit(1)
    time.sleep(0.4)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    time.sleep(0.1)
    client = socket.socket(socket.AF_UNIX)
    to = struct.pack("=H", 1) + b"socket"
    return name(call("connect", client.fileno(), to, len(to)))


def case_end_of_a_process_with_a_thread_in_accept(_tree: Tree) -> object:
    import threading

    pid = os.fork()
    if pid == 0:
        server = unix_listener()
        threading.Thread(
            target=call, args=("accept4", server.fileno(), 0, 0, 0), daemon=True
        ).start()
        time.sleep(0.3)
        os._exit(3)
    os.waitpid(pid, 0)
    time.sleep(0.1)
    client = socket.socket(socket.AF_UNIX)
    to = struct.pack("=H", 1) + b"socket"
    return name(call("connect", client.fileno(), to, len(to)))


def case_broken_pipes(_tree: Tree) -> object:
    """SIGPIPE comes with EPIPE, but not with MSG_NOSIGNAL, and only for streams."""
    seen = []
    handle(signal.SIGPIPE, 0)
    data = ctypes.create_string_buffer(10)
    for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM):
        one, other = socket.socketpair(socket.AF_UNIX, kind)
        other.close()
        fd = one.fileno()
        for flags in (0, MSG_NOSIGNAL):
            for words in (
                ("sendmsg", fd, message(data), flags),
                ("sendto", fd, data, 10, flags, 0, 0),
                ("sendmmsg", fd, message(data), 1, flags),
            ):
                base._seen.clear()
                value = call(*words)
                seen.append([words[0], int(kind), flags, name(value), len(base._seen)])
        one.close()
    return seen


def case_broken_pipe_kills(_tree: Tree) -> object:
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        one, other = socket.socketpair()
        other.close()
        call("sendmsg", one.fileno(), message(ctypes.create_string_buffer(10)), 0)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def case_stop_while_in_accept(_tree: Tree) -> object:
    pid = os.fork()
    if pid == 0:
        server = unix_listener()
        os._exit(7 if call("accept4", server.fileno(), 0, 0, 0) >= 0 else 8)
    time.sleep(AT_SIGNAL)
    os.kill(pid, signal.SIGSTOP)
    _, stopped = os.waitpid(pid, os.WUNTRACED)
    os.kill(pid, signal.SIGCONT)
    time.sleep(AT_WRITER - AT_SIGNAL)
    client = dial()
    _, status = os.waitpid(pid, 0)
    client.close()
    return [os.WIFSTOPPED(stopped), os.waitstatus_to_exitcode(status)]
