# SPDX-License-Identifier: GPL-3.0-or-later
"""A program file that asks the kernel for memory both writable and executable does not run.

The kernel makes what a segment has more in memory than in the file anonymous and writable, and for
an executable segment executable too, although PR_SET_MDWE is set. So a program of some 300 bytes
could write code and run it, without one call that the filter sees.
"""

from __future__ import annotations

import platform
import struct
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.guest import Guest

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="needs x86_64: machine code")

_HEADERS = 64 + 3 * 56
_START = _HEADERS + 32
_FREE = 0x1000  # The address of the page that is written to, relative to the image.
_READ_EXECUTE, _ALL = 5, 7


def _code() -> bytes:
    """Return code that writes ``mov eax, 42; ret`` at _FREE, calls it, and exits with its value."""
    return (
        b"\x48\x8d\x3d" + struct.pack("<i", _FREE - _START - 7)  # lea rdi, [rip + …]
        + b"\xc7\x07\xb8\x2a\x00\x00"  # mov dword [rdi], …
        + b"\x66\xc7\x47\x04\x00\xc3"  # mov word [rdi + 4], …
        + b"\xff\xd7\x89\xc7\xb8\x3c\x00\x00\x00\x0f\x05"  # call rdi; exit(eax)
    )  # fmt: skip


def image(flags: int) -> bytes:
    """Return a position-independent program of one segment with *flags*, larger in memory."""
    code = _code()
    size = _START + len(code)

    def segment(kind: int, flags: int, at: int, size: int, memory: int, align: int) -> bytes:
        return struct.pack("<IIQQQQQQ", kind, flags, at, at, at, size, memory, align)

    start = b"\x7fELF\2\1\1" + bytes(9)
    start += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, _START, 64, 0, 0, 64, 56, 3, 0, 0, 0)
    table = segment(1, flags, 0, size, _FREE + 0x10000, 0x1000)
    table += segment(2, 4, _HEADERS, 32, 32, 8)  # The dynamic section: DF_1_PIE
    table += segment(0x6474_E551, 6, 0, 0, 0, 16)  # The stack: not executable
    return start + table + struct.pack("<4Q", 0x6FFF_FFFB, 0x0800_0000, 0, 0) + code


@pytest.mark.parametrize("flags", [_READ_EXECUTE, _ALL], ids=["code", "writable code"])
def test_a_program_gets_no_memory_to_write_code_in(guest: Guest, flags: int) -> None:
    def prepare(work: Path) -> None:
        (work / "program").write_bytes(image(flags))
        (work / "program").chmod(0o755)

    outcome = guest.run("./program", profile="attacks.syd-3", prepare=prepare)
    if guest.kind == "native":
        assert outcome.status == 42, "the attack itself does not work"
    else:
        assert outcome.status == 13, outcome
        assert "allow_unsafe_exec_memory" in outcome.log[-1]["tip"]
