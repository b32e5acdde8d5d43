# SPDX-License-Identifier: GPL-3.0-or-later
"""What a policy means for the filter and the limits of the command; pure."""

from __future__ import annotations

from madcap.abi import ioctl
from madcap.policy import categories as C

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


def unbuilt(sandbox: Sandbox) -> str | None:
    """Return what *sandbox* asks for that would restrict the guest and is not built yet.

    Nothing that restricts is accepted and ignored: the start fails instead.
    """
    domains = sandbox.domains.values()
    wanted = (
        ("unshare/…: namespaces", bool(sandbox.unshared)),
        ("root, workdir, bind …: mounts", sandbox.root is not None or bool(sandbox.mounts)),
        ("time/…: clock offsets", sandbox.boot_time is not None),
        ("time/…: clock offsets", sandbox.monotonic_time is not None),
        ("sandbox/proxy", any(domain.enabled & C.PROXY for domain in domains)),
        (_checksums_unmade(sandbox), True),
        ("pid/max with trace/allow_unsafe_ptrace:1", _tasks_uncounted(sandbox)),
        ("setuid, setgid: id transitions", bool(sandbox.transit_uids or sandbox.transit_gids)),
        ("move/…/exit with trace/allow_unsafe_ptrace:1", _exits_unseen(sandbox)),
    )
    for what, asked in wanted:
        if asked and what:
            return what
    return None


def _exits_unseen(sandbox: Sandbox) -> bool:
    """Tell whether a move depends on the end of a process, which only a tracer sees in time."""
    return "allow_unsafe_ptrace" in sandbox.options and any(
        move.kind == "exit" for domain in sandbox.domains.values() for move in domain.moves
    )


def _tasks_uncounted(sandbox: Sandbox) -> bool:
    """Tell whether tasks are limited and nobody is there to see them come."""
    return "allow_unsafe_ptrace" in sandbox.options and any(
        domain.pid_max for domain in sandbox.domains.values()
    )


def _checksums_unmade(sandbox: Sandbox) -> str:
    """Return what of the checksums that *sandbox* wants can't be had, nothing where all can."""
    domains = [domain for domain in sandbox.domains.values() if domain.enabled & C.FORCE]
    if not domains:
        return ""
    if "allow_unsafe_ptrace" in sandbox.options:
        return "sandbox/force with trace/allow_unsafe_ptrace:1"
    from madcap.kernel.checksum import AVAILABLE

    wanted = {algorithm for domain in domains for algorithm, _, _ in domain.force.values()}
    missing = sorted(wanted - AVAILABLE)
    return f"force: checksums by {', '.join(missing)}" if missing else ""
