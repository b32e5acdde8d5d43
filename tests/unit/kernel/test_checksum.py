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

from madcap.kernel import checksum, digests
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
NEVER = {"gost94", "streebog256", "streebog512", "tiger", "tiger2"}
#: Of bytes 0 to 255, sixteen times: what the program that madcap replaces says.
LONG = {
    "blake3": "0b3dda6fbfe01c93d79388632f66c5c1fa7813828ca8f62ef86304ee31036897",
    "keccak256": "1c85a3e5666494583f321cd54285cc17276acf9aea34b207d43005bfa69d0a86",
    "keccak512": "4cd8a5361d88714c6b970fe74bacacd6357e59f07576c0487b82fa7f73861f1b"
    "89252dee813d350d0bf718154f54d8ac3ff83a7f74d9a8704d49cf99abeec2f6",
    "md4": "e5b17b6067add38cb3b6f36e0621ca44",
    "rmd128": "0ebfeac9218b9d8398fe900fddcf577b",
    "rmd160": "9bf1fd0110f1b30e08d64321b5d15090278b366b",
    "rmd256": "7b32c15e860739a8be06cb8af07f97b0c722bc011a5c802d6ecc0967363899c7",
    "rmd320": "24d7173c8ad82a3bc21447f92bca21de9a63efec6d4e5d952a46f3ec5a9f7f9d823dab766a872694",
    "sm3": "cd78b1809b77a89e404b0f554b56c5caaead5a1f2229aa367480c6552affdc5c",
    "wp256": "6fc897b639621920e3cf5975b49720ac885b51b5af5a1b399fa1b3e5dccbbb7f",
    "wp384": "6fc897b639621920e3cf5975b49720ac885b51b5af5a1b399fa1b3e5dccbbb7f"
    "f644e222da047c03c04f1897a347764e",
    "wp512": "6fc897b639621920e3cf5975b49720ac885b51b5af5a1b399fa1b3e5dccbbb7f"
    "f644e222da047c03c04f1897a347764e70715f0cc64c2e47873b1833c6b080a3",
}

IN_PYTHON = {
    "blake3": digests.Blake3,
    "keccak256": lambda: digests.Keccak(32),
    "keccak512": lambda: digests.Keccak(64),
    "md4": digests.Md4,
    **{f"rmd{bits}": lambda size=bits // 8: digests.Ripemd(size) for bits in (128, 160, 256, 320)},
    "sm3": digests.Sm3,
    **dict.fromkeys(("wp256", "wp384", "wp512"), digests.Whirlpool),
}


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


def test_all_but_some_are_there() -> None:
    assert set(EMPTY) - NEVER == checksum.AVAILABLE


@pytest.mark.parametrize("algorithm", sorted(LONG))
def test_a_digest_made_here_is_right(algorithm: str) -> None:
    """Whether OpenSSL has it too or not; taken in by parts that end anywhere."""
    data = bytes(range(256)) * 16
    hasher = IN_PYTHON[algorithm]()
    for start, end in ((0, 1), (1, 1000), (1000, 1001), (1001, 4096)):
        hasher.update(data[start:end])
    assert hasher.digest().hex()[: len(EMPTY[algorithm])] == LONG[algorithm]


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
