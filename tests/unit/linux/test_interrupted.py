# SPDX-License-Identifier: GPL-3.0-or-later
"""A question about a notification that a stop of the supervisor interrupts is asked again.

The kernel waits for a lock of the listener then, and that wait ends with EINTR.
"""

from __future__ import annotations

import errno
import fcntl
from types import SimpleNamespace
from typing import Any

import pytest

from madcap.abi.flags import (
    SECCOMP_IOCTL_NOTIF_ADDFD,
    SECCOMP_IOCTL_NOTIF_ID_VALID,
    SECCOMP_IOCTL_NOTIF_SEND,
)
from madcap.kernel.reply import Gone
from madcap.kernel.request import Request
from madcap.linux._call import Buffer
from madcap.linux.listener import Listener
from madcap.linux.seccomp import ADDFD, RESP, id_valid


class Kernel:
    """Plays ioctl(2): each command is interrupted once, and then ends with *error*."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[int] = []
        self.answers: list[tuple[int, ...]] = []
        self.error = 0
        monkeypatch.setattr(fcntl, "ioctl", self.ioctl)

    def ioctl(self, _fd: int, command: int, data: bytearray, _mutate: bool) -> int:
        self.asked.append(command)
        if self.asked.count(command) == 1:
            raise InterruptedError(errno.EINTR, "interrupted")
        if self.error:
            raise OSError(self.error, "failed")
        if command == SECCOMP_IOCTL_NOTIF_SEND:
            self.answers.append(RESP.unpack(data))
        return 0


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(monkeypatch)


def test_the_interrupter(kernel: Kernel) -> None:
    assert id_valid(3, bytearray(8))
    assert len(kernel.asked) == 2


@pytest.mark.parametrize("error", [0, errno.ENOENT])
def test_a_handler(kernel: Kernel, error: int) -> None:
    req: Any = Request.__new__(Request)
    req.host = SimpleNamespace(listener=3)
    req._id_buffer = bytearray(8)
    req.tid, req.writing = 9, [0]
    kernel.error = error
    if error:
        with pytest.raises(Gone):
            req.alive()
    else:
        req.alive()
    assert len(kernel.asked) == 2
    assert req.writing == [9]


def test_a_descriptor(kernel: Kernel) -> None:
    req: Any = Request.__new__(Request)
    req.host = SimpleNamespace(listener=3)
    req.policy = SimpleNamespace(flags=set())
    req.id = 7
    req._addfd = bytearray(ADDFD.size)
    assert req.install(5, cloexec=True) == 0
    assert kernel.asked == [SECCOMP_IOCTL_NOTIF_ADDFD] * 2


def test_an_answer(kernel: Kernel) -> None:
    written: list[tuple[int, ...]] = []
    memory: Any = SimpleNamespace(write_buffer=lambda *words: written.append(words))
    place = Buffer(8)
    Listener(3, memory, Buffer(8)).answer_with(7, 100, place.pointer, 4096, 8, -1)
    assert written == [(100, 4096, place.address, 8)]
    assert kernel.answers == [(7, 0, 0, 0)]
    assert kernel.asked == [SECCOMP_IOCTL_NOTIF_ID_VALID] * 2 + [SECCOMP_IOCTL_NOTIF_SEND] * 2
