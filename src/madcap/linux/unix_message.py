# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages on a UNIX socket with what is attached to them: credentials and descriptors, unix(7)."""

from __future__ import annotations

import struct

from madcap.linux import socket
from madcap.linux._call import Buffer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_SCM_RIGHTS, _SCM_CREDENTIALS = 1, 2
_CREDENTIALS: Final = struct.Struct("=iII")
_CONTROL_ROOM: Final = 2048  # More than the 253 descriptors and the credentials of one message.


class Message:
    """One message. The *descriptors*, close-on-exec, are the caller's to close."""

    __slots__ = ("credentials", "data", "descriptors", "truncated", "unknown")

    def __init__(self, data: bytes, truncated: bool) -> None:
        self.data = data
        self.truncated = truncated  # Something attached is lost.
        self.unknown = False  # Something else is attached.
        self.credentials = (0, -1, -1)  # (pid, uid, gid) of the sender.
        self.descriptors: list[int] = []


class Receiver:
    """Receives messages of at most *size* bytes, for one thread."""

    __slots__ = ("_control", "_data", "_header", "_size")

    def __init__(self, size: int) -> None:
        self._size = size
        self._data = Buffer(size)
        self._control = Buffer(_CONTROL_ROOM)
        iovec = socket.IOVEC.size
        self._header = Buffer(iovec + socket.MSGHDR.size)

    def receive(self, fd: int) -> Message:
        """Return the next message of *fd*, one without data at the end; see recvmsg(2)."""
        header, iovec = self._header, socket.IOVEC.size
        socket.IOVEC.pack_into(header.data, 0, self._data.address, self._size)
        fields = (0, 0, header.address, 1, self._control.address, _CONTROL_ROOM, 0)
        socket.MSGHDR.pack_into(header.data, iovec, *fields)
        flags = socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
        got = socket.recvmsg(fd, header.address + iovec, flags)
        *_, length, flags = socket.MSGHDR.unpack_from(header.data, iovec)
        message = Message(bytes(self._data.data[:got]), bool(flags & socket.MSG_CTRUNC))
        self._attached(message, bytes(self._control.data[:length]))
        return message

    def _attached(self, message: Message, control: bytes) -> None:
        """Take *control* apart."""
        at, head = 0, socket.CMSGHDR.size
        while at + head <= len(control):
            length, level, kind = socket.CMSGHDR.unpack_from(control, at)
            if not head <= length <= len(control) - at:
                message.truncated = True
                return
            body = control[at + head : at + length]
            if level == socket.SOL_SOCKET and kind == _SCM_RIGHTS:
                count = len(body) // 4
                message.descriptors += struct.unpack_from(f"={count}i", body)
            elif (level, kind, len(body)) == (socket.SOL_SOCKET, _SCM_CREDENTIALS, 12):
                message.credentials = _CREDENTIALS.unpack(body)
            else:
                message.unknown = True
            at += length + 7 & ~7
