# SPDX-License-Identifier: GPL-3.0-or-later
"""Secure bits: what root's user id and a change of user ids do not give.

Each bit has a lock beside it. Changing them takes CAP_SETPCAP, except for the two that ask
interpreters to be careful (Linux 6.14). Kernels that don't know these refuse them with EPERM, like
those that know them and find a privilege lacking; so what is refused together is tried apart.
"""

from __future__ import annotations

import errno

from madcap.linux._call import bind, c_int, c_ulong

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container
    from typing import Final

# fmt: off
NOROOT: Final                       = 1 << 0
NOROOT_LOCKED: Final                = 1 << 1
NO_SETUID_FIXUP: Final              = 1 << 2
NO_SETUID_FIXUP_LOCKED: Final       = 1 << 3
KEEP_CAPS: Final                    = 1 << 4
KEEP_CAPS_LOCKED: Final             = 1 << 5
NO_CAP_AMBIENT_RAISE: Final         = 1 << 6
NO_CAP_AMBIENT_RAISE_LOCKED: Final  = 1 << 7
EXEC_RESTRICT_FILE: Final           = 1 << 8
EXEC_RESTRICT_FILE_LOCKED: Final    = 1 << 9
EXEC_DENY_INTERACTIVE: Final        = 1 << 10
EXEC_DENY_INTERACTIVE_LOCKED: Final = 1 << 11
# fmt: on

_BASES: Final = 0x555
_EXEC: Final = 0xF00

_PR_GET_SECUREBITS, _PR_SET_SECUREBITS = 27, 28

_prctl = bind("prctl", c_int, c_ulong, c_ulong, c_ulong, c_ulong)


def get_securebits() -> int:
    """Return the bits of this thread."""
    return _prctl(_PR_GET_SECUREBITS, 0, 0, 0, 0)


def set_securebits(bits: int) -> None:
    """Replace the bits of this thread."""
    _prctl(_PR_SET_SECUREBITS, bits, 0, 0, 0)


def wanted(
    options: Container[str], *, uid_transitions: bool = False, keeps_capabilities: bool = False
) -> int:
    """Return the bits a sandbox wants.

    *options* are the trace switches that are on; *uid_transitions* says that the policy lets user
    ids change, *keeps_capabilities* that the command keeps a capability.
    """
    bits = NO_CAP_AMBIENT_RAISE | NO_CAP_AMBIENT_RAISE_LOCKED
    if not keeps_capabilities:
        bits |= NOROOT | NOROOT_LOCKED
    if uid_transitions:
        bits |= NO_SETUID_FIXUP
    if "allow_unsafe_cap_fixup" not in options:
        bits |= KEEP_CAPS_LOCKED | NO_SETUID_FIXUP_LOCKED
    if "allow_unsafe_exec_script" not in options:
        bits |= EXEC_RESTRICT_FILE | EXEC_RESTRICT_FILE_LOCKED
    if "allow_unsafe_exec_interactive" not in options:
        bits |= EXEC_DENY_INTERACTIVE | EXEC_DENY_INTERACTIVE_LOCKED
    return bits


def enforce(bits: int) -> int:
    """Set as many of *bits* as the kernel and our privileges allow; return all that are set now.

    Never raises for what it is refused: the caller compares, and reports.
    """
    present = get_securebits()
    locked = present >> 1 & _BASES
    bits = bits & ~locked | present  # What is locked can't change, and nothing is turned off
    bits &= ~(KEEP_CAPS & ~locked)  # but this, which must not be on when it gets locked.
    for attempt in (bits, bits & ~_EXEC | present & _EXEC, bits & _EXEC | present):
        try:
            set_securebits(attempt)
            break
        except OSError as error:
            if error.errno not in {errno.EPERM, errno.EINVAL}:
                raise
    return get_securebits()
