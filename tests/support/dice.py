# SPDX-License-Identifier: GPL-3.0-or-later
"""Choices that hypothesis makes, for what is made up of very many of them.

A handful of bytes stands for all choices of one thing, since hypothesis takes its time for each
draw. Of all options the first is the plainest: it is what a zero byte chooses, and hypothesis looks
for a smaller example by putting smaller bytes in place of others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hypothesis.strategies import SearchStrategy

T = TypeVar("T")
BYTES = 48  # What the largest of things takes; whoever asks for more gets zeros.


class Dice:
    """What a maker of random things chooses with."""

    def __init__(self, thrown: bytes) -> None:
        self._thrown = thrown
        self._at = 0

    def below(self, limit: int) -> int:
        """Return a number below *limit*."""
        size = 1 if limit <= 256 else 4
        taken = self._thrown[self._at : self._at + size].ljust(size, b"\0")
        self._at += size
        return int.from_bytes(taken, "big") * limit >> 8 * size

    def choice(self, options: Sequence[T]) -> T:
        """Return one of *options*."""
        return options[self.below(len(options))]

    def weighted(self, options: Sequence[T], weights: Sequence[int]) -> T:
        """Return one of *options*, each being as likely as its weight."""
        number = self.below(sum(weights))
        for option, weight in zip(options, weights, strict=True):
            number -= weight
            if number < 0:
                return option
        raise AssertionError("no number is that large")

    def rarely(self, percent: int) -> bool:
        """Return True for so many of a hundred."""
        return self.below(100) >= 100 - percent


def several(
    make: Callable[[Dice], T | None], count: int, size: int = BYTES
) -> SearchStrategy[list[T]]:
    """Return a strategy for what *make* makes of *size* bytes, *count* times, without what is None.

    It is drawn half by half, so that hypothesis can put nothing in place of many at once: where
    None comes of zeros, that is what it does. All of it may be no more than some 8,000 bytes.
    """
    thrown = st.binary(min_size=size, max_size=size)
    one = thrown.map(lambda some: [made for made in [make(Dice(some))] if made is not None])
    known: dict[int, SearchStrategy[list[T]]] = {1: one}

    def halves(number: int) -> SearchStrategy[list[T]]:
        if number not in known:
            half = number // 2
            both = st.tuples(halves(half), halves(number - half))
            known[number] = both.map(lambda pair: pair[0] + pair[1])
        return known[number]

    return halves(count)
