# SPDX-License-Identifier: GPL-3.0-or-later
"""A rule about a program holds for it also when its file was deleted."""

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


def test_a_denied_program_that_was_deleted_is_not_run(guest: Guest) -> None:
    guest.fresh_work()
    build(guest, "deleted_program", guest.work)
    evil = build(guest, "evil", guest.work)
    os.chown(evil, guest.identity.uid, guest.identity.gid)
    outcome = guest.run(
        "./deleted_program", "evil", profile="attacks.syd-3", fresh=False, timeout=120,
        rules=[f"deny/exec+{evil}", "trace/allow_unsafe_deleted:1"],
    )  # fmt: skip
    assert outcome.status == 0, outcome._replace(log=[])
    ran, allowed, _ = map(int, outcome.out.split())
    assert allowed > 0
    assert (ran > 0) == (guest.kind == "native")
