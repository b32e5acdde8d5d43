# SPDX-License-Identifier: GPL-3.0-or-later
"""Interrupted, restarted, stopped and killed calls: the same inside as outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.guest import Guest
from tests.syscalls.tables import Comparison, names_of

if TYPE_CHECKING:
    from tests.support import host

TABLE = "cases_signals"
PROFILE = "signals.syd-3"


@pytest.fixture(scope="module")
def comparison(identity: host.Identity, installation: host.Installation, target: str) -> Comparison:
    return Comparison(lambda kind: Guest(kind, identity, installation, target), TABLE, PROFILE)


@pytest.mark.parametrize("name", names_of(TABLE))
def test_it_comes_out_as_linux_gives_it(comparison: Comparison, name: str) -> None:
    comparison.check(name)
