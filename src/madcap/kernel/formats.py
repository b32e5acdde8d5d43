# SPDX-License-Identifier: GPL-3.0-or-later
"""What kind of executable a file is, looked at once for files that the guest can't change.

The memory is keyed by everything that a change of the file would change, and holds only files that
our ids, which are the guest's, may not write: nobody in the sandbox can make it stale.
"""

from __future__ import annotations

import os

from madcap.kernel import elf
from madcap.linux.fs import openat2

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.host import Host

    Key = tuple[int, int, int, int, int]

_MEMO_MAX = 1024
_memo: dict[Key, elf.Elf | elf.Other] = {}


def inspect(host: Host, fd: int) -> elf.Elf | elf.Other:
    """Return what the file behind *fd*, which may be O_PATH, is.

    Raises ElfError where it is malformed, OSError where it can't be read.
    """
    st = os.fstat(fd)
    key = (st.st_dev, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns)
    known = _memo.get(key)
    if known is not None:
        return known
    # Looking must not show: the kernel marks the file as read when it does execute it.
    quietly = os.O_NOATIME if st.st_uid == host.euid else 0
    readable = openat2(host.self_fd, b"%d" % fd, os.O_RDONLY | quietly)
    try:
        found = elf.inspect(lambda offset, size: os.pread(readable, size, offset))
    finally:
        os.close(readable)
    if st.st_uid != host.euid and not st.st_mode & 0o022:
        if len(_memo) >= _MEMO_MAX:
            _memo.clear()
        _memo[key] = found
    return found
