# SPDX-License-Identifier: GPL-3.0-or-later
"""Which mounts are proc file systems that lookups have to look out for."""

from __future__ import annotations

import pytest

from madcap.kernel.procfs import mounted_elsewhere

ROOT = b"24 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        pytest.param(b"22 24 0:21 / /proc rw shared:2 - proc proc rw\n", False, id="the usual one"),
        pytest.param(b"80 22 0:21 /sys /proc/sys ro - proc proc rw\n", False, id="a part below it"),
        pytest.param(b"90 24 0:44 / /srv/root/proc rw - proc proc rw\n", True, id="another place"),
        pytest.param(b"91 24 0:21 /1 /mnt rw - proc none rw\n", True, id="a part elsewhere"),
        pytest.param(b"92 24 0:45 / /procs rw - proc none rw\n", True, id="a name that starts so"),
        pytest.param(b"93 24 0:46 / /tmp rw - tmpfs proc rw\n", False, id="only called proc"),
    ],
)
def test_mounted_elsewhere(line: bytes, found: bool) -> None:
    assert mounted_elsewhere(ROOT + line) is found
