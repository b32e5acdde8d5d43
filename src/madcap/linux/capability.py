# SPDX-License-Identifier: GPL-3.0-or-later
"""capabilities(7) of the calling thread."""

from __future__ import annotations

import struct

from madcap.linux._call import call

_VERSION_3 = 0x2008_0522
_PR_CAPBSET_DROP, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 24, 47, 4


def drop_all() -> None:
    """Give up every capability for good, of the bounding set too where we may (CAP_SETPCAP)."""
    for number in range(64):
        try:
            call("prctl", _PR_CAPBSET_DROP, number, 0, 0, 0)
        except OSError:
            break  # EPERM: no CAP_SETPCAP; EINVAL: past the last one.
    call("prctl", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    call("capset", struct.pack("=Ii", _VERSION_3, 0), bytes(24))
