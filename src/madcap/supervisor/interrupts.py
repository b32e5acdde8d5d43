# SPDX-License-Identifier: GPL-3.0-or-later
"""The interrupter: a thread that wakes emulators whose guest was hit by a signal or is gone.

It sleeps while no call is registered. What it looks for is in `watch` and `watch_status`; here are
the registry it shares with the emulators, and what it sees and does.

Its descriptors are its own: it leaves the table that the emulators share, so that however many
calls block, whatever they hold, it can look at their guests; and it keeps only what it needs.
"""

from __future__ import annotations

import _thread
import errno
import os
import time

from madcap import events
from madcap.abi import flags as F
from madcap.linux.fs import openat2
from madcap.linux.process import close_range, read_file, status_field, tgkill, unshare
from madcap.linux.seccomp import id_valid
from madcap.supervisor.watch import (
    ASK,
    BRISK,
    CALM_AFTER,
    MANY,
    SLOWEST,
    Entry,
    StateWatch,
    close_all,
    numbers,
    pace,
    queued,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.host import Host
    from madcap.supervisor.watch import Watch

SIGALRM = 14
_FATAL = 101
#: Seconds without a registered call after which the thread sleeps until one comes.
LINGER = 0.02
#: SIGCHLD, SIGCONT, SIGURG, SIGWINCH: ignored by default, as bits of a status file.
_DROPPED = 1 << 16 | 1 << 17 | 1 << 22 | 1 << 27
_READ = 1408  # Bytes: the signal lines of a status file come before.


class Interrupter:
    """The thread's body, and the registry that emulators share with it."""

    __slots__ = (
        "_changed", "_ended", "_entries", "_host", "_lock", "_parked", "_wake", "watch",
    )  # fmt: skip

    def __init__(self, host: Host, watch: Watch | None = None) -> None:
        self._host = host
        self.watch: Watch = watch or StateWatch(self, cheap=_has_schedstat(host))
        self._entries: dict[int, Entry] = {}
        self._ended: list[Entry] = []  # Their descriptors are still open, here.
        self._lock = _thread.allocate_lock()
        self._wake = _thread.allocate_lock()
        self._wake.acquire()
        self._parked = False
        self._changed = 0.0  # When something last happened, by `now`.

    # What emulators call

    def register(self, entry: Entry) -> None:
        """Watch *entry* until `unregister`."""
        with self._lock:
            self._entries[entry.id] = entry
            if self._parked:
                self._parked = False
                self._wake.release()

    def unregister(self, entry: Entry) -> None:
        """Stop watching *entry*: its emulator has left the system call, and is woken no more."""
        with self._lock:
            if self._entries.pop(entry.id, None) is not None:
                self._ended.append(entry)

    def end_all(self) -> None:
        """Have every registered call end, whatever its guest's state."""
        with self._lock:
            for entry in self._entries.values():
                entry.manual = True

    def count(self) -> int:
        """How many calls are registered."""
        return len(self._entries)

    # The thread

    def isolate(self) -> None:
        """Leave the descriptor table of the other threads, and keep only what is needed here."""
        unshare(F.CLONE_FILES)
        host = self._host
        keep = sorted(fd for fd in {host.listener, host.proc, events.fd} if fd >= 0)
        start = 0
        for fd in (*keep, 1 << 31):
            if fd > start:
                close_range(start, fd - 1, 0)
            start = fd + 1

    def run(self) -> None:
        """The thread's life: sleep while nothing is registered, else look at each entry."""
        known: list[Entry] = []
        cost = due = 0.0
        count = b""
        own = openat2(self._host.proc, b"self/status", os.O_RDONLY)
        while True:
            now = self.now()
            with self._lock:
                entries = list(self._entries.values())
                ended, self._ended = self._ended, []
                idle = not entries and not ended and now - self._changed > LINGER
                self._parked = idle
            if idle:
                self._wake.acquire()
                self._changed = self.now()
                time.sleep(BRISK)
                continue
            close_all(self, ended)
            for entry in entries:
                relieve, entry.relieve = entry.relieve, None
                if relieve is not None:
                    relieve(entry.emulator)
            calm = now - self._changed > CALM_AFTER and entries == known
            asks = calm and len(entries) >= MANY
            if asks:
                before, count = count, queued(self.read(own))
                if count == before and now < due:
                    time.sleep(ASK)
                    continue
            start = time.thread_time()
            self.watch.round(entries)
            cost = time.thread_time() - start
            due = now + SLOWEST
            if entries != known:
                self._changed = now
                known = entries
            time.sleep(ASK if asks else pace(now - self._changed, cost))

    # The world of the watch

    def now(self) -> float:
        """Return the time in seconds."""
        return time.monotonic()

    def open(self, tid: int, name: bytes) -> int:
        """Open /proc/*tid*/*name*."""
        return openat2(self._host.proc, b"%d/%s" % (tid, name), os.O_RDONLY)

    def read(self, fd: int) -> bytes:
        """Return what an opened file says now."""
        return os.pread(fd, _READ, 0)

    def close(self, fd: int) -> None:
        """Close what `open` returned."""
        os.close(fd)

    def valid(self, entry: Entry) -> bool:
        """Tell whether the notification of *entry* still waits for an answer."""
        return id_valid(self._host.listener, entry.id_buffer)

    def contended(self, entry: Entry) -> bool:
        """Tell whether a dropped signal and another one are pending for the entry's process."""
        if not self._host.traced:
            return False
        try:
            text = read_file(self._host.proc, b"%d/status" % entry.tid, _READ)
            process, blocked = (
                int(status_field(text, name), 16) for name in (b"ShdPnd", b"SigBlk")
            )
        except (OSError, ValueError):
            return False
        pending = process & ~blocked
        return bool(pending & _DROPPED and pending & ~_DROPPED)

    def wake(self, entry: Entry) -> None:
        """Interrupt the system call of the entry's emulator, unless it has left it."""
        with self._lock:  # Held: the emulator can't leave and be in another call meanwhile.
            if self._entries.get(entry.id) is not entry:
                return
            self._changed = self.now()
            try:
                tgkill(self._host.pid, entry.emulator, SIGALRM)
            except OSError as error:
                if error.errno == errno.ESRCH:
                    return
                events.emit(
                    events.ALERT,
                    {"ctx": "int", "op": "interrupt_tid", "tid": entry.emulator,
                     "err": error.errno},
                )  # fmt: skip
                os._exit(_FATAL)

    def record(self, entry: Entry, source: dict[str, object]) -> None:
        """Log that *entry* is woken from now on, and why."""
        if events.level < events.INFO:
            return
        if source["name"] == "signal" and "set" not in source:
            source["set"] = self._pending(entry.tid)
        call = {
            "pid": entry.tid, "sys": entry.name, "args": list(entry.args),
            "handler": entry.emulator, "ignore_restart": not entry.restartable,
        }  # fmt: skip
        events.emit(
            events.INFO, {"ctx": "int", "op": "interrupt_emulator", "src": source, "int": call}
        )

    def _pending(self, tid: int) -> list[int]:
        """Return what is pending for thread *tid* and not blocked; for the log."""
        try:
            text = read_file(self._host.proc, b"%d/status" % tid, _READ)
            thread, process, blocked = (
                int(status_field(text, name), 16) for name in (b"SigPnd", b"ShdPnd", b"SigBlk")
            )
        except (OSError, ValueError):
            return []
        return numbers((thread | process) & ~blocked)


def _has_schedstat(host: Host) -> bool:
    """Tell whether the kernel counts how often a thread ran (CONFIG_SCHED_INFO)."""
    try:
        os.close(openat2(host.proc, b"self/schedstat", os.O_RDONLY))
    except OSError:
        return False
    return True
