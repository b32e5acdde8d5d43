# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory that was not judged doesn't stay with those who share the killed one's."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.attacks.test_races import build
from tests.support import host

if TYPE_CHECKING:
    from tests.support.guest import Guest

pytestmark = pytest.mark.skipif(
    shutil.which("gcc", path=host.BASE_PATH) is None, reason="needs gcc"
)
_THERE = 77
_END = 101  # The sandbox was ended because a mistake could not be undone.


def test_nobody_stays_in_a_denied_directory(guest: Guest) -> None:
    guest.fresh_work()
    build(guest, "shared_directory", guest.work)
    (guest.work / "in").mkdir()
    os.chown(guest.work / "in", guest.identity.uid, guest.identity.gid)
    statuses = []
    for _ in range(8):
        outcome = guest.run(
            "./shared_directory", str(guest.work / "in"), str(guest.home), fresh=False,
            profile="attacks.syd-3", rules=["sandbox/chdir:on"],
        )  # fmt: skip
        assert outcome.left == 0
        statuses.append(outcome.status)
    if guest.kind == "native":
        assert _THERE in statuses, "the attack is too slow to prove anything"
    else:
        assert set(statuses) <= {0, _END}
        assert _END in statuses, "no try met the denied directory"


@pytest.mark.timeout(100)
def test_a_process_killed_while_its_threads_are_held_holds_up_nobody(guest: Guest) -> None:
    """The end of a leader is reported after those of its threads, which have to be waited for."""
    guest.fresh_work()
    build(guest, "killed_mapping", guest.work)
    outcome = guest.run("./killed_mapping", "200", profile="attacks.syd-3", fresh=False)
    assert (outcome.status, outcome.out) == (0, b"200\n"), outcome
