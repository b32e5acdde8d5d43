# SPDX-License-Identifier: GPL-3.0-or-later
"""What the first process starts with: environment and descriptors."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from madcap.policy.sandbox import Sandbox

LAST = 0x7FFF_FFFF


@pytest.mark.parametrize(
    ("command", "number"),
    [
        ("setenv!A=b", 0),
        ("setenv!A=", 0),
        ("setenv!A", errno.EINVAL),
        ("setenv!=b", errno.EINVAL),
        ("setenv! =b", errno.EINVAL),
        ("setenv!SYD=b", errno.EPERM),
        ("setenv!sYd_x=b", errno.EPERM),
        ("setenv!A=$NOPE", errno.EINVAL),
        ("setenv!A=$RAW", errno.EILSEQ),
        ("setenv!A=\0", errno.EILSEQ),
        ("setenv!A\0=b", errno.EILSEQ),
        ("setenv!" + "A" * 4096 + "=b", 0),
        ("setenv!" + "A" * 4097 + "=b", errno.ENAMETOOLONG),
        ("setenv", errno.EINVAL),
        ("unsetenv!A", 0),
        ("unsetenv!", errno.EINVAL),
        ("unsetenv!A=b", errno.EINVAL),
        ("unsetenv!SYD_HOME", errno.EPERM),
        ("unsetenv!SYD_HOME=b", errno.EPERM),
        ("clearenv!", 0),
        ("clearenv!x", errno.EINVAL),
        ("clearenv", errno.EINVAL),
        ("passenv+LC_*", 0),
        ("passenv+", errno.EINVAL),
        ("passenv-", errno.EINVAL),
        ("passenv^", errno.EINVAL),
        ("passenv-A", 0),
        ("passenv+SYD_X", errno.EPERM),
        ("passenv+syd*", errno.EPERM),
        ("passenv+SY*", 0),
        ("passenv", errno.EINVAL),
        ("passfd+1", 0),
        ("passfd+", errno.EINVAL),
        ("passfd+1,", errno.EINVAL),
        ("passfd+x", errno.EINVAL),
        ("passfd+5-3", errno.EINVAL),
        ("passfd+-1", errno.EINVAL),
        ("passfd+0x10-0o40", 0),
        ("passfd+2147483648", errno.ERANGE),
        ("passfd+4294967296", errno.EOVERFLOW),
        ("passfd^1", errno.EINVAL),
        ("passfd", errno.EINVAL),
        ("nullfd+stdio", 0),
        ("nullfd+1-2", errno.EINVAL),
        ("nullfd+all", errno.EINVAL),
        ("nullfd+", errno.EINVAL),
        ("nullfd+2147483648", errno.ERANGE),
        ("nullfd^1", errno.EINVAL),
        ("nullfd^", 0),
        ("nullfdx", errno.EINVAL),
    ],
)
def test_command_takes_its_values_only(
    answer: Callable[[str], int], command: str, number: int
) -> None:
    assert answer(command) == number


def test_environment_is_edited_at_once(box: Sandbox, answer: Callable[[str], int]) -> None:
    for command in ("setenv!NEW=$FOO/x", "allow/read+/$NEW", "unsetenv!FOO"):
        assert answer(command) == 0
    assert box.active.rules[0].pattern == b"/bar/x"
    assert box.environ[b"NEW"] == b"bar/x"
    assert answer("allow/read+/$FOO") == errno.EINVAL
    assert answer("clearenv!") == 0
    assert {name[:3] for name in box.environ} == {b"SYD"}


def test_variables_to_pass_are_taken_back_as_they_were_given(
    box: Sandbox, answer: Callable[[str], int]
) -> None:
    for command in ("passenv+A*", "passenv+B", "passenv^A", "passenv-B"):
        assert answer(command) == 0
    assert box.passenv == ["A*"]


@pytest.mark.parametrize(
    ("commands", "ranges"),
    [
        ([], [(0, 2)]),
        (["passfd+3,5-7"], [(0, 3), (5, 7)]),
        (["passfd-stdout"], [(0, 0), (2, 2)]),
        (["passfd^"], []),
        (["passfd^", "passfd+stdin,stderr,4"], [(0, 0), (2, 2), (4, 4)]),
        (["passfd+all"], [(0, LAST)]),
        (["passfd+all", "passfd-1,5-7"], [(0, 0), (2, 4), (8, LAST)]),
        (["passfd-all"], []),
        (["passfd+9", "passfd-0-100"], []),
    ],
)
def test_descriptors_to_pass_are_ranges(
    box: Sandbox,
    answer: Callable[[str], int],
    commands: list[str],
    ranges: list[tuple[int, int]],
) -> None:
    assert [answer(command) for command in commands] == [0] * len(commands)
    assert box.passfd == ranges


def test_descriptors_to_replace_are_a_set(box: Sandbox, answer: Callable[[str], int]) -> None:
    for command in ("nullfd+stdout,7", "nullfd+stdin", "nullfd-7,8"):
        assert answer(command) == 0
    assert box.nullfd == {0, 1}
    assert answer("nullfd^") == 0
    assert box.nullfd == set()


@pytest.mark.parametrize(
    "command",
    ["setenv!A=b", "unsetenv!A", "clearenv!", "passenv+A", "passfd+1", "passfd", "nullfd^"],
)
def test_process_is_made_once(box: Sandbox, answer: Callable[[str], int], command: str) -> None:
    assert answer("domain+@a") == 0
    assert answer("@a/" + command) == errno.EINVAL
    box.running = True
    assert answer(command) == errno.EBUSY
