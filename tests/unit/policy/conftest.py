# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures: a fresh sandbox, and what it answers to commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .boxes import errno_of, make

if TYPE_CHECKING:
    from collections.abc import Callable

    from madcap.policy.sandbox import Sandbox


@pytest.fixture
def box() -> Sandbox:
    """Return a sandbox of an ordinary user before any command."""
    return make()


@pytest.fixture
def answer(box: Sandbox) -> Callable[[str], int]:
    """Return a function that tells the errno of a command given to `box`."""
    return lambda command: errno_of(box, command)
