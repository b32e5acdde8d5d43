# SPDX-License-Identifier: GPL-3.0-or-later
"""Resource limits, set in children."""

from __future__ import annotations

import os
import resource

import pytest
from tests.support import host
from tests.support.child import in_child

from madcap.linux import rlimit


@pytest.mark.parametrize("name", list(rlimit.RESOURCES))
def test_get_limit_agrees_with_the_standard_library(name: str) -> None:
    number = rlimit.RESOURCES[name]
    if hasattr(resource, f"RLIMIT_{name.upper()}"):
        assert getattr(resource, f"RLIMIT_{name.upper()}") == number
    expected = tuple(
        rlimit.INFINITY if value == resource.RLIM_INFINITY else value
        for value in resource.getrlimit(number)
    )
    assert rlimit.get_limit(number) == expected
    assert rlimit.get_limit(number, os.getpid()) == expected


def test_set_limit_sets_both() -> None:
    def change() -> tuple[int, int]:
        rlimit.set_limit(rlimit.RESOURCES["core"], 0, 0)
        return rlimit.get_limit(rlimit.RESOURCES["core"])

    assert in_child(change) == (0, 0)


def test_set_limit_cannot_raise_the_hard_limit_of_an_ordinary_user() -> None:
    def change() -> None:
        rlimit.set_limit(rlimit.RESOURCES["core"], 0, 0)
        rlimit.set_limit(rlimit.RESOURCES["core"], 1, 1)

    with pytest.raises(PermissionError):
        in_child(change, host.ordinary_user())


def test_raise_to_hard_leaves_the_hard_limit() -> None:
    def change() -> tuple[int, tuple[int, int]]:
        number = rlimit.RESOURCES["nofile"]
        rlimit.set_limit(number, 20, 50)
        return rlimit.raise_to_hard(number), rlimit.get_limit(number)

    assert in_child(change) == (50, (50, 50))
