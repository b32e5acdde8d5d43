# SPDX-License-Identifier: GPL-3.0-or-later
"""What an emulator thread does for each call: receive it, look a path up for it, answer it.

`Listener` and `Looker` make one system call after the other. Where native.c was built, native.py
takes their place with several calls in one; what they answer is the same.
"""

from __future__ import annotations

import fcntl
import os
from errno import EAGAIN

from madcap.abi.flags import (
    AT_FDCWD,
    SECCOMP_IOCTL_NOTIF_ID_VALID,
    SECCOMP_IOCTL_NOTIF_RECV,
    SECCOMP_IOCTL_NOTIF_SEND,
)
from madcap.linux._call import get_errno
from madcap.linux.fs import open_with
from madcap.linux.seccomp import NOTIF, NOTIF_ZERO, RESP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ctypes import c_void_p

    from madcap.linux._call import Buffer
    from madcap.linux.memory import Memory

LIBRARY = os.path.dirname(__file__) + "/libnative.so"  #: native.c, where it was built.
NO_WAY = -10000  #: The answer of `Looker.look` where the directory can't be entered or named.


class Crowd(Exception):
    """More calls wait than the receiver gets done, and `Listener.help` could answer some."""


class Listener:
    """One thread's use of the notification descriptor *fd*.

    *last*, of 8 bytes, is for all threads: the id of the call that was received last.
    """

    __slots__ = ("_buffer", "_last", "_memory", "_resp", "ahead", "fd")

    def __init__(self, fd: int, memory: Memory, last: Buffer) -> None:
        self.fd = fd
        self._last = memoryview(last.data).cast("Q")
        self._memory = memory
        self._buffer = bytearray(NOTIF.size)
        self._resp = bytearray(RESP.size)
        #: Where it was read already: (argument, text) of the first path of the call received last.
        self.ahead: tuple[int, bytes] | None = None

    def receive(self) -> tuple[int, ...]:
        """Wait for a call: (id, tid, flags, number, arch, ip, six arguments).

        Raises OSError, and Crowd where nobody helps.
        """
        buffer = self._buffer
        buffer[:] = NOTIF_ZERO
        fcntl.ioctl(self.fd, SECCOMP_IOCTL_NOTIF_RECV, buffer, True)
        call = NOTIF.unpack(buffer)
        self._last[0] = call[0]
        return call

    def help(self) -> tuple[int, ...]:
        """Answer calls beside the receiver; return one as `receive` does that is not so simple.

        Raises OSError, EAGAIN where no help is needed any more.
        """
        raise BlockingIOError(EAGAIN, "only the native part needs help")

    def answer(self, ident: int, value: int, error: int, flags: int) -> None:
        """Answer call *ident*; whoever waits no more misses nothing."""
        RESP.pack_into(self._resp, 0, ident, value, -error, flags)
        while True:
            try:
                fcntl.ioctl(self.fd, SECCOMP_IOCTL_NOTIF_SEND, self._resp, True)
            except InterruptedError:
                continue
            except OSError:
                return  # ENOENT: the guest is gone. Nothing else can be wrong with our answer.
            return

    def answer_with(
        self, ident: int, tid: int, local: c_void_p, remote: int, size: int, fd: int
    ) -> None:
        """Write *size* bytes at *local* to *remote* of task *tid*, close *fd*, answer 0 or EFAULT.

        Nothing is written where call *ident* no longer waits. *fd* -1 is none.
        """
        RESP.pack_into(self._resp, 0, ident, 0, 0, 0)
        error = 0
        try:
            fcntl.ioctl(self.fd, SECCOMP_IOCTL_NOTIF_ID_VALID, self._resp[:8], True)
            self._memory.write_buffer(tid, remote, local.value or 0, size)
        except InterruptedError:
            self.answer_with(ident, tid, local, remote, size, fd)
            return
        except OSError as failure:
            error = failure.errno or 0
        if fd >= 0:
            os.close(fd)
        self.answer(ident, 0, error, 0)


class Known:
    """Names of what may be seen: of no use here, see native.py."""

    __slots__ = ()

    def allow(self, name: bytes) -> None:
        """Take in *name*; one that ends in a slash stands for all in that directory."""

    def forget(self, *, opened: bool) -> None:
        """Forget all. Where not *opened*, nothing is taken in or answered until it is."""


class Looker:
    """Opens paths from the directories of guests; *cwd* and *mode* tell of the last one."""

    __slots__ = ("cwd", "mode")

    def __init__(self) -> None:
        self.cwd = b""  #: What that directory is called, where it was asked for.
        self.mode = -1  #: st_mode of what was opened, -1 where it was not asked.

    def look(self, tid: int, dirfd: int, path: bytes, how: bytes, *, named: bool) -> int:
        """Open *path* as the struct open_how *how* says; return a descriptor or -errno.

        The way starts at our *dirfd* where *tid* is 0. Otherwise this thread goes to the directory
        that *dirfd* (or AT_FDCWD) means to task *tid* and stays there; with *named*, `cwd` is its
        name then. NO_WAY where it is none, can't be entered or was deleted.
        """
        if tid:
            here = b"/proc/%d/cwd" % tid if dirfd == AT_FDCWD else b"/proc/%d/fd/%d" % (tid, dirfd)
            try:
                os.chdir(here)
            except OSError:
                return NO_WAY
            dirfd = AT_FDCWD
        fd = open_with(dirfd, path, how)
        if fd < 0:
            return -get_errno()
        if named:
            try:
                self.cwd = os.getcwdb()
            except OSError:
                os.close(fd)
                return NO_WAY
        return fd
