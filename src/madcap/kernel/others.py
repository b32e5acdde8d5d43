# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits and priorities of other processes: hooked only where a switch opens these calls.

The kernel lets a user change those of all processes of his, so also the supervisor's and those
outside of the sandbox. A guest may change those of processes of the sandbox.
"""

from __future__ import annotations

import errno

from madcap.kernel.process import is_supervisor
from madcap.kernel.reply import Continue
from madcap.linux.process import read_file, status_field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.reply import Reply
    from madcap.kernel.request import Request

_INSIDE = Continue("the process is the sandbox's own, and its number is in a register")
_PRIO_PROCESS, _IOPRIO_WHO_PROCESS = 0, 1


def _require_inside(req: Request, pid: int) -> Reply:
    """Raise ESRCH for the supervisor, EPERM for any other process that is not of the sandbox."""
    if pid > 0 and pid not in (req.tid, req.tgid):
        if is_supervisor(req, pid):
            raise OSError(errno.ESRCH, "hidden")
        if req.host.traced and not _is_traced(req, pid):
            raise OSError(errno.EPERM, "outside of the sandbox")
    req.alive()
    return _INSIDE


def _is_traced(req: Request, pid: int) -> bool:
    """Tell whether *pid* is a tracee of ours, as all in the sandbox are, or not there at all."""
    try:
        status = read_file(req.host.proc, b"%d/status" % pid)
    except (FileNotFoundError, ProcessLookupError):
        return True  # The kernel says ESRCH.
    return status_field(status, b"TracerPid") == b"%d" % req.host.pid


def sys_prlimit64(req: Request) -> Reply:
    """prlimit64(2) that sets a limit; the filter lets those pass that only ask."""
    return _require_inside(req, req.i32(0))


def sys_setpriority(req: Request) -> Reply:
    """setpriority(2): of one process, not of a group or a user."""
    if req.i32(0) != _PRIO_PROCESS:
        raise OSError(errno.EPERM, "more than one process")
    return _require_inside(req, req.i32(1))


def sys_ioprio_set(req: Request) -> Reply:
    """ioprio_set(2): of one process, not of a group or a user."""
    if req.i32(0) != _IOPRIO_WHO_PROCESS:
        raise OSError(errno.EPERM, "more than one process")
    return _require_inside(req, req.i32(1))


def sys_sched_setaffinity(req: Request) -> Reply:
    """sched_setaffinity(2)."""
    return _require_inside(req, req.i32(0))


def sys_sched_setattr(req: Request) -> Reply:
    """sched_setattr(2)."""
    return _require_inside(req, req.i32(0))


def sys_sched_setparam(req: Request) -> Reply:
    """sched_setparam(2)."""
    return _require_inside(req, req.i32(0))


def sys_sched_setscheduler(req: Request) -> Reply:
    """sched_setscheduler(2)."""
    return _require_inside(req, req.i32(0))
