# SPDX-License-Identifier: GPL-3.0-or-later
"""Categories, default actions and access rules, from command to verdict."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from madcap.errors import PolicyError
from madcap.policy import actions, categories, lock, sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from madcap.policy.sandbox import Sandbox

READ, WRITE, EXEC = categories.READ, categories.WRITE, categories.EXEC


def stored(box: Sandbox) -> list[tuple[str, str, bytes]]:
    """Return the rules of the active domain as short words, newest first."""
    return [
        (actions.NAMES[rule.action], ",".join(categories.names_of(rule.mask)), rule.pattern)
        for rule in reversed(box.active.rules)
    ]


def run(box: Sandbox, *commands: str) -> None:
    for command in commands:
        box.execute(command, ("test", 1))


def test_categories_have_the_bits_of_the_interface() -> None:
    assert len(categories.NAMES) == 41
    assert categories.parse_list("net/connect") == 1 << 30
    assert categories.parse_list("uring") == 1 << 40
    assert categories.parse_list("all").bit_count() == 31
    assert categories.parse_list("all-lnx") == categories.parse_list(
        "all"
    ) & ~categories.parse_list("lpath,npath,exec")
    assert categories.names_of(categories.parse_list("spath,rpath")) == [
        "read",
        "symlink",
        "readdir",
        "mkfifo",
    ]


def test_sandbox_starts_with_the_categories_of_a_trusted_build(box: Sandbox) -> None:
    off = categories.parse_list("walk,list,readlink,chdir,mem,pid,proxy,force,lock")
    assert box.active.enabled == (1 << 41) - 1 & ~off


@pytest.mark.parametrize(
    "name", ["", "rset", "wrset", "mkdev", "net/accept", "unix", "all-xl", "Read"]
)
def test_category_that_does_not_exist_is_refused(answer: Callable[[str], int], name: str) -> None:
    assert answer(f"sandbox/{name}:on") == errno.EINVAL
    assert answer(f"allow/{name}+/a") == errno.EINVAL
    assert answer(f"default/{name}:deny") == errno.EINVAL


def test_error_names_the_place_the_thing_and_what_was_expected(box: Sandbox) -> None:
    with pytest.raises(PolicyError) as caught:
        box.execute("sandbox/reed:on", ("/etc/user.syd-3", 7))
    assert caught.value.origin == ("/etc/user.syd-3", 7)
    assert "unknown category 'reed' in sandbox/reed:on" in str(caught.value)
    assert "a category or set name; did you mean 'read'?" in str(caught.value)


def test_strictest_verdict_of_the_newest_rules_holds(box: Sandbox) -> None:
    run(box, "allow/read,write+/a", "deny/write+/a")
    domain = box.active
    assert domain.check(READ, b"/a")[0] == actions.ALLOW
    action, mask, rule = domain.check(READ | WRITE, b"/a")
    assert (action, mask) == (actions.DENY, READ | WRITE)
    assert rule is not None
    assert rule.origin == ("test", 1)


def test_last_rule_wins_however_special_another_is(box: Sandbox) -> None:
    run(box, "deny/read+/a/b", "allow/read+/a/***")
    assert box.active.check(READ, b"/a/b")[0] == actions.ALLOW


def test_default_decides_where_no_rule_does(box: Sandbox) -> None:
    run(box, "default/read:warn", "default/exec:kill")
    assert box.active.check(READ, b"/a") == (actions.WARN, READ, None)
    assert box.active.check(READ | EXEC, b"/a") == (actions.KILL, READ | EXEC, None)


def test_category_that_is_off_asks_nothing(box: Sandbox) -> None:
    run(box, "sandbox/read:off", "kill/read+/a")
    assert box.active.check(READ, b"/a") == (actions.ALLOW, 0, None)
    assert box.active.check(READ | WRITE, b"/a") == (actions.DENY, WRITE, None)


def test_empty_text_matches_no_rule(box: Sandbox) -> None:
    run(box, "allow/read+/***", "allow/read+!*", "allow/read+@**")
    assert box.active.check(READ, b"")[0] == actions.DENY


def test_answer_is_forgotten_when_the_policy_changes(box: Sandbox) -> None:
    domain = box.active
    assert domain.check(READ, b"/a")[0] == actions.DENY
    version = domain.version
    run(box, "allow/read+/a")
    assert domain.version != version
    assert domain.check(READ, b"/a")[0] == actions.ALLOW
    run(box, "allow/read-/a")
    assert domain.check(READ, b"/a")[0] == actions.DENY
    run(box, "sandbox/read:off")
    assert domain.check(READ, b"/a")[0] == actions.ALLOW


def test_minus_takes_each_category_from_the_newest_equal_rule(box: Sandbox) -> None:
    run(box, "allow/read,write+/a", "allow/read+/a", "allow/read,write-/a")
    assert stored(box) == [("allow", "read", b"/a")]


def test_caret_takes_the_categories_from_every_equal_rule(box: Sandbox) -> None:
    run(box, "allow/read,write+/a", "allow/read+/a", "deny/read+/a", "allow/read^/a")
    assert stored(box) == [("deny", "read", b"/a"), ("allow", "write", b"/a")]


def test_removal_compares_pattern_and_method(box: Sandbox) -> None:
    run(box, "allow/read+/etc/***", "allow/read-/etc", "allow/read-/etc/*")
    assert stored(box) == [("allow", "read", b"/etc")]
    run(box, "allow/read-/etc/***/")
    assert stored(box) == []


def test_pattern_that_is_two_rules_is_removed_as_two(box: Sandbox) -> None:
    run(box, "allow/read+/a/*/***")
    assert stored(box) == [("allow", "read", b"/a/*/**"), ("allow", "read", b"/a/*")]
    run(box, "allow/read-/a/*/***")
    assert stored(box) == []


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("allow/all-x+/bin", [("allow", "all-x", b"/bin")]),
        ("allow/all-l,exec+/a", [("allow", "all-l,exec", b"/a")]),
        ("deny/read+/a+b-c^d", [("deny", "read", b"/a+b-c^d")]),
        ("exit/read+/$FOO/x", [("exit", "read", b"/bar/x")]),
        ("warn/read+/${NOPE:-d}/x", [("warn", "read", b"/d/x")]),
        ("warn/read+~/x", [("warn", "read", b"/home/u/x")]),
        ("stop/read+/a$$b", [("stop", "read", b"/a$b")]),
        ("stop/read+/a$", [("stop", "read", b"/a$")]),
        ("stop/read+/a${b", [("stop", "read", b"/a${b")]),
        ("panic/passfd+!all", [("panic", "passfd", b"!*")]),
    ],
)
def test_rule_is_stored(box: Sandbox, command: str, expected: list[tuple[str, str, bytes]]) -> None:
    run(box, command)
    assert stored(box) == [
        (action, ",".join(categories.names_of(categories.parse_list(names))), pattern)
        for action, names, pattern in expected
    ]


@pytest.mark.parametrize(
    ("command", "number"),
    [
        ("allow/read^", errno.EINVAL),
        ("allow/read+", errno.EINVAL),
        ("allow/read-", errno.EINVAL),
        ("allow/read", errno.EINVAL),
        ("allow", errno.EINVAL),
        ("allow/", errno.EINVAL),
        ("allow/+/a", errno.EINVAL),
        ("allow/read,+/a", errno.EINVAL),
        ("allow/read, write+/a", errno.EINVAL),
        ("allow/all-x-/a", 0),
        ("allow/all-/a", 0),
        ("allow/all-/a+b", 0),
        ("allow/all-a", errno.EINVAL),
        ("Allow/read+/a", errno.EINVAL),
        ("allow/fs,read+/a", errno.EINVAL),
        ("allow/mem+/a", errno.EINVAL),
        ("allow/pty,read+/a", errno.EINVAL),
        ("warn/ioctl+/a", errno.EINVAL),
        ("allow/read+/$NOPE", errno.EINVAL),
        ("allow/read+/$EMPTY", errno.EINVAL),
        ("allow/read+/$RAW", errno.EILSEQ),
        ("allow/read+${P}", errno.EINVAL),
        ("allow/read+~bob/x", errno.EINVAL),
        ("allow/read+!all", errno.EINVAL),
        ("allow/passfd,read+!all", errno.EINVAL),
        ("allow/read+/a/../b", errno.EILSEQ),
        ("allow/read+/" + "x" * 4095, errno.ENAMETOOLONG),
        ("deny/wrset+/a", errno.EINVAL),
        ("reset", errno.EINVAL),
        ("crypt", errno.EINVAL),
        ("nonsense", errno.EINVAL),
        ("4", errno.EINVAL),
        ("3", 0),
        ("", 0),
        (" allow/read+/a", errno.EINVAL),
        ("allow/read+/a ", 0),
    ],
)
def test_command_answers(answer: Callable[[str], int], command: str, number: int) -> None:
    assert answer(command) == number


def test_rules_are_limited(box: Sandbox, answer: Callable[[str], int]) -> None:
    for number in range(4095):
        assert answer(f"allow/read+/{number}") == 0
    assert answer("allow/read+/one-more") == errno.ENOSPC
    assert len(box.active.rules) == 4095


@pytest.mark.parametrize(
    ("command", "number"),
    [
        ("sandbox/read:", errno.ENOENT),
        ("sandbox/read:yes", errno.EINVAL),
        ("sandbox/read:2", errno.EINVAL),
        ("sandbox/read:OFF", 0),
        ("sandbox/read:✗", 0),
        ("sandbox/read:tru", 0),
        ("sandbox/read", errno.EINVAL),
        ("sandbox/read?", errno.EINVAL),
        ("sandbox/read,:on", errno.EINVAL),
        ("sandbox/all,fs,mem:on", 0),
        ("sandbox", errno.EINVAL),
        ("default/read:deny,", errno.EINVAL),
        ("default/read:Deny", errno.EINVAL),
        ("default/read", errno.EINVAL),
        ("default/:deny", errno.EINVAL),
        ("default/all,fs,ioctl,force,tpe:warn", 0),
        ("default/force:allow", errno.EINVAL),
        ("default/tpe:allow", errno.EINVAL),
        ("default/mem:allow", errno.EINVAL),
        ("default/block:allow", errno.EINVAL),
        ("default/segvguard:allow", errno.EINVAL),
        ("default/pid:allow", errno.EINVAL),
        ("default/pid:deny", errno.EINVAL),
        ("default/pid:panic", errno.EINVAL),
        ("default/pid:warn", 0),
        ("default/lock:warn", 0),
        ("default/lock:exit", errno.EINVAL),
        ("default/pty:kill", 0),
        ("default/block,mem,pid,force,segvguard,tpe:filter", 0),
    ],
)
def test_switch_or_default_answers(answer: Callable[[str], int], command: str, number: int) -> None:
    assert answer(command) == number


@pytest.mark.parametrize("name", ["mem", "pid", "force", "list", "chdir", "readlink"])
def test_category_without_hooks_cannot_be_switched_on_while_running(
    box: Sandbox, answer: Callable[[str], int], name: str
) -> None:
    box.running = True
    assert answer(f"sandbox/{name}:on") == errno.EBUSY
    assert answer(f"sandbox/{name}:off") == 0


@pytest.mark.parametrize("name", ["ioctl", "stat", "notify"])
def test_category_with_hooks_can_be_switched_off_but_not_on_again(
    box: Sandbox, answer: Callable[[str], int], name: str
) -> None:
    box.running = True
    assert answer(f"sandbox/{name}:on") == 0
    assert answer(f"sandbox/{name}:off") == 0
    assert answer(f"sandbox/{name}:on") == errno.EBUSY


@pytest.mark.parametrize("name", ["proxy", "pty", "lock", "uring"])
def test_static_category_is_set_before_the_start(
    box: Sandbox, answer: Callable[[str], int], name: str
) -> None:
    assert answer(f"sandbox/{name}:on") == 0
    box.running = True
    assert answer(f"sandbox/{name}:on") == errno.EBUSY
    assert answer(f"sandbox/{name}:off") == errno.EBUSY


def test_query_tells_whether_all_are_on(box: Sandbox, answer: Callable[[str], int]) -> None:
    box.running = True
    assert answer("sandbox/read,write?") == 0
    assert answer("sandbox/read,list?") == errno.ENOENT
    box.lock = lock.DROP
    assert answer("sandbox/read?") == errno.EPERM


def test_file_system_rules_follow_the_newest(box: Sandbox, answer: Callable[[str], int]) -> None:
    tmpfs, ext = 0x1021994, 0xEF53
    assert box.active.check_fs(tmpfs)[0] == actions.DENY
    run(box, "allow/fs+all", "deny/fs+tmpfs", "warn/fs+ext4,0x9fa0")
    assert box.active.check_fs(tmpfs)[0] == actions.DENY
    assert box.active.check_fs(ext)[0] == actions.WARN
    assert box.active.check_fs(0x9FA0)[0] == actions.WARN
    assert box.active.check_fs(0x6969)[0] == actions.ALLOW
    run(box, "deny/fs^tmpfs", "warn/fs-ext")
    assert box.active.check_fs(tmpfs)[0] == actions.ALLOW
    run(box, "sandbox/fs:off", "kill/fs+tmpfs")
    assert box.active.check_fs(tmpfs) == (actions.ALLOW, 0, None)
    assert answer("allow/fs+nosuch") == errno.EINVAL
    assert answer("allow/fs+") == errno.EINVAL
    assert answer("allow/fs+tmpfs,") == errno.EINVAL


@pytest.mark.parametrize(
    ("commands", "path", "shown"),
    [
        (["mask+/etc/shadow"], b"/etc/shadow", (b"/dev/null", b"/dev/null")),
        (["mask+/etc/shadow"], b"/etc/shadows", None),
        (
            ["mask+/proc/***:/dev/null:/var/empty"],
            b"/proc/1",
            (b"/dev/null", b"/var/empty"),
        ),
        (["mask+/a/***:/dev/zero"], b"/a", (b"/dev/zero", b"/dev/zero")),
        (["mask+/a/***", "mask+/a/b:/dev/zero"], b"/a/b", (b"/dev/zero", b"/dev/zero")),
        (["mask+/a/b:/dev/zero", "mask+/a/***"], b"/a/b", (b"/dev/null", b"/dev/null")),
        (["mask+/a", "mask+/a", "mask-/a"], b"/a", None),
        (["mask+/a", "mask^"], b"/a", None),
        (["mask+/a\\:b:/c//./d/"], b"/a:b", (b"/c/d/", b"/c/d/")),
        (["mask+/a*/***", "mask-/a*/***"], b"/ab", None),
    ],
)
def test_mask_shows_another_file(
    box: Sandbox, commands: list[str], path: bytes, shown: tuple[bytes, bytes] | None
) -> None:
    run(box, *commands)
    assert box.active.mask_of(path) == shown


@pytest.mark.parametrize(
    "command",
    [
        "mask",
        "mask+",
        "mask+/a::/b",
        "mask+/a:b",
        "mask+/a:/b/../c",
        "mask+/a:/b:/c:/d",
        "mask^/a",
        "mask-",
        "mask+/a\\b",
        "mask+a",
    ],
)
def test_mask_that_is_malformed_is_refused(answer: Callable[[str], int], command: str) -> None:
    assert answer(command) == errno.EINVAL


@pytest.mark.parametrize(
    ("lock", "command", "error"),
    [
        ("drop", "default/pid:allow", errno.EINVAL),
        ("drop", "default/pid,delete:allow", errno.EPERM),
        ("drop", "default/delete,pid:deny", errno.EINVAL),
        ("off", "default/delete,pid:deny", errno.EINVAL),
        ("off", "default/uring,pid:deny", errno.EBUSY),
        ("drop", "default/pid,block:warn", errno.EPERM),
    ],
)
def test_defaults_are_looked_at_in_the_order_of_the_categories(
    lock: str, command: str, error: int
) -> None:
    box = sandbox.Sandbox({})
    box.execute(f"lock:{lock}")
    box.running = True
    before = list(box.active.defaults)
    with pytest.raises(PolicyError) as caught:
        box.execute(command)
    assert caught.value.errno == error
    assert box.active.defaults == before


@pytest.mark.parametrize(
    ("lock", "running", "command", "error"),
    [
        ("off", True, "allow/lock+/x", errno.EBUSY),
        ("off", True, "deny/read,uring^/x", errno.EBUSY),
        ("off", False, "allow/lock+/x", errno.EINVAL),
        ("off", True, "allow/mem+/x", errno.EINVAL),
        ("drop", True, "allow/mem+/x", errno.EPERM),
        ("drop", True, "deny/mem+/x", errno.EINVAL),
        ("drop", True, "deny/mem-/x", errno.EPERM),
        ("drop", False, "allow/read,ioctl+/x", errno.EINVAL),
    ],
)
def test_rule_about_a_category_without_rules_is_refused(
    lock: str, running: bool, command: str, error: int
) -> None:
    box = sandbox.Sandbox({})
    box.execute(f"lock:{lock}")
    box.running = running
    with pytest.raises(PolicyError) as caught:
        box.execute(command)
    assert caught.value.errno == error
