# SPDX-License-Identifier: GPL-3.0-or-later
"""The blocklist: networks nobody talks to, whatever the rules say.

The networks of a family are disjoint, so they are kept as sorted starts and ends, and an address
is found by bisection. Additions wait in a heap of their own until something asks, which makes
reading a list of half a million networks one sort and not half a million insertions.
"""

from __future__ import annotations

from errno import EINVAL, ENOSPC

from madcap.errors import PolicyError
from madcap.policy.address import parse_network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from madcap.policy.address import Network
    from madcap.policy.sandbox import Sandbox

BLOCK_MAX = 4096


class Family:
    """The blocked networks among addresses of one size."""

    __slots__ = ("_ends", "_starts", "_waiting", "bits")

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._waiting: list[tuple[int, int]] = []

    def __len__(self) -> int:
        self._settle()
        return len(self._starts)

    def add(self, start: int, end: int, limit: int) -> None:
        """Take in the network from *start* to *end*, unless *limit* networks are there."""
        if len(self._starts) + len(self._waiting) >= limit and len(self) >= limit:
            raise PolicyError(ENOSPC, f"more than {limit} blocked networks")
        self._waiting.append((start, end))

    def holds(self, address: int) -> bool:
        """Tell whether *address* is blocked."""
        if self._waiting:
            self._settle()
        starts = self._starts
        place = _place(starts, address)
        return place > 0 and address <= self._ends[place - 1]

    def _settle(self) -> None:
        """Sort the networks that wait into the others; of nested ones the widest stays."""
        if not self._waiting:
            return
        networks = [*zip(self._starts, self._ends, strict=True), *self._waiting]
        networks.sort(key=_widest_first)
        starts: list[int] = []
        ends: list[int] = []
        reached = -1
        for start, end in networks:
            if start > reached:
                starts.append(start)
                ends.append(end)
                reached = end
        self._replace(starts, ends)

    def _replace(self, starts: list[int], ends: list[int]) -> None:
        self._ends = ends
        self._starts = starts
        self._waiting = []

    def take_out(self, start: int, end: int) -> None:
        """Unblock the network from *start* to *end*, splitting one that is wider."""
        self._settle()
        starts: list[int] = []
        ends: list[int] = []
        for low, high in zip(self._starts, self._ends, strict=True):
            if high < start or low > end:
                starts.append(low)
                ends.append(high)
            elif low < start or high > end:
                for part, last in (*networks_of(low, start - 1), *networks_of(end + 1, high)):
                    starts.append(part)
                    ends.append(last)
        self._replace(starts, ends)

    def clear(self) -> None:
        """Unblock everything."""
        self._replace([], [])

    def merge(self) -> None:
        """Make as few networks as possible of those there are."""
        self._settle()
        starts: list[int] = []
        ends: list[int] = []
        pending: tuple[int, int] | None = None
        ranges: list[tuple[int, int]] = []
        for low, high in zip(self._starts, self._ends, strict=True):
            if pending is not None and low == pending[1] + 1:
                pending = (pending[0], high)
            else:
                if pending is not None:
                    ranges.append(pending)
                pending = (low, high)
        if pending is not None:
            ranges.append(pending)
        for first, last in ranges:
            for low, high in networks_of(first, last):
                starts.append(low)
                ends.append(high)
        self._replace(starts, ends)

    def copy(self) -> Family:
        """Return a family like this one that may change on its own."""
        self._settle()
        other = Family(self.bits)
        other._replace(list(self._starts), list(self._ends))
        return other


def _place(starts: list[int], address: int) -> int:
    """Return how many of the sorted *starts* are not above *address*."""
    low, high = 0, len(starts)
    while low < high:
        middle = (low + high) >> 1
        if starts[middle] <= address:
            low = middle + 1
        else:
            high = middle
    return low


def _widest_first(network: tuple[int, int]) -> tuple[int, int]:
    return network[0], -network[1]


def networks_of(first: int, last: int) -> Iterator[tuple[int, int]]:
    """Yield the fewest networks that make up the addresses from *first* to *last*, in order."""
    while first <= last:
        size = first & -first or 1 << (last.bit_length() + 1)
        while first + size - 1 > last:
            size >>= 1
        yield first, first + size - 1
        first += size


class Blocklist:
    """The blocked networks of both families."""

    __slots__ = ("v4", "v6")

    def __init__(self) -> None:
        self.v4 = Family(32)
        self.v6 = Family(128)

    def add(self, network: Network, limit: int = BLOCK_MAX) -> None:
        """Block *network*."""
        family, start, end = self._span(network)
        family.add(start, end, limit)

    def take_out(self, network: Network) -> None:
        """Unblock *network*."""
        family, start, end = self._span(network)
        family.take_out(start, end)

    def _span(self, network: Network) -> tuple[Family, int, int]:
        size, address, prefix = network
        shift = size * 8 - prefix
        start = address >> shift << shift
        return self.v4 if size == 4 else self.v6, start, start + (1 << shift) - 1

    def holds(self, address: bytes) -> bool:
        """Tell whether *address*, of 4 or 16 bytes, is blocked."""
        family = self.v4 if len(address) == 4 else self.v6
        return family.holds(int.from_bytes(address, "big"))

    def copy(self) -> Blocklist:
        """Return a list like this one that may change on its own."""
        other = Blocklist()
        other.v4 = self.v4.copy()
        other.v6 = self.v6.copy()
        return other


def command(box: Sandbox, rest: str) -> None:
    """Do ``block+NETWORK``, ``block-NETWORK``, ``block^`` or ``block!``; nothing is expanded."""
    operator = rest[:1]
    text = rest[1:]
    if operator in ("-", "^"):
        box.require_free()
    if operator in ("+", "-"):
        network = parse_network(text)
    elif operator not in ("^", "!") or text:
        raise PolicyError(
            EINVAL,
            f"malformed block{rest}",
            expected="block+NETWORK, block-NETWORK, block^, block!",
        )
    box.require_unlocked()
    domain = box.subject
    blocklist = domain.blocklist
    if blocklist is None:
        blocklist = domain.blocklist = Blocklist()
    if operator == "+":
        blocklist.add(network)
    elif operator == "-":
        blocklist.take_out(network)
    elif operator == "^":
        blocklist.v4.clear()
        blocklist.v6.clear()
    else:
        blocklist.v4.merge()
        blocklist.v6.merge()
    domain.touch()
