# SPDX-License-Identifier: GPL-3.0-or-later
"""syslog(2) inside: the sandbox's own records, for who may see them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.support import host

if TYPE_CHECKING:
    from tests.support.guest import Guest

RULES = [
    "include_profile off", "trace/allow_unsafe_exec_nopie:1", "sandbox/read:on", "allow/read+/***",
    "warn/read+/etc/hostname",
]  # fmt: skip
PROGRAM = """
import ctypes, errno, json, sys
libc = ctypes.CDLL(None, use_errno=True)
found = []
for step in json.loads(sys.argv[1]):
    if step == "open":
        open("/etc/hostname").close()
        continue
    action, size = step
    buffer = ctypes.create_string_buffer(max(size, 0) + 1) if action in (2, 3, 4) else None
    result = libc.syscall(NUMBER, action, buffer, size)
    if result < 0:
        found.append(-ctypes.get_errno())
    elif buffer is not None:
        found.append(buffer.raw[:result].decode())
    else:
        found.append(result)
print(json.dumps(found))
"""
READ, READ_ALL, READ_CLEAR, CLEAR, OFF, ON, LEVEL, UNREAD, SIZE = 2, 3, 4, 5, 6, 7, 8, 9, 10


def ask(sandbox: Guest, *steps: object, rules: list[str], **options: object) -> list[object]:
    """Make the calls *steps* inside, each (action, size), and return what they answer."""
    from madcap.abi.numbers import TABLES

    numbers = {machine: table["syslog"] for machine, table in TABLES.items()}
    program = PROGRAM.replace("NUMBER", f"{numbers!r}[__import__('os').uname().machine]")
    outcome = sandbox.run(
        host.PYTHON, "-ISc", program, json.dumps(steps), rules=[*RULES, *rules], profile=None,
        **options,  # type: ignore[arg-type]
    )  # fmt: skip
    assert outcome.status == 0, outcome
    found: list[object] = json.loads(outcome.out)
    return found


@pytest.mark.parametrize(
    "rules",
    [["lock:off"], ["lock:exec"], ["trace/allow_safe_syslog:1"]],
    ids=lambda rules: rules[0],
)
def test_records_can_be_read_as_the_kernels_log_is(sandbox: Guest, rules: list[str]) -> None:
    found = ask(
        sandbox,
        *((SIZE, 0), (UNREAD, 0), (READ, 9), "open", (READ_ALL, 9), (UNREAD, 0), (READ_ALL, 4096)),
        *((READ, 5), (READ_ALL, 4096), (READ_CLEAR, 3), (UNREAD, 0), "open", (CLEAR, 0)),
        *((UNREAD, 0), (READ, -1), (11, 0), (0, 0), (1, 0)),
        rules=rules,
    )  # fmt: skip
    size, unread, nothing, start, count, line, head, rest, cleared, *more = found
    assert (size, unread, nothing) == (256 * 1024, 0, "")
    assert isinstance(line, str)
    assert re.match(r"<4>\[ *\d+\.\d{6}\] \{", line)
    assert json.loads(line.partition("] ")[2])["path"] == "/etc/hostname"
    assert (start, count) == (line[:9], len(line))
    assert (head, rest, cleared) == (line[:5], line[5:], line[5:8])
    assert more == [0, 0, 0, -22, -22, 0, 0]


@pytest.mark.parametrize("lock", ["ipc", "drop", "read", "on"])
def test_nobody_can_read_records_when_the_lock_forbids_it(sandbox: Guest, lock: str) -> None:
    steps = ["open", (UNREAD, 0), (READ_ALL, 100), (OFF, 0), (LEVEL, 8)]
    assert ask(sandbox, *steps, rules=[f"lock:{lock}"]) == [-1] * 4


def test_records_fit_in_the_room_they_are_given(sandbox: Guest) -> None:
    """The oldest make room; one that is larger than all of it is left out."""
    steps = ["open", (UNREAD, 0), "open", (READ_ALL, 4096), (SIZE, 0)]
    options = {"environment": {"SYD_LOG_BUF_LEN": "1.2 k"}}
    first, records, size = ask(sandbox, *steps, rules=["lock:off"], **options)
    assert isinstance(records, str)
    assert (size, records.count("\n"), len(records)) == (1229, 1, first)
    options = {"environment": {"SYD_LOG_BUF_LEN": "100"}}
    assert ask(sandbox, *steps, rules=["lock:off"], **options) == [0, "", 100]


@pytest.mark.parametrize(
    ("rules", "answers"),
    [(["lock:off"], [0, 0, 0, -22, -22]), (["trace/allow_safe_syslog:1"], [-1, -1, -1, -22, -22])],
)
def test_only_who_may_command_can_silence_the_log(
    sandbox: Guest, rules: list[str], answers: list[int]
) -> None:
    steps = [
        (OFF, 0),
        "open",
        (ON, 0),
        (LEVEL, 8),
        (LEVEL, 9),
        (LEVEL, 0),
        "open",
        (READ_ALL, 9999),
    ]
    *found, records = ask(sandbox, *steps, rules=rules)
    assert found == answers
    assert isinstance(records, str)
    assert records.count('/etc/hostname"') == (1 if rules == ["lock:off"] else 2)
