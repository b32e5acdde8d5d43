# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task shares, changes or inherits by number is never taken from another, or from before.

Working directories shared by threads and by processes (CLONE_FS), threads with a directory or with
descriptors of their own, process numbers that come again, programs in great number.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.guest import Guest

ATTACKS = {
    "shared_directory": 3000,
    "directory_shared_by_processes": 3000,
    "recycled_processes": 600,
    "recycled_threads": 800,
    "own_descriptors": 2000,
    "churn_of_programs": 120,
}


def _try(guest: Guest, attack: str, count: int) -> dict[str, int]:
    guest.fresh_work()
    allowed, denied = guest.work / "allowed", guest.home / "denied"
    for place in (allowed, denied):
        place.mkdir(exist_ok=True)
        (place / "key").write_text(place.name + "\n")
        os.chown(place, guest.identity.uid, guest.identity.gid)
    outcome = guest.python(
        "stale_state.py", attack, str(allowed), str(denied), str(count), profile="attacks.syd-3",
        rules=[f"allow/readdir+{denied}"], fresh=False, timeout=150,
    )  # fmt: skip
    assert outcome.status == 0, outcome._replace(log=[])
    return {name.strip(): times for name, times in json.loads(outcome.out).items()}


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_is_taken_for_what_it_is_not(guest: Guest, attack: str) -> None:
    for _ in range(8):  # On a busy machine the two sides may hardly meet.
        found = _try(guest, attack, ATTACKS[attack])
        if guest.kind != "native" or found.get("denied"):
            break
    assert found.get("allowed"), found
    assert not [name for name in found if name.startswith("wrong")], found
    if guest.kind == "native":
        assert found.get("denied"), f"the attack proves nothing: {found}"
    else:
        assert "denied" not in found, found
        assert found.get("refused"), found


def test_numbers_that_come_again_are_other_processes(
    sandbox: Guest, request: pytest.FixtureRequest
) -> None:
    """All numbers are used up; only where there are few enough, and where a long test is wanted."""
    if request.config.getoption("--rounds") < 5:
        pytest.skip("a long test: give --rounds 5 or more")
    with open("/proc/sys/kernel/pid_max") as limit:
        numbers = int(limit.read())
    if numbers > 1 << 16:
        pytest.skip(f"there are {numbers} process numbers here, too many to use up")
    found = _try(sandbox, "recycled_processes", numbers + 2000)
    assert found.get("again"), found
    assert set(found) == {"allowed", "refused", "again"}, found
