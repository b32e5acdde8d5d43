# SPDX-License-Identifier: GPL-3.0-or-later
"""Random commands of a guest to its running sandbox: madcap, and what madcap can stand in for.

The errno of each must be the same. `--configurations` and `--configuration-seed` say how many
lists of commands are tried and which; some are given to one guest.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.test_reference import REFERENCE, pytestmark
from tests.support import host
from tests.support.configurations import Source

if TYPE_CHECKING:
    from tests.support.guest import Guest

__all__ = ["pytestmark"]

LISTS = 8  # For one guest.
LONGEST = 4000  # The name of a file has 4096 bytes at most.
GIVE = """
import json, os, sys
answers = []
for command in json.loads(sys.argv[1]):
    try:
        os.stat(b"/dev/syd/" + command.encode())
        answers.append(0)
    except OSError as error:
        answers.append(error.errno)
print(json.dumps(answers))
"""
# These end the guest or the interface, or start something.
LEFT_OUT = ("lock", "l", "cmd/exec", "panic", "ghost", "@")
# These have commands that lock, and some of what Python needs denied.
PROFILES = (
    "chrome",
    "container",
    "firefox",
    "ff",
    "immutable",
    "ldd",
    "lib",
    "oci",
    "trace",
    "user",
)


def commands(first: int) -> list[str]:
    """Return the commands of the lists from number *first* on that one guest gives."""
    found = [command for seed in range(first, first + LISTS) for command in Source(seed).commands()]
    return [
        command
        for command in found
        if not command.startswith(LEFT_OUT)
        and len(command) < LONGEST
        and not any(f"include_profile {name}" in command for name in PROFILES)
    ]


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("lock", ["off", "drop"])
def test_random_commands_are_taken_or_refused_the_same_while_running(
    request: pytest.FixtureRequest, sandbox: Guest, lock: str
) -> None:
    first = request.config.getoption("--configuration-seed")
    count = request.config.getoption("--configurations")
    theirs = sandbox.sibling("madcap")
    theirs.target = str(REFERENCE)
    rules = ["include_profile off", "trace/allow_unsafe_exec_nopie:1", f"lock:{lock}"]
    different = []
    for seed in range(first, first + count, LISTS):
        given = commands(seed)
        outcomes = [
            where.run(host.PYTHON, "-ISc", GIVE, json.dumps(given), rules=rules, profile=None)
            for where in (theirs, sandbox)
        ]
        assert [outcome.status for outcome in outcomes] == [0, 0], outcomes
        answers = [json.loads(outcome.out) for outcome in outcomes]
        different += [
            f"from {seed}: {command!r}: {their}, here {our}"
            for command, their, our in zip(given, *answers, strict=True)
            if their != our
        ]
    assert not different, "\n" + "\n".join(different)
