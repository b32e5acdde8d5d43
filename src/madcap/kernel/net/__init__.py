# SPDX-License-Identifier: GPL-3.0-or-later
"""Socket calls: who may be reached, performed on the caller's own sockets.

Sockets are not made anew: the caller's descriptor is duplicated, so what we do happens to its open
file. What reaches nobody new is trapped only where the caller would otherwise see that it was us
who made an earlier call (names, credentials), or to judge what comes in (descriptors, peers).
"""

from __future__ import annotations

from madcap.kernel.net.accept import sys_accept, sys_accept4
from madcap.kernel.net.bind import sys_bind
from madcap.kernel.net.connect import sys_connect
from madcap.kernel.net.create import sys_socket, sys_socketpair
from madcap.kernel.net.message import sys_sendmmsg, sys_sendmsg
from madcap.kernel.net.name import sys_getpeername, sys_getsockname, sys_getsockopt
from madcap.kernel.net.receive import sys_recvfrom, sys_recvmmsg, sys_recvmsg
from madcap.kernel.net.send import sys_sendto

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from madcap.kernel.reply import Reply
    from madcap.kernel.request import Request

    Handler = Callable[[Request], Reply]

#: The calls of this package, for the table.
HANDLERS: Final[tuple[tuple[str, Handler], ...]] = (
    ("socket", sys_socket),
    ("socketpair", sys_socketpair),
    ("bind", sys_bind),
    ("connect", sys_connect),
    ("sendto", sys_sendto),
    ("sendmsg", sys_sendmsg),
    ("sendmmsg", sys_sendmmsg),
    ("recvfrom", sys_recvfrom),
    ("recvmsg", sys_recvmsg),
    ("recvmmsg", sys_recvmmsg),
    ("accept", sys_accept),
    ("accept4", sys_accept4),
    ("getsockname", sys_getsockname),
    ("getpeername", sys_getpeername),
    ("getsockopt", sys_getsockopt),
)
