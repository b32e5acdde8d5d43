# SPDX-License-Identifier: GPL-3.0-or-later
"""The socket calls: the same answers inside as outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.guest import Guest
from tests.syscalls.tables import Comparison, names_of

if TYPE_CHECKING:
    from tests.support import host

TABLES = ("cases_net", "cases_net_messages", "cases_net_peers", "cases_net_waiting",
          "cases_killed")  # fmt: skip


@pytest.fixture(scope="module")
def comparisons(
    identity: host.Identity, installation: host.Installation, target: str
) -> dict[str, Comparison]:
    def make(kind: str) -> Guest:
        return Guest(kind, identity, installation, target)

    return {table: Comparison(make, table) for table in TABLES}


@pytest.mark.parametrize(
    ("table", "name"), [(table, name) for table in TABLES for name in names_of(table)]
)
def test_it_comes_out_as_linux_gives_it(
    comparisons: dict[str, Comparison], table: str, name: str
) -> None:
    comparisons[table].check(name)


@pytest.mark.parametrize("table", TABLES)
def test_nothing_was_logged(comparisons: dict[str, Comparison], table: str) -> None:
    comparisons[table].check_log()
