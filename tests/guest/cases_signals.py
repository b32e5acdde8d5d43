# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals and calls that block: each case says what a program sees of an interruption.

Unless a case says otherwise: a reader opens a FIFO and blocks, a helper sends a signal at 0.3 s and
a writer opens the other end at 0.9 s. What is reported is coarse on purpose: in which third of the
time something happened.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from run_cases import Tree

AT_SIGNAL, AT_WRITER = 0.3, 0.9
SA_RESTART, SA_RESETHAND, SA_SIGINFO = 0x1000_0000, 0x8000_0000, 4

_libc = ctypes.CDLL(None, use_errno=True)
_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_int)
_seen: list[float] = []
_start = 0.0


class _Action(ctypes.Structure):
    _fields_ = (
        ("handler", ctypes.c_void_p),
        ("mask", ctypes.c_ubyte * 128),
        ("flags", ctypes.c_int),
        ("restorer", ctypes.c_void_p),
    )


@_HANDLER
def _note(_number: int) -> None:
    _seen.append(time.monotonic() - _start)


def handle(number: int, flags: int) -> None:
    """Install a C-level handler, so that the interpreter's own retries don't blur the picture."""
    action = _Action(handler=ctypes.cast(_note, ctypes.c_void_p).value, flags=flags)
    if _libc.sigaction(number, ctypes.byref(action), None) != 0:
        raise OSError(ctypes.get_errno(), "sigaction")


def third(seconds: float) -> str:
    """Say when that was: before the signal, between signal and writer, after the writer."""
    if seconds < AT_SIGNAL - 0.05:
        return "early"
    return "signal" if seconds < AT_WRITER - 0.1 else "writer"


def raw_open(path: bytes, flags: int) -> int:
    """open(2) once: -errno on failure."""
    fd = _libc.open(path, flags)
    return int(fd) if fd >= 0 else -ctypes.get_errno()


def result(value: int) -> str:
    """Name the outcome of an open."""
    return "opened" if value >= 0 else errno.errorcode[-value]


def later(seconds: float, act: Callable[[], object]) -> int:
    """Fork a helper that does *act* after *seconds*."""
    pid = os.fork()
    if pid == 0:
        time.sleep(seconds)
        try:
            act()
        finally:
            os._exit(0)
    return pid


def writer(path: bytes = b"fifo", at: float = AT_WRITER) -> int:
    """Open the other end of the FIFO later."""
    return later(at, lambda: os.open(path, os.O_WRONLY))


def blocked(*signals: tuple[float, int], prepare: Callable[[], None] | None = None) -> list[object]:
    """Block in the open of a FIFO while *signals* (time, number) come; return what happened."""
    global _start
    _seen.clear()
    me = os.getpid()
    _start = time.monotonic()
    helpers = [later(at, lambda n=number: os.kill(me, n)) for at, number in signals]
    helpers.append(writer())
    if prepare is not None:
        prepare()
    fd = raw_open(b"fifo", os.O_RDONLY)
    took = time.monotonic() - _start
    for helper in helpers:
        os.kill(helper, 9)
        os.waitpid(helper, 0)
    return [result(fd), third(took), [third(when) for when in _seen]]


def case_no_signal(_tree: Tree) -> object:
    return blocked()


def case_caught_signal_interrupts(_tree: Tree) -> object:
    handle(signal.SIGUSR1, 0)
    return blocked((AT_SIGNAL, signal.SIGUSR1))


def case_caught_signal_restarts(_tree: Tree) -> object:
    handle(signal.SIGUSR1, SA_RESTART)
    return blocked((AT_SIGNAL, signal.SIGUSR1))


def case_real_time_signal(_tree: Tree) -> object:
    handle(40, 0)
    return blocked((AT_SIGNAL, 40))


def case_alarm(_tree: Tree) -> object:
    handle(signal.SIGALRM, 0)
    return blocked(prepare=lambda: signal.setitimer(signal.ITIMER_REAL, AT_SIGNAL))


def case_blocked_signal_waits(_tree: Tree) -> object:
    handle(signal.SIGUSR1, 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    return blocked((AT_SIGNAL, signal.SIGUSR1))


def case_ignored_signal_is_nothing(_tree: Tree) -> object:
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    return blocked((AT_SIGNAL, signal.SIGUSR1))


def case_default_ignored_signal_is_nothing(_tree: Tree) -> object:
    return blocked((AT_SIGNAL, signal.SIGWINCH))


def case_cont_with_handler(_tree: Tree) -> object:
    handle(signal.SIGCONT, 0)
    return blocked((AT_SIGNAL, signal.SIGCONT))


def case_cont_with_restarting_handler(_tree: Tree) -> object:
    handle(signal.SIGCONT, SA_RESTART)
    return blocked((AT_SIGNAL, signal.SIGCONT))


def case_restarting_then_plain(_tree: Tree) -> object:
    handle(signal.SIGUSR1, SA_RESTART)
    handle(signal.SIGUSR2, 0)
    return blocked((AT_SIGNAL, signal.SIGUSR1), (AT_SIGNAL + 0.2, signal.SIGUSR2))


def case_fork_keeps_restarting(_tree: Tree) -> object:
    """A child that inherited a restarting handler restarts too."""
    handle(signal.SIGUSR1, SA_RESTART)
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, repr(blocked((AT_SIGNAL, signal.SIGUSR1))).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    return os.read(read, 200).decode()


def child_state(pid: int) -> str:
    """Return the state letter of process *pid*, S for any kind of sleep."""
    with open(f"/proc/{pid}/stat") as file:
        letter = file.read().rpartition(")")[2].split()[0]
    return {"t": "T", "D": "S"}.get(letter, letter)


def waiting_reader() -> int:
    """Fork a process that blocks in the open of the FIFO, and ends with 7 when it gets it."""
    pid = os.fork()
    if pid == 0:
        fd = raw_open(b"fifo", os.O_RDONLY)
        os._exit(7 if fd >= 0 else -fd)
    time.sleep(0.2)
    return pid


def case_default_term_kills(_tree: Tree) -> object:
    pid = waiting_reader()
    start = time.monotonic()
    os.kill(pid, signal.SIGTERM)
    _, status = os.waitpid(pid, 0)
    return [os.waitstatus_to_exitcode(status), time.monotonic() - start < 0.5]


def case_kill_leaves_no_reader(_tree: Tree) -> object:
    """After the reader was killed nobody has the FIFO open."""
    pid = waiting_reader()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    time.sleep(0.1)
    return result(raw_open(b"fifo", os.O_WRONLY | os.O_NONBLOCK))


def case_stop_and_continue(_tree: Tree) -> object:
    pid = waiting_reader()
    os.kill(pid, signal.SIGSTOP)
    _, stopped = os.waitpid(pid, os.WUNTRACED)
    os.kill(pid, signal.SIGCONT)
    time.sleep(0.2)
    helper = writer(at=0)
    _, status = os.waitpid(pid, 0)
    os.kill(helper, 9)
    os.waitpid(helper, 0)
    return [os.WIFSTOPPED(stopped), os.waitstatus_to_exitcode(status)]


def case_only_the_chosen_thread_is_interrupted(_tree: Tree) -> object:
    """Two threads block; one signal for the process interrupts one of them."""
    os.mkfifo(b"fifo2")
    handle(signal.SIGUSR1, 0)
    outcomes: list[str] = []

    def block(path: bytes) -> None:
        outcomes.append(result(raw_open(path, os.O_RDONLY)))

    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])

    def unmasked(path: bytes) -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
        block(path)

    threads = [threading.Thread(target=unmasked, args=(p,)) for p in (b"fifo", b"fifo2")]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    os.kill(os.getpid(), signal.SIGUSR1)
    time.sleep(0.3)
    interrupted = list(outcomes)
    helpers = [writer(path, 0) for path in (b"fifo", b"fifo2")]
    for thread in threads:
        thread.join()
    for helper in helpers:
        os.kill(helper, 9)
        os.waitpid(helper, 0)
    return [interrupted, sorted(outcomes)]


def case_timer_interrupts_again_and_again(_tree: Tree) -> object:
    """Fifty interruptions, none lost, none twice."""
    handle(signal.SIGALRM, 0)
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    answers = {result(raw_open(b"fifo", os.O_RDONLY)) for _ in range(50)}
    signal.setitimer(signal.ITIMER_REAL, 0, 0)
    return sorted(answers)


def case_exit_frees_a_blocked_thread(_tree: Tree) -> object:
    """A process ends while a thread of it is blocked: nobody keeps the FIFO open."""
    pid = os.fork()
    if pid == 0:
        threading.Thread(target=raw_open, args=(b"fifo", os.O_RDONLY), daemon=True).start()
        time.sleep(0.2)
        os._exit(3)
    _, status = os.waitpid(pid, 0)
    time.sleep(0.1)
    return [
        os.waitstatus_to_exitcode(status),
        result(raw_open(b"fifo", os.O_WRONLY | os.O_NONBLOCK)),
    ]


def case_many_blocked_threads(_tree: Tree) -> object:
    """Sixty readers block at once, and all are served."""
    pids = []
    for number in range(60):
        path = b"f%d" % number
        os.mkfifo(path)
        pid = os.fork()
        if pid == 0:
            os._exit(0 if raw_open(path, os.O_RDONLY) >= 0 else 1)
        pids.append(pid)
    time.sleep(0.3)
    for number in range(60):
        os.close(os.open(b"f%d" % number, os.O_WRONLY))
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


def case_kill_of_many_blocked_processes(_tree: Tree) -> object:
    pids = []
    for number in range(60):
        path = b"f%d" % number
        os.mkfifo(path)
        pid = os.fork()
        if pid == 0:
            raw_open(path, os.O_RDONLY)
            os._exit(1)
        pids.append(pid)
    time.sleep(0.3)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    ends = {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids}
    time.sleep(0.2)
    left = [result(raw_open(b"f%d" % number, os.O_WRONLY | os.O_NONBLOCK)) for number in range(60)]
    return [sorted(ends), sorted(set(left))]


def case_exec_from_another_thread(_tree: Tree) -> object:
    """execve while a sibling thread is blocked: the sibling vanishes, the FIFO has no reader."""
    pid = os.fork()
    if pid == 0:
        threading.Thread(target=raw_open, args=(b"fifo", os.O_RDONLY), daemon=True).start()
        time.sleep(0.2)
        os.execv("/bin/sh", ["sh", "-c", "exit 5"])  # noqa: S606 - a shell is not wanted
    _, status = os.waitpid(pid, 0)
    time.sleep(0.1)
    return [
        os.waitstatus_to_exitcode(status),
        result(raw_open(b"fifo", os.O_WRONLY | os.O_NONBLOCK)),
    ]
