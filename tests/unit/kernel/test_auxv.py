# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding and changing the auxiliary vector on the stack of a new image."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madcap.kernel import auxv

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

IDS = (1000, 1001, 100, 101)
VECTOR = [
    (33, 0x7FFF_0000),
    (6, 4096),
    (11, 1000),
    (12, 1001),
    (13, 100),
    (14, 101),
    (23, 0),
    (25, 9),
]
STACK = 0x7FFD_1234_5670
POINTER = 0x7FFD_0000_0101  # With nulls at its top, as all have.


def words(*values: int, word: int = 8) -> bytes:
    return b"".join(value.to_bytes(word, sys.byteorder) for value in values)


def layout(
    argc: int = 1,
    environment: int = 3,
    vector: Sequence[tuple[int, int]] = VECTOR,
    *,
    word: int = 8,
) -> tuple[bytes, int]:
    """Return a stack and the address of its vector."""
    pointer = POINTER % (1 << 8 * word)
    start = words(argc, *[pointer] * argc, 0, *[pointer] * environment, 0, word=word)
    flat = [part for pair in vector for part in pair]
    return start + words(*flat, 0, 0, word=word), STACK + len(start)


def reader(
    data: bytes, *, largest: int = 1 << 30, partial: bool = True
) -> Callable[[int, int], bytes]:
    """Return a reader of *data* on the stack; without *partial* a read is all or nothing."""

    def read(address: int, size: int) -> bytes:
        offset = address - STACK
        # What follows on the page is readable: strings, which must not be needed.
        there = data + b"\xff" * (-(STACK + len(data)) % 4096)
        part = there[offset : offset + min(size, largest)]
        if not part or (not partial and len(part) != size):
            raise OSError(errno.EFAULT, "read")
        return part

    return read


def test_secure_sets_at_secure() -> None:
    data, vector = layout()
    assert auxv.secure(reader(data), STACK, IDS) == [(vector + 6 * 16 + 8, words(1))]


def test_secure_has_nothing_to_write_in_a_secure_image() -> None:
    data, _ = layout(vector=[*VECTOR[:6], (23, 1)])
    assert auxv.secure(reader(data), STACK, IDS) == []


def test_secure_hides_the_vdso() -> None:
    data, vector = layout(vector=[(32, 5), *VECTOR])
    writes = auxv.secure(reader(data), STACK, IDS, hide_vdso=True)
    assert writes[1:] == [(vector, words(1, 0)), (vector + 16, words(1, 0))]


def test_secure_knows_32_bit_images() -> None:
    data, vector = layout(vector=VECTOR, word=4)
    writes = auxv.secure(reader(data), STACK, IDS, word=4)
    assert writes == [(vector + 6 * 8 + 4, words(1, word=4))]


@pytest.mark.parametrize(
    ("argc", "environment"), [(1, 0), (3, 700), (600, 10), (70_000, 1), (2, 300_000)]
)
@pytest.mark.parametrize(
    ("largest", "partial"), [(1 << 30, True), (4096, True), (24, True), (1 << 30, False)]
)
def test_secure_reads_stacks_of_any_size(
    argc: int, environment: int, largest: int, partial: bool
) -> None:
    if largest == 24 and argc + environment > 1000:
        largest = 30  # Not a number of words, either.
        argc, environment = argc % 1000 + 1, environment % 1000
    data, vector = layout(argc, environment)
    read = reader(data, largest=largest, partial=partial)
    assert auxv.secure(read, STACK, IDS) == [(vector + 6 * 16 + 8, words(1))]


def test_secure_reads_a_common_stack_at_once() -> None:
    data, _ = layout(2, 40)
    reads = []

    def read(address: int, size: int) -> bytes:
        reads.append(size)
        return reader(data)(address, size)

    auxv.secure(read, STACK, IDS)
    assert len(reads) == 1


@pytest.mark.parametrize(
    ("data", "ids"),
    [
        pytest.param(layout(0)[0], IDS, id="no-arguments"),
        pytest.param(words(1 << 63) + layout()[0], IDS, id="absurd-number-of-arguments"),
        pytest.param(words(2, POINTER, 0, POINTER, 0, *[0] * 99), IDS, id="unterminated-arguments"),
        pytest.param(words(1, POINTER, 0), IDS, id="ends-before-the-vector"),
        pytest.param(words(1, POINTER, 0, *[POINTER] * 900_000), IDS, id="endless-environment"),
        pytest.param(layout(vector=[])[0], IDS, id="empty-vector"),
        pytest.param(layout(vector=[(6, 4096)] * 129)[0], IDS, id="endless-vector"),
        pytest.param(layout(vector=VECTOR[:6])[0], IDS, id="no-at-secure"),
        pytest.param(layout(vector=[*VECTOR[:3], (6, 1), *VECTOR[3:]])[0], IDS, id="not-adjacent"),
        pytest.param(layout(vector=[*VECTOR[:2], VECTOR[3], VECTOR[2], *VECTOR[4:]])[0], IDS,
                     id="another-order"),
        pytest.param(layout(vector=[*VECTOR, (23, 0)])[0], IDS, id="at-secure-twice"),
        pytest.param(layout(vector=[*VECTOR, *VECTOR])[0], IDS, id="all-twice"),
        pytest.param(layout()[0], (0, 1001, 100, 101), id="another-user"),
        pytest.param(layout()[0], (1000, 0, 100, 101), id="another-effective-user"),
        pytest.param(layout()[0], (1000, 1001, 0, 101), id="another-group"),
        pytest.param(layout()[0], (1000, 1001, 100, 0), id="another-effective-group"),
    ],
)  # fmt: skip
def test_secure_refuses_what_it_does_not_know(data: bytes, ids: auxv.Ids) -> None:
    with pytest.raises(OSError, match="exec: ") as caught:
        auxv.secure(reader(data), STACK, ids)
    assert caught.value.errno == errno.EPERM


def test_secure_refuses_a_stack_pointer_between_words() -> None:
    with pytest.raises(PermissionError):
        auxv.secure(reader(layout()[0]), STACK + 4, IDS)


def test_secure_lets_a_vanished_process_through() -> None:
    def read(_address: int, _size: int) -> bytes:
        raise ProcessLookupError(errno.ESRCH, "read")

    with pytest.raises(ProcessLookupError):
        auxv.secure(read, STACK, IDS)


@given(
    data=st.binary(max_size=600)
    | st.lists(st.integers(0, 40) | st.integers(0, 2**64 - 1), max_size=80).map(
        lambda values: words(*values)
    ),
    largest=st.integers(1, 700),
)
def test_secure_raises_only_eperm_on_any_stack(data: bytes, largest: int) -> None:
    try:
        auxv.secure(reader(data, largest=largest), STACK, (0, 0, 0, 0), hide_vdso=True)
    except OSError as error:
        assert error.errno == errno.EPERM  # noqa: PT017 - it need not raise


def test_secure_finds_the_vector_of_a_real_process() -> None:
    """The kernel's own layout: compare with what /proc says about it."""
    child = subprocess.Popen(
        ["/bin/cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"A": "1", "LONG": "x" * 9000},
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        child.stdin.write(b"x")
        child.stdin.flush()
        assert child.stdout.read(1) == b"x"  # Now it has been executed.
        with open(f"/proc/{child.pid}/stat", "rb") as stat:
            stack = int(stat.read().rpartition(b")")[2].split()[25])
        with open(f"/proc/{child.pid}/auxv", "rb") as file:
            told = file.read()
        memory = os.open(f"/proc/{child.pid}/mem", os.O_RDONLY)
        try:
            with open(f"/proc/{child.pid}/maps") as maps:
                match = re.search(r"^[0-9a-f]+-([0-9a-f]+) .*\[stack\]$", maps.read(), re.MULTILINE)
            assert match
            end = int(match[1], 16)

            def read(address: int, size: int) -> bytes:
                return os.pread(memory, min(size, end - address), address)

            # startstack is where argc is.
            ids = (os.getuid(), os.geteuid(), os.getgid(), os.getegid())
            writes = auxv.secure(read, stack, ids, hide_vdso=True)
            assert len(writes) == 2
            address, data = writes[0]
            assert data == words(1)
            assert os.pread(memory, 16, address - 8) == words(23, 0)
            assert os.pread(memory, 8, writes[1][0]) == words(33)
            assert words(33) in told
        finally:
            os.close(memory)
    finally:
        child.communicate()
