# SPDX-License-Identifier: GPL-3.0-or-later
"""The same random calls on the same tree give the same answers and the same tree, inside as out.

What CI takes is a short form: `bin/test tests/syscalls/test_random_walk.py --walk-steps 100000
--walk-seed 5` takes more, and others. A difference is shown as the shortest walk that has it, with
the options that take just this walk again.
"""

from __future__ import annotations

import pytest

from tests.support import host, walking
from tests.support.guest import Guest, Pair

_OFF = "sandbox/lock,mem,pid,proxy,pty,uring,tpe,force,ioctl:off"
_SWITCHES = ("trace/allow_unsafe_memfd:1", "trace/allow_unsafe_xattr:1")
RULES = {
    "every category": ("sandbox/all:on", _OFF, *_SWITCHES),
    "default categories": ("sandbox/tpe:off", *_SWITCHES),
    # The guest then wakes before the supervisor is done: what is done late shows.
    "awake": ("sandbox/tpe:off", "trace/allow_unsafe_nice:1", *_SWITCHES),
}
SHORT = 3000  # Steps of the short form, for each set of rules.
MOST_SHOWN = 5


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_random_calls_come_out_the_same(
    request: pytest.FixtureRequest,
    installation: host.Installation,
    target: str,
    rules: tuple[str, ...],
) -> None:
    course = walking.Course(
        request.config.getoption("--walk-seed"),
        request.config.getoption("--walk-steps") or SHORT,
        request.config.getoption("--walk-first"),
    )
    # Never as root: a walk may reach what is outside of its tree, where root could change anything.
    native = Guest("native", host.ordinary_user(), installation, target)
    found: list[str] = []
    try:
        for numbers in course.batches():
            if len(found) < MOST_SHOWN:
                found += walking.compare(Pair(native), course, numbers, rules)
    finally:
        native.close()
    assert not found, f"{len(found)} differences:\n\n" + "\n\n".join(found)
