# SPDX-License-Identifier: GPL-3.0-or-later
"""openat2(2) keeps below its start, for those who rely on it, whatever is moved meanwhile."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.guest import Guest

BENEATH, IN_ROOT = 8, 16


class Mover(threading.Thread):
    """Moves *inside* to *outside* and back until it is stopped."""

    def __init__(self, inside: Path, outside: Path) -> None:
        super().__init__()
        self.paths = str(inside), str(outside)
        self.stop = False

    def run(self) -> None:
        inside, outside = self.paths
        while not self.stop:
            os.rename(inside, outside)
            os.rename(outside, inside)


@pytest.mark.parametrize("flags", [BENEATH, IN_ROOT], ids=["beneath", "in root"])
def test_nothing_outside_is_opened(guest: Guest, flags: int) -> None:
    """From b/c, three steps up lead to top; if b is moved to x, to what holds top and x."""
    guest.fresh_work()
    (guest.work / "top" / "a" / "b" / "c").mkdir(parents=True)
    (guest.work / "x").mkdir()
    (guest.work / "top" / "key").write_text("in")
    (guest.work / "key").write_text("out")
    mover = Mover(guest.work / "top" / "a" / "b", guest.work / "x" / "b")
    mover.start()
    try:
        outcome = guest.python("open_beneath.py", str(flags), profile="attacks.syd-3", fresh=False)
    finally:
        mover.stop = True
        mover.join()
    assert outcome.status == 0, outcome
    inside, outside, nothing = map(int, outcome.out.split())
    assert inside > 0
    assert nothing > 0, "nothing was ever moved in time"
    assert outside == 0
