# SPDX-License-Identifier: GPL-3.0-or-later
"""Use a memory file of each kind, called `name`, in every way that rules know it by name.

Prints JSON: for each kind, what came of each way.
"""

from __future__ import annotations

import array
import json
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = {"plain": 0, "huge": os.MFD_HUGETLB}
SIZE = 1 << 22  # Whole pages of either kind.


def outcome(act: Callable[[], object]) -> str:
    """Tell whether *act* succeeds."""
    try:
        act()
    except OSError as error:
        return os.strerror(error.errno or 0)
    return "done"


def send(fd: int) -> None:
    """Pass *fd* to a socket of ours."""
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        rights = array.array("i", [fd])
        one.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])


def reopen(fd: int) -> None:
    """Open *fd* once more by its link."""
    os.close(os.open(f"/proc/self/fd/{fd}", os.O_RDONLY))


def main() -> None:
    found = {}
    for kind, flag in KINDS.items():
        fd = os.memfd_create("name", os.MFD_CLOEXEC | flag)
        found[kind] = {
            "truncate": outcome(lambda fd=fd: os.ftruncate(fd, SIZE)),  # type: ignore[misc]
            "open": outcome(lambda fd=fd: reopen(fd)),  # type: ignore[misc]
            "stat": outcome(lambda fd=fd: os.stat(f"/proc/self/fd/{fd}")),  # type: ignore[misc]
            "send": outcome(lambda fd=fd: send(fd)),  # type: ignore[misc]
        }
        os.close(fd)
    print(json.dumps(found))


main()
