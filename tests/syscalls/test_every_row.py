# SPDX-License-Identifier: GPL-3.0-or-later
"""Each call of kernel/table.py has cases (tests/guest/cases_*.py) where it succeeds and fails.

The cases are run natively and their raw calls noted. That they come out the same inside is for the
tests of each table to see; a new row without a case fails here.
"""

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
SUCCESS = "0"
#: Calls that an ordinary user cannot make, or not on every kernel.
NEVER_SUCCEED = {"chroot", "memfd_secret", "syslog"}
#: Calls without an argument that could be wrong.
NEVER_FAIL = {"inotify_init", "eventfd", "brk"}


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
def test_a_row_has_cases_of_success_and_failure(outcomes: Outcomes, name: str) -> None:
    seen = outcomes.get(name, set())
    assert seen, "no case makes this call"
    assert SUCCESS in seen or name in NEVER_SUCCEED, "no case where it succeeds"
    assert seen - {SUCCESS} or name in NEVER_FAIL, "no case where it fails"
