# SPDX-License-Identifier: GPL-3.0-or-later
"""A rule on memory files of one kind holds for these, whatever the kernel calls them."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.guest import Guest

WAYS = ("truncate", "open", "stat", "send")


def has_huge_pages() -> bool:
    """Tell whether the kernel makes memory files of huge pages."""
    try:
        os.close(os.memfd_create("x", os.MFD_HUGETLB))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_huge_pages(), reason="needs hugetlbfs")
@pytest.mark.parametrize(
    ("denied", "plain", "huge"),
    [
        ("", "done", "done"),
        ("!memfd:name", "denied", "done"),
        ("!memfd-hugetlb:name", "done", "denied"),
        ("!memfd-hugetlb:*", "done", "denied"),
        ("!memfd*:name", "denied", "denied"),
    ],
)
def test_each_kind_has_its_name(sandbox: Guest, denied: str, plain: str, huge: str) -> None:
    rules = ["sandbox/truncate,read,stat,sendfd:on"]
    if denied:
        rules.append(f"deny/truncate,read,stat,sendfd+{denied}")
    outcome = sandbox.python("memory_names.py", rules=rules, profile="defaults.syd-3")
    assert outcome.status == 0, outcome
    found = json.loads(outcome.out)
    for kind, expected in (("plain", plain), ("huge", huge)):
        each = "done" if expected == "done" else "Permission denied"
        assert found[kind] == dict.fromkeys(WAYS, each), kind
