# SPDX-License-Identifier: GPL-3.0-or-later
"""When the interrupter wakes an emulator, by the guest's pending signals."""

from __future__ import annotations

import errno

import pytest
from tests.unit.supervisor.world import FakeWorld

from madcap.supervisor.watch_status import StatusWatch, interesting

USR1, TERM, RT = 1 << 9, 1 << 14, 1 << 63


@pytest.fixture
def world() -> FakeWorld:
    return FakeWorld()


@pytest.fixture
def rules(world: FakeWorld) -> StatusWatch:
    return StatusWatch(world)


@pytest.mark.parametrize(
    ("thread", "shared", "blocked", "caught", "found", "own"),
    [
        pytest.param(0, USR1, 0, USR1, USR1, 0, id="for the process"),
        pytest.param(USR1, 0, 0, USR1, USR1, USR1, id="for the thread"),
        pytest.param(USR1, RT, 0, USR1 | RT, USR1 | RT, USR1, id="both"),
        pytest.param(USR1, 0, 0, TERM, 0, 0, id="no handler"),
        pytest.param(USR1, USR1, USR1, USR1, 0, 0, id="blocked"),
        pytest.param(0, 0, 0, USR1, 0, 0, id="none"),
    ],
)
def test_pending_caught_and_unblocked_signals_are_interesting(
    thread: int, shared: int, blocked: int, caught: int, found: int, own: int, world: FakeWorld
) -> None:
    world.block(1, process=77)
    task = world.tasks[1001]
    task.thread, task.shared, task.blocked, task.caught = thread, shared, blocked, caught
    assert interesting(task.file(b"status")) == (77, found, own)


def test_a_status_without_its_lines_is_an_error() -> None:
    with pytest.raises(ValueError, match="SigPnd"):
        interesting(b"Name:\tx\nTgid:\t1\n")


def catch(world: FakeWorld, tid: int, signals: int) -> None:
    """Let *signals*, which have handlers, come for the process of *tid*."""
    world.tasks[tid].caught |= signals
    world.tasks[tid].shared |= signals


def test_nothing_pending_lets_the_emulator_be(world: FakeWorld, rules: StatusWatch) -> None:
    entry = world.block(1)
    assert world.rounds(rules, [entry], 20) == []
    assert world.opened == [b"status"]
    assert world.records == []


def test_an_interesting_signal_wakes_until_the_entry_unregisters(
    world: FakeWorld, rules: StatusWatch
) -> None:
    entry = world.block(1)
    world.rounds(rules, [entry])
    catch(world, 1001, USR1)
    assert world.rounds(rules, [entry], 3) == [1, 1, 1]
    assert entry.hit
    assert world.records == [(1, {"name": "signal", "set": [10]})]


def test_a_restarting_handler_wakes_nobody(world: FakeWorld, rules: StatusWatch) -> None:
    entry = world.block(1, process=5)
    rules.action(5, 10, restarts=True)
    catch(world, 1001, USR1)
    assert world.rounds(rules, [entry], 3) == []
    catch(world, 1001, TERM)
    assert world.rounds(rules, [entry], 11) == [1]
    assert world.records == [(1, {"name": "signal", "set": [15]})]


def test_the_main_thread_gets_a_moment_to_take_what_any_thread_can(
    world: FakeWorld, rules: StatusWatch
) -> None:
    entry = world.block(1, process=5)
    catch(world, 1001, USR1)
    assert world.rounds(rules, [entry], 10) == []
    world.tasks[1001].shared = 0  # The main thread took it.
    assert world.rounds(rules, [entry]) == []
    catch(world, 1001, USR1)
    assert world.rounds(rules, [entry], 10) == []
    assert world.rounds(rules, [entry]) == [1]  # The main thread does not want it.


def test_nobody_else_can_take_the_signal_of_a_thread(world: FakeWorld, rules: StatusWatch) -> None:
    entry = world.block(1, process=5)
    catch(world, 1001, USR1)
    task = world.tasks[1001]
    task.thread |= TERM
    assert world.rounds(rules, [entry], 2) == []
    task.caught |= TERM
    assert world.rounds(rules, [entry]) == [1]
    assert world.records == [(1, {"name": "signal", "set": [10, 15]})]


def test_a_call_with_a_time_out_never_restarts(world: FakeWorld, rules: StatusWatch) -> None:
    entry = world.block(1, process=5, restartable=False)
    rules.action(5, 10, restarts=True)
    catch(world, 1001, USR1)
    assert world.rounds(rules, [entry], 11) == [1]


def test_the_last_action_of_a_signal_counts(world: FakeWorld, rules: StatusWatch) -> None:
    entry = world.block(1, process=5)
    rules.action(5, 10, restarts=True)
    rules.action(5, 10, restarts=False)
    catch(world, 1001, USR1)
    assert world.rounds(rules, [entry], 11) == [1]


def test_actions_belong_to_one_process_and_end_with_it(
    world: FakeWorld, rules: StatusWatch
) -> None:
    one, other = world.block(1, process=5), world.block(2, process=6)
    rules.action(5, 10, restarts=True)
    catch(world, 1001, USR1)
    catch(world, 1002, USR1)
    assert world.rounds(rules, [one, other], 11) == [2]
    rules.forget(5)
    rules.forget(5)
    assert world.rounds(rules, [one], 11) == [1]


def test_the_oldest_process_is_forgotten_when_there_are_too_many(rules: StatusWatch) -> None:
    for process in range(1, 5001):
        rules.action(process, 10, restarts=True)
    assert len(rules._restarting) == 4096
    assert min(rules._restarting) == 905


def test_a_guest_is_gone_with_its_notification(world: FakeWorld, rules: StatusWatch) -> None:
    entry = world.block(1)
    world.rounds(rules, [entry])
    world.waiting.clear()
    del world.tasks[1001]
    assert world.rounds(rules, [entry], 2) == [1, 1]
    assert entry.gone
    assert not entry.hit
    assert world.records == [(1, {"name": "process", "err": errno.ESRCH})]


@pytest.mark.parametrize("known", [False, True])
def test_a_stranger_with_the_same_id_does_not_count(
    world: FakeWorld, rules: StatusWatch, known: bool
) -> None:
    entry = world.block(1)
    if known:
        world.rounds(rules, [entry])
    world.waiting.clear()
    catch(world, 1001, USR1)
    assert world.rounds(rules, [entry]) == [1]
    assert entry.gone
    assert not entry.hit


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_a_lack_of_descriptors_or_memory_ends_every_call(
    world: FakeWorld, rules: StatusWatch, number: int
) -> None:
    first = world.block(1)
    world.rounds(rules, [first])
    entries = [first, world.block(2), world.block(3)]
    world.refusal = number
    assert world.rounds(rules, entries) == [1, 2, 3]
    assert [entry.hit for entry in entries] == [True, True, True]
    assert world.records == [(ident, {"name": "manual"}) for ident in (1, 2, 3)]


def test_another_refusal_ends_the_call_itself(world: FakeWorld, rules: StatusWatch) -> None:
    one, other = world.block(1), world.block(2)
    world.rounds(rules, [one])
    world.refusal = errno.EACCES
    assert world.rounds(rules, [one, other]) == [2]
    assert world.records == [(2, {"name": "process", "err": errno.EACCES})]


def test_a_status_that_cannot_be_read_any_more_ends_the_call(
    world: FakeWorld, rules: StatusWatch
) -> None:
    entry = world.block(1)
    world.rounds(rules, [entry])
    del world.tasks[1001]
    assert world.rounds(rules, [entry]) == [1]
    assert entry.hit
    assert world.records == [(1, {"name": "process", "err": errno.ESRCH})]


def test_a_call_that_is_told_to_end_is_woken(world: FakeWorld, rules: StatusWatch) -> None:
    entry = world.block(1)
    world.rounds(rules, [entry])
    entry.manual = True
    assert world.rounds(rules, [entry], 2) == [1, 1]
    assert world.records == [(1, {"name": "manual"})]
