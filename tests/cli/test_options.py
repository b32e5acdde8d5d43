# SPDX-License-Identifier: GPL-3.0-or-later
"""The scanner of the command line; what its errors say is compared in test_reference.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madcap.cli.options import Scanner, debug
from madcap.errors import UsageError

TAKES_VALUE = frozenset("mpPtcaeE")


def scan(*words: bytes) -> tuple[list[tuple[str, bytes | None]], list[bytes]]:
    """Return all options with their values, and the command."""
    scanner = Scanner(list(words))
    found: list[tuple[str, bytes | None]] = []
    while (option := scanner.next()) is not None:
        found.append((option, scanner.value() if option in TAKES_VALUE else None))
    return found, scanner.rest()


@pytest.mark.parametrize(
    ("words", "options", "command"),
    [
        pytest.param((), [], [], id="nothing"),
        pytest.param((b"ls", b"-l"), [], [b"ls", b"-l"], id="first-word-ends-options"),
        pytest.param((b"-v", b"--", b"-x"), [("v", None)], [b"-x"], id="two-dashes-end-options"),
        pytest.param((b"--", b"--", b"a"), [], [b"--", b"a"], id="only-the-first-two-dashes"),
        pytest.param((b"-", b"-v"), [], [b"-", b"-v"], id="one-dash-is-a-command"),
        pytest.param((b"-vvx",), [("v", None), ("v", None), ("x", None)], [], id="cluster"),
        pytest.param((b"-vpP", b"a"), [("v", None), ("p", b"P")], [b"a"], id="cluster-with-value"),
        pytest.param((b"-m=X", b"a"), [("m", b"X")], [b"a"], id="one-equals-sign-goes"),
        pytest.param((b"-m==X",), [("m", b"=X")], [], id="the-second-one-stays"),
        pytest.param((b"-m=",), [("m", b"")], [], id="empty-value"),
        pytest.param((b"-m", b"-h"), [("m", b"-h")], [], id="value-that-looks-like-an-option"),
        pytest.param((b"-m", b"--"), [("m", b"--")], [], id="value-that-looks-like-the-end"),
        pytest.param((b"--profile=a=b",), [("p", b"a=b")], [], id="long-attached"),
        pytest.param((b"--profile", b"a"), [("p", b"a")], [], id="long-detached"),
        pytest.param((b"--profile=",), [("p", b"")], [], id="long-empty"),
        pytest.param((b"-m\xff",), [("m", b"\xff")], [], id="any-bytes"),
    ],
)
def test_scanner_splits(
    words: tuple[bytes, ...], options: list[tuple[str, bytes | None]], command: list[bytes]
) -> None:
    assert scan(*words) == (options, command)


@given(st.lists(st.binary(max_size=6), max_size=6))
def test_scanner_ends_or_complains_whatever_it_is_given(words: list[bytes]) -> None:
    complaint = "none"
    command: list[bytes] = []
    try:
        _, command = scan(*words)
    except UsageError as error:
        complaint = str(error)
    assert complaint
    assert "\n" not in complaint
    assert command == words[len(words) - len(command) :]


@given(st.binary(max_size=20))
def test_debug_form_shows_any_bytes_on_one_printable_line(value: bytes) -> None:
    assert debug(value).isprintable()
