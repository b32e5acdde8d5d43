# SPDX-License-Identifier: GPL-3.0-or-later
"""What a policy means for the filter and the limits of the command; pure."""

from __future__ import annotations

from madcap.abi import ioctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.policy.sandbox import Sandbox

_RLIMITS = {
    "cpu": 0, "fsize": 1, "data": 2, "stack": 3, "core": 4, "nproc": 6, "nofile": 7, "memlock": 8,
    "as": 9, "sigpending": 11, "msgqueue": 12, "nice": 13, "rtprio": 14, "rttime": 15,
}  # fmt: skip
INFINITY = (1 << 64) - 1


def ioctl_denials(sandbox: Sandbox) -> list[tuple[int, int, int]]:
    """Return (request, bits that count, errno) of what no guest may ever ask of a device."""
    ioctls = sandbox.domains["default"].ioctls
    if ioctls is None:
        return []
    return [
        (request, ~varying & 0xFFFF_FFFF, ioctl.errno_of(request))
        for request, varying in ioctls.denied()
    ]


def child_limits(sandbox: Sandbox) -> list[tuple[int, int, int]]:
    """Return (resource, soft, hard) of the limits that the command starts with."""
    return [
        (_RLIMITS[name], value, value)
        for name, value in sandbox.rlimits.items()
        if value is not None
    ]
