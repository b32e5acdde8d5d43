# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guest sends or receives: its scattered memory, copied from and to a buffer of ours."""

from __future__ import annotations

import errno

from madcap.linux.gather import gather, scatter
from madcap.linux.memory import CROSS_ONLY
from madcap.linux.socket import IOVEC

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.request import Request
    from madcap.linux._call import Buffer, Room

IOV_MAX = 1024
RW_MAX = 0x7FFF_F000  #: MAX_RW_COUNT: no call transfers more.
PIECE = 256 * 1024  #: The most that is copied at once for a stream.
_USER_LIMIT = 1 << 47
_ENDS_MAX = 256
_INT64_SIGN = 1 << 63


class Payload:
    """The memory of one message: *pieces* of (address, size), *size* bytes in all."""

    __slots__ = ("_index", "_offset", "pieces", "size")

    def __init__(self, pieces: list[tuple[int, int]]) -> None:
        self.pieces = pieces
        self.size = sum(size for _, size in pieces)
        self._index = self._offset = 0

    def copy(self, req: Request, buffer: Buffer, limit: int) -> int:
        """Copy what comes next, at most *limit* bytes, to the start of *buffer*.

        Returns how many bytes came before the first that can't be read.
        """
        wanted = self._next(limit)
        if not wanted:
            return 0
        try:
            if req.host.sandbox.memory_access == CROSS_ONLY:
                return gather(req.tid, buffer.address, wanted)
            return self._copy_slowly(req, buffer, wanted)
        except OSError as error:
            if error.errno == errno.EFAULT:
                return 0
            raise

    def reachable(self, req: Request) -> int:
        """Return how many bytes come before the first that isn't mapped, where a look finds one.

        Both ends of each piece are looked at. Nothing is written, so whether the memory can be
        written stays open.
        """
        ends = [
            (end, 1)
            for address, size in self.pieces[:_ENDS_MAX]
            if size
            for end in (address, address + size - 1)
        ]
        if not ends or req.host.sandbox.memory_access != CROSS_ONLY:
            return self.size
        try:
            seen = gather(req.tid, req.scratch.address, ends)
        except OSError as error:
            if error.errno != errno.EFAULT:
                raise
            seen = 0
        if seen == len(ends):
            return self.size
        whole = [piece for piece in self.pieces if piece[1]][: seen // 2]
        total = sum(size for _, size in whole)
        return total + (self._mapped(req, *ends[seen - 1 : seen + 1]) if seen % 2 else 0)

    def _mapped(self, req: Request, first: tuple[int, int], last: tuple[int, int]) -> int:
        """Return how many bytes from *first* on are mapped, *last* being not."""
        page = first[0] + 4096 & -4096
        while page <= last[0]:
            try:
                req.read(page, 1)
            except OSError:
                break
            page += 4096
        return page - first[0]

    def paste(self, req: Request, buffer: Buffer | Room, size: int) -> None:
        """Fill what comes next with the first *size* bytes of *buffer*; raises EFAULT."""
        wanted = self._next(size)
        if not wanted:
            return
        req.alive()
        if req.host.sandbox.memory_access == CROSS_ONLY:
            if scatter(req.tid, buffer.address, wanted) != size:
                raise OSError(errno.EFAULT, "unwritable memory")
            return
        done = 0
        for address, part in wanted:
            req.write(address, buffer.data[done : done + part])
            done += part

    def _next(self, limit: int) -> list[tuple[int, int]]:
        """Take the next *limit* bytes off, as pieces."""
        taken: list[tuple[int, int]] = []
        while limit and self._index < len(self.pieces):
            address, size = self.pieces[self._index]
            part = min(size - self._offset, limit)
            if part:
                taken.append((address + self._offset, part))
            self._offset += part
            limit -= part
            if self._offset == size:
                self._index += 1
                self._offset = 0
        return taken

    def _copy_slowly(self, req: Request, buffer: Buffer, wanted: list[tuple[int, int]]) -> int:
        """Do without process_vm_readv, as trace/memory_access says."""
        done = 0
        for address, size in wanted:
            buffer.data[done : done + size] = req.read(address, size)
            done += size
        return done


def single(address: int, size: int) -> Payload:
    """Return the payload of a send of *size* bytes at *address*; raises EFAULT."""
    size = min(size, RW_MAX)
    _in_user_memory(address, size)
    return Payload([(address, size)])


def vector(req: Request, address: int, count: int) -> Payload:
    """Return the payload of the *count* struct iovec at *address*; EMSGSIZE, EFAULT, EINVAL."""
    if count > IOV_MAX:
        raise OSError(errno.EMSGSIZE, "too many pieces")
    pieces = []
    total = 0
    data = req.read(address, count * IOVEC.size) if count else b""
    for base, size in IOVEC.iter_unpack(data):
        if size & _INT64_SIGN:
            raise OSError(errno.EINVAL, "negative size")
        _in_user_memory(base, size)
        size = min(size, RW_MAX - total)
        pieces.append((base, size))
        total += size
    return Payload(pieces)


def _in_user_memory(address: int, size: int) -> None:
    if address + size > _USER_LIMIT:
        raise OSError(errno.EFAULT, "beyond user memory")
