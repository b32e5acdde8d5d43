# SPDX-License-Identifier: GPL-3.0-or-later
"""ioctl(2), judged by its request number alone."""

from __future__ import annotations

import errno

from madcap.abi import ioctl as abi
from madcap.kernel.judge import outcome
from madcap.kernel.reply import Continue
from madcap.policy import actions as A
from madcap.policy import categories as C

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.reply import Reply
    from madcap.kernel.request import Request

_REQUEST = Continue("the request number was judged, and it is in a register")


def sys_ioctl(req: Request) -> Reply:
    """ioctl(2)."""
    if req.i32(0) < 0:
        raise OSError(errno.EBADF, "bad descriptor")
    request = req.u32(1)
    action = req.policy.check_ioctl(request)
    if action == A.ALLOW:
        return _REQUEST
    req.alive()
    names = names_of(request)
    error = abi.errno_of(request)
    text = names[0] if names else f"{request:#x}"
    record: dict[str, object] = {
        "ctx": "access",
        "cap": "ioctl",
        "act": A.NAMES[action],
        "sys": req.name,
        "ctl": names or request,
        "err": error,
    }
    outcome(req, (action, C.IOCTL, None), error, record, text.encode())
    return _REQUEST


def names_of(request: int) -> list[str]:
    """Return the names of the ioctl *request*, none where it is unknown."""
    return sorted(name for name, number in abi.REQUESTS.items() if number == request)
