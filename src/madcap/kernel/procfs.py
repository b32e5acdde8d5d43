# SPDX-License-Identifier: GPL-3.0-or-later
"""Proc file systems at other places than /proc: closed, as rules know /proc by its usual name.

Their links would be read by the supervisor, and lead to its own entry; what is below them would be
judged by a name that no rule means.
"""

from __future__ import annotations

import errno

from madcap.abi.flags import PROC_SUPER_MAGIC
from madcap.linux.fs import filesystem_type

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.request import Request


def mounted_elsewhere(mounts: bytes) -> bool:
    """Tell whether *mounts*, a proc_pid_mountinfo(5) text, has a proc file system beside /proc."""
    for line in mounts.split(b"\n"):
        if b" - proc " in line:
            place = line.split(b" ", 5)[4]
            if place != b"/proc" and not place.startswith(b"/proc/"):
                return True
    return False


def refuse_elsewhere(req: Request, device: int, name: bytes, fd: int) -> None:
    """Raise EACCES where *fd*, on *device* and called *name*, is in a strange proc file system."""
    host = req.host
    if device == host.proc_dev:
        if name[:6] == b"/proc/" or name == b"/proc" or name[:1] == b"!":
            return
    elif device >> 8 & 0xFFF or filesystem_type(fd, req.scratch) != PROC_SUPER_MAGIC:
        return
    raise OSError(errno.EACCES, "a proc file system outside /proc")
