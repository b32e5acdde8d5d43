# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock: its states, the ways between them, and what each lets the sandboxed processes do."""

from __future__ import annotations

from errno import EBUSY, EINVAL, EOPNOTSUPP, EPERM

from madcap.errors import PolicyError
from madcap.policy.blame import nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from madcap.policy.sandbox import Sandbox

OFF = 0
EXEC = 1
IPC = 2
DROP = 3
READ = 4
ON = 5

# As the state is printed; ON is called "set" there.
NAMES: Final = ("off", "exec", "ipc", "drop", "read", "set")

STATES: Final = {
    "off": OFF,
    "0": OFF,
    "exec": EXEC,
    "x": EXEC,
    "ipc": IPC,
    "i": IPC,
    "drop": DROP,
    "d": DROP,
    "read": READ,
    "r": READ,
    "ro": READ,
    "readonly": READ,
    "read-only": READ,
    "on": ON,
    "1": ON,
}


def parse(text: str) -> int:
    """Return the state *text* names."""
    state = STATES.get(text)
    if state is None:
        raise PolicyError(
            EINVAL,
            f"{text!r} is no state of the lock",
            expected="off, exec, ipc, drop, read or on" + nearest(text, STATES),
            word=text,
        )
    return state


def set_state(box: Sandbox, state: int) -> None:
    """Move the lock of *box* to *state*."""
    box.require_default()
    present = box.lock
    if present == state:
        return
    if present is not None:
        if state < present or (state == READ and present in (IPC, DROP)):
            raise PolicyError(EPERM, f"the lock cannot go from {NAMES[present]} to {NAMES[state]}")
        if present == READ:
            raise PolicyError(EBUSY, "the lock is set to read for good")
    if state == IPC:
        if box.host.oci:
            raise PolicyError(EOPNOTSUPP, "lock:ipc is not possible in a container")
        if box.running:
            raise PolicyError(EBUSY, "lock:ipc is possible only before the sandbox starts")
    _enter(box, state)


def close(box: Sandbox) -> None:
    """Set the lock for good, whichever domain is active and whatever the state was."""
    _enter(box, ON)


def _enter(box: Sandbox, state: int) -> None:
    if state >= DROP:
        name = "lock" if state == ON else NAMES[state]
        domain = box.domains.get(name)
        if domain is not None:
            box.active = box.subject = domain
    box.lock = state
    if state >= READ and box.running:
        box.seal()


def may_command(state: int | None, eldest: bool) -> bool:
    """Tell whether a process may stat(2) commands; *eldest* says it is the living first one.

    Under DROP the commands themselves then refuse what does not narrow.
    """
    return state is None or state in (OFF, DROP) or (state == EXEC and eldest)


def may_read(state: int | None, eldest: bool) -> bool:
    """Tell whether a process may open(2) the state of the sandbox."""
    return state is None or state in (OFF, READ) or (state == EXEC and eldest)
