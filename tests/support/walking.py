# SPDX-License-Identifier: GPL-3.0-or-later
"""Take random walks natively and inside, find where they differ, and say how to see it again.

Walk number n of seed s is always the same, whatever was taken before it, so that a difference can
be replayed by seed and number alone; see the options in tests/conftest.py.
"""

from __future__ import annotations

import json
import os
import random
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.support import walks
from tests.support.guest import summary
from tests.syscalls.tables import RULES, differences

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.support.guest import Guest, Pair

LENGTH = 100
BATCH = 60
_AGAIN = 3


class Course(NamedTuple):
    """Which walks to take: *steps* in all of *seed*, from walk number *first* on."""

    seed: int
    steps: int
    first: int = 0

    def batches(self) -> list[range]:
        """Return the numbers of the walks, as many at once as one process takes."""
        end = self.first + -(-self.steps // LENGTH)
        return [range(at, min(at + BATCH, end)) for at in range(self.first, end, BATCH)]

    def walk(self, number: int) -> walks.Walk:
        """Return walk *number*."""
        return walks.walk(random.Random(f"{self.seed} {number}"), LENGTH)  # noqa: S311


def take(guest: Guest, steps: list[walks.Walk], rules: Sequence[str]) -> list[list[Any]]:
    """Take the walks *steps*; return the results of each, the last being its tree."""

    def prepare(work: Path) -> None:
        (work / "steps").write_text(json.dumps(steps))
        os.chmod(work / "steps", 0o644)

    file = str(guest.work / "steps")
    outcome = guest.python(
        "walker.py", file, profile=RULES, rules=rules, timeout=300, prepare=prepare
    )
    assert outcome.status == 0, (outcome.err.decode()[-2000:], *map(summary, outcome.log[:5]))
    return [json.loads(line) for line in outcome.out.splitlines()]


def first_difference(native: list[Any], inside: list[Any]) -> int | None:
    """Return the number of the first step that came out otherwise, None where all agree."""
    pairs = zip(native, inside, strict=True)
    return next((i for i, (one, other) in enumerate(pairs) if one != other), None)


def compare(pair: Pair, course: Course, numbers: range, rules: Sequence[str]) -> list[str]:
    """Take walks of *course* by *numbers*, both ways; return a text for each that differs."""
    steps = [course.walk(number) for number in numbers]
    natively, within = take(pair.native, steps, rules), take(pair.inside, steps, rules)
    found = []
    for number, one, native, inside in zip(numbers, steps, natively, within, strict=True):
        at = first_difference(native, inside)
        if at is not None:
            seen = differences(native[at], inside[at], f"step {at}")
            found.append("\n".join([_again(course, number), *explain(pair, one, at, seen, rules)]))
    return found


def _again(course: Course, number: int) -> str:
    options = f"--walk-seed {course.seed} --walk-first {number} --walk-steps {LENGTH}"
    return f"seed {course.seed}, walk {number}; to see it again: {options}"


def explain(
    pair: Pair, walk: walks.Walk, at: int, seen: list[str], rules: Sequence[str]
) -> list[str]:
    """Return lines about a *walk* that was *seen* to differ at step *at*, shrunk if it can be."""

    def fails(candidates: list[walks.Walk]) -> list[bool]:
        both = (take(guest, candidates, rules) for guest in (pair.native, pair.inside))
        return [first_difference(*results) is not None for results in zip(*both, strict=True)]

    again = sum(fails([walk])[0] for _ in range(_AGAIN))
    lines = [f"natively, and inside, with {' '.join(rules)}:", *seen]
    if again < _AGAIN:
        return [
            *lines,
            f"taken alone, it differed {again} of {_AGAIN} times; the steps up to there:",
            *map(json.dumps, walk[: at + 1]),
        ]
    shortest = shrink(walk[: at + 1], fails)
    native, inside = (take(guest, [shortest], rules)[0] for guest in (pair.native, pair.inside))
    return [*lines, "shortest:", *map(json.dumps, shortest), *differences(native, inside)]


def shrink(steps: walks.Walk, fails: Callable[[list[walks.Walk]], list[bool]]) -> walks.Walk:
    """Return a shortest walk that still *fails*, which is asked about many walks at once."""
    size = max(len(steps) // 2, 1)
    while True:
        ranges = range(0, len(steps) - 1, size)  # The last step stays: it shows the difference.
        shorter = [steps[:at] + steps[min(at + size, len(steps) - 1) :] for at in ranges]
        answers = fails(shorter) if shorter else []
        if any(answers):
            steps = shorter[answers.index(True)]
        elif size == 1:
            return steps
        else:
            size = max(size // 2, 1)
