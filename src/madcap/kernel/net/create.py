# SPDX-License-Identifier: GPL-3.0-or-later
"""socket(2) and socketpair(2): which families, types and protocols there are for a guest."""

from __future__ import annotations

import errno

from madcap.kernel import moves
from madcap.kernel.net import address as a
from madcap.kernel.net import verdicts
from madcap.kernel.net.install import MARKS, give
from madcap.kernel.reply import Continue, Install
from madcap.linux import socket as s
from madcap.policy import categories as C

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.reply import Reply
    from madcap.kernel.request import Request

_FLAGS = s.SOCK_CLOEXEC | s.SOCK_NONBLOCK
_TYPE_MASK = 0xF
_SOCK_MAX = 11
_NAMED_TYPES = frozenset((1, 2, 3, 4, 5, 6, 10))
_NETLINK_UEVENT = 15

_PAIR = Continue("the arguments are values, and the pointer is only written to")

_IPPROTO_MAX = 263

# Pass a packet only if it is for this host and came by interface 1, which is a loopback.
_LOCAL_ONLY = (
    (0x20, 0, 0, 0xFFFFF004),  # ld [SKF_AD_PKTTYPE]
    (0x15, 0, 5, 0),  # PACKET_HOST
    (0x20, 0, 0, 0xFFFFF008),  # ld [SKF_AD_IFINDEX]
    (0x15, 0, 3, 1),
    (0x28, 0, 0, 0xFFFFF01C),  # ldh [SKF_AD_HATYPE]
    (0x15, 0, 1, 772),  # ARPHRD_LOOPBACK
    (0x06, 0, 0, 0xFFFFFFFF),
    (0x06, 0, 0, 0),
)

# Drop what the kernel sends unasked: port 0, and a type that is no control message (16 and above).
# The type is in the byte order of the machine, the loads are not.
_NO_NOTICES = (
    (0x20, 0, 0, 12),  # ld [nlmsg_pid]
    (0x15, 0, 5, 0),
    (0x30, 0, 0, 5),  # ldb [nlmsg_type, high byte]
    (0x15, 0, 2, 0),
    (0x30, 0, 0, 4),  # ldb [nlmsg_type, low byte]
    (0x35, 0, 1, 16),  # NLMSG_MIN_TYPE
    (0x06, 0, 0, 0),
    (0x06, 0, 0, 0xFFFFFFFF),
)


def sys_socket(req: Request) -> Reply:
    """socket(2)."""
    family, kind, protocol = req.i32(0), req.i32(1), req.i32(2)
    check(req, family, kind, protocol)
    fd = req.own(s.socket(family, kind, protocol))
    _dress(req, fd, family, protocol)
    return Install(fd, cloexec=bool(kind & s.SOCK_CLOEXEC))


def sys_socketpair(req: Request) -> Reply:
    """socketpair(2)."""
    family, kind, protocol = req.i32(0), req.i32(1), req.i32(2)
    check(req, family, kind, protocol)
    req.alive()
    if family == a.AF_UNIX:
        verdicts.require_unix(req, C.NET_BIND, a.UNNAMED, errno.EOPNOTSUPP)
        made_here = "deny_passrights" in req.host.options or MARKS & req.policy.flags
        if made_here or "bind" in req.host.moves:
            result = _pair(req, family, kind, protocol)
            moves.after(req.host, "bind", a.UNNAMED)
            return result
    return _PAIR


def _pair(req: Request, family: int, kind: int, protocol: int) -> int:
    """Make both sockets here, where something has to be done to them before the caller has them."""
    at = req.args[3]
    req.write(at, b"\xff" * 8)  # Found unwritable now rather than with the descriptors there.
    theirs = []
    for fd in s.socketpair(family, kind, protocol):
        req.own(fd)
        _dress(req, fd, family, protocol)
        theirs.append(give(req, fd, cloexec=bool(kind & s.SOCK_CLOEXEC)))
    req.write(at, b"".join(fd.to_bytes(4, "little") for fd in theirs))
    return 0


def check(req: Request, family: int, kind: int, protocol: int) -> None:
    """Raise OSError unless a guest may have such a socket; mirrors the kernel's own order."""
    if kind & ~(_TYPE_MASK | _FLAGS):
        raise OSError(errno.EINVAL, "flags")
    if not 0 <= family < a.AF_MAX:
        raise OSError(errno.EAFNOSUPPORT, "family")
    kind &= _TYPE_MASK
    if kind >= _SOCK_MAX:
        raise OSError(errno.EINVAL, "type")
    if family == a.AF_UNIX:
        _check_unix(kind, protocol)
    elif family in (a.AF_INET, a.AF_INET6):
        _check_inet(req, family, kind, protocol)
    elif family == a.AF_NETLINK:
        _check_netlink(req, kind, protocol)
    else:
        _check_other(req, family, kind)


def _check_unix(kind: int, protocol: int) -> None:
    if protocol not in (0, a.AF_UNIX):
        raise OSError(errno.EPROTONOSUPPORT, "protocol")
    if kind not in (a.SOCK_STREAM, a.SOCK_DGRAM, a.SOCK_RAW, a.SOCK_SEQPACKET):
        raise OSError(errno.ESOCKTNOSUPPORT, "type")


def _check_inet(req: Request, family: int, kind: int, protocol: int) -> None:
    bad = not 0 <= protocol < _IPPROTO_MAX
    if kind not in _NAMED_TYPES:
        raise OSError(errno.EINVAL if bad else errno.ESOCKTNOSUPPORT, "type")
    if kind == a.SOCK_RAW:
        if bad:
            raise OSError(errno.EINVAL, "protocol")
        if protocol == 0:
            raise OSError(errno.EPROTONOSUPPORT, "protocol")
    if kind == a.SOCK_PACKET and family == a.AF_INET6:
        raise OSError(errno.EINVAL if bad else errno.ESOCKTNOSUPPORT, "type")
    if kind in (a.SOCK_RAW, a.SOCK_PACKET) and "allow_unsafe_socket" not in req.host.options:
        raise OSError(errno.EPERM, "raw socket")


def _check_netlink(req: Request, kind: int, protocol: int) -> None:
    if kind not in (a.SOCK_RAW, a.SOCK_DGRAM):
        raise OSError(errno.ESOCKTNOSUPPORT, "type")
    if protocol not in req.host.sandbox.netlink:
        raise OSError(errno.EPROTONOSUPPORT, "netlink family")


def _check_other(req: Request, family: int, kind: int) -> None:
    options = req.host.options
    raw = "allow_unsafe_socket" in options
    if family == a.AF_UNSPEC:
        raise OSError(errno.EAFNOSUPPORT, "family")
    if family == a.AF_ALG:
        if "allow_unsafe_kcapi" not in options:
            raise OSError(errno.EAFNOSUPPORT, "kernel crypto")
    elif family == a.AF_PACKET:
        if not raw:
            raise OSError(errno.EPERM, "packet socket")
    elif "allow_unsupp_socket" not in options:
        raise OSError(errno.EAFNOSUPPORT, "family")
    elif kind == a.SOCK_RAW and not raw:
        raise OSError(errno.EPERM, "raw socket")
    if kind not in _NAMED_TYPES:
        raise OSError(errno.ESOCKTNOSUPPORT, "type")


def _dress(req: Request, fd: int, family: int, protocol: int) -> None:
    """Attach to the new socket *fd* what policy wants there."""
    flags = req.policy.flags
    if family in (a.AF_INET, a.AF_INET6):
        if "force_local_net" in flags:
            _attach(fd, _LOCAL_ONLY)
    elif family == a.AF_NETLINK:
        if protocol != _NETLINK_UEVENT and "allow_unsafe_netlink" not in flags:
            _attach(fd, _NO_NOTICES)
    elif family == a.AF_UNIX and "deny_passrights" in req.host.options:
        s.setsockopt(fd, s.SOL_SOCKET, s.SO_PASSRIGHTS, bytes(4))


def _attach(fd: int, program: tuple[tuple[int, int, int, int], ...]) -> None:
    code = b"".join(
        op.to_bytes(2, "little") + bytes((yes, no)) + k.to_bytes(4, "little")
        for op, yes, no, k in program
    )
    try:
        s.attach_filter(fd, code)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM):
            raise
