# SPDX-License-Identifier: GPL-3.0-or-later
"""What is decided before the fork."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madcap.confine.child import candidates, gaps


@pytest.mark.parametrize(
    ("command", "path", "expected"),
    [
        (b"/bin/x", b"/a", [b"/bin/x"]),
        (b"./x", b"/a", [b"./x"]),
        (b"x", b"/a:/b", [b"/a/x", b"/b/x"]),
        (b"x", b"/a::/b", [b"/a/x", b"./x", b"/b/x"]),
        (b"x", None, [b"/bin/x", b"/usr/bin/x"]),
        (b"x", b"", [b"./x"]),
        (b"", b"/a", [b""]),
    ],
)
def test_the_command_is_searched_like_execvp(
    command: bytes, path: bytes | None, expected: list[bytes]
) -> None:
    assert candidates(command, path) == expected


ranges = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)).map(sorted).map(tuple))


@given(ranges)
def test_exactly_the_numbers_that_are_not_kept_are_closed(keep: list[tuple[int, int]]) -> None:
    closed = gaps(keep)
    for number in range(60):
        kept = any(low <= number <= high for low, high in keep)
        assert kept != any(low <= number <= high for low, high in closed)
