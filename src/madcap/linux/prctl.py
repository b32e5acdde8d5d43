# SPDX-License-Identifier: GPL-3.0-or-later
"""prctl(2), one function an operation, named as in the manual.

An operation that the kernel or the machine does not have raises OSError: EINVAL, sometimes ENODEV
or ENXIO. Most belong to the thread and are inherited by what it starts.
"""

from __future__ import annotations

from madcap.linux._call import Buffer, bind, c_int, c_ulong

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

# fmt: off
_PR_SET_PDEATHSIG: Final       = 1
_PR_GET_PDEATHSIG: Final       = 2
_PR_GET_DUMPABLE: Final        = 3
_PR_SET_DUMPABLE: Final        = 4
_PR_SET_NAME: Final            = 15
_PR_GET_NAME: Final            = 16
_PR_SET_TSC: Final             = 26
_PR_MCE_KILL: Final            = 33
_PR_SET_CHILD_SUBREAPER: Final = 36
_PR_SET_NO_NEW_PRIVS: Final    = 38
_PR_GET_NO_NEW_PRIVS: Final    = 39
_PR_GET_SPECULATION_CTRL: Final = 52
_PR_SET_SPECULATION_CTRL: Final = 53
_PR_SCHED_CORE: Final          = 62
_PR_SET_MDWE: Final            = 65
_PR_GET_MDWE: Final            = 66
# fmt: on

_PR_TSC_SIGSEGV: Final = 2
_PR_MCE_KILL_SET, _PR_MCE_KILL_EARLY = 1, 1
_PR_SCHED_CORE_CREATE, _SCHED_CORE_THREAD_GROUP = 1, 1

MDWE_REFUSE_EXEC_GAIN: Final = 1
MDWE_NO_INHERIT: Final = 2  # Linux 6.6

SPEC_STORE_BYPASS, SPEC_INDIRECT_BRANCH, SPEC_L1D_FLUSH = 0, 1, 2
_PR_SPEC_PRCTL: Final = 1  # The state can be changed for a thread.
_PR_SPEC_ENABLE: Final = 2
_PR_SPEC_DISABLE: Final = 4
_PR_SPEC_FORCE_DISABLE: Final = 8

_prctl = bind("prctl", c_int, c_ulong, c_ulong, c_ulong, c_ulong)


def set_no_new_privs() -> None:
    """Never gain privileges by exec again; it can't be undone."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def get_no_new_privs() -> bool:
    """Return whether `set_no_new_privs` has been called."""
    return bool(_prctl(_PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0))


def set_dumpable(on: bool) -> None:
    """Allow, or forbid, core dumps of and tracing by equals; exec turns it on again."""
    _prctl(_PR_SET_DUMPABLE, int(on), 0, 0, 0)


def get_dumpable() -> int:
    """Return 0 or 1, or 2 where only root may read the dump."""
    return _prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0)


def set_pdeathsig(signal: int) -> None:
    """Have this process sent *signal* when the *thread* that started it ends; 0 for none."""
    _prctl(_PR_SET_PDEATHSIG, signal, 0, 0, 0)


def get_pdeathsig() -> int:
    """Return the signal that `set_pdeathsig` asked for, 0 for none."""
    number = Buffer(4)
    _prctl(_PR_GET_PDEATHSIG, number.address, 0, 0, 0)
    return int.from_bytes(number.data, "little")


def set_child_subreaper() -> None:
    """Become the parent of all descendants whose parents end."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def set_name(name: bytes) -> None:
    """Set the name of this thread, of which Linux keeps 15 bytes."""
    text = Buffer(16)
    text.data[: len(name[:15])] = name[:15]
    _prctl(_PR_SET_NAME, text.address, 0, 0, 0)


def get_name() -> bytes:
    """Return the name of this thread."""
    text = Buffer(16)
    _prctl(_PR_GET_NAME, text.address, 0, 0, 0)
    return bytes(text.data).partition(b"\0")[0]


def set_tsc_sigsegv() -> None:
    """Have reading the time-stamp counter raise SIGSEGV (x86 only)."""
    _prctl(_PR_SET_TSC, _PR_TSC_SIGSEGV, 0, 0, 0)


def mce_kill_early() -> None:
    """Have this process killed as soon as memory of its is found corrupted, used or not."""
    _prctl(_PR_MCE_KILL, _PR_MCE_KILL_SET, _PR_MCE_KILL_EARLY, 0, 0)


def sched_core_create() -> None:
    """Share a physical core's hardware threads with nobody else (Linux 5.14, SMT only)."""
    _prctl(_PR_SCHED_CORE, _PR_SCHED_CORE_CREATE, 0, _SCHED_CORE_THREAD_GROUP, 0)


def set_mdwe(*, inherit: bool = True) -> None:
    """Refuse to make memory executable that was writable, or to map both (Linux 6.3).

    Not to *inherit* it needs Linux 6.6. It can't be undone, and no other flags be given later.
    """
    flags = MDWE_REFUSE_EXEC_GAIN | (0 if inherit else MDWE_NO_INHERIT)
    _prctl(_PR_SET_MDWE, flags, 0, 0, 0)


def get_mdwe() -> int:
    """Return the MDWE flags in force."""
    return _prctl(_PR_GET_MDWE, 0, 0, 0, 0)


def get_speculation_ctrl(which: int) -> int:
    """Return the state of a speculation misfeature, as bits."""
    return _prctl(_PR_GET_SPECULATION_CTRL, which, 0, 0, 0)


def force_speculation_off() -> dict[int, int]:
    """Turn off for good what speculates past checks, and have L1D flushed between tasks.

    Return the errno of each misfeature for which that did not work; what the machine does not
    suffer from, or is off for all anyway, is left out.
    """
    failures: dict[int, int] = {}
    for which, wanted in (
        (SPEC_STORE_BYPASS, _PR_SPEC_FORCE_DISABLE),
        (SPEC_INDIRECT_BRANCH, _PR_SPEC_FORCE_DISABLE),
        (SPEC_L1D_FLUSH, _PR_SPEC_ENABLE),  # What is enabled here is the flush.
    ):
        try:
            state = get_speculation_ctrl(which)
            if state & _PR_SPEC_PRCTL and not state & wanted:
                _prctl(_PR_SET_SPECULATION_CTRL, which, wanted, 0, 0)
        except OSError as error:
            failures[which] = error.errno or 0
    return failures
