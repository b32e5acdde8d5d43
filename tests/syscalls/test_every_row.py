# SPDX-License-Identifier: GPL-3.0-or-later
"""Each call of the table (kernel/table.py) has cases here: where it succeeds, and where it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from madcap.kernel.table import rows
from tests.support import host
from tests.support.guest import Guest

if TYPE_CHECKING:
    from collections.abc import Iterator

    Outcomes = dict[str, set[str]]

TABLES = sorted(path.stem for path in (host.CHECKOUT / "tests" / "guest").glob("cases_*.py"))


@pytest.fixture(scope="module")
def outcomes(installation: host.Installation, target: str) -> Iterator[Outcomes]:
    """Return how each raw call of any case ended natively: "0", or the name of an errno."""
    found: Outcomes = {}
    guest = Guest("native", host.ordinary_user(), installation, target)
    for table in TABLES:
        outcome = guest.python("run_cases.py", table, environment={"NOTES": "$WORK/notes"})
        assert outcome.status == 0, outcome
        for line in (guest.work / "notes").read_text().splitlines():
            name, ended = line.split()
            found.setdefault(name, set()).add(ended)
    yield found
    guest.close()


@pytest.mark.parametrize("name", [row.name for row in rows()])
def test_it_has_a_case(outcomes: Outcomes, name: str) -> None:
    print(sorted(outcomes.get(name, ())))
    assert outcomes.get(name)
