# SPDX-License-Identifier: GPL-3.0-or-later
"""Who receives, when somebody blocks and when threads can't be had."""

from __future__ import annotations

import _thread
from typing import TYPE_CHECKING, Any

import pytest

from madcap.supervisor import pool as module
from madcap.supervisor.pool import Pool, Worker

if TYPE_CHECKING:
    from collections.abc import Callable


class Threads:
    """Plays _thread.start_new_thread: nothing is run, and the next *failures* fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.failures = 0
        self.started: list[Worker] = []
        self.slept: list[float] = []
        monkeypatch.setattr(_thread, "start_new_thread", self.start)
        monkeypatch.setattr(module.time, "sleep", self.slept.append)

    def start(self, _function: Callable[..., None], arguments: tuple[Any, ...]) -> int:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("can't start new thread")
        self.started.append(arguments[0])
        return 1


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Threads:
    return Threads(monkeypatch)


def made(limit: int | None = None, core: int = 1) -> tuple[Pool, Worker]:
    """Return a pool whose first emulator is this thread, and receives."""
    host: Any = None
    pool = Pool(host, {}, host, lambda: None, core, limit)
    pool._count = 1
    first = pool._receiver
    pool._workers[_thread.get_native_id()] = first
    return pool, first


def test_who_blocks_hands_over_to_a_new_thread(threads: Threads) -> None:
    pool, first = made()
    assert pool._reinforce()
    assert threads.started == [pool._receiver]
    assert pool._receiver is not first
    assert pool._count == 2


def test_who_does_not_receive_has_nothing_to_hand_over(threads: Threads) -> None:
    """A call may block more than once, as sendmmsg(2) does."""
    pool, _ = made()
    assert pool._reinforce()
    assert pool._reinforce()
    assert len(threads.started) == 1


def test_a_thread_with_nothing_to_do_takes_over(threads: Threads) -> None:
    pool, _ = made()
    one, other = Worker(), Worker()
    pool._idle += [one, other]
    assert pool._reinforce()
    assert pool._receiver is other  # The last that came: its stack is warm.
    assert other.baton.acquire(False)
    assert not one.baton.acquire(False)
    assert threads.started == []


def test_the_last_thread_does_not_block(threads: Threads) -> None:
    pool, first = made(limit=1)
    assert not pool._reinforce()
    assert pool._receiver is first
    assert threads.started == []


def test_a_thread_that_cannot_be_started_is_tried_again(threads: Threads) -> None:
    pool, _ = made()
    threads.failures = 4
    assert pool._reinforce()
    assert threads.slept == [0.01, 0.02, 0.04, 0.08]
    assert pool._receiver is threads.started[0]
    assert pool._count == 2


def test_a_call_fails_when_threads_cannot_be_had_for_long(threads: Threads) -> None:
    pool, first = made()
    threads.failures = 1000
    assert not pool._reinforce()
    assert 1 < sum(threads.slept) < 5
    assert pool._receiver is first  # It goes on receiving.
    assert pool._count == 1


def test_who_has_nothing_to_do_leaves_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE", 0.02)
    pool, _ = made()
    pool._count = 2
    assert not pool._rest(Worker())
    assert pool._idle == []
    assert pool._count == 1


def test_who_is_of_the_core_stays_until_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE", 0.02)
    pool, _ = made(core=2)
    pool._count = 2
    worker = Worker()
    returned: list[bool] = []
    done = _thread.allocate_lock()
    done.acquire()

    def rest() -> None:
        returned.append(pool._rest(worker))
        done.release()

    _thread.start_new_thread(rest, ())
    assert not done.acquire(True, 0.1)
    assert pool._reinforce()
    assert done.acquire(True, 5)
    assert returned == [True]
    assert pool._receiver is worker


def test_nothing_is_handed_over_for_a_brief_call_while_somebody_stands_by(
    threads: Threads,
) -> None:
    pool, first = made()
    assert not pool._spare()  # Nobody is there yet.
    other = Worker()
    pool._idle.append(other)
    assert pool._spare()
    assert pool._receiver is first
    assert (pool._brief, threads.started) == (1, [])


def test_a_brief_call_that_blocks_is_relieved(threads: Threads) -> None:
    pool, _ = made()
    other = Worker()
    pool._idle.append(other)
    assert pool._spare()
    pool._relieve(_thread.get_native_id())
    assert pool._receiver is other
    assert other.baton.acquire(False)
    pool._relieve(_thread.get_native_id())  # Once more does nothing.
    assert pool._receiver is other
    assert threads.started == []


def test_who_stands_by_for_a_brief_call_does_not_leave(
    threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool, _ = made()
    monkeypatch.setattr(module, "IDLE", 0.001)
    pool._count = 2
    pool._brief = 1
    worker = Worker()
    rested: list[bool] = []

    class Baton:
        """Times out twice, then is handed over."""

        def acquire(self, _wait: bool, _patience: float) -> bool:
            rested.append(worker in pool._idle)
            return len(rested) > 2

    monkeypatch.setattr(worker, "baton", Baton())
    assert pool._rest(worker)
    assert rested == [True, True, True]
    assert threads.started == []
