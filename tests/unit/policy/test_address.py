# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of network rules: how they are read, and which connections they match."""

from __future__ import annotations

import errno
import ipaddress
from typing import TYPE_CHECKING

import pytest

from madcap.policy import actions, address, categories

if TYPE_CHECKING:
    from collections.abc import Callable

    from madcap.policy.sandbox import Sandbox

CONNECT = categories.NET_CONNECT
BIND = categories.NET_BIND

# Argument of allow/net/connect+, and the rules it makes, newest first, or the errno.
PARSED = [
    ("127.0.0.1!80", ["127.0.0.1/32 80"]),
    ("127.0.0.1@80", ["127.0.0.1/32 80"]),
    ("10.1.2.3/8!1-1024", ["10.1.2.3/8 1-1024"]),
    ("10.0.0.0/33!80", errno.EINVAL),
    ("::1!80", ["::1/128 80"]),
    ("::1/128@80", ["::1/128 80"]),
    ("2001:db8::/32!443", ["2001:db8::/32 443"]),
    ("::ffff:10.0.0.0/104!80", ["10.0.0.0/8 80"]),
    ("::ffff:127.0.0.1!80", ["127.0.0.1/32 80"]),
    ("::ffff:0:0/95!80", errno.EINVAL),
    ("1.2.3.4!0", ["1.2.3.4/32 0"]),
    ("1.2.3.4!65536", errno.EINVAL),
    ("1.2.3.4!90-80", errno.EINVAL),
    ("1.2.3.4!80,443,8000-8002", ["1.2.3.4/32 80,443,8000-8002"]),
    ("1.2.3.4!80,81,82", ["1.2.3.4/32 80-82"]),
    ("1.2.3.4!0-65535", ["1.2.3.4/32 0-65535"]),
    ("1.2.3.4!80,", errno.EINVAL),
    ("1.2.3.4!", errno.EINVAL),
    ("1.2.3.4", errno.EINVAL),
    ("1.2.3.4.5!80", errno.EINVAL),
    ("01.2.3.4!80", errno.EINVAL),
    ("1.2.3.4/32/32!80", errno.EINVAL),
    ("fe80::1%eth0!80", errno.EINVAL),
    ("any!80", ["::/0 80", "0.0.0.0/0 80"]),
    ("ANY4!80-90", ["0.0.0.0/0 80-90"]),
    ("any6@443", ["::/0 443"]),
    ("any!80,443", errno.EINVAL),
    ("any!+80", errno.EINVAL),
    ("net!any!80,443", ["::/0 80,443", "0.0.0.0/0 80,443"]),
    ("loopback!80", ["::1/128 80", "127.0.0.0/8 80"]),
    (
        "local4!1",
        ["192.168.0.0/16 1", "172.16.0.0/12 1", "10.0.0.0/8 1", "127.0.0.0/8 1"],
    ),
    ("linklocal6!1", ["fe80::/10 1"]),
    ("multicast!1", ["ff00::/8 1", "224.0.0.0/4 1"]),
    ("local!99999", errno.EINVAL),
    ("localhost!80", errno.EINVAL),
    ("all!80", errno.EINVAL),
    ("*!80", errno.EINVAL),
    ("tcp!1.2.3.4!80", ["tcp 1.2.3.4/32 80"]),
    ("TCP!1.2.3.4!80", ["tcp 1.2.3.4/32 80"]),
    ("tcp!*!443", ["tcp ::/0 443", "tcp 0.0.0.0/0 443"]),
    ("tcp4!*!443", ["tcp 0.0.0.0/0 443"]),
    ("tcp6!1.2.3.4!80", errno.EINVAL),
    ("tcp!any!*", ["tcp ::/0 0-65535", "tcp 0.0.0.0/0 0-65535"]),
    ("udp!loopback!53,5353", ["udp ::1/128 53,5353", "udp 127.0.0.0/8 53,5353"]),
    ("icmp!*!*", ["icmp6 ::/0 0-65535", "icmp4 0.0.0.0/0 0-65535"]),
    ("icmp!127.0.0.1!5", ["icmp4 127.0.0.1/32 5"]),
    ("icmp6!127.0.0.1!5", errno.EINVAL),
    ("icmp4!any!1", ["icmp4 0.0.0.0/0 1"]),
    ("net!1.2.3.4!80", ["1.2.3.4/32 80"]),
    ("net6!any!1-2", ["::/0 1-2"]),
    ("tcp!1.2.3.4", errno.EINVAL),
    ("tcp!1.2.3.4!http", errno.EINVAL),
    ("tcp!1.2.3.4!80!90", errno.EINVAL),
    ("tcp@1.2.3.4!80", errno.EINVAL),
    ("tcp!1.2.3.4!+80", ["tcp 1.2.3.4/32 80"]),
    ("tcp!+1.2.3.4!80", errno.EINVAL),
    ("tcp!10.0.0.0/8!22,80", ["tcp 10.0.0.0/8 22,80"]),
    ("tcp!2001:db8::1!443", ["tcp 2001:db8::1/128 443"]),
    ("foo!1.2.3.4!80", errno.EINVAL),
    ("deadbeef!80", errno.EINVAL),
    ("foo", errno.EINVAL),
    ("deadbeef", errno.EINVAL),
    ("!", errno.EINVAL),
    ("/run/../x", errno.EILSEQ),
    ("unix!foo", errno.EINVAL),
    ("unix@/run/x", errno.EINVAL),
]
NAMES = [
    ("unix!/run/x", b"/run/x"),
    ("UNIX!/run/***", b"/run"),
    ("unixgram!@dbus-*", b"@dbus-*"),
    ("unixpacket!!unnamed", b"!unnamed"),
    ("/run//foo/", b"/run/foo"),
    ("@", b"@"),
    ("@dbus-*", b"@dbus-*"),
    ("!unnamed", b"!unnamed"),
    ("unix!!unnamed", b"!unnamed"),
    ("2f746d70", b"/tmp"),
]
# Rule, protocol, address, port, whether it matches.
MATCHED = [
    ("127.0.0.1!80", "tcp", "127.0.0.1", 80, True),
    ("127.0.0.1!80", "udp", "127.0.0.1", 80, True),
    ("127.0.0.1!80", "tcp", "127.0.0.1", 81, False),
    ("127.0.0.1!80", "tcp", "127.0.0.2", 80, False),
    ("127.0.0.1/8!80", "tcp", "127.9.9.9", 80, True),
    ("10.1.2.3/8!1-1024", "tcp", "10.0.0.1", 1024, True),
    ("10.1.2.3/8!1-1024", "tcp", "10.0.0.1", 1025, False),
    ("::1!80", "tcp", "::1", 80, True),
    ("::1!80", "tcp", "127.0.0.1", 80, False),
    ("any6!80", "tcp", "127.0.0.1", 80, False),
    ("any4!80", "tcp", "127.0.0.1", 80, True),
    ("::ffff:10.0.0.0/104!80", "tcp", "10.3.3.3", 80, True),
    ("any!0-65535", None, "2001:db8::1", 65535, True),
    ("any!0", "tcp", "1.2.3.4", 80, False),
    ("1.2.3.4!80,443,8000-8002", "tcp", "1.2.3.4", 8001, True),
    ("1.2.3.4!80,443,8000-8002", "tcp", "1.2.3.4", 8003, False),
    ("tcp!1.2.3.4!80", "udp", "1.2.3.4", 80, False),
    ("tcp!1.2.3.4!80", "mptcp", "1.2.3.4", 80, False),
    ("net!1.2.3.4!80", "mptcp", "1.2.3.4", 80, True),
    ("tcp!*!*", None, "1.2.3.4", 80, False),
    ("net!*!*", None, "1.2.3.4", 80, True),
    ("icmp!*!*", "icmp4", "1.2.3.4", 7, True),
    ("icmp4!*!*", "icmp6", "::1", 7, False),
    ("udp6!*!53", "udp", "9.9.9.9", 53, False),
    ("local!80", "tcp", "172.31.255.255", 80, True),
    ("local!80", "tcp", "172.32.0.1", 80, False),
    ("local6!80", "tcp", "fd00::1", 80, True),
    ("linklocal!80", "tcp", "169.254.1.1", 80, True),
    ("linklocal!80", "tcp", "fe80::1", 80, True),
    ("multicast!5353", "udp", "239.255.255.250", 5353, True),
]


def stored(box: Sandbox) -> list[str]:
    """Return the network rules as short words, newest first."""
    found = []
    for rule in reversed(box.active.net_rules):
        words = [address.text_of(rule.network), address.ports_text(rule.ports)]
        found.append(" ".join([rule.protocol, *words] if rule.protocol else words))
    return found


@pytest.mark.parametrize(("argument", "expected"), PARSED)
def test_address_is_read_as_the_table_says(
    box: Sandbox, answer: Callable[[str], int], argument: str, expected: list[str] | int
) -> None:
    number = answer("allow/net/connect+" + argument)
    assert (number or stored(box)) == expected


@pytest.mark.parametrize(("argument", "pattern"), NAMES)
def test_name_of_a_socket_is_a_pattern(
    box: Sandbox, answer: Callable[[str], int], argument: str, pattern: bytes
) -> None:
    assert answer("allow/net/connect+" + argument) == 0
    assert [rule.pattern for rule in box.active.rules] == [pattern]
    assert box.active.net_rules == []


@pytest.mark.parametrize(("rule", "protocol", "ip", "port", "result"), MATCHED)
def test_rule_matches_as_the_table_says(
    box: Sandbox,
    answer: Callable[[str], int],
    rule: str,
    protocol: str | None,
    ip: str,
    port: int,
    result: bool,
) -> None:
    assert answer("allow/net/connect+" + rule) == 0
    verdict = box.active.check_net(CONNECT, protocol, ipaddress.ip_address(ip).packed, port)
    assert (verdict[0] == actions.ALLOW) == result
    assert (verdict[2] is not None) == result


@pytest.mark.parametrize(
    ("command", "mask", "name", "result"),
    [
        ("allow/net/connect+/run/***", CONNECT, b"/run/a/b", True),
        ("allow/net/connect+/run/*", CONNECT, b"/run/a/b", False),
        ("allow/net/connect+@dbus-*", CONNECT, b"@dbus-x", True),
        ("allow/net/connect+@dbus-*", CONNECT, b"@dbus-/x", False),
        ("allow/net/connect+/dbus-*", CONNECT, b"@dbus-x", False),
        ("allow/net/bind+!unnamed", BIND, b"!unnamed", True),
        ("allow/net/connect+!*", CONNECT, b"!unnamed", True),
    ],
)
def test_name_of_a_socket_matches_as_the_table_says(
    box: Sandbox, answer: Callable[[str], int], command: str, mask: int, name: bytes, result: bool
) -> None:
    assert answer(command) == 0
    assert (box.active.check(mask, name)[0] == actions.ALLOW) == result


def test_address_is_a_pattern_when_other_categories_are_meant_too(
    answer: Callable[[str], int],
) -> None:
    assert answer("allow/net,read+127.0.0.1!80") == errno.EINVAL


def test_newest_rule_decides_for_each_category(box: Sandbox, answer: Callable[[str], int]) -> None:
    loopback = bytes((127, 0, 0, 1))
    for command in ("allow/net+any!0-65535", "kill/bnet+loopback!80", "warn/cnet+127.0.0.1!80"):
        assert answer(command) == 0
    assert box.active.check_net(BIND, "tcp", loopback, 80)[0] == actions.KILL
    assert box.active.check_net(CONNECT, "tcp", loopback, 80)[0] == actions.WARN
    assert box.active.check_net(CONNECT, "tcp", loopback, 81)[0] == actions.ALLOW
    assert answer("sandbox/bnet:off") == 0
    assert box.active.check_net(BIND, "tcp", loopback, 80) == (actions.ALLOW, 0, None)


@pytest.mark.parametrize(
    ("commands", "left"),
    [
        (["allow/net+1.2.3.4!80", "allow/net/bind-1.2.3.4!80"], [CONNECT]),
        (["allow/net/bind+1.2.3.4!80", "allow/net-1.2.3.4!80"], []),
        (["allow/net+1.2.3.4/24!80", "allow/net-1.2.3.9/24!80"], []),
        (["allow/net+1.2.3.4/24!80", "allow/net-1.2.3.4/25!80"], [BIND | CONNECT]),
        (["allow/net+1.2.3.4!80,81", "allow/net-net!1.2.3.4!80-81"], []),
        (["allow/net+1.2.3.4!80", "allow/net-tcp!1.2.3.4!80"], [BIND | CONNECT]),
        (["allow/net+1.2.3.4!80", "deny/net-1.2.3.4!80"], [BIND | CONNECT]),
        (["allow/net+any!80", "allow/net-any4!80"], [BIND | CONNECT]),
        (["allow/net+1.2.3.4!1", "allow/net+1.2.3.4!1", "allow/net-1.2.3.4!1"], [BIND | CONNECT]),
        (["allow/net+1.2.3.4!1", "allow/net+1.2.3.4!1", "allow/net^1.2.3.4!1"], []),
    ],
)
def test_removal_compares_network_ports_and_protocol(
    box: Sandbox, answer: Callable[[str], int], commands: list[str], left: list[int]
) -> None:
    assert [answer(command) for command in commands] == [0] * len(commands)
    assert [rule.mask for rule in box.active.net_rules] == left


def test_variables_stand_for_the_fields_of_a_dial_string(
    box: Sandbox, answer: Callable[[str], int]
) -> None:
    box.environ.update({b"N": b"tcp", b"IP": b"1.2.3.4", b"PORT": b"80"})
    assert answer("allow/net+$N!$IP!$PORT") == 0
    assert answer("allow/net+$IP!80") == 0
    assert answer("allow/net+unix!~/x") == 0
    assert answer("allow/net+1.2.3.4!$PORT") == errno.EINVAL
    assert stored(box) == ["1.2.3.4/32 80", "tcp 1.2.3.4/32 80"]
    assert [rule.pattern for rule in box.active.rules] == [b"/home/u/x"]


def test_network_rules_are_limited(box: Sandbox, answer: Callable[[str], int]) -> None:
    assert answer("allow/net+1.2.3.4!1") == 0
    box.active.net_rules = box.active.net_rules * 4096
    assert answer("allow/net+1.2.3.4!1") == errno.ENOSPC


@pytest.mark.parametrize(
    "text", ["1.2.3", "1.2.3.256", "", ":", ":::", "1::2::3", "1:2:3:4:5:6:7", "12345::", "g::"]
)
def test_text_that_is_no_address_is_none(text: str) -> None:
    assert address.parse_ip(text) is None
