# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether everything a pattern matches is matched by others too: an exact answer.

Patterns are regular, so each is read as an automaton over bytes, and both sides are walked at once:
all that a text read so far can mean to the one pattern, and all it can mean to the others. A text
that the one accepts and none of the others does is the answer, and the shortest is found first;
where there is none, the others cover it. Tests hold every answer against `policy.oracle`.
"""

from __future__ import annotations

from madcap.policy import glob

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

    Form = tuple[bytes, int]  # A stored pattern and its method.

_BYTES: Final = frozenset(range(256))
_SLASH: Final = frozenset((glob.SLASH,))
_PAIRS_MAX: Final = 5000  # A search that gets longer is given up.


class TooHard(Exception):
    """The search for a text was given up; nothing is known."""


class Machine:
    """A pattern as an automaton: for each state the bytes that lead on, and where to.

    Sets of states are integers with a bit for each, always closed over the free steps.
    """

    __slots__ = ("_free", "end", "start", "steps")

    def __init__(self, pattern: bytes, method: int) -> None:
        self.steps: list[list[tuple[frozenset[int], int]]] = [[]]
        self._free: list[list[int]] = [[]]
        state = 0
        if method == glob.GLOB:
            state = self._glob(pattern)
        else:
            for byte in pattern:
                state = self._one(state, frozenset((byte,)))
            if method == glob.PREFIX:
                state = self._below(state, pattern.endswith(b"/"))
        self.end = state
        closures = [self._closure(number) for number in range(len(self.steps))]
        self.start = closures[0]
        for steps in self.steps:
            steps[:] = [(members, closures[target]) for members, target in steps]

    def accepts(self, states: int) -> bool:
        """Tell whether a text that leads to *states* is matched."""
        return bool(states >> self.end & 1)

    def after(self, states: int, byte: int) -> int:
        """Return the states that *byte* leads to from *states*."""
        found = 0
        while states:
            lowest = states & -states
            for members, targets in self.steps[lowest.bit_length() - 1]:
                if byte in members:
                    found |= targets
            states ^= lowest
        return found

    def _new(self) -> int:
        self.steps.append([])
        self._free.append([])
        return len(self.steps) - 1

    def _one(self, state: int, members: frozenset[int]) -> int:
        following = self._new()
        self.steps[state].append((members, following))
        return following

    def _any(self, state: int, members: frozenset[int]) -> int:
        """Add any number of *members*."""
        following = self._new()
        self._free[state].append(following)
        self.steps[following].append((members, following))
        return following

    def _components(self, state: int) -> int:
        """Add zero or more whole components, each with its slash."""
        following, inside = self._new(), self._new()
        self._free[state].append(following)
        for source in (state, inside):
            self.steps[source] += ((_BYTES, inside), (_SLASH, following))
        return following

    def _below(self, state: int, has_slash: bool) -> int:
        """Add nothing, or whatever is below the prefix read so far."""
        if has_slash:
            return self._any(state, _BYTES)
        inside = self._any(self._one(state, _SLASH), _BYTES)
        last = self._new()
        self._free[state].append(last)
        self._free[inside].append(last)
        return last

    def _glob(self, pattern: bytes) -> int:
        state = index = 0
        size = len(pattern)
        while index < size:
            byte = pattern[index]
            if byte == 0x2A:
                end = index
                while end < size and pattern[end] == 0x2A:
                    end += 1
                inside = index > 0 and pattern[index - 1] == glob.SLASH
                if end == index + 1:
                    state = self._any(state, glob.ANY)
                elif inside and pattern[end : end + 1] == b"/":
                    end += 1
                    state = self._any(state, _BYTES) if end == size else self._components(state)
                else:
                    state = self._any(state, _BYTES)
                index = end
            elif byte == 0x3F:
                state = self._one(state, glob.ANY)
                index += 1
            elif byte == 0x5C:
                state = self._one(state, frozenset(pattern[index + 1 : index + 2]))
                index += 2
            elif byte == 0x5B:
                test, index = glob.parse_class(pattern, index)
                state = self._one(state, frozenset((test,) if isinstance(test, int) else test))
            else:
                state = self._one(state, frozenset((byte,)))
                index += 1
        return state

    def _closure(self, number: int) -> int:
        found = 0
        waiting = [number]
        while waiting:
            state = waiting.pop()
            if not found >> state & 1:
                found |= 1 << state
                waiting += self._free[state]
        return found


def uncovered(one: Form, others: Sequence[Form]) -> bytes | None:
    """Return a shortest text that *one* matches and none of *others* does; None if there is none.

    Raise TooHard when the search gets too long to tell.
    """
    left = Machine(*one)
    rights = [Machine(*other) for other in others]
    alphabet = _representatives([left, *rights])
    first = (left.start, tuple(right.start for right in rights))
    seen = {first}
    ahead = [(first, b"")]
    while ahead:
        level, ahead = ahead, []
        for (here, there), text in level:
            if left.accepts(here) and not any(
                right.accepts(states) for right, states in zip(rights, there, strict=True)
            ):
                return text
            for byte in alphabet:
                following = left.after(here, byte)
                if not following:
                    continue
                pair = (
                    following,
                    tuple(
                        right.after(states, byte)
                        for right, states in zip(rights, there, strict=True)
                    ),
                )
                if pair not in seen:
                    if len(seen) >= _PAIRS_MAX:
                        raise TooHard
                    seen.add(pair)
                    ahead.append((pair, text + bytes((byte,))))
    return None


def covers(others: Sequence[Form], one: Form) -> bool:
    """Tell whether it is certain that whatever *one* matches is matched by one of *others*."""
    pattern, method = one
    if method == glob.LITERAL:
        return any(glob.matches(*other, pattern) for other in others)
    head = pattern if method == glob.PREFIX else glob.head_of(pattern)
    if any(way == glob.PREFIX and _below(head, base) for base, way in others):
        return True
    try:
        return uncovered(one, others) is None
    except TooHard:
        return False


def _below(head: bytes, base: bytes) -> bool:
    """Tell whether all that begins with *head* lies below the directory *base*, or with a slash."""
    return head.startswith(base if base.endswith(b"/") else base + b"/")


def _representatives(machines: Sequence[Machine]) -> list[int]:
    """Return one byte for each way that bytes differ to *machines*, well readable ones first."""
    classes = {members for machine in machines for steps in machine.steps for members, _ in steps}
    ordered = sorted(classes, key=sorted)
    found: dict[tuple[bool, ...], int] = {}
    for byte in (*b"abcdefghijklmnopqrstuvwxyz", *range(256)):
        found.setdefault(tuple(byte in members for members in ordered), byte)
    return list(found.values())
