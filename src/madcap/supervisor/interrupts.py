# SPDX-License-Identifier: GPL-3.0-or-later
"""The interrupter: wakes emulators whose guest was hit by a signal or is gone.

Some facts about interrupting an emulated call
----------------------------------------------
Once its notification is received, a guest thread sleeps killably: a signal for it stays pending
until we answer. The kernel shows which thread a signal has picked by moving exactly that thread
from state S to D. So while an emulator blocks on a guest's behalf, the interrupter looks at the
guest's state: D means *hit*. It then sends SIGALRM to the emulator's thread, whose system call
fails with EINTR, and the emulator answers ERESTARTSYS (512), which makes the kernel do on the
guest's way out precisely what it would have done natively: run the handler and fail with EINTR or
restart, stop, or die. Answering 512 to a thread in state S would leak that number to the program,
so it is answered only when D was seen.

A SIGALRM can arrive just before the emulator enters the kernel, and is then lost. So an entry
lives until its emulator unregisters, and is signalled again in every round until then.
"""

from __future__ import annotations

import _thread
import errno
import os
import time

from madcap import events
from madcap.linux.fs import openat2
from madcap.linux.process import tgkill
from madcap.linux.seccomp import id_valid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.host import Host

SIGALRM = 14
PERIOD = 0.005  # Seconds between two looks at the guests whose calls block.
_CONFINE_ERROR = 101


class Entry:
    """One call that an emulator may be blocked in."""

    __slots__ = ("emulator", "gone", "hit", "id", "id_buffer", "name", "status", "tid")

    def __init__(self, emulator: int, ident: int, tid: int, name: str) -> None:
        self.emulator = emulator
        self.id = ident
        self.tid = tid
        self.name = name
        self.id_buffer = bytearray(ident.to_bytes(8, "little"))
        self.status = -1  # Descriptor of the guest's /proc/TID/stat, the interrupter's.
        self.hit = False
        self.gone = False


def state_of(text: bytes) -> bytes:
    """Return the state letter out of a /proc/TID/stat *text*; empty where there is none."""
    end = text.rfind(b") ")
    return text[end + 2 : end + 3] if end >= 0 else b""


def judge(entry: Entry, valid: bool, text: bytes | None) -> bool:
    """Update *entry* from what was seen; tell whether its emulator has to be woken.

    Pure: *valid* says whether the notification still waits, *text* is the guest's stat file, None
    where it could not be read.
    """
    if not valid or text is None:
        entry.gone = entry.gone or not valid
        return not valid
    if state_of(text) == b"D":
        entry.hit = True
    return entry.hit


class Interrupter:
    """The thread, and the registry that emulators share with it."""

    __slots__ = ("_entries", "_host", "_lock", "_pid", "_waiting", "_wake")

    def __init__(self, host: Host) -> None:
        self._host = host
        self._pid = host.pid
        self._entries: dict[int, Entry] = {}
        self._lock = _thread.allocate_lock()
        self._wake = _thread.allocate_lock()
        self._wake.acquire()
        self._waiting = False

    def register(self, entry: Entry) -> None:
        """Watch *entry* until `unregister`."""
        with self._lock:
            self._entries[entry.id] = entry
            if self._waiting:
                self._waiting = False
                self._wake.release()

    def unregister(self, entry: Entry) -> None:
        """Stop watching *entry*; the emulator has left its system call."""
        with self._lock:
            self._entries.pop(entry.id, None)
            status, entry.status = entry.status, -2
        if status >= 0:
            os.close(status)

    def count(self) -> int:
        """How many calls are registered."""
        return len(self._entries)

    def run(self) -> None:
        """The thread's life: sleep while nothing is registered, else look at each entry."""
        while True:
            with self._lock:
                entries = list(self._entries.values())
                if not entries:
                    self._waiting = True
            if not entries:
                self._wake.acquire()
                continue
            time.sleep(PERIOD)
            for entry in entries:
                self._look(entry)

    def _look(self, entry: Entry) -> None:
        text = self._read(entry)
        valid = id_valid(self._host.listener, entry.id_buffer)
        if not judge(entry, valid, text):
            return
        with self._lock:
            if self._entries.get(entry.id) is not entry:
                return
            # Under the lock: the emulator can't leave and be in another call meanwhile.
            self._signal(entry)

    def _read(self, entry: Entry) -> bytes | None:
        """Return the guest's stat text, None where it is gone or can't be read now."""
        fd = entry.status
        if fd == -2:
            return None
        try:
            if fd < 0:
                fd = openat2(self._host.proc, b"%d/stat" % entry.tid, os.O_RDONLY)
                with self._lock:
                    if entry.status == -1 and entry.id in self._entries:
                        entry.status = fd
                    else:
                        os.close(fd)
                        return None
            return os.pread(fd, 512, 0)
        except OSError:
            return None

    def _signal(self, entry: Entry) -> None:
        try:
            tgkill(self._pid, entry.emulator, SIGALRM)
        except OSError as error:
            if error.errno == errno.ESRCH:
                return
            events.emit(
                events.ALERT,
                {"ctx": "int", "op": "interrupt_tid", "tid": entry.emulator, "err": error.errno},
            )
            os._exit(_CONFINE_ERROR)
        if events.level >= events.INFO:
            src: object = {"name": "process"} if entry.gone else {"name": "signal"}
            events.emit(
                events.INFO,
                {"ctx": "int", "op": "interrupt_emulator", "src": src, "sys": entry.name},
                pid=0 if entry.gone else entry.tid,
            )
