# SPDX-License-Identifier: GPL-3.0-or-later
"""The main thread: waits for every process of the sandbox and handles their ptrace stops.

Tracees are seized, so group stops are real (PTRACE_LISTEN) and job control works. The tracer's
part in policy is small: verify an exec before the new image runs, and decide chdir at its stop.
"""

from __future__ import annotations

import errno
import os
import struct
import time

from madcap import events
from madcap.abi import flags as F
from madcap.kernel import mapping, moves
from madcap.kernel.judge import Panic, admit
from madcap.kernel.lookup import lookup
from madcap.kernel.memory import require_room
from madcap.kernel.reply import Gone
from madcap.kernel.request import Request
from madcap.kernel.target import FOLLOW, Target, descriptor_name, subject
from madcap.linux import ptrace
from madcap.linux._call import NUMBERS
from madcap.linux.fs import openat2
from madcap.policy import categories as C
from madcap.policy import lock
from madcap.supervisor.freeze import DIRECTORY, MAPPING, hold_sharers
from madcap.supervisor.image import ExecVerifier
from madcap.supervisor.programs import Programs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from madcap.kernel.host import Host

OPTIONS = (
    ptrace.PTRACE_O_TRACEFORK
    | ptrace.PTRACE_O_TRACEVFORK
    | ptrace.PTRACE_O_TRACECLONE
    | ptrace.PTRACE_O_TRACEEXEC
    | ptrace.PTRACE_O_TRACESECCOMP
    | ptrace.PTRACE_O_TRACESYSGOOD
    | ptrace.PTRACE_O_EXITKILL
)
#: Seconds that the end of a task waits for answers to it, and between two looks.
_STUCK, _MOMENT = 1.0, 0.0002
_TASK = struct.Struct("=Q")
_FORKS = (ptrace.EVENT_FORK, ptrace.EVENT_VFORK, ptrace.EVENT_CLONE)
_WALL = 0x4000_0000
SIGKILL, SIGTRAP, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU = 9, 5, 18, 19, 20, 21, 22
_STOPS = (SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU)
_JOB_STOPS = (SIGTSTP, SIGTTIN, SIGTTOU)
_NO_STATUS = 127
_FATAL = 101
#: The calls that the filter answers with RET_TRACE.
STOPPED_CALLS = ("chdir", "fchdir", "mmap")
#: Trapped calls that may be left to the kernel, where they may wait for something.
_LEFT = ("accept", "accept4", "ioctl", "msgrcv", "recvfrom", "recvmsg", "recvmmsg", "semop")
_STOPPED = {NUMBERS[name]: name for name in STOPPED_CALLS if name in NUMBERS}


class StoppedRequest(Request):
    """A call of a tracee in a ptrace stop: it can't go away, so it counts as alive."""

    __slots__ = ()

    def stopped_at(self, tid: int, name: str, registers: ptrace.Registers) -> None:
        """Start on the call that *tid* has stopped at."""
        self.tid = tid
        self.name = name
        self.args = tuple(registers.argument(index) for index in range(6))
        self._tgid = 0
        self.policy = self.host.sandbox.active

    def alive(self) -> None:
        """Nothing to validate: the tracee is ours and stopped."""


def options_for(host: Host) -> int:
    """Return what tracees stop at, in *host*'s sandbox."""
    return OPTIONS | (ptrace.PTRACE_O_TRACEEXIT if "exit" in host.moves else 0)


def _goes_on(status: int) -> bool:
    """Tell whether a task that reports *status* would run its program again.

    Those that end must not wait for the call of a thread of theirs: its own end, if it is the
    leader's, is not reported before theirs.
    """
    return status & 0x7F == 0x7F and status >> 16 != ptrace.EVENT_EXIT


class Tracer:
    """Waits for the tracees of one sandbox until the eldest process (or all) has ended."""

    __slots__ = (
        "_before", "_held", "_host", "_options", "_outside", "_pending", "_performed", "_programs",
        "_registers", "_request", "_shared", "_status", "_tasks", "_verifier", "_watched",
    )  # fmt: skip

    def __init__(self, host: Host, trapped: Iterable[str]) -> None:
        self._host = host
        #: The numbers of the calls that only emulators perform.
        self._performed = frozenset(NUMBERS[name] for name in trapped if name not in _LEFT)
        self._request = StoppedRequest(host, host.sandbox.memory_access)
        self._verifier = ExecVerifier(host)
        self._registers = ptrace.Registers()
        self._programs = Programs(host, self._request.scratch)
        #: Thread that is in an allowed call: the call, what was judged, its name for rules.
        self._pending: dict[int, tuple[str, mapping.Identity, bytes]] = {}
        self._status: int | None = None
        self._options = options_for(host)
        #: Thread in an allowed call, until whose end those who share with it are held; 0 for none.
        self._held = 0
        #: Tasks of other processes that have the working directory which it sets, and where that
        #: was before.
        self._outside: list[int] = []
        self._shared = False  # Whether the memory of who is held for is other processes' too.
        self._before: mapping.Identity | None = None
        #: Tasks that have made others, and stop before they end: see `_let_answers_end`.
        self._watched: set[int] = set()
        #: Thread IDs that may run; some may be left of threads that called execve(2).
        self._tasks: set[int] = set()

    def run(self) -> int:
        """Loop until the sandbox has ended; return the exit status for our caller."""
        wait_all = "exit_wait_all" in self._host.options
        later: list[tuple[int, int]] = []
        while self._status is None or wait_all:
            if later and not self._held:
                tid, status = later.pop(0)
            else:
                try:
                    tid, status = os.waitpid(-1, _WALL)
                except ChildProcessError:
                    break
            if self._held and tid != self._held and _goes_on(status):
                later.append((tid, status))
                continue
            self._handle(tid, status)
            if self._held and self._held not in self._pending:
                self._held = 0
        return _NO_STATUS if self._status is None else self._status

    def _handle(self, tid: int, status: int) -> None:
        try:
            self._event(tid, status)
        except OSError as error:
            if error.errno != errno.ESRCH:  # Killed meanwhile: its end will be reported.
                events.bug("tracer", error, tid)
                self._kill(tid)
        except Gone:
            return  # As above.
        except Exception as error:
            events.bug("tracer", error, tid)
            self._kill(tid)

    def _kill(self, tid: int) -> None:
        try:
            os.kill(tid, SIGKILL)
        except ProcessLookupError:
            return

    def _event(self, tid: int, status: int) -> None:
        kind = status & 0x7F
        if kind != 0x7F:
            self._ended(tid, status)
            return
        signal, event = status >> 8 & 0xFF, status >> 16
        if event == 0:
            if signal == SIGTRAP | 0x80:
                self._syscall_exit(tid)
            else:
                self._deliver(tid, signal)
        elif event == ptrace.EVENT_STOP:
            if self._watched and tid not in self._tasks:
                ptrace.set_options(tid, self._options)  # It has those of who made it.
            self._tasks.add(tid)  # Its first stop comes before it runs anything.
            self._programs.began(tid)
            if signal in _STOPS:
                ptrace.listen(tid)
                if tid == self._host.eldest and signal in _JOB_STOPS:
                    self._stop_with_the_job(tid)
            else:
                ptrace.resume(tid)
        elif event == ptrace.EVENT_EXEC:
            self._tasks.add(tid)
            if tid in self._watched:
                ptrace.set_options(tid, self._options)
                self._watched.discard(tid)
            program = self._verifier.verify(tid)
            if program is None:
                self._programs.changed(tid)
                self._kill(tid)
            else:
                self._programs.became(tid, program)
                ptrace.resume(tid)
        elif event == ptrace.EVENT_SECCOMP:
            self._decide(tid)
        elif event in _FORKS:
            if event == ptrace.EVENT_CLONE and tid not in self._watched:
                ptrace.set_options(tid, self._options | ptrace.PTRACE_O_TRACEEXIT)
                self._watched.add(tid)
            self._forked(tid, event)
        elif event == ptrace.EVENT_EXIT:
            if "exit" in self._host.moves:
                self._leaves(tid, stopped=True)
            self._let_answers_end(tid)
            ptrace.resume(tid)
        else:
            ptrace.resume(tid)

    def _forked(self, tid: int, event: int) -> None:
        policy = self._host.sandbox.active
        if policy.pid_max and policy.enabled & C.PID:
            from madcap.supervisor.tasks import limit_tasks  # Loaded beforehand.

            child = ptrace.event_message(tid, event)
            limit_tasks(self._host, tid, child, self._programs)
        ptrace.resume(tid)

    def _let_answers_end(self, tid: int) -> None:
        """Wait until nobody is about to write to the memory of *tid*, which ends.

        Where another thread executes a program, that takes over the number of the main thread as
        soon as this one has ended. Who found the main thread's call waiting just before, and writes
        its result just after, would write into the memory of the new program. At this stop the call
        waits no more and the new memory is not there yet.
        """
        end = 0.0
        while any(_TASK.unpack_from(writer.data)[0] == tid for writer in tuple(self._host.writers)):
            now = time.monotonic()
            end = end or now + _STUCK
            if now > end:  # Nobody knows how long that takes, and others wait for us.
                self._kill(tid)
                return
            time.sleep(_MOMENT)

    def _leaves(self, tid: int, *, stopped: bool) -> None:
        """Make the move that the end of a process sets off, before anybody hears of that end."""
        program = self._programs.leaves(tid, stopped=stopped)
        if program is not None:
            moves.after(self._host, "exit", program)

    def _deliver(self, tid: int, signal: int) -> None:
        """Let *tid* take *signal*, and start its call again if that has not begun.

        A notification that nobody has received yet is withdrawn by a signal, and the kernel ends
        the call as if it had been waiting for something: a mkdir(2) would fail with EINTR. As
        nothing was done, the signal may as well have come just before the call.
        """
        registers = self._registers.load(tid)
        if (
            registers.result == -F.ERESTARTSYS
            and registers.number in self._performed
            and self._host.interrupted.get(tid) != (registers.number, *registers.arguments())
        ):
            registers.restart_anyway()
        ptrace.resume(tid, signal)

    def _ended(self, tid: int, status: int) -> None:
        self._leaves(tid, stopped=False)  # A kill may skip the stop where it is made otherwise.
        program = self._programs.ended(tid)
        host = self._host
        if program is not None and (tid != host.eldest or "exit_wait_all" in host.options):
            host.crashes.note(host.sandbox.active, program, status, tid)
        _, judged, _ = self._pending.pop(tid, ("", None, b""))
        if judged is not None and tid == self._held:
            self._look_at_sharers(judged)
        self._tasks.discard(tid)
        self._watched.discard(tid)
        host = self._host
        host.traceme.discard(tid)
        host.forget(tid)
        host.interrupted.pop(tid, None)
        if tid == host.terminal:
            host.terminal = 0
        if tid != host.eldest:
            return
        host.eldest_lives = False
        signal = status & 0x7F
        self._status = 128 + signal if signal else status >> 8 & 0xFF
        sandbox = host.sandbox
        if not signal and sandbox.lock == lock.EXEC:
            with host.policy_lock:
                lock.close(sandbox)

    def _stop_with_the_job(self, tid: int) -> None:
        """Stop ourselves too, so that the calling shell sees its job stopped; go on with it."""
        try:
            if os.getpgid(tid) != os.getpgrp():
                return
        except ProcessLookupError:
            return
        os.kill(self._host.pid, SIGSTOP)
        os.kill(tid, SIGCONT)

    # Calls that only the kernel can make: decided at their stop, verified at their exit

    def _decide(self, tid: int) -> None:
        registers = self._registers.load(tid)
        name = _STOPPED.get(registers.number, "")
        req = self._request
        req.stopped_at(tid, name, registers)
        held: list[int] = []
        outside: list[int] = []
        try:
            if self._host.ghost:
                raise OSError(errno.ENOSYS, "ghost")
            if name == "mmap":
                require_room(req, req.args[1])
                if not mapping.concerned(req):
                    ptrace.resume(tid)
                    return
                held = hold_sharers(self._host.proc, tid, self._tasks, MAPPING)
                self._shared = not all(self._is_thread(req.tgid, other) for other in held)
                judged, known = mapping.judge(req)
            else:
                held = hold_sharers(self._host.proc, tid, self._tasks, DIRECTORY)
                target = self._directory(req, name)
                judged = (target.st.st_dev, target.st.st_ino, b"")
                known = subject(req, target.name)
                outside = [other for other in held if not self._is_thread(req.tgid, other)]
                if outside:
                    self._before = self._directory_of(tid)
            self._pending[tid] = (name, judged, known)
        except OSError as error:
            registers.skip_with(-(error.errno or errno.EPERM))
            ptrace.resume(tid)
            return
        except Panic:  # On the main thread it is a plain denial.
            registers.skip_with(-errno.EACCES)
            ptrace.resume(tid)
            return
        finally:
            req.finish()
        ptrace.resume_to_exit(tid)
        if held:
            self._held, self._outside = tid, outside

    def _look_at_sharers(self, judged: mapping.Identity) -> None:
        """Verify a chdir whose caller was killed before that, by those who share the directory."""
        for other in self._outside:
            try:
                found = self._directory_of(other)
            except OSError as error:
                if error.errno == errno.ESRCH:
                    continue
                found = None
            if found is None or found not in (judged, self._before):
                events.emit(events.WARN, {"ctx": "chdir", "op": "dir_mismatch"}, pid=other)
                os._exit(_FATAL)

    def _is_thread(self, tgid: int, tid: int) -> bool:
        try:
            os.close(openat2(self._host.proc, b"%d/task/%d" % (tgid, tid), F.O_PATH))
        except OSError:
            return False
        return True

    def _directory(self, req: StoppedRequest, name: str) -> Target:
        if name == "fchdir":
            fd = req.directory(req.i32(0))
            target = Target(fd, descriptor_name(req, fd))
        else:
            path = req.path(0)
            if req.host.chrooted:
                if path.strip(b"/"):
                    raise OSError(errno.ENOENT, "after chroot")
                return Target(req.host.root, b"/")
            target = lookup(req, F.AT_FDCWD, path, FOLLOW)
        if target.type != F.S_IFDIR:
            raise OSError(errno.ENOTDIR, "not a directory")
        admit(req, target, C.CHDIR)
        return target

    def _syscall_exit(self, tid: int) -> None:
        name, judged, known = self._pending.pop(tid, ("", None, b""))
        if judged is not None:
            result = self._registers.load(tid).result
            failed = -4096 < result < 0
            if not failed and not mapping.same(
                judged, self._object_of(tid, name, result, bool(judged[2]))
            ):
                op = "map_mismatch" if name == "mmap" else "dir_mismatch"
                ctx = "mmap" if name == "mmap" else "chdir"
                events.emit(events.WARN, {"ctx": ctx, "op": op}, pid=tid)
                if tid == self._held and (name != "mmap" or self._shared):
                    # It outlives this process where another one shares its memory or directory.
                    os._exit(_FATAL)
                self._kill(tid)
                return
            if not failed:
                moves.after(self._host, name.removeprefix("f"), known)
        ptrace.resume(tid)

    def _object_of(self, tid: int, name: str, result: int, named: bool) -> mapping.Identity | None:
        """Return what the call *name* really used, None where that can't be found out."""
        try:
            if name == "mmap":
                return mapping.mapped_at(self._host, tid, result, named=named)
            return self._directory_of(tid)
        except OSError as error:
            if error.errno in (errno.ESRCH, errno.ENOENT):
                raise OSError(errno.ESRCH, "killed meanwhile") from error
            return None

    def _directory_of(self, tid: int) -> mapping.Identity:
        """Return what the working directory of *tid* is. Raises OSError; ESRCH where it is gone."""
        try:
            st = os.stat(b"%d/cwd" % tid, dir_fd=self._host.proc)
        except FileNotFoundError as error:
            raise OSError(errno.ESRCH, "gone") from error
        return st.st_dev, st.st_ino, b""
