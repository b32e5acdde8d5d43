# SPDX-License-Identifier: GPL-3.0-or-later
"""Resource limits, through prlimit64(2) alone: the one call that reads and sets on all machines."""

from __future__ import annotations

from struct import pack, unpack

from madcap.linux._call import Buffer, bind, c_char_p, c_int, c_void_p

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

INFINITY: Final = (1 << 64) - 1

# By their names in the configuration.
# fmt: off
RESOURCES: Final = {
    "cpu": 0, "fsize": 1, "data": 2, "stack": 3, "core": 4, "rss": 5, "nproc": 6, "nofile": 7,
    "memlock": 8, "as": 9, "locks": 10, "sigpending": 11, "msgqueue": 12, "nice": 13,
    "rtprio": 14, "rttime": 15,
}
# fmt: on

_prlimit = bind("prlimit64", c_int, c_int, c_char_p, c_void_p)


def get_limit(resource: int, pid: int = 0) -> tuple[int, int]:
    """Return the soft and the hard limit of *pid* (0: this process) on *resource*."""
    limits = Buffer(16)
    _prlimit(pid, resource, None, limits.address)
    soft, hard = unpack("=QQ", limits.data)
    return soft, hard


def set_limit(resource: int, soft: int, hard: int, pid: int = 0) -> None:
    """Set both limits. Raising the hard one takes CAP_SYS_RESOURCE (EPERM)."""
    _prlimit(pid, resource, pack("=QQ", soft, hard), None)


def raise_to_hard(resource: int) -> int:
    """Raise the soft limit on *resource* to the hard one, and return it."""
    soft, hard = get_limit(resource)
    if soft != hard:
        set_limit(resource, hard, hard)
    return hard
