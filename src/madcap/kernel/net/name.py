# SPDX-License-Identifier: GPL-3.0-or-later
"""getsockname(2), getpeername(2), and the socket options that tell of the peer."""

from __future__ import annotations

import errno
import struct

from madcap.kernel.net import address as a
from madcap.kernel.net import endpoint, peers
from madcap.kernel.net.install import give
from madcap.kernel.net.names import NAMES
from madcap.kernel.reply import Continue
from madcap.linux import socket as s
from madcap.linux.process import pidfd_open

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from madcap.kernel.reply import Reply
    from madcap.kernel.request import Request

_SIGN = 1 << 31
_UCRED = struct.Struct("=iII")
_PLAIN = Continue("nothing is judged, and only the names of UNIX sockets differ")
_OPTION = Continue("nothing is judged, and the option is one that we have no part in")


def sys_getsockname(req: Request) -> Reply:
    """getsockname(2)."""
    return _name(req, s.getsockname)


def sys_getpeername(req: Request) -> Reply:
    """getpeername(2)."""
    return _name(req, s.getpeername)


def _name(req: Request, ask: Callable[[int], bytes]) -> Reply:
    if not NAMES.bound:
        return _PLAIN
    socket = endpoint.fetch(req, 0)
    if socket.domain != a.AF_UNIX:
        return _PLAIN
    write_address(req, req.args[1], req.args[2], NAMES.original(ask(socket.fd)))
    return 0


def write_address(req: Request, pointer: int, length: int, raw: bytes) -> None:
    """Write the address *raw* where the caller wants it, as move_addr_to_user does.

    At the address *length* is how much room there is; it is set to how long *raw* is.
    """
    room = int.from_bytes(req.read(length, 4), "little")
    if room & _SIGN:
        raise OSError(errno.EINVAL, "address length")
    shown = raw[:room]
    if shown:
        req.write(pointer, shown)
    req.write(length, len(raw).to_bytes(4, "little"))


def sys_getsockopt(req: Request) -> Reply:
    """getsockopt(2), for the options that tell who the peer is."""
    name = req.i32(2)
    if req.i32(1) != s.SOL_SOCKET or name not in (s.SO_PEERCRED, s.SO_PEERPIDFD):
        return _OPTION
    socket = endpoint.fetch(req, 0)
    room = int.from_bytes(req.read(req.args[4], 4), "little")
    if room & _SIGN:
        raise OSError(errno.EINVAL, "length")
    tell = _credentials if name == s.SO_PEERCRED else _pidfd
    value = tell(req, socket, room)
    if value:
        req.write(req.args[3], value)
    req.write(req.args[4], len(value).to_bytes(4, "little"))
    return 0


def _credentials(req: Request, socket: endpoint.Socket, room: int) -> bytes:
    value = s.getsockopt(socket.fd, s.SOL_SOCKET, s.SO_PEERCRED, _UCRED.size)
    pid, uid, gid = _UCRED.unpack(value)
    if pid == req.host.pid:
        # 0 is how the kernel tells of a process that can't be named here.
        value = _UCRED.pack(peers.connector(req, socket), uid, gid)
    return value[:room]


def _pidfd(req: Request, socket: endpoint.Socket, room: int) -> bytes:
    pid = _UCRED.unpack(s.getsockopt(socket.fd, s.SOL_SOCKET, s.SO_PEERCRED, _UCRED.size))[0]
    if pid == req.host.pid:
        pid = peers.connector(req, socket)
        if not pid:
            raise OSError(errno.ENODATA, "unknown peer")
        fd = req.own(pidfd_open(pid))
    else:
        value = s.getsockopt(socket.fd, s.SOL_SOCKET, s.SO_PEERPIDFD, 4)
        fd = req.own(int.from_bytes(value, "little"))
    return give(req, fd, cloexec=True).to_bytes(4, "little")[:room]
