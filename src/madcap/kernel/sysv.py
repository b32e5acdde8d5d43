# SPDX-License-Identifier: GPL-3.0-or-later
"""System V IPC and POSIX queues: hooked only where a switch opens them, to refuse unsafe modes."""

from __future__ import annotations

import errno

from madcap import events
from madcap.abi.flags import O_CREAT
from madcap.kernel.reply import Continue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.reply import Reply
    from madcap.kernel.request import Request

_SAFE = Continue("only numbers were judged, and they are in registers")
_OTHERS = 0o177
_IPC_SET = 1
_STAT_ANY = (15, 20, 13)  # SHM_STAT_ANY, SEM_STAT_ANY, MSG_STAT_ANY
_SHM_EXEC = 0o100000
_MSG_COPY = 0o40000


def _refuse(req: Request, what: str) -> Reply:
    """Kill the caller for an unsafe use."""
    req.alive()
    events.emit(
        events.WARN,
        {"ctx": "access", "sys": req.name, "act": "kill", "err": errno.EACCES},
        pid=req.tid,
        msg=what,
    )
    req.signal(9)
    raise OSError(errno.EACCES, what)


def _get(req: Request, index: int) -> Reply:
    if req.i32(index) & _OTHERS:
        return _refuse(req, "permissions for others")
    return _SAFE


def sys_shmget(req: Request) -> Reply:
    """shmget(2)."""
    return _get(req, 2)


def sys_msgget(req: Request) -> Reply:
    """msgget(2)."""
    return _get(req, 1)


def sys_semget(req: Request) -> Reply:
    """semget(2)."""
    return _get(req, 2)


def _control(req: Request, index: int) -> Reply:
    command = req.i32(index) & ~0x100  # IPC_64
    if command == _IPC_SET or command in _STAT_ANY:
        return _refuse(req, "an unsafe control operation")
    return _SAFE


def sys_shmctl(req: Request) -> Reply:
    """shmctl(2)."""
    return _control(req, 1)


def sys_msgctl(req: Request) -> Reply:
    """msgctl(2)."""
    return _control(req, 1)


def sys_semctl(req: Request) -> Reply:
    """semctl(2)."""
    return _control(req, 2)


def sys_shmat(req: Request) -> Reply:
    """shmat(2)."""
    return _refuse(req, "executable memory") if req.i32(2) & _SHM_EXEC else _SAFE


def sys_msgrcv(req: Request) -> Reply:
    """msgrcv(2)."""
    return _refuse(req, "a copy of a message") if req.i32(4) & _MSG_COPY else _SAFE


def sys_mq_open(req: Request) -> Reply:
    """mq_open(2)."""
    if req.i32(1) & O_CREAT and req.mode(2) & _OTHERS:
        return _refuse(req, "permissions for others")
    return _SAFE
