# SPDX-License-Identifier: GPL-3.0-or-later
"""Control messages on their way in: descriptors judged and handed on, senders named."""

from __future__ import annotations

import errno
import struct

from madcap.kernel.judge import require
from madcap.kernel.net import control, peers
from madcap.kernel.net.descriptors import kind_of
from madcap.kernel.net.install import give
from madcap.linux.process import pidfd_open, read_file
from madcap.linux.socket import SOL_SOCKET
from madcap.policy import categories as C

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.net.endpoint import Socket
    from madcap.kernel.request import Request

_UCRED = struct.Struct("=iII")
_SCM_PIDFD = 4
_INT_SIZE = 4


def incoming(req: Request, socket: Socket, data: bytes, *, cloexec: bool) -> tuple[bytes, bool]:
    """Return (control data for the caller, whether some of it got lost).

    *data* came from our own call; the descriptors in it become the request's, and duplicates the
    caller's.
    """
    ours = _Received(req, data)
    parts: list[bytes] = []
    lost = False
    for level, kind, body in ours.messages:
        if level == SOL_SOCKET and kind == control.SCM_RIGHTS:
            body, cut = _rights(req, ours.numbers(body), cloexec=cloexec)
            lost |= cut
            if not body:
                continue
        elif level == SOL_SOCKET and kind == control.SCM_CREDENTIALS:
            body = _credentials(req, socket, body)
        elif level == SOL_SOCKET and kind == _SCM_PIDFD:
            body = _pidfd(req, socket, ours, body)
        parts.append(control.pack(level, kind, body))
    # The last message is not padded, nor was it by the kernel where there was no room.
    return b"".join(parts)[: len(data)], lost


class _Received:
    """The messages that we received; their descriptors belong to the request from the start."""

    __slots__ = ("messages",)

    def __init__(self, req: Request, data: bytes) -> None:
        self.messages = list(control.messages(data))
        for level, kind, body in self.messages:
            if level == SOL_SOCKET and kind in (control.SCM_RIGHTS, _SCM_PIDFD):
                for fd in self.numbers(body):
                    if fd >= 0:
                        req.own(fd)

    def numbers(self, body: bytes) -> tuple[int, ...]:
        """Return the descriptors in *body*."""
        return struct.unpack_from(f"={len(body) // _INT_SIZE}i", body)


def _rights(req: Request, ours: tuple[int, ...], *, cloexec: bool) -> tuple[bytes, bool]:
    """Hand on the descriptors *ours*: all, or those that find room, or none where one is denied."""
    if "deny_passrights" in req.host.options:
        return b"", True
    if req.policy.enabled & C.RECVFD:
        try:
            for fd in ours:
                require(req, C.RECVFD, kind_of(req, fd), errno.EACCES)
        except OSError:
            return b"", True
    theirs = []
    for fd in ours:
        try:
            theirs.append(give(req, fd, cloexec=cloexec))
        except OSError:
            break
    return struct.pack(f"={len(theirs)}i", *theirs), len(theirs) < len(ours)


def _credentials(req: Request, socket: Socket, body: bytes) -> bytes:
    if len(body) == _UCRED.size:
        pid, uid, gid = _UCRED.unpack(body)
        if pid == req.host.pid:
            return _UCRED.pack(peers.sender(req, socket), uid, gid)
    return body


def _pidfd(req: Request, socket: Socket, ours: _Received, body: bytes) -> bytes:
    """Hand on a descriptor of the sender's process, or the error in its place."""
    (fd,) = ours.numbers(body)
    if fd < 0:
        return body
    try:
        if _is_us(req, fd):
            pid = peers.sender(req, socket)
            if not pid:
                return struct.pack("=i", -errno.ESRCH)
            fd = req.own(pidfd_open(pid))
        return struct.pack("=i", give(req, fd, cloexec=True))
    except OSError as error:
        return struct.pack("=i", -(error.errno or errno.ESRCH))


def _is_us(req: Request, pidfd: int) -> bool:
    text = read_file(req.host.proc, b"self/fdinfo/%d" % pidfd)
    return b"\nPid:\t%d\n" % req.host.pid in text
