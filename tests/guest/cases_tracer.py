# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest that traces its children, for which trace/allow_unsafe_ptrace:1 makes room."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from cases_signals import SA_RESTART, handle, later, raw_open, writer
from rawcalls import call, named

if TYPE_CHECKING:
    from run_cases import Tree

TRACEME, CONT, KILL, DETACH, SYSCALL, SETOPTIONS, SEIZE, LISTEN = (
    0, 7, 8, 17, 24, 0x4200, 0x4206, 0x4208
)  # fmt: skip
SYSGOOD, EXITKILL = 1, 1 << 20
STOPS = (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)


def blocked_child(flags: int) -> int:
    """Fork a child that opens the FIFO, and ends with 7, or with the errno."""
    pid = os.fork()
    if pid == 0:
        handle(signal.SIGUSR1, flags)
        fd = raw_open(b"fifo", os.O_RDONLY)
        os._exit(7 if fd >= 0 else -fd)
    time.sleep(0.2)
    return pid


def trace(pid: int) -> list[object]:
    """Let the tracee *pid* run on to its end; return its stops."""
    seen: list[object] = []
    while True:
        _, status = os.waitpid(pid, 0x4000_0000)
        if not os.WIFSTOPPED(status):
            return [*seen, os.waitstatus_to_exitcode(status)]
        number, event = status >> 8 & 0xFF, status >> 16
        seen.append([number, event])
        if event and number in STOPS:
            call("ptrace", LISTEN, pid, 0, 0)
        else:
            call("ptrace", CONT, pid, 0, 0 if event else number)


def seized(flags: int, *signals: int) -> object:
    pid = blocked_child(flags)
    seen = [named(call("ptrace", SEIZE, pid, 0, EXITKILL))]
    helpers = [
        later(0.2 + 0.2 * index, lambda n=number: os.kill(pid, n))
        for index, number in enumerate(signals)
    ]
    helpers.append(writer(at=0.9))
    seen += trace(pid)
    for helper in helpers:
        os.kill(helper, 9)
        os.waitpid(helper, 0)
    return seen


def case_signal_for_a_blocked_tracee(_tree: Tree) -> object:
    return seized(0, signal.SIGUSR1)


def case_restarting_signal_for_a_blocked_tracee(_tree: Tree) -> object:
    return seized(SA_RESTART, signal.SIGUSR1)


def case_ignored_signal_for_a_blocked_tracee(_tree: Tree) -> object:
    """The kernel keeps it, for the tracer to see."""
    return seized(0, signal.SIGWINCH)


def case_fatal_signal_for_a_blocked_tracee(_tree: Tree) -> object:
    return seized(0, signal.SIGTERM)


def case_stop_of_a_blocked_tracee(_tree: Tree) -> object:
    return seized(0, signal.SIGSTOP, signal.SIGCONT)


def case_tracer_that_dies(_tree: Tree) -> object:
    """PTRACE_O_EXITKILL: the tracee, blocked, dies with it; nobody reads the FIFO."""
    pid = blocked_child(0)
    tracer = os.fork()
    if tracer == 0:
        os._exit(call("ptrace", SEIZE, pid, 0, EXITKILL) != 0)
    os.waitpid(tracer, 0)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    time.sleep(0.1)
    return [status, named(raw_open(b"fifo", os.O_WRONLY | os.O_NONBLOCK))]


def case_stops_at_system_calls(_tree: Tree) -> object:
    """A traced child is stopped before and after a call that madcap performs."""
    pid = os.fork()
    if pid == 0:
        call("ptrace", TRACEME, 0, 0, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        call("mkdir", b"made", 0o755)
        os._exit(3)
    os.waitpid(pid, 0)
    call("ptrace", SETOPTIONS, pid, 0, SYSGOOD)
    stops = 0
    while True:
        call("ptrace", SYSCALL, pid, 0, 0)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSTOPPED(status):
            break
        stops += os.WSTOPSIG(status) == signal.SIGTRAP | 0x80
    return [stops > 2, os.waitstatus_to_exitcode(status), os.path.isdir("made")]
