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


class Pool:
    """The emulator threads of one sandbox."""

    __slots__ = ("_confine", "_handlers", "_host", "_interrupter", "_limit", "_lock", "idle",
                 "total")  # fmt: skip

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
        self.total = 0
        self.idle = 0  # Threads that wait for a notification, or are on their way there.

    def start(self) -> None:
        """Start the first emulator; returns once it is confined and about to receive."""
        ready = _thread.allocate_lock()
        ready.acquire()
        self.total = self.idle = 1
        _thread.start_new_thread(self._run, (True, ready))
        ready.acquire()

    def _run(self, first: bool, ready: _thread.LockType | None) -> None:
        try:
            unshare(F.CLONE_FS)
            os.umask(0o777)
            if first:
                self._confine()  # Later threads inherit this one's filter.
            if ready is not None:
                ready.release()
            self._serve(first)
        except BaseException as error:
            # A dead emulator must not leave guests waiting, and never set them free.
            events.bug("emulator", error)
            os._exit(_FATAL)

    def _serve(self, first: bool) -> None:
        dispatcher = Dispatcher(self._host, self._handlers)
        handle = dispatcher.handle
        listener = self._host.listener
        receive = F.SECCOMP_IOCTL_NOTIF_RECV
        buffer = bytearray(NOTIF.size)
        unpack = NOTIF.unpack
        ioctl = fcntl.ioctl
        patience = None if first else select.poll()
        if patience is not None:
            patience.register(listener, select.POLLIN)
        while True:
            if patience is not None and not self._patient(patience):
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
            with self._lock:
                self.idle -= 1
            handle(unpack(buffer))
            with self._lock:
                self.idle += 1

    def _patient(self, patience: select.poll) -> bool:
        """Wait for work; return False where this extra thread is to leave."""
        while not patience.poll(IDLE_MS):
            with self._lock:
                if self.idle > 1:
                    self.idle -= 1
                    self.total -= 1
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
            if self.idle:
                return True
            if self._limit is not None and self.total >= self._limit:
                return False
            self.total += 1
            self.idle += 1
        try:
            _thread.start_new_thread(self._run, (False, None))
        except RuntimeError:
            with self._lock:
                self.total -= 1
                self.idle -= 1
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
