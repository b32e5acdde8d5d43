# SPDX-License-Identifier: GPL-3.0-or-later
"""The emulators: threads that receive notifications and perform the calls.

One thread serves as long as no call blocks, because under the interpreter lock a second busy
thread only slows the first. Whoever is about to block sees to it that somebody else receives. A
thread beyond the first leaves after three seconds without work.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` imports enum: 4 ms
import _thread
import errno
import fcntl
import os
import select

from madcap import events
from madcap.abi import flags as F
from madcap.kernel.dispatch import Dispatcher
from madcap.kernel.reply import Gone, Interrupted
from madcap.linux.process import unshare
from madcap.linux.seccomp import NOTIF, NOTIF_ZERO
from madcap.supervisor.interrupts import SIGALRM, Entry, Interrupter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from madcap.kernel.dispatch import Handlers
    from madcap.kernel.host import Host
    from madcap.kernel.request import Request

IDLE_MS = 3000  # An extra emulator's patience.
STACK = 256 * 1024
_FATAL = 101


class Worker:
    """One emulator thread: *busy* from a notification to its answer, *first* stays for ever."""

    __slots__ = ("busy", "first")

    def __init__(self, first: bool) -> None:
        self.first = first
        self.busy = False


class Pool:
    """The emulator threads of one sandbox."""

    __slots__ = ("_confine", "_handlers", "_host", "_interrupter", "_limit", "_lock", "_workers")

    def __init__(
        self,
        host: Host,
        handlers: Handlers,
        interrupter: Interrupter,
        confine: Callable[[], None],
        limit: int | None,
    ) -> None:
        self._host = host
        self._handlers = handlers
        self._interrupter = interrupter
        self._confine = confine
        self._limit = limit
        self._lock = _thread.allocate_lock()
        self._workers: list[Worker] = []

    def start(self) -> None:
        """Start the first emulator; returns once it is confined and about to receive."""
        ready = _thread.allocate_lock()
        ready.acquire()
        worker = Worker(True)
        self._workers.append(worker)
        _thread.start_new_thread(self._run, (worker, ready))
        ready.acquire()

    def _run(self, worker: Worker, ready: _thread.LockType | None) -> None:
        try:
            unshare(F.CLONE_FS)
            os.umask(0o777)
            if worker.first:
                self._confine()  # Later threads inherit this one's filter.
            if ready is not None:
                ready.release()
            self._serve(worker)
        except BaseException as error:
            # A dead emulator must not leave guests waiting, and never set them free.
            events.bug("emulator", error)
            os._exit(_FATAL)

    def _serve(self, worker: Worker) -> None:
        dispatcher = Dispatcher(self._host, self._handlers)
        handle = dispatcher.handle
        listener = self._host.listener
        receive = F.SECCOMP_IOCTL_NOTIF_RECV
        buffer = bytearray(NOTIF.size)
        unpack = NOTIF.unpack
        ioctl = fcntl.ioctl
        patience = None if worker.first else select.poll()
        if patience is not None:
            patience.register(listener, select.POLLIN)
        while True:
            if patience is not None and not self._patient(worker, patience):
                return
            buffer[:] = NOTIF_ZERO
            try:
                ioctl(listener, receive, buffer, True)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.EINTR, errno.EAGAIN):
                    if error.errno == errno.ENOENT and self._hung_up(listener):
                        return
                    continue
                raise
            worker.busy = True
            handle(unpack(buffer))
            worker.busy = False

    def _patient(self, worker: Worker, patience: select.poll) -> bool:
        """Wait for work; return False where this extra thread is to leave."""
        while not patience.poll(IDLE_MS):
            with self._lock:
                if any(not other.busy for other in self._workers if other is not worker):
                    self._workers.remove(worker)
                    return False
        return True

    def _hung_up(self, listener: int) -> bool:
        """Tell whether no task is left that the listener listens to."""
        poll = select.poll()
        poll.register(listener, 0)
        return any(event & select.POLLHUP for _, event in poll.poll(0))

    def _reinforce(self) -> bool:
        """See to it that somebody receives while this thread blocks; False where nobody can."""
        with self._lock:
            if any(not worker.busy for worker in self._workers):
                return True
            if self._limit is not None and len(self._workers) >= self._limit:
                return False
            worker = Worker(False)
            self._workers.append(worker)
            try:
                _thread.start_new_thread(self._run, (worker, None))
            except RuntimeError:
                self._workers.remove(worker)
                return False
        return True

    def blocking(self, req: Request, call: Callable[[], int], restartable: bool) -> int:
        """Make *call*, which may block, for the guest of *req*; it must not repeat EINTR.

        Raises OSError(EINTR), or Interrupted where *restartable*, when the guest was hit by a
        signal; Gone when the guest is no more.
        """
        if not self._reinforce():
            raise OSError(errno.EINTR, "no emulator is left to serve others meanwhile")
        entry = Entry(_thread.get_native_id(), req.id, req.tid, req.name)
        alarm = (SIGALRM,)
        self._interrupter.register(entry)
        try:
            _signal.sigtimedwait(alarm, 0)  # A late one from an earlier call would break this one.
            _signal.pthread_sigmask(_signal.SIG_UNBLOCK, alarm)
            while True:
                try:
                    return call()
                except OSError as error:
                    if error.errno != errno.EINTR:
                        raise
                    if entry.gone:
                        raise Gone from error
                    if entry.hit:
                        if restartable:
                            raise Interrupted from error
                        raise
        finally:
            _signal.pthread_sigmask(_signal.SIG_BLOCK, alarm)
            self._interrupter.unregister(entry)
