# SPDX-License-Identifier: GPL-3.0-or-later
"""What a path leads to, and what rules call it."""

from __future__ import annotations

import errno
import os

from madcap.abi import flags as F
from madcap.kernel.host import OPEN
from madcap.linux.fs import memory_name, openat2_how

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.request import Request

# How the last component is treated; none of these: the object itself must exist, no following.
FOLLOW = 1  #: Follow a link.
MAY = 2  #: It may be missing; parent and name are pinned also.
MISS = 4  #: It must be missing (EEXIST); parent and name are pinned.
BASE = 8  #: Parent and name are wanted, for an object that exists; never followed.
EMPTY = 16  #: An empty path means the descriptor itself.
LAST = MAY | MISS | BASE

_PLAIN = F.RESOLVE_NO_SYMLINKS | F.RESOLVE_NO_MAGICLINKS
FOLLOW_HOW = openat2_how(F.O_PATH, _PLAIN)
NOFOLLOW_HOW = openat2_how(F.O_PATH | OPEN.NOFOLLOW, _PLAIN)
DIRECTORY_HOW = openat2_how(F.O_PATH | OPEN.DIRECTORY, _PLAIN)


class Target:
    """What a path led to.

    *fd* pins the object (-1: missing), *name* is its canonical name; *mode* is its st_mode, or -1
    where nobody asked yet; *parent* and *base* are set
    where the lookup asked for them. *directory* tells that the path ended in a slash. All
    descriptors belong to the request.
    """

    __slots__ = ("_st", "base", "directory", "fd", "magic", "mode", "name", "parent")

    def __init__(self, fd: int, name: bytes, mode: int = -1) -> None:
        self.fd = fd
        self.mode = mode
        self.name = name
        self.parent = -1
        self.base = b""
        self.directory = False
        self.magic = False
        self._st: os.stat_result | None = None

    @property
    def st(self) -> os.stat_result:
        """The object's attributes, read once."""
        if self._st is None:
            self._st = os.fstat(self.fd)
        return self._st

    @property
    def type(self) -> int:
        """The object's type bits (S_IF…), 0 where it is missing."""
        if self.mode >= 0:
            return self.mode & F.S_IFMT
        return self.st.st_mode & F.S_IFMT if self.fd >= 0 else 0


def descriptor_name(req: Request, fd: int) -> bytes:
    """Return the subject for rules of what our descriptor *fd* refers to.

    A path without the kernel's mark of a deleted file; ``!memfd:NAME``, ``!secretmem``; for pipes,
    sockets and anonymous inodes ``/proc/TGID/fd/pipe:[N]``.
    """
    text = req.link_text(fd)
    if text[:1] != b"/":
        require_reachable(text)
        return b"/proc/%d/fd/%s" % (req.tgid, text)
    if text.startswith(b"/secretmem") and text in (b"/secretmem", b"/secretmem (deleted)"):
        return b"!secretmem"
    if text.endswith(b" (deleted)") and os.fstat(fd).st_nlink == 0:
        text = text[:-10]
        if text.startswith(b"/memfd:"):
            return memory_name(fd, text)
    return text


def require_reachable(text: bytes) -> None:
    """Raise ENOENT for a file that has no name below the root: rules can't say anything of it."""
    if text.startswith(b"(unreachable)"):
        raise OSError(errno.ENOENT, "unreachable")


def subject(req: Request, name: bytes) -> bytes:
    """Return *name* as rules know it: the caller's own /proc entry is /proc/self."""
    if name.startswith(b"/proc/") and name[6:7].isdigit():
        number, _, rest = name[6:].partition(b"/")
        if number.isdigit() and int(number) in (req.tid, req.tgid):
            return b"/proc/self/" + rest if rest else b"/proc/self"
    return name
