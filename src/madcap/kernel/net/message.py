# SPDX-License-Identifier: GPL-3.0-or-later
"""sendmsg(2) and sendmmsg(2): header, address, vector and control data are each copied once."""

from __future__ import annotations

import errno

from madcap.kernel.net import control, endpoint
from madcap.kernel.net.payload import vector
from madcap.kernel.net.send import accept_flags, transmit
from madcap.kernel.reply import Interrupted
from madcap.linux import socket as s
from madcap.linux._call import Buffer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.net.endpoint import Socket
    from madcap.kernel.net.send import Send
    from madcap.kernel.request import Request

_SIGN = 1 << 31
_INT_MAX = _SIGN - 1
_MMSGHDR = 64  # struct mmsghdr: a struct msghdr, then the length that was sent.
_LENGTH_AT = 56
_MESSAGES_MAX = 1024


def sys_sendmsg(req: Request) -> int:
    """sendmsg(2)."""
    socket, flags = _start(req, 2)
    return _send(req, socket, req.args[1], flags)


def sys_sendmmsg(req: Request) -> int:
    """sendmmsg(2)."""
    socket, flags = _start(req, 3)
    at = req.args[1]
    sent = 0
    while sent < min(req.u32(2), _MESSAGES_MAX):
        try:
            length = _send(req, socket, at, flags)
            req.write(at + _LENGTH_AT, length.to_bytes(4, "little"))
        except (OSError, Interrupted):
            if sent:
                return sent
            raise
        sent += 1
        at += _MMSGHDR
    return sent


def _start(req: Request, index: int) -> tuple[Socket, int]:
    """Return the socket and the flags, argument *index*."""
    flags = req.u32(index)
    if flags & s.MSG_CMSG_COMPAT:
        raise OSError(errno.EINVAL, "flag for 32-bit callers")
    socket = endpoint.fetch(req, 0)
    return socket, accept_flags(req, socket, flags)


def _send(req: Request, socket: Socket, at: int, flags: int) -> int:
    """Send the message whose struct msghdr is at the caller's address *at*."""
    header = s.MSGHDR.unpack(req.read(at, s.MSGHDR.size))
    name, name_length, pieces, count, data, data_length, _ = header
    if not name:
        name_length = 0
    if name_length & _SIGN:
        raise OSError(errno.EINVAL, "address length")
    raw = endpoint.read_address(req, name, min(name_length, s.ADDRESS_MAX))
    payload = vector(req, pieces, count)
    to = endpoint.destination(req, socket, raw, flags) if raw else None
    if data_length:
        if data_length > _INT_MAX or data_length > control.CONTROL_MAX:
            raise OSError(errno.ENOBUFS, "control data")
        extra = control.outgoing(req, socket, req.read(data, data_length))
        if extra:
            return transmit(req, socket, payload, flags, _with_control(socket.fd, to, extra))
    fd = socket.fd
    return transmit(
        req, socket, payload, flags, lambda data, size, own: s.sendto(fd, data, size, own, to)
    )


def _with_control(fd: int, to: bytes | None, extra: bytes) -> Send:
    """Return what sends on *fd* with the control data *extra*, which goes with the first piece."""
    name = to or b""
    start = s.MSGHDR.size + s.IOVEC.size
    control_at = start + s.ADDRESS_MAX
    buffer = Buffer(control_at + len(extra))
    buffer.data[start : start + len(name)] = name
    buffer.data[control_at:] = extra
    left = len(extra)

    def send(data: int, size: int, flags: int) -> int:
        nonlocal left
        s.IOVEC.pack_into(buffer.data, s.MSGHDR.size, data, size)
        s.MSGHDR.pack_into(
            buffer.data,
            0,
            buffer.address + start if name else 0,
            len(name),
            buffer.address + s.MSGHDR.size,
            1,
            buffer.address + control_at if left else 0,
            left,
            0,
        )
        sent = s.sendmsg(fd, buffer.address, flags)
        left = 0
        return sent

    return send
