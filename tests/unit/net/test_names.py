# SPDX-License-Identifier: GPL-3.0-or-later
"""The spelling of UNIX socket paths, and who stands behind them."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madcap.kernel.net import descriptors, names, peers

BASES = st.binary(min_size=1, max_size=108).filter(lambda base: not set(base) & {0, 0x2F})


@given(st.integers(0, 8191), BASES)
def test_encode_is_read_back_and_fits(number: int, base: bytes) -> None:
    path = names.encode(number, base)
    assert len(path) <= 108
    assert os.path.normpath(path) == os.path.normpath(base)
    if path != base:
        assert names.decode(path) == (number, base)


@given(st.binary(max_size=108))
def test_decode_leaves_other_paths_alone(path: bytes) -> None:
    number, base = names.decode(path)
    assert names.encode(number, base) == path if number >= 0 else base == path


@pytest.mark.parametrize("base", [b"sock", b"s" * 100], ids=["numbered", "too long for a number"])
@pytest.mark.parametrize("spelling", [b"/run/x/sock", b"sock", b"p" * 108])
def test_original_gives_the_spelling_back(base: bytes, spelling: bytes) -> None:
    table = names.Names()
    number = table.reserve()
    table.remember(number, base, spelling, (1, 2))
    path = names.encode(number, base)
    end = b"\0" if len(spelling) < 108 else b""
    assert table.original(b"\1\0" + path + b"\0") == b"\1\0" + spelling + end
    assert table.place(path) == (1, 2)


@pytest.mark.parametrize(
    "raw", [b"", b"\1\0", b"\1\0\0abstract", b"\1\0/run/x\0", b"\1\0./sock\0", b"\2\0\0P\x7f\0\0\1"]
)
def test_original_leaves_other_addresses_alone(raw: bytes) -> None:
    assert names.Names().original(raw) == raw


def test_original_shows_the_base_where_the_spelling_is_forgotten() -> None:
    table = names.Names()
    assert table.original(b"\1\0" + names.encode(7, b"sock") + b"\0") == b"\1\0sock\0"
    table.remember(7, b"other", b"/run/other", (1, 2))
    assert table.original(b"\1\0" + names.encode(7, b"sock") + b"\0") == b"\1\0sock\0"


def test_numbers_are_used_again() -> None:
    table = names.Names()
    assert [table.reserve() for _ in range(8193)][-1] == 0


def test_recent_forgets_the_oldest() -> None:
    recent = peers.Recent()
    for key in range(9000):
        recent.put(key, key + 1)
        recent.put("kept", 5)
    assert recent.get(0) == 0
    assert recent.get(8999) == 9000
    assert recent.get("kept") == 5


@pytest.mark.parametrize(
    ("text", "form", "name"),
    [
        (b"/etc/passwd", 0o100000, b"!file"),
        (b"/etc", 0o040000, b"!dir"),
        (b"/dev/null", 0o020000, b"!cdev"),
        (b"/dev/sda", 0o060000, b"!bdev"),
        (b"/tmp/fifo", 0o010000, b"!fifo"),
        (b"pipe:[5]", 0o010000, b"!pipe"),
        (b"socket:[5]", 0o140000, b"!socket"),
        (b"anon_inode:[eventpoll]", 0, b"!eventpoll"),
        (b"anon_inode:inotify", 0, b"!inotify"),
        (b"anon_inode:[pidfd]", 0o100000, b"!pidfd"),
        (b"pidfd:[5]", 0o100000, b"!pidfd"),
        (b"net:[4026531840]", 0o100000, b"!nsfs"),
        (b"/memfd:name (deleted)", 0o100000, b"!memfd:name"),
        (b"/secretmem (deleted)", 0o100000, b"!secretmem"),
        (b"/tmp/gone (deleted)", 0o100000, b"!file"),
        (b"/etc/link", 0o120000, b"!symlink"),
        (b"/proc/1/exe", 0o120000, b"!magiclink"),
        (b"/proc/1/cwd", 0o120000, b"!magicdir"),
        (b"strange", 0, b"!unknown"),
    ],
)
def test_kind_names_descriptors_as_rules_do(text: bytes, form: int, name: bytes) -> None:
    assert descriptors.kind(text, form) == name
