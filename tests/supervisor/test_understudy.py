# SPDX-License-Identifier: GPL-3.0-or-later
"""A call that blocks where nobody expected it holds up its caller, and the others not for long."""

from __future__ import annotations

import json
import os
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.supervisor.session import Session, started, wait_until
from tests.support import host

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.guest import Guest

OPENERS = 3
PATIENCE = 10.0  # Seconds; two are what it takes, and a lease is broken after 45.


@contextmanager
def leased(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[str]]:
    """Have somebody outside hold the lease of a file in the guest's directory."""
    guest.fresh_work()
    monkeypatch.setattr(guest, "fresh_work", lambda: guest.work)
    holder = subprocess.Popen(
        [host.PYTHON, "-I", "-S", str(guest.installation.guest / "leased.py"), "hold"],
        cwd=guest.work, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        **guest.identity.spawn_options(),  # type: ignore[call-overload]
    )  # fmt: skip
    try:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "leased\n"
        yield holder
    finally:
        holder.stdin.close()
        holder.stdout.close()
        assert holder.wait(5) == 0


@pytest.mark.timeout(120)
def test_an_open_that_waits_for_a_lease_holds_up_nobody_else(
    guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        leased(guest, monkeypatch) as holder,
        started(guest, "leased.py", str(OPENERS)) as made,
    ):
        found = json.loads(made.hear())
        assert found["early"] == ""  # All of them still wait.
        assert max(found["longest"]) < PATIENCE
        assert holder.stdin is not None
        holder.stdin.write("\n")
        holder.stdin.flush()
        made.say("")
        assert made.hear() == "o" * OPENERS
        made.say("")
        assert made.process.wait(10) == 0


def switches(made: Session) -> dict[str, int]:
    """Return how often each thread of the supervisor has gone to sleep."""
    found = {}
    for task in (made.directory / "task").iterdir():
        lines = (task / "status").read_text().splitlines()
        found[task.name] = next(
            int(line.split()[1]) for line in lines if line.startswith("voluntary")
        )
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may look at the supervisor")
def test_who_stands_by_sleeps_while_nothing_happens(sandbox: Guest) -> None:
    """Also where a call blocks as expected: but for the interrupter, which looks at that."""
    with started(sandbox, "blocked.py", "0", "threads") as made:
        assert made.hear() == "blocked"
        assert wait_until(lambda: made.threads() == 4)
        time.sleep(2.5)  # What happened last was seen to be over.
        before = switches(made)
        time.sleep(3)
        assert switches(made) == before
        made.say("try")
        assert made.hear() == "opened"
        time.sleep(2.5)
        last = switches(made)
        assert last != before
        time.sleep(3)
        assert switches(made) == last


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may look at the supervisor")
def test_who_stands_by_wakes_once_a_second_while_calls_come(sandbox: Guest) -> None:
    with started(sandbox, "leased.py", "1") as made:
        assert wait_until(lambda: made.threads() == 4)
        time.sleep(0.5)
        before = switches(made)
        found = json.loads(made.hear())
        spent = sorted(count - before[task] for task, count in switches(made).items())
        assert found["early"] == "o"  # Nobody has a lease: the open does not wait.
        assert spent[-1] > 100  # The receiver. Main and interrupter do nothing.
        assert sum(spent[:-1]) < 20
