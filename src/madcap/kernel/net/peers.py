# SPDX-License-Identifier: GPL-3.0-or-later
"""Who connected and who sent: what the kernel would know if the callers had done it themselves.

The kernel notes the process that makes a connection or sends a message with credentials, and that
is us. So we note for whom: by the inode of the caller's socket, which sock_diag(7) tells of a peer,
and by the place a message goes to, for senders that have no name and are not connected.
"""

from __future__ import annotations

import errno
import os

from madcap.kernel.net import address as a
from madcap.kernel.net.names import NAMES
from madcap.linux import socket as s
from madcap.linux.process import read_file, status_field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.net.endpoint import Socket
    from madcap.kernel.net.names import Place
    from madcap.kernel.request import Request
    from madcap.kernel.target import Target

_MOST = 4096


class Recent:
    """A dictionary that forgets its oldest entries."""

    __slots__ = ("_items",)

    def __init__(self) -> None:
        self._items: dict[object, int] = {}

    def put(self, key: object, value: int) -> None:
        """Note *value* for *key*."""
        items = self._items
        items.pop(key, None)
        items[key] = value
        if len(items) > _MOST:
            try:
                items.pop(next(iter(items)), None)
            except RuntimeError:
                return  # Another thread put something just now; the next one makes room.

    def get(self, key: object) -> int:
        """Return what was noted for *key*, or 0."""
        return self._items.get(key, 0)


# Threads, because a process id costs a look into /proc: `_process_of` does that when asked.
_connectors = Recent()  # Inode of a socket: who connected it.
_senders = Recent()  # Inode of a socket: who sent on it last.
_arrivals = Recent()  # Place: who connected or sent there last.
_listeners = Recent()  # Place: who listens there, the peer of those who connect.


def connected(req: Request, socket: Socket, raw: bytes, target: Target | None) -> None:
    """Note that the caller connects *socket* to *raw*, or to the socket file *target*."""
    _connectors.put(os.fstat(socket.fd).st_ino, req.tid)
    arrived(req, raw, target)


def listens(req: Request, socket: Socket) -> None:
    """Note that the caller listens on the UNIX *socket*."""
    place = _place(s.getsockname(socket.fd))
    if place is not None:
        _listeners.put(place, req.tid)


def sent(req: Request, socket: Socket) -> None:
    """Note that the caller sends on the UNIX *socket*."""
    _senders.put(os.fstat(socket.fd).st_ino, req.tid)


def arrived(req: Request, raw: bytes, target: Target | None) -> None:
    """Note that something from the caller arrives at *raw*, or at the socket file *target*."""
    _arrivals.put(place_of(raw, target), req.tid)


def place_of(raw: bytes, target: Target | None) -> Place:
    """Return where a connection to *raw* arrives, or to the socket file *target*."""
    if target is None:
        return raw[2:]
    return target.st.st_dev, target.st.st_ino


def connector(req: Request, socket: Socket) -> int:
    """Return the process that connected the peer of *socket*, 0 where nobody knows.

    For whoever connected, it is the one that listened.
    """
    try:
        far = s.getpeername(socket.fd)
    except OSError:
        tid = _listeners.get(_own_place(socket))  # It listens itself.
    else:
        tid = _connectors.get(_peer(socket)) or _arrivals.get(_own_place(socket))
        tid = tid or _listeners.get(_place(far))
    return _process_of(req, tid)


def sender(req: Request, socket: Socket) -> int:
    """Return the process that sent what *socket* received through us, 0 where nobody knows."""
    tid = _senders.get(_peer(socket)) or _arrivals.get(_own_place(socket))
    return _process_of(req, tid)


def _process_of(req: Request, tid: int) -> int:
    """Return the process of the thread *tid*; of one that is gone, most were their own process."""
    if not tid:
        return 0
    try:
        status = read_file(req.host.proc, b"%d/status" % tid)
    except OSError:
        return tid
    return int(status_field(status, b"Tgid") or tid)


def _own_place(socket: Socket) -> Place | None:
    return _place(s.getsockname(socket.fd))


def _place(raw: bytes) -> Place | None:
    """Return the place that the UNIX address *raw* names, None where it names none."""
    if len(raw) < 3 or a.family_of(raw) != a.AF_UNIX:
        return None
    if raw[2] == 0:
        return raw[2:]
    return NAMES.place(raw[2:].partition(b"\0")[0])


def _peer(socket: Socket) -> int | None:
    """Return the inode of the peer of *socket*, None where that can't be found."""
    if socket.domain != a.AF_UNIX:
        return None
    try:
        return s.unix_peer(os.fstat(socket.fd).st_ino) or None
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EPROTONOSUPPORT, errno.EOPNOTSUPP):
            return None
        raise
