# SPDX-License-Identifier: GPL-3.0-or-later
"""No text is answered with anything but success or a PolicyError, whatever it is."""

from __future__ import annotations

import ipaddress
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

import madcap.policy
from madcap.errors import PolicyError
from madcap.policy import address, glob, lock, oracle, overlap, report, values
from madcap.policy.actions import BY_NAME
from madcap.policy.categories import MASKS
from madcap.policy.parser import FAMILIES
from madcap.policy.sandbox import Host, Sandbox
from madcap.policy.trace import NAMES

PROFILES = Path(madcap.policy.__file__).parent / "profiles"
LINES = sorted(
    {line for path in PROFILES.glob("*.rules") for line in path.read_text().splitlines()}
)

WORDS = st.sampled_from(
    [
        *sorted(FAMILIES),
        *sorted(BY_NAME),
        *sorted(MASKS),
        *sorted(NAMES),
        *("/", ":", "+", "-", "^", "!", "?", "@", ",", "*", "***", "[", "]", "\\", "$", "${", "}"),
        *(
            "~",
            "net/link",
            "uring/op",
            "lock/",
            "fs",
            "ioctl",
            "exec!",
            "move!",
            "tcp!",
            "any",
            "::",
        ),
        *("1.2.3.4", "/24", "0x", "80", "-1", "1e9", "1h", "µs", "on", "off", "none", "inf", "all"),
        *("domain+@a", "@a/", "@default/", "/a", "/a/../b", "2f61", "SYD", "\0", "é", "\udcff"),
        *("sha1", "crc32:12345678", "ext/host", "force_umask", "-try", "٣", "18446744073709551616"),
    ]
)
TEXTS = st.one_of(
    st.lists(WORDS, max_size=8).map("".join),
    st.text(max_size=40),
    st.tuples(st.sampled_from(LINES), st.integers(0, 80), st.text(max_size=4)).map(
        lambda each: each[0][: each[1]] + each[2] + each[0][each[1] :]
    ),
)


def make() -> Sandbox:
    environ = {b"HOME": b"/h", b"SYD_HOME": b"/h", b"SYD_GID": b"1", b"RAW": b"\xff", b"E": b""}
    return Sandbox(
        environ, Host(uid=1, gid=1), lambda name: (PROFILES / f"{name}.rules").read_text()
    )


@given(st.lists(TEXTS, max_size=6), st.booleans(), st.sampled_from([None, 0, 3, 5]))
@settings(max_examples=1500, deadline=None)
def test_command_succeeds_or_is_refused(
    commands: list[str], running: bool, state: int | None
) -> None:
    box = make()
    box.running = running
    box.lock = state
    refusals = []
    for number, command in enumerate(commands):
        try:
            box.execute(command, ("fuzz", number))
        except PolicyError as error:
            refusals.append(error)
    for refusal in refusals:
        assert refusal.errno > 0
        assert refusal.origin is not None
        assert str(refusal)
        assert refusal.text is not None
        assert refusal.column is not None
        assert 0 <= refusal.column <= len(refusal.text)
    assert box.active in box.domains.values()
    assert box.subject is box.active
    box.active.check(box.active.enabled, b"/a/b")
    box.active.mask_of(b"/a/b")
    report.stat_text(box)
    report.dump_text(box)


@given(st.lists(TEXTS, max_size=6))
@settings(max_examples=500, deadline=None)
def test_drop_loosens_nothing(commands: list[str]) -> None:
    """What was denied before is denied after, whatever is commanded in between."""
    box = make()
    for command in ("allow/read+/a/***", "deny/read+/a/b", "kill/read+/k*", "allow/net+any!80"):
        box.execute(command, ("start", 1))
    box.execute("lock:drop", ("start", 2))
    wanted = [MASKS["read"], MASKS["write"], MASKS["read"] | MASKS["exec"]]
    texts = [b"/a", b"/a/b", b"/kx", b"/other", b"@x", b"!y"]
    before = [box.active.check(mask, text)[0] for mask in wanted for text in texts]
    for number, command in enumerate(commands):
        try:
            box.execute(command, ("fuzz", number))
        except PolicyError:
            continue
    assert box.lock is not None
    assert box.lock >= lock.DROP
    after = [box.active.check(mask, text)[0] for mask in wanted for text in texts]
    for old, new in zip(before, after, strict=True):
        assert new >= old


@given(st.ip_addresses(), st.integers(0, 128))
def test_network_is_read_as_it_is_printed(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address, prefix: int
) -> None:
    size = len(ip.packed)
    network = (size, int(ip), min(prefix, size * 8))
    if size == 16 and int(ip) >> 32 == 0xFFFF:
        return
    assert address.parse_network(address.text_of(network)) == network
    assert address.parse_ip(str(ip)) == (size, int(ip))
    assert ipaddress.ip_address(address.ip_text(ip.packed)) == ip


@given(st.text(alphabet="0123456789abcdef:.", max_size=24))
def test_address_is_one_where_the_library_finds_one(text: str) -> None:
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        assert address.parse_ip(text) is None
    else:
        assert address.parse_ip(text) == (len(ip.packed), int(ip))


PORTS = st.lists(st.tuples(st.integers(0, 65535), st.integers(0, 99)), min_size=1, max_size=6)


@given(PORTS)
def test_ports_are_sorted_and_merged(ranges: list[tuple[int, int]]) -> None:
    spans = [(low, min(65535, low + more)) for low, more in ranges]
    text = ",".join(f"{low}-{high}" if low != high else str(low) for low, high in spans)
    parsed = address.parse_ports(text)
    members = {port for low, high in spans for port in range(low, high + 1)}
    assert {port for low, high in parsed for port in range(low, high + 1)} == members
    assert all(first[1] + 1 < second[0] for first, second in pairwise(parsed))
    assert address.parse_ports(address.ports_text(parsed)) == parsed


PIECES = st.sampled_from([b"/", b"a", b"b", b"*", b"**", b"?", b"[ab]", b"\\*", b"/***", b"/**/"])
PATTERNS = st.lists(PIECES, min_size=1, max_size=6).map(lambda parts: b"/" + b"".join(parts))


@given(PATTERNS, PATTERNS, st.lists(st.sampled_from([b"/", b"a", b"b", b"*"]), max_size=6))
@settings(max_examples=1000, deadline=None)
def test_patterns_with_a_common_text_are_said_to_meet(
    left: bytes, right: bytes, pieces: list[bytes]
) -> None:
    """The test under lock:drop may be wrong in one direction only."""
    text = b"/" + b"".join(pieces)
    for one in glob.split(left):
        for other in glob.split(right):
            if oracle.matches(*one, text) and oracle.matches(*other, text):
                assert overlap.may_meet(*one, *other)


@given(st.text(max_size=30))
def test_values_are_read_or_refused(text: str) -> None:
    for read in (values.size, values.duration, values.number, values.boolean, values.unescape):
        try:
            read(text)
        except PolicyError:
            continue
