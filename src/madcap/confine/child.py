# SPDX-License-Identifier: GPL-3.0-or-later
"""The command's process between fork and exec: confine itself, hand over the listener, exec.

Everything that needs thought was computed before the fork (`Launch`). From the moment the last
filter is loaded every trapped call waits for the emulators, so until the supervisor's go this makes
only calls that no filter hands over.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` imports enum: 4 ms
import errno
import fcntl
import os

from madcap.linux import capability, landlock
from madcap.linux._call import call
from madcap.linux.process import close_range
from madcap.linux.rlimit import set_limit
from madcap.linux.seccomp import install, install_listener

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from madcap.filter.plan import Program

GO = 42  # The byte that both sides greet with.
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_SIGKILL = 9
_ENOTRECOVERABLE = 131
_TIOCSCTTY = 0x540E
_MAX_FD = 0xFFFF_FFFF


class Launch:
    """What the child has to do, decided before the fork."""

    __slots__ = ("arg0", "argv", "close", "environ",
        "hooked", "limits", "null", "nullfd", "programs",
                 "scope", "search", "terminal")  # fmt: skip

    def __init__(
        self,
        *,
        argv: list[bytes],
        arg0: bytes | None,
        environ: dict[bytes, bytes],
        programs: Sequence[Program],
        limits: Sequence[tuple[int, int, int]],
        keep: Sequence[tuple[int, int]],
        nullfd: Sequence[int],
        null: int,
        hooked: frozenset[str],
        scope: bool,
        terminal: int = -1,
    ) -> None:
        self.search = candidates(argv[0], environ.get(b"PATH"))
        self.argv = [argv[0] if arg0 is None else arg0, *argv[1:]]
        self.environ = environ
        self.programs = programs
        self.limits = limits  # (resource, soft, hard)
        self.close = gaps(keep)
        self.nullfd = nullfd
        self.null = null
        self.hooked = hooked  # What the supervisor does in the guest's place.
        self.scope = scope
        self.terminal = terminal  # The terminal of its own, if not negative.


def candidates(command: bytes, path: bytes | None) -> list[bytes]:
    """Return the files to try for *command*, as execvp(3) would; *path* is PATH."""
    if b"/" in command or not command:
        return [command]
    directories = (path if path is not None else b"/bin:/usr/bin").split(b":")
    return [(directory or b".") + b"/" + command for directory in directories]


def gaps(keep: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the ranges of descriptor numbers that no range of *keep* covers."""
    result, start = [], 0
    for low, high in sorted(keep):
        if low > start:
            result.append((start, low - 1))
        start = max(start, high + 1)
    if start <= _MAX_FD:
        result.append((start, _MAX_FD))
    return result


def run(launch: Launch, go: int, report: int) -> None:
    """Become the command; never returns. *go* is read, *report* written: ends of two pipes."""
    step = "start"
    try:
        step = "signal"
        call("prctl", _PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
        _default_signals()
        call("prctl", _PR_SET_DUMPABLE, 1, 0, 0, 0)
        if launch.terminal >= 0:
            step = "pty"
            _take_terminal(launch.terminal)
        os.write(report, b"*")  # Seize me.
        if os.read(go, 1) != bytes((GO,)):
            os._exit(_ENOTRECOVERABLE)
        step = "limit"
        for resource, soft, hard in launch.limits:
            set_limit(resource, soft, hard)
        step = "landlock"
        call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        landlock.scope_child(launch.hooked, signals=launch.scope)
        step = "seccomp"
        listener = -1
        for program in launch.programs:
            if program.listener:
                listener = install_listener(program.code)
            else:
                install(program.code)
        os.write(report, listener.to_bytes(4, "little"))
        if os.read(go, 1) != bytes((GO,)):
            os._exit(_ENOTRECOVERABLE)
        os.close(listener)
        step = "capability"
        capability.drop_all()
        step = "descriptor"
        for number in launch.nullfd:
            os.dup2(launch.null, number, inheritable=True)
        for low, high in launch.close:
            close_range(low, high, 0)
        step = "exec"
        _exec(launch)
    except OSError as error:
        _die(step, error.errno or _ENOTRECOVERABLE)
    except BaseException:
        _die(step, _ENOTRECOVERABLE)


def _take_terminal(terminal: int) -> None:
    """Lead a session whose controlling terminal *terminal* is, and use it."""
    os.setsid()
    fcntl.ioctl(terminal, _TIOCSCTTY, 0)
    for number in (0, 1, 2):
        if number < 2 or os.isatty(number):
            os.dup2(terminal, number, inheritable=True)


def _die(step: str, number: int) -> None:
    message = f"madcap: {step} error: {os.strerror(number)}\n"
    try:
        os.write(2, message.encode())
    finally:
        os._exit(number & 0xFF)


def _default_signals() -> None:
    """Undo what the interpreter and the supervisor did to the dispositions and the mask."""
    for number in range(1, 65):
        if number not in (9, 19, 32, 33):
            _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())


def _exec(launch: Launch) -> None:
    """Try each candidate as execvp(3) does; raises OSError of the best failure."""
    denied = False
    failure = OSError(errno.ENOENT, os.strerror(errno.ENOENT))
    for path in launch.search:
        if not path:  # Where the interpreter would raise ValueError.
            raise failure
        try:
            os.execve(path, launch.argv, launch.environ)  # noqa: S606 - a shell is not wanted
        except OSError as error:
            failure = error
            if error.errno == errno.EACCES:
                denied = True
            elif error.errno == errno.ENOEXEC:  # A script without "#!" is the shell's.
                shell = [b"/bin/sh", path, *launch.argv[1:]]
                os.execve(b"/bin/sh", shell, launch.environ)  # noqa: S606
            elif error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.ELOOP):
                raise
    if denied:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))
    raise failure
