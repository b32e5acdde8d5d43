# SPDX-License-Identifier: GPL-3.0-or-later
"""The lists the filters are made from: nothing is lost, nothing contradicts."""

from __future__ import annotations

from collections import Counter

import pytest

from madcap.abi.numbers import TABLES
from madcap.filter import calls, pointers, sockopts


def pairs() -> list[tuple[int, int]]:
    return [(level, option) for level, _, options in sockopts.OPTIONS for option in options]


def test_every_socket_option_has_one_answer() -> None:
    assert len(pairs()) == len(set(pairs())) == 259


def test_answers_of_socket_options_are_counted() -> None:
    results: Counter[int] = Counter()
    for _, number, options in sockopts.OPTIONS:
        results[number] += len(options)
    assert results == {0: 127, 1: 19, 2: 3, 13: 1, 92: 98, 95: 11}


def test_options_open_pairs_that_are_otherwise_refused() -> None:
    opened = [pair for more in sockopts.OPEN.values() for pair in more]
    assert set(opened) <= set(pairs())
    assert len(set(opened)) == len(opened) == 12


def test_levels_refused_as_a_whole_have_no_options() -> None:
    levels = [level for more in sockopts.LEVELS.values() for level in more]
    assert len(set(levels)) == len(levels) == 18
    assert not set(levels) & {level for level, _ in pairs()}


def test_every_call_has_one_row_of_addresses() -> None:
    names = [name for row in pointers.POINTERS.values() for name in row.split()]
    assert len(names) == len(set(names)) == 302
    assert set(pointers.INVALID.split()) <= set(names)


def test_operations_with_addresses_are_counted() -> None:
    assert sorted(pointers.KEYCTL) == [1, 2, 6, 10, 11, 12, 17, 20, 23, 29]
    assert pointers.SYSLOG.keys() == {2, 3, 4}
    assert len(pointers.PRCTL) == 14


@pytest.mark.parametrize(
    ("names", "listed", "here"),
    [
        (calls.DEAD, 31, 28),
        (calls.SAFE, 164, 128),
        (calls.FUTEX, 8, 5),
        (calls.GETID, 14, 7),
        (calls.KILL_FAMILY, 5, 5),
        (calls.MSGQUEUE, 8, 6),
        (calls.SHM, 14, 12),
        (calls.BY_NAMESPACE["mount"], 13, 12),
        (calls.BY_NAMESPACE["uts"], 2, 2),
        (calls.BY_OPTION["allow_unsafe_nice"], 6, 6),
        (calls.BY_OPTION["allow_unsafe_page_cache"], 2, 2),
        (calls.BY_OPTION["allow_unsafe_perf"], 5, 2),
        (calls.BY_OPTION["allow_unsafe_ptrace"], 5, 5),
        (calls.BY_OPTION["allow_unsafe_cpu"], 5, 1),
        (calls.BY_OPTION["allow_unsafe_keyring"], 3, 3),
        (calls.BY_OPTION["allow_unsafe_numa"], 6, 6),
        (calls.BY_OPTION["allow_unsafe_pkey"], 3, 3),
        (calls.BY_OPTION["allow_unsafe_deprecated"], 7, 4),
        (calls.BY_OPTION["allow_unsafe_time"], 6, 4),
        (calls.BY_OPTION["allow_unsafe_rseq"], 2, 2),
        (calls.IO_URING, 3, 3),
    ],
)
def test_lists_are_complete(names: str, listed: int, here: int) -> None:
    words = names.split()
    assert len(words) == len(set(words)) == listed
    assert len(TABLES["x86_64"].keys() & set(words)) == here


def test_closed_lists_open_nothing_by_another_list() -> None:
    """A call that is closed until an option opens it must not be allowed by a second mention."""
    known = TABLES["x86_64"].keys() | TABLES["aarch64"].keys()
    free = {name for text in (calls.SAFE, calls.FUTEX, calls.VDSO) for name in text.split()}
    free |= set(calls.HOOKED.split())
    closed = {name for text in calls.BY_OPTION.values() for name in text.split()}
    closed |= {name for text in calls.BY_NAMESPACE.values() for name in text.split()}
    closed |= set(f"{calls.DEAD} {calls.IO_URING} {calls.SHM} {calls.MSGQUEUE}".split())
    assert not free & closed & known
