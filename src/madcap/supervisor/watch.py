# SPDX-License-Identifier: GPL-3.0-or-later
"""When to wake an emulator that blocks on a guest's behalf: the rules, apart from the thread.

Some facts about interrupting an emulated call (docs/design.md has the whole story): once its
notification is received, a guest's thread sleeps killably. A signal for it stays pending until we
answer, and the kernel shows which thread it picked by moving exactly that one from state S to D.
Then the call counts as *hit*: its emulator is woken by SIGALRM, gets EINTR from the kernel, and
answers ERESTARTSYS, whereupon the kernel does what it would have done natively. To a thread in
state S that answer would leak into the program, so it is given only after D was seen.

Nothing here touches the kernel: what is seen and done goes through a `World`, and tests play one.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Protocol

    class World(Protocol):
        """What a watch can see and do. Descriptors belong to the watch's own thread."""

        def now(self) -> float:
            """Return the time in seconds, from any start."""

        def open(self, tid: int, name: bytes) -> int:
            """Open /proc/*tid*/*name*. Raises OSError."""

        def read(self, fd: int) -> bytes:
            """Return what an opened file says now. Raises OSError."""

        def close(self, fd: int) -> None:
            """Close what `open` returned."""

        def valid(self, entry: Entry) -> bool:
            """Tell whether the notification of *entry* still waits for an answer."""

        def contended(self, entry: Entry) -> bool:
            """Tell whether the guest may have been picked only because it is traced.

            That is so where a signal which is dropped by default is pending for its process
            beside one that any thread can take.
            """

        def wake(self, entry: Entry) -> None:
            """Interrupt the system call of the entry's emulator, unless it has left it."""

        def record(self, entry: Entry, source: dict[str, object]) -> None:
            """Log that *entry* is woken from now on, and why."""

    class Watch(Protocol):
        """A set of rules."""

        #: Whether a call that was hit may be answered ERESTARTSYS.
        restarts: bool

        def round(self, entries: Sequence[Entry]) -> None:
            """Look at every registered call once and wake whose time has come."""


ESRCH = 3
#: Seconds after which the state is read even though nothing seems to have happened.
DISTRUST = 0.1

BRISK = 0.001  # Seconds between two rounds while things happen,
CALM = 0.003  # where nothing happened for
CALM_AFTER = 1.0  # this long,
SLOWEST = 0.008  # and at most, however many calls are blocked.
#: Rounds that a guest waits while a signal may be for another thread (see `StateWatch`).
PATIENCE = 10
#: From this many calls on, it is cheaper to ask whether any signal is queued: every so often.
MANY, ASK = 8, 0.002
#: Up to that, a round is followed by this many times its own length of sleep: it takes a fifth of
#: a CPU at most, a tenth where nothing happens.
BRISK_REST, CALM_REST = 4, 9


class Entry:
    """One call that an emulator may be blocked in.

    *emulator* is the native id of its thread; *restartable* tells whether the kernel may restart
    the call after a signal: with a socket time-out it never does.
    """

    __slots__ = (
        "args", "due", "emulator", "fd", "gone", "hit", "id", "id_buffer", "manual", "name",
        "patience", "relieve", "restartable", "seen", "tid",
    )  # fmt: skip

    def __init__(
        self,
        emulator: int,
        ident: int,
        tid: int,
        name: str,
        args: tuple[int, ...] = (),
        *,
        restartable: bool = True,
    ) -> None:
        self.emulator = emulator
        self.id = ident
        self.tid = tid
        self.name = name
        self.args = args
        self.restartable = restartable
        self.id_buffer = bytearray(ident.to_bytes(8, "little"))
        self.fd = -1  # The interrupter's descriptor of a file below /proc/TID.
        self.seen = b""
        self.due = 0.0
        self.patience = PATIENCE
        self.hit = False  # A signal picked the guest.
        self.gone = False  # The guest waits no more.
        self.manual = False  # The call has to end whatever the guest's state.
        #: What to do about the emulator the first time that it is seen to be blocked.
        self.relieve: Callable[[int], None] | None = None


def state_of(text: bytes) -> bytes:
    """Return the state letter out of a /proc/TID/stat *text*; empty where there is none."""
    end = text.rfind(b") ")
    return text[end + 2 : end + 3] if end >= 0 else b""


def numbers(signals: int) -> list[int]:
    """Return the numbers of the bits of *signals*, where signal n is bit n - 1."""
    return [number for number in range(1, 65) if signals >> (number - 1) & 1]


def pace(quiet: float, cost: float) -> float:
    """Return how many seconds to sleep until the next round.

    *quiet* is for how many seconds nothing happened, *cost* how much CPU time the last round took.
    """
    if quiet < CALM_AFTER:
        return min(max(BRISK, cost * BRISK_REST), SLOWEST)
    return min(max(CALM, cost * CALM_REST), SLOWEST)


def queued(text: bytes) -> bytes:
    """Return how many signals are queued for the user of a process, by its status *text*.

    That count (SigQ, proc_pid_status(5)) grows with nearly every signal that is sent to a process
    of the user. Not with those of timer_create(2), nor does it tell one that came from one that
    went: it is a hint to look at once.
    """
    start = text.find(b"\nSigQ:\t") + 7
    return text[start : text.find(b"/", start)]


def close_all(world: World, entries: Iterable[Entry]) -> None:
    """Close what was opened for *entries*, which have ended."""
    for entry in entries:
        if entry.fd >= 0:
            world.close(entry.fd)
            entry.fd = -1


class StateWatch:
    """The rules that look at the state of the guest's thread.

    An entry is new, watched, hit or gone. From hit and gone it never comes back: its emulator is
    woken in every round until it unregisters, since a SIGALRM that arrives just before the system
    call does is lost.

    ========  ==================================  =========  ================================
    from      seen                                to         done
    ========  ==================================  =========  ================================
    new       file opened                         watched    state read at once
    new       not opened, notification valid      new        tried again in the next round
    watched   thread has not run since            watched    nothing (state read after 0.1 s)
    watched   thread ran, state S or another      watched    nothing
    watched   thread ran, state D                 hit        logged, woken
    watched   the same, but contended             watched    nothing, for ten rounds at most
    any       told to end                         hit        logged, woken
    any       notification not valid              gone       logged, woken
    hit,gone  whatever                            the same   woken
    ========  ==================================  =========  ================================

    Contended: natively the kernel drops a signal that is ignored by default, such as SIGCHLD. It
    keeps that of a tracee, and where the main thread has just been picked for another signal, a
    second thread is picked for this one. If we answered at once, that thread might take the first
    from the process's queue before the main thread comes to it. So that gets a moment to do so.

    To see cheaply whether a thread ran, /proc/TID/schedstat is read: its time on the CPU, its time
    in the queue, and how often it was put on one. A kernel without it (*cheap* is false) has its
    stat file read instead, which costs three times as much.
    """

    __slots__ = ("_cheap", "_world", "restarts")

    def __init__(self, world: World, *, cheap: bool) -> None:
        self._world = world
        self._cheap = cheap
        self.restarts = True

    def round(self, entries: Sequence[Entry]) -> None:
        """Look at every entry once."""
        now = self._world.now()
        for entry in entries:
            if not (entry.hit or entry.gone):
                self._look(entry, now)
            if entry.hit or entry.gone:
                self._world.wake(entry)

    def _look(self, entry: Entry, now: float) -> None:
        world = self._world
        if entry.manual:
            entry.hit = True
            world.record(entry, {"name": "manual"})
            return
        try:
            if entry.fd < 0:
                entry.fd = world.open(entry.tid, b"schedstat" if self._cheap else b"stat")
            text = world.read(entry.fd)
            if text == entry.seen and now < entry.due:
                return
            state = state_of(self._stat(entry) if self._cheap else text)
        except OSError:
            state = text = b""
        # Checked after looking: only then was it the guest we looked at, not one of the same id.
        if not world.valid(entry):
            entry.gone = True
            world.record(entry, {"name": "process", "err": ESRCH})
        elif state == b"D" and entry.patience and world.contended(entry):
            entry.patience -= 1
            entry.seen = b""
        elif state == b"D":
            entry.hit = True
            world.record(entry, {"name": "signal"})
        elif state == b"S":
            entry.seen = text
            entry.due = now + DISTRUST
            entry.patience = PATIENCE

    def _stat(self, entry: Entry) -> bytes:
        fd = self._world.open(entry.tid, b"stat")
        try:
            return self._world.read(fd)
        finally:
            self._world.close(fd)
