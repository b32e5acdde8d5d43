# SPDX-License-Identifier: GPL-3.0-or-later
"""The same random calls on the same tree give the same answers and the same tree, inside as out.

Hypothesis makes up the walks, and makes one smaller that shows a difference. What CI takes is a
short form: `bin/test tests/syscalls/test_random_walk.py --walk-steps 100000 --walk-seed 5` takes
more, and others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.support import host
from tests.support.guest import Guest
from tests.support.walking import Walkers
from tests.support.walks import walks

if TYPE_CHECKING:
    from tests.support.walks import Walk

_OFF = "sandbox/lock,mem,pid,proxy,pty,uring,tpe,force,ioctl:off"
_SWITCHES = ("trace/allow_unsafe_memfd:1", "trace/allow_unsafe_xattr:1")
RULES = {
    "every category": ("sandbox/all:on", _OFF, *_SWITCHES),
    "default categories": ("sandbox/tpe:off", *_SWITCHES),
    # The guest then wakes before the supervisor is done: what is done late shows.
    "awake": ("sandbox/tpe:off", "trace/allow_unsafe_nice:1", *_SWITCHES),
}
SHORT = 3000  # Steps of the short form, for each set of rules.
LENGTH = 150  # Most steps of one walk.
LESS = 4  # Walks that may be shorter than that, hypothesis beginning with small ones.


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", RULES)
def test_random_calls_come_out_the_same(
    request: pytest.FixtureRequest, installation: host.Installation, target: str, name: str
) -> None:
    wanted = request.config.getoption("--walk-steps") or SHORT
    # Never as root: a walk may reach what is outside of its tree, where root could change anything.
    guests = [
        Guest(kind, host.ordinary_user(), installation, target) for kind in ("native", "madcap")
    ]
    walkers = Walkers(*guests, RULES[name])

    @seed(f"{request.config.getoption('--walk-seed')} {name}")
    @settings(
        max_examples=wanted * 21 // 20 // LENGTH + LESS, database=None, deadline=None,
        suppress_health_check=list(HealthCheck), phases=(Phase.generate, Phase.shrink),
        report_multiple_bugs=False,
    )  # fmt: skip
    @given(walks(LENGTH))
    def take(walk: Walk) -> None:
        found = walkers.compare(walk)
        assert not found, "natively, and inside:\n" + "\n".join(found)

    try:
        take()
    finally:
        walkers.close()
        for guest in guests:
            guest.close()
    print(f"{walkers.steps} steps")
    assert walkers.steps >= wanted
