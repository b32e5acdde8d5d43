# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases for limits and priorities of processes: its own, a child's, and nobody's."""

from __future__ import annotations

import os
import signal
import struct
from typing import TYPE_CHECKING

from cases_order import HOLE, every

if TYPE_CHECKING:
    from cases_order import Choices
    from run_cases import Tree

NONE = 1 << 22
BATCH = 3


def someone(t: Tree, name: str, *choices: Choices, first: Choices | None = None) -> object:
    """Make the call *name* on a child, too; *first* comes before the number of the process."""
    child = os.fork()
    if child == 0:
        signal.pause()
    pids: Choices = {"0": 0, "self": os.getpid(), "child": child, "none": NONE, "-1": -1}
    before = [first] if first is not None else []
    seen = every(t, name, *before, pids, *choices)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return seen


def case_prlimit64(t: Tree) -> object:
    new: Choices = {"ok": struct.pack("=QQ", 256, 1024), "hole": HOLE}
    return someone(t, "prlimit64", {"files": 7, "bad": 99}, new, {"": 0})


def case_setpriority(t: Tree) -> object:
    return someone(t, "setpriority", {"19": 19}, first={"process": 0})


def case_ioprio_set(t: Tree) -> object:
    return someone(t, "ioprio_set", {"idle": 3 << 13, "bad": 7 << 13}, first={"process": 1})


def case_sched_setaffinity(t: Tree) -> object:
    mask: Choices = {"all": b"\xff" * 8, "none": bytes(8), "hole": HOLE}
    return someone(t, "sched_setaffinity", {"8": 8}, mask)


def case_sched_setattr(t: Tree) -> object:
    batch = struct.pack("=IIQiIQQQ", 48, BATCH, 0, 0, 0, 0, 0, 0)
    return someone(t, "sched_setattr", {"ok": batch, "hole": HOLE}, {"": 0})


def case_sched_setparam(t: Tree) -> object:
    return someone(t, "sched_setparam", {"0": bytes(4), "1": b"\1\0\0\0", "hole": HOLE})


def case_sched_setscheduler(t: Tree) -> object:
    return someone(t, "sched_setscheduler", {"batch": BATCH, "bad": 99}, {"0": bytes(4)})
