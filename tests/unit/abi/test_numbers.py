# SPDX-License-Identifier: GPL-3.0-or-later
"""The generated system call numbers."""

from __future__ import annotations

import ctypes
import os

import pytest

from madcap.abi.numbers import AUDIT_ARCH, TABLES


@pytest.mark.parametrize(
    ("machine", "name", "number"),
    [
        ("x86_64", "read", 0),
        ("x86_64", "execve", 59),
        ("x86_64", "openat", 257),
        ("x86_64", "uretprobe", 335),
        ("x86_64", "fchmodat2", 452),
        ("aarch64", "fcntl", 25),
        ("aarch64", "openat", 56),
        ("aarch64", "newfstatat", 79),
        ("aarch64", "execve", 221),
        ("aarch64", "memfd_secret", 447),
    ],
)
def test_numbers_are_those_of_the_kernel(machine: str, name: str, number: int) -> None:
    assert TABLES[machine][name] == number


@pytest.mark.parametrize("machine", TABLES)
def test_no_two_names_share_a_number(machine: str) -> None:
    assert len(set(TABLES[machine].values())) == len(TABLES[machine])
    assert machine in AUDIT_ARCH


def test_calls_newer_than_5_0_have_one_number_everywhere() -> None:
    for name, number in TABLES["aarch64"].items():
        if number >= 424:
            assert TABLES["x86_64"][name] == number


def test_numbers_answer_on_this_machine() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    table = TABLES[os.uname().machine]
    assert libc.syscall(table["getpid"]) == os.getpid()
    assert libc.syscall(table["gettid"]) == os.getpid()


def test_aarch64_has_none_of_the_calls_the_at_forms_replaced() -> None:
    assert not {"open", "stat", "fork", "pipe", "chmod", "epoll_wait"} & TABLES["aarch64"].keys()
