# SPDX-License-Identifier: GPL-3.0-or-later
"""What the caller closes or removes is gone at once, also where it wakes before the supervisor."""

from __future__ import annotations

import pytest

from tests.support import host
from tests.support.guest import Guest
from tests.syscalls.tables import Comparison, names_of

TABLE = "cases_closing"


@pytest.fixture(scope="module", params=["", "trace/allow_unsafe_nice:1"], ids=["idle", "nice"])
def comparison(
    request: pytest.FixtureRequest, installation: host.Installation, target: str
) -> Comparison:
    rules = [request.param] if request.param else []
    return Comparison(
        lambda kind: Guest(kind, host.ordinary_user(), installation, target), TABLE, rules=rules
    )


@pytest.mark.parametrize("name", names_of(TABLE))
def test_it_comes_out_as_linux_gives_it(comparison: Comparison, name: str) -> None:
    comparison.check(name)
