# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses, messages and descriptors for the cases about sockets, as the kernel has them."""

from __future__ import annotations

import array
import ctypes
import mmap
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from run_cases import Tree

UNIX, INET, INET6, NETLINK = 1, 2, 10, 16
STREAM, DGRAM, RAW, SEQPACKET = 1, 2, 3, 5
CLOEXEC, NONBLOCK = 0o2000000, 0o4000
DIRTY = 0x7EAD_BEEF_0000_0000

SOL_SOCKET = 1
SCM_RIGHTS, SCM_CREDENTIALS, SCM_PIDFD = 1, 2, 4
MSG_OOB, MSG_PEEK, MSG_CTRUNC, MSG_TRUNC = 1, 2, 8, 0x20
MSG_DONTWAIT, MSG_EOR, MSG_WAITALL, MSG_NOSIGNAL = 0x40, 0x80, 0x100, 0x4000
MSG_WAITFORONE, MSG_FASTOPEN, MSG_CMSG_CLOEXEC = 0x1_0000, 0x2000_0000, 0x4000_0000

MSGHDR = struct.Struct("=QIxxxxQQQQixxxx")
CMSGHDR = struct.Struct("=Qii")


def inet(port: int, address: str = "127.0.0.1", family: int = INET) -> bytes:
    """Return a struct sockaddr_in."""
    return (
        struct.pack("=H", family) + struct.pack(">H", port) + socket.inet_aton(address) + bytes(8)
    )


def inet6(port: int, address: str = "::1", scope: int = 0) -> bytes:
    """Return a struct sockaddr_in6."""
    packed = socket.inet_pton(socket.AF_INET6, address)
    return (
        struct.pack("=H", INET6) + struct.pack(">HI", port, 0) + packed + struct.pack("=I", scope)
    )


def unix(path: bytes) -> bytes:
    """Return a struct sockaddr_un, no longer than it needs to be."""
    return struct.pack("=H", UNIX) + path


def bind(t: Tree, fd: object, address: bytes) -> object:
    """Bind, giving the length of *address*."""
    return t("bind", fd, address, len(address))


def connect(t: Tree, fd: object, address: bytes) -> object:
    """Connect, giving the length of *address*."""
    return t("connect", fd, address, len(address))


def listener(family: int = socket.AF_INET) -> socket.socket:
    """Return a socket that listens on a free port of the loopback address."""
    made = socket.socket(family)
    made.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
    made.listen()
    return made


def read_only_page(text: bytes) -> int:
    """Return the address of a page that can't be written, and begins with *text*."""
    area = mmap.mmap(-1, mmap.PAGESIZE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(area))
    ctypes.memmove(address, text, len(text))
    libc = ctypes.CDLL(None)
    if libc.mprotect(ctypes.c_void_p(address), mmap.PAGESIZE, mmap.PROT_READ) != 0:
        raise OSError("mprotect")
    _pages.append(area)
    return address


_pages: list[mmap.mmap] = []


def cmsg(level: int, kind: int, data: bytes) -> bytes:
    """Return one control message, padded."""
    return CMSGHDR.pack(CMSGHDR.size + len(data), level, kind) + data + bytes(-len(data) % 8)


def rights(*fds: int) -> bytes:
    """Return the control message that passes *fds*."""
    return cmsg(SOL_SOCKET, SCM_RIGHTS, array.array("i", fds).tobytes())


def credentials(pid: int, uid: int, gid: int) -> bytes:
    """Return the control message that tells who sends."""
    return cmsg(SOL_SOCKET, SCM_CREDENTIALS, struct.pack("=iII", pid, uid, gid))


class Header:
    """A struct msghdr (or mmsghdr) with all it points to; every part may be replaced by a number.

    *parts* are what to send, or the sizes to receive, or (address, size) as they are.
    """

    def __init__(
        self,
        parts: list[bytes | int | tuple[int, int]],
        name: bytes | int | None = None,
        control: bytes | int | None = None,
        *,
        name_length: int | None = None,
        control_length: int | None = None,
        count: int | None = None,
        vector: int | None = None,
        flags: int = 0,
    ) -> None:
        self.buffers: list[ctypes.Array[ctypes.c_char]] = []
        pairs = [part if isinstance(part, tuple) else self._room(part) for part in parts]
        packed = b"".join(struct.pack("=QQ", at, size) for at, size in pairs)
        self.at_vector, _ = self._room(packed)
        self.at_name, length = self._room(name) if isinstance(name, bytes | int) else (0, 0)
        self.at_control, room = self._room(control) if isinstance(control, bytes | int) else (0, 0)
        self.data = ctypes.create_string_buffer(64)
        MSGHDR.pack_into(
            self.data,
            0,
            self.at_name,
            length if name_length is None else name_length & 0xFFFF_FFFF,
            self.at_vector if vector is None else vector,
            len(pairs) if count is None else count,
            self.at_control,
            room if control_length is None else control_length,
            flags,
        )
        _kept.append(self)

    def _room(self, text: bytes | int) -> tuple[int, int]:
        """Keep a copy of *text*, or room for so many bytes; numbers above 4096 are addresses."""
        if isinstance(text, int) and text > 4096 * 64:
            return text, 0
        size = text if isinstance(text, int) else len(text)
        buffer = ctypes.create_string_buffer(size + 16)
        ctypes.memset(buffer, 0x55, size + 16)
        if isinstance(text, bytes):
            ctypes.memmove(buffer, text, size)
        self.buffers.append(buffer)
        return ctypes.addressof(buffer), size

    def part(self, index: int = 0, size: int | None = None) -> str:
        """Return what part *index* holds; what was not written is shown as dots."""
        raw = self.buffers[index].raw
        return raw[:size].rstrip(b"\0").replace(b"\x55", b".").decode("latin-1")

    def seen(self) -> list[int]:
        """Return the lengths and flags that the kernel wrote: name, control, flags."""
        _, length, _, _, _, room, flags = MSGHDR.unpack_from(self.data.raw)
        return [length, room, flags]

    def name(self) -> bytes:
        """Return the address that came."""
        length = self.seen()[0]
        return ctypes.string_at(self.at_name, min(length, 128)) if self.at_name else b""

    def messages(self) -> list[tuple[int, int, bytes]]:
        """Return (level, type, data) of each control message that came."""
        room = self.seen()[1]
        data = ctypes.string_at(self.at_control, room) if self.at_control and room else b""
        found, at = [], 0
        while at + CMSGHDR.size <= len(data):
            length, level, kind = CMSGHDR.unpack_from(data, at)
            if length < CMSGHDR.size:
                break
            found.append((level, kind, data[at + CMSGHDR.size : at + length]))
            at += length + 7 & ~7
        return found


def several(headers: list[Header]) -> ctypes.Array[ctypes.c_char]:
    """Return *headers* as an array of struct mmsghdr."""
    return ctypes.create_string_buffer(b"".join(header.data.raw[:64] for header in headers))


_kept: list[Header] = []  # What was pointed to once stays.
