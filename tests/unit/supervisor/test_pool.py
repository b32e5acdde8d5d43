# SPDX-License-Identifier: GPL-3.0-or-later
"""Who receives, when somebody blocks and when threads can't be had."""

from __future__ import annotations

import _thread
import errno
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from madcap.linux._call import Buffer
from madcap.linux.listener import Crowd
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


@pytest.fixture(autouse=True)
def _two_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1})


def made(limit: int | None = None, core: int = 1) -> tuple[Pool, Worker]:
    """Return a pool whose first emulator is this thread, and receives."""
    host: Any = SimpleNamespace(last=Buffer(8), count=lambda: 0)
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


def test_at_the_limit_it_waits_for_who_is_about_to_rest(threads: Threads) -> None:
    pool, first = made(limit=2)
    pool._count = 2
    other = Worker()
    sleep = threads.slept.append

    def slept(seconds: float) -> None:
        sleep(seconds)
        if len(threads.slept) == 3:
            pool._idle.append(other)

    module.time.sleep = slept  # type: ignore[assignment]  # `threads` puts it back.
    assert pool._reinforce()
    assert pool._receiver is other is not first
    assert threads.slept == [0.001, 0.002, 0.004]


def test_at_the_limit_it_does_not_wait_for_who_blocks(threads: Threads) -> None:
    pool, first = made(limit=2)
    pool._count = 2
    pool._interrupter.count = lambda: 1  # type: ignore[method-assign]
    assert not pool._reinforce()
    assert pool._receiver is first
    assert threads.slept == []


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


class Baton:
    """Plays the lock of a worker; *waits* is what happens in place of waiting."""

    def __init__(self, waits: Callable[[], bool]) -> None:
        self.waits = waits
        self.patience: list[float] = []

    def acquire(self, _wait: bool, patience: float) -> bool:
        self.patience.append(patience)
        return self.waits()


def with_baton(waits: Callable[[], bool]) -> Worker:
    worker: Any = Worker.__new__(Worker)
    worker.baton = Baton(waits)
    worker.helps = False
    made_worker: Worker = worker
    return made_worker


def test_who_has_nothing_to_do_leaves_after_a_while() -> None:
    pool, _ = made()
    understudy, worker = Worker(), with_baton(lambda: False)
    pool._idle.append(understudy)
    pool._count = 3
    assert not pool._rest(worker)
    assert worker.baton.patience == [module.IDLE]
    assert pool._idle == [understudy]
    assert pool._count == 2


def test_who_is_of_the_core_stays_until_its_turn(threads: Threads) -> None:
    pool, _ = made(core=3)
    pool._idle.append(Worker())
    pool._count = 3

    def waits() -> bool:
        if worker.baton.patience[-1] < 0:
            assert pool._idle.pop() is worker
            pool._receiver = worker
        return False

    worker = with_baton(waits)
    assert pool._rest(worker)
    assert worker.baton.patience == [module.IDLE, -1]
    assert threads.started == []


def test_who_receives_has_somebody_stand_by(threads: Threads) -> None:
    pool, _ = made()
    pool._recruit()
    pool._recruit()
    assert threads.started == pool._idle
    assert (len(pool._idle), pool._count) == (1, 2)


def test_nobody_stands_by_where_no_thread_can_be_had(threads: Threads) -> None:
    threads.failures = 1
    pool, _ = made()
    pool._recruit()
    assert (pool._idle, pool._count) == ([], 1)
    pool, _ = made(limit=1)
    pool._recruit()
    assert (pool._idle, pool._count, threads.started) == ([], 1, [])


class Listener:
    """Plays the listener with a pipe: what can be read is a notification that waits."""

    def __init__(self, pool: Pool) -> None:
        self.listener, self.guests = os.pipe()
        pool._host = self  # type: ignore[assignment]

    def close(self) -> None:
        for fd in {self.listener, self.guests}:
            os.close(fd)


def test_the_understudy_receives_in_place_of_one_that_is_stuck() -> None:
    pool, first = made()
    listener = Listener(pool)
    os.write(listener.guests, b"*")
    worker, next_one = with_baton(lambda: False), Worker()
    pool._doing[0] = 5
    pool._idle += [worker, next_one]
    assert pool._rest(worker)
    assert pool._receiver is worker is not first
    # It was in the same call for a second, and another call has waited for a moment.
    assert worker.baton.patience == [module.STUCK, module.GRACE]
    assert pool._idle == [next_one]
    assert next_one.baton.acquire(False)  # It stands by now.
    listener.close()


def test_the_understudy_does_nothing_while_calls_go_on() -> None:
    pool, first = made()
    listener = Listener(pool)
    os.write(listener.guests, b"*")

    def waits() -> bool:
        pool._doing[0] += 1
        return pool._doing[0] > 5

    worker = with_baton(waits)
    assert pool._stand_by(worker)
    assert pool._receiver is first
    assert worker.baton.patience == [module.STUCK] * 6
    listener.close()


def test_the_understudy_does_nothing_where_the_call_that_waits_is_received() -> None:
    pool, first = made()
    listener = Listener(pool)
    os.write(listener.guests, b"*")

    def waits() -> bool:
        if worker.baton.patience[-1] == module.GRACE:
            pool._doing[0] = 6
        return len(worker.baton.patience) > 2

    worker = with_baton(waits)
    pool._idle.append(worker)
    assert pool._stand_by(worker)
    assert pool._receiver is first
    listener.close()


def test_the_understudy_sleeps_until_a_call_waits() -> None:
    pool, _ = made()
    listener = Listener(pool)
    done = _thread.allocate_lock()
    done.acquire()
    worker = with_baton(lambda: False)

    def rest() -> None:
        pool._rest(worker)
        done.release()

    _thread.start_new_thread(rest, ())
    assert not done.acquire(True, 0.1)
    assert worker.baton.patience == [module.STUCK]
    os.write(listener.guests, b"*")
    assert done.acquire(True, 5)
    assert pool._receiver is worker
    listener.close()


def test_the_understudy_leaves_when_no_guest_is_left() -> None:
    pool, _ = made()
    listener = Listener(pool)
    os.close(listener.guests)
    listener.guests = listener.listener
    pool._count = 2
    assert not pool._rest(with_baton(lambda: False))
    assert (pool._idle, pool._count) == ([], 1)
    listener.close()


class Crowded:
    """Plays the listener of a thread: *calls* are what it receives; at their end it is stopped."""

    def __init__(self, *calls: tuple[int, ...] | Exception, helped: object = None) -> None:
        self.calls = list(calls)
        self.helped = helped
        self.asked = 0

    def receive(self) -> tuple[int, ...]:
        if not self.calls:
            raise Stop
        call = self.calls.pop(0)
        if isinstance(call, Exception):
            raise call
        return call

    def help(self) -> object:
        self.asked += 1
        if isinstance(self.helped, Exception):
            raise self.helped
        return self.helped


class Stop(Exception):
    """The test is over."""


def serve(
    pool: Pool, worker: Worker, listener: Crowded, handle: Callable[[object], None] | None = None
) -> list[object]:
    """Return the calls that *worker* handled; *handle* is what it does then."""
    handled: list[object] = []

    def note(call: object) -> None:
        handled.append(call)
        if handle is not None:
            handle(call)

    dispatcher: Any = SimpleNamespace(req=SimpleNamespace(listener=listener), handle=note)
    with pytest.raises(Stop):
        pool._serve(worker, dispatcher)
    return handled


def test_in_a_crowd_one_helps_and_another_stands_by(threads: Threads) -> None:
    pool, first = made()
    understudy, idle = Worker(), Worker()
    pool._idle += [understudy, idle]
    assert serve(pool, first, Crowded((1,), Crowd(), (2,))) == [(1,), (2,)]
    assert pool._idle == [understudy]
    assert idle.helps
    assert idle.baton.acquire(False)
    assert threads.started == []
    pool._helper = None  # As it is when that one is done.
    serve(pool, first, Crowded(Crowd()))  # The understudy itself has to help.
    assert understudy.helps
    assert threads.started == pool._idle
    assert len(pool._idle) == 1
    assert pool._receiver is first


def test_one_helps_at_most_however_long_it_takes_to_begin(threads: Threads) -> None:
    pool, first = made()
    understudy, idle = Worker(), Worker()
    pool._idle += [understudy, idle]
    serve(pool, first, Crowded(Crowd(), Crowd(), Crowd()))
    assert pool._helper is idle
    assert pool._idle == [understudy]
    assert threads.started == []


def test_who_is_called_on_before_it_runs_is_not_idle(threads: Threads) -> None:
    pool, first = made()
    serve(pool, first, Crowded(Crowd(), Crowd()))
    called, understudy = threads.started
    assert pool._rest(called)
    assert pool._idle == [understudy]


@pytest.mark.parametrize(("limit", "failures"), [(2, 0), (None, 1)])
def test_who_helps_receives_where_no_other_can(
    threads: Threads, limit: int | None, failures: int
) -> None:
    pool, first = made(limit)
    helper = Worker()
    pool._idle.append(helper)
    pool._count = 2
    threads.failures = failures
    serve(pool, first, Crowded(Crowd()))
    threads.failures = failures
    assert (pool._idle, threads.started) == ([], [])
    assert pool._reinforce()
    assert pool._receiver is helper
    assert (pool._count, threads.slept) == (2, [])
    assert pool._helper is None
    assert not pool._promote()


def test_on_one_cpu_nobody_helps(threads: Threads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {3})
    pool, first = made()
    idle = Worker()
    pool._idle.append(idle)
    assert serve(pool, first, Crowded(Crowd(), (1,))) == [(1,)]
    assert (pool._idle, idle.helps, threads.started) == ([idle], False, [])


def test_nobody_helps_where_no_thread_can_be_had(threads: Threads) -> None:
    pool, first = made(limit=1)
    assert serve(pool, first, Crowded(Crowd(), (1,))) == [(1,)]
    threads.failures = 1
    pool, first = made()
    assert serve(pool, first, Crowded(Crowd(), (1,))) == [(1,)]
    assert (pool._idle, pool._count) == ([], 1)


@pytest.mark.parametrize("helped", [(7,), BlockingIOError(errno.EAGAIN, "no more")])
def test_who_helps_does_so_once_and_rests(helped: object) -> None:
    pool, _ = made()
    understudy = Worker()
    pool._idle.append(understudy)
    pool._count = 3
    worker = Worker()
    worker.helps = True
    pool._helper = worker
    listener = Crowded(helped=helped)

    def handle(_call: object) -> None:
        assert pool._helper is worker  # Nobody else is called meanwhile.

    def waits() -> bool:
        raise Stop

    worker.baton = with_baton(waits).baton
    assert serve(pool, worker, listener, handle) == ([(7,)] if helped == (7,) else [])
    assert listener.asked == 1
    assert pool._idle == [understudy, worker]
    assert pool._helper is None


@pytest.mark.parametrize("brief", [True, False])
def test_who_blocks_helps_no_more(brief: bool) -> None:
    pool, first = made()
    pool._receiver, pool._helper = Worker(), first
    pool._idle.append(Worker())
    nothing: Any = SimpleNamespace(register=lambda _: None, unregister=lambda _: None)
    pool._interrupter = nothing
    req: Any = SimpleNamespace(id=1, tid=1, name="openat", args=())

    def call() -> int:
        assert pool._helper is None
        return 5

    assert pool.blocking(req, call, restartable=True, brief=brief) == 5


def test_a_brief_call_that_blocks_is_relieved(threads: Threads) -> None:
    pool, _ = made()
    other = Worker()
    pool._idle.append(other)
    pool._relieve(_thread.get_native_id())
    assert pool._receiver is other
    assert other.baton.acquire(False)
    pool._relieve(_thread.get_native_id())  # Once more does nothing.
    assert pool._receiver is other
    assert threads.started == []
