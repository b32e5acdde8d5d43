# SPDX-License-Identifier: GPL-3.0-or-later
"""A trapped system call as a handler sees it: arguments, the guest's memory and descriptors.

One Request belongs to one emulator thread and is used again for each notification (`begin`), so
that its buffers are allocated once. Every descriptor opened on behalf of a call is handed to
`own` and closed by `finish`, whatever happens in between: no finalizer is relied on.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct

from madcap.abi import flags as F
from madcap.kernel.reply import Gone
from madcap.linux._call import Buffer, get_errno
from madcap.linux.fs import open_with, openat2_how
from madcap.linux.memory import CROSS_ONLY, Memory
from madcap.linux.process import PIDFD_THREAD, pidfd_getfd, pidfd_open, read_file, status_field
from madcap.linux.seccomp import ADDFD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.host import Host

_PATH_HOW = openat2_how(F.O_PATH, 0)
_USER_LIMIT = 1 << 47
RESULT = 4608  #: Where in `Request.scratch` a structure for the guest is put together.
_ID = struct.Struct("=Q")


class Request:
    """The call that an emulator thread is working on."""

    __slots__ = (
        "_addfd", "_id_buffer", "_ids", "_owned", "_pidfd", "_pidfd_tid", "_tgid", "args",
        "directory_seen", "host", "id", "listener", "looker", "memory", "name", "number", "policy",
        "result", "scratch", "shares", "tid", "words", "writer", "writing",
    )  # fmt: skip

    def __init__(self, host: Host, memory_access: int = CROSS_ONLY) -> None:
        self.host = host
        self.memory = Memory(host.proc, memory_access)
        self.scratch = Buffer(8192)
        self.words = Buffer(32)  #: For answers of the kernel that are a few integers.
        self.result = self.scratch.at(RESULT)
        self._id_buffer = bytearray(8)
        self._addfd = bytearray(ADDFD.size)
        self._owned: list[int] = []
        #: See `Host.writers`: set from when the guest is found waiting until the call is answered.
        self.writer = Buffer(8)
        self.writing = memoryview(self.writer.data).cast("Q")
        host.writers.append(self.writer)
        self.listener, self.looker = host.ways(self.memory, self.writer, self.scratch, RESULT)
        self._pidfd = -1
        self._pidfd_tid = 0
        self.id = self.tid = self.number = self._tgid = 0
        self.name = ""
        #: What we hold may keep a close or removal of the caller's from having its effect: it is
        #: let go before the call is answered.
        self.shares = False
        self.args: tuple[int, ...] = ()
        #: For `at_once.entry`: what it asked for last in this call, and what it found.
        self.directory_seen: tuple[object, tuple[int, bytes]] | None = None
        self.policy = host.sandbox.active

    def begin(self, notification: tuple[int, ...], name: str) -> None:
        """Start on *notification*: (id, tid, flags, number, arch, ip, six arguments)."""
        self.id = notification[0]
        self.tid = notification[1]
        self.number = notification[3]
        self.args = notification[6:]
        self.name = name
        self._tgid = 0
        self.policy = self.host.sandbox.active  # Pinned: one call is judged by one policy.
        _ID.pack_into(self._id_buffer, 0, self.id)

    def finish(self) -> None:
        """Close every descriptor that the call opened."""
        self.writing[0] = 0
        self.shares = False
        self.directory_seen = None
        owned = self._owned
        while owned:
            os.close(owned.pop())

    # Arguments: Python integers have no width, the kernel's do.

    def i32(self, index: int) -> int:
        """Argument *index* as the kernel's ``int``: the low 32 bits, signed."""
        low = self.args[index] & 0xFFFF_FFFF
        return low - (1 << 32) if low & 0x8000_0000 else low

    def u32(self, index: int) -> int:
        """Argument *index* as ``unsigned int``."""
        return self.args[index] & 0xFFFF_FFFF

    def i64(self, index: int) -> int:
        """Argument *index* as ``long``."""
        value = self.args[index]
        return value - (1 << 64) if value & (1 << 63) else value

    def mode(self, index: int) -> int:
        """Argument *index* as ``umode_t``."""
        return self.args[index] & 0xFFFF

    # Validity

    def alive(self) -> None:
        """Raise Gone unless the guest still waits: what was read through its tid counts then."""
        self.writing[0] = self.tid  # Before: see `Tracer`.
        try:
            fcntl.ioctl(self.host.listener, F.SECCOMP_IOCTL_NOTIF_ID_VALID, self._id_buffer, True)
        except InterruptedError:  # The supervisor was stopped while another thread asked.
            self.alive()
        except OSError as error:
            raise Gone from error

    # Memory

    def pointer(self, address: int) -> int:
        """Return *address*, raising EFAULT where it can't be one of user memory."""
        if not 4096 <= address < _USER_LIMIT:
            raise OSError(errno.EFAULT, "bad pointer")
        return address

    def path(self, index: int) -> bytes:
        """The path string that argument *index* points to."""
        ahead = self.listener.ahead
        if ahead is not None and ahead[0] == index:
            return ahead[1]
        return self.memory.string(self.tid, self.pointer(self.args[index]))

    def string(self, address: int, limit: int) -> bytes:
        """The NUL-terminated string at *address*."""
        return self.memory.string(self.tid, self.pointer(address), limit)

    def read(self, address: int, size: int) -> bytes:
        """Exactly *size* bytes from *address*."""
        return self.memory.read(self.tid, self.pointer(address), size)

    def write(self, address: int, data: bytes | bytearray) -> None:
        """Write *data* to *address*; raises Gone where the guest no longer waits.

        Time may have passed since that was asked last, and its number may be a stranger's by now.
        """
        self.alive()
        self.memory.write(self.tid, self.pointer(address), data)

    def write_result(self, address: int, size: int) -> None:
        """Write the *size* bytes at RESULT of `scratch` to *address*."""
        self.memory.write_buffer(
            self.tid, self.pointer(address), self.scratch.address + RESULT, size
        )

    def answer_with(self, address: int, size: int) -> None:
        """Answer 0 after `write_result`, unless the guest waits no more."""
        if self.shares:
            self.finish()
        owned = self._owned
        self.writing[0] = self.tid
        self.listener.answer_with(
            self.id,
            self.tid,
            self.result,
            self.pointer(address),
            size,
            owned.pop() if owned else -1,
        )

    # The task

    @property
    def tgid(self) -> int:
        """The process (thread group) of the caller."""
        if not self._tgid:
            text = status_field(self.status(), b"Tgid")
            self._tgid = int(text)
        return self._tgid

    def status(self) -> bytes:
        """The text of /proc/TID/status; it counts once `alive` returned."""
        try:
            text = read_file(self.host.proc, b"%d/status" % self.tid)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ESRCH):
                raise Gone from error
            raise
        self.alive()
        return text

    def limit(self, name: bytes) -> int | None:
        """The caller's soft limit called *name* in proc_pid_limits(5); None: unlimited."""
        text = read_file(self.host.proc, b"%d/limits" % self.tid)
        self.alive()
        soft = text[text.find(name) + len(name) :].split(None, 1)[0]
        return int(soft) if soft.isdigit() else None

    def umask(self) -> int:
        """The caller's umask."""
        return int(status_field(self.status(), b"Umask"), 8)

    # Descriptors

    def own(self, fd: int) -> int:
        """Take over *fd*: it is closed when the call ends."""
        self._owned.append(fd)
        return fd

    def release(self, fd: int) -> None:
        """Close *fd*, which `own` took over, before the call ends."""
        self._owned.remove(fd)
        os.close(fd)

    def cwd(self) -> int:
        """An O_PATH descriptor of the caller's working directory."""
        fd = open_with(self.host.proc, b"%d/cwd" % self.tid, _PATH_HOW)
        if fd < 0:
            self.alive()
            raise OSError(get_errno(), "cwd")
        self._owned.append(fd)
        return fd

    def directory(self, number: int) -> int:
        """An O_PATH descriptor of what the caller's *number* (or AT_FDCWD) refers to."""
        if number == F.AT_FDCWD:
            return self.cwd()
        if number < 0:
            raise OSError(errno.EBADF, "bad descriptor")
        fd = open_with(self.host.proc, b"%d/fd/%d" % (self.tid, number), _PATH_HOW)
        if fd < 0:
            error = get_errno()
            self.alive()
            raise OSError(errno.EBADF if error == errno.ENOENT else error, "descriptor")
        self._owned.append(fd)
        return fd

    def descriptor(self, number: int) -> int:
        """A duplicate of the caller's descriptor *number*: the same open file description."""
        if number < 0:
            raise OSError(errno.EBADF, "bad descriptor")
        if self._pidfd_tid != self.tid:
            self._open_pidfd()
        try:
            fd = pidfd_getfd(self._pidfd, number)
        except ProcessLookupError:  # The thread we knew is gone, and another has its number.
            self._open_pidfd()
            fd = pidfd_getfd(self._pidfd, number)
        self.shares = True
        self._owned.append(fd)
        return fd

    def _open_pidfd(self) -> None:
        """Open a descriptor of the caller's thread, which stays for its next calls.

        It never comes to mean another thread, while that of a process (before Linux 6.9) could
        still be good when the number of the thread has gone to another process.
        """
        self.close()
        try:
            try:
                self._pidfd = pidfd_open(self.tid, PIDFD_THREAD)
                known = self.tid
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                self._pidfd = pidfd_open(self.tid)
                known = 0
        except ProcessLookupError as error:
            raise Gone from error
        self.alive()
        self._pidfd_tid = known

    def close(self) -> None:
        """Close what is kept from one call to the next."""
        pidfd, self._pidfd, self._pidfd_tid = self._pidfd, -1, 0
        if pidfd >= 0:
            os.close(pidfd)

    def install(self, fd: int, *, cloexec: bool) -> int:
        """Give the caller a duplicate of our *fd*; return its number there.

        Raises Gone, or OSError(EMFILE).
        """
        self.shares = True
        flags = self.policy.flags
        if "force_cloexec" in flags:
            cloexec = True
        slot = -1
        if "force_rand_fd" in flags:
            from madcap.kernel.slots import random_slot

            slot = random_slot(self)
        how = F.SECCOMP_ADDFD_FLAG_SETFD if slot >= 0 else 0
        ADDFD.pack_into(
            self._addfd, 0, self.id, how, fd, max(slot, 0), F.O_CLOEXEC if cloexec else 0
        )
        try:
            number: int = fcntl.ioctl(
                self.host.listener, F.SECCOMP_IOCTL_NOTIF_ADDFD, self._addfd, True
            )
        except InterruptedError:  # As in `alive`: nothing was installed.
            return self.install(fd, cloexec=cloexec)
        except OSError as error:
            if error.errno == errno.ENOENT:
                raise Gone from error
            raise
        return number

    def signal(self, signal: int) -> None:
        """Send *signal* to the caller's process."""
        from madcap.linux.process import pidfd_send_signal

        try:
            pidfd = pidfd_open(self.tgid)
        except ProcessLookupError as error:
            raise Gone from error
        try:
            self.alive()
            pidfd_send_signal(pidfd, signal)
        finally:
            os.close(pidfd)

    def link_text(self, fd: int) -> bytes:
        """The name of what our descriptor *fd* refers to, as /proc/self/fd shows it."""
        return os.readlink(b"%d" % fd, dir_fd=self.host.self_fd)
