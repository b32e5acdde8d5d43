# SPDX-License-Identifier: GPL-3.0-or-later
"""The checksums executed files must have: algorithms, actions and refusals."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from madcap.policy import actions, force

if TYPE_CHECKING:
    from collections.abc import Callable

    from madcap.policy.sandbox import Sandbox

SUM = "crc32:12345678"
ANSWERS = [
    (f"force+/a:{SUM}", 0),
    (f"force+/a:{SUM}:kill", 0),
    (f"force+2f61:{SUM}", 0),
    (rf"force+/a\:b:{SUM}", 0),
    (rf"force+/a\b:{SUM}", errno.EINVAL),
    (f"force+/a:{SUM}:allow", errno.EINVAL),
    (f"force+/a:{SUM}:", errno.EINVAL),
    (f"force+a:{SUM}", errno.EINVAL),
    (f"force+/a/../b:{SUM}", errno.EINVAL),
    (f"force+:{SUM}", errno.EINVAL),
    ("force+/a:crc32:1234567", errno.EINVAL),
    ("force+/a:crc32:123456", errno.EINVAL),
    ("force+/a:crc32:00000000", errno.EINVAL),
    ("force+/a:crc32:1234567g", errno.EILSEQ),
    ("force+/a:crc31:12345678", errno.EOPNOTSUPP),
    ("force+/a:CRC32:12345678", errno.EOPNOTSUPP),
    ("force+/a:crc32", errno.EINVAL),
    ("force+/a", errno.EINVAL),
    ("force-/a", 0),
    ("force-a", errno.EINVAL),
    ("force-", errno.EINVAL),
    ("force^", 0),
    ("force^/a", errno.EINVAL),
    ("force", errno.EINVAL),
]
DROP = [
    (f"force+/b:{SUM}", 0),
    (f"force+/b:{SUM}:kill", 0),
    (f"force+/b:{SUM}:warn", errno.EPERM),
    (f"force+/a:{SUM}", errno.EEXIST),
    ("force-/a", errno.EPERM),
    ("force^", errno.EPERM),
]


@pytest.mark.parametrize(("command", "number"), ANSWERS)
def test_checksum_takes_its_values_only(
    answer: Callable[[str], int], command: str, number: int
) -> None:
    assert answer(command) == number


@pytest.mark.parametrize(("command", "number"), DROP)
def test_lock_drop_adds_checksums_that_deny(
    answer: Callable[[str], int], command: str, number: int
) -> None:
    assert answer(f"force+/a:{SUM}") == 0
    assert answer("lock:drop") == 0
    assert answer(command) == number


@pytest.mark.parametrize("algorithm", force.EMPTY)
def test_each_algorithm_takes_its_own_length_and_no_digest_of_nothing(
    answer: Callable[[str], int], algorithm: str
) -> None:
    digits = len(force.EMPTY[algorithm])
    assert answer(f"force+/a:{algorithm}:" + "aB" * (digits // 2)) == 0
    assert answer(f"force+/a:{algorithm}:" + "ab" * (digits // 2 + 1)) == errno.EINVAL
    assert answer(f"force+/a:{algorithm}:{force.EMPTY[algorithm]}") == errno.EINVAL


def test_there_are_36_algorithms() -> None:
    assert len(force.EMPTY) == 36


def test_last_checksum_of_a_path_counts_and_belongs_to_its_domain(
    box: Sandbox, answer: Callable[[str], int]
) -> None:
    for command in (
        *("domain+@d", f"force+/a/./b:{SUM}", "force+/a//b:crc32c:ABCDEF01:warn"),
        f"@d/force+/c:{SUM}",
    ):
        assert answer(command) == 0
    assert box.active.force == {b"/a/b": ("crc32c", bytes.fromhex("abcdef01"), actions.WARN)}
    assert box.domains["d"].force == {b"/c": ("crc32", bytes.fromhex("12345678"), actions.DENY)}
    assert answer("force-/a/b") == 0
    assert box.active.force == {}
    assert answer("@d/force^") == 0
    assert box.domains["d"].force == {}


def test_list_of_checksums_is_bounded(box: Sandbox, answer: Callable[[str], int]) -> None:
    box.active.force = {b"/%d" % index: ("crc32", b"1234", actions.DENY) for index in range(4095)}
    assert answer(f"force+/last:{SUM}") == 0
    assert answer(f"force+/more:{SUM}") == errno.ENOSPC
    assert answer(f"force+/last:{SUM}:kill") == 0


@pytest.mark.parametrize("command", [f"force+/a:{SUM}", "force-/a", "force^"])
def test_nothing_is_promised_that_is_not_built_in(
    box: Sandbox, answer: Callable[[str], int], command: str
) -> None:
    box.host.force = False
    assert answer(command) == errno.ENOSYS
