# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs outside of the sandbox, which ``cmd/exec!`` starts: a process that waits to start them.

The threads of the supervisor can start nothing: their filters forbid it, and what they started
would have those filters. So one process is forked before there are threads and filters, if the lock
lets anybody ask for programs at all. It leaves the supervisor's family at once: it is nobody's that
the supervisor waits for, and what it has started lives on when the sandbox ends. It ends when the
last descriptor of its socket's other end is closed, with the supervisor at the latest.

What is started has a session of its own, ``/`` as its directory, umask 077, ``/dev/null`` as its
standard streams and no other descriptor. A request is the words, parted by the byte 0x1f; the
answer is an errno as 4 bytes, 0 once the program runs.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` imports enum: 4 ms
import errno
import fcntl
import os

from madcap.confine.child import candidates
from madcap.errors import PolicyError
from madcap.linux import socket
from madcap.linux.process import close_range

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final, NoReturn

    from madcap.policy.sandbox import Sandbox

SEPARATOR: Final = b"\x1f"
_REQUEST_MAX: Final = 1 << 16
_SOCKET: Final = 3  # The number of the socket in the waiting process.
_LAST: Final = 0xFFFF_FFFF


class Outside:
    """The supervisor's end; requests are made by one thread at a time."""

    __slots__ = ("_socket",)

    def __init__(self, environ: dict[bytes, bytes]) -> None:
        """Fork the process that starts programs, with the environment *environ*.

        Call it while there is one thread.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0)
        child = os.fork()
        if child == 0:
            try:
                # Its parent ends, so that it is adopted by somebody else than the supervisor.
                if os.fork():
                    os._exit(0)
                _wait(theirs, environ)
            finally:
                os._exit(errno.ENOTRECOVERABLE & 0xFF)
        os.close(theirs)
        os.waitpid(child, 0)
        self._socket = ours

    def spawn(self, words: list[bytes]) -> None:
        """Start the program *words*; raise PolicyError with the errno where it can't be."""
        request = SEPARATOR.join(words)
        try:
            os.write(self._socket, request)
            answer = os.read(self._socket, 4)
        except OSError as error:
            raise PolicyError(error.errno or errno.EIO, "nobody is there to start it") from None
        if len(answer) != 4:
            raise PolicyError(errno.EIO, "nobody is there to start it")
        number = int.from_bytes(answer, "little")
        if number:
            raise PolicyError(number, f"cannot run {words[0].decode('utf-8', 'replace')!r}")

    def close(self) -> None:
        """Let the waiting process end. What it has started goes on."""
        if self._socket >= 0:
            os.close(self._socket)
            self._socket = -1


def start(sandbox: Sandbox, environ: dict[bytes, bytes]) -> None:
    """Make ``cmd/exec!`` possible in *sandbox*; *environ* is what the command is given.

    Programs outside have our own variables besides.
    """
    ours = {name: text for name, text in sandbox.environ.items() if name.startswith(b"SYD_")}
    outside = Outside({**environ, **ours, b"PWD": b"/"})
    sandbox.spawn = outside.spawn

    def stop() -> None:
        sandbox.spawn = None
        outside.close()

    sandbox.sealed.append(stop)


def _wait(sock: int, environ: dict[bytes, bytes]) -> NoReturn:
    """Serve requests until nobody can make any."""
    os.setsid()
    os.chdir(b"/")
    os.umask(0o077)
    high = fcntl.fcntl(sock, fcntl.F_DUPFD_CLOEXEC, _SOCKET + 1)  # Out of the way of the others.
    null = os.open(b"/dev/null", os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    os.dup2(high, _SOCKET, inheritable=False)
    close_range(_SOCKET + 1, _LAST, 0)
    _signal.signal(_signal.SIGCHLD, _signal.SIG_IGN)  # Nobody waits for what is started.
    while True:
        try:
            request = os.read(_SOCKET, _REQUEST_MAX)
        except InterruptedError:
            continue
        if not request:
            os._exit(0)
        os.write(_SOCKET, _start(request.split(SEPARATOR), environ).to_bytes(4, "little"))


def _start(words: list[bytes], environ: dict[bytes, bytes]) -> int:
    """Start *words*; return 0, or the errno of the step that failed."""
    try:
        ready, report = os.pipe()  # Closed by a successful exec.
        child = os.fork()
    except OSError as error:
        return error.errno or errno.EAGAIN
    if child == 0:
        number = errno.ENOTRECOVERABLE
        try:
            number = _become(words, environ)
        finally:
            os.write(report, number.to_bytes(4, "little"))
            os._exit(number & 0xFF)
    os.close(report)
    answer = os.read(ready, 4)
    os.close(ready)
    return int.from_bytes(answer, "little")


def _become(words: list[bytes], environ: dict[bytes, bytes]) -> int:
    """Execute *words*; return the errno where that fails."""
    os.setsid()
    for number in range(1, _signal.NSIG):
        if number not in (9, 19, 32, 33):
            _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
    found = errno.ENOENT
    for path in candidates(words[0], environ.get(b"PATH")):
        try:
            os.execve(path, words, environ)  # noqa: S606 - a shell is not wanted
        except OSError as error:
            number = error.errno or errno.ENOENT
            if number not in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
                return number
            if number == errno.EACCES:
                found = number
        except ValueError:  # A NUL byte.
            return errno.EINVAL
    return found
