# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a program means what the program does: it is read back and tried call by call."""

from __future__ import annotations

import random
import re

import pytest
from tests.unit.filter.plans import DEFAULT, default_plan

from madcap.abi.numbers import AUDIT_ARCH, TABLES
from madcap.filter import text
from madcap.filter.rules import guest_programs
from madcap.filter.simulate import data, run
from madcap.filter.threads import thread_program

ARCH = AUDIT_ARCH["x86_64"]
EDGES = (0, 1, 2, 4, 7, 0x20, 0xFFF, 4096, 1 << 31, (1 << 32) - 1, 1 << 63, (1 << 64) - 1)
PROGRAMS = {
    "guest": guest_programs(DEFAULT)[-1].code,
    "open": guest_programs(default_plan(options=frozenset({"allow_unsafe_kptr"})))[-1].code,
    "thread": thread_program("x86_64", ["read", "write"], ["open"], {"tgkill": ((0, 7), (2, 14))}),
}


def meaning(shown: str, number: int, arch: int, arguments: list[int]) -> str:
    """Return the action that the pseudo code *shown* takes for a call."""
    depth = 0  # Lines deeper than this belong to an ``if`` that was not taken.
    for line in shown.splitlines():
        words = line.strip()
        indent = (len(line) - len(line.lstrip())) // 2
        if not words or words.startswith("#") or indent > depth:
            continue
        depth = indent
        if words.startswith("action "):
            return words.removeprefix("action ").removesuffix(";")
        found = re.fullmatch(r"if \((\S+)(?: & (0x\w+))?(?: (==|>=|>|<=) (\d+))?\)", words)
        assert found, words
        word, mask, sign, operand = found.groups()
        if word == "$syscall":
            value = number
        elif word == "$arch":
            value = arch
        else:
            value = arguments[int(word[2])] >> (32 if word.endswith("hi32") else 0) & 0xFFFF_FFFF
        value &= int(mask, 16) if mask else 0xFFFF_FFFF
        right = int(operand) if operand else 0
        taken = {
            "==": value == right,
            "<=": value <= right,
            ">": value > right,
            ">=": value >= right,
            None: value != 0,
        }
        if taken[sign]:
            depth += 1
    raise AssertionError("the text ends without an action")


@pytest.mark.parametrize("name", PROGRAMS)
def test_text_of_a_program_means_what_the_program_does(name: str) -> None:
    code = PROGRAMS[name]
    shown = text.render(code, "x86_64")
    dice = random.Random(7)  # noqa: S311 - the same calls in every run
    numbers = [*TABLES["x86_64"].values(), 1 << 30, (1 << 30) + 1, 5000, 0xFFFF_FFFE, 0xFFFF_FFFF]
    for number in numbers:
        for arch in (ARCH, ARCH, ARCH, 0x4000_0003):
            arguments = [dice.choice(EDGES) + dice.randrange(2) & (1 << 64) - 1 for _ in range(6)]
            answer = run(code, data(number, arch, arguments)).value
            assert meaning(shown, number, arch, arguments) == text.action(answer), (number, arch)


def test_answers_of_a_call_are_all_that_it_can_get() -> None:
    found = text.answers(PROGRAMS["thread"], "x86_64")
    assert {text.action(value) for value in found["read"]} == {"ALLOW"}
    assert {text.action(value) for value in found["tgkill"]} == {"ALLOW", "KILL_PROCESS"}
    assert {text.action(value) for value in found["open"]} == {"ERRNO(38)"}
    assert {text.action(value) for value in found["connect"]} == {"KILL_PROCESS"}
