# SPDX-License-Identifier: GPL-3.0-or-later
"""What is printed about errors in configuration: one line each, and under it the place.

The first line stands alone and is for scripts too. Lines below it are indented: the text that was
read, and a caret under what is wrong with it. Only the way of errors comes here.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from madcap.errors import PolicyError

SHOWN_MAX: Final = 20  # Errors of one file that a person is shown.
_WIDTH: Final = 100  # Columns of a line that are shown.
_LEAD: Final = 40  # So many of them before the place.


def shown(text: str) -> str:
    """Return *text* with an escape for each character that cannot be printed."""
    if text.isprintable():
        return text
    return "".join([char if char.isprintable() else _escape(char) for char in text])


def _escape(char: str) -> str:
    point = ord(char)
    if 0xDC80 <= point <= 0xDCFF:  # A byte that is no UTF-8.
        point -= 0xDC00
    return f"\\x{point:02x}" if point < 0x100 else f"\\u{point:04x}"


def lines(error: PolicyError, name: str = "madcap") -> Iterator[str]:
    """Yield what to print about *error* and those behind it, in the name of the program *name*."""
    yield f"{name}: {shown(str(error))}"
    yield from excerpt(error)
    for other in error.also[: SHOWN_MAX - 1]:
        yield f"{name}: {shown(str(other))}"
        yield from excerpt(other)
    if len(error.also) >= SHOWN_MAX:
        yield f"{name}: and {len(error.also) - SHOWN_MAX + 1} more errors"


def excerpt(error: PolicyError) -> Iterator[str]:
    """Yield the line that *error* is about, and one with a caret under the place."""
    text, column = error.text, error.column
    if not text or column is None or column > len(text):
        return
    start = max(0, column - _LEAD) if len(text) > _WIDTH else 0
    end = start + _WIDTH
    word = error.word or ""
    marked = min(column + max(1, len(word)), end) if text.startswith(word, column) else column + 1
    before = ("…" if start else "") + shown(text[start:column])
    below = shown(text[column:marked])
    after = shown(text[marked:end]) + ("…" if end < len(text) else "")
    number = str(error.origin[1]) if error.origin is not None else ""
    yield f"  {number:>4} | {before}{below}{after}"
    yield f"  {'':>4} | {' ' * _cells(before)}{'^' * max(1, _cells(below))}"


def _cells(text: str) -> int:
    """Return how many columns of a terminal *text* takes."""
    if text.isascii():
        return len(text)
    import unicodedata

    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )
