# SPDX-License-Identifier: GPL-3.0-or-later
"""Safe file names: hardening.md section 3 as a table, and a slow oracle."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madcap.kernel.names import is_safe_name

REFUSED = set(b"*?[]\"<>()&'!\\;$|`") | set(range(0x20)) | {0x7F, 0xFF}


@pytest.mark.parametrize(
    "name",
    [b"a", b"a b", b".hidden", b"a:b{c}", b"x%d@,+=^._#", "Ünicode".encode(), b"a-", b"a~"],
)
def test_ordinary_names_are_safe(name: bytes) -> None:
    assert is_safe_name(name)


@pytest.mark.parametrize(
    "name",
    [b"", b"a*b", b"-x", b"~x", b" x", b"x ", b"a\nb", b"\xff", b"a\xc3", b"a\x7f", b"a`b", b"$x"],
)
def test_names_that_shells_misread_are_refused(name: bytes) -> None:
    assert not is_safe_name(name)


def test_unicode_white_space_at_an_end_is_refused() -> None:
    assert not is_safe_name("a\u00a0".encode())
    assert not is_safe_name("\u2003a".encode())
    assert is_safe_name("a\u00a0b".encode())


def oracle(name: bytes) -> bool:
    """The rule, byte by byte."""
    if not name or name[:1] in (b"-", b"~", b" ") or name[-1:] == b" ":
        return False
    if any(byte in REFUSED for byte in name):
        return False
    try:
        text = name.decode()
    except UnicodeDecodeError:
        return False
    return text == text.strip()


@given(st.binary(max_size=12))
def test_the_fast_test_equals_the_slow_one(name: bytes) -> None:
    assert is_safe_name(name) == oracle(name)


@given(st.text(max_size=6))
def test_the_fast_test_equals_the_slow_one_on_text(text: str) -> None:
    name = text.encode("utf-8", "surrogatepass")
    assert is_safe_name(name) == oracle(name)
