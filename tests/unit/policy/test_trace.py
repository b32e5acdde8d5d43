# SPDX-License-Identifier: GPL-3.0-or-later
"""The trace settings."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from madcap.policy import lock, trace

if TYPE_CHECKING:
    from collections.abc import Callable

    from madcap.policy.sandbox import Sandbox


def test_there_are_123_settings() -> None:
    assert len(trace.NAMES) + len(trace.SPECIAL) == 123
    assert set(trace.NAMES.values()) == {"F+", "F-", "O+", "O-", "O."}


@pytest.mark.parametrize(
    ("command", "number"),
    [
        ("trace/allow_unsafe_create:", errno.ENOENT),
        ("trace/allow_unsafe_create", errno.EINVAL),
        ("trace/force_umask:8", errno.EINVAL),
        ("trace/force_umask:10000", errno.EINVAL),
        ("trace/force_umask:F", errno.EINVAL),
        ("trace/force_umask:Off", errno.EINVAL),
        ("trace/force_umask:none", errno.EINVAL),
        ("trace/force_umask:0", 0),
        ("trace/force_umask:-1", 0),
        ("trace/memory_access:3", errno.EINVAL),
        ("trace/memory_access:0", 0),
        ("trace/allow_unsafe_aio:1", errno.EINVAL),
        ("trace/", errno.EINVAL),
        ("trace", errno.EINVAL),
        ("trace/allow_unsafe_namespace:", errno.EINVAL),
        ("trace/allow_unsafe_namespace:foo", errno.EINVAL),
        ("trace/allow_unsafe_namespace:NET,all", 0),
        ("trace/deny_passrights:${SYD_HAVE_SO_PASSRIGHTS}", 0),
    ],
)
def test_setting_answers(answer: Callable[[str], int], command: str, number: int) -> None:
    assert answer(command) == number


def test_flag_belongs_to_its_domain_and_can_change_while_running(
    box: Sandbox, answer: Callable[[str], int]
) -> None:
    assert answer("domain+@a") == 0
    assert answer("@a/trace/deny_dotdot:on") == 0
    assert box.domains["a"].flags == {"deny_dotdot"}
    assert box.active.flags == set()
    box.running = True
    version = box.active.version
    assert answer("trace/force_rand_fd:t") == 0
    assert box.active.flags == {"force_rand_fd"}
    assert box.active.version != version


def test_option_belongs_to_the_sandbox_and_is_set_before_the_start(
    box: Sandbox, answer: Callable[[str], int]
) -> None:
    assert answer("domain+@a") == 0
    assert answer("@a/trace/allow_unsafe_shm:on") == errno.EINVAL
    assert answer("trace/allow_unsafe_shm:on") == 0
    assert box.options == {"allow_unsafe_shm"}
    box.running = True
    assert answer("trace/allow_unsafe_shm:off") == errno.EBUSY


def test_setting_that_the_kernel_lacks_is_enosys(
    box: Sandbox, answer: Callable[[str], int]
) -> None:
    box.host.kcmp = box.host.passrights = False
    assert answer("trace/force_rand_fd:on") == errno.ENOSYS
    assert answer("trace/force_rand_fd:off") == 0
    assert answer("trace/deny_passrights:on") == errno.ENOSYS
    assert answer("trace/deny_passrights:off") == 0


def test_drop_permits_the_narrowing_direction_only(
    box: Sandbox, answer: Callable[[str], int]
) -> None:
    box.namespaces = {"net", "user"}
    box.lock = lock.DROP
    for name, code in trace.NAMES.items():
        assert answer(f"trace/{name}:on") == (0 if code[1] == "+" else errno.EPERM)
        assert answer(f"trace/{name}:off") == (0 if code[1] == "-" else errno.EPERM)
    assert answer("trace/force_umask:7022") == 0
    assert answer("trace/force_umask:0022") == errno.EPERM
    assert answer("trace/force_umask:off") == errno.EPERM
    assert answer("trace/memory_access:1") == errno.EPERM
    assert answer("trace/allow_unsafe_namespace:net") == 0
    assert answer("trace/allow_unsafe_namespace:user") == errno.EPERM
    assert box.namespaces == {"net"}


def test_lock_refuses_every_setting(box: Sandbox, answer: Callable[[str], int]) -> None:
    box.lock = lock.ON
    assert answer("trace/deny_dotdot:on") == errno.EPERM
    assert answer("trace/allow_unsafe_shm:off") == errno.EPERM
    assert answer("trace/force_umask:7777") == errno.EPERM


def test_none_among_namespaces_empties_the_set_and_ends_reading(
    box: Sandbox, answer: Callable[[str], int]
) -> None:
    assert answer("trace/allow_unsafe_namespace:user,mount") == 0
    assert box.namespaces == {"user", "mount"}
    assert answer("trace/allow_unsafe_namespace:net,OFF,nonsense") == 0
    assert box.namespaces == set()
