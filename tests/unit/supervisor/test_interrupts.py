# SPDX-License-Identifier: GPL-3.0-or-later
"""What the interrupter concludes from a guest's state."""

from __future__ import annotations

import pytest

from madcap.supervisor.interrupts import Entry, judge, state_of


def entry() -> Entry:
    return Entry(emulator=7, ident=1 << 40, tid=9, name="openat")


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


def test_a_sleeping_guest_lets_its_emulator_be() -> None:
    one = entry()
    assert not judge(one, valid=True, text=b"9 (cat) S 1")
    assert (one.hit, one.gone) == (False, False)


def test_a_guest_that_a_signal_picked_is_hit_and_stays_so() -> None:
    one = entry()
    assert judge(one, valid=True, text=b"9 (cat) D 1")
    assert one.hit
    assert judge(one, valid=True, text=b"9 (cat) S 1")  # Woken again until it unregisters.


def test_a_guest_whose_notification_is_invalid_is_gone() -> None:
    one = entry()
    assert judge(one, valid=False, text=b"9 (other) S 1")
    assert one.gone
    assert not one.hit


def test_a_state_that_cannot_be_read_changes_nothing_while_the_notification_waits() -> None:
    one = entry()
    assert not judge(one, valid=True, text=None)
    assert (one.hit, one.gone) == (False, False)


def test_the_state_counts_only_while_the_notification_is_valid() -> None:
    """The thread id may belong to somebody else by now."""
    one = entry()
    assert judge(one, valid=False, text=b"9 (other) D 1")
    assert not one.hit
