# SPDX-License-Identifier: GPL-3.0-or-later
"""Parents, orphans, groups, tracers, and who may send a signal to whom: all of it within a sandbox.

What a guest may do to the supervisor is for tests/attacks.
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

from cases_interrupts import in_thread
from cases_signals import handle, later, raw_open, result
from rawcalls import call, named

if TYPE_CHECKING:
    from collections.abc import Callable

    from run_cases import Tree

PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG = 36, 1
PTRACE_TRACEME, PTRACE_CONT, PTRACE_SEIZE, PTRACE_SYSCALL = 0, 7, 0x4206, 24
_libc = ctypes.CDLL(None, use_errno=True)


def child(act: Callable[[], object]) -> int:
    """Fork a child that ends with what *act* returns, 0 for None."""
    pid = os.fork()
    if pid == 0:
        value = act()
        os._exit(value if isinstance(value, int) else 0)
    return pid


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def sleeper() -> int:
    return child(lambda: time.sleep(9))


def prctl(option: int, value: int) -> int:
    return call("prctl", option, value, 0, 0, 0)


# Orphans


def orphan(write: int, wait_for: int) -> None:
    """Be an orphan: tell who the parent is once it is not *wait_for*."""
    while os.getppid() == wait_for:
        time.sleep(0.01)
    os.write(write, struct.pack("=i", os.getppid()))
    os._exit(0)


def case_orphan_has_another_parent(_tree: Tree) -> object:
    read, write = os.pipe()

    def middle() -> None:
        me = os.getpid()
        child(lambda: orphan(write, me))

    pid = child(middle)
    os.waitpid(pid, 0)
    parent = struct.unpack("=i", os.read(read, 4))[0]
    return [parent not in (pid, os.getpid()), parent > 0]


def case_subreaper_gets_its_orphans(_tree: Tree) -> object:
    """And one within another gets those below itself."""
    read, write = os.pipe()

    def inner() -> int:
        prctl(PR_SET_CHILD_SUBREAPER, 1)

        def middle() -> None:
            me = os.getpid()
            child(lambda: orphan(write, me))

        os.waitpid(child(middle), 0)
        parent = struct.unpack("=i", os.read(read, 4))[0]
        _, status = os.waitpid(-1, 0)  # The orphan is ours to reap.
        return 10 + (parent == os.getpid()) + 2 * (status == 0)

    prctl(PR_SET_CHILD_SUBREAPER, 1)
    seen = [ended(child(inner))]

    def lone() -> None:
        me = os.getpid()
        child(lambda: orphan(write, me))

    os.waitpid(child(lone), 0)
    seen.append(struct.unpack("=i", os.read(read, 4))[0] == os.getpid())
    seen.append(os.waitpid(-1, 0)[1])
    return seen


def case_death_of_a_parent_is_told(_tree: Tree) -> object:
    read, write = os.pipe()

    def middle() -> None:
        def inner() -> None:
            prctl(PR_SET_PDEATHSIG, signal.SIGUSR1)
            signal.signal(signal.SIGUSR1, lambda *_: os.write(write, b"told"))
            os.write(write, b".")
            time.sleep(5)

        child(inner)
        os.read(read, 1)

    os.waitpid(child(middle), 0)
    return os.read(read, 10).decode()


def case_many_orphans_are_reaped(_tree: Tree) -> object:
    """Nobody waits for them here; their numbers are free in the end."""
    read, write = os.pipe()

    def middle() -> None:
        for _ in range(30):
            pid = child(lambda: os._exit(0))
            os.write(write, struct.pack("=i", pid))

    os.waitpid(child(middle), 0)
    data = os.read(read, 4096)
    deadline = time.monotonic() + 5
    left = list(struct.unpack(f"={len(data) // 4}i", data))
    while left and time.monotonic() < deadline:
        left = [pid for pid in left if call("kill", pid, 0) == 0]
        time.sleep(0.01)
    return [len(data) // 4, left]


# Waiting


def case_waitid_tells_everything(_tree: Tree) -> object:
    pid = sleeper()
    seen = []
    steps = (
        (signal.SIGSTOP, os.WSTOPPED),
        (signal.SIGCONT, os.WCONTINUED),
        (signal.SIGKILL, os.WEXITED),
    )
    for number, what in steps:
        os.kill(pid, number)
        info = os.waitid(os.P_PID, pid, what)
        assert info is not None
        seen.append([info.si_signo, info.si_code, info.si_status, info.si_pid == pid])
    return seen


def case_wait_for_a_pidfd(_tree: Tree) -> object:
    pid = child(lambda: 4)
    fd = os.pidfd_open(pid)
    info = os.waitid(os.P_PIDFD, fd, os.WEXITED)
    return [info.si_status if info else None, named(call("pidfd_send_signal", fd, 9, 0, 0))]


def case_children_that_stop_while_their_parent_is_blocked(_tree: Tree) -> object:
    """SIGCHLD interrupts the parent's open, whatever the child's stop is."""
    handle(signal.SIGCHLD, 0)
    pid = sleeper()
    helper = later(0.3, lambda: os.kill(pid, signal.SIGSTOP))
    seen = result(raw_open(b"fifo", os.O_RDONLY))
    _, status = os.waitpid(pid, os.WUNTRACED)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.waitpid(helper, 0)
    return [seen, os.WIFSTOPPED(status)]


def case_exit_of_the_first_thread_before_the_others(_tree: Tree) -> object:
    """The process lives on until its last thread has ended."""

    def act() -> None:
        threading.Thread(target=lambda: (time.sleep(0.3), os._exit(6))).start()
        _libc.syscall(60, 1)  # exit(2), of this thread alone

    return ended(child(act))


def case_exec_from_a_thread_keeps_the_process(_tree: Tree) -> object:
    read, write = os.pipe()
    os.set_inheritable(write, True)

    def act() -> None:
        words = ["sh", "-c", f"echo $$ >&{write}"]
        in_thread(lambda: os.execv("/bin/sh", words))  # noqa: S606 - a shell is not wanted
        time.sleep(5)

    pid = child(act)
    status = ended(pid)
    return [status, int(os.read(read, 100)) == pid]


# Signals to one another


def case_kill_takes_what_linux_takes(t: Tree) -> object:
    pid = sleeper()
    absent = 4194303
    seen = [
        t("kill", pid, 0), t("kill", pid, 65), t("kill", pid, -1), t("kill", absent, 0),
        t("kill", absent, 65), t("kill", -absent, 0), t("tkill", pid, 0), t("tkill", 0, 0),
        t("tkill", -1, 0), t("tkill", absent, 0), t("tgkill", pid, pid, 0), t("tgkill", 0, pid, 0),
        t("tgkill", pid, 0, 0), t("tgkill", os.getpid(), pid, 0), t("tgkill", absent, absent, 0),
        t("tgkill", pid, pid, 65), t("tkill", pid, 65),
    ]  # fmt: skip
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    seen.append(t("kill", pid, 0))
    return seen


def case_signals_to_groups(_tree: Tree) -> object:
    def lead() -> int:
        os.setpgid(0, 0)
        signal.signal(signal.SIGUSR1, lambda *_: None)
        others = [child(lambda: (signal.signal(10, signal.SIG_DFL), time.sleep(9))) for _ in "ab"]
        time.sleep(0.2)
        os.kill(0, signal.SIGUSR1)
        first = [ended(pid) for pid in others] == [-10, -10]
        other = sleeper()
        os.setpgid(other, other)
        os.killpg(other, signal.SIGTERM)
        return 10 + first + 2 * (ended(other) == -15)

    return ended(child(lead))


def case_queued_values(_tree: Tree) -> object:
    """rt_sigqueueinfo(2) carries a value, and may not pretend to be the kernel."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [40])
    me = os.getpid()
    info = ctypes.create_string_buffer(128)
    struct.pack_into("=iiixxxxiiQ", info, 0, 40, 0, -1, me, os.getuid(), 77)
    seen = [named(call("rt_sigqueueinfo", me, 40, info))]
    got = signal.sigtimedwait([40], 1)
    seen.append([got.si_code, got.si_pid == me] if got else None)
    seen.append(named(call("rt_tgsigqueueinfo", me, me, 40, info)))
    got = signal.sigtimedwait([40], 1)
    seen.append([got.si_code, got.si_pid == me] if got else None)
    pid = sleeper()
    struct.pack_into("=iii", info, 0, 40, 0, 0)  # SI_USER, for another process
    seen.append(named(call("rt_sigqueueinfo", pid, 40, info)))
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return seen


def case_signals_by_pidfd(_tree: Tree) -> object:
    pid = sleeper()
    fd = os.pidfd_open(pid)
    seen = [
        named(call("pidfd_send_signal", fd, 0, 0, 0)),
        named(call("pidfd_send_signal", fd, 65, 0, 0)),
        named(call("pidfd_send_signal", fd, 0, 0, 99)),
        named(call("pidfd_send_signal", 0, 0, 0, 0)),
        named(call("pidfd_send_signal", -1, 0, 0, 0)),
        named(call("pidfd_send_signal", fd, 15, 0, 0)),
    ]
    seen.append(ended(pid))
    thread = in_thread(lambda: time.sleep(1))
    tid = thread.native_id or 0
    seen.append(named(min(call("pidfd_open", tid, 0x80), 0)))
    seen.append(named(call("pidfd_open", tid, 0)) in ("EINVAL", "ENOENT"))
    seen += [named(call("pidfd_open", number, 0)) for number in (0, -1, 4194303)]
    return [*seen, named(call("pidfd_open", pid, 1))]


# A tracer of the guest's own. With a tracer of madcap's, a guest sees what a traced thread sees.


def case_second_request_to_be_traced(_tree: Tree) -> object:
    def act() -> int:
        first = call("ptrace", PTRACE_TRACEME, 0, 0, 0)
        second = call("ptrace", PTRACE_TRACEME, 0, 0, 0)
        return 10 * (first == 0) + (second == -errno.EPERM)

    return ended(child(act))


def case_shell_pipelines(_tree: Tree) -> object:
    """Job control, pipes, traps and waits of a shell."""
    text = """
    set -m
    sleep 5 & kill -STOP %1; sleep 0.2; kill -KILL %1; sleep 0.2; wait %1 2>/dev/null; echo $?
    trap 'echo usr1' USR1; (sleep 0.2; kill -USR1 $$) & wait $!; echo $?; wait; trap - USR1
    (exit 3) | (exit 4); echo $?; seq 1000 | head -n 1; kill -0 $$ && echo alive
    (kill -TERM $BASHPID); echo $?; timeout 0.2 sleep 5; echo $?
    cat fifo & sleep 0.2; kill %cat 2>/dev/null || kill $!; wait $! 2>/dev/null; echo $?
    """
    done = subprocess.run(["/bin/bash", "-c", text], capture_output=True, text=True, check=False)
    return [done.stdout.split("\n"), done.returncode]
