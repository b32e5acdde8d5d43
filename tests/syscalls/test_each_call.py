# SPDX-License-Identifier: GPL-3.0-or-later
"""The supervisor holds no more after each kind of call was made many times.

Each call of kernel/table.py is made in a loop (tests/guest/call_loops.py), where it succeeds and
where it fails, and the supervisor then has the descriptors and threads that it had before, and no
more memory. `--calls 1000000` makes a million of each kind; a program is executed for one in a
thousand of those.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from madcap.kernel.table import rows
from tests.support import host
from tests.support.guest import Guest
from tests.support.holding import at_rest, back_within, state
from tests.syscalls.tables import RULES

if TYPE_CHECKING:
    from collections.abc import Iterator

SWITCHES = (
    "sandbox/all:on", "sandbox/lock,pid,proxy,pty,uring,tpe,force:off", "sandbox/ioctl,mem:on",
    "mem/vm_max:64G", "lock:exec", "trace/allow_unsafe_proc_name:0", "trace/allow_unsafe_memfd:1",
    "trace/allow_unsafe_shm:1", "trace/allow_unsafe_msgqueue:1", "rlimit/msgqueue:off",
    "trace/allow_unsafe_nice:1", "trace/allow_unsafe_prlimit:1", "trace/allow_safe_syslog:1",
    "trace/allow_unsafe_xattr:1",
)  # fmt: skip
#: What else some calls need to be trapped at all.
ENVIRONMENT = {"SYD_INTERRUPT": "status", "SYD_ASSUME_KERNEL": "5.19"}
WARM = 40  # Turns of each loop until everything is loaded.
#: Turns until the tables are full that remember a bounded number of the last sockets, or names.
FULL = 20_000
TABLES = 16 << 10  # What those may take, in KiB.
ROOM = 1024  # What the allocator may take more, in KiB: a byte a call, in the long form.
PROGRAMS = "execve execveat"
SELDOM = 1000

pytestmark = [
    pytest.mark.skipif(
        os.geteuid() != 0, reason="needs root: nobody else may look at the supervisor"
    ),
    pytest.mark.timeout(3600),
]


class Loops:
    """A sandbox whose guest makes calls in loops, and how many of each kind it made."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.about: dict[str, dict[str, int]] = json.loads(self._hear())
        self.made = dict.fromkeys([name for calls in self.about.values() for name in calls], 0)
        for title in self.about:
            self._take(title, WARM if title != PROGRAMS else 2)
        self.rest = at_rest(process.pid, state(process.pid).threads)

    def _hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def _take(self, title: str, turns: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{turns} {title}\n")
        self.process.stdin.flush()
        wrong = json.loads(self._hear() or '"the guest is gone"')
        assert not wrong
        for name, calls in self.about[title].items():
            self.made[name] += calls * turns

    def make(self, name: str, wanted: int) -> None:
        """See to it that the call *name* was made *wanted* times, and look what that left."""
        for title, calls in self.about.items():
            if name not in calls:
                continue
            if title == PROGRAMS:
                self._take(title, -(-wanted // SELDOM))
            elif self.made[name] < wanted:
                turns = -(-wanted // min(calls.values()))
                if turns > 2 * FULL:
                    self._take(title, FULL)
                    self._look(title, TABLES)
                    turns -= FULL
                self._take(title, turns)
            else:
                continue
            self._look(title, ROOM)

    def _look(self, title: str, room: int) -> None:
        before, now = self.rest, back_within(self.process.pid, self.rest)
        counts = ", ".join(f"{self.made[name]} {name}" for name in self.about[title])
        print(f"{counts}: {len(now.descriptors)} descriptors, {now.threads} threads,", end=" ")
        print(f"{now.memory} KiB ({now.memory - before.memory:+})", flush=True)
        assert not now.more_than(before)
        assert now.threads <= before.threads
        assert now.memory <= before.memory + room
        self.rest = now


@pytest.fixture(scope="module")
def loops(installation: host.Installation, target: str) -> Iterator[Loops]:
    guest = Guest("madcap", host.ordinary_user(), installation, target)
    guest.fresh_work()
    words = [host.PYTHON, "-I", "-S", str(installation.guest / "each_call.py")]
    options: dict[str, Any] = dict(guest.identity.spawn_options())
    with subprocess.Popen(
        guest.command(words, SWITCHES, RULES), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, cwd=guest.work, env=guest.environment(ENVIRONMENT), text=True,
        start_new_session=True, umask=0o022, **options,
    ) as started:  # fmt: skip
        yield Loops(started)
        started.stdin.close()  # type: ignore[union-attr]
        assert started.wait(30) == 0
    guest.close()


@pytest.mark.parametrize("name", [row.name for row in rows()])
def test_many_calls_leave_nothing_behind(
    loops: Loops, request: pytest.FixtureRequest, name: str
) -> None:
    assert name in loops.made, "no loop makes this call"
    wanted = request.config.getoption("--calls")
    loops.make(name, wanted)
    assert loops.made[name] >= wanted
