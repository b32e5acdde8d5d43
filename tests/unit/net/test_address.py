# SPDX-License-Identifier: GPL-3.0-or-later
"""Socket addresses as bytes."""

from __future__ import annotations

import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.net.calls import ANY, errno_of, sin, sin6

from madcap.kernel.net import address as a


def test_parse_in_reads_address_and_port() -> None:
    to = a.parse_in(sin("10.1.2.3", 8080))
    assert (to.ip, to.port, to.is_any) == (b"\x0a\1\2\3", 8080, False)
    assert to.raw == sin("10.1.2.3", 8080)


def test_parse_in_puts_its_own_family_in_place_of_unspec() -> None:
    """What is handed to the kernel names the family that was judged."""
    assert a.parse_in(sin(ANY, 1, family=0)).raw == sin(ANY, 1)


def test_parse_in_ignores_what_follows_the_structure() -> None:
    assert a.parse_in(sin("127.0.0.1", 1) + b"more").raw == sin("127.0.0.1", 1)


@pytest.mark.parametrize("size", [2, 15])
def test_parse_in_refuses_a_short_address(size: int) -> None:
    assert errno_of(lambda: a.parse_in(sin("127.0.0.1", 1)[:size])) == errno.EINVAL


@pytest.mark.parametrize("size", [24, 27, 28])
def test_parse_in6_takes_an_address_without_scope(size: int) -> None:
    to = a.parse_in6(sin6("2001:db8::1", 443, scope=3)[:size])
    assert (len(to.ip), to.port, to.scope) == (16, 443, 3 if size == 28 else 0)
    assert len(to.raw) == (28 if size == 28 else 24)


def test_parse_in6_refuses_a_short_address() -> None:
    assert errno_of(lambda: a.parse_in6(sin6("::1", 1)[:23])) == errno.EINVAL


def test_parse_in6_takes_a_mapped_address_for_ipv4() -> None:
    to = a.parse_in6(sin6("::ffff:10.0.0.1", 80))
    assert to.ip == b"\x0a\0\0\1"
    assert to.raw == sin6("::ffff:10.0.0.1", 80)


@pytest.mark.parametrize(
    ("given_address", "loopback"),
    [
        pytest.param(sin(ANY, 5), sin("127.0.0.1", 5), id="ipv4"),
        pytest.param(sin6("::", 5, 9), sin6("::1", 5, 9), id="ipv6"),
        pytest.param(sin6("::ffff:0.0.0.0", 5), sin6("::ffff:127.0.0.1", 5), id="mapped"),
    ],
)
def test_to_loopback_stays_in_the_family(given_address: bytes, loopback: bytes) -> None:
    parse = a.parse_in if given_address[0] == a.AF_INET else a.parse_in6
    to = parse(given_address)
    assert to.is_any
    changed = to.to_loopback()
    assert changed.raw == loopback
    assert changed.ip == parse(loopback).ip
    assert changed.port == 5


def test_without_scope_changes_nothing_else() -> None:
    to = a.parse_in6(sin6("fe80::1", 5, 2))
    assert to.without_scope().raw == sin6("fe80::1", 5)
    assert to.without_scope().ip == to.ip


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        pytest.param(b"\1\0/run/x", (b"/run/x", False), id="path without NUL"),
        pytest.param(b"\1\0/run/x\0junk", (b"/run/x", False), id="path with NUL"),
        pytest.param(b"\1\0" + b"p" * 108, (b"p" * 108, False), id="108 bytes"),
        pytest.param(b"\1\0\0name", (b"name", True), id="abstract"),
        pytest.param(b"\1\0\0na\0me\0", (b"na\0me\0", True), id="abstract with NUL"),
        pytest.param(b"\1\0\0", (b"", True), id="empty abstract"),
    ],
)
def test_unix_name_tells_paths_from_abstract_names(raw: bytes, name: tuple[bytes, bool]) -> None:
    assert a.unix_name(raw) == name


@pytest.mark.parametrize("raw", [b"", b"\1", b"\1\0", b"\2\0/x", b"\0\0/x", b"\1\0" + b"p" * 109])
def test_unix_name_refuses_what_the_kernel_refuses(raw: bytes) -> None:
    assert errno_of(lambda: a.unix_name(raw)) == errno.EINVAL


@given(st.binary(min_size=1, max_size=108).filter(lambda path: 0 not in path))
def test_unix_path_is_read_back_by_unix_name(path: bytes) -> None:
    assert a.unix_name(a.unix_path(path)) == (path, False)


def test_unix_path_refuses_more_than_fits() -> None:
    assert errno_of(lambda: a.unix_path(b"p" * 109)) == errno.ENAMETOOLONG


def test_netlink_port_is_replaced() -> None:
    raw = struct.pack("=HHII", a.AF_NETLINK, 0, 0, 5)
    assert a.netlink_port(raw) == 0
    changed = a.with_netlink_port(raw, 77)
    assert a.netlink_port(changed) == 77
    assert changed[8:] == raw[8:]


@given(st.binary(max_size=128))
def test_parsers_answer_any_bytes_or_raise_oserror(raw: bytes) -> None:
    for parse in (a.parse_in, a.parse_in6, a.unix_name, a.netlink_port):
        try:
            parse(raw)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
    a.family_of(raw)
