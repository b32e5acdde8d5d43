# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits, the crash guard and trusted paths: values, defaults and refusals."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from madcap.policy.sandbox import Sandbox

ANSWERS = [
    ("mem/max:1.5GiB", 0),
    ("mem/max:1_000 kb", 0),
    ("mem/max:16E", errno.EINVAL),
    ("mem/max:-1", errno.EINVAL),
    ("mem/max:", errno.EINVAL),
    ("mem/max:1z", errno.EINVAL),
    ("mem/max", errno.EINVAL),
    ("mem/min:1", errno.EINVAL),
    ("mem/vm_max:1e3", 0),
    ("pid/max:18446744073709551615", 0),
    ("pid/max:18446744073709551616", errno.EINVAL),
    ("pid/max:+5", 0),
    ("pid/max:0x5", errno.EINVAL),
    ("pid/max:-1", errno.EINVAL),
    ("pid/max:", errno.EINVAL),
    ("pipe/max:4096", 0),
    ("pipe/max:4095", errno.EINVAL),
    ("pipe/max:2147483647", 0),
    ("pipe/max:2147483648", errno.EINVAL),
    ("xattr/max:0", 0),
    ("xattr/max:65536", 0),
    ("xattr/max:65537", errno.EINVAL),
    ("rlimit/as:inf", 0),
    ("rlimit/as:none", 0),
    ("rlimit/as:x", errno.EINVAL),
    ("rlimit/locks:1", errno.EINVAL),
    ("rlimit/as", errno.EINVAL),
    ("rlimit/nice:-20", 0),
    ("rlimit/nice:20", 0),
    ("rlimit/nice:21", errno.EINVAL),
    ("rlimit/nice:-21", errno.EINVAL),
    ("rlimit/nofile:0x10", 0),
    ("rlimit/nofile:18446744073709551616", errno.EOVERFLOW),
    ("rlimit/nofile:1k", errno.EINVAL),
    ("rlimit/cpu:1h 30m", 0),
    ("rlimit/cpu:-1", errno.EINVAL),
    ("rlimit/cpu:1 parsec", errno.EINVAL),
    ("rlimit/rttime:1.5s", 0),
    ("segvguard/expiry:0", 0),
    ("segvguard/suspension:0", errno.EINVAL),
    ("segvguard/suspension:999ms", errno.EINVAL),
    ("segvguard/suspension:1s", 0),
    ("segvguard/maxcrashes:0", errno.EINVAL),
    ("segvguard/maxcrashes:255", 0),
    ("segvguard/maxcrashes:256", errno.EINVAL),
    ("segvguard/other:1", errno.EINVAL),
    ("tpe/gid:none", 0),
    ("tpe/gid:off", errno.EINVAL),
    ("tpe/gid:4294967295", 0),
    ("tpe/gid:4294967296", errno.EINVAL),
    ("tpe/negate:", errno.ENOENT),
    ("tpe/negate:yes", errno.EINVAL),
    ("tpe/other:1", errno.EINVAL),
    ("timeout:0", errno.EINVAL),
    ("timeout:off", 0),
    ("timeout:1w 2d", 0),
    ("time:-5", 0),
    ("time/boot:none", 0),
    ("time/mono:9223372036854775807", 0),
    ("time/mono:9223372036854775808", errno.EINVAL),
    ("time/real:1", errno.EINVAL),
]

# What lock:drop says to the last of the commands.
DROP = [
    (["mem/max:2k"], "mem/max:1k", 0),
    (["mem/max:2k"], "mem/max:3k", errno.EPERM),
    (["mem/max:2k"], "mem/max:0", errno.EPERM),
    ([], "mem/vm_max:1k", 0),
    ([], "mem/vm_max:0", errno.EPERM),
    (["pid/max:5"], "pid/max:5", 0),
    (["pid/max:5"], "pid/max:6", errno.EPERM),
    (["pipe/max:8192"], "pipe/max:4096", 0),
    (["pipe/max:8192"], "pipe/max:8193", errno.EPERM),
    ([], "xattr/max:511", 0),
    ([], "xattr/max:513", errno.EPERM),
    ([], "rlimit/core:0", errno.EPERM),
    ([], "segvguard/expiry:121", 0),
    ([], "segvguard/expiry:119", errno.EPERM),
    ([], "segvguard/expiry:0", errno.EPERM),
    ([], "segvguard/suspension:10m", 0),
    ([], "segvguard/suspension:599", errno.EPERM),
    ([], "segvguard/maxcrashes:5", 0),
    ([], "segvguard/maxcrashes:6", errno.EPERM),
    ([], "tpe/gid:1", errno.EPERM),
    ([], "tpe/root_owned:on", 0),
    ([], "tpe/root_owned:off", errno.EPERM),
    ([], "tpe/root_mount:on", 0),
    ([], "tpe/negate:on", errno.EPERM),
    ([], "tpe/user_owned:on", errno.EPERM),
    ([], "timeout:1", errno.EPERM),
    ([], "time:1", errno.EPERM),
]


@pytest.mark.parametrize(("command", "number"), ANSWERS)
def test_limit_takes_its_values_only(
    answer: Callable[[str], int], command: str, number: int
) -> None:
    assert answer(command) == number


@pytest.mark.parametrize(("before", "command", "number"), DROP)
def test_lock_drop_lets_limits_become_stricter_only(
    answer: Callable[[str], int], before: list[str], command: str, number: int
) -> None:
    assert [answer(each) for each in (*before, "lock:drop")] == [0] * (len(before) + 1)
    assert answer(command) == number


def test_limits_have_the_defaults_of_the_interface(box: Sandbox) -> None:
    domain = box.active
    assert (domain.mem_max, domain.mem_vm_max, domain.pid_max) == (0, 0, 0)
    assert (box.pipe_max, box.xattr_max, box.timeout) == (4096, 512, None)
    assert domain.segvguard_expiry == 120
    assert domain.segvguard_suspension == 600
    assert domain.segvguard_maxcrashes == 5
    assert domain.tpe_gid is None
    assert box.rlimits == dict.fromkeys(
        ("core", "memlock", "msgqueue", "nice", "rtprio", "rttime"), 0
    )


@pytest.mark.parametrize(
    ("command", "value"),
    [
        ("rlimit/as:1.5k", 1536),
        ("rlimit/as:inf", 2**64 - 1),
        ("rlimit/core:none", None),
        ("rlimit/nice:-5", 25),
        ("rlimit/nice:20", 0),
        ("rlimit/cpu:90m", 5400),
        ("rlimit/cpu:1.5", 0),
        ("rlimit/rttime:7", 7),
        ("rlimit/rttime:1.5s", 1_500_000),
        ("rlimit/nofile:0o20", 16),
    ],
)
def test_resource_is_kept_in_the_unit_of_the_kernel(
    box: Sandbox, answer: Callable[[str], int], command: str, value: int | None
) -> None:
    assert answer(command) == 0
    assert box.rlimits[command.partition(":")[0].removeprefix("rlimit/")] == value


def test_limits_of_processes_belong_to_a_domain_and_others_do_not(
    box: Sandbox, answer: Callable[[str], int]
) -> None:
    assert answer("domain+@a") == 0
    assert answer("@a/mem/max:5") == 0
    assert answer("@a/tpe/gid:7") == 0
    assert (box.domains["a"].mem_max, box.domains["a"].tpe_gid) == (5, 7)
    assert (box.active.mem_max, box.active.tpe_gid) == (0, None)
    for command in ("pipe/max:8192", "xattr/max:1", "rlimit/as:1", "timeout:1", "time:1"):
        assert answer("@a/" + command) == errno.EINVAL


def test_running_sandbox_changes_limits_but_not_what_the_start_fixed(
    box: Sandbox, answer: Callable[[str], int]
) -> None:
    box.running = True
    assert answer("mem/max:5") == 0
    assert answer("pid/max:5") == 0
    assert answer("pipe/max:4097") == errno.EPERM
    assert answer("pipe/max:4096") == 0
    for command in ("rlimit/as:1", "timeout:1", "time:1"):
        assert answer(command) == errno.EBUSY


def test_clocks_are_set_together_or_one_by_one(box: Sandbox, answer: Callable[[str], int]) -> None:
    assert answer("time:7") == 0
    assert answer("time/boot:-3") == 0
    assert (box.boot_time, box.monotonic_time) == (-3, 7)
    assert answer("time:off") == 0
    assert (box.boot_time, box.monotonic_time) == (None, None)
