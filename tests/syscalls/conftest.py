# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tables of system calls."""

from __future__ import annotations

import pytest

from tests.support import host


@pytest.fixture(
    scope="module", params=host.identities(), ids=lambda who: "root" if who.uid == 0 else "user"
)
def identity(request: pytest.FixtureRequest) -> host.Identity:
    """Run each table as an ordinary user, and as root without capabilities."""
    chosen: host.Identity = request.param
    return chosen
