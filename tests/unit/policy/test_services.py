# SPDX-License-Identifier: GPL-3.0-or-later
"""Host names, logging, proxy, terminal and control socket: values and refusals."""

from __future__ import annotations

import errno
import json
from typing import TYPE_CHECKING

import pytest

from madcap.policy import report

if TYPE_CHECKING:
    from collections.abc import Callable

    from madcap.policy.sandbox import Sandbox

ANSWERS = [
    ("uts/host:a", 0),
    ("uts/host:", errno.EILSEQ),
    ("uts/domain:", errno.EILSEQ),
    ("uts/version:", 0),
    ("uts/host:" + "a" * 64, 0),
    ("uts/host:" + "a" * 65, errno.ENAMETOOLONG),
    ("uts/host:a/b", 0),
    ("uts/host:..", 0),
    ("uts/host:-a", errno.EILSEQ),
    ("uts/host:a/-b", errno.EILSEQ),
    ("uts/host:-a/b", 0),
    ("uts/host:a ", errno.EILSEQ),
    ("uts/domain:(none)", errno.EILSEQ),
    ("uts/domain:a;b", errno.EILSEQ),
    ("uts/node:a", errno.EINVAL),
    ("uts/host", errno.EINVAL),
    ("log/level:emerg", 0),
    ("log/level:7", 0),
    ("log/level:8", errno.EINVAL),
    ("log/level:WARN", errno.EINVAL),
    ("log/level:", errno.EINVAL),
    ("log/verbose:255", 0),
    ("log/verbose:256", errno.EINVAL),
    ("log/rlimit_interval:0", 0),
    ("log/rlimit_interval:5 s", 0),
    ("log/rlimit_interval:5 x", errno.EINVAL),
    ("log/rlimit_burst:4294967295", 0),
    ("log/rlimit_burst:4294967296", errno.EINVAL),
    ("log/lock/same_exec_off,log_new_exec_on:1", 0),
    ("log/lock/same_exec_on:1", errno.EINVAL),
    ("log/lock/same_exec_off:", errno.ENOENT),
    ("log/other:1", errno.EINVAL),
    ("proxy/addr:::1", 0),
    ("proxy/addr:localhost", errno.EINVAL),
    ("proxy/addr:1.2.3.4/8", errno.EINVAL),
    ("proxy/port:65535", 0),
    ("proxy/port:65536", errno.EINVAL),
    ("proxy/ext/port:0", 0),
    ("proxy/ext/unix:", errno.EINVAL),
    ("proxy/ext/unix:a/b", 0),
    ("proxy/ext/unix:00", errno.EILSEQ),
    ("proxy/ext/unix:" + "a/" * 2048, errno.ENAMETOOLONG),
    ("proxy/ext/addr:::1", errno.EINVAL),
    ("pty/row:none", 0),
    ("pty/row:off", errno.EINVAL),
    ("pty/x:65535", 0),
    ("pty/y:65536", errno.EINVAL),
    ("pty/z:1", errno.EINVAL),
    ("ipc:@a", 0),
    ("ipc:off", 0),
    ("ipc:", errno.EINVAL),
    ("ipc:" + "x" * 107, 0),
    ("ipc:" + "x" * 108, errno.ENAMETOOLONG),
    ("ipc:2f00", errno.EILSEQ),
    ("ipc/uid:0x10", 0),
    ("ipc/uid:off", 0),
    ("ipc/uid:root", errno.EINVAL),
    ("ipc/gid:4294967296", errno.EOVERFLOW),
    ("ipc/max:0", errno.EINVAL),
    ("ipc/max:0x5", 0),
    ("ipc/idle:0", errno.EINVAL),
    ("ipc/idle:1m", 0),
    ("ipc/other:1", errno.EINVAL),
]
STARTUP = [
    *("log/lock/same_exec_off:1", "proxy/port:1", "pty/row:1", "ipc:@a", "ipc/uid:1"),
    *("ipc/max:1", "ipc/idle:1"),
]
ANY_TIME = ["log/level:warn", "log/verbose:1", "log/rlimit_burst:1", "uts/host:a"]


@pytest.mark.parametrize(("command", "number"), ANSWERS)
def test_service_takes_its_values_only(
    answer: Callable[[str], int], command: str, number: int
) -> None:
    assert answer(command) == number


@pytest.mark.parametrize("command", [*STARTUP, *ANY_TIME])
def test_lock_drop_lets_no_service_change(answer: Callable[[str], int], command: str) -> None:
    assert answer("lock:drop") == 0
    assert answer(command) == errno.EPERM


def test_only_names_and_logging_change_while_running(
    box: Sandbox, answer: Callable[[str], int]
) -> None:
    box.running = True
    assert [answer(command) for command in STARTUP] == [errno.EBUSY] * len(STARTUP)
    assert [answer(command) for command in ANY_TIME] == [0] * len(ANY_TIME)


def test_only_names_belong_to_a_domain(box: Sandbox, answer: Callable[[str], int]) -> None:
    assert answer("domain+@a") == 0
    assert answer("@a/uts/host:b") == 0
    assert box.domains["a"].uts_host == "b"
    assert box.active.uts_host == "localhost"
    for command in (*STARTUP, "log/level:warn", "log/rlimit_burst:1"):
        assert answer("@a/" + command) == errno.EINVAL


def test_services_have_the_defaults_of_the_interface(box: Sandbox) -> None:
    state = json.loads(report.dump_text(box))
    assert [state[key] for key in ("name", "domainname", "verbose")] == ["localhost", "(none)", 1]
    assert [state["ipc_" + key] for key in ("uid", "gid", "max", "idle")] == [1000, 100, 64, 60]
    assert [state["proxy_" + key] for key in ("addr", "port")] == ["127.0.0.1", 9050]
    assert [state["proxy_ext_" + key] for key in ("addr", "port", "unix")] == [
        *("127.0.0.1", 9050, None),
    ]
    assert (box.log_interval, box.log_burst) == (5_000_000_000, 10)
    assert (box.pty_rows, box.pty_columns, box.ipc_address) == (None, None, None)


def test_services_keep_what_they_are_told(box: Sandbox, answer: Callable[[str], int]) -> None:
    commands = [
        *("log/verbose:200", "log/rlimit_interval:7", "log/level:3", "pty/x:5", "pty/col:6"),
        *("ipc:2f61", "ipc/uid:none", "ipc/idle:1.5h", "proxy/addr:1:0:0::", "uts/host:off"),
    ]
    assert [answer(command) for command in commands] == [0] * len(commands)
    assert (box.verbose, box.log_interval, box.log_level) == (3, 7, 3)
    assert (box.pty_rows, box.pty_columns) == (5, 6)
    assert (box.ipc_address, box.ipc_uid) == (b"/a", None)
    state = json.loads(report.dump_text(box))
    assert [state[key] for key in ("name", "ipc_idle", "proxy_addr")] == [None, 5400, "1::"]
