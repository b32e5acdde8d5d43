# SPDX-License-Identifier: GPL-3.0-or-later
"""Resource limits of this process: prlimit(2)."""

from __future__ import annotations

import struct

from madcap.linux._call import Buffer, call

INFINITY = (1 << 64) - 1


def get_limit(resource: int) -> tuple[int, int]:
    """Return (soft, hard) of *resource*."""
    old = Buffer(16)
    call("prlimit64", 0, resource, None, old)
    soft, hard = struct.unpack("=QQ", old.data)
    return soft, hard


def set_limit(resource: int, soft: int, hard: int) -> None:
    """Set *resource* to (*soft*, *hard*); raises OSError(EPERM) where that would raise the hard."""
    call("prlimit64", 0, resource, struct.pack("=QQ", soft, hard), None)
