# SPDX-License-Identifier: GPL-3.0-or-later
"""The emulators: one for each call that blocks, and none for long that has nothing to do."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.guest import Guest

PROFILE = "signals.syd-3"
IDLE = 3.0  # Seconds after which an emulator without work leaves.

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may look at the supervisor")


class Session:
    """A sandbox in which guests block, and its supervisor as root sees it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.directory = Path(f"/proc/{process.pid}")

    def threads(self) -> int:
        return len(list((self.directory / "task").iterdir()))

    def descriptors(self) -> list[str]:
        """Return what every descriptor of every table of the supervisor refers to, sorted."""
        found = []
        for task in (self.directory / "task").iterdir():
            for entry in (task / "fd").iterdir():
                try:
                    found.append(os.readlink(entry))
                except FileNotFoundError:
                    continue
        return sorted(found)

    def memory(self) -> float:
        """Return the supervisor's own share of memory, in MiB."""
        lines = (self.directory / "smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


def wait_until(true: Callable[[], bool], seconds: float = 10) -> bool:
    """Wait until *true* is; return False if it is not within *seconds*."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@contextmanager
def session(
    sandbox: Guest, *words: str, environment: dict[str, str] | None = None, limit: int = 0
) -> Iterator[Session]:
    """Run the guest program `blocked.py`; *limit* is the supervisor's limit of descriptors."""
    sandbox.fresh_work()
    program = str(sandbox.installation.guest / "blocked.py")
    command = sandbox.command([host.PYTHON, "-I", "-S", program, *words], profile=PROFILE)
    if limit:
        command = ["/usr/bin/prlimit", f"--nofile={limit}:{limit}", *command]
    process = subprocess.Popen(
        command,
        cwd=sandbox.work,
        env=sandbox.environment(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **sandbox.identity.spawn_options(),  # type: ignore[call-overload]
    )
    try:
        made = Session(process)
        assert made.hear() == "blocked"
        yield made
    finally:
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        process.wait()


def test_five_hundred_calls_block_at_once_and_all_are_served(sandbox: Guest) -> None:
    with session(sandbox, "500", "threads") as made:
        before = made.memory()
        assert wait_until(lambda: made.threads() >= 503, 30)
        assert made.threads() == 503  # An emulator each, one that receives, and two others.
        assert made.memory() - before < 60
        made.say("open")
        assert made.hear() == "[('opened', 500)]"
        assert wait_until(lambda: made.threads() == 3, IDLE + 5)


def test_two_hundred_killed_processes_leave_nothing_behind(sandbox: Guest) -> None:
    with session(sandbox, "200", "processes") as made:
        assert wait_until(lambda: made.threads() == 203, 30)
        made.say("kill")
        assert made.hear() == "[('ENXIO', 200)]"
        assert wait_until(lambda: made.threads() == 3, IDLE + 5)
        left = [name for name in made.descriptors() if "/fifo" in name or name.endswith("stat")]
        assert left == []


def test_a_thread_with_work_does_not_leave(sandbox: Guest) -> None:
    with session(sandbox, "3", "threads") as made:
        assert wait_until(lambda: made.threads() == 6)
        time.sleep(IDLE + 0.5)
        assert made.threads() == 6
        made.say("open")
        assert made.hear() == "[('opened', 3)]"


def test_syd_nproc_emulators_stay(sandbox: Guest) -> None:
    with session(sandbox, "6", "threads", environment={"SYD_NPROC": "4"}) as made:
        assert wait_until(lambda: made.threads() == 9)
        made.say("open")
        assert made.hear() == "[('opened', 6)]"
        assert wait_until(lambda: made.threads() == 6, IDLE + 3)
        time.sleep(1)
        assert made.threads() == 6


@pytest.mark.parametrize("mode", ["state", "status"])
def test_at_syd_nproc_max_calls_fail_and_others_are_served(sandbox: Guest, mode: str) -> None:
    """What blocks when one emulator is left ends with EINTR; status ends what blocks already."""
    environment = {"SYD_NPROC": "2", "SYD_NPROC_MAX": "3", "SYD_INTERRUPT": mode}
    with session(sandbox, "6", "threads", environment=environment) as made:
        time.sleep(0.5)
        assert made.threads() <= 5
        made.say("open")
        answer = made.hear()
        blocked = {"state": "[('EINTR', 4), ('opened', 2)]"}
        assert answer == blocked.get(mode, answer)
        assert "EINTR" in answer


def test_a_lack_of_descriptors_is_the_guests_error_and_no_hang(sandbox: Guest) -> None:
    with session(sandbox, "40", "processes", limit=64) as made:
        time.sleep(0.5)
        made.say("try")
        assert made.hear() == "EMFILE"
        made.say("kill")
        assert made.hear() == "[('ENXIO', 40)]"
        made.say("try")
        assert made.hear() == "opened"


def test_the_sandbox_ends_though_calls_are_blocked(sandbox: Guest) -> None:
    with session(sandbox, "50", "processes") as made:
        assert wait_until(lambda: made.threads() == 53)
        start = time.monotonic()
        # The eldest is the only one that reads from us: it ends with its input's end.
        assert made.process.stdin is not None
        children = Path(f"/proc/{made.process.pid}/task/{made.process.pid}/children")
        eldest = int(children.read_text().split()[0])
        os.kill(eldest, 9)
        assert made.process.wait(5) == 137
        assert time.monotonic() - start < 1
