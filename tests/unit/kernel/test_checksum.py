# SPDX-License-Identifier: GPL-3.0-or-later
"""Checksums: their values, what can be read, and what is remembered."""

from __future__ import annotations

import errno
import hashlib
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from tests.support.child import errno_of

from madcap.kernel import checksum
from madcap.policy.force import EMPTY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DIGITS = b"123456789"
KNOWN = {  # Of the nine digits, as catalogues of checks give them.
    "crc32": "cbf43926",
    "crc32c": "e3069283",
    "crc64": "6c40df5f0b497347",
    "md5": "25f9e794323b453885f5181f1b624d0b",
    "sha1": "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
    "sha256": "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
}
ALWAYS = {name for name in EMPTY if name.startswith(("blake2", "sha", "crc"))} | {"md5"}


@pytest.fixture
def supervisor() -> Iterator[SimpleNamespace]:
    descriptors = os.open("/proc/self/fd", os.O_PATH)
    yield SimpleNamespace(self_fd=descriptors, euid=1)
    os.close(descriptors)


def of(host: object, path: Path, algorithm: str) -> str:
    fd = os.open(path, os.O_PATH)
    try:
        return checksum.digest(host, fd, algorithm).hex()  # type: ignore[arg-type]
    finally:
        os.close(fd)


def test_what_the_standard_library_has_is_there() -> None:
    assert ALWAYS <= checksum.AVAILABLE


@pytest.mark.parametrize("algorithm", sorted(KNOWN))
def test_a_checksum_has_the_known_value(
    supervisor: SimpleNamespace, tmp_path: Path, algorithm: str
) -> None:
    (tmp_path / "file").write_bytes(DIGITS)
    assert of(supervisor, tmp_path / "file", algorithm) == KNOWN[algorithm]


@pytest.mark.parametrize("algorithm", sorted(checksum.AVAILABLE))
def test_a_long_file_is_read_in_pieces(
    supervisor: SimpleNamespace, tmp_path: Path, algorithm: str
) -> None:
    data = bytes(range(256)) * 4500  # More than one piece.
    (tmp_path / "file").write_bytes(data)
    whole = checksum._MAKERS[algorithm]()
    whole.update(data)
    length = len(EMPTY[algorithm])
    assert of(supervisor, tmp_path / "file", algorithm) == whole.digest().hex()[:length]


def test_only_regular_files_have_one(supervisor: SimpleNamespace, tmp_path: Path) -> None:
    assert errno_of(lambda: of(supervisor, tmp_path, "sha1")) == errno.EBADFD


def test_an_algorithm_that_is_not_there_is_an_error(
    supervisor: SimpleNamespace, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(DIGITS)
    assert errno_of(lambda: of(supervisor, tmp_path / "file", "tiger")) == errno.EOPNOTSUPP


@pytest.mark.parametrize(("owner", "mode"), [(True, 0o755), (False, 0o775), (False, 0o757)])
def test_a_file_that_may_be_changed_is_read_again(
    supervisor: SimpleNamespace, tmp_path: Path, owner: bool, mode: int
) -> None:
    """Also where all that stat(2) tells of it is the same as before."""
    path = tmp_path / "file"
    supervisor.euid = os.geteuid() if owner else os.geteuid() + 1
    for data in (b"one", b"two"):
        path.write_bytes(data)
        path.chmod(mode)
        os.utime(path, ns=(1, 1))
        assert of(supervisor, path, "sha256") == hashlib.sha256(data).hexdigest()
