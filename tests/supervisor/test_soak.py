# SPDX-License-Identifier: GPL-3.0-or-later
"""A minute of random signals, kills, forks and blocked calls; $MADCAP_SOAK sets the seconds.

Half of it with a tracer, half without. An hour is `MADCAP_SOAK=3600 bin/test tests/supervisor -k
soak`. Nothing may be left of it in
the supervisor, nobody may hang, and no call may be interrupted without a reason.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.supervisor.session import PROFILE, Session, started, wait_until

if TYPE_CHECKING:
    from tests.support.guest import Guest

SECONDS = float(os.environ.get("MADCAP_SOAK", "60")) / 2
RULES = {"traced": [], "untraced": ["trace/allow_unsafe_ptrace:1"]}
MOST_MEMORY = 25.0  # MiB, the share of the supervisor.


def finish(made: Session) -> dict[str, object]:
    """Return what the guest found."""
    line = made.hear()
    assert line.startswith("{"), f"the guest ended: {line!r}"
    found: dict[str, object] = json.loads(line)
    return found


@pytest.mark.timeout(SECONDS + 240)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may look at the supervisor")
@pytest.mark.parametrize("way", RULES)
def test_nothing_hangs_leaks_or_is_interrupted_without_a_reason(sandbox: Guest, way: str) -> None:
    seed = int.from_bytes(os.urandom(3), "big")
    print("seed", seed)
    with started(sandbox, "soak.py", str(SECONDS), str(seed), way, rules=RULES[way]) as made:
        assert made.hear() == "started"
        before, pidfds = Counter(made.descriptors()), made.pidfds()
        made.say("go")
        found = finish(made)
        assert found["faults"] == []
        assert wait_until(lambda: made.threads() == 4, 8)
        wait_until(lambda: not Counter(made.descriptors()) - before, 2)
        assert Counter(made.descriptors()) - before == {}
        assert made.pidfds() <= pidfds + 1
        memory = made.memory()
        assert memory < MOST_MEMORY
        made.say("end")
        assert made.process.wait(10) == 0
    print(found, f"{memory:.1f} MiB")


def test_outside_nothing_hangs_or_is_interrupted_without_a_reason(sandbox: Guest) -> None:
    """The test itself, on Linux: what it demands inside is so outside."""
    native = sandbox.sibling("native")
    outcome = native.python("soak.py", "3", "1", "traced", stdin=b"go\nend\n", profile=PROFILE)
    assert json.loads(outcome.out.splitlines()[-1])["faults"] == []
