# SPDX-License-Identifier: GPL-3.0-or-later
"""The blocklist: networks nobody talks to, whatever the rules say.

The networks of a family are disjoint, so they are kept as sorted starts and ends, and an address
is found by bisection. Additions wait beside them until the list is settled, which makes reading a
list of half a million networks one sort and not half a million insertions.

Only whoever carries out commands changes a list, one at a time. Questions come from other threads
meanwhile: they read the sorted part as one object, look through what waits, and settle nothing.
"""

from __future__ import annotations

from _bisect import bisect_right
from errno import EINVAL, ENOSPC

from madcap.errors import PolicyError
from madcap.policy.address import parse_network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from madcap.policy.address import Network
    from madcap.policy.domain import Domain
    from madcap.policy.sandbox import Sandbox

BLOCK_MAX = 4096  # What commands may add to; as with all lists.
FILE_MAX = 1 << 20  # What a file of networks may add to: those that are published are longer.


class Family:
    """The blocked networks among addresses of one size."""

    __slots__ = ("_sorted", "_waiting", "bits")

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self._sorted: tuple[list[int], list[int]] = ([], [])  # First and last addresses.
        # What waits: its first address times 256, and the length of its prefix. So of networks that
        # begin alike the widest is the smallest number.
        self._waiting: list[int] = []

    def __len__(self) -> int:
        return len(self._merged()[0])

    def add(self, start: int, prefix: int, limit: int) -> None:
        """Take in the network from *start* on, unless *limit* networks are there."""
        starts, ends = self._sorted
        if len(starts) + len(self._waiting) >= limit:
            self.settle()
            starts, ends = self._sorted
            if len(starts) >= limit:
                raise PolicyError(ENOSPC, f"more than {limit} blocked networks")
        if starts:
            place = bisect_right(starts, start)
            if place and start + (1 << (self.bits - prefix)) - 1 <= ends[place - 1]:
                return
        self._waiting.append(start << 8 | prefix)

    def holds(self, address: int) -> bool:
        """Tell whether *address* is blocked."""
        starts, ends = self._sorted
        place = bisect_right(starts, address)
        if place and address <= ends[place - 1]:
            return True
        bits = self.bits
        return any((address ^ each >> 8) >> (bits - (each & 255)) == 0 for each in self._waiting)

    def settle(self) -> None:
        """Sort the networks that wait into the others."""
        if self._waiting:
            self._sorted = self._merged()
            self._waiting = []

    def _merged(self) -> tuple[list[int], list[int]]:
        """Return all networks, sorted; of nested ones the widest stays."""
        if not self._waiting:
            return self._sorted
        bits = self.bits
        masks = [(1 << (bits - prefix)) - 1 for prefix in range(bits + 1)]
        networks = list(self._waiting)
        for start, end in zip(*self._sorted, strict=True):
            networks.append(start << 8 | bits + 1 - (end - start + 1).bit_length())
        networks.sort()
        starts: list[int] = []
        ends: list[int] = []
        reached = -1
        for network in networks:
            start = network >> 8
            if start > reached:
                reached = start | masks[network & 255]
                starts.append(start)
                ends.append(reached)
        return starts, ends

    def _replace(self, starts: list[int], ends: list[int]) -> None:
        self._sorted = (starts, ends)
        self._waiting = []

    def take_out(self, start: int, end: int) -> None:
        """Unblock the network from *start* to *end*, splitting one that is wider."""
        self.settle()
        starts: list[int] = []
        ends: list[int] = []
        for low, high in zip(*self._sorted, strict=True):
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
        self.settle()
        starts: list[int] = []
        ends: list[int] = []
        pending: tuple[int, int] | None = None
        ranges: list[tuple[int, int]] = []
        for low, high in zip(*self._sorted, strict=True):
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
        self.settle()
        other = Family(self.bits)
        other._replace(*self._sorted)
        return other


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
        size, address, prefix = network
        shift = size * 8 - prefix
        family = self.v4 if size == 4 else self.v6
        family.add(address >> shift << shift, prefix, limit)

    def take_out(self, network: Network) -> None:
        """Unblock *network*."""
        size, address, prefix = network
        shift = size * 8 - prefix
        start = address >> shift << shift
        (self.v4 if size == 4 else self.v6).take_out(start, start + (1 << shift) - 1)

    def settle(self) -> None:
        """Make both families ready for questions."""
        self.v4.settle()
        self.v6.settle()

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
    blocklist = list_of(domain)
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
    if box.running:
        blocklist.settle()
    domain.touch()


def list_of(domain: Domain) -> Blocklist:
    """Return the blocklist of *domain*, an empty new one if it had none."""
    if domain.blocklist is None:
        domain.blocklist = Blocklist()
    return domain.blocklist


def add_all(box: Sandbox, texts: Iterable[str]) -> tuple[int, PolicyError] | None:
    """Block each network of *texts*; return the place, from 0, and the reason of a refusal.

    Those before it are blocked then, and those after it were not looked at. The texts are the lines
    of a file, so there may be more than commands can add.
    """
    box.require_unlocked()
    blocklist = list_of(box.subject)
    add = blocklist.add
    refusal = None
    for place, text in enumerate(texts):
        try:
            add(parse_network(text), FILE_MAX)
        except PolicyError as error:
            refusal = place, error
            break
    if box.running:
        blocklist.settle()
    box.subject.touch()
    return refusal
