# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration from an open file, while the sandbox runs."""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from madcap.policy.sandbox import Sandbox

LINE_MAX = 4096
_S_IFMT, _S_IFREG = 0o170000, 0o100000


def load(sandbox: Sandbox, fd: int, origin: str) -> None:
    """Carry out the commands in the file behind *fd*, from where it was read up to.

    *origin* is where errors are said to be. Raises PolicyError of the first command that is refused
    (those before it stay), and OSError: EBADFD (no regular file), EBUSY (``include``), ENAMETOOLONG
    (a line of 4096 bytes, or a last one without an end), EILSEQ (not UTF-8), EPERM (locked).
    """
    if os.fstat(fd).st_mode & _S_IFMT != _S_IFREG:
        raise OSError(errno.EBADFD, "not a regular file")
    for number, line in enumerate(_lines(fd), 1):
        words = line.strip()
        if not words or words.startswith(b"#"):
            continue
        if sandbox.locked:
            raise OSError(errno.EPERM, "locked")
        try:
            command = line.decode()
        except UnicodeDecodeError:
            raise OSError(errno.EILSEQ, "not UTF-8") from None
        if command.startswith("include "):
            raise OSError(errno.EBUSY, "include")
        sandbox.execute(command, (origin, number))


def _lines(fd: int) -> Iterator[bytes]:
    """Yield the lines of *fd* without their ends; no more of it is read than is asked for."""
    data = b""
    while True:
        line, end, rest = data.partition(b"\n")
        if end:
            data = rest
            yield line
            continue
        part = os.read(fd, LINE_MAX - len(data))
        if not part:
            if data:
                raise OSError(errno.ENAMETOOLONG, "a line is too long, or the last one has no end")
            return
        data += part
