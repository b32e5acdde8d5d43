# SPDX-License-Identifier: GPL-3.0-or-later
"""A /proc, a clock and notifications for the rules of the interrupter, played by the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from madcap.supervisor.watch import Entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from madcap.supervisor.watch import Watch

STATUS = b"""Name:\t%(name)s
Umask:\t0022
State:\tS (sleeping)
Tgid:\t%(process)d
SigQ:\t0/31500
SigPnd:\t%(thread)016x
ShdPnd:\t%(shared)016x
SigBlk:\t%(blocked)016x
SigIgn:\t0000000000000000
SigCgt:\t%(caught)016x
CapInh:\t0000000000000000
"""


class Task:
    """A guest's thread as /proc shows it."""

    def __init__(self, process: int) -> None:
        self.process = process
        self.state = "S"
        self.ran = 1
        self.thread = self.shared = self.blocked = self.caught = 0
        self.name = b"a) D (b"

    def becomes(self, state: str) -> None:
        """Run for a moment, then be in *state*."""
        self.state = state
        self.ran += 1

    def file(self, name: bytes) -> bytes:
        """Return what its file *name* says."""
        if name == b"schedstat":
            return b"%d 0 %d\n" % (self.ran * 1000, self.ran)
        if name == b"stat":
            return b"7 (%s) %s 1 7 7 0" % (self.name, self.state.encode())
        return STATUS % {
            b"name": self.name, b"process": self.process, b"thread": self.thread,
            b"shared": self.shared, b"blocked": self.blocked, b"caught": self.caught,
        }  # fmt: skip


class FakeWorld:
    """Implements madcap.supervisor.watch.World."""

    def __init__(self) -> None:
        self.time = 100.0
        self.tasks: dict[int, Task] = {}
        self.waiting: set[int] = set()
        self.refusal = 0  # The errno of the next opens.
        self.files: dict[int, tuple[int, bytes]] = {}
        self.opened: list[bytes] = []
        self.reads: list[bytes] = []
        self.woken: list[int] = []
        self.contending: set[int] = set()
        self.records: list[tuple[int, dict[str, object]]] = []
        self._last = 10

    def block(self, ident: int, *, restartable: bool = True, process: int = 0) -> Entry:
        """Let a guest with thread id 1000 + *ident* wait in a call."""
        tid = 1000 + ident
        self.tasks[tid] = Task(process or tid)
        self.waiting.add(ident)
        return Entry(50 + ident, ident, tid, "openat", restartable=restartable)

    def now(self) -> float:
        return self.time

    def open(self, tid: int, name: bytes) -> int:
        if self.refusal:
            raise OSError(self.refusal, "refused")
        if tid not in self.tasks:
            raise FileNotFoundError(2, "no such task")
        self._last += 1
        self.files[self._last] = (tid, name)
        self.opened.append(name)
        return self._last

    def read(self, fd: int) -> bytes:
        tid, name = self.files[fd]
        if tid not in self.tasks:
            raise ProcessLookupError(3, "no such task")
        self.reads.append(name)
        return self.tasks[tid].file(name)

    def close(self, fd: int) -> None:
        del self.files[fd]

    def valid(self, entry: Entry) -> bool:
        return entry.id in self.waiting

    def contended(self, entry: Entry) -> bool:
        return entry.tid in self.contending

    def wake(self, entry: Entry) -> None:
        self.woken.append(entry.id)

    def record(self, entry: Entry, source: dict[str, object]) -> None:
        self.records.append((entry.id, source))

    def rounds(self, watch: Watch, entries: Sequence[Entry], count: int = 1) -> list[int]:
        """Let *watch* look *count* times, 1 ms apart; return whom it woke."""
        before = len(self.woken)
        for _ in range(count):
            watch.round(entries)
            self.time += 0.001
        return self.woken[before:]
