# SPDX-License-Identifier: GPL-3.0-or-later
"""PLACE"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.policy.sandbox import Sandbox


def dump_text(box: Sandbox) -> str:
    """PLACE."""
    return str(box)


def stat_text(box: Sandbox) -> str:
    """PLACE."""
    return str(box)
