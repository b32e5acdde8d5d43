# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of blocked networks."""

from __future__ import annotations

import errno
import ipaddress
from typing import TYPE_CHECKING

import pytest

from madcap.policy.address import parse_network
from madcap.policy.blocklist import Blocklist, add_all, networks_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from madcap.policy.sandbox import Sandbox


def packed(text: str) -> bytes:
    return ipaddress.ip_address(text).packed


def test_network_is_blocked_until_it_is_taken_out(
    box: Sandbox, answer: Callable[[str], int]
) -> None:
    assert not box.active.blocked(packed("10.1.2.3"))
    for command in ("block+10.9.9.9/8", "block+::ffff:1.2.3.4", "block+2001:db8::/32"):
        assert answer(command) == 0
    for text in ("10.0.0.0", "10.255.255.255", "1.2.3.4", "2001:db8::1"):
        assert box.active.blocked(packed(text))
    for text in ("9.255.255.255", "11.0.0.0", "1.2.3.5", "2001:db9::"):
        assert not box.active.blocked(packed(text))
    assert answer("block-10.0.0.0/8") == 0
    assert not box.active.blocked(packed("10.0.0.0"))
    assert answer("block^") == 0
    assert not box.active.blocked(packed("1.2.3.4"))


def test_taking_an_address_out_splits_the_network(
    box: Sandbox, answer: Callable[[str], int]
) -> None:
    assert answer("block+10.1.2.0/24") == 0
    assert answer("block-10.1.2.3") == 0
    blocklist = box.active.blocklist
    assert blocklist is not None
    assert len(blocklist.v4) == 8
    assert not box.active.blocked(packed("10.1.2.3"))
    assert box.active.blocked(packed("10.1.2.4"))


def test_wider_network_swallows_narrower_ones_and_adjacent_ones_merge_on_demand(
    box: Sandbox, answer: Callable[[str], int]
) -> None:
    for command in ("block+10.0.0.0/25", "block+10.0.0.128/25", "block+10.0.0.7"):
        assert answer(command) == 0
    blocklist = box.active.blocklist
    assert blocklist is not None
    assert len(blocklist.v4) == 2
    assert answer("block!") == 0
    assert len(blocklist.v4) == 1
    assert answer("block+10.0.0.0/8") == 0
    assert len(blocklist.v4) == 1


@pytest.mark.parametrize(
    "command",
    [
        *("block", "blocks", "block+", "block+any", "block+1.2.3.4!80", "block+1.2.3.4/33"),
        *("block+ 1.2.3.4", "block+::ffff:0:0/95", "block^1", "block!1", "block-x", "block+$IP"),
    ],
)
def test_malformed_command_is_refused(answer: Callable[[str], int], command: str) -> None:
    assert answer(command) == errno.EINVAL


def test_list_is_limited_in_each_family(answer: Callable[[str], int]) -> None:
    for number in range(4096):
        assert answer(f"block+10.0.{number >> 8}.{number & 255}") == 0
    assert answer("block+10.0.0.0") == errno.ENOSPC
    assert answer("block+::1") == 0
    assert answer("block-10.0.0.0") == 0
    assert answer("block+10.1.0.0") == 0


def test_file_of_networks_may_hold_more_than_commands_add(
    box: Sandbox, answer: Callable[[str], int]
) -> None:
    lines = [f"10.{number >> 8}.{number & 255}.0/24" for number in range(5000)]
    assert add_all(box, lines) is None
    blocklist = box.active.blocklist
    assert blocklist is not None
    assert len(blocklist.v4) == 5000
    assert box.active.blocked(packed("10.19.0.9"))
    assert answer("block+192.0.2.1") == errno.ENOSPC


def test_line_that_is_no_network_ends_the_list(box: Sandbox) -> None:
    refusal = add_all(box, ["192.0.2.1", "192.0.2.2", "x", "192.0.2.4"])
    assert refusal is not None
    assert (refusal[0], refusal[1].errno) == (2, errno.EINVAL)
    assert box.active.blocked(packed("192.0.2.2"))
    assert not box.active.blocked(packed("192.0.2.4"))


def test_half_a_million_networks_are_no_burden() -> None:
    """One sort when all are there, and a bisection for each question."""
    blocklist = Blocklist()
    for number in range(500_000):
        blocklist.v4.add(number * 7919 % 2**22 << 10, 24, 10**6)
    blocklist.settle()
    assert blocklist.holds((7919 << 10).to_bytes(4, "big"))
    assert not blocklist.holds(((7919 << 10) + 256).to_bytes(4, "big"))
    assert len(blocklist.v4) == 500_000


@pytest.mark.parametrize(("first", "last"), [(0, 0), (0, 255), (1, 254), (5, 5), (3, 2**32 - 1)])
def test_fewest_networks_make_up_a_range(first: int, last: int) -> None:
    expected = ipaddress.summarize_address_range(
        ipaddress.IPv4Address(first), ipaddress.IPv4Address(last)
    )
    assert list(networks_of(first, last)) == [
        (int(each.network_address), int(each.broadcast_address)) for each in expected
    ]


def test_copy_goes_its_own_way(box: Sandbox, answer: Callable[[str], int]) -> None:
    assert answer("block+1.2.3.4") == 0
    assert answer("domain+@a:@default") == 0
    assert answer("block^") == 0
    assert box.domains["a"].blocked(packed("1.2.3.4"))
    assert not box.active.blocked(packed("1.2.3.4"))


def test_network_keeps_its_host_bits_for_printing_only() -> None:
    assert parse_network("10.1.2.3/8") == (4, 0x0A010203, 8)
