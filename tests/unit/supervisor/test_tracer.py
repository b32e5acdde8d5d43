# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a task waits for the answers that are being written to it."""

from __future__ import annotations

import struct
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from madcap.linux._call import Buffer
from madcap.supervisor import tracer as module
from madcap.supervisor.tracer import Tracer

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    """Plays time: *acts* happen in place of the first sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 50.0
        self.acts: list[Callable[[], None]] = []
        monkeypatch.setattr(module, "time", self)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.acts:
            self.acts.pop(0)()


def writer(tid: int) -> Buffer:
    """Return what an emulator shows that may write to the memory of *tid*."""
    made = Buffer(8)
    struct.pack_into("=Q", made.data, 0, tid)
    return made


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def ending(monkeypatch: pytest.MonkeyPatch, *writers: Buffer) -> tuple[Tracer, list[int]]:
    """Return a tracer, and whom it kills."""
    tracer: Any = Tracer.__new__(Tracer)
    tracer._host = SimpleNamespace(writers=list(writers))
    killed: list[int] = []
    monkeypatch.setattr(Tracer, "_kill", lambda _tracer, tid: killed.append(tid))
    made: Tracer = tracer
    return made, killed


def test_answers_to_others_hold_up_nobody(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    tracer, killed = ending(monkeypatch, writer(0), writer(8))
    tracer._let_answers_end(7)
    assert (clock.now, killed) == (50.0, [])


def test_the_end_waits_for_an_answer(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = writer(7)
    tracer, killed = ending(monkeypatch, writer(8), busy)
    clock.acts = [lambda: None, lambda: struct.pack_into("=Q", busy.data, 0, 0)]
    tracer._let_answers_end(7)
    assert clock.acts == []
    assert killed == []


def test_who_is_answered_for_too_long_is_killed(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracer, killed = ending(monkeypatch, writer(7))
    tracer._let_answers_end(7)
    assert killed == [7]
    assert 51 < clock.now < 51.1
