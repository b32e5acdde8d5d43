# SPDX-License-Identifier: GPL-3.0-or-later
"""Control messages on their way out: descriptors judged and replaced, credentials checked."""

from __future__ import annotations

import errno
import struct

from madcap.kernel.judge import require
from madcap.kernel.net import address as a
from madcap.kernel.net.descriptors import kind_of
from madcap.linux.socket import CMSGHDR, SOL_SOCKET
from madcap.policy import categories as C

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from madcap.kernel.net.endpoint import Socket
    from madcap.kernel.request import Request

CONTROL_MAX = 128 * 1024  #: net.core.optmem_max: the kernel has no room for more.
RIGHTS_MAX = 253

SCM_RIGHTS, SCM_CREDENTIALS = 1, 2
_CREDENTIALS = struct.Struct("=iII")
_SO_TXTIME = 61
_SOL_IP, _SOL_UDP, _SOL_IPV6 = 0, 17, 41
_IP_RETOPTS, _IP_PKTINFO = 7, 8
_IPV6_2292PKTINFO, _IPV6_PKTINFO, _IPV6_2292RTHDR, _IPV6_RTHDR = 2, 50, 5, 57

#: (level, type) that may go out on an IPv4 or IPv6 socket: the switch needed, if any.
_INET = {
    (SOL_SOCKET, _SO_TXTIME): "",
    (_SOL_UDP, 103): "",  # UDP_SEGMENT
    (_SOL_IP, 1): "",  # IP_TOS
    (_SOL_IP, 2): "",  # IP_TTL
    (_SOL_IPV6, 52): "",  # IPV6_HOPLIMIT
    (_SOL_IPV6, 67): "",  # IPV6_TCLASS
    (_SOL_IP, _IP_PKTINFO): "allow_unsafe_ip_pktinfo",
    (_SOL_IPV6, _IPV6_PKTINFO): "allow_unsafe_ip_pktinfo",
    (_SOL_IPV6, _IPV6_2292PKTINFO): "allow_unsafe_ip_pktinfo",
    (_SOL_IP, _IP_RETOPTS): "allow_unsafe_ip_retopts",
    (_SOL_IPV6, _IPV6_RTHDR): "allow_unsafe_ipv6_rthdr",
    (_SOL_IPV6, _IPV6_2292RTHDR): "allow_unsafe_ipv6_rthdr",
}


def messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield (level, type, data) of each control message in *data*; raise EINVAL as the kernel."""
    at, end = 0, len(data)
    while at + CMSGHDR.size <= end:
        length, level, kind = CMSGHDR.unpack_from(data, at)
        if not CMSGHDR.size <= length <= end - at:
            raise OSError(errno.EINVAL, "control message")
        yield level, kind, data[at + CMSGHDR.size : at + length]
        at += length + 7 & ~7


def pack(level: int, kind: int, data: bytes) -> bytes:
    """Return one control message, padded."""
    return CMSGHDR.pack(CMSGHDR.size + len(data), level, kind) + data + bytes(-len(data) % 8)


def outgoing(req: Request, socket: Socket, data: bytes) -> bytes:
    """Return the control data for our own call in place of the caller's *data*.

    Raises EACCES (a descriptor may not be sent), EPERM (not the caller's credentials), EBADF,
    EINVAL. Descriptors in the result live until the request ends.
    """
    parts = []
    for level, kind, body in messages(data):
        if socket.domain in (a.AF_UNIX, a.AF_NETLINK):
            new = _local(req, socket, level, kind, body)
        else:
            new = body if _passes(req, socket, level, kind) else None
        if new is not None:
            parts.append(pack(level, kind, new))
    return b"".join(parts)


def _passes(req: Request, socket: Socket, level: int, kind: int) -> bool:
    both = req.policy.flags | req.host.options
    if not socket.is_inet:
        return "allow_unsupp_cmsg" in both
    switch = _INET.get((level, kind), "allow_unsupp_cmsg")
    return not switch or switch in both


def _local(req: Request, socket: Socket, level: int, kind: int, body: bytes) -> bytes | None:
    if level != SOL_SOCKET:
        return None  # The kernel skips it too.
    if kind == SCM_CREDENTIALS:
        return _credentials(req, body)
    if kind == SCM_RIGHTS:
        if socket.domain != a.AF_UNIX:
            raise OSError(errno.EINVAL, "descriptors on a netlink socket")
        return _rights(req, body)
    return body if _passes(req, socket, level, kind) else None


def _credentials(req: Request, body: bytes) -> bytes:
    if len(body) != _CREDENTIALS.size:
        raise OSError(errno.EINVAL, "size of credentials")
    pid, uid, gid = _CREDENTIALS.unpack(body)
    if pid != req.tgid:
        raise OSError(errno.EPERM, "another process")
    # The kernel compares the ids with ours, which are the caller's. The call is ours, too.
    return _CREDENTIALS.pack(req.host.pid, uid, gid)


def _rights(req: Request, body: bytes) -> bytes:
    count = len(body) // 4
    if count > RIGHTS_MAX:
        raise OSError(errno.EINVAL, "too many descriptors")
    ours = [req.descriptor(number) for number in struct.unpack_from(f"={count}i", body)]
    if req.policy.enabled & C.SENDFD:
        for fd in ours:
            require(req, C.SENDFD, kind_of(req, fd), errno.EACCES)
    return struct.pack(f"={count}i", *ours)
