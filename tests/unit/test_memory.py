# SPDX-License-Identifier: GPL-3.0-or-later
"""What guests make the supervisor remember has an end, and it is not far."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pytest

from madcap import events
from madcap.kernel import crashes
from madcap.kernel.net import names, peers
from madcap.policy import categories as C
from madcap.policy.domain import Domain
from madcap.policy.glob import GLOB
from madcap.policy.rules import Mask, Rule

if TYPE_CHECKING:
    from collections.abc import Callable

MANY = 20_000
LONGEST = b"n" * 200  # A name that makes much of a path, and no whole path.


def verdicts(name: bytes) -> None:
    """Ask about names that a glob might match."""
    domain = Domain("default")
    domain.add_rule(Rule(0, C.STAT, b"/**/x", GLOB, None))
    for number in range(MANY):
        domain.check(C.STAT, b"/d/%d%s" % (number, name))
    kept.append(domain)


def verdicts_of_directories(name: bytes) -> None:
    domain = Domain("default")
    for number in range(MANY):
        domain.check(C.STAT, b"/%d%s/f" % (number, name))
    kept.append(domain)


def masks(name: bytes) -> None:
    domain = Domain("default")
    domain.add_mask(Mask(b"/**/x", GLOB, None, None, None))
    for number in range(MANY):
        domain.mask_of(b"/d/%d%s" % (number, name))
    kept.append(domain)


def addresses(_name: bytes) -> None:
    domain = Domain("default")
    for number in range(MANY):
        domain.check_net(C.NET_CONNECT, "tcp", number.to_bytes(16, "big"), number)
    kept.append(domain)


def sockets(name: bytes) -> None:
    table = names.Names()
    for number in range(MANY):
        spelling = b"%d%s" % (number, name[:90])
        table.remember(table.reserve(), b"%d" % number, spelling, (65_024, number))
    kept.append(table)


def peers_of_sockets(name: bytes) -> None:
    recent = peers.Recent()
    for number in range(MANY):
        recent.put(b"%d%s" % (number, name[:100]), number + 1)
    kept.append(recent)


kept: list[object] = []


@pytest.mark.parametrize("name", [b"", LONGEST, LONGEST * 20], ids=["short", "long", "longest"])
@pytest.mark.parametrize(
    "fill",
    [
        verdicts, verdicts_of_directories, masks, addresses, sockets, peers_of_sockets,
    ],
)  # fmt: skip
def test_what_is_remembered_of_many_takes_less_than_three_mebibytes(
    monkeypatch: pytest.MonkeyPatch, fill: Callable[[bytes], None], name: bytes
) -> None:
    monkeypatch.setattr(events, "fd", -1)
    kept.clear()
    tracemalloc.start()
    try:
        fill(name)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        kept.clear()
    assert most < 3 << 20


def test_no_more_crashes_are_remembered_than_a_rule_can_ask_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events, "fd", -1)
    table = crashes.Crashes()
    for _ in range(1000):
        table.note(Domain("default"), b"/bin/false", 9, 0)
    assert len(table._times[b"/bin/false"]) == 256
