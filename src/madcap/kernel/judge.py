# SPDX-License-Identifier: GPL-3.0-or-later
"""From a verdict to its outcome: let the call go on, or refuse it, log it, signal its process."""

from __future__ import annotations

import errno
import os

from madcap import events
from madcap.abi import flags as F
from madcap.kernel.target import subject
from madcap.policy import actions as A
from madcap.policy import categories as C

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.request import Request
    from madcap.kernel.target import Target
    from madcap.policy.domain import Domain, Verdict

_SIGNALS = {A.STOP: 19, A.ABORT: 6, A.KILL: 9}
_QUIET = (C.WALK, C.LIST)


class Panic(Exception):
    """The policy's answer is `panic`: the emulator thread denies the call and ends."""


def require(
    req: Request,
    wanted: int,
    name: bytes,
    error: int = errno.EACCES,
    extra: dict[str, object] | None = None,
) -> None:
    """Raise OSError(*error*) unless policy lets the caller do *wanted* with *name*.

    *name* is the subject as rules know it. *extra* takes the place of ``err`` and ``args`` in the
    log record.
    """
    verdict = req.policy.check(wanted, name)
    if verdict[0] == A.ALLOW:
        return
    record: dict[str, object] = {
        "ctx": "access",
        "cap": capabilities(verdict[1]),
        "act": A.NAMES[verdict[0]],
        "sys": req.name,
    }
    if extra is None:
        record.update(err=error, path=name, args=list(req.args))
    else:
        record.update(extra)
        record["path"] = name
    outcome(req, verdict, error, record, name)


def capabilities(mask: int) -> str | list[str]:
    """Return the names of *mask* as records show them: one name plainly, several as a list."""
    names = C.names_of(mask)
    return names[0] if len(names) == 1 else names


def outcome(
    req: Request, verdict: Verdict, error: int, record: dict[str, object], name: bytes
) -> None:
    """Carry out *verdict*, which isn't `allow`: log *record*, signal, raise OSError(*error*)."""
    action = verdict[0]
    if action != A.FILTER:
        tip_name = name.decode("ascii", "replace") if name.isascii() else name.hex()
        caps = record["cap"]
        cap = caps if isinstance(caps, str) else ",".join(C.names_of(verdict[1]))
        events.emit(
            _level(req.policy, verdict[1]),
            record,
            pid=req.tid,
            tip=f"configure `allow/{cap}+{tip_name}'",
        )
    carry_out(req, action, error)


def carry_out(req: Request, action: int, error: int) -> None:
    """Do what *action* says, except for the log: signal, raise OSError(*error*), or nothing."""
    if action == A.WARN:
        return
    if action == A.EXIT:
        os._exit(error)
    if action in _SIGNALS:
        req.signal(_SIGNALS[action])
    if action == A.PANIC:
        raise Panic
    raise OSError(error, "denied")


def _level(policy: Domain, mask: int) -> int:
    if mask in _QUIET and policy.defaults[mask.bit_length() - 1] in (A.DENY, A.FILTER):
        return events.NOTICE
    return events.WARN


def admit(req: Request, target: Target, wanted: int, error: int = errno.EACCES) -> None:
    """Judge *wanted* on *target*: the notification still valid, the object visible, the policy.

    A masked object may not be changed (EPERM), also where the category is off.
    """
    req.alive()
    if target.fd >= 0:
        hide_device(req, target.type)
    name = subject(req, target.name)
    require(req, wanted, name, error)
    if wanted & C.WRITE_LIKE and req.policy.mask_of(name) is not None:
        raise OSError(errno.EPERM, "masked")


def hide_device(req: Request, kind: int) -> None:
    """Raise ENOENT for a block device: it does not exist for the guest."""
    if kind == F.S_IFBLK and "allow_unsafe_mkbdev" not in req.host.options:
        raise OSError(errno.ENOENT, "block device")


def owns(req: Request, target: Target) -> bool:
    """Tell whether the caller owns *target*; nobody has CAP_FOWNER here."""
    return target.st.st_uid == req.host.euid
