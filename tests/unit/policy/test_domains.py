# SPDX-License-Identifier: GPL-3.0-or-later
"""Domains and the moves between them."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from madcap.policy import categories
from madcap.policy.domains import kinds_of, move_after, move_after_address, take

if TYPE_CHECKING:
    from collections.abc import Callable

    from madcap.policy.domains import Move
    from madcap.policy.sandbox import Sandbox


@pytest.mark.parametrize(
    ("command", "number"),
    [
        ("domain+@a", 0),
        ("domain+a", 0),
        ("domain+@a_B9", 0),
        ("domain+@$FOO", 0),
        ("domain+@default", errno.EEXIST),
        ("domain+@there", errno.EEXIST),
        ("domain+@1a", errno.EILSEQ),
        ("domain+@a-b", errno.EILSEQ),
        ("domain+@", errno.EILSEQ),
        ("domain+", errno.EINVAL),
        ("domain+@abcdefghijklmnop", 0),
        ("domain+@abcdefghijklmnopq", errno.ENAMETOOLONG),
        ("domain+@a:", errno.EINVAL),
        ("domain+@a:@there", 0),
        ("domain+@a:@gone", errno.EINVAL),
        ("domain+@a:quiet", 0),
        ("domain+@a:linux", errno.EINVAL),
        ("domain+@a:gone", errno.EINVAL),
        ("domain-@there", 0),
        ("domain-there", 0),
        ("domain-@gone", errno.EINVAL),
        ("domain-@default", errno.EPERM),
        ("domain-@there:x", errno.EINVAL),
        ("domain^", 0),
        ("domain^x", errno.EINVAL),
        ("domain", errno.EINVAL),
        ("cmd/move!there", 0),
        ("cmd/move!@there", 0),
        ("cmd/move!gone", errno.EINVAL),
        ("cmd/move!", errno.ENOENT),
        ("cmd/move", errno.ENOENT),
        ("cmd/exec!/bin/true", errno.ECANCELED),
        ("cmd/", errno.ENOENT),
        ("cmd", errno.EINVAL),
        ("@there/allow/read+/a", 0),
        ("@there/3", 0),
        ("@there/", 0),
        ("@there", errno.EINVAL),
        ("@gone/3", errno.EINVAL),
        ("@/3", errno.EINVAL),
        ("@there/@there/3", errno.EINVAL),
        ("@there/rlimit/as:1", errno.EINVAL),
        ("@there/pipe/max:4096", errno.EINVAL),
        ("@there/mem/max:1", 0),
        ("@there/sandbox/lock:on", errno.EINVAL),
        ("@there/sandbox/lock:off", 0),
        ("@there/default/lock:kill", 0),
        ("@there/trace/allow_unsafe_namespace:user", 0),
        ("@there/domain+@b", errno.EINVAL),
    ],
)
def test_command_about_domains_answers(
    answer: Callable[[str], int], command: str, number: int
) -> None:
    assert answer("domain+@there") == 0
    assert answer(command) == number


def test_domain_starts_from_the_defaults_and_without_rules(
    box: Sandbox, answer: Callable[[str], int]
) -> None:
    for command in ("allow/read+/a", "sandbox/list:on", "domain+@a", "mem/max:5"):
        assert answer(command) == 0
    domain = box.domains["a"]
    assert domain.rules == []
    assert domain.enabled == categories.INITIAL
    assert domain.mem_max == 0
    assert domain.ioctls.count() == 0


def test_copy_of_a_domain_goes_its_own_way(box: Sandbox, answer: Callable[[str], int]) -> None:
    before = ("allow/read,write+/a", "mask+/b", "allow/net+1.2.3.4!1", "trace/deny_dotdot:1")
    for command in (*before, "domain+@a:@default"):
        assert answer(command) == 0
    for command in ("allow/read^/a", "mask^", "allow/bnet-1.2.3.4!1", "trace/deny_dotdot:0"):
        assert answer("@a/" + command) == 0
    assert answer("@a/deny/exec+/c") == 0
    default, other = box.domains["default"], box.domains["a"]
    assert [rule.mask for rule in default.rules] == [categories.READ | categories.WRITE]
    assert [rule.pattern for rule in other.rules] == [b"/a", b"/c"]
    assert default.mask_of(b"/b") is not None
    assert other.mask_of(b"/b") is None
    assert default.net_rules[0].mask == categories.NETWORK
    assert default.flags == {"deny_dotdot"}
    assert other.flags == set()
    assert default.version != other.version


def test_failed_seed_leaves_no_domain(box: Sandbox, answer: Callable[[str], int]) -> None:
    assert answer("domain+@a:linux") == errno.EINVAL
    assert list(box.domains) == ["default"]
    assert box.subject is box.domains["default"]


def test_there_are_64_domains_at_most(answer: Callable[[str], int]) -> None:
    for number in range(63):
        assert answer(f"domain+@d{number}") == 0
    assert answer("domain+@one") == errno.ENOSPC


def test_commands_are_about_the_active_domain(box: Sandbox, answer: Callable[[str], int]) -> None:
    assert answer("domain+@a") == 0
    assert answer("cmd/move!a") == 0
    assert answer("allow/read+/x") == 0
    assert [rule.pattern for rule in box.domains["a"].rules] == [b"/x"]
    assert answer("rlimit/as:1") == errno.EINVAL
    assert answer("@a/3") == errno.EINVAL
    assert answer("cmd/move!default") == 0
    assert answer("rlimit/as:1") == 0


def test_addressed_command_leaves_the_active_domain_as_it_was(
    box: Sandbox, answer: Callable[[str], int]
) -> None:
    for command in ("domain+@a", "domain+@b", "@a/cmd/move!b"):
        assert answer(command) == 0
    assert box.active.name == box.subject.name == "default"


def test_removing_the_active_domain_returns_to_the_default(
    box: Sandbox, answer: Callable[[str], int]
) -> None:
    for command in ("domain+@a", "move/@a/exec+/x", "domain+@b", "move/@b/exec+/y", "domain-@a"):
        assert answer(command) == 0
    assert [move.target for move in box.active.moves] == ["b"]
    assert answer("domain^") == 0
    assert box.active.moves == []


def shown(moves: list[Move]) -> list[tuple[str, object]]:
    return [(move.kind, move.pattern if move.network is None else move.network) for move in moves]


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("exec+/x", [("exec", b"/x")]),
        ("exec+/x/***", [("exec", b"/x")]),
        ("chdir+/x*/***", [("chdir", b"/x*")]),
        ("bind+1.2.3.4!80", [("bind", (4, 0x01020304, 32))]),
        ("bind+net!any!80", [("bind", (4, 0, 0)), ("bind", (16, 0, 0))]),
        ("bind+any!80", errno.EINVAL),
        ("bind+/x", [("bind", b"/x")]),
        ("connect+unix!@x", [("connect", b"@x")]),
        ("connect+!unnamed", [("connect", b"!unnamed")]),
        ("accept+tcp!1.2.3.4!80", [("accept", (4, 0x01020304, 32))]),
        ("accept+/x", errno.EINVAL),
        ("exec+1.2.3.4!80", errno.EINVAL),
        ("exec+/a/../b", errno.EILSEQ),
        ("exec+", errno.EINVAL),
        ("exec^/x", errno.EINVAL),
        ("exec", errno.EINVAL),
        ("fork+/x", errno.EINVAL),
        ("exec-/x", []),
        ("mmap^", []),
    ],
)
def test_move_is_read(
    box: Sandbox,
    answer: Callable[[str], int],
    argument: str,
    expected: list[tuple[str, object]] | int,
) -> None:
    assert answer("domain+@a") == 0
    number = answer("move/@a/" + argument)
    assert (number or shown(box.active.moves)) == expected


def test_minus_removes_the_newest_equal_move_and_caret_all_of_a_kind(
    box: Sandbox, answer: Callable[[str], int]
) -> None:
    for command in ("domain+@a", *["move/@a/exec+/x"] * 2, "move/@a/exit+/x", "move/@a/exec-/x"):
        assert answer(command) == 0
    assert shown(box.active.moves) == [("exec", b"/x"), ("exit", b"/x")]
    assert answer("move/@a/exec^") == 0
    assert shown(box.active.moves) == [("exit", b"/x")]
    assert answer("move/@gone/exec+/x") == errno.EINVAL
    box.running = True
    assert answer("move/@a/exec+/x") == errno.EBUSY


def test_newest_move_of_an_event_names_the_next_domain(
    box: Sandbox, answer: Callable[[str], int]
) -> None:
    for command in (
        *("domain+@a", "domain+@b", "move/@a/exec+/bin/***", "move/@b/exec+/bin/s*"),
        *("move/@a/connect+tcp!10.0.0.0/8!80", "move/@b/connect+@x", "move/@a/exit+/bin/sh"),
    ):
        assert answer(command) == 0
    domain = box.active

    def after(kind: str, text: bytes) -> str | None:
        found = move_after(domain, kind, text)
        return found and found.target

    def after_address(kind: str, protocol: str) -> tuple[str, str] | None:
        found = move_after_address(domain, kind, protocol, bytes((10, 1, 1, 1)), 80)
        return found and (found.target, found.shown())

    assert after("exec", b"/bin/sh") == "b"
    assert after("exec", b"/bin/x/y") == "a"
    assert after("exec", b"/sbin/x") is None
    assert after("exit", b"/bin/sh") == "a"
    assert after("connect", b"@x") == "b"
    assert after_address("connect", "tcp") == ("a", "tcp!10.0.0.0/8!80")
    assert after_address("connect", "udp") is None
    assert after_address("bind", "tcp") is None
    assert kinds_of(box) == {"exec", "connect", "exit"}


def test_a_move_to_the_active_domain_changes_nothing(
    box: Sandbox, answer: Callable[[str], int]
) -> None:
    for command in (
        "domain+@a",
        "move/@a/exec+/x",
        "@a/move/@a/exec+/x",
        "@a/move/@default/exec+/y",
    ):
        assert answer(command) == 0
    assert not take(box, move_after(box.active, "exec", b"/y"))
    assert take(box, move_after(box.active, "exec", b"/x"))
    assert box.active is box.subject is box.domains["a"]
    assert not take(box, move_after(box.active, "exec", b"/x"))
    assert take(box, move_after(box.active, "exec", b"/y"))
    assert box.active is box.domains["default"]
