# SPDX-License-Identifier: GPL-3.0-or-later
"""Run seccomp programs as the kernel would, for tests and for explaining a filter."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_LENGTH = 64  # sizeof(struct seccomp_data)


class Invalid(ValueError):
    """The kernel would not load this program."""


class Outcome:
    """What a program answered, and the instructions it took."""

    __slots__ = ("constant", "steps", "value")

    def __init__(self, value: int, steps: int, constant: bool) -> None:
        self.value = value
        self.steps = steps
        self.constant = constant  # Decided without a look at the arguments.


def data(number: int, arch: int, arguments: Sequence[int] = (), pointer: int = 0) -> bytes:
    """Return the struct seccomp_data of a call; missing *arguments* are zero."""
    words = [argument % (1 << 64) for argument in arguments]
    words += [0] * (6 - len(words))
    head = (number % (1 << 32)).to_bytes(4, "little") + arch.to_bytes(4, "little")
    return head + b"".join(word.to_bytes(8, "little") for word in (pointer, *words))


def decode(code: bytes) -> list[tuple[int, int, int, int]]:
    """Return the instructions of *code* as (operation, jump if true, jump if false, operand)."""
    if len(code) % 8 or not 0 < len(code) // 8 <= 4096:
        raise Invalid(f"length {len(code)}")
    return [
        (
            int.from_bytes(code[at : at + 2], "little"),
            code[at + 2],
            code[at + 3],
            int.from_bytes(code[at + 4 : at + 8], "little"),
        )
        for at in range(0, len(code), 8)
    ]


def check(code: bytes) -> None:
    """Raise Invalid unless the kernel's checker would accept *code* (bpf_check_classic)."""
    program = decode(code)
    for at, (operation, yes, no, operand) in enumerate(program):
        left = len(program) - at - 1
        if operation in {0x15, 0x25, 0x35, 0x45}:
            if yes >= left or no >= left:
                raise Invalid(f"{at}: jumps out of the program")
        elif operation == 0x05:
            if operand >= left:
                raise Invalid(f"{at}: jumps out of the program")
        elif operation == 0x20:
            if operand % 4 or operand >= _LENGTH:
                raise Invalid(f"{at}: loads word {operand}")
        elif operation not in {0x06, 0x54}:
            raise Invalid(f"{at}: unknown operation {operation:#x}")
    if program[-1][0] != 0x06:
        raise Invalid("does not end in a return")


def run(code: bytes | Sequence[tuple[int, int, int, int]], call: bytes) -> Outcome:
    """Run *code*, decoded or not, on *call*, a struct seccomp_data."""
    program = decode(code) if isinstance(code, bytes) else code
    word = at = steps = 0
    constant = True
    while True:
        operation, yes, no, operand = program[at]
        at += 1
        steps += 1
        if operation == 0x20:
            word = int.from_bytes(call[operand : operand + 4], "little")
            constant = constant and operand in {0, 4}
        elif operation == 0x54:
            word &= operand
            constant = False  # The kernel's own analysis stops at arithmetic.
        elif operation == 0x05:
            at += operand
        elif operation == 0x06:
            return Outcome(operand, steps, constant)
        else:
            at += yes if holds(operation, word, operand) else no


def holds(operation: int, word: int, operand: int) -> bool:
    """Tell whether a conditional jump is taken with *word* loaded."""
    if operation == 0x15:
        return word == operand
    if operation == 0x25:
        return word > operand
    if operation == 0x35:
        return word >= operand
    if operation == 0x45:
        return bool(word & operand)
    raise Invalid(f"unknown operation {operation:#x}")


def strictest(answers: Iterable[int]) -> int:
    """Return what the kernel does when programs installed in this order answer *answers*.

    The action that comes first in the kernel's order of strictness wins; among equals, the program
    installed last.
    """
    best = 0x7FFF_0000
    for answer in answers:
        if _rank(answer) <= _rank(best):
            best = answer
    return best


def _rank(answer: int) -> int:
    action = answer & 0xFFFF_0000
    return action - (1 << 32) if action & 0x8000_0000 else action
