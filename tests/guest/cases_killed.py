# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases that end a process while the supervisor waits in its stead."""

from __future__ import annotations

import os
import signal
import socket
import time
from typing import TYPE_CHECKING

from cases_net_waiting import CALLS, waits
from netcalls import DGRAM, STREAM, UNIX, connect, unix

if TYPE_CHECKING:
    from run_cases import Tree


def case_who_is_killed_while_waiting_leaves_nothing(t: Tree) -> object:
    """Its sockets are closed, those that it waited on some milliseconds later."""
    seen: dict[str, object] = {}
    for number, what in enumerate(CALLS * 2):
        mark = f"killed{number}"
        inside, outside = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            act, _, _ = waits(t, what, mark)
            inside.send(b"ready")
            act()
            os._exit(1)
        inside.close()
        outside.recv(5)
        time.sleep(0.05)  # By then it waits, mostly; it may be killed before as well.
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        closed = outside.recv(1) == b""
        time.sleep(0.05)
        left: object = None
        if what in ("accept", "recvfrom", "sendto", "connect"):
            client = socket.socket(UNIX, DGRAM if what in ("recvfrom", "sendto") else STREAM)
            left = connect(t, client.fileno(), unix(f"{what}{mark}".encode()))
        seen[f"{what} {number}"] = [status, closed, left]
    return seen
