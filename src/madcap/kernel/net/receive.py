# SPDX-License-Identifier: GPL-3.0-or-later
"""recvfrom(2), recvmsg(2), recvmmsg(2): received here, then written to where the caller wanted it.

Nothing is judged but descriptors; what has to be put right are the names of UNIX sockets and the
process that a message is from. So recvfrom on other sockets is left to the kernel: it drops
descriptors. A message could bring some even there, if the socket is replaced meanwhile by another
thread, so recvmsg is always performed here.
"""

from __future__ import annotations

import errno
import struct
import time

from madcap.kernel.net import address as a
from madcap.kernel.net import control, endpoint
from madcap.kernel.net.incoming import incoming
from madcap.kernel.net.name import write_address
from madcap.kernel.net.names import NAMES
from madcap.kernel.net.payload import PIECE, Payload, single, vector
from madcap.kernel.reply import Continue, Interrupted
from madcap.linux import socket as s
from madcap.linux._call import Buffer, Room

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from madcap.kernel.net.endpoint import Socket
    from madcap.kernel.reply import Reply
    from madcap.kernel.request import Request

_SIGN = 1 << 31
_MMSGHDR = 64
_LENGTH_AT = 56
_NAMELEN_AT, _CONTROLLEN_AT, _FLAGS_AT = 8, 40, 48
_MESSAGES_MAX = 1024
_WHOLE_MAX = 4 << 20  # No datagram is longer, and no more is received at once for a stream.
_PLAIN = Continue("nothing is judged, and only the names of UNIX sockets differ")
_UNSAFE = Continue("trace/allow_unsafe_recvmsg leaves to the kernel what is received")


class Message:
    """What one recvmsg(2) brought."""

    __slots__ = ("control", "data", "flags", "name", "size")

    def __init__(
        self, data: Buffer | Room, size: int, name: bytes, control_data: bytes, flags: int
    ) -> None:
        self.data = data
        self.size = size
        self.name = name
        self.control = control_data
        self.flags = flags


def sys_recvfrom(req: Request) -> Reply:
    """recvfrom(2)."""
    if not NAMES.bound:
        return _PLAIN
    payload = single(req.args[1], req.args[2])
    socket = endpoint.fetch(req, 0)
    if socket.domain != a.AF_UNIX:
        return _PLAIN
    got = _receive_into(req, socket, payload, req.u32(3), 0)
    payload.paste(req, got.data, min(got.size, payload.size))
    if req.args[4]:
        write_address(req, req.args[4], req.args[5], got.name)
    return got.size


def sys_recvmsg(req: Request) -> Reply:
    """recvmsg(2)."""
    if "allow_unsafe_recvmsg" in req.host.options:
        return _UNSAFE
    socket, flags = _start(req, 2)
    return _receive_message(req, socket, req.args[1], flags)


def sys_recvmmsg(req: Request) -> Reply:
    """recvmmsg(2)."""
    if "allow_unsafe_recvmsg" in req.host.options:
        return _UNSAFE
    end, pause = _deadline(req)
    socket, flags = _start(req, 3)
    at = req.args[1]
    got = 0
    while got < min(req.u32(2), _MESSAGES_MAX):
        try:
            size = _receive_message(req, socket, at, flags & ~s.MSG_WAITFORONE)
            req.write(at + _LENGTH_AT, size.to_bytes(4, "little"))
        except (OSError, Interrupted):
            if got:
                break
            raise
        got += 1
        at += _MMSGHDR
        if flags & s.MSG_WAITFORONE:
            flags |= s.MSG_DONTWAIT
        if pause and time.monotonic_ns() >= end:
            break
    if pause and got:
        left = max(end - time.monotonic_ns(), 0)
        req.write(pause, struct.pack("=qq", *divmod(left, 1_000_000_000)))
    return got


def _deadline(req: Request) -> tuple[int, int]:
    """Return (end in nanoseconds, where the time-out is); 0, 0 where there is none."""
    pause = req.args[4]
    if not pause:
        return 0, 0
    seconds, nanoseconds = struct.unpack("=qq", req.read(pause, 16))
    if seconds < 0 or not 0 <= nanoseconds < 1_000_000_000:
        raise OSError(errno.EINVAL, "time-out")
    return time.monotonic_ns() + seconds * 1_000_000_000 + nanoseconds, pause


def _start(req: Request, index: int) -> tuple[Socket, int]:
    """Return the socket, and the flags that are argument *index*."""
    flags = req.u32(index)
    options = req.host.options
    if flags & s.MSG_CMSG_COMPAT:
        raise OSError(errno.EINVAL, "flag for 32-bit callers")
    socket = endpoint.fetch(req, 0)
    if flags & s.MSG_OOB and "allow_unsafe_oob" not in options:
        raise OSError(errno.EOPNOTSUPP, "out-of-band data")
    if flags & s.MSG_SOCK_DEVMEM and "allow_unsafe_tcp_devmem" not in options:
        raise OSError(errno.EOPNOTSUPP, "device memory")
    return socket, flags


def _receive_message(req: Request, socket: Socket, at: int, flags: int) -> int:
    """Receive into the struct msghdr at the caller's address *at*."""
    header = s.MSGHDR.unpack(req.read(at, s.MSGHDR.size))
    name, name_length, pieces, count, data, room, _ = header
    if name and name_length & _SIGN:
        raise OSError(errno.EINVAL, "address length")
    payload = vector(req, pieces, count)
    got = _receive_into(req, socket, payload, flags, min(room, control.CONTROL_MAX))
    payload.paste(req, got.data, min(got.size, payload.size))
    if name:
        write_address(req, name, at + _NAMELEN_AT, got.name)
    extra, lost = b"", False
    if got.control:
        cloexec = bool(flags & s.MSG_CMSG_CLOEXEC)
        extra, lost = incoming(req, socket, got.control, cloexec=cloexec)
        if extra:
            req.write(data, extra)
    shown = got.flags & ~s.MSG_CMSG_CLOEXEC | flags & s.MSG_CMSG_CLOEXEC
    if lost:
        shown |= s.MSG_CTRUNC
    req.write(at + _CONTROLLEN_AT, len(extra).to_bytes(8, "little"))
    req.write(at + _FLAGS_AT, shown.to_bytes(4, "little"))
    return got.size


def _receive_into(req: Request, socket: Socket, payload: Payload, flags: int, room: int) -> Message:
    """Receive for *payload*; raises EFAULT where a stream's data would have nowhere to go.

    The kernel leaves such data in the stream, while a datagram is lost.
    """
    size = payload.size
    if socket.type == a.SOCK_STREAM and not flags & s.MSG_PEEK:
        limit = payload.reachable(req)
        if limit < size:
            if receive(req, socket, size, flags | s.MSG_PEEK, 0).size > limit:
                raise OSError(errno.EFAULT, "no such memory")
            size = limit
    return receive(req, socket, size, flags, room)


def receive(req: Request, socket: Socket, size: int, flags: int, room: int) -> Message:
    """Receive up to *size* bytes, and control data of up to *room* bytes, as the caller would.

    Descriptors that came are in the control data, and ours.
    """
    most = PIECE if socket.type == a.SOCK_STREAM and not flags & s.MSG_WAITALL else _WHOLE_MAX
    buffer = req.scratch if size <= req.scratch.size else Room(min(size, most))
    size = min(size, buffer.size)
    start = s.MSGHDR.size + s.IOVEC.size
    control_at = start + s.ADDRESS_MAX
    header = Buffer(control_at + room)
    s.IOVEC.pack_into(header.data, s.MSGHDR.size, buffer.address, size)
    req.alive()

    def call(own: int) -> int:
        s.MSGHDR.pack_into(
            header.data,
            0,
            header.address + start,
            s.ADDRESS_MAX,
            header.address + s.MSGHDR.size,
            1,
            header.address + control_at if room else 0,
            room,
            0,
        )
        return s.recvmsg(socket.fd, header.address, own | s.MSG_CMSG_CLOEXEC)

    got = _patiently(req, socket, flags, call)
    _, length, _, _, _, filled, seen = s.MSGHDR.unpack_from(header.data)
    name = bytes(header.data[start : start + min(length, s.ADDRESS_MAX)])
    return Message(
        buffer,
        got,
        NAMES.original(name),
        bytes(header.data[control_at : control_at + filled]),
        seen,
    )


def _patiently(req: Request, socket: Socket, flags: int, call: Callable[[int], int]) -> int:
    """Make *call*, and wait only where the caller would and nothing is there yet."""
    if not flags & s.MSG_WAITALL:
        try:
            return call(flags | s.MSG_DONTWAIT)
        except OSError as error:
            if error.errno != errno.EAGAIN or flags & s.MSG_DONTWAIT or socket.nonblocking:
                raise
    elif flags & s.MSG_DONTWAIT or socket.nonblocking:
        return call(flags)
    restartable = socket.restarts(s.SO_RCVTIMEO)
    return req.host.blocking(req, lambda: call(flags), restartable)
