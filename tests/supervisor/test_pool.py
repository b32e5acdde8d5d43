# SPDX-License-Identifier: GPL-3.0-or-later
"""The emulators: one for each call that blocks, and none for long that has nothing to do."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.supervisor.session import Session, started, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.guest import Guest

IDLE = 3.0  # Seconds after which an emulator without work leaves.

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may look at the supervisor")


@contextmanager
def session(sandbox: Guest, *words: str, **options: Any) -> Iterator[Session]:
    """Run the guest program `blocked.py` until all its readers are on their way."""
    with started(sandbox, "blocked.py", *words, **options) as made:
        assert made.hear() == "blocked"
        yield made


def test_five_hundred_calls_block_at_once_and_all_are_served(sandbox: Guest) -> None:
    with session(sandbox, "500", "threads") as made:
        before = made.memory()
        assert wait_until(lambda: made.threads() >= 504, 30)
        # An emulator each, one that receives, one that stands by, and two others.
        assert made.threads() == 504
        assert made.memory() - before < 60
        made.say("open")
        assert made.hear() == "[('opened', 500)]"
        assert wait_until(lambda: made.threads() == 4, IDLE + 5)


def test_two_hundred_killed_processes_leave_nothing_behind(sandbox: Guest) -> None:
    with session(sandbox, "200", "processes") as made:
        assert wait_until(lambda: made.threads() == 204, 30)
        made.say("kill")
        assert made.hear() == "killed"
        assert wait_until(lambda: made.threads() == 4, IDLE + 5)
        made.say("look")
        assert made.hear() == "[('ENXIO', 200)]"
        left = [name for name in made.descriptors() if "/fifo" in name or name.endswith("stat")]
        assert left == []


def test_a_thread_with_work_does_not_leave(sandbox: Guest) -> None:
    with session(sandbox, "3", "threads") as made:
        assert wait_until(lambda: made.threads() == 7)
        time.sleep(IDLE + 0.5)
        assert made.threads() == 7
        made.say("open")
        assert made.hear() == "[('opened', 3)]"


def test_syd_nproc_emulators_stay(sandbox: Guest) -> None:
    with session(sandbox, "6", "threads", environment={"SYD_NPROC": "4"}) as made:
        assert wait_until(lambda: made.threads() == 10)
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
        assert made.hear() == "killed"
        assert wait_until(lambda: made.threads() == 4, IDLE + 5)
        made.say("look")
        assert made.hear() == "[('ENXIO', 40)]"
        made.say("try")
        assert made.hear() == "opened"


def test_the_sandbox_ends_though_calls_are_blocked(sandbox: Guest) -> None:
    with session(sandbox, "50", "processes") as made:
        assert wait_until(lambda: made.threads() == 54)
        start = time.monotonic()
        # The eldest is the only one that reads from us: it ends with its input's end.
        assert made.process.stdin is not None
        children = Path(f"/proc/{made.process.pid}/task/{made.process.pid}/children")
        eldest = int(children.read_text().split()[0])
        os.kill(eldest, 9)
        assert made.process.wait(5) == 137
        assert time.monotonic() - start < 1
