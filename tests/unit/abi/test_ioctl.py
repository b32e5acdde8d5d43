# SPDX-License-Identifier: GPL-3.0-or-later
"""ioctl(2) requests, their families and the lists a sandbox starts with."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import termios
from collections import Counter
from errno import EACCES, EINVAL, ENOTTY, EOPNOTSUPP, EPERM
from pathlib import Path

import pytest

from madcap.abi import ioctl

SOURCE = str(Path(ioctl.__file__).parents[2])


def test_lists_have_no_name_in_common() -> None:
    assert len(ioctl.DEFAULT_ALLOW) == 9
    assert len(set(ioctl.DEFAULT_DENY)) == 162
    assert not set(ioctl.DEFAULT_ALLOW) & set(ioctl.DEFAULT_DENY)


def test_denied_requests_have_an_errno() -> None:
    errnos = Counter(ioctl.ERRNO.get(name, ENOTTY) for name in ioctl.DEFAULT_DENY)
    assert errnos == {ENOTTY: 67, EPERM: 60, EOPNOTSUPP: 31, EINVAL: 3, EACCES: 1}
    assert set(ioctl.ERRNO) <= set(ioctl.DEFAULT_DENY)


def test_all_requests_include_those_of_the_lists() -> None:
    assert ioctl.DEFAULT_REQUESTS.items() <= ioctl.REQUESTS.items()


def test_requests_are_those_this_machine_has() -> None:
    for module in (termios, fcntl):
        for name in dir(module):
            if name.startswith(("TIOC", "FIO", "TC", "FICLONE")) and name in ioctl.REQUESTS:
                assert ioctl.REQUESTS[name] == getattr(module, name) & 0xFFFFFFFF


def test_requests_fit_32_bits() -> None:
    assert all(0 < number < 1 << 32 for number in ioctl.REQUESTS.values())


@pytest.mark.parametrize("name", ["HCIDEVUP", "KVM_RUN", "TUNSETIFF", "VIDIOC_QUERYCAP", "TCGETS2"])
def test_requests_of_devices_are_known_by_name(name: str) -> None:
    assert name in ioctl.REQUESTS


@pytest.mark.parametrize(
    ("request_number", "mask"),
    [
        (0xC040FF0B, 0x3FFF0000),
        (0x40182103, 0xFFFF0000),
        (0xC00864D2, 0xFFFF0000),
        (0x80FF4506, 0x3FFF0000),
        (0x80084525, 0x3FFF001F),
        (0x80184555, 0x3F),
        (0x80284555, 0),
        (0x5412, 0),
        (0xC0FF4506, 0),
    ],
)
def test_families_are_told_by_their_fixed_bits(request_number: int, mask: int) -> None:
    assert ioctl.varying(request_number) == mask


def test_a_request_of_a_family_has_the_errno_of_its_name() -> None:
    assert ioctl.errno_of(0x40182103) == ENOTTY
    assert ioctl.errno_of(ioctl.DEFAULT_REQUESTS["FICLONE"]) == EOPNOTSUPP
    assert ioctl.errno_of(0x12345678) == ENOTTY


def test_the_long_table_is_read_when_it_is_asked_for() -> None:
    code = """
import sys
from madcap.abi import ioctl
assert "madcap.abi.requests" not in sys.modules
assert ioctl.REQUESTS["TIOCSTI"] == 0x5412
assert "madcap.abi.requests" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": SOURCE})


def test_other_attributes_do_not_exist() -> None:
    with pytest.raises(AttributeError, match="no attribute"):
        _ = ioctl.REQUEST  # type: ignore[attr-defined]
