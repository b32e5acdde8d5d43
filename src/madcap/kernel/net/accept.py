# SPDX-License-Identifier: GPL-3.0-or-later
"""accept(2) and accept4(2): no rule is asked, only the block list about the peer."""

from __future__ import annotations

import errno
import os

from madcap import events
from madcap.kernel import moves
from madcap.kernel.judge import Panic
from madcap.kernel.net import address as a
from madcap.kernel.net import endpoint, verdicts
from madcap.kernel.net.install import MARKS
from madcap.kernel.net.name import write_address
from madcap.kernel.net.names import NAMES
from madcap.kernel.reply import Continue, Install
from madcap.linux import socket as s
from madcap.linux._call import Buffer
from madcap.policy import actions as A
from madcap.policy import categories as C

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.net.address import Inet
    from madcap.kernel.net.endpoint import Socket
    from madcap.kernel.reply import Reply
    from madcap.kernel.request import Request

_FLAGS = s.SOCK_CLOEXEC | s.SOCK_NONBLOCK
_SIGNALS = {A.STOP: 19, A.ABORT: 6, A.KILL: 9}
_PLAIN = Continue("nothing is judged: no domain has a block list or a move, nor wants marks")


def sys_accept(req: Request) -> Reply:
    """accept(2)."""
    return _accept(req, 0)


def sys_accept4(req: Request) -> Reply:
    """accept4(2)."""
    return _accept(req, req.i32(3))


def _accept(req: Request, flags: int) -> Reply:
    plain = not MARKS & req.policy.flags and not _wants_peers(req)
    if plain and not _wants_names(req):
        return _PLAIN
    socket = endpoint.fetch(req, 0)
    if flags & ~_FLAGS:
        raise OSError(errno.EINVAL, "flags")
    if plain and socket.domain != a.AF_UNIX:
        return _PLAIN
    pointer, length = req.args[1], req.args[2]
    req.alive()
    address = Buffer(s.ADDRESS_MAX + 4)
    new = req.own(_wait(req, socket, address, flags & s.SOCK_NONBLOCK))
    size = int.from_bytes(address.data[s.ADDRESS_MAX :], "little")
    raw = bytes(address.data[: min(size, s.ADDRESS_MAX)])
    if socket.is_inet:
        peer = a.parse_in(raw) if a.family_of(raw) == a.AF_INET else a.parse_in6(raw)
        _require_unblocked(req, peer)
        moves.after_address(req.host, "accept", socket.protocol_name, peer)
    if pointer:
        write_address(req, pointer, length, NAMES.original(raw))
    return Install(new, cloexec=bool(flags & s.SOCK_CLOEXEC))


def _wait(req: Request, socket: Socket, address: Buffer, flags: int) -> int:
    fd = socket.fd
    length = address.address + s.ADDRESS_MAX

    def accept() -> int:
        address.data[s.ADDRESS_MAX :] = s.ADDRESS_MAX.to_bytes(4, "little")
        return s.accept4(fd, address.address, length, flags)

    if socket.nonblocking:
        return accept()
    return req.host.blocking(req, accept, socket.restarts(s.SO_RCVTIMEO))


def _wants_peers(req: Request) -> bool:
    """Tell whether a peer matters, now or in a domain that may be active by the time it comes."""
    host = req.host
    if "accept" in host.moves:
        return True
    return any(domain.blocklist is not None for domain in host.sandbox.domains.values())


def _wants_names(req: Request) -> bool:
    """Tell whether a peer may have a name that has to be put right."""
    return NAMES.connected or not req.policy.enabled & C.NET_CONNECT


def _require_unblocked(req: Request, peer: Inet) -> None:
    """Raise ECONNABORTED where *peer* is on the block list; it came by just now."""
    policy = req.policy = req.host.sandbox.active
    if policy.default_block == A.ALLOW or not policy.blocked(peer.ip):
        return
    _refuse(req, peer)


def _refuse(req: Request, peer: Inet) -> None:
    action = req.policy.default_block
    text = verdicts.socket_text(peer)
    if action != A.FILTER:
        events.emit(
            events.WARN,
            {"ctx": "block", "act": A.NAMES[action], "sys": req.name, "addr": text,
             "ipv": 4 if len(peer.ip) == 4 else 6},
            pid=req.tid,
            tip=f"configure `block-{text.partition('!')[0]}'",
        )  # fmt: skip
    if action == A.WARN:
        return
    if action == A.EXIT:
        os._exit(errno.ECONNABORTED)
    if action in _SIGNALS:
        req.signal(_SIGNALS[action])
    if action == A.PANIC:
        raise Panic
    raise OSError(errno.ECONNABORTED, "blocked peer")
