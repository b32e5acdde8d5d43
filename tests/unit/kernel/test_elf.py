# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read from the headers of an executable file, and what is refused for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.elf_images import (
    END,
    EXEC,
    INTERP,
    NOW,
    PIE,
    RELRO,
    STACK,
    STACK_X,
    TEXTREL,
    image,
    reader,
)

from madcap.kernel import elf

EVERY_RELAXATION = frozenset(
    {
        "allow_unsafe_exec_ldso",
        "allow_unsafe_exec_memory",
        "allow_unsafe_exec_nopie",
        "allow_unsafe_exec_stack",
        "allow_unsafe_exec_textrel",
    }
)


def read_file(path: Path) -> elf.Elf | elf.Other:
    fd = os.open(path, os.O_RDONLY)
    try:
        return elf.inspect(lambda offset, size: os.pread(fd, size, offset))
    finally:
        os.close(fd)


def look(data: bytes, *, full: bool = True) -> str:
    return elf.describe(elf.inspect(reader(data), full=full))


@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
@pytest.mark.parametrize("bits", [32, 64])
def test_inspect_reads_each_class_and_byte_order(bits: int, order: str) -> None:
    data = image([INTERP, STACK, RELRO], [PIE, (30, 8)], bits=bits, order=order)
    found = elf.inspect(reader(data))
    assert elf.describe(found) == f"exe{bits}-dynamic-pie-relro"
    assert isinstance(found, elf.Elf)
    assert found.interpreter == b"\x7fELF"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(image(), "lib64", id="library"),
        pytest.param(image([STACK, INTERP]), "exe64-dynamic", id="library-with-interpreter"),
        pytest.param(image([STACK], [PIE]), "exe64-static-pie", id="static-pie"),
        pytest.param(image(type_=EXEC), "exe64-static", id="static"),
        pytest.param(
            image([STACK, INTERP], [PIE], type_=EXEC), "exe64-dynamic", id="pie-flag-on-exec"
        ),
        pytest.param(image(type_=0), "none64-xs", id="none"),
        pytest.param(image(type_=1, phentsize=0, phnum=0), "rel64-xs", id="object"),
        pytest.param(image(type_=4), "core64-xs", id="core"),
        pytest.param(image(type_=5), "reserved64-xs", id="reserved"),
        pytest.param(image(type_=0xFF00), "proc64-xs", id="processor"),
        pytest.param(image([STACK], [PIE, NOW]), "lib64", id="pie-flag-not-in-all"),
        pytest.param(image([STACK], [END, PIE]), "lib64", id="pie-flag-after-the-end"),
        pytest.param(image([STACK_X, STACK]), "lib64", id="last-stack-header-counts"),
        pytest.param(image([STACK, STACK_X]), "lib64-xs", id="last-stack-header-counts-x"),
        pytest.param(image([RELRO]), "lib64-xs", id="no-stack-header"),
        pytest.param(image([STACK, RELRO], [END]), "lib64", id="partial-relro"),
        pytest.param(image([STACK, RELRO], [NOW]), "lib64-relro", id="relro-now"),
        pytest.param(image([STACK, RELRO], [(24, 1)]), "lib64-relro", id="relro-bind-now"),
        pytest.param(image([STACK, RELRO], [(24, 1), (24, 0)]), "lib64", id="last-bind-now"),
        pytest.param(image([STACK, RELRO], [(30, 8), (30, 0)]), "lib64", id="flags-not-in-all"),
        pytest.param(image([STACK], [NOW]), "lib64", id="now-without-relro"),
        pytest.param(image([STACK, RELRO]), "lib64", id="relro-without-dynamic-section"),
        pytest.param(image([STACK], [TEXTREL]), "lib64-textrel", id="textrel-entry"),
        pytest.param(image([STACK], [(30, 0), (30, 4)]), "lib64-textrel", id="textrel-flag-in-any"),
        pytest.param(image([STACK, (2, 6, (64, 15))]), "lib64", id="dynamic-section-too-short"),
        pytest.param(image([STACK] * 1170), "lib64", id="largest-table"),
        pytest.param(image([STACK], [(1, 1)] * 1024), "lib64", id="largest-dynamic-section"),
        pytest.param(
            image([STACK, (3, 4, (1 << 62, 9))]), "exe64-dynamic", id="interpreter-out-of-the-file"
        ),
        pytest.param(b"#!/bin/sh\n", "SCRIPT", id="script"),
        pytest.param(b"#!", "SCRIPT", id="empty-script"),
        pytest.param(b"#", "SCRIPT", id="only-a-hash"),
        pytest.param(b"#x!", "UNKNOWN", id="comment"),
        pytest.param(b" #!/bin/sh", "UNKNOWN", id="blank-before-script"),
        pytest.param(b"\x7fEL", "UNKNOWN", id="magic-cut-short"),
        pytest.param(b"", "UNKNOWN", id="empty"),
    ],
)
def test_inspect_tells_what_a_file_is(data: bytes, expected: str) -> None:
    assert look(data) == expected


def with_byte(data: bytes, index: int, value: int) -> bytes:
    return data[:index] + bytes((value,)) + data[index + 1 :]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(image()[:63], id="header-cut-short"),
        pytest.param(image(bits=32)[:60], id="small-header-cut-short"),
        pytest.param(image()[:100], id="table-cut-short"),
        pytest.param(image(phnum=9), id="table-beyond-the-file"),
        pytest.param(image(phoff=(1 << 64) - 1), id="table-beyond-any-file"),
        pytest.param(image(phnum=0), id="no-table"),
        pytest.param(image(phentsize=32), id="entries-of-the-other-class"),
        pytest.param(image([STACK] * 1171), id="table-too-large"),
        pytest.param(image([STACK], []), id="empty-dynamic-section"),
        pytest.param(image([STACK], [(1, 1)] * 1025), id="dynamic-section-too-large"),
        pytest.param(image([STACK, (2, 6, (1 << 40, 16))]), id="dynamic-section-beyond-the-file"),
        pytest.param(image([STACK, (2, 6, (64, 16))], [END]), id="two-dynamic-sections"),
        pytest.param(with_byte(image(), 4, 3), id="unknown-class"),
        pytest.param(with_byte(image(), 5, 0), id="unknown-byte-order"),
    ],
)
def test_inspect_refuses_malformed_files(data: bytes) -> None:
    with pytest.raises(elf.ElfError):
        elf.inspect(reader(data))


def test_inspect_reads_the_header_only_when_asked_to() -> None:
    reads: list[tuple[int, int]] = []
    data = image([INTERP], [PIE])

    def read(offset: int, size: int) -> bytes:
        reads.append((offset, size))
        return data[offset : offset + size]

    found = elf.inspect(read, full=False)
    assert elf.describe(found) == "lib64"
    assert isinstance(found, elf.Elf)
    assert found.linking is None
    assert reads == [(0, 64)]


def test_inspect_lets_errors_of_reading_through() -> None:
    def read(_offset: int, _size: int) -> bytes:
        raise OSError(5, "read")

    with pytest.raises(OSError, match="read"):
        elf.inspect(read)


STATIC_PIE = image([STACK], [PIE])
DYNAMIC_PIE = image([STACK, INTERP], [PIE])
LIBRARY = image([STACK])


@pytest.mark.parametrize(
    ("data", "options", "program", "loader"),
    [
        pytest.param(DYNAMIC_PIE, (), None, None, id="fine"),
        pytest.param(LIBRARY, (), "allow_unsafe_exec_ldso", None, id="library"),
        pytest.param(
            image(type_=EXEC), (), "allow_unsafe_exec_nopie", None, id="not-position-independent"
        ),
        pytest.param(
            image([STACK_X], [PIE]),
            (),
            "allow_unsafe_exec_stack",
            "allow_unsafe_exec_stack",
            id="executable-stack",
        ),
        pytest.param(
            image([STACK], [PIE, TEXTREL]),
            (),
            "allow_unsafe_exec_textrel",
            "allow_unsafe_exec_textrel",
            id="text-relocations",
        ),
        pytest.param(
            image([STACK], [PIE], bits=32),
            ("deny_exec_elf32",),
            "deny_exec_elf32",
            "deny_exec_elf32",
            id="32-bit",
        ),
        pytest.param(
            DYNAMIC_PIE,
            ("deny_exec_elf_dynamic",),
            "deny_exec_elf_dynamic",
            "deny_exec_elf_dynamic",
            id="dynamic",
        ),
        pytest.param(
            STATIC_PIE,
            ("deny_exec_elf_static",),
            "deny_exec_elf_static",
            "deny_exec_elf_static",
            id="static",
        ),
        pytest.param(
            STATIC_PIE,
            ("deny_exec_elf_norelro", "deny_exec_elf_static"),
            "deny_exec_elf_norelro",
            "deny_exec_elf_static",
            id="relro-is-tested-before-static",
        ),
        pytest.param(
            LIBRARY, ("deny_exec_elf_static", "deny_exec_elf_dynamic"),
            "allow_unsafe_exec_ldso", None, id="a-library-is-neither-static-nor-dynamic",
        ),
        pytest.param(b"#!/bin/sh", (), None, None, id="script"),
        pytest.param(
            b"#!/bin/sh", ("deny_exec_script",), "deny_exec_script", None, id="script-denied"
        ),
        pytest.param(b"text", ("deny_exec_script",), None, None, id="neither"),
    ],
)  # fmt: skip
def test_refusal_names_the_switch(
    data: bytes, options: tuple[str, ...], program: str | None, loader: str | None
) -> None:
    found = elf.inspect(reader(data))
    assert elf.refusal(found, set(options), program=True) == program
    assert elf.refusal(found, set(options), program=False) == loader


def test_refusal_tests_in_the_documented_order() -> None:
    found = elf.inspect(reader(image([STACK_X, RELRO], [TEXTREL], bits=32)))
    options = {"deny_exec_elf32", "deny_exec_elf_norelro"}
    met = []
    while (reason := elf.refusal(found, options, program=True)) is not None:
        met.append(reason)
        options ^= {reason}
    assert met == [
        "allow_unsafe_exec_ldso",
        "allow_unsafe_exec_nopie",
        "allow_unsafe_exec_stack",
        "allow_unsafe_exec_textrel",
        "deny_exec_elf32",
        "deny_exec_elf_norelro",
    ]


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize(
    ("flags", "more", "refused"),
    [
        pytest.param(5, 0, False, id="code"),
        pytest.param(6, 64, False, id="data"),
        pytest.param(7, 0, True, id="writable code"),
        pytest.param(5, 1, True, id="code that grows in memory"),
        pytest.param(1, 4096, True, id="code that cannot be read"),
    ],
)
def test_refusal_of_memory_both_writable_and_executable(
    bits: int, flags: int, more: int, refused: bool
) -> None:
    data = image([(1, flags, (0, 32)), INTERP, STACK], [PIE], bits=bits, more=more)
    found = elf.inspect(reader(data))
    others = EVERY_RELAXATION - {"allow_unsafe_exec_memory"}
    for program in (True, False):
        reason = elf.refusal(found, others, program=program)
        assert reason == ("allow_unsafe_exec_memory" if refused else None)
        assert elf.refusal(found, EVERY_RELAXATION, program=program) is None


def test_wants_inspection_when_any_switch_asks() -> None:
    assert elf.wants_inspection(frozenset())
    assert not elf.wants_inspection(EVERY_RELAXATION)
    assert elf.wants_inspection(EVERY_RELAXATION | {"deny_exec_script"})
    assert not elf.wants_full(EVERY_RELAXATION | {"deny_exec_script", "deny_exec_elf32"})
    for name in EVERY_RELAXATION:
        assert elf.wants_full(EVERY_RELAXATION - {name})


def test_refusal_of_a_header_alone_knows_only_its_class() -> None:
    found = elf.inspect(reader(image(bits=32)), full=False)
    assert elf.refusal(found, EVERY_RELAXATION, program=True) is None
    options = EVERY_RELAXATION | {"deny_exec_elf32"}
    assert elf.refusal(found, options, program=True) == "deny_exec_elf32"


SEEDS = [
    Path(sys.executable).resolve().read_bytes()[:32768],
    DYNAMIC_PIE,
    image([INTERP, STACK, RELRO], [PIE, NOW, TEXTREL, END], bits=32, order=">"),
    image([STACK, RELRO], [(24, 1), (30, 12)], type_=EXEC),
]


@given(
    seed=st.sampled_from(SEEDS),
    changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=8),
    end=st.one_of(st.none(), st.integers(0, 400)),
    full=st.booleans(),
)
def test_inspect_survives_any_damage(
    seed: bytes, changes: list[tuple[int, int]], end: int | None, full: bool
) -> None:
    """A file that is broken is an ElfError; what is accepted can be described and judged."""
    data = bytearray(seed)
    for index, value in changes:
        data[index % len(data)] = value
    try:
        found = elf.inspect(reader(bytes(data[:end])), full=full)
    except elf.ElfError:
        return
    assert elf.describe(found)
    elf.refusal(found, frozenset(), program=True)


COMPILED = [
    pytest.param(["-fPIE", "-pie"], "exe64-dynamic-pie", id="pie"),
    pytest.param(["-fPIE", "-pie", "-Wl,-z,now"], "exe64-dynamic-pie-relro", id="relro"),
    pytest.param(["-fPIE", "-pie", "-z", "execstack"], "exe64-dynamic-pie-xs", id="stack"),
    pytest.param(["-no-pie"], "exe64-dynamic", id="no-pie"),
    pytest.param(["-static", "-no-pie"], "exe64-static", id="static"),
    pytest.param(["-static-pie", "-fPIE"], "exe64-static-pie", id="static-pie"),
    pytest.param(["-shared", "-fPIC"], "lib64", id="library"),
    pytest.param(["-c"], "rel64-xs", id="object"),
]


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler")
@pytest.mark.parametrize(("arguments", "expected"), COMPILED)
def test_inspect_agrees_with_the_linker(
    tmp_path: Path, arguments: list[str], expected: str
) -> None:
    source = tmp_path / "nothing.c"
    source.write_text("int main(void) { return 0; }\n")
    program = tmp_path / "nothing"
    options = ["-Wl,-z,relro,-z,lazy"] if "-Wl,-z,now" not in arguments else []
    subprocess.run(["gcc", *options, *arguments, "-o", program, source], check=True)
    found = read_file(program)
    assert elf.describe(found) == expected
    if "dynamic" in expected:
        assert isinstance(found, elf.Elf)
        assert found.interpreter is not None
        assert Path(os.fsdecode(found.interpreter)).exists()


@pytest.mark.skipif(shutil.which("syd-elf") is None, reason="no syd-elf to compare with")
def test_inspect_agrees_with_syd_elf() -> None:
    for path in sorted(Path("/usr/bin").iterdir()):
        if not path.is_file():
            continue
        told = subprocess.run(["syd-elf", path], capture_output=True, check=False).stdout
        expected = told.decode().strip().removeprefix(f"{path}:").removeprefix("ELF:")
        assert elf.describe(read_file(path)) == expected, path
