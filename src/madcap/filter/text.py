# SPDX-License-Identifier: GPL-3.0-or-later
"""Seccomp programs as text for people: what a program answers, call by call.

The text is made from the instructions themselves, not from what they were compiled from: it shows
what the kernel will do. A program is followed once for each range of call numbers that it treats
alike; what is left then asks about arguments only. Every branch ends in an action, so what follows
an ``if`` on the same level is its other branch.
"""

from __future__ import annotations

from madcap.abi.numbers import AUDIT_ARCH, TABLES
from madcap.filter.compile import ARCH, EQUAL, NUMBER
from madcap.filter.simulate import decode, holds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Instructions = Sequence[tuple[int, int, int, int]]
    Segment = tuple[int, int, "Node"]

_LOAD, _AND, _JUMP, _RET = 0x20, 0x54, 0x05, 0x06
_TOP = 0xFFFF_FFFF
_SIGNS = {0x15: "==", 0x25: ">", 0x35: ">=", 0x45: "&"}
_ACTIONS = {
    0x8000_0000: "KILL_PROCESS",
    0x0000_0000: "KILL",
    0x0003_0000: "TRAP",
    0x7FC0_0000: "NOTIFY",
    0x7FFC_0000: "LOG",
    0x7FFF_0000: "ALLOW",
}


class Node:
    """A question about one word of the arguments, or (*question* empty) an answer."""

    __slots__ = ("no", "question", "value", "yes")

    def __init__(
        self, question: str, value: int, yes: Node | None = None, no: Node | None = None
    ) -> None:
        self.question = question
        self.value = value
        self.yes = yes
        self.no = no

    def answers(self) -> set[int]:
        """Return all answers that can be reached from here."""
        if self.yes is None or self.no is None:
            return {self.value}
        return self.yes.answers() | self.no.answers()


class _Program:
    """A program and what was found out about it; equal nodes are one object."""

    __slots__ = ("_made", "code")

    def __init__(self, code: Instructions) -> None:
        self.code = code
        self._made: dict[tuple[object, ...], Node] = {}

    def _node(self, question: str, value: int, yes: Node | None, no: Node | None) -> Node:
        key = (question, value, id(yes), id(no))
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = Node(question, value, yes, no)
        return made

    def segments(self, at: int, arch: int, low: int, high: int) -> Iterator[Segment]:
        """Yield (first, last, node) for the numbers *low* to *high*, from instruction *at* on."""
        operation, yes, no, operand = self.code[at]
        if operation == _LOAD and operand == ARCH:
            yield from self._compare_arch(at + 1, arch, low, high)
        elif operation == _LOAD and operand == NUMBER:
            yield from self._numbers(at + 1, arch, low, high)
        else:
            yield low, high, self._arguments(at, "", _TOP)
        del yes, no

    def _compare_arch(self, at: int, arch: int, low: int, high: int) -> Iterator[Segment]:
        """Go on at *at* with the architecture loaded."""
        while True:
            operation, yes, no, operand = self.code[at]
            if operation == _JUMP:
                at += 1 + operand
            elif operation in _SIGNS:
                at += 1 + (yes if holds(operation, arch, operand) else no)
            else:
                yield from self.segments(at, arch, low, high)
                return

    def _numbers(self, at: int, arch: int, low: int, high: int) -> Iterator[Segment]:
        """Go on at *at* with the number loaded, which is between *low* and *high*."""
        operation, yes, no, operand = self.code[at]
        if operation == _JUMP:
            yield from self._numbers(at + 1 + operand, arch, low, high)
            return
        if operation not in _SIGNS:
            yield from self.segments(at, arch, low, high)
            return
        if operation == EQUAL:
            parts = ((low, operand - 1, no), (operand, operand, yes), (operand + 1, high, no))
        elif operation == 0x25:
            parts = ((low, operand, no), (operand + 1, high, yes), (1, 0, no))
        elif operation == 0x35:
            parts = ((low, operand - 1, no), (operand, high, yes), (1, 0, no))
        else:
            raise ValueError(f"instruction {at} asks for bits of the number")
        for first, last, way in parts:
            first, last = max(first, low), min(last, high)
            if first <= last:
                yield from self._numbers(at + 1 + way, arch, first, last)

    def _arguments(self, at: int, word: str, mask: int) -> Node:
        """Return what is asked and answered from *at* on; *word* is loaded."""
        key = (at, word, mask)
        made = self._made.get(key)
        if made is not None:
            return made
        operation, yes, no, operand = self.code[at]
        if operation == _RET:
            made = self._node("", operand, None, None)
        elif operation == _JUMP:
            made = self._arguments(at + 1 + operand, word, mask)
        elif operation == _LOAD:
            made = self._arguments(at + 1, _word(operand), _TOP)
        elif operation == _AND:
            made = self._arguments(at + 1, word, operand)
        else:
            shown = word if mask == _TOP else f"{word} & {mask:#x}"
            made = self._node(
                f"{shown} {_SIGNS[operation]} {operand:#x}" if operation == 0x45 else
                f"{shown} {_SIGNS[operation]} {operand}",
                0,
                self._arguments(at + 1 + yes, word, mask),
                self._arguments(at + 1 + no, word, mask),
            )  # fmt: skip
        self._made[key] = made
        return made


def _word(offset: int) -> str:
    """Return the name of the word at *offset* of struct seccomp_data."""
    if offset < 16:
        raise ValueError(f"word {offset} is asked for after an argument")
    return f"$a{(offset - 16) // 8}.{'hi32' if offset % 8 else 'lo32'}"


def action(value: int) -> str:
    """Return the name of what a program answers with *value*."""
    kind, data = value & 0xFFFF_0000, value & 0xFFFF
    if kind == 0x0005_0000:
        return f"ERRNO({data})"
    if kind == 0x7FF0_0000:
        return f"TRACE({data})"
    return _ACTIONS.get(kind, f"{value:#x}")


def answers(code: bytes, machine: str) -> dict[str, set[int]]:
    """Return, for each call of *machine*, all that the program *code* may answer it with."""
    segments = list(_Program(decode(code)).segments(0, AUDIT_ARCH[machine], 0, _TOP))
    return {
        name: set().union(*[node.answers() for first, last, node in segments if first <= n <= last])
        for name, n in TABLES[machine].items()
    }


def render(code: bytes, machine: str) -> str:
    """Return the program *code* as pseudo code, with the names the calls have on *machine*."""
    arch = AUDIT_ARCH[machine]
    program = _Program(decode(code))
    segments = list(program.segments(0, arch, 0, _TOP))
    names = {number: name for name, number in TABLES[machine].items()}
    unknown = max(names) + 1
    default = next(node for first, last, node in segments if first <= unknown <= last)
    lines = ["#", "# pseudo filter code start", "#"]
    lines += [f"# filter for arch {machine} ({arch})", f"if ($arch == {arch})"]
    for first, last, node in segments:
        if node is default:
            continue
        inside = [number for number in range(first, min(last, unknown) + 1) if number in names]
        for number in inside:
            lines.append(f'  # filter for syscall "{names[number]}" ({number})')
            lines.append(f"  if ($syscall == {number})")
            lines += _lines(node, "    ")
        if last > unknown:
            lines.append(f"  # filter for syscalls {max(first, unknown)} to {last}")
            lines.append(f"  if ($syscall >= {max(first, unknown)})")
            lines.append(f"    if ($syscall <= {last})")
            lines += _lines(node, "      ")
    lines += ["  # default action", *_lines(default, "  ")]
    lines += ["# invalid architecture action", *_lines(_foreign(program, arch), "")]
    lines += ["#", "# pseudo filter code end", "#"]
    return "\n".join(lines) + "\n"


def _foreign(program: _Program, arch: int) -> Node:
    """Return what calls of another architecture than *arch* are answered, whatever they are."""
    found = {id(node): node for _, _, node in program.segments(0, arch ^ 1, 0, _TOP)}
    if len(found) != 1:
        raise ValueError("the answer to a foreign architecture depends on the call")
    return next(iter(found.values()))


def _lines(node: Node, indent: str) -> list[str]:
    """Return the text of *node*."""
    lines: list[str] = []
    while node.yes is not None and node.no is not None:
        lines.append(f"{indent}if ({node.question})")
        lines += _lines(node.yes, indent + "  ")
        node = node.no
    lines.append(f"{indent}action {action(node.value)};")
    return lines
