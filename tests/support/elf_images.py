# SPDX-License-Identifier: GPL-3.0-or-later
"""Build small ELF files to order: headers only, nothing that would run."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

EXEC, DYN = 2, 3

# Program headers: type, flags, (offset, size).
Segment = tuple[int, int, tuple[int, int]]
INTERP: Segment = (3, 4, (0, 4))
STACK: Segment = (0x6474_E551, 6, (0, 0))
STACK_X: Segment = (0x6474_E551, 7, (0, 0))
RELRO: Segment = (0x6474_E552, 4, (0, 0))

# Dynamic entries: tag and value.
PIE = (0x6FFF_FFFB, 0x0800_0000)
NOW = (0x6FFF_FFFB, 1)
TEXTREL = (22, 0)
END = (0, 0)


def image(
    segments: Sequence[Segment] = (STACK,),
    dynamic: Sequence[tuple[int, int]] | None = None,
    *,
    bits: int = 64,
    order: str = "<",
    type_: int = DYN,
    more: int = 0,
    **header: int,
) -> bytes:
    """Return a file with *segments* and, if not None, a *dynamic* section of these entries.

    Each has *more* bytes more in memory than in the file. *header* overrides fields of the ELF
    header: phoff, phentsize and phnum.
    """
    wide = bits == 64
    entries = b"".join(struct.pack(order + ("qQ" if wide else "iI"), *e) for e in dynamic or ())
    headers = list(segments)
    size = 56 if wide else 32
    end = 64 + size * (len(headers) + (dynamic is not None))
    if dynamic is not None:
        headers.append((2, 6, (end, len(entries))))
    table = b""
    for kind, flags, (offset, length) in headers:
        if wide:
            table += struct.pack(
                order + "IIQQQQQQ", kind, flags, offset, 0, 0, length, length + more, 8
            )
        else:
            table += struct.pack(order + "8I", kind, offset, 0, 0, length, length + more, flags, 4)
    fields = {"phoff": 64, "phentsize": size, "phnum": len(headers)} | header
    start = b"\x7fELF" + bytes((2 if wide else 1, 1 if order == "<" else 2, 1)) + bytes(9)
    start += struct.pack(
        order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"),
        *(type_, 62, 1, 0, fields["phoff"], 0, 0, 64 if wide else 52),
        *(fields["phentsize"], fields["phnum"], 0, 0, 0),
    )
    return start.ljust(64, b"\0") + table + entries


def reader(data: bytes) -> Callable[[int, int], bytes]:
    """Return what pread(2) would do on a file of *data*."""

    def read(offset: int, size: int) -> bytes:
        return data[offset : offset + size]

    return read
