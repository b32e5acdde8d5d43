# SPDX-License-Identifier: GPL-3.0-or-later
"""What program each process runs: kept, because it cannot be asked of one that has ended.

A process is noted at the first stop that the tracer sees of it, which comes before it runs
anything, and again whenever an exec was verified. Its entry goes when its end is reported, before
its number can be used again.
"""

from __future__ import annotations

import errno
import os

from madcap.linux.fs import memory_name, openat2, readlinkat
from madcap.linux.process import tgkill

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.host import Host
    from madcap.linux._call import Buffer

_O_PATH = os.O_PATH | os.O_CLOEXEC
_DELETED = b" (deleted)"


class Programs:
    """The programs of all processes (thread groups) that are traced; belongs to the main thread."""

    __slots__ = ("_host", "_left", "_names", "_scratch")

    def __init__(self, host: Host, scratch: Buffer) -> None:
        self._host = host
        self._scratch = scratch
        self._names: dict[int, bytes] = {}
        self._left: set[int] = set()

    def began(self, tid: int) -> None:
        """Note what the task *tid* runs if it is new, unless it is only one more thread."""
        if tid not in self._names and is_leader(tid):
            self._look(tid)

    def _look(self, tid: int) -> None:
        try:
            self._names[tid] = name_of(self._host, b"%d/exe" % tid, self._scratch)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ESRCH):  # It is being killed.
                raise

    def changed(self, pid: int) -> None:
        """Note what process *pid*, which is stopped, runs now, whatever is said of it."""
        self._look(pid)

    def became(self, pid: int, name: bytes) -> None:
        """Note that process *pid* runs the program *name* now."""
        self._names[pid] = name

    def processes(self) -> list[int]:
        """Return the numbers of all processes."""
        return list(self._names)

    def leaves(self, tid: int, *, stopped: bool) -> bytes | None:
        """Return what *tid* ran if it is a process and was not asked about here before.

        *stopped* says that it is still there to look at: an exec may have been cut short.
        """
        if tid in self._left or tid not in self._names:
            return None
        if stopped:
            self._look(tid)
        self._left.add(tid)
        return self._names[tid]

    def ended(self, tid: int) -> bytes | None:
        """Forget *tid*, and return what it ran if it was a process."""
        self._left.discard(tid)
        return self._names.pop(tid, None)


def is_leader(tid: int) -> bool:
    """Tell whether *tid* is the number of a process, and not of one of its further threads."""
    try:
        tgkill(tid, tid, 0)
    except OSError as error:
        return error.errno != errno.ESRCH
    return True


def name_of(host: Host, link: bytes, scratch: Buffer) -> bytes:
    """Return the name that rules know the program by which *link*, below /proc, leads to.

    That of a file which was deleted meanwhile is the name it had; memory files have one with an
    exclamation mark.
    """
    size = readlinkat(host.proc, link, scratch.address, 4097)
    text = bytes(scratch.data[:size])
    if not text.endswith(_DELETED):
        return text
    fd = openat2(host.proc, link, _O_PATH)
    try:
        return plain_name(text, fd)
    finally:
        os.close(fd)


def plain_name(text: bytes, fd: int) -> bytes:
    """Return the name for rules of the object *fd* that the kernel calls *text*."""
    if text.endswith(_DELETED) and os.fstat(fd).st_nlink == 0:
        text = text.removesuffix(_DELETED)
        if text.startswith(b"/memfd:"):
            return memory_name(fd, text)
    return text
