# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files a copy of the supervisor's can stand for; guests can imitate its look."""

from __future__ import annotations

import pytest

from madcap.kernel.substitute import is_substituted


@pytest.mark.parametrize(
    ("name", "can"),
    [
        (b"/etc/machine-id", True),
        (b"/proc/version", True),
        (b"/proc/self/status", True),
        (b"/proc/self/task/17/status", True),
        (b"/proc/self/net/unix", True),
        (b"/proc/self/task/17/net/unix", True),
        (b"/dev/syd", True),
        (b"", False),
        (b"/etc/shadow", False),
        (b"/srv/../etc/shadow", False),
        (b"/etc/machine-id/../shadow", False),
        (b"/proc/self/root/etc/shadow", False),
        (b"/proc/self/task/17/root/status", False),
        (b"/proc/self/task/../status", False),
        (b"/dev/syd/../sda", False),
    ],
)
def test_is_substituted(name: bytes, can: bool) -> None:
    assert is_substituted(name) is can
