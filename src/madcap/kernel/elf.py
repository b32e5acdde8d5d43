# SPDX-License-Identifier: GPL-3.0-or-later
"""What an executable file is, read from its headers, and which switch refuses it.

Some facts about ELF files that matter here:

- A position-independent program is ET_DYN, like a library. What tells them apart is PT_INTERP, or
  DF_1_PIE in the dynamic section, which static-pie programs have although no loader runs them.
- Kernel and loader let the *last* PT_GNU_STACK decide. Without one the stack is executable.
- What a segment has more in memory than in the file is anonymous memory, which is always writable,
  and executable too where the segment is: not even PR_SET_MDWE stops that.
- Loaders use the last PT_DYNAMIC, other readers the first. A file with two different ones is made
  to be read in two ways, so it is malformed to us.
- Flags of repeated flag words count for what protects (PIE, immediate binding) only where all
  repetitions have them, and for what weakens (text relocations) where any has. Of repeated
  DT_BIND_NOW the last counts.
"""

from __future__ import annotations

from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container
    from typing import Final

    Read = Callable[[int, int], bytes]

_WINDOW: Final = 4096  # One read of this size has the header, the table and the interpreter's name.
_HEADER: Final = 64  # Demanded of 32-bit files too, whose own header has 52 bytes.
_TABLE_LIMIT: Final = 65536
_DYNAMIC_LIMIT: Final = 16384
_PATH_LIMIT: Final = 4096
_OFFSET_LIMIT: Final = 1 << 63

_PT_LOAD: Final = 1
_PT_DYNAMIC: Final = 2
_PT_INTERP: Final = 3
_PT_GNU_STACK: Final = 0x6474_E551
_PT_GNU_RELRO: Final = 0x6474_E552
_PF_X: Final = 1
_PF_W: Final = 2

_DT_NULL: Final = 0
_DT_TEXTREL: Final = 22
_DT_BIND_NOW: Final = 24
_DT_FLAGS: Final = 30
_DT_FLAGS_1: Final = 0x6FFF_FFFB
_DF_TEXTREL: Final = 0x4
_DF_BIND_NOW: Final = 0x8
_DF_1_NOW: Final = 0x1
_DF_1_PIE: Final = 0x0800_0000

# By e_type; 5 to 0xfeff are reserved, 0xff00 and up belong to processors.
_KINDS: Final = ("none", "rel", "exe", "lib", "core")

# Any of these in force needs more than the header. The first group restricts while it is off.
_RELAXING: Final = (
    "allow_unsafe_exec_ldso",
    "allow_unsafe_exec_memory",
    "allow_unsafe_exec_nopie",
    "allow_unsafe_exec_stack",
    "allow_unsafe_exec_textrel",
)
_RESTRICTING: Final = ("deny_exec_elf_dynamic", "deny_exec_elf_static", "deny_exec_elf_norelro")


class ElfError(Exception):
    """The file claims to be ELF and is malformed, truncated or beyond a limit."""


class Other:
    """A file that is not ELF; there are two of them, `SCRIPT` and `UNKNOWN`."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        """Return the name of the constant."""
        return self.name


SCRIPT: Final = Other("SCRIPT")
UNKNOWN: Final = Other("UNKNOWN")


class Elf:
    """The facts about one ELF file.

    *kind* is one of exe, lib, rel, core, none, proc and reserved. Where only the header was read,
    *full* is false, *kind* is that of the header and the other facts are unknown (false, None).
    *linking* is "dynamic" or "static" for programs and None for everything else. *writable_code*
    tells that the kernel would map some of it both writable and executable.
    """

    __slots__ = (
        "bits",
        "execstack",
        "full",
        "interpreter",
        "kind",
        "linking",
        "pie",
        "relro",
        "textrel",
        "writable_code",
    )

    def __init__(self, kind: str, bits: int) -> None:
        self.kind = kind
        self.bits = bits
        self.full = False
        self.linking: str | None = None
        self.pie = False
        self.execstack = False
        self.relro = False
        self.textrel = False
        self.writable_code = False
        self.interpreter: bytes | None = None

    def __repr__(self) -> str:
        """Return the short description."""
        return f"<Elf {describe(self)}>"


class _Layout:
    """The structures of one class and byte order."""

    __slots__ = ("dynamic", "flags", "header", "memory", "offset", "segment", "size")

    def __init__(self, bits: int, order: str) -> None:
        if bits == 64:
            self.header = Struct(order + "16xH14xQ14xHH")  # e_type, e_phoff, e_phentsize, e_phnum
            self.segment = Struct(order + "IIQ16xQQ8x")
            self.flags, self.offset, self.size, self.memory = 1, 2, 3, 4
            self.dynamic = Struct(order + "qQ")
        else:
            self.header = Struct(order + "16xH10xI10xHH")
            self.segment = Struct(order + "II8xIII4x")
            self.flags, self.offset, self.size, self.memory = 4, 1, 2, 3
            self.dynamic = Struct(order + "iI")


class _File:
    """The file behind *read*, with its first bytes at hand."""

    __slots__ = ("_head", "_read")

    def __init__(self, read: Read, window: int) -> None:
        self._read = read
        self._head = read(0, window)

    def start(self, size: int) -> bytes:
        """Return the first *size* bytes, fewer where the file ends."""
        return self._head[:size]

    def part(self, offset: int, size: int) -> bytes:
        """Return exactly these bytes. Raise ElfError where the file does not have them."""
        end = offset + size
        if end <= len(self._head):
            return self._head[offset:end]
        if end >= _OFFSET_LIMIT:
            raise ElfError("offset beyond the end of any file")
        data = self._read(offset, size)
        if len(data) != size:
            raise ElfError("truncated")
        return data


def inspect(read: Read, *, full: bool = True) -> Elf | Other:
    """Return what the file behind *read* is; without *full*, look at the header only.

    ``read(offset, size)`` returns bytes of the file, fewer only at its end, as pread(2) does.
    Errors it raises pass through. Raise ElfError where the file is ELF and malformed.
    """
    file = _File(read, _WINDOW if full else _HEADER)
    head = file.start(_HEADER)
    if head[:4] != b"\x7fELF":
        return SCRIPT if head[:2] == b"#!" or head == b"#" else UNKNOWN
    if len(head) < _HEADER:
        raise ElfError("truncated header")
    bits = (32, 64)[_byte(head[4], "class")]
    layout = _Layout(bits, "<>"[_byte(head[5], "byte order")])
    kind, table, entry, count = layout.header.unpack_from(head)
    elf = Elf(_kind(kind), bits)
    if not full:
        return elf
    elf.full = True
    if elf.kind not in {"exe", "lib"}:
        elf.execstack = True  # Nothing can say otherwise: these have no program headers to ask.
        return elf
    if entry != layout.segment.size:
        raise ElfError("wrong size of a program header")
    if not 0 < entry * count <= _TABLE_LIMIT:
        raise ElfError("no program header, or too many")
    _segments(elf, file, layout, file.part(table, entry * count))
    return elf


def _byte(value: int, what: str) -> int:
    """Return 0 or 1 for the header bytes that have to be 1 or 2."""
    if value not in {1, 2}:
        raise ElfError(f"unknown {what}")
    return value - 1


def _kind(number: int) -> str:
    if number < len(_KINDS):
        return _KINDS[number]
    return "proc" if number >= 0xFF00 else "reserved"


def _segments(elf: Elf, file: _File, layout: _Layout, table: bytes) -> None:
    """Fill in what the program headers say, and what they lead to."""
    flags, offset, size = layout.flags, layout.offset, layout.size
    elf.execstack = True
    relro = False
    interpreter = dynamic = None
    for segment in layout.segment.iter_unpack(table):
        number = segment[0]
        if number == _PT_LOAD:
            grows = segment[layout.memory] > segment[size]
            if segment[flags] & _PF_X and (grows or segment[flags] & _PF_W):
                elf.writable_code = True
        elif number == _PT_GNU_STACK:
            elf.execstack = bool(segment[flags] & _PF_X)
        elif number == _PT_GNU_RELRO:
            relro = True
        elif number == _PT_INTERP:
            interpreter = interpreter or (segment[offset], segment[size])  # The kernel's is first.
        elif number == _PT_DYNAMIC:
            place = (segment[offset], segment[size])
            if dynamic is not None and dynamic != place:
                raise ElfError("two dynamic sections")
            dynamic = place
    position_independent = False
    if dynamic is not None:
        position_independent, now, elf.textrel = _dynamic(file, layout, *dynamic)
        elf.relro = relro and now
    if elf.kind == "lib":
        elf.pie = position_independent
        if interpreter is not None or position_independent:
            elf.kind = "exe"
    if elf.kind == "exe":
        elf.linking = "static" if interpreter is None else "dynamic"
    if interpreter is not None:
        elf.interpreter = _interpreter(file, *interpreter)


def _dynamic(file: _File, layout: _Layout, offset: int, size: int) -> tuple[bool, bool, bool]:
    """Return whether the dynamic section says PIE, immediate binding and text relocations."""
    if not 0 < size <= _DYNAMIC_LIMIT:
        raise ElfError("empty or enormous dynamic section")
    entry = layout.dynamic
    data = file.part(offset, size)
    flags: list[int] = []
    flags_1: list[int] = []
    bind_now = textrel = False
    for tag, value in entry.iter_unpack(data[: size - size % entry.size]):
        if tag == _DT_NULL:
            break
        if tag == _DT_FLAGS:
            flags.append(value & _DF_BIND_NOW)
            textrel = textrel or bool(value & _DF_TEXTREL)
        elif tag == _DT_FLAGS_1:
            flags_1.append(value)
        elif tag == _DT_BIND_NOW:
            bind_now = bool(value)
        elif tag == _DT_TEXTREL:
            textrel = True
    pie = _agreed(flags_1, _DF_1_PIE)
    now = bind_now or _agreed(flags, _DF_BIND_NOW) or _agreed(flags_1, _DF_1_NOW)
    return pie, now, textrel


def _agreed(values: list[int], mask: int) -> bool:
    """Return whether there are *values* and all of them have a bit of *mask*."""
    return bool(values) and all(value & mask for value in values)


def _interpreter(file: _File, offset: int, size: int) -> bytes | None:
    """Return the loader's path, None where the file does not have what it points to."""
    if not 0 < size <= _PATH_LIMIT:
        return None
    try:
        return file.part(offset, size).partition(b"\0")[0]
    except ElfError:
        return None  # The kernel will refuse to run it. What it is does not depend on this.


def describe(elf: Elf | Other) -> str:
    """Return the short form, such as ``exe64-dynamic-pie-relro``, or ``SCRIPT`` or ``UNKNOWN``."""
    if isinstance(elf, Other):
        return elf.name
    parts = [f"{elf.kind}{elf.bits}"]
    if elf.linking is not None:
        parts.append(elf.linking)
    parts += [
        word
        for word, present in (
            ("pie", elf.pie),
            ("xs", elf.execstack),
            ("relro", elf.relro),
            ("textrel", elf.textrel),
        )
        if present
    ]
    return "-".join(parts)


def wants_inspection(options: Container[str]) -> bool:
    """Return whether any switch wants to know what a program's file is."""
    return wants_full(options) or "deny_exec_script" in options or "deny_exec_elf32" in options


def wants_full(options: Container[str]) -> bool:
    """Return whether any switch wants to know more than the header of a file says."""
    return any(name not in options for name in _RELAXING) or any(
        name in options for name in _RESTRICTING
    )


def refusal(elf: Elf | Other, options: Container[str], *, program: bool) -> str | None:
    """Return the name of the switch that refuses *elf*, None where none does.

    *options* has the names of the trace switches that are on. The loader of a *program* (false)
    is tested for less. A file that is neither ELF nor a script is not refused by a switch: the
    caller answers ENOEXEC.
    """
    if isinstance(elf, Other):
        denied = program and elf is SCRIPT and "deny_exec_script" in options
        return "deny_exec_script" if denied else None
    if elf.full and program:
        if elf.kind != "exe" and "allow_unsafe_exec_ldso" not in options:
            return "allow_unsafe_exec_ldso"
        if not elf.pie and "allow_unsafe_exec_nopie" not in options:
            return "allow_unsafe_exec_nopie"
    if elf.writable_code and "allow_unsafe_exec_memory" not in options:
        return "allow_unsafe_exec_memory"
    reason = mapping_refusal(elf, options)
    if reason is not None:
        return reason
    if elf.bits == 32 and "deny_exec_elf32" in options:
        return "deny_exec_elf32"
    if elf.linking == "dynamic" and "deny_exec_elf_dynamic" in options:
        return "deny_exec_elf_dynamic"
    if elf.full and program and not elf.relro and "deny_exec_elf_norelro" in options:
        return "deny_exec_elf_norelro"
    if elf.linking == "static" and "deny_exec_elf_static" in options:
        return "deny_exec_elf_static"
    return None


def mapping_refusal(elf: Elf, options: Container[str]) -> str | None:
    """Return the switch that refuses to map *elf* as a library, None where none does."""
    if elf.execstack and "allow_unsafe_exec_stack" not in options:
        return "allow_unsafe_exec_stack"
    if elf.textrel and "allow_unsafe_exec_textrel" not in options:
        return "allow_unsafe_exec_textrel"
    return None
