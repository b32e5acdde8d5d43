# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves between domains: what an event that was permitted, and happened, does to the policy.

One domain is active for the whole sandbox. A move is made before whoever caused the event can go
on: a new image, a mapping, a connection is never used under the policy that was left. The moves
searched are those of the domain that is active by then, whichever judged the event.
"""

from __future__ import annotations

from madcap import events

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from madcap.kernel.host import Host
    from madcap.kernel.net.address import Inet
    from madcap.policy.domain import Domain
    from madcap.policy.domains import Move


def after(host: Host, kind: str, name: bytes) -> None:
    """Make the move that *kind* having happened to *name*, as rules know it, sets off."""
    if kind in host.moves:
        from madcap.policy.domains import move_after

        _take(host, lambda domain: move_after(domain, kind, name))


def after_address(host: Host, kind: str, protocol: str | None, to: Inet) -> None:
    """Make the move that *kind* having happened to the IP address *to* sets off.

    *protocol* is what rules call the protocol, None for one that they don't know.
    """
    if kind in host.moves:
        from madcap.policy.domains import move_after_address

        _take(host, lambda domain: move_after_address(domain, kind, protocol, to.ip, to.port))


def _take(host: Host, search: Callable[[Domain], Move | None]) -> None:
    from madcap.policy.domains import take

    with host.policy_lock:  # Searched and made in one: two events at once are taken in turn.
        before = host.sandbox.active
        move = search(before)
        moved = take(host.sandbox, move)
    if moved and move is not None:
        _tell(move, before.name)


def _tell(move: Move, before: str) -> None:
    events.emit(
        events.INFO,
        {
            "ctx": "domain",
            "op": "move",
            "pat": {"kind": move.kind, "pat": move.shown()},
            "from": before,
            "to": move.target,
        },
        msg=f"applied domain transit from `{before}' to `{move.target}'",
    )
