# SPDX-License-Identifier: GPL-3.0-or-later
"""The call table: one row a call, and what follows from the policy."""

from __future__ import annotations

from madcap.kernel.table import TABLE, Conditions, plan, rows, stops
from madcap.policy.sandbox import Sandbox


def conditions(*commands: str, scoped: bool = True) -> Conditions:
    sandbox = Sandbox({})
    for command in commands:
        sandbox.execute(command)
    if sandbox.lock is None:
        sandbox.lock = 5
    return Conditions(sandbox, scoped)


def test_no_call_has_two_rows() -> None:
    names = [row.name for row in rows()]
    assert len(names) == len(set(names))


def test_a_handler_bears_the_name_of_its_call() -> None:
    for row in TABLE:
        if row.handler is not None:
            assert row.handler.__name__ == "sys_" + row.name


def test_a_category_that_is_off_costs_nothing() -> None:
    _, notify, _ = plan(conditions("sandbox/all:off"))
    assert not notify & {"mkdir", "unlink", "rename", "access", "chmod", "readlink", "getdents64"}


def test_a_category_that_is_on_is_trapped() -> None:
    _, notify, _ = plan(conditions("sandbox/readlink:on", "sandbox/list:on"))
    assert {"readlink", "readlinkat", "getdents64", "mkdir", "rename"} <= notify


def test_every_call_that_takes_a_name_is_seen_where_names_are_hidden() -> None:
    """The walk category hides what it denies from all calls, whatever else is off."""
    switches = [
        f"trace/{name}:1"
        for name in (
            "allow_unsafe_magiclinks", "allow_unsafe_memfd", "allow_unsafe_notify_bdev",
            "allow_unsafe_notify_cdev", "allow_unsafe_stat_bdev", "allow_unsafe_stat_cdev",
            "allow_unsafe_xattr",
        )
    ]  # fmt: skip
    wanted = {
        "access", "bind", "chmod", "chown", "connect", "creat", "execve", "execveat", "faccessat2",
        "fanotify_mark", "fchmodat", "fchmodat2", "fchownat", "futimesat", "getxattr", "getxattrat",
        "inotify_add_watch", "lchown", "lgetxattr", "link", "linkat", "listxattr", "listxattrat",
        "llistxattr", "lremovexattr", "lsetxattr", "lstat", "mkdir", "mkdirat", "mknod", "mknodat",
        "newfstatat", "open", "openat", "openat2", "readlink", "readlinkat", "removexattr",
        "removexattrat", "rename", "renameat", "renameat2", "rmdir", "sendmsg", "sendto",
        "setxattr", "setxattrat", "stat", "statfs", "statx", "symlink", "symlinkat", "truncate",
        "unlink", "unlinkat", "utime", "utimensat", "utimes",
    }  # fmt: skip
    off = conditions("sandbox/all:off", *switches)
    assert plan(off)[1] & wanted == {"execve", "execveat"}
    hidden = conditions("sandbox/all:off", "sandbox/walk:on", *switches)
    assert plan(hidden)[1] >= wanted
    assert stops(hidden) >= {"chdir", "fchdir"}


def test_signals_are_seen_only_where_the_kernel_does_not_scope_them() -> None:
    assert "kill" not in plan(conditions())[1]
    assert {"kill", "tkill", "tgkill"} <= plan(conditions(scoped=False))[1]


def test_an_unlocked_policy_traps_what_may_be_switched_on_later() -> None:
    _, notify, _ = plan(conditions("sandbox/all:off", "lock:off"))
    assert {"mkdir", "rename", "stat", "openat"} <= notify


def test_sockets_are_left_alone_where_nothing_can_be_said_about_them() -> None:
    assert conditions().unasked == {"socket", "accept", "accept4"}
    unnamed = conditions("allow/net/bind+!unnamed").unasked
    assert unnamed == {"socket", "socketpair", "accept", "accept4"}
    assert conditions("block+127.0.0.1").unasked == {"socket"}
    assert conditions("trace/force_local_net:1").unasked == {"accept", "accept4"}
    for command in ("lock:off", "lock:exec", "trace/force_cloexec:1", "trace/force_rand_fd:1"):
        assert not conditions(command).unasked


def test_every_domain_has_a_say_about_sockets() -> None:
    commands = ("allow/net/bind+!unnamed", "domain+other", "@other/deny/net/bind+!unnamed")
    assert "socketpair" not in conditions(*commands).unasked
    assert not conditions("domain+other", "@other/trace/force_rand_fd:1").unasked
    assert not conditions("domain+other", "move/other/bind+net!any!80").unasked


def test_a_call_without_a_handler_is_refused_and_not_notified() -> None:
    _, notify, refuse = plan(conditions())
    assert not notify & set(refuse)


def test_mmap_stops_where_its_files_are_judged() -> None:
    assert "mmap" in stops(conditions())
    assert "chdir" not in stops(conditions())
    assert {"chdir", "fchdir"} <= stops(conditions("sandbox/chdir:on"))
    assert not stops(conditions("sandbox/chdir:on", "trace/allow_unsafe_ptrace:1"))
