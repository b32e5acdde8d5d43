# SPDX-License-Identifier: GPL-3.0-or-later
"""Assemble seccomp programs: decisions in, classic BPF out.

Some facts about classic BPF, as seccomp(2) uses it. A program is at most 4096 instructions of 8
bytes, it jumps only forward, and a conditional jump reaches 255 instructions. It reads struct
seccomp_data by words of 32 bits: the number, the architecture, and two words for each argument.
The kernel remembers calls that are allowed by their number alone and does not run the program for
them any more (Linux 5.11), so what is constant must be decided with loads of the number and the
architecture only.

As jumps go forward, the assembler writes a program from its end: what a decision leads to exists
before the decision does, and so its distance is known. Every method returns a label, the place to
jump to; a decision already written is not written twice. Two kinds of label must not be confused:

    whole   loads what it tests: may follow anything         ret, test, lookup, load, bits, null
    bare    tests the word that was loaded before            branch, search
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LONGEST = 4096

# Return values: seccomp.h. The low 16 bits are data.
KILL = 0x8000_0000
ERRNO = 0x0005_0000
NOTIFY = 0x7FC0_0000
TRACE = 0x7FF0_0000
ALLOW = 0x7FFF_0000

# Words of struct seccomp_data.
NUMBER = 0
ARCH = 4

_LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_AND = 0x54  # BPF_ALU | BPF_AND | BPF_K
_JUMP = 0x05  # BPF_JMP | BPF_JA
_RET = 0x06  # BPF_RET | BPF_K
EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
ABOVE = 0x25  # BPF_JMP | BPF_JGT | BPF_K
LEAST = 0x35  # BPF_JMP | BPF_JGE | BPF_K
ANY = 0x45  # BPF_JMP | BPF_JSET | BPF_K: any of these bits

_REACH = 250  # Of 255: bringing one of the two targets near may move the other.
_TOP = 0xFFFF_FFFF


def low(index: int) -> int:
    """Return the word that holds the low half of argument *index*."""
    return 16 + 8 * index


def high(index: int) -> int:
    """Return the word that holds the high half of argument *index*."""
    return 20 + 8 * index


class Assembler:
    """A program under construction, last instruction first."""

    __slots__ = ("_code", "_hops", "_made")

    def __init__(self) -> None:
        self._code: list[int] = []
        self._made: dict[tuple[int, ...], int] = {}
        self._hops: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._code)

    def ret(self, value: int) -> int:
        """Answer the call with *value*."""
        key = (_RET, value)
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = len(self._code)
            self._code.append(_RET | value << 32)
        return made

    def branch(self, operation: int, operand: int, yes: int, no: int) -> int:
        """Compare the loaded word. Bare."""
        if yes == no:
            return yes
        key = (operation, operand, yes, no)
        made = self._made.get(key)
        if made is None:
            code = self._code
            if len(code) - yes > _REACH:
                yes = self._hop(yes)
            if len(code) - no > _REACH:
                no = self._hop(no)
            made = self._made[key] = len(code)
            code.append(operation | (made - yes - 1) << 16 | (made - no - 1) << 24 | operand << 32)
        return made

    def load(self, word: int, then: int, mask: int = _TOP) -> int:
        """Load *word*, keep the bits of *mask*, and go on with the bare label *then*."""
        key = (_LOAD, word, mask, then)
        made = self._made.get(key)
        if made is None:
            code = self._code
            if then != len(code) - 1:
                self._append_jump(then)
            if mask != _TOP:
                code.append(_AND | mask << 32)
            made = self._made[key] = len(code)
            code.append(_LOAD | word << 32)
        return made

    def test(self, word: int, operation: int, operand: int, yes: int, no: int) -> int:
        """Load *word* and compare it."""
        if yes == no:
            return yes
        return self.load(word, self.branch(operation, operand, yes, no))

    def bits(self, word: int, mask: int, value: int, yes: int, no: int) -> int:
        """Compare the bits *mask* of *word* with *value*."""
        if yes == no:
            return yes
        return self.load(word, self.branch(EQUAL, value, yes, no), mask)

    def null(self, index: int, yes: int, no: int) -> int:
        """Tell whether all 64 bits of argument *index* are zero."""
        inner = self.test(high(index), EQUAL, 0, yes, no)
        return self.test(low(index), EQUAL, 0, inner, no)

    def lookup(self, word: int, cases: Mapping[int, int], default: int, mask: int = _TOP) -> int:
        """Go to the label *cases* has for the value of *word*."""
        segments: list[tuple[int, int, int]] = []
        first, last, target = -1, -2, -1
        for value in sorted(cases):
            label = cases[value]
            if value == last + 1 and label == target:
                last = value
                continue
            if target >= 0 and target != default:
                segments.append((first, last, target))
            first, last, target = value, value, label
        if target >= 0 and target != default:
            segments.append((first, last, target))
        bare = self.search(segments, default)
        return bare if not segments else self.load(word, bare, mask)

    def search(
        self,
        segments: Sequence[tuple[int, int, int]],
        default: int,
        weights: Sequence[int] | None = None,
    ) -> int:
        """Find the loaded word among sorted *segments* (first, last, label). Bare.

        The search is binary; with *weights* it comes sooner to what weighs more.
        """
        if not segments:
            return default
        sums = [0]
        total = 0
        for weight in weights if weights is not None else (1,) * len(segments):
            total += weight
            sums.append(total)
        return self._search(segments, default, sums, 0, len(segments), 0, _TOP)

    def _search(
        self,
        segments: Sequence[tuple[int, int, int]],
        default: int,
        sums: Sequence[int],
        start: int,
        end: int,
        least: int,
        most: int,
    ) -> int:
        """Search segments *start* to *end*, knowing that *least* <= the word <= *most*."""
        if end - start == 1:
            first, last, label = segments[start]
            if first == last and least < first < most:
                return self.branch(EQUAL, first, label, default)
            if last < most:
                label = self.branch(ABOVE, last, default, label)
            if least < first:
                label = self.branch(LEAST, first, label, default)
            return label
        goal = (sums[start] + sums[end]) // 2
        middle = start + 1
        while middle < end - 1 and sums[middle + 1] <= goal:
            middle += 1
        if middle < end - 1 and goal - sums[middle] > sums[middle + 1] - goal:
            middle += 1
        split = segments[middle][0]
        above = self._search(segments, default, sums, middle, end, split, most)
        below = self._search(segments, default, sums, start, middle, least, split - 1)
        return self.branch(LEAST, split, above, below)

    def finish(self, entry: int) -> bytes:
        """Return the program that starts at *entry*.

        Raise ValueError if the kernel would refuse its length.
        """
        if entry != len(self._code) - 1:
            self._append_jump(entry)
        if len(self._code) > LONGEST:
            raise ValueError(f"filter: {len(self._code)} instructions, at most {LONGEST} fit")
        return b"".join([code.to_bytes(8, "little") for code in reversed(self._code)])

    def _append_jump(self, label: int) -> None:
        """Go on at *label*. A copy of an answer is as short as a jump to it, and faster."""
        code = self._code
        target = code[label]
        if target & 0xFFFF == _RET:
            code.append(target)
        else:
            code.append(_JUMP | (len(code) - label - 1) << 32)

    def _hop(self, label: int) -> int:
        """Return a place near the end that leads to *label*."""
        hop = self._hops.get(label, -_REACH)
        if len(self._code) - hop > _REACH:
            hop = self._hops[label] = len(self._code)
            self._append_jump(label)
        return hop
