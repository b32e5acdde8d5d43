# SPDX-License-Identifier: GPL-3.0-or-later
"""The control socket (``ipc:``): commands from outside the sandbox, one a line, answered in JSON.

Some facts about who is at the other end. The kernel attaches the sender's credentials to each
message (SO_PASSCRED); they must be those that the configuration names. The processes of the sandbox
have the same user, so credentials do not tell them from the user's other programs: a sender is
refused, too, where it is the supervisor (whose threads make trapped calls in the guests' place) or
a descendant of it, as every guest is. A sender that is gone by then cannot be looked at. It is
refused, unless guests' connects are trapped: then it would be the supervisor that connected, which
the socket tells.
"""

from __future__ import annotations

import errno
import os
import select
import time

from madcap import events
from madcap.errors import PolicyError, describe
from madcap.kernel.loading import load
from madcap.linux import socket
from madcap.linux.process import read_file
from madcap.linux.unix_message import Receiver
from madcap.policy import lock, report
from madcap.policy.interface import EGGS, MAJOR
from madcap.policy.json_text import compact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from madcap.kernel.host import Host
    from madcap.linux.unix_message import Message
    from madcap.policy.sandbox import Sandbox

MINOR: Final = 2  # The version of the protocol; that of the commands is interface.MINOR.
LINE_MAX: Final = 4096
_BLANKS: Final = b" \t\r\n\x0b\x0c"
_ORIGIN: Final = "ipc"
_TICK_MS: Final = 1000
_ANCESTORS: Final = 4096
_NOT_INTERACTIVE, _INTERACTIVE, _PROMPTING = b"n", b"i", b"p"
_PROMPT: Final = b"; "


class Rejected(Exception):
    """A message breaks the rules: *number* and *name* are the last the peer hears."""

    def __init__(self, number: int, name: str) -> None:
        super().__init__(name)
        self.reply = answer(number, name)


class Ended(Exception):
    """The sandbox is locked: nobody will be heard any more."""


def answer(number: int, text: str) -> bytes:
    """Return one reply."""
    return compact({"err": number, "msg": text}).encode() + b"\n"


def open_listener(sandbox: Sandbox) -> int:
    """Return the listening socket at the address of *sandbox*, for its owner alone.

    Raises OSError; EADDRINUSE also where the file exists: it is never removed.
    """
    address = sandbox.ipc_address or b""
    name = b"\0" + address[1:] if address[:1] == b"@" else address + b"\0"
    fd = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK, 0)
    before = os.umask(0o177)
    try:
        socket.setsockopt(fd, socket.SOL_SOCKET, socket.SO_PASSCRED, b"\1\0\0\0")
        socket.bind(fd, socket.AF_UNIX.to_bytes(2, "little") + name)
        socket.listen(fd, 128)
    except OSError:
        os.close(fd)
        raise
    finally:
        os.umask(before)
    return fd


class Connection:
    """One peer: what it sent and was not read yet, and what it was not sent yet."""

    __slots__ = ("closing", "eof", "fd", "heard", "mode", "pending", "unread")

    def __init__(self, fd: int, now: float) -> None:
        self.fd = fd
        self.heard = now
        self.mode = _NOT_INTERACTIVE
        self.unread = b""
        self.pending = b""
        self.closing = False  # Once nothing is pending.
        self.eof = False  # The peer sends no more.


class Control:
    """Serves one listening socket, in one thread."""

    __slots__ = ("_connections", "_host", "_listener", "_poll", "_receiver", "_trapped", "_wake")

    def __init__(self, host: Host, listener: int, *, trapped: bool) -> None:
        """Take over *listener*; *trapped* tells that guests cannot connect by themselves."""
        self._host = host
        self._listener = listener
        self._trapped = trapped
        self._receiver = Receiver(LINE_MAX)
        self._connections: dict[int, Connection] = {}
        self._poll = select.poll()
        self._poll.register(listener, select.POLLIN)
        self._wake, wake = os.pipe()
        self._poll.register(self._wake, select.POLLIN)
        host.sandbox.sealed.append(lambda: os.close(wake))  # The other end hears that.

    def run(self) -> None:
        """Serve until the sandbox is locked."""
        try:
            while not self._host.sandbox.locked:
                self._turn()
        except Ended:
            pass
        finally:
            for connection in list(self._connections.values()):
                self._close(connection)
            os.close(self._listener)
            os.close(self._wake)

    def _turn(self) -> None:
        """Wait once, and do all that can be done."""
        for fd, ready in self._poll.poll(_TICK_MS if self._connections else None):
            if fd == self._wake:
                raise Ended
            if fd == self._listener:
                self._accept()
                continue
            connection = self._connections.get(fd)
            if connection is None:
                continue
            try:
                if ready & select.POLLOUT:
                    self._flush(connection)
                if ready & (select.POLLIN | select.POLLHUP | select.POLLERR):
                    self._hear(connection)
            except OSError:  # The peer is gone.
                self._close(connection)
        self._close_idle()

    def _close_idle(self) -> None:
        limit = self._host.sandbox.ipc_idle / 1e9
        now = time.monotonic()
        for connection in list(self._connections.values()):
            if now - connection.heard >= limit:
                self._close(connection)

    def _accept(self) -> None:
        try:
            fd = socket.accept4(self._listener, 0, 0, socket.SOCK_NONBLOCK)
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
                time.sleep(0.1)  # The listener stays readable: don't spin.
            return
        if len(self._connections) >= self._host.sandbox.ipc_max:
            os.close(fd)
            events.emit(events.WARN, {"ctx": "ipc", "op": "reject"}, msg="too many connections")
            return
        self._connections[fd] = Connection(fd, time.monotonic())
        self._poll.register(fd, select.POLLIN)

    def _close(self, connection: Connection) -> None:
        if self._connections.pop(connection.fd, None) is not None:
            self._poll.unregister(connection.fd)
            os.close(connection.fd)

    def _flush(self, connection: Connection) -> None:
        """Send what the peer takes; while something is left, nothing more is read from it."""
        if connection.pending:
            try:
                sent = socket.send(connection.fd, connection.pending)
                connection.pending = connection.pending[sent:]
            except BlockingIOError:
                pass
        if not connection.pending and (connection.closing or connection.eof):
            self._close(connection)
        else:
            wanted = select.POLLOUT if connection.pending else select.POLLIN
            self._poll.modify(connection.fd, wanted)

    def _hear(self, connection: Connection) -> None:
        """Receive one message and carry out the lines that it completes."""
        try:
            message = self._receiver.receive(connection.fd)
        except BlockingIOError:
            return
        connection.heard = time.monotonic()
        try:
            if not message.data:
                connection.eof = True
            else:
                self._check(connection, message)
                connection.unread += message.data
                self._lines(connection, message)
        except Rejected as rejected:
            connection.pending += rejected.reply
            connection.closing = True
        finally:
            for fd in message.descriptors:
                os.close(fd)
        self._flush(connection)

    def _check(self, connection: Connection, message: Message) -> None:
        """Raise Rejected where *message* is not to be looked at any further."""
        if len(connection.unread) + len(message.data) >= LINE_MAX:
            raise Rejected(errno.E2BIG, "RATE")
        if not self._is_authentic(connection, message):
            raise Rejected(errno.EACCES, "AUTH")
        if message.truncated or message.unknown:
            raise Rejected(errno.EPROTO, "EPROTO")
        if len(message.descriptors) > 1:
            raise Rejected(errno.EMFILE, "NFDS")
        if message.descriptors and (connection.unread or message.data != b"load\n"):
            raise Rejected(errno.EBADMSG, "EBADMSG")

    def _is_authentic(self, connection: Connection, message: Message) -> bool:
        """Tell whether the sender of *message* may command; see the head of this module."""
        pid, uid, gid = message.credentials
        sandbox = self._host.sandbox
        if (uid, gid) != (0, 0) and (
            sandbox.ipc_uid not in (None, uid) or sandbox.ipc_gid not in (None, gid)
        ):
            return False
        if pid <= 0 or self._is_ours(socket.peer_pid(connection.fd)):
            return False
        try:
            return not self._descends(pid)
        except OSError:
            return self._trapped

    def _is_ours(self, pid: int) -> bool:
        return pid == self._host.pid

    def _descends(self, pid: int) -> bool:
        """Tell whether *pid* is ours or a descendant's; raises OSError where it is gone."""
        for _ in range(_ANCESTORS):
            if self._is_ours(pid):
                return True
            if pid <= 1:
                return False
            stat = read_file(self._host.proc, b"%d/stat" % pid, 4096)
            pid = int(stat.rpartition(b") ")[2].split(b" ", 2)[1])
        return True

    def _lines(self, connection: Connection, message: Message) -> None:
        """Carry out the complete lines that *connection* has sent."""
        while True:
            line, end, rest = connection.unread.partition(b"\n")
            if not end:
                return
            connection.unread = rest
            if b"\0" in line:
                raise Rejected(errno.EILSEQ, "EILSEQ")
            try:
                text = line.decode()
            except UnicodeDecodeError:
                raise Rejected(errno.EILSEQ, "EILSEQ") from None
            self._line(connection, text, message.descriptors)

    def _line(self, connection: Connection, line: str, descriptors: list[int]) -> None:
        """Carry out one line."""
        words = line.encode().split()
        first = words[0] if words else b""
        if first in (b"quit", b"exit"):
            connection.closing = True
            return
        if first == b"prompt":
            reply = _prompt(connection, words[1] if len(words) > 1 else b"")
        else:
            reply = self._reply(line, first, descriptors) if words else b""
            if reply and connection.mode == _NOT_INTERACTIVE:
                connection.closing = True
        connection.pending += reply
        if connection.mode == _PROMPTING:
            connection.pending += _PROMPT

    def _reply(self, line: str, first: bytes, descriptors: list[int]) -> bytes:
        """Return the answer to *line*, which is none of those that steer the connection."""
        sandbox = self._host.sandbox
        if first == b"ping":
            return answer(0, "PONG")
        if first == b"pink":
            return answer(0, EGGS[b"pink"].strip())
        if first == b"version":
            version = {"major": MAJOR, "minor": MINOR, "version": f"{MAJOR}.{MINOR}"}
            return compact(version).encode() + b"\n"
        with self._host.policy_lock:
            if sandbox.locked:
                raise Ended
            if line == "stat":
                return compact(report.state(sandbox)).encode("utf-8", "surrogateescape")
            if line == "stats":
                return report.stat_text(sandbox).encode("utf-8", "surrogateescape") + b"\n"
            try:
                if first == b"load":
                    _load(sandbox, descriptors)
                else:
                    sandbox.execute(line, (_ORIGIN, 1))
            except PolicyError as error:
                reply = answer(error.errno, describe(error.errno))
            except OSError as error:
                number = error.errno or errno.EIO
                reply = answer(number, describe(number))
            else:
                reply = answer(0, "ACK")
        if sandbox.locked:
            raise Ended
        return reply


def _load(sandbox: Sandbox, descriptors: list[int]) -> None:
    """Carry out the lines of the file that was sent along."""
    if not descriptors:
        raise OSError(errno.EBADF, "no descriptor came along")
    if sandbox.lock == lock.DROP:
        raise OSError(errno.EPERM, "drop")
    load(sandbox, descriptors[0], _ORIGIN)


def _prompt(connection: Connection, wanted: bytes) -> bytes:
    """Switch the mode of *connection* and return what is to be said about it."""
    if not wanted:
        wanted = _INTERACTIVE if connection.mode == _PROMPTING else _PROMPTING
    if wanted not in (_NOT_INTERACTIVE, _INTERACTIVE, _PROMPTING):
        return b"Unknown prompt mode!\n"
    connection.mode = wanted
    connection.closing = connection.closing or wanted == _NOT_INTERACTIVE
    return b""
