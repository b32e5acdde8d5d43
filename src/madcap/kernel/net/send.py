# SPDX-License-Identifier: GPL-3.0-or-later
"""sendto(2), and what it has in common with sendmsg(2): flags, sizes, blocking, SIGPIPE."""

from __future__ import annotations

import errno
import os

from madcap.kernel.net import address as a
from madcap.kernel.net import endpoint, peers
from madcap.kernel.net.payload import PIECE, Payload, single
from madcap.kernel.reply import Gone, Interrupted
from madcap.linux import socket as s
from madcap.linux._call import Buffer
from madcap.linux.process import pidfd_of_thread, pidfd_send_signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from madcap.kernel.net.endpoint import Socket
    from madcap.kernel.request import Request

    # (address of the data, its size, flags) -> how many bytes were sent, or OSError.
    Send = Callable[[int, int, int], int]

_SIGPIPE = 13
_INET_MAX = 0xFFFF
_SCRATCH = 8192
_CHUNK = 32 * 1024


def sys_sendto(req: Request) -> int:
    """sendto(2)."""
    flags = req.u32(3)
    payload = single(req.args[1], req.args[2])
    socket = endpoint.fetch(req, 0)
    raw = b""
    if req.args[4]:
        raw = endpoint.read_address(req, req.args[4], req.i32(5))
    flags = accept_flags(req, socket, flags)
    to = endpoint.destination(req, socket, raw, flags) if raw else None
    fd = socket.fd
    return transmit(
        req, socket, payload, flags, lambda data, size, own: s.sendto(fd, data, size, own, to)
    )


def accept_flags(req: Request, socket: Socket, flags: int) -> int:
    """Return *flags* as far as a guest may use them; raises EOPNOTSUPP, ENOBUFS."""
    options = req.host.options
    if flags & s.MSG_OOB and "allow_unsafe_oob" not in options:
        raise OSError(errno.EOPNOTSUPP, "out-of-band data")
    if flags & s.MSG_FASTOPEN and "allow_unsafe_tcp_fastopen" not in options:
        raise OSError(errno.EOPNOTSUPP, "fast open")
    if flags & s.MSG_ZEROCOPY:
        # The pages would be ours, and reused before they are sent.
        if socket.option(s.SO_ZEROCOPY):
            raise OSError(errno.ENOBUFS, "zero copy")
        flags &= ~s.MSG_ZEROCOPY
    return flags


def transmit(req: Request, socket: Socket, payload: Payload, flags: int, send: Send) -> int:
    """Send *payload* with *send*; return how many bytes went out.

    Raises OSError, and SIGPIPE in the caller's thread where the kernel would.
    """
    if socket.domain == a.AF_UNIX:
        peers.sent(req, socket)
    try:
        if socket.type == a.SOCK_STREAM:
            sent = _stream(req, socket, payload, flags, send)
        else:
            sent = _datagram(req, socket, payload, flags, send)
    except (Interrupted, Gone) as error:
        if endpoint.goes_on(socket, error):
            endpoint.happened(req, socket, "connect")
        raise
    except OSError as error:
        if endpoint.goes_on(socket, error):
            endpoint.happened(req, socket, "connect")
        if (
            error.errno == errno.EPIPE
            and socket.type == a.SOCK_STREAM
            and not flags & s.MSG_NOSIGNAL
        ):
            _signal_thread(req)
        raise
    endpoint.happened(req, socket, "connect")
    return sent


def _datagram(req: Request, socket: Socket, payload: Payload, flags: int, send: Send) -> int:
    size = payload.size
    if size > _SCRATCH:
        limit = _INET_MAX if socket.is_inet else socket.option(s.SO_SNDBUF)
        if size > limit:
            raise OSError(errno.EMSGSIZE, "too long")
    buffer = req.scratch if size <= req.scratch.size else Buffer(size)
    if payload.copy(req, buffer, size) != size:
        raise OSError(errno.EFAULT, "unreadable data")
    req.alive()
    return _once(req, socket, flags, lambda own: send(buffer.address, size, own))


def _stream(req: Request, socket: Socket, payload: Payload, flags: int, send: Send) -> int:
    """Send in pieces, so that no more than one of them is held in our memory."""
    size = payload.size
    buffer = req.scratch if size <= req.scratch.size else Buffer(min(size, PIECE))
    total = 0
    while True:
        wanted = min(size - total, buffer.size)
        got = payload.copy(req, buffer, wanted)
        if got < wanted:
            # The kernel fills one buffer after another; one that it can't fill is not sent.
            got -= got % _CHUNK
            if got == 0:
                if total:
                    return total
                raise OSError(errno.EFAULT, "unreadable data")
        req.alive()
        try:
            sent = _piece(req, socket, flags, send, buffer.address, got)
        except (OSError, Interrupted):
            if total:
                return total
            raise
        total += sent
        flags &= ~s.MSG_FASTOPEN  # It is connected now.
        if sent < got or got < wanted or total == size:
            return total


def _piece(req: Request, socket: Socket, flags: int, send: Send, address: int, size: int) -> int:
    """Send one piece; less than all of it where a signal or a time-out came, or nobody waits.

    A send that connects is made once: it would go on connecting if it did not wait.
    """
    sent = 0
    waits = not flags & s.MSG_DONTWAIT and not socket.nonblocking
    if not waits or not flags & s.MSG_FASTOPEN:
        try:
            sent = send(address, size, flags | s.MSG_NOSIGNAL | s.MSG_DONTWAIT)
        except OSError as error:
            if error.errno != errno.EAGAIN or not waits:
                raise
        if sent == size or not waits:
            return sent
    restartable = socket.restarts(s.SO_SNDTIMEO)
    own, at, left = flags | s.MSG_NOSIGNAL, address + sent, size - sent
    try:
        return sent + req.host.blocking(req, lambda: send(at, left, own), restartable)
    except (OSError, Interrupted):
        if sent:
            return sent
        raise


def _once(req: Request, socket: Socket, flags: int, send: Callable[[int], int]) -> int:
    """Make one call, without registering it where it need not wait."""
    try:
        return send(flags | s.MSG_NOSIGNAL | s.MSG_DONTWAIT)
    except OSError as error:
        if error.errno != errno.EAGAIN or flags & s.MSG_DONTWAIT or socket.nonblocking:
            raise
    restartable = socket.restarts(s.SO_SNDTIMEO)
    return req.host.blocking(req, lambda: send(flags | s.MSG_NOSIGNAL), restartable)


def _signal_thread(req: Request) -> None:
    """Send SIGPIPE to the thread that called, as the kernel would."""
    try:
        pidfd = pidfd_of_thread(req.tid)
    except OSError:
        return
    try:
        req.alive()
        pidfd_send_signal(pidfd, _SIGPIPE)
    finally:
        os.close(pidfd)
