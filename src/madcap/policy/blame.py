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
    from difflib import get_close_matches  # Imports re: only for a message that is on its way out.

    close = get_close_matches(word, words, n=1, cutoff=0.7)
    return f", perhaps {close[0]!r}" if close else ""
