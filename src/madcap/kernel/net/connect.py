# SPDX-License-Identifier: GPL-3.0-or-later
"""connect(2)."""

from __future__ import annotations

import errno

from madcap.kernel.net import address as a
from madcap.kernel.net import endpoint, peers, verdicts
from madcap.kernel.net.names import NAMES
from madcap.kernel.reply import Gone, Interrupted
from madcap.linux import socket as s
from madcap.policy import categories as C

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.net.endpoint import Socket
    from madcap.kernel.request import Request


def sys_connect(req: Request) -> int:
    """connect(2)."""
    fd = req.descriptor(req.i32(0))
    raw = endpoint.read_address(req, req.args[1], req.i32(2))
    socket = endpoint.Socket(req, fd)
    if len(raw) < 2:
        raise OSError(errno.EINVAL, "no address")
    family = a.family_of(raw)
    if socket.is_inet:
        if family == a.AF_UNSPEC:
            req.alive()
            return s.connect(fd, raw)  # Dissolves an association, and reaches nobody.
        to = endpoint.connect_address(socket, raw)
        req.alive()
        to = endpoint.inet_target(req, socket, C.NET_CONNECT, to, errno.ECONNREFUSED)
        return _connect_inet(req, socket, to.raw)
    if socket.domain == a.AF_UNIX:
        if family == a.AF_UNSPEC and socket.type == a.SOCK_DGRAM:
            req.alive()
            return s.connect(fd, raw)
        own, target = endpoint.unix_target(req, socket, raw, errno.ECONNREFUSED)
        peers.connected(req, socket, raw, target)
        if NAMES.bound and not NAMES.connected:
            NAMES.connects(s.getsockname(fd))
        return _connect(req, socket, own)
    endpoint.supported(req, socket.domain)
    req.alive()
    if socket.domain == a.AF_ALG:
        raise OSError(errno.EOPNOTSUPP, "kernel crypto")
    if socket.domain == a.AF_NETLINK and family != a.AF_UNSPEC:
        endpoint.bind_netlink(req, socket)
    return _connect(req, socket, raw)


def _connect_inet(req: Request, socket: Socket, raw: bytes) -> int:
    if "allow_safe_bind" not in req.host.options:
        return _connect(req, socket, raw)
    before = _port(socket)
    try:
        return _connect(req, socket, raw)
    finally:
        # Also where it goes on in the background, the local end is known now.
        if before == 0 and _port(socket):
            name = s.getsockname(socket.fd)
            local = a.parse_in(name) if socket.domain == a.AF_INET else a.parse_in6(name)
            verdicts.remember_inet(req, None, local)


def _port(socket: Socket) -> int:
    return int.from_bytes(s.getsockname(socket.fd)[2:4], "big")


def _connect(req: Request, socket: Socket, raw: bytes) -> int:
    try:
        result = _call(req, socket, raw)
    except (OSError, Interrupted, Gone) as error:
        if endpoint.goes_on(socket, error):
            endpoint.happened(req, socket, "connect")
        raise
    endpoint.happened(req, socket, "connect")
    return result


def _is_near(socket: Socket) -> bool:
    """Tell whether the other end is an address of this host, where connecting takes no time.

    Not so UNIX sockets: their queues are often full, and may empty only by calls that we see.
    """
    to = socket.to
    return isinstance(to, a.Inet) and (to.ip[:1] == b"\x7f" or to.ip == a.LOOPBACK6)


def _call(req: Request, socket: Socket, raw: bytes) -> int:
    fd = socket.fd
    if not socket.connects or socket.nonblocking:
        return s.connect(fd, raw)
    restarts = socket.restarts(s.SO_SNDTIMEO)
    return req.host.blocking(req, lambda: s.connect(fd, raw), restarts, brief=_is_near(socket))
