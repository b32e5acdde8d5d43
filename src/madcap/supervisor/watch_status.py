# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules that look at the guest's pending signals: another way to decide on an interruption.

`SYD_INTERRUPT=status` selects it, to compare with programs that do it so, and for a kernel whose
thread states can't be trusted. It knows only of signals with a handler: a default action, a stop
or a restart wait until the call ends by itself.
"""

from __future__ import annotations

import _thread
from errno import EMFILE, ENFILE, ENOMEM

from madcap.supervisor.watch import ESRCH, PATIENCE, numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from madcap.supervisor.watch import Entry, World

_CRITICAL = (EMFILE, ENFILE, ENOMEM)
#: Processes remembered. Without a tracer nobody says that one has ended; the oldest goes first.
_MOST = 4096
_LINES = (b"Tgid", b"SigPnd", b"ShdPnd", b"SigBlk", b"SigCgt")


def interesting(text: bytes) -> tuple[int, int, int]:
    """Return (process, signals, own) out of a /proc/TID/status *text*.

    The signals that are pending for the thread or its process, have a handler and aren't blocked,
    and those of them that only this thread can take; signal n is bit n - 1. Raises ValueError
    where a line is missing.
    """
    words = []
    at = 0
    for name in _LINES:
        at = text.find(b"\n" + name + b":\t", at)
        if at < 0:
            raise ValueError(f"status: no line {name.decode()}")
        at += len(name) + 3
        words.append(text[at : text.find(b"\n", at)])
    thread, process, blocked, caught = (int(word, 16) for word in words[1:])
    wanted = caught & ~blocked
    return int(words[0]), (thread | process) & wanted, thread & wanted


class StatusWatch:
    """Wakes an emulator when a signal with a handler, and without SA_RESTART, is pending.

    ========  ==================================================  ========  ==================
    from      seen                                                to        done
    ========  ==================================================  ========  ==================
    new       status opened, notification valid                   watched   read at once
    new       not opened for want of descriptors or memory        hit       all others too
    new       not opened for another reason, notification valid   hit       logged (process)
    watched   nothing interesting, or it restarts                 watched   nothing
    watched   signals that the main thread may take instead       watched   up to ten rounds
    watched   interesting signals                                 hit       logged (signal)
    watched   status unreadable, notification valid               hit       logged (process)
    any       notification not valid                              gone      logged (process)
    any       told to end                                         hit       logged (manual)
    hit,gone  whatever                                            the same  woken
    ========  ==================================================  ========  ==================

    The kernel lets the main thread take what is pending for the process, unless it blocks that.
    A status file does not show whom it picked. So a call of another thread ends only when the
    signal is still there after the main thread had a moment to take it.
    """

    __slots__ = ("_lock", "_restarting", "_world", "restarts")

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = _thread.allocate_lock()
        #: By process: its signals that were given a handler with SA_RESTART.
        self._restarting: dict[int, int] = {}
        self.restarts = False

    def action(self, process: int, signal: int, *, restarts: bool) -> None:
        """Take note that *process* sets the action of *signal* (sigaction(2))."""
        bit = 1 << (signal - 1)
        with self._lock:
            known = self._restarting.get(process, 0)
            known = known | bit if restarts else known & ~bit
            if known:
                self._restarting[process] = known
                if len(self._restarting) > _MOST:
                    del self._restarting[next(iter(self._restarting))]
            else:
                self._restarting.pop(process, None)

    def forget(self, process: int) -> None:
        """Forget the actions of *process*, which has ended."""
        with self._lock:
            self._restarting.pop(process, None)

    def round(self, entries: Sequence[Entry]) -> None:
        """Look at every entry once; for want of descriptors or memory, end every call."""
        critical = False
        for entry in entries:
            if not critical and not (entry.hit or entry.gone):
                critical = self._look(entry)
        for entry in entries:
            if critical and not (entry.hit or entry.gone):
                entry.manual = True
                self._hit(entry, {"name": "manual"})
            if entry.hit or entry.gone:
                self._world.wake(entry)

    def _look(self, entry: Entry) -> bool:
        """Tell whether there is a lack of what it takes to look at anybody."""
        world = self._world
        if entry.manual:
            self._hit(entry, {"name": "manual"})
            return False
        try:
            if entry.fd < 0:
                entry.fd = world.open(entry.tid, b"status")
                self._check(entry)
                if entry.gone:
                    return False
            process, signals, own = interesting(world.read(entry.fd))
        except OSError as error:
            number = error.errno or ESRCH
            if entry.fd < 0 and number in _CRITICAL:
                return True
            self._unreadable(entry, number)
            return False
        except ValueError:
            self._unreadable(entry, ESRCH)
            return False
        if not signals:
            entry.patience = PATIENCE
            return False
        self._check(entry)
        if entry.restartable:
            with self._lock:
                signals &= ~self._restarting.get(process, 0)
        if not signals or entry.gone:
            return False
        if process != entry.tid and not signals & own and entry.patience:
            entry.patience -= 1
        else:
            self._hit(entry, {"name": "signal", "set": numbers(signals)})
        return False

    def _unreadable(self, entry: Entry, number: int) -> None:
        self._check(entry)
        if not entry.gone:
            self._hit(entry, {"name": "process", "err": number})

    def _check(self, entry: Entry) -> None:
        if not self._world.valid(entry):
            entry.gone = True
            self._world.record(entry, {"name": "process", "err": ESRCH})

    def _hit(self, entry: Entry, source: dict[str, object]) -> None:
        entry.hit = True
        self._world.record(entry, source)
