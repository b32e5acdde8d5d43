# SPDX-License-Identifier: GPL-3.0-or-later
"""Socket calls, each made exactly once: an interruption is a result here, never a reason to repeat.

The `socket` module is not used: it costs 5 ms to import, repeats calls on EINTR, and hides the
address in objects where the guest's very bytes matter.
"""

from __future__ import annotations

import os
import struct

from madcap.linux._call import (
    Buffer,
    c_char_p,
    c_int,
    c_uint,
    c_ulong,
    c_void_p,
    direct,
    failure,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

AF_UNIX = 1
SOCK_STREAM = 1
SOCK_SEQPACKET = 5

SOL_SOCKET = 1
SO_TYPE = 3
SO_SNDBUF = 7
SO_PASSCRED = 16
SO_PEERCRED = 17
SO_RCVTIMEO = 20
SO_SNDTIMEO = 21
SO_ATTACH_FILTER = 26
SO_PROTOCOL = 38
SO_DOMAIN = 39
SO_LOCK_FILTER = 44
SO_COOKIE = 57
SO_ZEROCOPY = 60
SO_PEERPIDFD = 77
SO_PASSRIGHTS = 83

SOCK_CLOEXEC = 0o2000000
SOCK_NONBLOCK = 0o4000

MSG_OOB = 0x1
MSG_PEEK = 0x2
MSG_CTRUNC = 0x8
MSG_DONTWAIT = 0x40
MSG_WAITALL = 0x100
MSG_NOSIGNAL = 0x4000
MSG_WAITFORONE = 0x1_0000
MSG_SOCK_DEVMEM = 0x200_0000
MSG_ZEROCOPY = 0x400_0000
MSG_FASTOPEN = 0x2000_0000
MSG_CMSG_CLOEXEC = 0x4000_0000
MSG_CMSG_COMPAT = 0x8000_0000

ADDRESS_MAX = 128  #: sizeof(struct sockaddr_storage)

#: struct msghdr: name, its length, iovec, count, control data, its length, flags.
MSGHDR = struct.Struct("=QIxxxxQQQQixxxx")
IOVEC = struct.Struct("=QQ")
_FOUR = (4).to_bytes(4, "little")
_SIXTEEN = (16).to_bytes(4, "little")
CMSGHDR = struct.Struct("=Qii")

_socket, _NR_socket = direct("socket", c_int, c_int, c_int)
_socketpair, _NR_socketpair = direct("socketpair", c_int, c_int, c_int, c_void_p)
_bind, _NR_bind = direct("bind", c_int, c_char_p, c_uint)
_listen, _NR_listen = direct("listen", c_int, c_int)
_connect, _NR_connect = direct("connect", c_int, c_char_p, c_uint)
_accept4, _NR_accept4 = direct("accept4", c_int, c_void_p, c_void_p, c_int)
_sendto, _NR_sendto = direct("sendto", c_int, c_void_p, c_ulong, c_uint, c_char_p, c_uint)
_send, _ = direct("sendto", c_int, c_char_p, c_ulong, c_uint, c_void_p, c_uint)
_sendmsg, _NR_sendmsg = direct("sendmsg", c_int, c_void_p, c_uint)
_recvmsg, _NR_recvmsg = direct("recvmsg", c_int, c_void_p, c_uint)
_getsockopt, _NR_getsockopt = direct("getsockopt", c_int, c_int, c_int, c_void_p, c_void_p)
_setsockopt, _NR_setsockopt = direct("setsockopt", c_int, c_int, c_int, c_char_p, c_uint)
_getsockname, _NR_getsockname = direct("getsockname", c_int, c_void_p, c_void_p)
_getpeername, _NR_getpeername = direct("getpeername", c_int, c_void_p, c_void_p)


def socket(domain: int, kind: int, protocol: int) -> int:
    """socket(2), close-on-exec; *kind* may hold SOCK_NONBLOCK."""
    fd = _socket(_NR_socket, domain, kind | SOCK_CLOEXEC, protocol)
    if fd < 0:
        raise failure("socket")
    return fd


def socketpair(domain: int, kind: int, protocol: int) -> tuple[int, int]:
    """socketpair(2), close-on-exec; *kind* may hold SOCK_NONBLOCK."""
    pair = Buffer(8)
    if _socketpair(_NR_socketpair, domain, kind | SOCK_CLOEXEC, protocol, pair.address) < 0:
        raise failure("socketpair")
    one, other = struct.unpack("=ii", pair.data)
    return one, other


def bind(fd: int, address: bytes) -> int:
    """bind(2)."""
    if _bind(_NR_bind, fd, address, len(address)) < 0:
        raise failure("bind")
    return 0


def listen(fd: int, backlog: int) -> int:
    """listen(2)."""
    if _listen(_NR_listen, fd, backlog) < 0:
        raise failure("listen")
    return 0


def connect(fd: int, address: bytes) -> int:
    """connect(2)."""
    if _connect(_NR_connect, fd, address, len(address)) < 0:
        raise failure("connect")
    return 0


def accept4(fd: int, address: int, length: int, flags: int) -> int:
    """accept4(2), close-on-exec; *address* and *length* are pointers of ours, or 0."""
    new = _accept4(_NR_accept4, fd, address, length, flags | SOCK_CLOEXEC)
    if new < 0:
        raise failure("accept4")
    return new


def sendto(fd: int, data: int, size: int, flags: int, address: bytes | None) -> int:
    """sendto(2) of the *size* bytes at our address *data*; returns how many were sent."""
    length = len(address) if address is not None else 0
    sent = _sendto(_NR_sendto, fd, data, size, flags, address, length)
    if sent < 0:
        raise failure("sendto")
    return sent


def send(fd: int, data: bytes) -> int:
    """Send what *fd* takes of *data* at once, without a signal; returns how many bytes."""
    sent = _send(_NR_sendto, fd, data, len(data), MSG_DONTWAIT | MSG_NOSIGNAL, None, 0)
    if sent < 0:
        raise failure("sendto")
    return sent


def sendmsg(fd: int, header: int, flags: int) -> int:
    """sendmsg(2) of the struct msghdr at our address *header*; returns how many bytes were sent."""
    sent = _sendmsg(_NR_sendmsg, fd, header, flags)
    if sent < 0:
        raise failure("sendmsg")
    return sent


def recvmsg(fd: int, header: int, flags: int) -> int:
    """recvmsg(2) into the struct msghdr at our address *header*; returns how many bytes came."""
    got = _recvmsg(_NR_recvmsg, fd, header, flags)
    if got < 0:
        raise failure("recvmsg")
    return got


def getsockopt(fd: int, level: int, name: int, size: int) -> bytes:
    """Return the option *name*, of at most *size* bytes."""
    value = Buffer(size + 8)
    struct.pack_into("=I", value.data, size, size)
    if _getsockopt(_NR_getsockopt, fd, level, name, value.address, value.address + size) < 0:
        raise failure("getsockopt")
    length: int = struct.unpack_from("=I", value.data, size)[0]
    return bytes(value.data[: min(length, size)])


def peer_pid(fd: int) -> int:
    """Return the process that connected the UNIX stream socket *fd*, 0 where it is not seen."""
    return int.from_bytes(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, 12)[:4], "little", signed=True)


def option(fd: int, name: int, room: Buffer) -> int:
    """Return the int option *name* of level SOL_SOCKET; the first 8 bytes of *room* are used."""
    data, address = room.data, room.address
    data[4:8] = _FOUR
    if _getsockopt(_NR_getsockopt, fd, SOL_SOCKET, name, address, address + 4) < 0:
        raise failure("getsockopt")
    return int.from_bytes(data[:4], "little", signed=True)


def has_timeout(fd: int, name: int, room: Buffer) -> bool:
    """Tell whether the time-out *name* (SO_SNDTIMEO, SO_RCVTIMEO) is set; *room*: 20 bytes."""
    data, address = room.data, room.address
    data[16:20] = _SIXTEEN
    if _getsockopt(_NR_getsockopt, fd, SOL_SOCKET, name, address, address + 16) < 0:
        raise failure("getsockopt")
    return any(data[:16])


def setsockopt(fd: int, level: int, name: int, value: bytes) -> None:
    """setsockopt(2)."""
    if _setsockopt(_NR_setsockopt, fd, level, name, value, len(value)) < 0:
        raise failure("setsockopt")


def attach_filter(fd: int, program: bytes) -> None:
    """Attach the classic BPF *program* (struct sock_filter array) to *fd*, for good."""
    code = Buffer(len(program) + 16)
    code.data[16:] = program
    struct.pack_into("=HxxxxxxQ", code.data, 0, len(program) // 8, code.address + 16)
    setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, bytes(code.data[:16]))
    setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, b"\1\0\0\0")


def getsockname(fd: int) -> bytes:
    """Return the address that *fd* is bound to."""
    return _name(_getsockname, _NR_getsockname, fd, "getsockname")


def getpeername(fd: int) -> bytes:
    """Return the address that *fd* is connected to."""
    return _name(_getpeername, _NR_getpeername, fd, "getpeername")


def _name(function: Callable[..., int], number: int, fd: int, name: str) -> bytes:
    address = Buffer(ADDRESS_MAX + 8)
    struct.pack_into("=I", address.data, ADDRESS_MAX, ADDRESS_MAX)
    if function(number, fd, address.address, address.address + ADDRESS_MAX) < 0:
        raise failure(name)
    length: int = struct.unpack_from("=I", address.data, ADDRESS_MAX)[0]
    return bytes(address.data[: min(length, ADDRESS_MAX)])


# struct nlmsghdr, then struct unix_diag_req: what of a UNIX socket is asked from NETLINK_SOCK_DIAG.
_DIAG = struct.Struct("=IHHIIBBHIIIII")
_NETLINK, _SOCK_DIAG, _SOCK_DIAG_BY_FAMILY = 16, 4, 20
_UDIAG_SHOW_PEER, _UNIX_DIAG_PEER = 4, 2
_NLMSG_ERROR = 2
_ANY_COOKIE = 0xFFFF_FFFF


def unix_peer(inode: int) -> int:
    """Return the inode of the peer of the UNIX socket *inode*, 0 where none is; sock_diag(7)."""
    fd = socket(_NETLINK, 3, _SOCK_DIAG)
    try:
        size = _DIAG.size
        wanted = (1, 0, 0, 0xFFFF_FFFF, inode, _UDIAG_SHOW_PEER, _ANY_COOKIE, _ANY_COOKIE)
        request = _DIAG.pack(size, _SOCK_DIAG_BY_FAMILY, 1, 1, 0, *wanted)
        os.write(fd, request)
        answer = os.read(fd, 4096)
    finally:
        os.close(fd)
    length, kind = struct.unpack_from("=IH", answer)
    if kind == _NLMSG_ERROR:
        error: int = -struct.unpack_from("=i", answer, 16)[0]
        raise OSError(error, "sock_diag: " + os.strerror(error))
    at = 16 + 16  # Behind the header and struct unix_diag_msg come the attributes.
    while at + 4 <= length:
        size, attribute = struct.unpack_from("=HH", answer, at)
        if attribute == _UNIX_DIAG_PEER:
            peer: int = struct.unpack_from("=I", answer, at + 4)[0]
            return peer
        at += max(size + 3 & ~3, 4)
    return 0
