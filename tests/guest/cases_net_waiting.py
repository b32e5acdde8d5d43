# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases for socket calls that wait: time-outs, partial counts, the other side's end, other threads.

Signals that interrupt or restart such calls are in cases_interrupted_sockets.py. What can wait side
by side does.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING

from netcalls import (
    DGRAM,
    INET,
    MSG_DONTWAIT,
    MSG_WAITALL,
    NONBLOCK,
    STREAM,
    UNIX,
    Header,
    connect,
    inet,
    listener,
    unix,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from run_cases import Tree

    #: What waits, and what ends the wait.
    Wait = tuple[Callable[[], object], Callable[[], object], socket.socket]

RECEIVE, SEND = socket.SO_RCVTIMEO, socket.SO_SNDTIMEO


_seen: list[int] = []


def note(number: int) -> None:
    """Note each signal *number*; the handler does not restart calls."""
    _seen.clear()
    signal.signal(number, lambda got, _frame: _seen.append(got))


def later(seconds: float, act: Callable[[], object]) -> int:
    """Fork a helper that does *act* after *seconds*."""
    pid = os.fork()
    if pid == 0:
        time.sleep(seconds)
        act()
        os._exit(0)
    return pid


def side_by_side(jobs: dict[str, Callable[[], object]]) -> dict[str, object]:
    """Run each job in a child of its own, all at once; return what they return."""
    pipes = {}
    for name, job in jobs.items():
        read, write = os.pipe()
        if os.fork() == 0:
            os.close(read)
            try:
                answer = job()
            except Exception as error:
                answer = f"raised {error!r}"
            os.write(write, json.dumps(answer).encode())
            os._exit(0)
        os.close(write)
        pipes[name] = read
    found = {}
    for name, read in pipes.items():
        with open(read, "rb") as file:
            found[name] = json.loads(file.read() or "null")
    return found


def waits(t: Tree, what: str, mark: str) -> Wait:
    """Set up a call that waits; *mark* keeps the names of several apart."""
    length = ctypes.byref(ctypes.c_int(128))
    address = ctypes.create_string_buffer(128)
    if what in ("accept", "accept inet"):
        server = socket.socket(UNIX) if what == "accept" else listener()
        if what == "accept":
            server.bind(f"accept{mark}")
            server.listen()
        peer = socket.socket(server.family)
        name = server.getsockname()
        return (
            lambda: t("accept", server.fileno(), address, length),
            lambda: peer.connect(name),
            server,
        )
    if what == "recvfrom":
        server = socket.socket(UNIX, DGRAM)
        server.bind(f"recvfrom{mark}")
        peer = socket.socket(UNIX, DGRAM)
        into = ctypes.create_string_buffer(8)
        return (
            lambda: t("recvfrom", server.fileno(), into, 8, 0, address, length),
            lambda: peer.sendto(b"there", server.getsockname()),
            server,
        )
    if what in ("recvmsg", "recvmmsg", "waitall"):
        one, two = socket.socketpair()
        header = Header([5])
        if what == "recvmmsg":
            return (
                lambda: t("recvmmsg", two.fileno(), header.data, 1, 0, 0),
                lambda: one.send(b"there"),
                two,
            )
        flags = MSG_WAITALL if what == "waitall" else 0
        return (
            lambda: t("recvmsg", two.fileno(), header.data, flags),
            lambda: one.send(b"there"),
            two,
        )
    if what == "sendmsg":
        one, two = socket.socketpair()
        fill(one)
        return (
            lambda: t("sendmsg", one.fileno(), Header([b"more"]).data, 0),
            lambda: two.recv(1 << 20),
            one,
        )
    if what == "sendto":
        server = socket.socket(UNIX, DGRAM)
        server.bind(f"sendto{mark}")
        client = socket.socket(UNIX, DGRAM)
        client.connect(f"sendto{mark}")
        fill(client)
        to = unix(f"sendto{mark}".encode())
        fresh = socket.socket(UNIX, DGRAM)
        return (
            lambda: t("sendto", fresh.fileno(), b"more", 4, 0, to, len(to)),
            lambda: server.recv(64),
            fresh,
        )
    server = socket.socket(UNIX)
    server.bind(f"connect{mark}")
    server.listen(0)
    to = unix(f"connect{mark}".encode())
    while True:
        early = socket.socket(UNIX)
        early.setblocking(False)
        if connect(t, early.fileno(), to) != 0:
            break
        _kept.append(early)
    client = socket.socket(UNIX)
    return lambda: connect(t, client.fileno(), to), server.accept, client


_kept: list[socket.socket] = []


def fill(end: socket.socket) -> None:
    """Send until there is no more room."""
    end.setblocking(False)
    try:
        while True:
            end.send(b"x" * 4096)
    except BlockingIOError:
        pass
    end.setblocking(True)


CALLS = (
    "accept", "accept inet", "recvfrom", "recvmsg", "recvmmsg", "waitall", "sendmsg", "sendto",
    "connect",
)  # fmt: skip


def case_what_was_sent_before_a_signal_counts(t: Tree) -> object:
    """A large message that finds room for a part: the part is reported, not the signal."""
    one, two = socket.socketpair()
    me = os.getpid()
    note(signal.SIGUSR1)
    helper = later(0.3, lambda: os.kill(me, signal.SIGUSR1))
    sent = t("sendmsg", one.fileno(), Header([b"x" * 4_000_000]).data, 0)
    os.waitpid(helper, 0)
    got = 0
    two.setblocking(False)
    try:
        while True:
            got += len(two.recv(1 << 20))
    except BlockingIOError:
        pass
    return [isinstance(sent, int) and 0 < sent < 4_000_000, got == sent]


def case_what_was_received_before_a_signal_counts(t: Tree) -> object:
    one, two = socket.socketpair()
    me = os.getpid()
    note(signal.SIGUSR1)
    one.send(b"abc")
    helper = later(0.3, lambda: os.kill(me, signal.SIGUSR1))
    into = Header([9])
    got = t("recvmsg", two.fileno(), into.data, MSG_WAITALL)
    os.waitpid(helper, 0)
    return [got, into.part(0, 3)]


def in_thread(call: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Run *call* in a thread; its result is put into the list."""
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(call()), daemon=True)
    thread.start()
    time.sleep(0.2)
    return thread, results


def case_another_thread_closes_or_shuts_down(t: Tree) -> object:
    """A call that waits goes on after close(2); after shutdown(2) it ends."""

    def closed(what: str) -> object:
        call, end, sock = waits(t, what, "close-" + what.replace(" ", "-"))
        if what == "accept inet":
            name = sock.getsockname()
            peer = socket.socket()
            end = lambda: peer.connect(name)  # noqa: E731
        elif what == "accept":
            name = sock.getsockname()
            peer = socket.socket(UNIX)
            end = lambda: peer.connect(name)  # noqa: E731
        thread, results = in_thread(call)
        sock.close()
        thread.join(0.2)
        waited = thread.is_alive()
        end()
        thread.join(2)
        shown = ["done" if isinstance(result, int) else result for result in results]
        return [waited, shown]

    def shut(what: str) -> object:
        call, _, sock = waits(t, what, "shut-" + what.replace(" ", "-"))
        thread, results = in_thread(call)
        sock.shutdown(socket.SHUT_RDWR)
        thread.join(2)
        return [thread.is_alive(), results]

    jobs: dict[str, Callable[[], object]] = {}
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    for what in ("accept", "accept inet", "recvmsg"):
        jobs[f"{what} closed"] = lambda what=what: closed(what)  # type: ignore[misc]
    for what in ("accept", "accept inet", "recvmsg", "waitall", "sendmsg"):
        jobs[f"{what} shut down"] = lambda what=what: shut(what)  # type: ignore[misc]
    return side_by_side(jobs)


def case_connecting_without_waiting(t: Tree) -> object:
    def ready(fd: int) -> object:
        select.select([], [fd], [], 2)
        error = ctypes.c_int(-1)
        t("getsockopt", fd, 1, 4, ctypes.byref(error), ctypes.byref(ctypes.c_int(4)))  # SO_ERROR
        return error.value

    with listener() as server:
        to = inet(server.getsockname()[1])
        fd = int(t("socket", INET, STREAM | NONBLOCK, 0))
        first = connect(t, fd, to)
        later_on = ready(fd)
        again = [connect(t, fd, to), connect(t, fd, to)]
        server.accept()[0].close()
    other = int(t("socket", INET, STREAM | NONBLOCK, 0))
    refused = connect(t, other, to)
    how = ready(other) if refused == "EINPROGRESS" else 111
    return [first in (0, "EINPROGRESS"), later_on, again[1], refused in ("EINPROGRESS",
            "ECONNREFUSED"), how, t("recvmsg", fd, Header([4]).data, MSG_DONTWAIT)]  # fmt: skip


def case_many_clients_and_threads(t: Tree) -> object:
    """1,000 connections, of both sorts, accepted by 50 threads: each is served once and whole.

    A client that has a name comes first: from then on names are looked at when accepting.
    """

    def serve(family: int) -> object:
        server = socket.socket(UNIX) if family == UNIX else listener()
        if family == UNIX:
            server.bind("many")
        server.listen(128)
        name = server.getsockname()
        to = unix(name.encode()) if family == UNIX else inet(name[1])
        served: list[bytes] = []

        def accept() -> None:
            address = ctypes.create_string_buffer(128)
            while True:
                length = ctypes.byref(ctypes.c_int(128))
                fd = t("accept4", server.fileno(), address, length, 0)
                if not isinstance(fd, int):
                    return
                with socket.socket(fileno=fd) as end:
                    text = end.recv(16)
                    end.send(text[::-1])
                    served.append(text)

        if family == UNIX:
            first = socket.socket(UNIX)
            first.bind("first")
            first.connect(name)
            server.accept()[0].close()
        threads = [threading.Thread(target=accept, daemon=True) for _ in range(50)]
        for thread in threads:
            thread.start()
        answers = 0
        for number in range(1000):
            fd = int(t("socket", family, STREAM, 0))
            if connect(t, fd, to) != 0:
                return number
            text = b"client %d" % number
            os.write(fd, text)
            answers += os.read(fd, 16) == text[::-1]
            os.close(fd)
        server.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(2)
        return [answers, len(set(served)), sum(thread.is_alive() for thread in threads)]

    return side_by_side({"unix": lambda: serve(UNIX), "inet": lambda: serve(INET)})
