# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases for what ends with a close or a removal: at once, whoever made the call for the caller."""

from __future__ import annotations

import fcntl
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from run_cases import Tree

ROUNDS = 300


def tries(attempt: object) -> int:
    """Return how often *attempt* would have had to wait, instead of seeing an end at once."""
    held = 0
    for _ in range(ROUNDS):
        try:
            attempt()  # type: ignore[operator]
        except BlockingIOError:
            held += 1
    return held


def case_a_fifo_without_its_reader_is_broken(t: Tree) -> object:
    reader = t.fd(b"fifo", os.O_RDONLY | os.O_NONBLOCK)
    writer = t.fd(b"fifo", os.O_WRONLY | os.O_NONBLOCK)
    os.close(reader)
    written = 0

    def attempt() -> None:
        nonlocal written
        os.close(t.fd(b"fifo", os.O_RDONLY | os.O_NONBLOCK))
        try:
            written += os.write(writer, b"x")
        except BrokenPipeError:
            return

    return [tries(attempt), written]


def case_a_lock_ends_with_its_file(t: Tree) -> object:
    lock = t.fd(b"file")

    def attempt() -> None:
        other = t.fd(b"file")
        fcntl.flock(other, fcntl.LOCK_EX)
        os.close(other)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(lock, fcntl.LOCK_UN)

    return tries(attempt)


def case_a_new_file_is_not_busy_once_closed(t: Tree) -> object:
    busy = 0
    for number in range(ROUNDS // 10):
        t.write(b"p%d" % number, b"#!/bin/sh\n")
        os.chmod(b"p%d" % number, 0o755)
        pid = os.fork()
        if pid == 0:
            try:
                os.execv(b"p%d" % number, [b"p"])  # noqa: S606 - no shell
            except OSError as error:
                os._exit(error.errno or 255)
        busy += os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return busy


def case_a_pipe_without_its_writer_ends(t: Tree) -> object:
    def attempt() -> None:
        receive, send = os.pipe2(os.O_NONBLOCK)
        os.close(send)
        try:
            os.read(receive, 1)
        finally:
            os.close(receive)

    del t
    return tries(attempt)


def case_a_socket_without_its_peer_ends(t: Tree) -> object:
    def attempt() -> None:
        one, two = socket.socketpair()
        two.close()
        one.setblocking(False)
        with one:
            one.recv(1)

    del t
    return tries(attempt)


def case_a_port_is_free_once_its_socket_is_closed(t: Tree) -> object:
    taken = 0
    for _ in range(ROUNDS // 3):
        one, two = socket.socket(), socket.socket()
        one.bind(("127.0.0.1", 0))
        name = one.getsockname()
        one.close()
        try:
            two.bind(name)
        except OSError:
            taken += 1
        two.close()
    del t
    return taken


def case_a_descriptor_that_a_call_looked_at_is_closed_too(t: Tree) -> object:
    lock = t.fd(b"file")

    def attempt() -> None:
        other = t.fd(b"file", os.O_RDWR)
        fcntl.flock(other, fcntl.LOCK_EX)
        os.ftruncate(other, 3)
        os.fchmod(other, 0o644)
        os.close(other)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(lock, fcntl.LOCK_UN)

    return tries(attempt)


def case_a_watch_sees_the_end_of_what_is_removed(t: Tree) -> object:
    watch = t("inotify_init1", os.O_NONBLOCK)
    t.write(b"over", b"")
    names = (b"unlinked", b"overwritten", b"directory")

    def attempt() -> None:
        t.write(names[0], b"")
        t.write(names[1], b"")
        os.mkdir(names[2])
        for name in names:
            t("inotify_add_watch", watch, name, 0x400)  # IN_DELETE_SELF
        for end in (
            lambda: os.unlink(names[0]),
            lambda: os.rename(b"over", names[1]),
            lambda: os.rmdir(names[2]),
        ):
            end()
            os.read(watch, 4096)
        os.rename(names[1], b"over")

    return tries(attempt)


def case_a_directory_that_was_left_is_gone_when_removed(t: Tree) -> object:
    """Who looks up names for the caller must not stay where the caller has been."""
    watch = t("inotify_init1", os.O_NONBLOCK)
    place = t.root + b"/place"

    def attempt() -> None:
        os.mkdir(place)
        os.chdir(place)
        t("access", b"absent", 0)
        os.chdir(t.root)
        t("inotify_add_watch", watch, place, 0x400)  # IN_DELETE_SELF
        os.rmdir(place)
        os.read(watch, 4096)

    return tries(attempt)
