# SPDX-License-Identifier: GPL-3.0-or-later
"""The two ends of a call: the caller's socket, and the address as the kernel is to see it.

The address is copied once and judged; what goes to the kernel afterwards is made from that copy, or
names an object that is pinned by a descriptor. The socket is duplicated before the judgement, so
the caller can't put another one in its place.
"""

from __future__ import annotations

import errno
import fcntl
import os

from madcap.abi import flags as F
from madcap.kernel import moves
from madcap.kernel.lookup import lookup
from madcap.kernel.net import address as a
from madcap.kernel.net import peers, verdicts
from madcap.kernel.target import FOLLOW, Target, subject
from madcap.linux import socket as s
from madcap.policy import categories as C

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.net.address import Inet
    from madcap.kernel.request import Request

_F_GETFL = 3
_TCP_UDP = (a.IPPROTO_TCP, a.IPPROTO_UDP)


class Socket:
    """The caller's socket: a duplicate of its descriptor, and what it is, each asked once.

    *to* is what policy was last asked about for it: an address, or the name of a UNIX socket.
    """

    __slots__ = ("_protocol", "_room", "_type", "domain", "fd", "to")

    def __init__(self, req: Request, fd: int) -> None:
        """Raises ENOTSOCK; EBADF for an O_PATH descriptor."""
        self.fd = fd
        self._room = req.words
        self.domain = s.option(fd, s.SO_DOMAIN, req.words)
        self._type = self._protocol = -1
        self.to: Inet | bytes | None = None

    @property
    def type(self) -> int:
        """SOCK_STREAM and so on."""
        if self._type < 0:
            self._type = self.option(s.SO_TYPE)
        return self._type

    @property
    def protocol(self) -> int:
        """IPPROTO_TCP and so on; for netlink the netlink family."""
        if self._protocol < 0:
            self._protocol = self.option(s.SO_PROTOCOL)
        return self._protocol

    @property
    def protocol_name(self) -> str | None:
        """What rules call the protocol."""
        return a.PROTOCOLS.get(self.protocol)

    @property
    def is_inet(self) -> bool:
        """Whether this is an IPv4 or IPv6 socket."""
        return self.domain in (a.AF_INET, a.AF_INET6)

    @property
    def is_inet_stream(self) -> bool:
        """Whether this is TCP or MPTCP, where only connect and accept make a peer."""
        return (
            self.is_inet
            and self.type == a.SOCK_STREAM
            and self.protocol in (a.IPPROTO_TCP, a.IPPROTO_MPTCP)
        )

    @property
    def nonblocking(self) -> bool:
        """Whether O_NONBLOCK is set."""
        return bool(fcntl.fcntl(self.fd, _F_GETFL) & F.O_NONBLOCK)

    @property
    def connects(self) -> bool:
        """Whether a connect takes two, and may have to wait for the other."""
        if self.is_inet and self.protocol in _TCP_UDP:
            return self.protocol == a.IPPROTO_TCP
        return self.type in (a.SOCK_STREAM, a.SOCK_SEQPACKET)

    def option(self, name: int) -> int:
        """Return the int option *name* of level SOL_SOCKET."""
        return s.option(self.fd, name, self._room)

    def restarts(self, name: int) -> bool:
        """Whether a call goes on after a signal: not where the time-out *name* is set."""
        return not s.has_timeout(self.fd, name, self._room)


def fetch(req: Request, index: int) -> Socket:
    """Return the socket that argument *index* is the number of."""
    return Socket(req, req.descriptor(req.i32(index)))


def read_address(req: Request, pointer: int, length: int) -> bytes:
    """Copy the address at *pointer*, whose *length* is an int of the caller's; EINVAL, EFAULT."""
    if not 0 <= length <= s.ADDRESS_MAX:
        raise OSError(errno.EINVAL, "address length")
    if length == 0:
        return b""
    return req.read(pointer, length)


def supported(req: Request, domain: int) -> None:
    """Raise EAFNOSUPPORT where sockets of the family *domain* are not to be used."""
    options = req.host.options
    if domain in (a.AF_UNIX, a.AF_INET, a.AF_INET6, a.AF_NETLINK):
        return
    if domain == a.AF_PACKET:
        if "allow_unsafe_socket" not in options:
            raise OSError(errno.EPERM, "packet socket")
    elif domain == a.AF_ALG:
        if "allow_unsafe_kcapi" not in options:
            raise OSError(errno.EOPNOTSUPP, "kernel crypto")
    elif "allow_unsupp_socket" not in options:
        raise OSError(errno.EAFNOSUPPORT, "family")


def happened(req: Request, socket: Socket, kind: str) -> None:
    """Make the move that *kind*, of which policy was asked on *socket*, sets off."""
    to = socket.to
    if to is None or kind not in req.host.moves:
        return
    if isinstance(to, bytes):
        moves.after(req.host, kind, to)
    else:
        moves.after_address(req.host, kind, socket.protocol_name, to)


def goes_on(socket: Socket, error: Exception) -> bool:
    """Tell whether a connection is still being made after its call ended with *error*.

    The caller will have it without another call, so that counts as connected.
    """
    if not socket.is_inet:
        return False
    return not isinstance(error, OSError) or error.errno in (errno.EINPROGRESS, errno.EINTR)


# IPv4 and IPv6


def inet_target(req: Request, socket: Socket, wanted: int, to: Inet, error: int) -> Inet:
    """Return *to* as the kernel is to see it, judged; raises *error* where policy says no."""
    flags = req.policy.flags
    if to.is_any and "allow_unsafe_any_addr" not in flags:
        if wanted != C.NET_BIND:
            raise verdicts.refuse_any(req, to)
        to = to.to_loopback()
    if "force_local_net" in flags:
        to = to.to_loopback()
    if to.scope and "allow_unsafe_ipv6_scope" not in flags:
        verdicts.tell_scope(req, to)
        to = to.without_scope()
    privileged = wanted == C.NET_BIND and verdicts.is_privileged(req, to.port)
    if privileged:
        error = errno.EACCES
    verdicts.require_inet(req, wanted, socket.protocol_name, to, error)
    if privileged:
        raise OSError(errno.EACCES, "privileged port")
    socket.to = to
    return to


def connect_address(socket: Socket, raw: bytes) -> Inet:
    """Parse *raw* as connect(2) on the IPv4 or IPv6 *socket* takes it: EINVAL, EAFNOSUPPORT."""
    family = a.family_of(raw)
    if socket.domain == a.AF_INET:
        if len(raw) >= a.IN_SIZE and family != a.AF_INET:
            raise OSError(errno.EAFNOSUPPORT, "family")
        return a.parse_in(raw)
    if family == a.AF_INET and socket.type != a.SOCK_STREAM:
        return a.parse_in(raw)
    if len(raw) >= a.IN6_MIN and family != a.AF_INET6:
        raise OSError(errno.EAFNOSUPPORT, "family")
    return a.parse_in6(raw)


def send_address(socket: Socket, raw: bytes) -> Inet | None:
    """Parse *raw* as a send on the IPv4 or IPv6 *socket* takes it; None: as if there were none."""
    family = a.family_of(raw)
    if socket.domain == a.AF_INET:
        if len(raw) >= a.IN_SIZE and family not in (a.AF_INET, a.AF_UNSPEC):
            raise OSError(errno.EAFNOSUPPORT, "family")
        return a.parse_in(raw)
    if family == a.AF_INET:
        return a.parse_in(raw)
    if socket.protocol in (a.IPPROTO_UDP, a.IPPROTO_UDPLITE):
        if family == a.AF_UNSPEC:
            return None
        if family != a.AF_INET6:
            raise OSError(errno.EINVAL, "family")
    elif family not in (a.AF_INET6, a.AF_UNSPEC) and len(raw) >= a.IN6_MIN:
        raise OSError(errno.EAFNOSUPPORT, "family")
    return a.parse_in6(raw)


def destination(req: Request, socket: Socket, raw: bytes, flags: int) -> bytes | None:
    """Return the address for a send on *socket* of what the caller gave as *raw*, judged.

    None where the kernel takes no notice of it. The address stays good until the request ends.
    """
    domain = socket.domain
    if socket.is_inet:
        if socket.is_inet_stream and not flags & s.MSG_FASTOPEN:
            return None
        to = send_address(socket, raw)
        if to is None:
            return None
        req.alive()
        return inet_target(req, socket, C.NET_CONNECT, to, errno.ENOTCONN).raw
    if domain == a.AF_UNIX:
        if socket.type == a.SOCK_SEQPACKET:
            return None  # Connected, or else it fails: the address is never looked at.
        if socket.type == a.SOCK_STREAM:
            return b"\1\0\0"  # Any address fails, with EISCONN or EOPNOTSUPP.
        own, target = unix_target(req, socket, raw, errno.ENOTCONN)
        peers.arrived(req, raw, target)
        return own
    supported(req, domain)
    req.alive()
    if domain == a.AF_ALG:
        raise OSError(errno.EOPNOTSUPP, "kernel crypto")
    if domain == a.AF_NETLINK:
        bind_netlink(req, socket)
    return raw


# UNIX


def unix_target(
    req: Request, socket: Socket, raw: bytes, error: int
) -> tuple[bytes, Target | None]:
    """Return (address, object) for a connect or send to what the caller gave as *raw*, judged.

    The address names the object by a descriptor that pins it, and stays good until the request
    ends; an abstract name has no object.
    """
    name, abstract = a.unix_name(raw)
    if abstract:
        req.alive()
        socket.to = b"@" + name
        verdicts.require_unix(req, C.NET_CONNECT, socket.to, error)
        return raw, None
    target = lookup(req, F.AT_FDCWD, name, FOLLOW)
    req.alive()
    socket.to = subject(req, target.name)
    verdicts.require_unix(req, C.NET_CONNECT, socket.to, error)
    return a.unix_path(b"/proc/self/fd/%d" % target.fd), target


# Netlink


def bind_netlink(req: Request, socket: Socket) -> None:
    """Give the netlink *socket* the port that the kernel would give it on the caller's behalf.

    Left alone, the kernel would name it after us, because we make the call that binds it.
    """
    name = s.getsockname(socket.fd)
    if len(name) >= 12 and a.netlink_port(name) == 0:
        bind_netlink_port(req, socket, name)


def bind_netlink_port(req: Request, socket: Socket, raw: bytes) -> None:
    """Bind the netlink *socket* as *raw* says, with a free port in place of port 0."""
    port = req.tgid
    while True:
        try:
            s.bind(socket.fd, a.with_netlink_port(raw, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            # As the kernel does: ids that no process can have.
            port = 0x8000_0000 | int.from_bytes(os.urandom(4), "little")
        else:
            return
