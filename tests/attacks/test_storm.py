# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that do everything at once, and are killed in the midst of it, hold up nobody."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.attacks.test_races import build
from tests.support import host

if TYPE_CHECKING:
    from tests.support.guest import Guest

pytestmark = [
    pytest.mark.skipif(shutil.which("gcc", path=host.BASE_PATH) is None, reason="needs gcc"),
    pytest.mark.timeout(150),
]
TIMES = 150
RULES = ("sandbox/chdir:on", "allow/chdir+/***")


@pytest.mark.parametrize("seed", [1, 2])
def test_the_sandbox_survives_a_storm(guest: Guest, seed: int) -> None:
    guest.fresh_work()
    build(guest, "storm", guest.work)
    outcome = guest.run(
        "./storm", str(TIMES), str(seed), profile="attacks.syd-3", rules=RULES, fresh=False,
        timeout=120,
    )  # fmt: skip
    assert (outcome.status, outcome.out) == (0, f"{TIMES}\n".encode()), outcome._replace(log=[])
    assert not [record for record in outcome.log if record["ctx"] not in {"access", "log"}]


def test_the_sandbox_of_root_survives_a_storm(root_sandbox: Guest) -> None:
    root_sandbox.fresh_work()
    build(root_sandbox, "storm", root_sandbox.work)
    outcome = root_sandbox.run(
        "./storm", str(TIMES), "3", profile="attacks.syd-3", fresh=False, timeout=120,
        rules=(*RULES, "trace/exit_wait_all:1"),
    )  # fmt: skip
    assert (outcome.status, outcome.out) == (0, f"{TIMES}\n".encode()), outcome._replace(log=[])
