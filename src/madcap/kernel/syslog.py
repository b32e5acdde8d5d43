# SPDX-License-Identifier: GPL-3.0-or-later
"""syslog(2): the records of this sandbox in place of the kernel's, for who may see its state."""

from __future__ import annotations

import errno

from madcap import events
from madcap.kernel.virtual import may_command, may_read
from madcap.policy import lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.request import Request

_CLOSE, _OPEN, _READ, _READ_ALL, _READ_CLEAR, _CLEAR = range(6)
_CONSOLE_OFF, _CONSOLE_ON, _CONSOLE_LEVEL, _SIZE_UNREAD, _SIZE_BUFFER = range(6, 11)


def sys_syslog(req: Request) -> int:
    """syslog(2). What was read or cleared is gone; an empty log is not waited for."""
    host = req.host
    safe = "allow_safe_syslog" in host.options
    if not safe and (host.sandbox.lock == lock.READ or not may_read(req)):
        raise OSError(errno.EPERM, "locked")
    action, size = req.i32(0), req.i32(2)
    if action in (_CLOSE, _OPEN):
        return 0
    if action in (_READ, _READ_ALL, _READ_CLEAR):
        return _read(req, action, size)
    if action == _CLEAR:
        events.take(0, rest=True)
        return 0
    if action == _SIZE_UNREAD:
        return len(events.ring or b"")
    if action == _SIZE_BUFFER:
        return events.ring_size
    if action not in (_CONSOLE_OFF, _CONSOLE_ON, _CONSOLE_LEVEL):
        raise OSError(errno.EINVAL, "unknown action")
    level = {_CONSOLE_OFF: events.EMERG, _CONSOLE_ON: events.WARN}.get(action, size - 1)
    if not events.EMERG <= level <= events.DEBUG:
        raise OSError(errno.EINVAL, "level")
    if not may_command(req):  # Who may only read must not silence the log.
        raise OSError(errno.EPERM, "locked")
    req.alive()
    events.level = level
    return 0


def _read(req: Request, action: int, size: int) -> int:
    """Write up to *size* bytes of the log to the caller; return how many."""
    address = req.args[1]
    if address == 0 or size < 0:
        raise OSError(errno.EINVAL, "no buffer")
    data = events.take(size, keep=action == _READ_ALL, rest=action == _READ_CLEAR)
    if data:
        req.write(address, data)
    return len(data)
