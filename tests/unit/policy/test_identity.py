# SPDX-License-Identifier: GPL-3.0-or-later
"""Which changes of identity are permitted, and which can be."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from madcap.policy.sandbox import Sandbox

# The last of the commands, after the others succeeded, is answered with the number.
ANSWERS = [
    (["setuid+1000:2000"], 0),
    (["setuid+0x10:0o40"], 0),
    (["setuid+1000:1000"], errno.EINVAL),
    (["setuid+1000:root"], errno.EINVAL),
    (["setuid+1000"], errno.EINVAL),
    (["setuid+:1"], errno.EINVAL),
    (["setuid+1:4294967296"], errno.EOVERFLOW),
    (["setuid+0:11"], errno.EACCES),
    (["setuid+0:12"], 0),
    (["setgid+0:14"], errno.EACCES),
    (["setgid+0:15"], 0),
    (["setuid+2000:1000"], errno.EACCES),
    (["setuid+1000:2000", "setuid+1000:2000"], 0),
    (["setuid+1000:2000", "setuid+1000:3000"], errno.EEXIST),
    (["setuid+1000:2000", "setuid+2000:3000"], errno.EACCES),
    (["setuid+1000:2000", "setuid+500:1000"], errno.EACCES),
    (["setuid+1000:2000", "setuid+500:2000"], 0),
    (["setuid+1000:2000", "setgid+2000:3000"], 0),
    (["setuid+1000:2000", "setuid-1000:2000", "setuid+1000:3000"], 0),
    (["setuid-1:2"], 0),
    (["setuid-1"], errno.EINVAL),
    (["setuid^5"], 0),
    (["setuid^x"], errno.EINVAL),
    (["setuid^1:2"], errno.EINVAL),
    (["setuid"], errno.EINVAL),
    (["setresuid+1000:2000"], errno.EINVAL),
]


@pytest.mark.parametrize(("commands", "number"), ANSWERS)
def test_transition_goes_up_and_is_no_chain(
    answer: Callable[[str], int], commands: list[str], number: int
) -> None:
    assert [answer(each) for each in commands] == [0] * (len(commands) - 1) + [number]


def test_transitions_are_removed_one_by_one_by_source_or_all(
    box: Sandbox, answer: Callable[[str], int]
) -> None:
    for command in ("setuid+20:30", "setuid+21:30", "setuid+22:31", "setgid+20:30"):
        assert answer(command) == 0
    assert answer("setuid-20:31") == 0
    assert box.transit_uids == [(20, 30), (21, 30), (22, 31)]
    assert answer("setuid^21") == 0
    assert answer("setuid-20:30") == 0
    assert box.transit_uids == [(22, 31)]
    assert answer("setuid^") == 0
    assert (box.transit_uids, box.transit_gids) == ([], [(20, 30)])


def test_transitions_are_for_the_start_of_the_default_domain(
    box: Sandbox, answer: Callable[[str], int]
) -> None:
    assert answer("domain+@a") == 0
    assert answer("@a/setuid+20:30") == errno.EINVAL
    box.running = True
    assert answer("setuid^") == errno.EBUSY
    box.running = False
    assert answer("lock:drop") == 0
    assert answer("setgid^") == errno.EPERM
