# SPDX-License-Identifier: GPL-3.0-or-later
"""The emulators: threads that receive notifications and perform the calls.

One of them receives, as long as no call blocks: under the interpreter lock a second busy thread
only slows the first, and every thread that waits for a notification is woken by each. Whoever is
about to block hands the receiving over, to a thread that has nothing to do or to a new one. When
its call has ended it has nothing to do itself, and leaves after three seconds of that.

One of those with nothing to do is the understudy. It stays, and receives in place of a receiver
that is stuck in a call nobody expected to block: an open that waits for a lease to be given up, a
file system whose server is silent. It looks once a second while calls come; where none has come for
a second it sleeps until one waits.

Only the native part (linux/native.c) holds no lock of the interpreter. So while several guests
wait for calls that it answers, another thread with nothing to do helps with those.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` imports enum: 4 ms
import _thread
import errno
import os
import select
import time

from madcap import events
from madcap.abi import flags as F
from madcap.kernel.dispatch import Dispatcher
from madcap.kernel.reply import Gone, Interrupted
from madcap.linux.listener import Crowd
from madcap.linux.process import unshare
from madcap.supervisor.interrupts import SIGALRM, Interrupter
from madcap.supervisor.watch import Entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from madcap.kernel.dispatch import Handlers
    from madcap.kernel.host import Host
    from madcap.kernel.request import Request

IDLE = 3.0  # Seconds without work after which an emulator leaves,
CORE = 2  # but not these many (SYD_NPROC): one that receives and one that stands by.
#: Seconds in one call after which a receiver counts as stuck if another call waits, and how long
#: that one is to have waited.
STUCK, GRACE = 1.0, 0.02
STACK = 256 * 1024
_FATAL = 101
#: Seconds to wait before a thread is tried again that couldn't be started, doubled each time.
_BACK_OFF, _BACK_OFF_MOST, _TRIES = 0.01, 1.0, 8


class Worker:
    """One emulator thread. Its *baton* is free when it is to look at what it should do."""

    __slots__ = ("baton", "helps")

    def __init__(self) -> None:
        self.baton = _thread.allocate_lock()
        self.baton.acquire()
        self.helps = False  # Whether it is to help the receiver.

    def wake(self) -> None:
        """Free the baton; the caller holds the lock of the pool."""
        if self.baton.locked():
            self.baton.release()


class Pool:
    """The emulator threads of one sandbox.

    *core* of them, but at least two, stay once they were needed; there are never more than *limit*,
    if that is not None. The one that receives hands over in `blocking`.
    """

    __slots__ = (
        "_confine", "_core", "_count", "_doing", "_handlers", "_helper", "_host", "_idle",
        "_interrupter", "_limit", "_lock", "_receiver", "_workers",
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
        self._core = max(core, CORE)
        self._limit = limit
        self._lock = _thread.allocate_lock()
        self._workers: dict[int, Worker] = {}  # By the native id of their thread.
        #: The last to come is the first to go on; the first to come is the understudy.
        self._idle: list[Worker] = []
        self._receiver = Worker()
        #: Who helps it, or is about to, or handles the call that was too much for a helper.
        self._helper: Worker | None = None
        self._count = 0
        self._doing = memoryview(host.last.data).cast("Q")  # The call that was received last.

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
            if self._receiver is worker:
                self._recruit()
            dispatcher = Dispatcher(self._host, self._handlers)
            self._serve(worker, dispatcher)
            dispatcher.req.close()
            self._host.writers.remove(dispatcher.req.writer)
            del self._workers[tid]
        except BaseException as error:
            # A dead emulator must not leave guests waiting, and never set them free.
            events.bug("emulator", error)
            os._exit(_FATAL)

    def _serve(self, worker: Worker, dispatcher: Dispatcher) -> None:
        """Receive and handle while it is this thread's turn; return when it is not needed."""
        listener = dispatcher.req.listener
        receive = listener.receive
        handle = dispatcher.handle
        while True:
            if self._receiver is not worker:
                if not self._rest(worker):
                    return
                if not worker.helps:
                    self._recruit()
            try:
                if worker.helps:
                    worker.helps = False
                    call = listener.help()
                else:
                    call = receive()
            except Crowd:
                self._call_for_help()
                continue
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.EINTR, errno.EAGAIN):
                    if error.errno == errno.ENOENT and self._hung_up(self._host.listener):
                        return
                    continue
                raise
            handle(call)

    def _rest(self, worker: Worker) -> bool:
        """Wait until this thread is to receive; return False where it is to leave."""
        with self._lock:
            # Who was called on before it came here for the first time is not idle.
            if not (self._receiver is worker or worker.helps or worker in self._idle):
                self._idle.append(worker)
                if self._helper is worker:
                    self._helper = None
        patience = IDLE
        while self._receiver is not worker and not worker.helps:
            if self._idle[:1] == [worker]:
                if not self._stand_by(worker):
                    return False
            elif not worker.baton.acquire(True, patience):
                patience = -1  # One of those that stay, or somebody handed over just now.
                if self._count > self._core and self._leave(worker):
                    return False
        return True

    def _leave(self, worker: Worker) -> bool:
        """Strike off a thread that has nothing to do; return False where it has."""
        with self._lock:
            if worker not in self._idle:
                return False
            self._idle.remove(worker)
            self._count -= 1
        return True

    def _stand_by(self, worker: Worker) -> bool:
        """Be the understudy until there is something else to do; return False where it is to leave.

        It never hinders: two threads that receive for a moment are one too many, but no mistake.
        """
        doing = self._doing
        seen = doing[0]
        waiting = select.poll()
        waiting.register(self._host.listener, select.POLLIN)
        while not worker.baton.acquire(True, STUCK):
            if doing[0] != seen:
                seen = doing[0]
                continue
            # No call for a second, or the receiver is stuck: nobody minds until another call waits.
            if not waiting.poll()[0][1] & select.POLLIN:
                return not self._leave(worker)  # No guest is left.
            if worker.baton.acquire(True, GRACE):
                return True
            with self._lock:
                if doing[0] == seen and worker in self._idle and waiting.poll(0):
                    self._idle.remove(worker)
                    self._receiver = worker
                    if self._idle:
                        self._idle[0].wake()
                    return True
        return True

    def _recruit(self) -> None:
        """See to it that somebody stands by while this thread receives, where that can be."""
        with self._lock:
            if self._idle or (self._limit is not None and self._count >= self._limit):
                return
            understudy = Worker()
            try:
                _thread.start_new_thread(self._run, (understudy, None))
            except RuntimeError:
                return  # It is tried again by whoever receives next.
            self._count += 1
            self._idle.append(understudy)

    def _call_for_help(self) -> None:
        """Let a thread that has nothing to do help the receiver, and another one stand by."""
        if len(os.sched_getaffinity(0)) == 1:
            return
        with self._lock:
            if self._helper is not None:
                return  # Where the CPUs are busy it takes its time to begin, or to end.
            if self._idle:
                self._helper = self._idle.pop()
                self._helper.helps = True
                self._helper.wake()
        self._recruit()

    def _promote(self) -> bool:
        """Let the one who helps receive, where there is one; the caller holds the lock.

        It finds out when it has done helping, and until then receives anyway.
        """
        if self._helper is None:
            return False
        self._receiver, self._helper = self._helper, None
        return True

    def _hung_up(self, listener: int) -> bool:
        """Tell whether no task is left that the listener listens to."""
        poll = select.poll()
        poll.register(listener, 0)
        return any(event & select.POLLHUP for _, event in poll.poll(0))

    def _relieve(self, emulator: int) -> None:
        """Let another one receive in place of the thread *emulator*, which blocks after all."""
        with self._lock:
            if self._idle and self._receiver is self._workers.get(emulator):
                self._receiver = self._idle.pop()
                self._receiver.wake()

    def _hand_over(self, worker: Worker) -> bool:
        """See to it that another thread receives; return False where *worker* is the last.

        Raises RuntimeError where no thread can be started now.
        """
        with self._lock:
            if self._receiver is not worker:
                return True
            if self._idle:
                self._receiver = self._idle.pop()
                self._receiver.wake()
                return True
            if self._limit is not None and self._count >= self._limit:
                return self._promote()
            self._receiver = Worker()
            try:
                _thread.start_new_thread(self._run, (self._receiver, None))
            except RuntimeError:
                self._receiver = worker
                if self._promote():
                    return True
                raise
            self._count += 1
        return True

    def _reinforce(self) -> bool:
        """See to it that another thread receives while this one blocks; False where none can."""
        worker = self._workers[_thread.get_native_id()]
        pause = _BACK_OFF
        for _ in range(_TRIES):
            try:
                if self._hand_over(worker):
                    return True
                if self._count - self._interrupter.count() <= 1:
                    return False
                time.sleep(pause / 10)  # One has answered its call, and is about to rest.
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
        with self._lock:
            if self._helper is self._workers[_thread.get_native_id()]:
                self._helper = None  # It is of no help while it blocks.
        brief = brief and bool(self._idle)  # The understudy stays.
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
