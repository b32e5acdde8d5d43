# SPDX-License-Identifier: GPL-3.0-or-later
"""From a notification to its answer: find the row, run the handler, fail closed."""

from __future__ import annotations

import errno

from madcap import events
from madcap.abi import flags as F
from madcap.kernel.judge import Panic
from madcap.kernel.reply import Continue, Gone, Install, Interrupted, Written
from madcap.kernel.request import Request
from madcap.linux._call import ARCH
from madcap.linux.affinity import Placement

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from madcap.kernel.host import Host
    from madcap.kernel.reply import Reply

    Handlers = dict[int, tuple[str, Callable[[Request], Reply]]]


class Dispatcher:
    """Answers notifications for one emulator thread."""

    __slots__ = ("_handlers", "_host", "_placement", "req")

    def __init__(self, host: Host, handlers: Handlers) -> None:
        self._host = host
        self._handlers = handlers
        self._placement = Placement()
        self.req = Request(host, host.sandbox.memory_access)

    def handle(self, notification: tuple[int, ...]) -> None:
        """Perform the call of *notification* and answer it."""
        ident = notification[0]
        req = self.req
        row = self._handlers.get(notification[3])
        if row is None or notification[4] & 0xFFFF_FFFF != ARCH or self._host.ghost:
            self._answer(ident, 0, errno.ENOSYS, 0)
            return
        try:
            req.begin(notification, row[0])
            reply = row[1](req)
            if reply.__class__ is int:
                self._answer(ident, reply, 0, 0)
            elif reply.__class__ is Written:
                req.answer_with(reply.address, reply.size)
            elif reply.__class__ is Install:
                self._install(ident, reply)
            elif reply.__class__ is Continue:
                self._answer(ident, 0, 0, F.SECCOMP_USER_NOTIF_FLAG_CONTINUE)
            else:
                raise TypeError(f"{row[0]} returned {reply!r}")
        except OSError as error:
            number = error.errno or errno.EIO
            # A number of more than 16 bits is none that a guest may see.
            self._answer(ident, 0, number if 0 < number < 4096 else errno.ENOSYS, 0)
        except Gone:
            # Nobody should wait for this any more. If somebody does after all, not for ever.
            self._answer(ident, 0, errno.ESRCH, 0)
        except Interrupted:
            # Noted before the tracer can see the signal.
            self._host.note_interrupted(req.tid, (req.number, *req.args))
            self._answer(ident, 0, F.ERESTARTSYS, 0)
        except Panic:
            self._answer(ident, 0, errno.EACCES, 0)
        except Exception as error:
            # Our mistake must never widen what the guest may do.
            events.bug(row[0], error, req.tid)
            self._answer(ident, 0, errno.EPERM, 0)
        finally:
            req.finish()

    def _install(self, ident: int, reply: Install) -> None:
        """Duplicate a descriptor into the guest, let go of ours, and answer with its number.

        Not in one step: the guest would run while we still hold what it opened, and its close
        would be none to locks, pipes and whoever waits for the end of a file. A sibling thread may
        see the descriptor before the call returns, as it may natively; only death can end the
        guest's wait in between.
        """
        req = self.req
        if self._host.pulls:
            self._placement.pull(req.tid)
        try:
            number = req.install(reply.fd, cloexec=reply.cloexec)
        finally:
            self._placement.restore()
        self._answer(ident, number, 0, 0)

    def _answer(self, ident: int, value: int, error: int, flags: int) -> None:
        if self.req.shares:
            self.req.finish()
        self.req.listener.answer(ident, value, error, flags)
