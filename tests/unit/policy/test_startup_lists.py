# SPDX-License-Identifier: GPL-3.0-or-later
"""What is settled before the start: Landlock, netlink, io_uring; and ioctl requests."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from madcap.policy import actions, kernel_lists

if TYPE_CHECKING:
    from collections.abc import Callable

    from madcap.policy.sandbox import Sandbox

TCGETS, FIONREAD, FIBMAP = 0x5401, 0x541B, 1


@pytest.mark.parametrize(
    ("command", "number"),
    [
        ("allow/lock/read+/x", 0),
        ("allow/lock/read+x", 0),
        ("allow/lock/all-x+/x", 0),
        ("allow/lock/all-x-/x", 0),
        ("allow/lock/all-/x", 0),
        ("allow/lock/read^/x", 0),
        ("allow/lock/read+", errno.EINVAL),
        ("allow/lock/read", errno.EINVAL),
        ("allow/lock/stat+/x", errno.EINVAL),
        ("allow/lock/lpath+/x", errno.EINVAL),
        ("allow/lock/+/x", errno.EINVAL),
        ("allow/lock/bind+80-90,443", 0),
        ("allow/lock/bind+/x", 0),
        ("allow/lock/bind+x", errno.EINVAL),
        ("allow/lock/net+80", 0),
        ("allow/lock/net+/x", errno.EINVAL),
        ("allow/lock/cnet+/x", errno.EINVAL),
        ("allow/lock/bind+99999", errno.EINVAL),
        ("allow/lock/all-x", errno.EINVAL),
        ("allow/lock/read,all-x", errno.EINVAL),
        ("allow/lock/all-x^", errno.EINVAL),
        ("allow/lock/all-xy", 0),
        ("allow/lock/all-x-y", 0),
        ("allow/lock/read-x", 0),
        ("allow/lock/all-x,read-/a", 0),
        ("deny/lock/read+/x", errno.EINVAL),
        ("allow/net/link+route,INET_DIAG", 0),
        ("allow/net/link+all", 0),
        ("allow/net/link+nosuch", errno.EINVAL),
        ("allow/net/link+", errno.EINVAL),
        ("allow/net/link^x", errno.EINVAL),
        ("allow/net/link", errno.EINVAL),
        ("deny/net/link+route", errno.EINVAL),
        ("allow/uring/op+READ", 0),
        ("allow/uring/op^", 0),
        ("allow/uring/op^read", errno.EINVAL),
        ("allow/uring/reg+register_query", errno.EINVAL),
        ("allow/uring/flag+io_link", 0),
        ("allow/uring/foo+read", errno.EINVAL),
        ("allow/ioctl+tcgets", 0),
        ("allow/ioctl+TC[GS]ET*,0x5401", 0),
        ("allow/ioctl+nosuch", errno.EINVAL),
        ("allow/ioctl+nosuch!", 0),
        ("allow/ioctl+nosuch*!", 0),
        ("allow/ioctl+!", errno.EINVAL),
        ("allow/ioctl+TCGETS,", errno.EINVAL),
        ("allow/ioctl+4294967295", 0),
        ("allow/ioctl+4294967296", errno.EINVAL),
        ("allow/ioctl+*", errno.ENOSPC),
        ("deny/ioctl+*", errno.EOPNOTSUPP),
        ("deny/ioctl+amdkfd_ioc_get_version", errno.EOPNOTSUPP),
        ("deny/ioctl-*", 0),
        ("deny/ioctl^FIBMAP", 0),
        ("allow/ioctl", errno.EINVAL),
        ("allow/ioctl+", errno.EINVAL),
        ("warn/ioctl+TCGETS", errno.EINVAL),
        ("allow/ioctl,read+/a", errno.EINVAL),
    ],
)
def test_command_takes_its_items_only(
    answer: Callable[[str], int], command: str, number: int
) -> None:
    assert answer(command) == number


def test_paths_and_ports_are_kept_for_each_right(
    box: Sandbox, answer: Callable[[str], int]
) -> None:
    assert box.landlock is None
    for command in (
        "allow/lock/rpath,cnet+/b",
        "allow/lock/read+~/x",
        "allow/lock/all^/b",
        "allow/lock/read,bind+80",
        "allow/lock/net+80-90,443",
        "allow/lock/bind-85",
    ):
        assert answer(command) == 0
    assert box.landlock is not None
    kept = {right: list(paths) for right, paths in box.landlock.paths.items() if paths}
    assert kept == {"read": [b"/home/u/x", b"80"], "bind": [b"80"]}
    assert box.landlock.bind_ports == [(80, 84), (86, 90), (443, 443)]
    assert box.landlock.connect_ports == [(80, 90), (443, 443)]


def test_lists_hold_the_numbers_of_the_kernel(box: Sandbox, answer: Callable[[str], int]) -> None:
    assert (len(kernel_lists.NETLINK), len(kernel_lists.URING_OPS)) == (21, 65)
    assert sum(map(bool, kernel_lists.URING_REGS)) == 34
    assert {kernel_lists.URING_OPS[number] for number in box.uring_ops} == {
        *("epoll_ctl", "read", "readv", "write", "writev"),
    }
    assert [kernel_lists.URING_REGS[number] for number in box.uring_regs] == ["register_probe"]
    assert [kernel_lists.URING_FLAGS[number] for number in box.uring_flags] == ["async"]
    for command in ("allow/net/link+route,generic,inet_diag", "allow/net/link-GENERIC"):
        assert answer(command) == 0
    assert box.netlink == {0, 4}
    assert answer("allow/net/link^") == 0
    assert box.netlink == set()


@pytest.mark.parametrize("command", ["allow/lock/read+/a", "allow/net/link^", "allow/uring/op^"])
def test_lists_are_for_the_start_of_the_default_domain(
    box: Sandbox, answer: Callable[[str], int], command: str
) -> None:
    assert answer("domain+@a") == 0
    assert answer("@a/" + command) == errno.EINVAL
    box.running = True
    assert answer(command) == errno.EBUSY


def test_request_is_answered_by_the_latest_command(
    box: Sandbox, answer: Callable[[str], int]
) -> None:
    domain = box.active
    assert domain.check_ioctl(FIONREAD) == actions.ALLOW
    assert domain.check_ioctl(FIBMAP) == actions.DENY
    assert domain.check_ioctl(TCGETS) == actions.DENY
    assert domain.check_ioctl(TCGETS | 7 << 32) == actions.DENY
    assert answer("default/ioctl:warn") == 0
    assert domain.check_ioctl(TCGETS) == actions.WARN
    for command in ("allow/ioctl+TCGETS", "deny/ioctl+FIONREAD", "deny/ioctl-FIBMAP"):
        assert answer(command) == 0
    assert domain.check_ioctl(TCGETS | 7 << 32) == actions.ALLOW
    assert domain.check_ioctl(FIONREAD) == actions.DENY
    assert domain.check_ioctl(FIBMAP) == actions.WARN
    assert answer("deny/ioctl-TCGETS") == 0
    assert domain.check_ioctl(TCGETS) == actions.ALLOW
    box.running = True
    assert answer("deny/ioctl-FIONREAD") == errno.EBUSY
    assert answer("allow/ioctl-TCGETS") == 0
    assert domain.check_ioctl(TCGETS) == actions.WARN


def test_request_of_varying_size_is_answered_as_a_family(
    box: Sandbox, answer: Callable[[str], int]
) -> None:
    name_of_100 = 0x8000_4506 | 100 << 16
    assert box.active.check_ioctl(name_of_100) == actions.DENY
    assert answer(f"allow/ioctl+{0x8000_4506 | 7 << 16:#x}") == 0
    assert box.active.check_ioctl(name_of_100) == actions.ALLOW
    assert (0x8000_4506, 0x3FFF_0000) not in box.active.ioctls.denied()
    assert answer(f"deny/ioctl+{name_of_100:#x}") == 0
    assert (0x8000_4506, 0x3FFF_0000) in box.active.ioctls.denied()


def test_domain_starts_without_requests(box: Sandbox, answer: Callable[[str], int]) -> None:
    assert answer("domain+@a") == 0
    assert box.domains["a"].check_ioctl(FIONREAD) == actions.DENY
    assert answer("domain+@b:@default") == 0
    assert box.domains["b"].check_ioctl(FIONREAD) == actions.ALLOW
