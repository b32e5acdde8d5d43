# SPDX-License-Identifier: GPL-3.0-or-later
"""Capabilities of the calling thread: capget(2), capset(2), the bounding and the ambient set.

A set is an int with one bit for each capability. Threads have sets of their own and a new one
copies them, so give up what nobody needs before the first thread starts.
"""

from __future__ import annotations

import errno
from struct import pack, unpack

from madcap.linux._call import Buffer, bind, c_char_p, c_int, c_ulong, c_void_p

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Final

# By number.
NAMES: Final = (
    "cap_chown",
    "cap_dac_override",
    "cap_dac_read_search",
    "cap_fowner",
    "cap_fsetid",
    "cap_kill",
    "cap_setgid",
    "cap_setuid",
    "cap_setpcap",
    "cap_linux_immutable",
    "cap_net_bind_service",
    "cap_net_broadcast",
    "cap_net_admin",
    "cap_net_raw",
    "cap_ipc_lock",
    "cap_ipc_owner",
    "cap_sys_module",
    "cap_sys_rawio",
    "cap_sys_chroot",
    "cap_sys_ptrace",
    "cap_sys_pacct",
    "cap_sys_admin",
    "cap_sys_boot",
    "cap_sys_nice",
    "cap_sys_resource",
    "cap_sys_time",
    "cap_sys_tty_config",
    "cap_mknod",
    "cap_lease",
    "cap_audit_write",
    "cap_audit_control",
    "cap_setfcap",
    "cap_mac_override",
    "cap_mac_admin",
    "cap_syslog",
    "cap_wake_alarm",
    "cap_block_suspend",
    "cap_audit_read",
    "cap_perfmon",
    "cap_bpf",
    "cap_checkpoint_restore",
)

SETPCAP: Final = 1 << 8
SYS_PTRACE: Final = 1 << 19

# What a sandboxed process never keeps.
UNSAFE: Final = (
    "cap_audit_control",
    "cap_audit_read",
    "cap_audit_write",
    "cap_block_suspend",
    "cap_bpf",
    "cap_checkpoint_restore",
    "cap_ipc_lock",
    "cap_ipc_owner",
    "cap_kill",
    "cap_lease",
    "cap_linux_immutable",
    "cap_mac_admin",
    "cap_mac_override",
    "cap_net_admin",
    "cap_net_broadcast",
    "cap_sys_admin",
    "cap_sys_boot",
    "cap_sys_module",
    "cap_sys_pacct",
    "cap_sys_rawio",
    "cap_sys_resource",
    "cap_sys_tty_config",
    "cap_wake_alarm",
)

# What it does not keep because the supervisor has it used in its place.
EMULATED: Final = (
    "cap_chown",
    "cap_dac_override",
    "cap_dac_read_search",
    "cap_fowner",
    "cap_fsetid",
    "cap_mknod",
    "cap_net_bind_service",
    "cap_net_raw",
)

_VERSION: Final = 0x2008_0522  # _LINUX_CAPABILITY_VERSION_3
_PR_CAPBSET_READ, _PR_CAPBSET_DROP = 23, 24
_PR_CAP_AMBIENT: Final = 47
_AMBIENT_IS_SET: Final = 1

_capget = bind("capget", c_char_p, c_void_p)
_capset = bind("capset", c_char_p, c_char_p)
_prctl = bind("prctl", c_int, c_ulong, c_ulong, c_ulong, c_ulong)


def mask_of(names: Iterable[str]) -> int:
    """Return the set of the capabilities *names*, ``cap_sys_admin`` or ``CAP_SYS_ADMIN``."""
    mask = 0
    for name in names:
        mask |= 1 << NAMES.index(name.lower())
    return mask


def names_of(mask: int) -> list[str]:
    """Return the names of the capabilities in *mask*, in the order of their numbers."""
    return [
        NAMES[number] if number < len(NAMES) else f"cap_{number}"
        for number in range(mask.bit_length())
        if mask >> number & 1
    ]


def capget() -> tuple[int, int, int]:
    """Return the effective, the permitted and the inheritable set."""
    data = Buffer(24)
    _capget(pack("=Ii", _VERSION, 0), data.address)
    low = unpack("=6I", data.data)
    return low[0] | low[3] << 32, low[1] | low[4] << 32, low[2] | low[5] << 32


def capset(effective: int, permitted: int, inheritable: int) -> None:
    """Replace the three sets."""
    sets = (effective, permitted, inheritable)
    halves = [part & 0xFFFF_FFFF for part in sets] + [part >> 32 for part in sets]
    _capset(pack("=Ii", _VERSION, 0), pack("=6I", *halves))


def bounding() -> int:
    """Return the bounding set: what an exec may gain at most."""
    return _every(lambda number: _prctl(_PR_CAPBSET_READ, number, 0, 0, 0))


def ambient() -> int:
    """Return the ambient set: what an exec keeps of an unprivileged process's capabilities."""
    return _every(lambda number: _prctl(_PR_CAP_AMBIENT, _AMBIENT_IS_SET, number, 0, 0))


def _every(ask: Callable[[int], int]) -> int:
    """Return the set of all capabilities the kernel knows for which *ask* says 1."""
    mask = 0
    for number in range(64):
        try:
            mask |= ask(number) << number
        except OSError as error:
            if error.errno == errno.EINVAL:
                break
            raise
    return mask


def drop_bounding(keep: int = 0) -> bool:
    """Remove all but *keep* from the bounding set; return whether CAP_SETPCAP allowed that."""
    for number in range(64):
        if keep >> number & 1:
            continue
        try:
            _prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)
        except OSError as error:
            if error.errno == errno.EINVAL:
                break
            if error.errno == errno.EPERM:
                return False
            raise
    return True


def reduce(keep: int, inheritable: int = 0, *, bounding_set: bool = True) -> None:
    """Keep of all sets only *keep*, and of the inheritable and the ambient set only *inheritable*.

    The bounding set is left alone where CAP_SETPCAP is missing, or without *bounding_set*.
    """
    effective, permitted, inherited = capget()
    if bounding_set and effective & SETPCAP:
        drop_bounding(keep)
    if not permitted and not inherited:
        return  # So the ambient set is empty, too.
    # The kernel cuts the ambient set down to what is both permitted and inheritable.
    capset(effective & keep, permitted & keep, inherited & keep & inheritable)


def drop(mask: int) -> None:
    """Give up the capabilities in *mask*, keep the bounding set."""
    effective, permitted, inheritable = capget()
    if (effective | permitted | inheritable) & mask:
        capset(effective & ~mask, permitted & ~mask, inheritable & ~mask)


def drop_all() -> None:
    """Give up everything, in the bounding set too where that is allowed."""
    reduce(0)
