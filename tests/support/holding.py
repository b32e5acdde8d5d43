# SPDX-License-Identifier: GPL-3.0-or-later
"""What a supervisor holds: descriptors, memory and threads, as root sees them from outside."""

from __future__ import annotations

import os
import time
from collections import Counter
from typing import NamedTuple

PIDFD = "anon_inode:[pidfd]"


class State(NamedTuple):
    """What a process holds: its descriptors, sorted, its memory in KiB, and its threads.

    Threads may have a table of descriptors of their own; what is in all tables counts.
    """

    descriptors: list[str]
    memory: int
    threads: int

    def more_than(self, other: State) -> list[str]:
        """Return the descriptors that are held and not in *other*.

        A thread keeps a pidfd of the task it served last, so of these there may be as many.
        """
        more = Counter(self.descriptors) - Counter(other.descriptors)
        if self.descriptors.count(PIDFD) <= self.threads:
            del more[PIDFD]
        return sorted(more.elements())

    def is_within(self, other: State) -> bool:
        """Tell whether nothing is held that is not held in *other*, memory apart."""
        return not self.more_than(other) and self.threads <= other.threads


def state(pid: int) -> State:
    """Return what process *pid* holds now."""
    tasks = os.listdir(f"/proc/{pid}/task")
    # Tables that are shared read alike.
    tables = {tuple(_table(f"/proc/{pid}/task/{task}/fd")) for task in tasks}
    with open(f"/proc/{pid}/status") as status:
        lines = dict(line.split(":", 1) for line in status)
    found = sorted(name for table in tables for name in table)
    return State(found, int(lines["RssAnon"].split()[0]), int(lines["Threads"]))


def _table(directory: str) -> list[str]:
    found = []
    for number in _listed(directory):
        try:
            found.append(os.readlink(f"{directory}/{number}"))
        except FileNotFoundError:
            continue
    return sorted(found)


def _listed(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except (FileNotFoundError, ProcessLookupError):  # The thread has ended.
        return []


def at_rest(pid: int, threads: int) -> State:
    """Return what process *pid* holds once it has *threads* and its descriptors stay the same.

    A call may be under way, and an emulator more than needed keeps a descriptor until it ends.
    """
    deadline = time.monotonic() + 20
    seen = [state(pid)]
    while time.monotonic() < deadline:
        time.sleep(0.05)
        seen.append(state(pid))
        same = all(one.descriptors == seen[-1].descriptors for one in seen[-5:])
        if same and len(seen) > 5 and seen[-1].threads <= threads:
            break
    return seen[-1]


def back_within(pid: int, before: State, seconds: float = 20) -> State:
    """Return what process *pid* holds, once it is no more than *before*, or time is over.

    What a call left under way takes its time to end, and so do emulators that are not needed.
    """
    deadline = time.monotonic() + seconds
    while not (seen := state(pid)).is_within(before) and time.monotonic() < deadline:
        time.sleep(0.02)
    return seen
