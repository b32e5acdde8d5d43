# SPDX-License-Identifier: GPL-3.0-or-later
"""Socket addresses as bytes: taken apart, rewritten, and as the texts that rules and logs use.

Some facts about what the kernel takes an address for
-----------------------------------------------------
The family in an address need not be the family of the socket. An IPv4 socket takes AF_UNSPEC for
AF_INET in a send, and in a bind to the wildcard. An IPv6 datagram socket takes AF_INET in connect
and send. connect(2) with AF_UNSPEC dissolves an association and reaches nobody, except that UNIX
stream sockets refuse it. What is judged has to be what the kernel will act on, so `endpoint`
decides by socket and call, and hands an address on only in the form it judged.

An IPv6 address of 24 bytes is complete: the scope at its end came later (RFC 2133). An IPv4 address
inside ::ffff:0:0/96 is that IPv4 address, for rules as for the kernel.
"""

from __future__ import annotations

import errno

AF_UNSPEC = 0
AF_UNIX = 1
AF_INET = 2
AF_INET6 = 10
AF_NETLINK = 16
AF_PACKET = 17
AF_ALG = 38
AF_MAX = 46

SOCK_STREAM = 1
SOCK_DGRAM = 2
SOCK_RAW = 3
SOCK_SEQPACKET = 5
SOCK_DCCP = 6
SOCK_PACKET = 10

IPPROTO_TCP = 6
IPPROTO_UDP = 17
IPPROTO_UDPLITE = 136
IPPROTO_MPTCP = 262

IN_SIZE = 16
IN6_SIZE = 28
IN6_MIN = 24
UNIX_SIZE = 110

#: What rules call a protocol; those without a name match no rule that has one.
PROTOCOLS = {
    1: "icmp4", IPPROTO_TCP: "tcp", IPPROTO_UDP: "udp", 33: "dccp", 58: "icmp6", 132: "sctp",
    IPPROTO_UDPLITE: "udplite", IPPROTO_MPTCP: "mptcp",
}  # fmt: skip

UNNAMED = b"!unnamed"

_MAPPED = bytes(10) + b"\xff\xff"
_LOOPBACK4 = b"\x7f\0\0\1"
LOOPBACK6 = bytes(15) + b"\1"


def family_of(raw: bytes) -> int:
    """Return the family in *raw*, -1 where it is too short to have one."""
    return int.from_bytes(raw[:2], "little") if len(raw) >= 2 else -1


class Inet:
    """An IPv4 or IPv6 address and port; *ip* has 4 bytes also for IPv4 mapped into IPv6."""

    __slots__ = ("ip", "port", "raw")

    def __init__(self, raw: bytes, ip: bytes, port: int) -> None:
        self.raw = raw
        self.ip = ip
        self.port = port

    @property
    def is_any(self) -> bool:
        """Whether this is the wildcard of its family."""
        return not any(self.ip)

    def to_loopback(self) -> Inet:
        """Return the loopback address of this family, with the same port."""
        raw, four = self.raw, len(self.ip) == 4
        if len(raw) == IN_SIZE:
            return Inet(raw[:4] + _LOOPBACK4 + raw[8:], _LOOPBACK4, self.port)
        inside = _MAPPED + _LOOPBACK4 if four else LOOPBACK6
        ip = _LOOPBACK4 if four else LOOPBACK6
        return Inet(raw[:8] + inside + raw[24:], ip, self.port)

    @property
    def scope(self) -> int:
        """The IPv6 scope id, 0 where there is none."""
        return int.from_bytes(self.raw[24:28], "little") if len(self.raw) == IN6_SIZE else 0

    def without_scope(self) -> Inet:
        """Return this address with scope id 0."""
        return Inet(self.raw[:24] + bytes(4), self.ip, self.port)


def parse_in(raw: bytes) -> Inet:
    """Take *raw* for a struct sockaddr_in, whatever its family; raise EINVAL where too short."""
    if len(raw) < IN_SIZE:
        raise OSError(errno.EINVAL, "short sockaddr_in")
    raw = b"\2\0" + raw[2:IN_SIZE]
    return Inet(raw, raw[4:8], raw[2] << 8 | raw[3])


def parse_in6(raw: bytes) -> Inet:
    """Take *raw* for a struct sockaddr_in6, whatever its family; raise EINVAL where too short."""
    if len(raw) < IN6_MIN:
        raise OSError(errno.EINVAL, "short sockaddr_in6")
    size = IN6_SIZE if len(raw) >= IN6_SIZE else IN6_MIN
    raw = b"\n\0" + raw[2:size]
    ip = raw[8:24]
    return Inet(raw, ip[12:] if ip.startswith(_MAPPED) else ip, raw[2] << 8 | raw[3])


def unix_name(raw: bytes) -> tuple[bytes, bool]:
    """Return (path, False) or (abstract name, True) of a struct sockaddr_un; raise EINVAL.

    A path ends at its first NUL, or where the address does: it may fill all 108 bytes.
    """
    if not 2 < len(raw) <= UNIX_SIZE or family_of(raw) != AF_UNIX:
        raise OSError(errno.EINVAL, "not a UNIX address")
    name = raw[2:]
    if name[0] == 0:
        return name[1:], True
    return name.partition(b"\0")[0], False


def unix_path(path: bytes) -> bytes:
    """Return the struct sockaddr_un of *path*; raise ENAMETOOLONG."""
    if len(path) > UNIX_SIZE - 2:
        raise OSError(errno.ENAMETOOLONG, "no room in sun_path")
    return b"\1\0" + path + (b"\0" if len(path) < UNIX_SIZE - 2 else b"")


def netlink_port(raw: bytes) -> int:
    """Return the port of a struct sockaddr_nl; raise EINVAL."""
    if len(raw) < 12 or family_of(raw) != AF_NETLINK:
        raise OSError(errno.EINVAL, "not a netlink address")
    return int.from_bytes(raw[4:8], "little")


def with_netlink_port(raw: bytes, port: int) -> bytes:
    """Return the struct sockaddr_nl *raw* with another port."""
    return raw[:4] + (port & 0xFFFF_FFFF).to_bytes(4, "little") + raw[8:12]
