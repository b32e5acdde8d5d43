# SPDX-License-Identifier: GPL-3.0-or-later
"""The same random calls on the same tree give the same answers and the same tree, inside as out.

MADCAP_WALK_STEPS says how many steps to take (the default is a short form), MADCAP_WALK_SEED
where to begin. A difference is shown as the shortest walk that has it.
"""

from __future__ import annotations

import json
import os
import random
from typing import TYPE_CHECKING, Any

from tests.support import host, walks
from tests.support.guest import Guest, Pair, summary
from tests.syscalls.tables import RULES, differences

if TYPE_CHECKING:
    from pathlib import Path

STEPS = int(os.environ.get("MADCAP_WALK_STEPS", "6000"))
SEED = int(os.environ.get("MADCAP_WALK_SEED", "1"))
LENGTH = 100
BATCH = 60
EVERYTHING = ("sandbox/all:on", "sandbox/lock,mem,pid,proxy,pty,uring,tpe,force,ioctl:off")


def take(guest: Guest, steps: list[walks.Walk]) -> list[list[Any]]:
    """Take the walks *steps*; return the results of each, the last being its tree."""

    def prepare(work: Path) -> None:
        (work / "steps").write_text(json.dumps(steps))
        os.chmod(work / "steps", 0o644)

    file = str(guest.work / "steps")
    outcome = guest.python(
        "walker.py", file, profile=RULES, rules=EVERYTHING, timeout=300, prepare=prepare
    )
    assert outcome.status == 0, (outcome.err.decode()[-2000:], *map(summary, outcome.log[:5]))
    return [json.loads(line) for line in outcome.out.splitlines()]


def first_difference(native: list[Any], inside: list[Any]) -> int | None:
    """Return the number of the first step that came out otherwise, None where all agree."""
    pairs = zip(native, inside, strict=True)
    return next((i for i, (one, other) in enumerate(pairs) if one != other), None)


def compare(pair: Pair, steps: list[walks.Walk]) -> list[str]:
    """Take the walks *steps* natively and inside; return what differs, shrunk."""

    def fails(candidates: list[walks.Walk]) -> list[bool]:
        both = zip(take(pair.native, candidates), take(pair.inside, candidates), strict=True)
        return [first_difference(*results) is not None for results in both]

    found = []
    natively, within = take(pair.native, steps), take(pair.inside, steps)
    for one, native, inside in zip(steps, natively, within, strict=True):
        at = first_difference(native, inside)
        if at is None:
            continue
        shortest = walks.shrink(one[: at + 1], fails)
        native, inside = take(pair.native, [shortest])[0], take(pair.inside, [shortest])[0]
        lines = [json.dumps(step) for step in shortest]
        found.append("\n".join([*lines, *differences(native, inside)]))
    return found


def test_random_calls_come_out_the_same(installation: host.Installation, target: str) -> None:
    native = Guest("native", host.ordinary_user(), installation, target)
    pair = Pair(native)
    rng = random.Random(SEED)  # noqa: S311 - to be repeatable is the point
    found: list[str] = []
    try:
        for done in range(0, STEPS, LENGTH * BATCH):
            count = min(BATCH, (STEPS - done) // LENGTH)
            found += compare(pair, [walks.walk(rng, LENGTH) for _ in range(count)])
    finally:
        native.close()
    assert not found, f"{len(found)} differences:\n\n" + "\n\n".join(found)
