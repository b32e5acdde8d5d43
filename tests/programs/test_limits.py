# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits of memory and of tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.guest import Guest

FREE = ("include_profile off", "trace/allow_unsafe_exec_nopie:1", "trace/allow_unsafe_memfd:1")
UNTRACED = "trace/allow_unsafe_ptrace:1"
ASKS = [
    pytest.param("mmap", "ENOMEM", id="mmap"),
    pytest.param("file", "ENOMEM", id="mmap-of-a-file"),
    pytest.param("mremap", "ENOMEM", id="mremap"),
    pytest.param("brk", "unchanged", id="brk"),
]


@pytest.mark.parametrize("traced", [True, False])
@pytest.mark.parametrize("limit", ["mem/max:128M", "mem/vm_max:384M"])
@pytest.mark.parametrize(("way", "answer"), ASKS)
def test_memory_beyond_the_limit_is_refused(
    sandbox: Guest, way: str, answer: str, limit: str, traced: bool
) -> None:
    """Where there is room it is given; where there is none, the answer is what the kernel's is."""
    rules = [*FREE, limit] if traced else [*FREE, limit, UNTRACED]
    for size, expected in ((1, "0"), (500, answer)):
        outcome = sandbox.python("memory.py", way, str(size), rules=rules, profile=None)
        assert (outcome.status, outcome.out.decode().strip()) == (0, expected), outcome
    name = limit.partition(":")[0]
    record = next(record for record in outcome.log if record.get("cap") == "mem")
    keys = ["mem_max", "mem_cur"] if name == "mem/max" else ["mem_vm_max", "mem_vm_cur"]
    assert list(record)[3:9] == ["ctx", "cap", "act", "sys", *keys], record
    assert (record["mem_size"] >= 499 << 20, record["tip"]) == (True, f"increase `{name}'")


@pytest.mark.parametrize(("way", "answer"), ASKS)
def test_a_limit_of_the_kernel_gives_the_same_answers(
    sandbox: Guest, way: str, answer: str
) -> None:
    program = sandbox.installation.guest / "memory.py"
    script = f"ulimit -v 393216; exec /usr/bin/python3 -I -S {program} {way} 500"
    outcome = sandbox.sibling("native").script(script)
    assert (outcome.status, outcome.out.decode().strip()) == (0, answer), outcome


def test_memory_that_is_used_counts(sandbox: Guest) -> None:
    rules = [*FREE, "mem/max:128M"]
    for size, answer in ((32, "0"), (64, "ENOMEM")):
        outcome = sandbox.python("memory.py", "touch", str(size), rules=rules, profile=None)
        assert outcome.out.decode().strip() == answer, outcome


def test_a_copy_by_mremap_counts_as_a_whole(sandbox: Guest) -> None:
    rules = [*FREE, "mem/vm_max:512M"]
    for size, answer in ((50, "0"), (260, "ENOMEM")):
        outcome = sandbox.python("memory.py", "dontunmap", str(size), rules=rules, profile=None)
        assert outcome.out.decode().strip() == answer, outcome


@pytest.mark.parametrize(
    ("action", "status", "logged"),
    [("deny", 0, True), ("filter", 0, False), ("warn", 0, True), ("kill", 137, True)],
)
def test_the_default_action_says_what_happens(
    sandbox: Guest, action: str, status: int, logged: bool
) -> None:
    rules = [*FREE, "mem/max:128M", f"default/mem:{action}"]
    outcome = sandbox.python("memory.py", "mmap", "500", rules=rules, profile=None)
    answer = {"warn": "0", "kill": ""}.get(action, "ENOMEM")
    assert (outcome.status, outcome.out.decode().strip()) == (status, answer), outcome
    assert [record["act"] for record in outcome.denials()] == [action] * logged


def test_no_limit_holds_where_the_category_is_off(sandbox: Guest) -> None:
    rules = [*FREE, "lock:off", "mem/max:128M"]
    program = sandbox.installation.guest / "memory.py"
    script = f"""
        ask() {{ /usr/bin/python3 -I -S {program} mmap 500; }}
        ask; test -c /dev/syd/sandbox/mem:off; ask
    """
    outcome = sandbox.script(script, rules=rules, profile=None)
    assert outcome.out.decode().split() == ["ENOMEM", "0"], outcome


def test_a_program_sees_the_limit_as_the_memory_there_is(sandbox: Guest) -> None:
    rules = [*FREE, "mem/max:3G"]
    script = "import os; print(os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') >> 20)"
    outcome = sandbox.run("/usr/bin/python3", "-I", "-S", "-c", script, rules=rules, profile=None)
    assert outcome.out.decode().strip() == "3072", outcome


FORK = "echo before; (echo inside); echo after"


@pytest.mark.parametrize(
    ("action", "status", "out"),
    [
        ("kill", 137, "before"),
        ("filter", 137, "before"),
        ("abort", 134, "before"),
        ("warn", 0, "before inside after"),
        ("exit", 13, "before"),
    ],
)
def test_the_limit_of_tasks_is_carried_out_at_the_fork(
    sandbox: Guest, action: str, status: int, out: str
) -> None:
    rules = [*FREE, "pid/max:2", f"default/pid:{action}"]
    outcome = sandbox.run("/bin/sh", "-c", FORK, rules=rules, profile=None)
    assert (outcome.status, " ".join(outcome.out.decode().split())) == (status, out), outcome
    records = [record for record in outcome.log if "pid" in str(record["ctx"])]
    if action == "filter":
        assert not records
        return
    assert records[0]["ctx"] == ("pid_limit" if action == "warn" else "limit_pid")
    keys = ["sys_tasks", "syd_tasks", "ppid", "pgid", "syd_pid", "syd_pgid"]
    first = ["ctx", "err"] if action in ("warn", "exit") else ["ctx", "err", "pid_max", "sig"]
    assert list(records[0])[3 : 3 + len(first) + 6] == first + keys


def test_a_process_group_of_its_own_is_ended_and_nobody_else(sandbox: Guest) -> None:
    """The first process forks in another group before the limit is set, and lives on."""
    rules = [*FREE, "lock:off"]
    script = r"""
        import os, sys
        child = os.fork()
        if child == 0:
            os.setpgid(0, 0)
            os.stat("/dev/syd/pid/max:2")
            os.fork()
            os._exit(0)
        print(os.waitpid(child, 0)[1])
    """
    script = "\n".join(line[8:] for line in script.split("\n"))
    rules += ["pid/max:1000000"]
    outcome = sandbox.run("/usr/bin/python3", "-I", "-S", "-c", script, rules=rules, profile=None)
    assert (outcome.status, outcome.out.strip()) == (0, b"9"), outcome


def test_room_for_more_tasks_is_given(sandbox: Guest) -> None:
    outcome = sandbox.run("/bin/sh", "-c", FORK, rules=[*FREE, "pid/max:100000"], profile=None)
    assert (outcome.status, outcome.out) == (0, b"before\ninside\nafter\n"), outcome


def test_a_limit_that_is_set_where_the_category_is_off_changes_nothing(sandbox: Guest) -> None:
    script = "test -c /dev/syd/pid/max:2 && test -c /dev/syd/mem/max:1 && " + FORK
    outcome = sandbox.run("/bin/sh", "-c", script, rules=[*FREE, "lock:off"], profile=None)
    assert (outcome.status, outcome.out) == (0, b"before\ninside\nafter\n"), outcome


def test_tasks_are_not_limited_where_nobody_sees_them_come(sandbox: Guest) -> None:
    rules = [*FREE, UNTRACED, "pid/max:100000"]
    outcome = sandbox.run("/bin/echo", "ran", rules=rules, profile=None, log_apart=False)
    assert (outcome.status, outcome.out) == (38, b""), outcome
