# SPDX-License-Identifier: GPL-3.0-or-later
"""Hold everyone who could change a call's operands while the kernel reads them a second time.

The kernel takes the descriptor of mmap(2) from the table after we judged it. Whoever shares the
table or the memory could put another file there, run the mapping, and move a good one over it
before anybody looks. So they are interrupted first. PTRACE_INTERRUPT needs no answer: a task that
sleeps in the kernel stops before it gets back to its program, and one that runs is waited for.
Their stops are reported later to the tracer, which lets them go on as after any other stop.

The working directory that chdir(2) sets may be shared, too, and with it a mistake: its path is read
again from memory that others write. So whoever shares it is held until it is known where it leads.
"""

from __future__ import annotations

import errno
import time

from madcap.linux import ptrace
from madcap.linux.process import KCMP_FILES, KCMP_FS, KCMP_VM, read_file, same_resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

#: What a call of each kind depends on, or sets.
MAPPING, DIRECTORY = (KCMP_VM, KCMP_FILES), (KCMP_FS,)

#: Seconds that a running task has to stop in; it needs microseconds.
_PATIENCE = 1.0


def hold_sharers(proc: int, tid: int, tasks: AbstractSet[int], kinds: tuple[int, ...]) -> list[int]:
    """Hold those of the tracees *tasks* that share any of *kinds* with *tid*; return them.

    Raises OSError (EAGAIN) when one does not stop.
    """
    found = []
    running = []
    for other in tasks:
        if other == tid or not shares(tid, other, kinds):
            continue
        found.append(other)
        if _state(proc, other) == b"t":  # Only the tracer, which is busy here, lets it go on.
            continue
        try:
            ptrace.interrupt(other)
        except OSError as error:
            if error.errno != errno.ESRCH:
                raise
        running.append(other)
    deadline = time.monotonic() + _PATIENCE
    for other in running:
        while _state(proc, other) == b"R":
            if time.monotonic() > deadline:
                raise OSError(errno.EAGAIN, "a thread does not stop")
            time.sleep(0)
    return found


def shares(one: int, other: int, kinds: tuple[int, ...]) -> bool:
    """Tell whether two tasks share any of *kinds*; also where that can't be found out."""
    try:
        return any(same_resource(one, other, kind) for kind in kinds)
    except OSError as error:
        return error.errno != errno.ESRCH


def _state(proc: int, tid: int) -> bytes:
    """Return the state letter of proc_pid_stat(5), X for a task that has ended."""
    try:
        text = read_file(proc, b"%d/stat" % tid, 4096)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ESRCH):
            return b"X"
        raise
    at = text.rfind(b")") + 2
    return text[at : at + 1]
