# SPDX-License-Identifier: GPL-3.0-or-later
"""What errors say beside what is wrong: where it stands in the line, and what was probably meant.

Only the way of errors comes here.
"""

from __future__ import annotations

from errno import EBUSY, ECANCELED, EEXIST, ENODATA, ENOSPC, ENOSYS, EOPNOTSUPP, EPERM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

    from madcap.errors import PolicyError

# What is refused then is the command as a whole, well-formed as it is.
WHOLE: Final = (EBUSY, ECANCELED, EEXIST, ENODATA, ENOSPC, ENOSYS, EOPNOTSUPP, EPERM)


def place(command: str, error: PolicyError) -> int:
    """Return the index in *command* at which *error* begins.

    That is its word if the command has it as it stands; what came out of a variable is not found,
    and then the value it was in is good enough.
    """
    word = error.word
    if word:
        found = command.find(word)
        while found >= 0 and _glued(command, found, found + len(word)):
            found = command.find(word, found + 1)
        if found < 0:
            found = command.find(word)
        if found >= 0:
            return found
    if error.errno in WHOLE:
        return 0
    if error.message.startswith("malformed") and "/" in command:
        return command.find("/") + 1
    for marks in (":+^!?", "-"):
        places = [command.find(mark) for mark in marks if mark in command]
        if places:
            return min(places) + 1
    return len(command)


def _glued(text: str, start: int, end: int) -> bool:
    """Tell whether what stands from *start* to *end* in *text* is but a part of a longer word."""
    before, after = text[start - 1 : start], text[end : end + 1]
    return (before.isalnum() and text[start].isalnum()) or (
        after.isalnum() and text[end - 1].isalnum()
    )


def nearest(word: str, words: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` with the known word that resembles *word*, or nothing.

    What begins with a known word and goes on otherwise, as ``read=on``, resembles that one.
    """
    if not 1 < len(word) <= 64:
        return ""
    words = list(words)
    lower = word.lower()
    end = 0
    while end < len(lower) and (lower[end].isalnum() or lower[end] in "_/-"):
        end += 1
    for same in (lower, lower[:end]):
        if same in words:
            return f"; did you mean {same!r}?"
    best = ""
    fewest = 3 if len(word) > 4 else 2  # So many slips make another word.
    for known in words:
        if abs(len(known) - len(word)) < fewest and (
            known[:1] == word[0] or known[-1:] == word[-1]
        ):
            slips = distance(word, known, fewest)
            if slips < fewest:
                best, fewest = known, slips
    return f"; did you mean {best!r}?" if best else ""


def distance(left: str, right: str, limit: int) -> int:
    """Return how many letters to insert, drop, change or swap make *right* of *left*.

    The count ends at *limit*.
    """
    before: list[int] = []
    row = list(range(len(right) + 1))
    for place, letter in enumerate(left):
        following = [place + 1]
        for other, known in enumerate(right):
            steps = min(row[other] + (letter != known), row[other + 1] + 1, following[other] + 1)
            if other and before and letter == right[other - 1] and left[place - 1] == known:
                steps = min(steps, before[other - 1] + 1)
            following.append(steps)
        if min(following) >= limit:
            return limit
        before, row = row, following
    return min(row[-1], limit)
