# SPDX-License-Identifier: GPL-3.0-or-later
"""The answer to a thread whose process just executes a program is not written into that."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.attacks.test_races import build
from tests.support import host

if TYPE_CHECKING:
    from tests.support.guest import Guest

SECONDS, WORKERS = 6, 6
RULES = ("sandbox/stat:on", "allow/stat+/***")


@pytest.mark.skipif(shutil.which("gcc", path=host.BASE_PATH) is None, reason="needs gcc")
def test_a_new_program_finds_its_memory_untouched(guest: Guest) -> None:
    """Some 5 of 5000 did not, where the end of the main thread waited for no answer."""
    guest.fresh_work()
    program = build(guest, "overtaken", guest.work, "-no-pie", "-fno-pie")
    outcome = guest.run(str(program), str(SECONDS), str(WORKERS), rules=RULES, fresh=False)
    assert outcome.status == 0, outcome
    found = [[int(word) for word in line.split()] for line in outcome.out.splitlines()]
    untouched, touched, other = (sum(column) for column in zip(*found, strict=True))
    assert touched == 0
    assert other == 0
    assert untouched > 100
    print(untouched, "programs")
