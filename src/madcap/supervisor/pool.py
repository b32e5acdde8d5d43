# SPDX-License-Identifier: GPL-3.0-or-later
"""The emulators: threads that receive notifications and perform the calls.

One of them receives, as long as no call blocks: under the interpreter lock a second busy thread
only slows the first, and every thread that waits for a notification is woken by each. Whoever is
about to block hands the receiving over, to a thread that has nothing to do or to a new one. When
its call has ended it has nothing to do itself, and leaves after three seconds of that.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` imports enum: 4 ms
import _thread
import errno
import fcntl
import os
import select
import time

from madcap import events
from madcap.abi import flags as F
from madcap.kernel.dispatch import Dispatcher
from madcap.kernel.reply import Gone, Interrupted
from madcap.linux.process import unshare
from madcap.linux.seccomp import NOTIF, NOTIF_ZERO
from madcap.supervisor.interrupts import SIGALRM, Interrupter
from madcap.supervisor.watch import Entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from madcap.kernel.dispatch import Handlers
    from madcap.kernel.host import Host
    from madcap.kernel.request import Request

IDLE = 3.0  # Seconds without work after which an emulator leaves,
CORE = 1  # but not these many (SYD_NPROC).
STACK = 256 * 1024
_FATAL = 101
#: Seconds to wait before a thread is tried again that couldn't be started, doubled each time.
_BACK_OFF, _BACK_OFF_MOST, _TRIES = 0.01, 1.0, 8


class Worker:
    """One emulator thread. Its *baton* is free when it was told to receive."""

    __slots__ = ("baton",)

    def __init__(self) -> None:
        self.baton = _thread.allocate_lock()
        self.baton.acquire()


class Pool:
    """The emulator threads of one sandbox.

    *core* of them stay once they were needed; there are never more than *limit*, if that
    is not None. The one that receives hands over in `blocking`.
    """

    __slots__ = (
        "_brief", "_confine", "_core", "_count", "_handlers", "_host", "_idle", "_interrupter",
        "_limit", "_lock", "_receiver", "_workers",
    )  # fmt: skip

    def __init__(
        self,
        host: Host,
        handlers: Handlers,
        interrupter: Interrupter,
        confine: Callable[[], None],
        core: int = CORE,
        limit: int | None = None,
    ) -> None:
        self._host = host
        self._handlers = handlers
        self._interrupter = interrupter
        self._confine = confine
        self._core = core
        self._limit = limit
        self._lock = _thread.allocate_lock()
        self._workers: dict[int, Worker] = {}  # By the native id of their thread.
        self._idle: list[Worker] = []  # The last to come is the first to go on.
        self._receiver = Worker()
        self._count = 0
        self._brief = 0  # Calls that may block, but so rarely that nothing was handed over.

    def start(self) -> None:
        """Start the first emulator; returns once it is confined and about to receive."""
        ready = _thread.allocate_lock()
        ready.acquire()
        self._count = 1
        _thread.start_new_thread(self._run, (self._receiver, ready))
        ready.acquire()

    def _run(self, worker: Worker, ready: _thread.LockType | None) -> None:
        try:
            tid = _thread.get_native_id()
            self._workers[tid] = worker
            unshare(F.CLONE_FS)
            os.umask(0o777)
            if ready is not None:
                self._confine()  # Later threads inherit this one's filter.
                ready.release()
            dispatcher = Dispatcher(self._host, self._handlers)
            self._serve(worker, dispatcher.handle)
            dispatcher.req.close()
            del self._workers[tid]
        except BaseException as error:
            # A dead emulator must not leave guests waiting, and never set them free.
            events.bug("emulator", error)
            os._exit(_FATAL)

    def _serve(self, worker: Worker, handle: Callable[[tuple[int, ...]], None]) -> None:
        """Receive and handle while it is this thread's turn; return when it is not needed."""
        listener = self._host.listener
        receive = F.SECCOMP_IOCTL_NOTIF_RECV
        buffer = bytearray(NOTIF.size)
        unpack = NOTIF.unpack
        ioctl = fcntl.ioctl
        while True:
            buffer[:] = NOTIF_ZERO
            try:
                ioctl(listener, receive, buffer, True)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.EINTR, errno.EAGAIN):
                    if error.errno == errno.ENOENT and self._hung_up(listener):
                        return
                    continue
                raise
            handle(unpack(buffer))
            if self._receiver is not worker and not self._rest(worker):
                return

    def _rest(self, worker: Worker) -> bool:
        """Wait until this thread is to receive again; return False where it is to leave."""
        with self._lock:
            self._idle.append(worker)
        patience = IDLE
        while not worker.baton.acquire(True, patience):
            with self._lock:
                patience = -1  # One of those that stay, or somebody handed over just now.
                if self._count > self._core and not self._brief and worker in self._idle:
                    self._idle.remove(worker)
                    self._count -= 1
                    return False
        return True

    def _hung_up(self, listener: int) -> bool:
        """Tell whether no task is left that the listener listens to."""
        poll = select.poll()
        poll.register(listener, 0)
        return any(event & select.POLLHUP for _, event in poll.poll(0))

    def _spare(self) -> bool:
        """Have somebody stand by while this thread blocks; False where nobody has nothing to do."""
        with self._lock:
            if self._idle:
                self._brief += 1
            return bool(self._idle)

    def _relieve(self, emulator: int) -> None:
        """Let another one receive in place of the thread *emulator*, which blocks after all."""
        with self._lock:
            if self._idle and self._receiver is self._workers.get(emulator):
                self._receiver = self._idle.pop()
                self._receiver.baton.release()

    def _hand_over(self, worker: Worker) -> bool:
        """See to it that another thread receives; return False where *worker* is the last.

        Raises RuntimeError where no thread can be started now.
        """
        with self._lock:
            if self._receiver is not worker:
                return True
            if self._idle:
                self._receiver = self._idle.pop()
                self._receiver.baton.release()
                return True
            if self._limit is not None and self._count >= self._limit:
                return False
            self._receiver = Worker()
            try:
                _thread.start_new_thread(self._run, (self._receiver, None))
            except RuntimeError:
                self._receiver = worker
                raise
            self._count += 1
        return True

    def _reinforce(self) -> bool:
        """See to it that another thread receives while this one blocks; False where none can."""
        worker = self._workers[_thread.get_native_id()]
        pause = _BACK_OFF
        for _ in range(_TRIES):
            try:
                return self._hand_over(worker)
            except RuntimeError:  # EAGAIN or ENOMEM. Guests wait meanwhile; no call is lost.
                time.sleep(pause)
                pause = min(pause * 2, _BACK_OFF_MOST)
        return False

    def blocking(
        self, req: Request, call: Callable[[], int], restartable: bool, *, brief: bool = False
    ) -> int:
        """Make *call*, which may block, for the guest of *req*; it must not repeat EINTR.

        A *brief* call is over at once as a rule: only where it isn't, as the interrupter sees, does
        another thread receive meanwhile. Handing over costs more than such a call.

        Raises OSError(EINTR), or Interrupted where *restartable*, when the guest was hit by a
        signal; Gone when the guest is no more.
        """
        interrupter = self._interrupter
        brief = brief and self._spare()
        if not brief and not self._reinforce():
            if not interrupter.watch.restarts:
                interrupter.end_all()
            raise OSError(errno.EINTR, "no emulator is left to serve others meanwhile")
        entry = Entry(
            _thread.get_native_id(), req.id, req.tid, req.name, req.args, restartable=restartable
        )
        if brief:
            entry.relieve = self._relieve
        alarm = (SIGALRM,)
        interrupter.register(entry)
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
                    if self._host.ghost:
                        raise OSError(errno.ENOSYS, "ghost") from error
                    if entry.hit:
                        if restartable and interrupter.watch.restarts and not entry.manual:
                            raise Interrupted from error
                        raise
        finally:
            _signal.pthread_sigmask(_signal.SIG_BLOCK, alarm)
            interrupter.unregister(entry)
            if brief:
                with self._lock:
                    self._brief -= 1
