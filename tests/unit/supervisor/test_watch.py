# SPDX-License-Identifier: GPL-3.0-or-later
"""When the interrupter wakes an emulator, by the state of the guest's thread."""

from __future__ import annotations

import errno

import pytest
from tests.unit.supervisor.world import FakeWorld

from madcap.supervisor import watch
from madcap.supervisor.watch import StateWatch, close_all, pace, queued, state_of


@pytest.fixture
def world() -> FakeWorld:
    return FakeWorld()


@pytest.fixture(params=[True, False], ids=["schedstat", "stat"])
def rules(request: pytest.FixtureRequest, world: FakeWorld) -> StateWatch:
    """Return the rules, on a kernel that counts how often a thread ran and on one that doesn't."""
    return StateWatch(world, cheap=request.param)


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (b"9 (cat) S 1 2 3", b"S"),
        (b"9 (a) D) D 1 2 3", b"D"),
        (b"9 ((x) S) T 1", b"T"),
        (b"", b""),
        (b"garbage", b""),
    ],
)
def test_the_state_is_found_behind_any_name(text: bytes, state: bytes) -> None:
    assert state_of(text) == state


def test_a_sleeping_guest_lets_its_emulator_be(world: FakeWorld, rules: StateWatch) -> None:
    entry = world.block(1)
    assert world.rounds(rules, [entry], 1000) == []
    assert (entry.hit, entry.gone) == (False, False)
    assert world.records == []


def test_a_guest_that_a_signal_picked_is_hit(world: FakeWorld, rules: StateWatch) -> None:
    entry = world.block(1)
    assert world.rounds(rules, [entry], 5) == []
    world.tasks[1001].becomes("D")
    assert world.rounds(rules, [entry]) == [1]
    assert entry.hit
    assert not entry.gone


def test_a_guest_whose_signal_may_be_another_threads_waits_for_that(
    world: FakeWorld, rules: StateWatch
) -> None:
    entry = world.block(1)
    world.rounds(rules, [entry])
    world.tasks[1001].becomes("D")
    world.contending.add(1001)
    assert world.rounds(rules, [entry], 3) == []
    world.contending.clear()  # The main thread took it.
    assert world.rounds(rules, [entry]) == [1]


def test_it_does_not_wait_for_ever(world: FakeWorld, rules: StateWatch) -> None:
    entry = world.block(1)
    world.rounds(rules, [entry])
    world.tasks[1001].becomes("D")
    world.contending.add(1001)
    assert world.rounds(rules, [entry], watch.PATIENCE) == []
    assert world.rounds(rules, [entry]) == [1]


def test_each_signal_gets_its_moment(world: FakeWorld, rules: StateWatch) -> None:
    entry = world.block(1)
    world.contending.add(1001)
    for _ in range(3):
        world.tasks[1001].becomes("D")
        assert world.rounds(rules, [entry], watch.PATIENCE) == []
        world.tasks[1001].becomes("S")  # The main thread took it.
        assert world.rounds(rules, [entry]) == []


def test_only_who_was_picked_is_woken(world: FakeWorld, rules: StateWatch) -> None:
    entries = [world.block(number) for number in (1, 2, 3)]
    world.rounds(rules, entries, 3)
    world.tasks[1002].becomes("D")
    assert world.rounds(rules, entries, 2) == [2, 2]


@pytest.mark.parametrize("afterwards", ["D", "S", "R", "T"])
def test_a_hit_entry_is_woken_in_every_round_until_it_unregisters(
    world: FakeWorld, rules: StateWatch, afterwards: str
) -> None:
    """The first SIGALRM may come just before the system call, and be lost."""
    entry = world.block(1)
    world.tasks[1001].becomes("D")
    world.rounds(rules, [entry])
    world.tasks[1001].becomes(afterwards)
    assert world.rounds(rules, [entry], 4) == [1, 1, 1, 1]
    assert world.records == [(1, {"name": "signal"})]  # Logged once.
    assert world.rounds(rules, []) == []


@pytest.mark.parametrize("state", ["R", "T", "t", "Z", "X", "I"])
def test_no_other_state_counts_while_the_notification_waits(
    world: FakeWorld, rules: StateWatch, state: str
) -> None:
    entry = world.block(1)
    world.tasks[1001].becomes(state)
    assert world.rounds(rules, [entry], 3) == []
    world.tasks[1001].state = "D"  # On its way there: it has run since, or is running.
    assert world.rounds(rules, [entry]) == [1]


def test_a_guest_is_gone_with_its_notification(world: FakeWorld, rules: StateWatch) -> None:
    entry = world.block(1)
    world.rounds(rules, [entry], 2)
    world.waiting.clear()
    del world.tasks[1001]
    assert world.rounds(rules, [entry], 3) == [1, 1, 1]
    assert entry.gone
    assert not entry.hit
    assert world.records == [(1, {"name": "process", "err": errno.ESRCH})]


def test_a_thread_that_ends_is_gone_though_its_file_lives(
    world: FakeWorld, rules: StateWatch
) -> None:
    """A process's first thread stays as a zombie until its parent has looked."""
    entry = world.block(1)
    world.rounds(rules, [entry], 2)
    world.waiting.clear()
    world.tasks[1001].becomes("Z")
    assert world.rounds(rules, [entry]) == [1]
    assert entry.gone


def test_the_state_of_a_stranger_with_the_same_id_does_not_count(
    world: FakeWorld, rules: StateWatch
) -> None:
    entry = world.block(1)
    world.waiting.clear()
    world.tasks[1001].becomes("D")
    assert world.rounds(rules, [entry]) == [1]
    assert entry.gone
    assert not entry.hit


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EACCES])
def test_what_cannot_be_opened_is_tried_again(
    world: FakeWorld, rules: StateWatch, number: int
) -> None:
    """Without descriptors a signal comes late, but nobody is interrupted for nothing."""
    entry = world.block(1)
    world.refusal = number
    world.tasks[1001].becomes("D")
    assert world.rounds(rules, [entry], 3) == []
    world.refusal = 0
    assert world.rounds(rules, [entry]) == [1]


def test_who_cannot_be_looked_at_is_gone_with_the_notification(
    world: FakeWorld, rules: StateWatch
) -> None:
    entry = world.block(1)
    world.refusal = errno.EMFILE
    world.waiting.clear()
    assert world.rounds(rules, [entry]) == [1]
    assert entry.gone


def test_a_state_is_not_read_while_the_thread_does_not_run(world: FakeWorld) -> None:
    entry = world.block(1)
    rules = StateWatch(world, cheap=True)
    world.rounds(rules, [entry], 50)
    assert world.reads.count(b"stat") == 1
    world.rounds(rules, [entry], 1000)
    per_second = world.reads.count(b"stat") - 1
    assert 1 / watch.DISTRUST - 1 <= per_second <= 1 / watch.DISTRUST + 1


def test_a_state_is_read_now_and_then_though_nothing_seems_to_have_happened(
    world: FakeWorld,
) -> None:
    entry = world.block(1)
    rules = StateWatch(world, cheap=True)
    world.rounds(rules, [entry])
    world.tasks[1001].state = "D"  # And the counters say that it never ran.
    assert world.rounds(rules, [entry], 50) == []
    assert world.rounds(rules, [entry], 60)[0] == 1


def test_one_descriptor_is_held_for_an_entry_and_closed_in_the_end(
    world: FakeWorld, rules: StateWatch
) -> None:
    entries = [world.block(number) for number in (1, 2)]
    world.rounds(rules, entries, 300)
    assert len(world.files) == 2
    close_all(world, entries)
    close_all(world, entries)
    assert world.files == {}


def test_rounds_are_brisk_while_things_happen_and_calm_later() -> None:
    assert pace(quiet=0.0, cost=0.0) == watch.BRISK
    assert pace(quiet=watch.CALM_AFTER + 1, cost=0.0) == watch.CALM


def test_rounds_take_a_fifth_or_a_tenth_of_a_cpu_at_most_up_to_a_limit() -> None:
    assert pace(quiet=0.0, cost=0.0005) == pytest.approx(0.002)
    assert pace(quiet=5.0, cost=0.0005) == pytest.approx(0.0045)
    assert pace(quiet=0.0, cost=1.0) == pace(quiet=5.0, cost=1.0) == watch.SLOWEST


def test_the_number_of_queued_signals_is_found(world: FakeWorld) -> None:
    world.block(1)
    assert queued(world.tasks[1001].file(b"status")) == b"0"
    with open("/proc/self/status", "rb") as file:
        assert queued(file.read(1408)).isdigit()
