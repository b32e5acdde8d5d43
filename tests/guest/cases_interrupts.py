# SPDX-License-Identifier: GPL-3.0-or-later
"""More about signals and calls that block: sockets, threads, masks, timers, and who else gets one.

As in cases_signals: a signal comes at 0.3 s, what the call waits for at 0.9 s, and a result says
in which third of the time something happened.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import struct
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import cases_signals as base
from cases_signals import (
    AT_SIGNAL,
    AT_WRITER,
    SA_RESETHAND,
    SA_RESTART,
    handle,
    later,
    raw_open,
    result,
    third,
    writer,
)
from rawcalls import call

if TYPE_CHECKING:
    from collections.abc import Callable

    from run_cases import Tree

SA_ONSTACK = 0x0800_0000
MSG_NOSIGNAL, MSG_DONTWAIT = 0x4000, 0x40
_libc = ctypes.CDLL(None, use_errno=True)


def name(value: int) -> str:
    """Name the outcome of a call: its errno, or that it came to an end."""
    return errno.errorcode[-value] if value < 0 else "done"


def during(
    block: Callable[[], int],
    *signals: tuple[float, int],
    then: Callable[[], object] | None = None,
    at: float = AT_WRITER,
) -> list[object]:
    """Make the call *block* while *signals* (time, number) come; a helper does *then* at *at*."""
    base._seen.clear()
    me = os.getpid()
    base._start = time.monotonic()
    helpers = [later(when, lambda n=number: os.kill(me, n)) for when, number in signals]
    if then is not None:
        helpers.append(later(at, then))
    value = block()
    took = time.monotonic() - base._start
    for helper in helpers:
        os.kill(helper, 9)
        os.waitpid(helper, 0)
    return [name(value), third(took), [third(when) for when in base._seen]]


def both(act: Callable[[], list[object]]) -> list[object]:
    """Return what *act* sees with a plain handler of SIGUSR1, and with one that restarts."""
    handle(signal.SIGUSR1, 0)
    plain = act()
    handle(signal.SIGUSR1, SA_RESTART)
    return [plain, act()]


# The same thread or process, other directions and sources


def case_signal_for_the_thread(_tree: Tree) -> object:
    """tgkill(2) at the thread, with a handler that restarts and one that doesn't."""
    me, tid = os.getpid(), threading.get_native_id()

    def act() -> list[object]:
        helper = later(AT_SIGNAL, lambda: call("tgkill", me, tid, int(signal.SIGUSR1)))
        seen = during(lambda: raw_open(b"fifo", os.O_RDONLY), then=open_other_end)
        os.waitpid(helper, 0)
        return seen

    return both(act)


def open_other_end() -> None:
    os.open(b"fifo", os.O_WRONLY)


def case_open_for_writing(_tree: Tree) -> object:
    def act() -> list[object]:
        return during(
            lambda: raw_open(b"fifo", os.O_WRONLY),
            (AT_SIGNAL, signal.SIGUSR1),
            then=lambda: os.open(b"fifo", os.O_RDONLY),
        )

    return both(act)


def case_real_time_signal_restarts(_tree: Tree) -> object:
    handle(64, SA_RESTART)
    return during(lambda: raw_open(b"fifo", os.O_RDONLY), (AT_SIGNAL, 64), then=open_other_end)


def case_handler_is_reset(_tree: Tree) -> object:
    """The second signal meets the default action."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        handle(signal.SIGUSR1, SA_RESETHAND)
        os.write(write, result(raw_open(b"fifo", os.O_RDONLY)).encode() + b" ")
        raw_open(b"fifo", os.O_RDONLY)
        os._exit(0)
    time.sleep(0.3)
    os.kill(pid, signal.SIGUSR1)
    time.sleep(0.3)
    os.kill(pid, signal.SIGUSR1)
    _, status = os.waitpid(pid, 0)
    return [os.read(read, 100).decode(), os.waitstatus_to_exitcode(status)]


def case_program_that_installs_its_own_handler(_tree: Tree) -> object:
    """A restarting handler ends with exec; the new program's plain one counts."""
    handle(signal.SIGUSR1, SA_RESTART)
    text = (
        "import sys, os, signal; sys.path.insert(0, os.environ['PROJECT'] + '/tests/guest')\n"
        "import cases_signals as c\n"
        "c.handle(signal.SIGUSR1, 0)\n"
        "print('ready', flush=True)\n"
        "print(c.result(c.raw_open(b'fifo', os.O_RDONLY)), flush=True)\n"
    )
    with subprocess.Popen(["/usr/bin/python3", "-S", "-c", text], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        ready = child.stdout.readline()
        time.sleep(0.3)
        child.send_signal(signal.SIGUSR1)
        out = child.communicate()[0]
    return [ready.decode(), out.decode()]


# Handlers within handlers, other stacks


def case_signal_within_a_handler(_tree: Tree) -> object:
    """The handler of SIGUSR1 sends SIGUSR2, whose handler runs within; the open ends once."""
    order: list[str] = []

    @ctypes.CFUNCTYPE(None, ctypes.c_int)
    def outer(_number: int) -> None:
        order.append("outer begins")
        os.kill(os.getpid(), signal.SIGUSR2)
        order.append("outer ends")

    @ctypes.CFUNCTYPE(None, ctypes.c_int)
    def inner(_number: int) -> None:
        order.append("inner")

    install(signal.SIGUSR1, outer)
    install(signal.SIGUSR2, inner)
    seen = during(
        lambda: raw_open(b"fifo", os.O_RDONLY), (AT_SIGNAL, signal.SIGUSR1), then=open_other_end
    )
    return [seen, order]


def case_handler_that_blocks_too(_tree: Tree) -> object:
    """A restarting handler opens another FIFO, and is interrupted itself; then all goes on."""
    os.mkfifo(b"second")
    inner: list[str] = []

    @ctypes.CFUNCTYPE(None, ctypes.c_int)
    def blocks(_number: int) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        inner.append(result(raw_open(b"second", os.O_RDONLY)))

    install(signal.SIGUSR1, blocks, SA_RESTART)
    handle(signal.SIGALRM, 0)
    seen = during(
        lambda: raw_open(b"fifo", os.O_RDONLY), (AT_SIGNAL, signal.SIGUSR1), then=open_other_end
    )
    return [seen, inner]


def install(number: int, handler: object, flags: int = 0) -> None:
    """Install a C-level *handler*."""
    action = base._Action(handler=ctypes.cast(handler, ctypes.c_void_p).value, flags=flags)
    if _libc.sigaction(number, ctypes.byref(action), None) != 0:
        raise OSError(ctypes.get_errno(), "sigaction")


def case_handler_on_another_stack(_tree: Tree) -> object:
    class Stack(ctypes.Structure):
        _fields_ = (("at", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))

    memory = ctypes.create_string_buffer(1 << 16)
    start = ctypes.addressof(memory)
    inside: list[bool] = []

    @ctypes.CFUNCTYPE(None, ctypes.c_int)
    def where(_number: int) -> None:
        now = Stack()
        _libc.sigaltstack(None, ctypes.byref(now))
        inside.append(bool(now.flags & 1))  # SS_ONSTACK

    if _libc.sigaltstack(ctypes.byref(Stack(start, 0, 1 << 16)), None) != 0:
        raise OSError(ctypes.get_errno(), "sigaltstack")
    install(signal.SIGUSR1, where, SA_ONSTACK)
    seen = during(
        lambda: raw_open(b"fifo", os.O_RDONLY), (AT_SIGNAL, signal.SIGUSR1), then=open_other_end
    )
    return [seen, inside]


# Who else may get the signal


def in_thread(act: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread


def case_signalfd_takes_it(_tree: Tree) -> object:
    """A blocked signal is read from a signalfd by another thread; the open goes on."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    mask = ctypes.c_uint64(1 << (signal.SIGUSR1 - 1))
    fd = call("signalfd4", -1, ctypes.byref(mask), 8, 0)
    got: list[int] = []
    reader = in_thread(lambda: got.append(struct.unpack_from("=I", os.read(fd, 128))[0]))
    seen = during(
        lambda: raw_open(b"fifo", os.O_RDONLY), (AT_SIGNAL, signal.SIGUSR1), then=open_other_end
    )
    reader.join(2)
    return [seen, got]


def case_sigwait_takes_it(_tree: Tree) -> object:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    got: list[int] = []
    waiter = in_thread(lambda: got.append(int(signal.sigwait([signal.SIGUSR1]))))
    seen = during(
        lambda: raw_open(b"fifo", os.O_RDONLY), (AT_SIGNAL, signal.SIGUSR1), then=open_other_end
    )
    waiter.join(2)
    return [seen, got]


def case_thread_with_an_open_mask_takes_it(_tree: Tree) -> object:
    """The main thread masks the signal; a second one, blocked, gets EINTR."""
    handle(signal.SIGUSR1, 0)
    found: list[str] = []
    thread = in_thread(lambda: found.append(result(raw_open(b"fifo", os.O_RDONLY))))
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGUSR1)
    thread.join(2)
    return found


def case_main_thread_that_sleeps_takes_it(_tree: Tree) -> object:
    """The kernel prefers the main thread; the second one stays in its open."""
    handle(signal.SIGUSR1, 0)
    found: list[str] = []
    helper = writer(at=1.2)
    thread = in_thread(lambda: found.append(result(raw_open(b"fifo", os.O_RDONLY))))
    me = os.getpid()
    later_kill = later(AT_SIGNAL, lambda: os.kill(me, signal.SIGUSR1))
    start = time.monotonic()
    slept = _libc.usleep(800_000)
    early = time.monotonic() - start < 0.7
    time.sleep(0.2)
    before = list(found)
    thread.join(3)
    for pid in (helper, later_kill):
        os.waitpid(pid, 0)
    return [slept, early, before, found]


def case_handler_in_another_thread_opens_the_other_end(_tree: Tree) -> object:
    handle(signal.SIGUSR1, 0)
    found: list[str] = []
    thread = in_thread(lambda: found.append(result(raw_open(b"fifo", os.O_RDONLY))))
    signal.signal(signal.SIGUSR1, lambda *_: os.close(os.open(b"fifo", os.O_WRONLY)))
    signal.siginterrupt(signal.SIGUSR1, False)
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGUSR1)
    thread.join(2)
    return found


def case_thread_that_is_cancelled(_tree: Tree) -> object:
    """pthread_cancel(3) ends a thread in its open: nobody has the FIFO open afterwards."""
    pid = os.fork()
    if pid == 0:
        thread = in_thread(lambda: raw_open(b"fifo", os.O_RDONLY))
        time.sleep(0.3)
        _libc.pthread_cancel(ctypes.c_ulong(thread.ident or 0))
        time.sleep(0.2)
        tasks = len(os.listdir("/proc/self/task"))
        os._exit(10 * tasks + (raw_open(b"fifo", os.O_WRONLY | os.O_NONBLOCK) == -errno.ENXIO))
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


# Children


def case_vfork_child_that_blocks(_tree: Tree) -> object:
    """posix_spawn(3) opens the FIFO in its child, while the parent waits in vfork."""
    helper = writer(at=0.4)
    start = time.monotonic()
    pid = os.posix_spawn(
        "/bin/cat", ["cat"], {}, file_actions=[(os.POSIX_SPAWN_OPEN, 0, "fifo", os.O_RDONLY, 0)]
    )
    waited = time.monotonic() - start > 0.3
    _, status = os.waitpid(pid, 0)
    os.waitpid(helper, 0)
    return [waited, os.waitstatus_to_exitcode(status)]


def case_parent_in_vfork_is_killed(_tree: Tree) -> object:
    """The child of a killed parent opens the FIFO later, and runs."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.posix_spawn(
            "/bin/cat", ["cat"], {},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, write, 1),
                (os.POSIX_SPAWN_OPEN, 0, "fifo", os.O_RDONLY, 0),
            ],
        )  # fmt: skip
        os._exit(0)
    os.close(write)
    time.sleep(0.4)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    with open(b"fifo", "wb") as file:
        file.write(b"text")
    return [os.waitstatus_to_exitcode(status), os.read(read, 10).decode()]


def case_killed_parent_leaves_its_child_blocked(_tree: Tree) -> object:
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        if os.fork() == 0:
            os.write(write, result(raw_open(b"fifo", os.O_RDONLY)).encode())
            os._exit(0)
        time.sleep(9)
    os.close(write)
    time.sleep(0.3)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    time.sleep(0.1)
    os.close(os.open(b"fifo", os.O_WRONLY))
    return os.read(read, 100).decode()


def case_two_hundred_blocked_processes_are_killed(_tree: Tree) -> object:
    pids = []
    for number in range(200):
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
    left = set()
    for _ in range(50):
        paths = [b"f%d" % number for number in range(200)]
        left = {result(raw_open(path, os.O_WRONLY | os.O_NONBLOCK)) for path in paths}
        if left == {"ENXIO"}:
            break
        time.sleep(0.02)
    return [sorted(ends), sorted(left)]


def case_storm_of_stops(_tree: Tree) -> object:
    """A blocked process is stopped and continued two hundred times, and gets its file."""
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGCONT, lambda *_: None)
        signal.siginterrupt(signal.SIGCONT, False)
        fd = raw_open(b"fifo", os.O_RDONLY)
        os._exit(7 if fd >= 0 else -fd)
    time.sleep(0.2)
    for round_ in range(200):
        os.kill(pid, signal.SIGSTOP)
        if round_ % 3 == 0:
            os.waitpid(pid, os.WUNTRACED)
        os.kill(pid, signal.SIGCONT)
    helper = writer(at=0.1)
    _, status = os.waitpid(pid, 0)
    while os.WIFSTOPPED(status):
        _, status = os.waitpid(pid, 0)
    os.waitpid(helper, 0)
    return os.waitstatus_to_exitcode(status)


def case_stop_of_a_process_with_blocked_threads(_tree: Tree) -> object:
    """Three threads block in three calls; a stop reaches them all, and all go on afterwards."""
    for path in (b"fifo1", b"fifo2"):
        os.mkfifo(path)
    pid = os.fork()
    if pid == 0:
        found: list[int] = []
        threads = [
            threading.Thread(target=lambda p=path: found.append(raw_open(p, os.O_RDONLY)))
            for path in (b"fifo", b"fifo1", b"fifo2")
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        os._exit(sum(fd >= 0 for fd in found))
    time.sleep(0.4)
    os.kill(pid, signal.SIGSTOP)
    _, stopped = os.waitpid(pid, os.WUNTRACED)
    os.kill(pid, signal.SIGCONT)
    time.sleep(0.2)
    for path in (b"fifo", b"fifo1", b"fifo2"):
        os.close(os.open(path, os.O_WRONLY))
    _, status = os.waitpid(pid, 0)
    return [os.WIFSTOPPED(stopped), os.waitstatus_to_exitcode(status)]


# Timers and calls that don't block


def count_alarms() -> list[int]:
    """Count SIGALRM from now on, by a handler that may come at any time; it does not restart."""
    seen: list[int] = []
    signal.signal(signal.SIGALRM, lambda number, _frame: seen.append(number))
    return seen


def timer_storm(seconds: float, period: float) -> object:
    """Every open ends by the timer, and never without a handler having run."""
    seen = count_alarms()
    start = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, period, period)
    unexplained, other, count = 0, set(), 0
    while time.monotonic() - start < seconds:
        before = len(seen)
        value = raw_open(b"fifo", os.O_RDONLY)
        count += 1
        if value != -errno.EINTR:
            other.add(result(value))
        elif len(seen) == before:
            unexplained += 1
    signal.setitimer(signal.ITIMER_REAL, 0, 0)
    return [unexplained, sorted(other), count > seconds / period / 8]


def case_timer_of_20_ms(_tree: Tree) -> object:
    return timer_storm(2, 0.02)


def case_timer_of_1_ms(_tree: Tree) -> object:
    return timer_storm(float(os.environ.get("TIMER_SECONDS", "2")), 0.001)


def case_timer_during_calls_that_do_not_block(_tree: Tree) -> object:
    """They come to their end, though a signal may come before anybody knows of the call."""
    seen = count_alarms()
    answers = set()
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    start = time.monotonic()
    number = 0
    while time.monotonic() - start < 2:
        number += 1
        path = b"made%d" % number
        answers.add(("mkdir", call("mkdir", path, 0o755)))
        answers.add(("rmdir", call("rmdir", path)))
        fd = call("socket", 1, 1, 0)
        answers.add(("socket", min(fd, 0)))
        answers.add(("bind", call("bind", fd, struct.pack("=H", 1) + path, 2 + len(path))))
        os.close(fd)
        answers.add(("unlink", call("unlink", path)))
        fd = raw_open(b"file", os.O_RDONLY)
        answers.add(("open", min(fd, 0)))
        os.close(fd)
    signal.setitimer(signal.ITIMER_REAL, 0, 0)
    return [sorted(answers), len(seen) > 10]


def case_many_short_lived_readers(_tree: Tree) -> object:
    """Readers of one FIFO are killed by the hundred; the place is as new afterwards."""
    for _ in range(4):
        pids = []
        for _ in range(100):
            pid = os.fork()
            if pid == 0:
                raw_open(b"fifo", os.O_RDONLY)
                os._exit(0)
            pids.append(pid)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            os.waitpid(pid, 0)
    time.sleep(0.1)
    for number in range(100):
        os.mkfifo(b"new%d" % number)
        os.unlink(b"new%d" % number)
    return result(raw_open(b"fifo", os.O_WRONLY | os.O_NONBLOCK))
