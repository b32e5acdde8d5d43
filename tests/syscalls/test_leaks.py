# SPDX-License-Identifier: GPL-3.0-or-later
"""Neither descriptors nor memory of the supervisor grow with the calls that it answers.

Its memory holds the last verdicts on names, some thousands: until those are full it grows a little.

A round makes every case of some tables, so each call in all its ways to succeed and to fail, and a
process for each case. `--rounds 25` makes more than a million calls.
"""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import host
from tests.support.guest import Guest
from tests.support.holding import State, at_rest, state
from tests.syscalls.tables import RULES

if TYPE_CHECKING:
    from collections.abc import Iterator

TABLES = ("cases_order", "cases_descriptors", "cases_sockets", "cases_task", "cases_ipc",
          "cases_change", "cases_closing")  # fmt: skip
NETWORK = ("cases_net", "cases_net_messages", "cases_net_peers", "cases_killed")
SWITCHES = (
    "sandbox/all:on", "sandbox/lock,mem,pid,proxy,pty,uring,tpe,force,ioctl:off",
    "trace/allow_unsafe_memfd:1", "trace/allow_unsafe_shm:1", "trace/allow_unsafe_msgqueue:1",
    "rlimit/msgqueue:off",
)  # fmt: skip
WARM = 1  # Rounds until everything is loaded and every buffer has the size it needs.
ROOM = 1024  # What the allocator may take more, in KiB.
NAMES = 512  # What is remembered of the last sockets may take that much more, after each round.
_CALLER = "anon_inode:[pidfd]"

pytestmark = [
    pytest.mark.skipif(
        os.geteuid() != 0, reason="needs root: nobody else may look at the supervisor"
    ),
    pytest.mark.timeout(900),
]


def lasting(held: State) -> list[str]:
    """Return the descriptors that are held for good: an emulator keeps one of its last caller."""
    return [name for name in held.descriptors if name != _CALLER]


@contextmanager
def started(installation: host.Installation, target: str, *words: str) -> Iterator[Any]:
    """Run a program inside that makes a round of something for each line that it reads."""
    guest = Guest("madcap", host.ordinary_user(), installation, target)
    guest.fresh_work()
    options: dict[str, Any] = dict(guest.identity.spawn_options())
    argv = guest.command([host.PYTHON, "-I", *words], SWITCHES, RULES)
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, cwd=guest.work, env=guest.environment(), text=True,
        start_new_session=True, umask=0o022, **options,
    ) as process:  # fmt: skip
        yield process
        process.stdin.close()  # type: ignore[union-attr]
        assert process.wait(30) == 0
    guest.close()


@pytest.mark.parametrize(
    ("tables", "least", "more"),
    [pytest.param(TABLES, 10_000, 0, id="files"),
     pytest.param(NETWORK, 1000, NAMES, id="network")],
)  # fmt: skip
def test_the_supervisor_holds_no_more_after_many_calls(
    installation: host.Installation,
    target: str,
    request: pytest.FixtureRequest,
    tables: tuple[str, ...],
    least: int,
    more: int,
) -> None:
    program = str(installation.guest / "many_calls.py")
    with started(installation, target, "-S", program, *tables) as process:
        _rounds(process, request, least, more)


def _rounds(process: Any, request: pytest.FixtureRequest, least: int, more: int) -> None:
    rounds = max(request.config.getoption("--rounds"), WARM + 1)
    assert process.stdout.readline() == "ready\n"
    time.sleep(4)  # The emulators that the start took are gone after 3 s.
    threads = state(process.pid).threads
    seen = []
    calls = 0
    for _ in range(rounds):
        process.stdin.write("\n")
        process.stdin.flush()
        calls = int(process.stdout.readline())
        seen.append(at_rest(process.pid, threads))
        print(f"{calls} calls: {len(seen[-1].descriptors)} descriptors, {seen[-1].memory} KiB")
        assert seen[-1].threads == threads
    warm = seen[WARM - 1]
    assert calls > least * rounds
    for number, later in enumerate(seen[WARM:], 1):
        assert lasting(later) == lasting(warm)
        assert later.descriptors.count(_CALLER) <= later.threads
        assert later.memory <= warm.memory + ROOM + more * number


_SIZES = """
import socket, sys
one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
size = 0
print("ready", flush=True)
while sys.stdin.readline():
    for size in range(size + 1, size + 2001):
        try:
            one.recvmsg(10_000 + size, size, socket.MSG_DONTWAIT)
        except BlockingIOError:
            pass
    print(size, flush=True)
"""


def test_the_supervisor_holds_nothing_of_sizes_that_a_guest_chooses(
    installation: host.Installation, target: str
) -> None:
    """A type for each size would stay, at 3 KiB: nobody collects cycles."""
    seen = []
    with started(installation, target, "-c", _SIZES) as process:
        assert process.stdout.readline() == "ready\n"
        for _ in range(3):
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline()
            seen.append(state(process.pid).memory)
    assert seen[-1] <= seen[0] + ROOM, seen


_WAITING = """
import os, socket, sys, threading, time
one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
def wait(size):
    one.recvmsg(size, 64)
print("ready", flush=True)
size = 0
while sys.stdin.readline():
    before = len(os.listdir("/proc/self/task"))
    for _ in range(40):
        threading.Thread(target=wait, args=(size or 100,), daemon=True).start()
    time.sleep(1)
    size = 4 << 20
    print(len(os.listdir("/proc/self/task")) - before, flush=True)
os._exit(0)
"""


def test_a_call_that_waits_holds_no_room_for_what_may_come(
    installation: host.Installation, target: str
) -> None:
    """Its caller names a size, and need not have any memory of that size."""
    seen = []
    with started(installation, target, "-c", _WAITING) as process:
        assert process.stdout.readline() == "ready\n"
        for _ in range(2):
            before = state(process.pid).memory
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "40\n"
            seen.append(state(process.pid).memory - before)
    small, large = seen
    assert large <= small + 2 * ROOM, seen
