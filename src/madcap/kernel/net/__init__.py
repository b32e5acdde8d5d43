# SPDX-License-Identifier: GPL-3.0-or-later
"""Socket calls: who may be reached, performed on the caller's own sockets.

Sockets are not made anew: the caller's descriptor is duplicated, so what we do happens to its open
file. Calls that reach nobody new (listen, accept, receiving, options) are not trapped.
"""

from __future__ import annotations

from madcap.kernel.net.bind import sys_bind
from madcap.kernel.net.connect import sys_connect
from madcap.kernel.net.create import sys_socket, sys_socketpair
from madcap.kernel.net.message import sys_sendmmsg, sys_sendmsg
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
)
