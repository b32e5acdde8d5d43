# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep a sleeping thread on our CPU for the moment in which it is woken: sched_setaffinity(2).

Some facts about waking somebody
--------------------------------
Installing a descriptor (SECCOMP_IOCTL_NOTIF_ADDFD) wakes the guest's thread, which installs it and
sleeps again. The scheduler places that wake-up on an idle CPU if there is one, and waking a halted
virtual CPU takes longer than everything else that a call costs. There is no hint for this wake-up
as there is for the answer (SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP). So the thread's mask is narrowed to
our CPU while it sleeps, and what it was is put back before the answer. Only the thread itself, or
somebody with its rights, could set the mask in between; that change would be lost.
"""

from __future__ import annotations

from madcap.linux._call import Buffer, c_int, c_ulong, c_void_p, current_cpu, direct

_SIZE = 128  # Bytes of a mask: 1024 CPUs.

_get, _NR_get = direct("sched_getaffinity", c_int, c_ulong, c_void_p)
_set, _NR_set = direct("sched_setaffinity", c_int, c_ulong, c_void_p)


class Placement:
    """Narrows and restores the CPU mask of one thread at a time; belongs to one thread."""

    __slots__ = ("_narrow", "_saved", "_size", "_tid")

    def __init__(self) -> None:
        self._saved = Buffer(_SIZE)
        self._narrow = Buffer(_SIZE)
        self._size = 0
        self._tid = 0

    def pull(self, tid: int) -> None:
        """Let *tid* wake only on the CPU that this thread is on, if it may wake there at all."""
        size = _get(_NR_get, tid, _SIZE, self._saved.address)
        cpu = current_cpu()
        if size <= 0 or cpu < 0:
            return
        byte, bit = cpu >> 3, 1 << (cpu & 7)
        if not self._saved.data[byte] & bit:
            return
        narrow = self._narrow.data
        narrow[byte] = bit
        if _set(_NR_set, tid, size, self._narrow.address) == 0:
            self._size, self._tid = size, tid
        narrow[byte] = 0

    def restore(self) -> None:
        """Put back the mask that `pull` found."""
        tid, self._tid = self._tid, 0
        if tid:
            _set(_NR_set, tid, self._size, self._saved.address)
