# SPDX-License-Identifier: GPL-3.0-or-later
"""SegvGuard: a program that crashes again and again is not executed for a while."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.guest import Guest, Outcome

FREE = ("include_profile off", "lock:off", "segvguard/maxcrashes:2")
CRASH = "./crasher -c 'kill -{signal} $$'; echo $?; "
COMMAND = "test -c /dev/syd/"


def crasher(work: Path) -> None:
    shutil.copy("/bin/sh", work / "crasher")


def statuses(outcome: Outcome) -> list[int]:
    assert outcome.status == 0, outcome
    return [int(line) for line in outcome.out.split()]


def crash(sandbox: Guest, script: str, *rules: str) -> Outcome:
    """Run *script* with a shell called `crasher` at hand."""
    return sandbox.run(
        "/bin/sh", "-c", script, rules=[*FREE, *rules], profile=None, prepare=crasher,
        environment={"SYD_LOG": "info"},
    )  # fmt: skip


def of_segvguard(outcome: Outcome) -> list[dict[str, object]]:
    return [record for record in outcome.log if record["ctx"] == "segvguard"]


@pytest.mark.parametrize(
    ("signal", "number"), [("SEGV", 11), ("ABRT", 6), ("KILL", 9), ("SYS", 31)]
)
def test_a_program_that_crashed_too_often_is_suspended(
    sandbox: Guest, signal: str, number: int
) -> None:
    outcome = crash(sandbox, CRASH.format(signal=signal) * 3 + "cp crasher other; ./other -c :")
    assert statuses(outcome) == [128 + number, 128 + number, 126], outcome
    first, second, third = of_segvguard(outcome)
    assert list(first)[3:6] == list(second)[3:6] == ["ctx", "path", "sig"]
    assert first["msg"] == f"1 crash recorded after SIG{signal}"
    assert second["msg"] == f"suspending after SIG{signal} due to 2 crashes"
    assert list(third)[3:7] == ["ctx", "act", "sys", "path"]
    assert third["msg"] == "max crashes 2 exceeded, execution of `crasher' denied"
    assert {record["path"] for record in (first, second, third)} == {f"{sandbox.work}/crasher"}


@pytest.mark.parametrize("signal", ["TERM", "INT", "HUP"])
def test_other_ends_are_no_crashes(sandbox: Guest, signal: str) -> None:
    outcome = crash(sandbox, CRASH.format(signal=signal) * 4)
    assert len(set(statuses(outcome))) == 1, outcome
    assert not of_segvguard(outcome)


@pytest.mark.parametrize(
    ("rules", "last"),
    [
        (["default/segvguard:kill"], 137),
        (["default/segvguard:warn"], 139),
        (["default/segvguard:filter"], 126),
        (["segvguard/maxcrashes:3"], 139),
        (["segvguard/expiry:0"], 139),
        (["trace/allow_unsafe_ptrace:1"], 139),
    ],
)
def test_rules_say_when_a_program_is_suspended_and_what_follows(
    sandbox: Guest, rules: list[str], last: int
) -> None:
    outcome = crash(sandbox, CRASH.format(signal="SEGV") * 3, *rules)
    assert statuses(outcome) == [139, 139, last], outcome


def test_switching_it_off_ends_a_suspension(sandbox: Guest) -> None:
    script = CRASH.format(signal="SEGV") * 3 + COMMAND + "segvguard/expiry:0; "
    outcome = crash(sandbox, script + CRASH.format(signal="SEGV"))
    assert statuses(outcome) == [139, 139, 126, 139], outcome


def test_a_suspension_and_the_memory_of_crashes_end(sandbox: Guest) -> None:
    one = CRASH.format(signal="SEGV")
    outcome = crash(
        sandbox, f"{one * 3} sleep 1.1; {one} sleep 1.1; {one} {one}",
        "segvguard/suspension:1", "segvguard/expiry:1",
    )  # fmt: skip
    assert statuses(outcome) == [139, 139, 126, 139, 139, 139], outcome


def test_a_crash_of_many_threads_is_one(sandbox: Guest) -> None:
    script = (
        "import os, threading\n"
        "for _ in range(8): threading.Thread(target=threading.Event().wait).start()\n"
        "os.kill(os.getpid(), 6)\n"
    )
    shell = f"for i in 1 2; do /usr/bin/python3 -I -S -c '{script}'; echo $?; done"
    outcome = sandbox.run(
        "/bin/sh", "-c", shell, profile=None, environment={"SYD_LOG": "info"},
        rules=[*FREE, "trace/allow_unsafe_exec_nopie:1", "segvguard/maxcrashes:3"],
    )  # fmt: skip
    assert statuses(outcome) == [134, 134]
    messages = [record["msg"] for record in of_segvguard(outcome)]
    assert messages == ["1 crash recorded after SIGABRT", "2 crashes recorded after SIGABRT"]


def test_a_suspended_program_does_not_run_by_another_way(sandbox: Guest) -> None:
    """As the interpreter of a script it is found when it was executed, and killed."""
    script = (
        CRASH.format(signal="SEGV") * 2
        + 'printf "#!$PWD/crasher\necho ran\n" >script; chmod +x script; ./script; echo $?'
    )
    assert statuses(crash(sandbox, script)) == [139, 139, 137]


def test_the_first_process_counts_only_where_others_are_awaited(sandbox: Guest) -> None:
    for rules, records in (((), 0), (("trace/exit_wait_all:1",), 1)):
        outcome = crash(sandbox, "kill -SEGV $$", *rules)
        assert (outcome.status, len(of_segvguard(outcome))) == (139, records), outcome
