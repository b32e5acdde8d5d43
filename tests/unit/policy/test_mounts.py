# SPDX-License-Identifier: GPL-3.0-or-later
"""Namespaces, root and mount operations: values, order and refusals."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from madcap.policy.sandbox import Sandbox

ANSWERS = [
    ("unshare/mount,PID:on", 0),
    ("unshare/all:off", 0),
    ("unshare/mnt:on", errno.EINVAL),
    ("unshare/:on", errno.EINVAL),
    ("unshare/user:", errno.ENOENT),
    ("unshare/user", errno.EINVAL),
    ("unshare/user?", errno.EINVAL),
    ("root:tmpfs", 0),
    ("root:r", 0),
    ("root:off", 0),
    ("root:2f61", 0),
    ("root:a", errno.EINVAL),
    ("root:", errno.EINVAL),
    ("root:/a/../b", errno.EINVAL),
    ("root:/a/./b", 0),
    ("root:/" + "a/" * 2048, errno.ENAMETOOLONG),
    ("root/map:1", 0),
    ("root/map:", errno.ENOENT),
    ("root/fake:yes", errno.EINVAL),
    ("root/other:1", errno.EINVAL),
    ("workdir:/a", 0),
    ("workdir:none", 0),
    ("workdir:a", errno.EINVAL),
    ("workdir:tmpfs", errno.EINVAL),
    ("bind+/a:/b", 0),
    ("bind+tmpfs:/b:size=1m,mode=700,ro", 0),
    ("bind+/a:b", errno.EINVAL),
    ("bind+/a", errno.EINVAL),
    ("bind+/a:/b:", errno.EINVAL),
    ("bind+/a:/b:ro,", errno.EINVAL),
    ("bind+/a:/b: ro", errno.EINVAL),
    ("bind+/a:/b:noatime,strictatime", errno.EINVAL),
    ("bind+/a:/../b", errno.EINVAL),
    ("bind+/proc:/b", errno.EPERM),
    ("bind+/proc/1:/b", errno.EPERM),
    ("bind+/process:/b", 0),
    ("bind+proc:/b", errno.EPERM),
    ("bind+/a:/proc/sys", errno.EPERM),
    ("bind-/a:/b", 0),
    ("bind^", 0),
    ("bind^/a", errno.EINVAL),
    ("bind-try+/a:/b:rw,dev", 0),
    ("bind-tri+/a:/b", 0),  # Takes away the bind of tri+/a.
    ("mkdir+/a", 0),
    ("mkdir+a", errno.EINVAL),
    ("mkdir+/a:7777", 0),
    ("mkdir+/a:10000", errno.EINVAL),
    ("mkdir+/a:8", errno.EINVAL),
    ("mkdir-/a", 0),
    ("mkfile-try+/a:600", 0),
    ("mkfifo^", 0),
    ("mknod+/a", errno.EINVAL),
    (r"mkdir+/a\:b", 0),
    (r"mkdir+/a\b", errno.EINVAL),
    ("link+/a:/b", 0),
    ("link+/a:b", errno.EINVAL),
    ("link+/a", errno.EINVAL),
    ("symlink+/a:b", 0),
    ("symlink+/a:../b", errno.EINVAL),
    ("symlink-try-/a", 0),
]
STARTUP = ["root:tmpfs", "root/map:1", "workdir:/a", "bind+/a:/b", "mkdir^", "link+/a:/b"]


@pytest.mark.parametrize(("command", "number"), ANSWERS)
def test_mount_command_takes_its_values_only(
    answer: Callable[[str], int], command: str, number: int
) -> None:
    assert answer(command) == number


@pytest.mark.parametrize("command", STARTUP)
def test_mounts_are_for_the_start_of_the_default_domain(
    box: Sandbox, answer: Callable[[str], int], command: str
) -> None:
    assert answer("domain+@a") == 0
    assert answer("@a/" + command) == errno.EINVAL
    box.running = True
    assert answer(command) == errno.EBUSY
    box.running = False
    assert answer("lock:drop") == 0
    assert answer(command) == errno.EPERM


def test_lock_drop_takes_further_namespaces_only(answer: Callable[[str], int]) -> None:
    assert answer("lock:drop") == 0
    assert answer("unshare/net:on") == 0
    assert answer("unshare/net:off") == errno.EPERM


def test_running_sandbox_tells_its_namespaces(box: Sandbox, answer: Callable[[str], int]) -> None:
    assert answer("unshare/net,uts:on") == 0
    box.running = True
    assert answer("unshare/UTS?") == 0
    assert answer("unshare/net,ipc?") == errno.ENOENT
    assert answer("unshare/ipc:on") == errno.EBUSY


@pytest.mark.parametrize(
    ("command", "number"),
    [
        *((command, errno.EOPNOTSUPP) for command in ("unshare/net:on", "root:tmpfs")),
        *((command, errno.EOPNOTSUPP) for command in ("root/map:1", "bind+/a:/b", "time:1")),
        *((command, 0) for command in ("root/fake:1", "mkdir+/a")),
    ],
)
def test_container_has_namespaces_and_mounts_of_its_own(
    box: Sandbox, answer: Callable[[str], int], command: str, number: int
) -> None:
    box.host.oci = True
    assert answer(command) == number


def test_operations_stay_in_order_and_the_newest_equal_one_is_removed(
    box: Sandbox, answer: Callable[[str], int]
) -> None:
    commands = [
        *("mkdir+/a:755", "bind+/s:/a", "mkdir-try+/a", "mkdir+/b", "bind+/s:/a:ro", "mkdir+/a"),
        *("mkdir-/a:", "mkdir-/a", "bind-/s:/a", "bind-/other:/a", "symlink+/l:b", "link^"),
    ]
    numbers = [answer(command) for command in commands]
    assert numbers == [errno.EINVAL if command == "mkdir-/a:" else 0 for command in commands]
    assert [(each.kind, each.optional, each.target) for each in box.mounts] == [
        ("mkdir", False, b"/a"),
        ("bind", False, b"/a"),
        ("mkdir", True, b"/a"),
        ("mkdir", False, b"/b"),
        ("symlink", False, b"/l"),
    ]
    assert box.mounts[1].flags == {"nosuid", "nodev", "noexec", "nosymfollow"}
    assert answer("mkdir^") == 0
    assert [each.kind for each in box.mounts] == ["bind", "mkdir", "symlink"]


@pytest.mark.parametrize(
    ("options", "flags", "data"),
    [
        ("ro", {"ro", "nosuid", "nodev", "noexec", "nosymfollow"}, b""),
        ("ro,rw,dev,suid", {"noexec", "nosymfollow"}, b""),
        ("exec,dev,suid,symfollow,nodev", {"nodev"}, b""),
        ("exec,dev,suid,symfollow,relatime,noatime", {"noatime"}, b""),
        ("exec,dev,suid,symfollow,size=1m,x", set(), b"size=1m,x"),
    ],
)
def test_bind_option_is_a_flag_or_data_of_the_file_system(
    box: Sandbox, answer: Callable[[str], int], options: str, flags: set[str], data: bytes
) -> None:
    assert answer("bind+tmpfs:/t:" + options) == 0
    assert box.mounts[0].flags == flags
    assert box.mounts[0].data == data


@pytest.mark.parametrize(("kind", "mode"), [("mkdir", 0o700), ("mkfile", 0o400), ("mkfifo", 0o600)])
def test_created_file_has_the_mode_of_its_kind_unless_told(
    box: Sandbox, answer: Callable[[str], int], kind: str, mode: int
) -> None:
    assert answer(f"{kind}+/a") == 0
    assert answer(f"{kind}+/a:1755") == 0
    assert [each.mode for each in box.mounts] == [mode, 0o1755]
