# SPDX-License-Identifier: GPL-3.0-or-later
"""A terminal of the guest's own (`sandbox/pty`), and the helper process between it and the user's.

Whoever holds the user's terminal can type into it (TIOCSTI), change what the next program finds,
and read what is meant for others. So the guest gets a pseudo-terminal, in a session of its own, and
a helper copies bytes. It is a process forked before any thread, which makes only the calls that
this takes; it ends when the guest's side is closed, or when the supervisor is gone for whatever
reason, and puts the user's terminal back as it was.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` imports enum: 4 ms
import errno
import fcntl
import os
import select
import termios

from madcap.linux.process import close_range
from madcap.policy import categories as C
from madcap.supervisor import lockdown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from madcap.policy.sandbox import Sandbox

    # iflag, oflag, cflag, lflag, two speeds, the control characters.
    Attributes = list[Any]

_IN, _OUT, _ERR = 0, 1, 2
_PIECE = 4096
_PENDING_MAX = 65536
#: More than a terminal holds: what is written while it is drained could go on for ever.
_DRAINED_MAX = 1 << 18
_IFLAG, _CFLAG, _LFLAG = 0, 2, 3
_SIGWINCH = 28
_MAX_FD = 0xFFFF_FFFF


def wanted(sandbox: Sandbox) -> bool:
    """Tell whether the guest is to have a terminal of its own: it would have the user's else."""
    if not sandbox.domains["default"].enabled & C.PTY:
        return False
    for fd in (_IN, _OUT):
        passed = any(low <= fd <= high for low, high in sandbox.passfd)
        if not passed or fd in sandbox.nullfd or not os.isatty(fd):
            return False
    try:
        return os.tcgetpgrp(_IN) == os.getpgrp()
    except OSError:  # Not our controlling terminal.
        return False


class Terminal:
    """The guest's terminal as the supervisor knows it.

    *slave* is the guest's end, and goes to 0 and 1 of the guest, and to 2 where that is a
    terminal. Made before Landlock could forbid it; the helper is started later.
    """

    __slots__ = ("_control", "_master", "_sandbox", "_saved", "slave")

    def __init__(self, sandbox: Sandbox) -> None:
        """Make the terminal, with the attributes and the size of the user's; raises OSError."""
        self._sandbox = sandbox
        self._control = -1
        try:
            self._saved: Attributes = termios.tcgetattr(_IN)
            self._master, self.slave = os.openpty()
            termios.tcsetattr(self.slave, termios.TCSANOW, self._saved)
        except termios.error as error:  # Not one of OSError.
            raise OSError(*error.args) from None
        _copy_size(self._master, sandbox.pty_rows, sandbox.pty_columns)

    def start(self) -> int:
        """Start the helper and return its process id."""
        reader, self._control = os.pipe()
        helper = os.fork()
        if helper == 0:
            try:
                os.close(self.slave)
                os.close(self._control)
                self._help(reader)
            finally:
                os._exit(0)
        os.close(reader)
        os.close(self._master)
        return helper

    def _help(self, control: int) -> None:
        """Copy bytes until either side is closed or the other end of *control* is."""
        low = 3
        for keep in sorted((self._master, control)):
            if keep > low:
                close_range(low, keep - 1, 0)
            low = keep + 1
        close_range(low, _MAX_FD, 0)
        rows, columns = self._sandbox.pty_rows, self._sandbox.pty_columns
        if rows is None or columns is None:
            _signal.signal(_SIGWINCH, lambda *_: _copy_size(self._master, rows, columns))
        lockdown.confine_terminal()
        try:
            termios.tcsetattr(_IN, termios.TCSADRAIN, raw(self._saved))
            relay(self._master, control)
        finally:
            termios.tcsetattr(_IN, termios.TCSADRAIN, self._saved)

    def started(self) -> None:
        """Leave the guest's end to the guest, which has it by now."""
        os.close(self.slave)

    def end(self, helper: int) -> None:
        """Let *helper*, if not 0, write what is left, and put the user's terminal back."""
        os.close(self._control)
        if helper:
            os.waitpid(helper, 0)
        try:
            termios.tcsetattr(_IN, termios.TCSADRAIN, self._saved)
        except (OSError, termios.error):
            return  # The user's terminal is gone.


def raw(saved: Attributes) -> Attributes:
    """Return *saved* with every byte passed as it is, but output still processed for our log."""
    found = list(saved)
    iflag, _, cflag, lflag = saved[:4]
    found[_IFLAG] = iflag & ~(
        termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP | termios.INLCR
        | termios.IGNCR | termios.ICRNL | termios.IXON
    )  # fmt: skip
    found[_CFLAG] = cflag & ~(termios.CSIZE | termios.PARENB) | termios.CS8
    found[_LFLAG] = (
        lflag & ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
        | termios.TOSTOP
    )
    return found


def _copy_size(master: int, rows: int | None, columns: int | None) -> None:
    """Give the terminal of *master* the size of the user's, but for what the policy sets."""
    try:
        size = bytearray(fcntl.ioctl(_IN, termios.TIOCGWINSZ, bytes(8)))
        for at, value in ((0, rows), (2, columns)):
            if value is not None:
                size[at : at + 2] = value.to_bytes(2, "little")
        fcntl.ioctl(master, termios.TIOCSWINSZ, bytes(size))
    except OSError:
        return  # Either is gone.


def relay(master: int, control: int, source: int = _IN, sink: int = _OUT) -> None:
    """Copy from *source* to *master*, and from *master* to *sink*.

    Returns when one of them has ended, or when the other end of the pipe *control* is closed;
    what the guest wrote before is written out first.
    """
    os.set_blocking(master, False)
    pending = b""
    poll = select.poll()
    poll.register(control, 0)  # Only its end is reported.
    while True:
        room = len(pending) < _PENDING_MAX
        poll.register(source, select.POLLIN if room else 0)
        poll.register(master, select.POLLIN | (select.POLLOUT if pending else 0))
        ready = dict(poll.poll())
        if ready.get(master, 0) & (select.POLLIN | select.POLLHUP) and not _forward(master, sink):
            return
        if control in ready:
            for _ in range(_DRAINED_MAX // _PIECE):
                if not _forward(master, sink, more=True):
                    break
            return
        if source in ready:
            data = _read(source)
            if not data:
                return
            pending += data
        if pending:
            pending = pending[_write(master, pending) :]


def _read(fd: int) -> bytes:
    """Return what can be read now; nothing at its end."""
    try:
        return os.read(fd, _PIECE)
    except OSError as error:
        if error.errno not in (errno.EIO, errno.EAGAIN):
            raise
        return b""


def _write(fd: int, data: bytes) -> int:
    try:
        return os.write(fd, data)
    except BlockingIOError:
        return 0


def _forward(master: int, sink: int, *, more: bool = False) -> bool:
    """Copy one piece of what the guest wrote; False at its end, with *more* if there is none."""
    try:
        data = os.read(master, _PIECE)
    except BlockingIOError:
        return not more
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return False
    while data:
        data = data[os.write(sink, data) :]
    return True
