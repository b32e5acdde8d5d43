# SPDX-License-Identifier: GPL-3.0-or-later
"""Families of calls, each with every way to get it wrong: the same answers inside as outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.guest import Guest
from tests.syscalls.tables import Comparison, names_of

if TYPE_CHECKING:
    from tests.support import host

#: The rules that a table needs beyond those of all tables.
TABLES: dict[str, tuple[str, ...]] = {
    "cases_xattr": (),
    "cases_descriptors": ("trace/allow_unsafe_memfd:1",),
    "cases_task": (),
    "cases_sockets": (),
    "cases_others": ("trace/allow_unsafe_prlimit:1", "trace/allow_unsafe_nice:1"),
    "cases_ipc": (
        "trace/allow_unsafe_shm:1",
        "trace/allow_unsafe_msgqueue:1",
        "rlimit/msgqueue:off",
    ),
}
CASES = [(table, name) for table in TABLES for name in names_of(table)]


@pytest.fixture(scope="module")
def comparisons(
    identity: host.Identity, installation: host.Installation, target: str
) -> dict[str, Comparison]:
    return {
        table: Comparison(
            lambda kind: Guest(kind, identity, installation, target), table, rules=rules
        )
        for table, rules in TABLES.items()
    }


@pytest.mark.parametrize(("table", "name"), CASES)
def test_it_comes_out_as_linux_gives_it(
    comparisons: dict[str, Comparison], table: str, name: str
) -> None:
    comparisons[table].check(name)


@pytest.mark.parametrize("table", TABLES)
def test_nothing_was_logged(comparisons: dict[str, Comparison], table: str) -> None:
    comparisons[table].check_log()
