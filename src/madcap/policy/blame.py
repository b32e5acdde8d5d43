# SPDX-License-Identifier: GPL-3.0-or-later
"""Words for errors: what was probably meant. Only the way of errors comes here."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def nearest(word: str, words: Iterable[str]) -> str:
    """Return ``, perhaps 'x'`` with the known word that resembles *word*, or nothing."""
    if not 1 < len(word) <= 64:
        return ""
    best = ""
    fewest = 3 if len(word) > 4 else 2  # So many slips make another word.
    for known in words:
        if abs(len(known) - len(word)) < fewest and (
            known[:1] == word[0] or known[-1:] == word[-1]
        ):
            slips = distance(word, known, fewest)
            if slips < fewest:
                best, fewest = known, slips
    return f", perhaps {best!r}" if best else ""


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
