# SPDX-License-Identifier: GPL-3.0-or-later
"""The names by which rules about passing descriptors (sendfd, recvfd) know them."""

from __future__ import annotations

import os

from madcap.abi import flags as F
from madcap.linux.fs import memory_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.request import Request

_KINDS = {
    F.S_IFBLK: b"!bdev", F.S_IFCHR: b"!cdev", F.S_IFSOCK: b"!socket", F.S_IFDIR: b"!dir",
    F.S_IFREG: b"!file",
}  # fmt: skip
_ANONYMOUS = b"anon_inode:"
_DELETED = b" (deleted)"


def kind_of(req: Request, fd: int) -> bytes:
    """Return the name of the kind of thing that our descriptor *fd* refers to."""
    name = kind(req.link_text(fd), os.fstat(fd).st_mode & F.S_IFMT)
    return memory_name(fd, name) if name.startswith(b"!memfd:") else name


def kind(text: bytes, form: int) -> bytes:
    """Return the name for the link *text* in /proc/self/fd and the file type *form*."""
    if text.startswith(_ANONYMOUS):
        return b"!" + text[len(_ANONYMOUS) :].strip(b"[]")
    if form == F.S_IFIFO:
        return b"!pipe" if text.startswith(b"pipe:") else b"!fifo"
    if form == F.S_IFLNK:
        return _magic(text) or b"!symlink"
    if form == F.S_IFREG:
        if text[:1] != b"/":
            return b"!pidfd" if text.startswith(b"pidfd:") else b"!nsfs"
        if text.endswith(_DELETED):
            name = text[1 : -len(_DELETED)]
            if name == b"secretmem" or name.startswith(b"memfd:"):
                return b"!" + name
    return _KINDS.get(form, b"!unknown")


def _magic(text: bytes) -> bytes | None:
    """Return the name of the link *text* of a process that leads to an object; None of others."""
    parts = text.split(b"/")
    if len(parts) < 4 or parts[1] != b"proc" or not parts[2].isdigit():
        return None
    return b"!magicdir" if parts[-1] in (b"cwd", b"root") else b"!magiclink"
