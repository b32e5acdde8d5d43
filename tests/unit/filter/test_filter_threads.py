# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs for the threads of the supervisor."""

from __future__ import annotations

from errno import ENOSYS

import pytest

from madcap.abi.numbers import AUDIT_ARCH, TABLES
from madcap.filter.compile import ALLOW, ERRNO, KILL
from madcap.filter.simulate import check, data, run
from madcap.filter.threads import thread_program

NEEDED = ["read", "write", "futex", "exit", "ioctl", "openat", "epoll_wait"]


def ask(program: bytes, name: str, *arguments: int, machine: str = "x86_64") -> int:
    return run(program, data(TABLES[machine][name], AUDIT_ARCH[machine], arguments)).value


@pytest.mark.parametrize("machine", TABLES)
def test_thread_program_allows_what_it_names_and_kills_for_the_rest(machine: str) -> None:
    program = thread_program(machine, NEEDED, ["rseq", "open"])
    check(program)
    for name in TABLES[machine]:
        expected = ALLOW if name in NEEDED else KILL
        if name in {"rseq", "open"}:
            expected = ERRNO | ENOSYS
        assert ask(program, name, machine=machine) == expected


def test_thread_program_wants_all_the_arguments_it_names() -> None:
    program = thread_program("x86_64", ["read"], arguments={"ioctl": [(0, 7), (1, 0xC0502100)]})
    assert ask(program, "ioctl", 7, 0xC0502100) == ALLOW
    assert ask(program, "ioctl", 7, 1 << 32 | 0xC0502100) == ALLOW
    assert ask(program, "ioctl", 8, 0xC0502100) == KILL
    assert ask(program, "ioctl", 7, 0xC0502101) == KILL
    assert ask(program, "read", 9, 9) == ALLOW


def test_thread_program_takes_negative_values() -> None:
    program = thread_program("x86_64", [], arguments={"kill": [(0, -1)]})
    assert ask(program, "kill", 2**64 - 1) == ALLOW
    assert ask(program, "kill", 1) == KILL


def test_arguments_bind_a_call_that_is_also_allowed() -> None:
    program = thread_program("x86_64", ["tgkill"], arguments={"tgkill": [(2, 14)]})
    assert ask(program, "tgkill", 1, 1, 14) == ALLOW
    assert ask(program, "tgkill", 1, 1, 9) == KILL


def test_thread_program_kills_foreign_architectures_and_x32() -> None:
    program = thread_program("x86_64", NEEDED)
    assert run(program, data(0, AUDIT_ARCH["aarch64"])).value == KILL
    assert run(program, data(0x40000000, AUDIT_ARCH["x86_64"])).value == KILL
    assert run(program, data(-1, AUDIT_ARCH["x86_64"])).value == KILL


@pytest.mark.parametrize(("enosys", "arguments"), [(["read"], {}), (["rseq"], {"rseq": [(0, 1)]})])
def test_a_name_with_two_answers_is_refused(
    enosys: list[str], arguments: dict[str, list[tuple[int, int]]]
) -> None:
    with pytest.raises(ValueError, match="both"):
        thread_program("x86_64", ["read"], enosys, arguments)


def test_a_program_that_allows_nothing_kills() -> None:
    assert ask(thread_program("x86_64", []), "exit_group") == KILL
