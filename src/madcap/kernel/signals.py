# SPDX-License-Identifier: GPL-3.0-or-later
"""sigaction(2), which the kernel performs: only SYD_INTERRUPT=status wants to know of it."""

from __future__ import annotations

import errno

from madcap.kernel.reply import Continue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.reply import Reply
    from madcap.kernel.request import Request

_SA_RESTART = 0x1000_0000
_MASK_SIZE = 8  # Bytes: 64 signals.
_FLAGS_AT = 8  # Bytes into struct sigaction, behind the handler.
_KILL, _STOP, _MOST = 9, 19, 64
_NOTED = Continue("nothing is judged; what was noted decides when our own call is interrupted")


def sys_rt_sigaction(req: Request) -> Reply:
    """rt_sigaction(2): take note whether the handler restarts calls."""
    if req.args[3] != _MASK_SIZE:
        raise OSError(errno.EINVAL, "size of the mask")
    signal = req.i32(0)
    if not req.args[1]:
        return _NOTED  # A question.
    flags = int.from_bytes(req.read(req.args[1] + _FLAGS_AT, 8), "little")
    req.alive()
    if signal in (_KILL, _STOP) or not 1 <= signal <= _MOST:
        raise OSError(errno.EINVAL, "signal")
    req.host.action(req.tgid, signal, restarts=bool(flags & _SA_RESTART))
    return _NOTED
