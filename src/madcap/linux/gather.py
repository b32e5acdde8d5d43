# SPDX-License-Identifier: GPL-3.0-or-later
"""Bulk transfers between one buffer of ours and the scattered memory of a guest."""

from __future__ import annotations

import struct

from madcap.linux._call import c_char_p, c_int, c_ulong, direct, failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_readv, _NR_readv = direct("process_vm_readv", c_int, c_char_p, c_ulong, c_char_p, c_ulong, c_ulong)
_writev, _NR_writev = direct(
    "process_vm_writev", c_int, c_char_p, c_ulong, c_char_p, c_ulong, c_ulong
)


def gather(tid: int, local: int, pieces: Sequence[tuple[int, int]]) -> int:
    """Copy *pieces* (address, size) of thread *tid* one after another to our address *local*.

    At most 1024 pieces, not all empty. Returns how many bytes came before the first page that
    can't be read; raises EFAULT where there are none.
    """
    mine, theirs = _vectors(local, pieces)
    got = _readv(_NR_readv, tid, mine, 1, theirs, len(pieces), 0)
    if got < 0:
        raise failure("process_vm_readv")
    return got


def scatter(tid: int, local: int, pieces: Sequence[tuple[int, int]]) -> int:
    """The other way round: fill *pieces* from *local*; returns how many bytes fitted."""
    mine, theirs = _vectors(local, pieces)
    done = _writev(_NR_writev, tid, mine, 1, theirs, len(pieces), 0)
    if done < 0:
        raise failure("process_vm_writev")
    return done


def _vectors(local: int, pieces: Sequence[tuple[int, int]]) -> tuple[bytes, bytes]:
    flat = [word for piece in pieces for word in piece]
    total = sum(size for _, size in pieces)
    return struct.pack("=QQ", local, total), struct.pack(f"={len(flat)}Q", *flat)
