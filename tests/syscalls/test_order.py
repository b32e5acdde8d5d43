# SPDX-License-Identifier: GPL-3.0-or-later
"""Every combination of good and bad arguments: the same errno comes first inside as outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.guest import Guest
from tests.syscalls.tables import Comparison, names_of

if TYPE_CHECKING:
    from tests.support import host

TABLE = "cases_order"
EVERYTHING = ("sandbox/all:on", "sandbox/lock,mem,pid,proxy,pty,uring,tpe,force,ioctl:off")


@pytest.fixture(scope="module", params=[(), EVERYTHING], ids=["default", "everything"])
def comparison(
    request: pytest.FixtureRequest,
    identity: host.Identity,
    installation: host.Installation,
    target: str,
) -> Comparison:
    return Comparison(
        lambda kind: Guest(kind, identity, installation, target), TABLE, rules=request.param
    )


@pytest.mark.parametrize("name", names_of(TABLE))
def test_it_comes_out_as_linux_gives_it(comparison: Comparison, name: str) -> None:
    comparison.check(name)


def test_nothing_was_logged(comparison: Comparison) -> None:
    comparison.check_log()
