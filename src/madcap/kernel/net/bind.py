# SPDX-License-Identifier: GPL-3.0-or-later
"""bind(2), and listen(2), which binds a socket that has no address yet."""

from __future__ import annotations

import errno
import os

from madcap.abi import flags as F
from madcap.kernel import moves
from madcap.kernel.change import under_umask
from madcap.kernel.lookup import lookup
from madcap.kernel.net import address as a
from madcap.kernel.net import endpoint, peers, verdicts
from madcap.kernel.net.names import NAMES, encode
from madcap.kernel.target import MISS, subject
from madcap.linux import fs
from madcap.linux import socket as s
from madcap.policy import categories as C

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.net.endpoint import Socket
    from madcap.kernel.request import Request

_LISTENING = (a.SOCK_STREAM, a.SOCK_SEQPACKET)


def sys_bind(req: Request) -> int:
    """bind(2)."""
    socket = endpoint.fetch(req, 0)
    length = req.i32(2)
    raw = endpoint.read_address(req, req.args[1], length)
    if not raw:
        raise OSError(errno.EINVAL, "no address")
    if socket.is_inet:
        return _bind_inet(req, socket, raw)
    if socket.domain == a.AF_UNIX:
        return _bind_unix(req, socket, raw)
    endpoint.supported(req, socket.domain)
    req.alive()
    if socket.domain == a.AF_NETLINK and a.netlink_port(raw) == 0:
        endpoint.bind_netlink_port(req, socket, raw)
        return 0
    return s.bind(socket.fd, raw)


def _bind_inet(req: Request, socket: Socket, raw: bytes) -> int:
    family = a.family_of(raw)
    if socket.domain == a.AF_INET:
        to = a.parse_in(raw)
        # AF_UNSPEC with the wildcard is how programs older than AF_INET bind.
        if family != a.AF_INET and (family != a.AF_UNSPEC or not to.is_any):
            raise OSError(errno.EAFNOSUPPORT, "family")
    else:
        to = a.parse_in6(raw)
        if family != a.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "family")
    req.alive()
    to = endpoint.inet_target(req, socket, C.NET_BIND, to, errno.EADDRNOTAVAIL)
    s.bind(socket.fd, to.raw)
    _bound_inet(req, socket)
    return 0


def sys_listen(req: Request) -> int:
    """listen(2): the kernel would bind a nameless socket to a free port of every address."""
    socket = endpoint.fetch(req, 0)
    req.alive()
    if socket.is_inet and socket.type in _LISTENING and not _bound(socket).port:
        wildcard = a.parse_in(bytes(16)) if socket.domain == a.AF_INET else a.parse_in6(bytes(28))
        to = endpoint.inet_target(req, socket, C.NET_BIND, wildcard, errno.EADDRINUSE)
        s.bind(socket.fd, to.raw)
        _bound_inet(req, socket)
    s.listen(socket.fd, req.i32(1))
    if socket.domain == a.AF_UNIX:
        peers.listens(req, socket)
    req.release(socket.fd)  # When the caller closes it, it is closed.
    return 0


def _bound_inet(req: Request, socket: Socket) -> None:
    """Do what follows a successful bind: the move first, so the rule is for the new domain."""
    endpoint.happened(req, socket, "bind")
    if "allow_safe_bind" in req.host.options:
        verdicts.remember_inet(req, socket.protocol_name, _bound(socket))


def _bound(socket: Socket) -> a.Inet:
    name = s.getsockname(socket.fd)
    return a.parse_in(name) if socket.domain == a.AF_INET else a.parse_in6(name)


def _bind_unix(req: Request, socket: Socket, raw: bytes) -> int:
    if raw == b"\1\0":
        return _bind_automatically(req, socket, raw)
    name, abstract = a.unix_name(raw)
    if abstract:
        req.alive()
        text = b"@" + name
        verdicts.require_unix(req, C.NET_BIND, text, errno.EADDRNOTAVAIL)
        s.bind(socket.fd, raw)
    else:
        text = _bind_path(req, socket, name)
    moves.after(req.host, "bind", text)
    if "allow_safe_bind" in req.host.options:
        verdicts.remember_unix(req, text)
    return 0


def _bind_automatically(req: Request, socket: Socket, raw: bytes) -> int:
    """Let the kernel choose an abstract name, unless the socket has a name already."""
    req.alive()
    verdicts.require_unix(req, C.NET_BIND, a.UNNAMED, errno.EADDRNOTAVAIL)
    s.bind(socket.fd, raw)
    moves.after(req.host, "bind", a.UNNAMED)
    if "allow_safe_bind" in req.host.options:
        chosen = s.getsockname(socket.fd)
        verdicts.remember_unix(req, b"@" + chosen[3:] if len(chosen) > 3 else a.UNNAMED)
    return 0


def _bind_path(req: Request, socket: Socket, path: bytes) -> bytes:
    """Make a socket file at *path* of the caller's; returns its name for rules."""
    try:
        target = lookup(req, F.AT_FDCWD, path, MISS)
    except FileExistsError:
        raise OSError(errno.EADDRINUSE, "exists") from None
    if target.directory:
        raise OSError(errno.ENOENT, "trailing slash")
    req.alive()
    name = subject(req, target.name)
    verdicts.require_unix(req, C.NET_BIND, name, errno.EADDRNOTAVAIL)
    if req.policy.mask_of(name) is not None:
        raise OSError(errno.EPERM, "masked")
    number = NAMES.reserve()
    own = a.unix_path(encode(number, target.base))
    under_umask(req, _bind_below, req, socket.fd, target.parent, own)
    made = os.stat(target.base, dir_fd=target.parent, follow_symlinks=False)
    NAMES.remember(number, target.base, path, (made.st_dev, made.st_ino))
    return name


def _bind_below(req: Request, fd: int, directory: int, address: bytes) -> int:
    """Bind *fd* to *address* below *directory*, by way of the cwd: bind(2) takes no directory."""
    fs.chdir_fd(directory)
    try:
        return s.bind(fd, address)
    finally:
        fs.chdir_fd(req.host.self_fd)
