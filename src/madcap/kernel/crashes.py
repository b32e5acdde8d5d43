# SPDX-License-Identifier: GPL-3.0-or-later
"""SegvGuard: a program that crashes again and again may not be executed for a while.

Whoever guesses addresses crashes a program until a guess is right. Deaths by a signal that stands
for a crash are counted by the tracer, by the name of the program; emulators only look.
"""

from __future__ import annotations

import errno
import os
import time

from madcap import events
from madcap.policy import actions as A

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.policy.domain import Domain

_CORE = 0x80
_CRASHES = {
    3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL",
    11: "SIGSEGV", 24: "SIGXCPU", 25: "SIGXFSZ", 31: "SIGSYS",
}  # fmt: skip
#: Programs remembered: a guest chooses how many there are.
_PROGRAMS_MAX = 4096
#: Crashes remembered of each; no rule asks for more than 255.
_TIMES_MAX = 256


class Crashes:
    """The crashes of all programs. Written by the tracer only."""

    __slots__ = ("_times", "_until")

    def __init__(self) -> None:
        self._times: dict[bytes, list[float]] = {}  # By program, the recent ones.
        self._until: dict[bytes, float] = {}  # By program, when its suspension ends.

    def note(self, policy: Domain, program: bytes, status: int, pid: int) -> None:
        """Take note that process *pid*, which ran *program*, ended with the wait(2) *status*."""
        signal = status & 0x7F
        if not signal or not (signal in _CRASHES or status & _CORE):
            return
        if not policy.segvguard_expiry:
            return
        now = time.monotonic()
        times = self._times.pop(program, [])
        times = [past for past in times if past > now - policy.segvguard_expiry]
        times.append(now)
        del times[:-_TIMES_MAX]
        _put(self._times, program, times)
        record: dict[str, object] = {"ctx": "segvguard", "path": program, "sig": signal}
        name = _CRASHES.get(signal, f"signal {signal}")
        count = len(times)
        crashes = "1 crash" if count == 1 else f"{count} crashes"
        if count < policy.segvguard_maxcrashes:
            events.emit(events.INFO, record, pid=pid, msg=f"{crashes} recorded after {name}")
            return
        self._until.pop(program, None)
        _put(self._until, program, now + policy.segvguard_suspension)
        events.emit(
            events.WARN,
            record,
            pid=pid,
            msg=f"suspending after {name} due to {crashes}",
            tip="increase `segvguard/maxcrashes'",
        )

    def suspended(self, policy: Domain, program: bytes) -> bool:
        """Tell whether *program* may not be executed at the moment."""
        until = self._until.get(program) if self._until else None
        return until is not None and policy.segvguard_expiry > 0 and time.monotonic() < until

    def forbids(self, policy: Domain, program: bytes, pid: int) -> bool:
        """Tell whether process *pid* may not go on, having executed *program*."""
        if not self.suspended(policy, program):
            return False
        tell(policy, program, "execve", pid)
        if policy.default_segvguard == A.EXIT:
            os._exit(errno.EACCES)
        return policy.default_segvguard != A.WARN


def _put(table: dict[bytes, list[float]] | dict[bytes, float], key: bytes, value: object) -> None:
    """Put *key* at the end of *table*, which loses its oldest entry where it is full."""
    if len(table) >= _PROGRAMS_MAX:
        del table[next(iter(table))]
    table[key] = value  # type: ignore[assignment]


def tell(policy: Domain, program: bytes, call: str, pid: int) -> None:
    """Log that *call* of process *pid* is for *program*, which is suspended."""
    action = policy.default_segvguard
    if action == A.FILTER:
        return
    name = events.printable(program.rpartition(b"/")[2])
    events.emit(
        events.WARN,
        {"ctx": "segvguard", "act": A.NAMES[action], "sys": call, "path": program},
        pid=pid,
        msg=f"max crashes {policy.segvguard_maxcrashes} exceeded, execution of `{name}' denied",
        tip="increase `segvguard/maxcrashes'",
    )
