# SPDX-License-Identifier: GPL-3.0-or-later
"""trace/allow_unsafe_ptrace:1: what the tracer did is done by notification, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import host
from tests.support.guest import Guest

if TYPE_CHECKING:
    from collections.abc import Iterator

UNTRACED = ("trace/allow_unsafe_ptrace:1",)


@pytest.fixture
def untraced(installation: host.Installation, target: str) -> Iterator[Guest]:
    made = Guest("madcap", host.ordinary_user(), installation, target)
    yield made
    made.close()


def test_data_may_be_mapped_shared(untraced: Guest) -> None:
    """Such a mmap is handed over like an executable one, and was judged as if it were one."""
    outcome = untraced.python(
        "run_cases.py", "cases_open", "case_shared_mapping_of_data",
        profile="syscalls.syd-3", rules=UNTRACED,
    )  # fmt: skip
    assert b"CONtents" in outcome.out, outcome
    assert outcome.log == []
