# SPDX-License-Identifier: GPL-3.0-or-later
"""The limit of tasks (`pid/max`), asked at each new process and thread before it runs.

What is counted is everything that /proc shows, not only what is inside; a process counts for its
threads and once more, but the one that forks for its threads alone. That is how the limits of
existing rules were found.
"""

from __future__ import annotations

import errno
import os

from madcap import events
from madcap.linux.fs import openat2
from madcap.linux.process import read_file, status_field
from madcap.policy import actions as A
from madcap.policy import categories as C

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.host import Host
    from madcap.supervisor.programs import Programs

_PID = C.PID.bit_length() - 1
_SIGNALS = {A.STOP: (19, "SIGSTOP"), A.ABORT: (6, "SIGABRT")}
_KILL = (9, "SIGKILL")
_THREADS = 17  # Field 20 of proc_pid_stat(5), counted from the state, which is field 3.


def limit_tasks(host: Host, parent: int, child: int, programs: Programs) -> None:
    """Carry out the policy on there being the task *child*, made by *parent*; both are stopped."""
    policy = host.sandbox.active
    limit = policy.pid_max
    if not limit or not policy.enabled & C.PID:
        return
    try:
        count = count_tasks(host, parent)
    except (OSError, ValueError, IndexError) as error:
        events.bug("pid", error, parent)
        count = limit
    if count < limit:
        return
    action = policy.defaults[_PID]
    group, own = os.getpgid(parent), os.getpgrp()
    record: dict[str, object] = {"ctx": "limit_pid", "err": 0}
    about = {
        "sys_tasks": count,
        "syd_tasks": threads_of(host, host.pid),
        "ppid": parent,
        "pgid": group,
        "syd_pid": host.pid,
        "syd_pgid": own,
    }
    reached = f"process limit {limit} reached"
    if action in (A.WARN, A.EXIT):
        if action == A.WARN:
            record["ctx"] = "pid_limit"
            _tell(record | about, child, f"{reached} with pid {parent}")
            return
        _tell(record | about, child, f"{reached} with pid {child}, exiting!")
        os._exit(errno.EACCES)
    number, name = _SIGNALS.get(action, _KILL)
    whom = f"processes {child} and {parent}" if group == own else f"process group {group}"
    if action != A.FILTER:
        more = {"pid_max": limit, "sig": number}
        _tell(record | more | about, child, f"{reached}, kill {whom} with {name}")
    victims = {parent, child}
    if group != own:
        # Those inside: a guest may have joined the group of somebody outside.
        victims.update(pid for pid in programs.processes() if _group(pid) == group)
    for pid in victims:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _tell(record: dict[str, object], child: int, message: str) -> None:
    events.emit(events.WARN, record, pid=child, msg=message, tip="increase `pid/max'")


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return -1


def count_tasks(host: Host, caller: int) -> int:
    """Return the number of tasks that the thread *caller* is counted to have made it."""
    status = read_file(host.proc, b"%d/status" % caller)
    process = int(status_field(status, b"Tgid"))
    directory = openat2(host.proc, b".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        names = os.listdir(directory)
    finally:
        os.close(directory)
    total = 0
    for name in names:
        if not name.isdigit() or int(name) == host.pid:
            continue
        try:
            threads = threads_of(host, int(name))
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ESRCH):
                continue
            raise
        total += threads if int(name) == process else threads + 1
    return total


def threads_of(host: Host, pid: int) -> int:
    """Return how many threads process *pid* has."""
    text = read_file(host.proc, b"%d/stat" % pid)
    return int(text[text.rfind(b")") + 2 :].split()[_THREADS])
