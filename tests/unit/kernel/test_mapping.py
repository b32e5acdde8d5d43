# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what maps shows is the file that was judged."""

from __future__ import annotations

import os

from madcap.kernel import mapping

TMPFS, DISK, OTHER = os.makedev(0, 27), os.makedev(254, 0), os.makedev(254, 1)


def test_the_same_number_on_another_device_is_another_file() -> None:
    assert mapping.same((DISK, 5, b""), (DISK, 5, b"/a"))
    assert not mapping.same((DISK, 5, b""), (OTHER, 5, b"/a"))
    assert not mapping.same((DISK, 5, b""), (DISK, 6, b"/a"))
    assert not mapping.same((DISK, 5, b""), None)


def test_a_file_on_tmpfs_is_not_one_elsewhere_that_has_its_number() -> None:
    assert mapping.same((TMPFS, 5, b""), (TMPFS, 5, b"/dev/shm/a"))
    assert not mapping.same((TMPFS, 5, b""), (DISK, 5, b"/a"))


def test_where_maps_shows_strange_devices_the_path_counts() -> None:
    assert mapping.same((TMPFS, 5, b"/a"), (DISK, 5, b"/a"))
    assert not mapping.same((TMPFS, 5, b"/a"), (DISK, 5, b"/b"))
    assert not mapping.same((TMPFS, 5, b"/a"), (DISK, 6, b"/a"))
    assert mapping.in_maps(b"/a\nb") == b"/a\\012b"
