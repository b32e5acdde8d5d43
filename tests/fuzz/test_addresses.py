# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks and the block list answer as the slow arithmetic of `ipaddress` does."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from madcap.errors import PolicyError
from madcap.policy import address, categories
from madcap.policy.address import NetRule, parse_network
from madcap.policy.blocklist import Blocklist
from madcap.policy.report import _pattern
from madcap.policy.sandbox import Sandbox

if TYPE_CHECKING:
    Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Few bits vary, so that networks meet.
V4 = st.tuples(st.integers(0, 63), st.integers(24, 32)).map(
    lambda pair: ipaddress.ip_network((0x0A000000 | pair[0] << 2, pair[1]), strict=False)
)
V6 = st.tuples(st.integers(0, 63), st.integers(118, 128)).map(
    lambda pair: ipaddress.ip_network(((0x2001 << 112) | pair[0] << 4, pair[1]), strict=False)
)
NETWORKS: st.SearchStrategy[Network] = V4 | V6
STEPS = st.lists(st.tuples(st.sampled_from(["+", "+", "+", "-", "!", "^"]), NETWORKS), max_size=12)
ADDRESSES = st.one_of(
    st.integers(0x0A000000, 0x0A0001FF).map(ipaddress.IPv4Address),
    st.integers(0, 1023).map(lambda low: ipaddress.IPv6Address((0x2001 << 112) | low)),
)


def without(blocked: list[Network], taken: Network) -> list[Network]:
    """Return what is left of *blocked* once *taken* is out."""
    left: list[Network] = []
    for network in blocked:
        if network.version != taken.version or not network.overlaps(taken):
            left.append(network)
        elif taken != network and taken.subnet_of(network):  # type: ignore[arg-type]
            left += network.address_exclude(taken)  # type: ignore[arg-type]
    return left


@given(STEPS, st.lists(ADDRESSES, max_size=8), st.booleans())
@settings(max_examples=600, deadline=None)
def test_block_list_holds_what_it_was_told(
    steps: list[tuple[str, Network]],
    asked: list[ipaddress.IPv4Address | ipaddress.IPv6Address],
    running: bool,
) -> None:
    box = Sandbox({})
    box.running = running
    blocked: list[Network] = []
    for operator, network in steps:
        box.execute(f"block{operator}{network if operator in '+-' else ''}")
        if operator == "+":
            blocked.append(network)
        elif operator == "-":
            blocked = without(blocked, network)
        elif operator == "^":
            blocked = []
        held = box.active.blocklist
        assert held is not None
        for ip in asked:
            expected = any(ip in each for each in blocked)
            assert held.holds(ip.packed) == expected
            assert held.copy().holds(ip.packed) == expected
        for family, version in ((held.v4, 4), (held.v6, 6)):
            disjoint = list(
                ipaddress.collapse_addresses(each for each in blocked if each.version == version)  # type: ignore[type-var]
            )
            assert len(family) >= len(disjoint)
            if operator == "!":
                assert len(family) == len(disjoint)


@given(st.lists(NETWORKS, max_size=30), st.integers(1, 6))
def test_block_list_is_full_when_so_many_networks_are_apart(
    networks: list[Network], limit: int
) -> None:
    """A limit counts what is apart; only a full list refuses."""
    block = Blocklist()
    taken: list[Network] = []
    for network in networks:
        apart = [
            each for each in taken if each.version == network.version
            and not any(other != each and each.subnet_of(other) for other in taken
                        if other.version == each.version)  # type: ignore[arg-type]
        ]  # fmt: skip
        full = len(set(apart)) >= limit
        try:
            block.add(parse_network(str(network)), limit)
        except PolicyError:
            assert full
        else:
            assert not full
            taken.append(network)


@given(
    NETWORKS,
    ADDRESSES,
    st.integers(0, 65535),
    st.lists(st.tuples(st.integers(0, 65535), st.integers(0, 300)), min_size=1, max_size=4),
    st.sampled_from([None, "tcp", "udp", "icmp4"]),
    st.sampled_from([None, "tcp", "udp", "icmp6"]),
)
def test_rule_matches_what_is_in_its_network_and_on_its_ports(
    network: Network,
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
    port: int,
    spans: list[tuple[int, int]],
    wanted: str | None,
    protocol: str | None,
) -> None:
    ranges = [(low, min(65535, low + more)) for low, more in spans]
    ports = address.parse_ports(",".join(f"{low}-{high}" for low, high in ranges))
    rule = NetRule(0, 1, parse_network(str(network)), ports, wanted, None)
    expected = (
        ip in network
        and any(low <= port <= high for low, high in ranges)
        and wanted in (None, protocol)
    )
    assert rule.matches(protocol, len(ip.packed), int(ip), port) == expected


WORDS = st.sampled_from(
    [
        *("tcp", "udp6", "icmp", "net4", "any", "loopback", "LOCAL6", "*", "!", "!", "@", "/", ","),
        *("1.2.3.4", "10.0.0.0/8", "::1", "2001:db8::/32", "::ffff:1.2.3.4", "80", "1-2", "65535"),
        *("0", "+", "-", "unix", "/run/x", "%eth0", "é", "$A", "٣", ".", ":", "256", "01"),
    ]
)


@given(st.lists(WORDS, max_size=7).map("".join) | st.text(max_size=20))
@settings(max_examples=1500, deadline=None)
def test_address_is_refused_or_printed_so_that_it_is_read_the_same(text: str) -> None:
    box = Sandbox({b"A": b"1.2.3.4"})
    try:
        box.execute(f"allow/net/connect+{text}", ("fuzz", 1))
    except PolicyError:
        return
    rules = list(box.active.net_rules)
    assert rules or box.active.rules
    for rule in rules:
        shown = _pattern(rule)
        every = "!" not in shown
        again = Sandbox({})
        again.execute(f"allow/net/connect+{shown}{'!0-65535' if every else ''}")
        (read,) = again.active.net_rules
        assert read.same(rule)
        assert read.mask == rule.mask == categories.NET_CONNECT
