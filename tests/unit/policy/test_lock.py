# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock: ways between its states, who may command, and what drop still permits."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from madcap.policy import lock, overlap
from madcap.policy.glob import GLOB, LITERAL

from .boxes import errno_of, make

if TYPE_CHECKING:
    from collections.abc import Callable

    from madcap.policy.sandbox import Sandbox


@pytest.mark.parametrize(
    ("text", "state"),
    [
        *[("off", 0), ("0", 0), ("exec", 1), ("x", 1), ("ipc", 2), ("i", 2), ("drop", 3), ("d", 3)],
        *[(text, 4) for text in ("read", "r", "ro", "readonly", "read-only")],
        *[("on", 5), ("1", 5), ("${L:-drop}", 3)],
    ],
)
def test_lock_takes_every_spelling(
    box: Sandbox, answer: Callable[[str], int], text: str, state: int
) -> None:
    assert answer("lock:" + text) == 0
    assert box.lock == state


@pytest.mark.parametrize("command", ["lock", "l"])
def test_lock_without_state_locks(box: Sandbox, answer: Callable[[str], int], command: str) -> None:
    assert answer(command) == 0
    assert box.locked


@pytest.mark.parametrize("command", ["lock:", "lock:ON", "lock:foo", "l:on", "lx", "lock/on"])
def test_unknown_state_is_refused(answer: Callable[[str], int], command: str) -> None:
    assert answer(command) == errno.EINVAL


# From, to (rows off exec ipc drop read on), before the start and while running.
TRANSITIONS = {
    None: ("000000", "00b000"),
    lock.OFF: ("000000", "00b000"),
    lock.EXEC: ("p00000", "p0b000"),
    lock.IPC: ("pp00p0", "pp00p0"),
    lock.DROP: ("ppp0p0", "ppp0p0"),
    lock.READ: ("pppp0b", "pppp0b"),
    lock.ON: ("ppppp0", "ppppp0"),
}


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize("start", list(TRANSITIONS))
def test_lock_moves_up_only(start: int | None, running: bool) -> None:
    expected = TRANSITIONS[start][running]
    for state, code in enumerate(expected):
        box = make()
        box.lock = start
        box.running = running
        number = {"0": 0, "p": errno.EPERM, "b": errno.EBUSY}[code]
        name = "on" if state == lock.ON else lock.NAMES[state]
        assert errno_of(box, f"lock:{name}") == number
        assert box.lock == (start if number else state)


def test_lock_is_for_the_default_domain(answer: Callable[[str], int]) -> None:
    assert answer("domain+@a") == 0
    assert answer("@a/lock:on") == errno.EINVAL


@pytest.mark.parametrize(("state", "name"), [("on", "lock"), ("read", "read"), ("drop", "drop")])
def test_entering_a_state_moves_to_the_domain_of_its_name(
    box: Sandbox, answer: Callable[[str], int], state: str, name: str
) -> None:
    assert answer(f"domain+@{name}") == 0
    assert answer(f"lock:{state}") == 0
    assert box.active.name == name


@pytest.mark.parametrize(
    ("state", "eldest", "command", "read"),
    [
        (None, False, True, True),
        (lock.OFF, False, True, True),
        (lock.EXEC, True, True, True),
        (lock.EXEC, False, False, False),
        (lock.IPC, True, False, False),
        (lock.DROP, False, True, False),
        (lock.READ, False, False, True),
        (lock.ON, True, False, False),
    ],
)
def test_lock_says_who_may_command_and_who_may_read(
    state: int | None, eldest: bool, command: bool, read: bool
) -> None:
    assert lock.may_command(state, eldest) == command
    assert lock.may_read(state, eldest) == read


@pytest.mark.parametrize(
    ("first", "then", "number"),
    [
        ("kill/read+/a/*", "deny/read+/a/b", errno.EPERM),
        ("kill/read+/a/*", "kill/read+/a/b", 0),
        ("kill/read+/a/*", "exit/read+/a/b", 0),
        ("kill/read+/a/*", "deny/read+/b", 0),
        ("kill/read+/a/*", "deny/write+/a/b", 0),
        ("kill/read+/a/*", "deny/read+/a/b/c", errno.EPERM),
        ("kill/read+/etc/***", "deny/read+/etcetera", errno.EPERM),
        ("kill/read+/etc/***", "deny/read+/et?", errno.EPERM),
        ("kill/read+/etc/**", "deny/read+/etc", 0),
        ("kill/read+/x[ab]", "deny/read+/xc", errno.EPERM),
        ("kill/read+/x?", "deny/read+/xyz", 0),
        ("default/read:kill", "deny/read+/zzz", errno.EPERM),
        ("kill/net/connect+10.0.0.0/8!80", "deny/net/connect+10.1.2.3!443", 0),
        ("kill/net/connect+10.0.0.0/8!80-90", "deny/net/connect+10.1.2.3!85", errno.EPERM),
        ("kill/net/connect+tcp!10.0.0.0/8!*", "deny/net/connect+udp!10.1.2.3!85", 0),
        ("kill/net/connect+tcp!10.0.0.0/8!*", "deny/net/connect+10.1.2.3!85", errno.EPERM),
        ("kill/fs+tmpfs", "deny/fs+tmpfs", errno.EPERM),
        ("kill/fs+tmpfs", "deny/fs+proc", 0),
        ("warn/read+/a", "deny/read+/a", 0),
        ("3", "filter/read+/a", errno.EPERM),
        ("3", "abort/read+/a", errno.EPERM),
        ("3", "deny/read-/a", errno.EPERM),
        ("3", "allow/read-/a", 0),
        ("3", "allow/read^/a", 0),
        ("3", "allow/read+rel", errno.EPERM),
        ("3", "deny/read+rel", errno.EINVAL),
        ("3", "sandbox/list:on", 0),
        ("3", "sandbox/list:off", errno.EPERM),
        ("3", "default/read:kill", 0),
        ("3", "default/read:warn", errno.EPERM),
        ("default/read:kill", "default/all:deny", errno.EPERM),
        ("3", "default/lock:deny", errno.EPERM),
        ("3", "block+1.2.3.4", 0),
        ("3", "block!", 0),
        ("3", "block-1.2.3.4", errno.EPERM),
        ("3", "block^", errno.EPERM),
        ("3", "mask+/a", errno.EPERM),
        ("3", "mask+", errno.EINVAL),
        ("3", "mask-/a", errno.EPERM),
        ("3", "mask^", errno.EPERM),
        ("3", "allow/net/link-route", 0),
        ("3", "allow/net/link+route", errno.EPERM),
        ("3", "allow/uring/op^", 0),
        ("3", "allow/lock/read-/a", 0),
        ("3", "allow/lock/read+/a", errno.EPERM),
        ("3", "deny/ioctl+TCGETS", 0),
        ("3", "allow/ioctl-FIONREAD", 0),
        ("3", "allow/ioctl+TCGETS", errno.EPERM),
        ("3", "deny/ioctl-FIBMAP", errno.EPERM),
        ("3", "lock:on", 0),
        ("3", "lock:off", errno.EPERM),
        ("3", "dump", errno.EPERM),
        ("3", "cmd/move!default", errno.EPERM),
        ("3", "cmd/foo", errno.ENOENT),
        ("3", "domain+@a", errno.EPERM),
        ("3", "domain+@a:", errno.EINVAL),
        ("3", "include_profile readonly", 0),
        ("3", "include_profile lang", errno.EPERM),
        ("3", "passfd+1", errno.EPERM),
        ("3", "setenv!A", errno.EPERM),
        ("3", "unsetenv!A", errno.EPERM),
        ("3", "passenv+A", errno.EPERM),
    ],
)
def test_drop_permits_what_narrows(
    answer: Callable[[str], int], first: str, then: str, number: int
) -> None:
    assert answer(first) == 0
    assert answer("lock:drop") == 0
    assert answer(then) == number


@pytest.mark.parametrize("command", ["allow/read+/a", "deny/read+/a", "trace/deny_dotdot:1", "l"])
def test_locked_sandbox_takes_nothing_but_the_same_lock(
    answer: Callable[[str], int], command: str
) -> None:
    assert answer("lock:on") == 0
    assert answer(command) == (0 if command == "l" else errno.EPERM)
    assert answer("lock:read") == errno.EPERM


@pytest.mark.parametrize(
    ("left", "right", "result"),
    [
        ((b"/a*", GLOB), (b"/a/b/c", LITERAL), True),
        ((b"/a/**/b", GLOB), (b"/axb", LITERAL), True),
        ((b"/a/*/b", GLOB), (b"/acb", LITERAL), True),
        ((b"/x[ab]*", GLOB), (b"/y*", GLOB), False),
        ((b"/x\\*", GLOB), (b"/x*", LITERAL), True),
        ((b"/x\\*?", GLOB), (b"/xyz", LITERAL), False),
        ((b"/[x", GLOB), (b"/[x", LITERAL), True),
        ((b"/a" * 3000, LITERAL), (b"/b", LITERAL), True),
    ],
)
def test_patterns_that_may_meet_are_found(
    left: tuple[bytes, int], right: tuple[bytes, int], result: bool
) -> None:
    assert overlap.may_meet(*left, *right) == result
    assert overlap.may_meet(*right, *left) == result
