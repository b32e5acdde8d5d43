# SPDX-License-Identifier: GPL-3.0-or-later
"""process_vm_readv(2), process_vm_writev(2) and their fall-back /proc/PID/mem.

`Memory` belongs to one thread. A transfer never reaches across a page border that it does not
need, so that a string which ends before an unmapped page is read like the kernel reads it.
What was read counts only after the caller found the notification still valid.

/proc/PID/mem disregards page protection: a guest could have an answer written into its own code. So
whatever trace/memory_access says, it is written to only on a kernel that lacks process_vm_writev.
"""

from __future__ import annotations

import errno
import os
import struct

from madcap.abi.flags import PATH_MAX
from madcap.linux._call import Buffer, c_ulong, get_errno, peek, plain
from madcap.linux.fs import openat2

PAGE = 4096
FIRST_CHUNK = 256  # Most paths end well before this; a longer read costs more than it saves.

_pack = struct.Struct("=QQQQ").pack_into  # two struct iovec

CROSS_OR_MEM, MEM_ONLY, CROSS_ONLY = 0, 1, 2  # The values of trace/memory_access.

_readv, _NR_readv = plain("process_vm_readv")
_writev, _NR_writev = plain("process_vm_writev")
_NO_FLAGS = c_ulong(0)  # The sixth argument has to be as wide as it is.


class Memory:
    """Access to the memory of guest threads, through buffers of this thread's own."""

    __slots__ = ("_buffer", "_iov", "_local", "_mode", "_proc", "_remote")

    def __init__(self, proc: int, mode: int = CROSS_ONLY) -> None:
        self._buffer = Buffer(PAGE)
        self._iov = Buffer(32)  # two struct iovec: local, remote
        self._local = self._iov.at(0)
        self._remote = self._iov.at(16)
        self._mode = mode
        self._proc = proc

    def _transfer(self, write: bool, tid: int, local: int, remote: int, size: int) -> int:
        """Move up to *size* bytes; return how many were moved (0 only where *size* is 0)."""
        if size == 0:
            return 0
        if write or self._mode != MEM_ONLY:
            _pack(self._iov.data, 0, local, size, remote, size)
            if write:
                done = _writev(_NR_writev, tid, self._local, 1, self._remote, 1, _NO_FLAGS)
            else:
                done = _readv(_NR_readv, tid, self._local, 1, self._remote, 1, _NO_FLAGS)
            if done > 0:
                return done
            error = get_errno() if done < 0 else errno.EFAULT
            if write or self._mode == CROSS_ONLY or error not in (errno.ENOSYS, errno.EPERM):
                raise OSError(error, os.strerror(error))
        raise OSError(errno.EFAULT, "only through the buffer")

    def string(self, tid: int, address: int, limit: int = PATH_MAX) -> bytes:
        """Return the NUL-terminated string at *address*, without its NUL.

        Raises OSError: EFAULT, ENAMETOOLONG (no NUL within *limit* bytes).
        """
        data = self._buffer.data
        chunk = PAGE - (address & (PAGE - 1))
        if chunk > FIRST_CHUNK:
            chunk = FIRST_CHUNK
        if chunk > limit:
            chunk = limit
        got = self._fill(tid, address, chunk)
        end = data.find(0, 0, got)
        if end >= 0:
            return bytes(data[:end])
        parts = [bytes(data[:got])]
        total = got
        while total < limit:
            at = address + total
            chunk = min(PAGE - (at & (PAGE - 1)), limit - total)
            got = self._fill(tid, at, chunk)
            end = data.find(0, 0, got)
            if end >= 0:
                parts.append(bytes(data[:end]))
                return b"".join(parts)
            parts.append(bytes(data[:got]))
            total += got
        raise OSError(errno.ENAMETOOLONG, "string without end")

    def read(self, tid: int, address: int, size: int) -> bytes:
        """Return exactly *size* bytes from *address*; raises OSError(EFAULT) where some lack."""
        if size <= PAGE:
            data = self._buffer.data
            if self._fill(tid, address, size) != size:
                raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))
            return bytes(data[:size])
        parts = []
        while size:
            chunk = min(size, PAGE)
            parts.append(self.read(tid, address, chunk))
            address += chunk
            size -= chunk
        return b"".join(parts)

    def read_some(self, tid: int, address: int, size: int) -> bytes:
        """Return what is readable of the *size* bytes at *address*, up to the first hole."""
        parts = []
        while size > 0:
            chunk = min(size, PAGE)
            try:
                got = self._fill(tid, address, chunk)
            except OSError as error:
                if error.errno != errno.EFAULT:
                    raise
                break
            parts.append(bytes(self._buffer.data[:got]))
            if got < chunk:
                break
            address += got
            size -= got
        return b"".join(parts)

    def write(self, tid: int, address: int, data: bytes | bytearray) -> None:
        """Write *data* at *address*; raises OSError(EFAULT) where it does not fit."""
        offset, size = 0, len(data)
        while offset < size:
            chunk = min(size - offset, PAGE)
            self._buffer.data[:chunk] = data[offset : offset + chunk]
            self.write_buffer(tid, address + offset, self._buffer.address, chunk)
            offset += chunk

    def write_buffer(self, tid: int, address: int, local: int, size: int) -> None:
        """Write *size* bytes from our address *local*, which the caller keeps alive."""
        if self._mode == CROSS_ONLY:
            _pack(self._iov.data, 0, local, size, address, size)
            if _writev(_NR_writev, tid, self._local, 1, self._remote, 1, _NO_FLAGS) != size:
                raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))
            return
        try:
            done = self._transfer(True, tid, local, address, size)
        except OSError as error:
            if error.errno != errno.ENOSYS:
                raise OSError(errno.EFAULT, os.strerror(errno.EFAULT)) from error
            done = self._mem(True, tid, address, size, local)
        if done != size:
            raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))

    def _fill(self, tid: int, address: int, size: int) -> int:
        if self._mode == CROSS_ONLY:
            _pack(self._iov.data, 0, self._buffer.address, size, address, size)
            got = _readv(_NR_readv, tid, self._local, 1, self._remote, 1, _NO_FLAGS)
            if got < 0:
                error = get_errno()
                raise OSError(error, os.strerror(error))
            return got
        try:
            return self._transfer(False, tid, self._buffer.address, address, size)
        except OSError as error:
            if error.errno == errno.EFAULT and self._mode != MEM_ONLY:
                raise
            return self._mem(False, tid, address, size, self._buffer.address)

    def _mem(self, write: bool, tid: int, address: int, size: int, local: int) -> int:
        """Transfer through /proc/TID/mem, which disregards page protection."""
        fd = openat2(self._proc, b"%d/mem" % tid, os.O_WRONLY if write else os.O_RDONLY)
        try:
            if write:
                return os.pwrite(fd, peek(local, size), address)
            data = os.pread(fd, size, address)
            self._buffer.data[: len(data)] = data
            return len(data)
        except (OSError, OverflowError) as error:
            raise OSError(errno.EFAULT, os.strerror(errno.EFAULT)) from error
        finally:
            os.close(fd)
