# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that a guest gives its running sandbox by stat(2), under each state of the lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import host

if TYPE_CHECKING:
    from tests.support.guest import Guest

# Each needs another part of the policy, that no thread may read from disk any more.
COMMANDS = (
    "mem/max:1", "mem/vm_max:0", "sandbox/read:on", "nonsense", "load/immutable", "load/nowhere",
    "segvguard/maxcrashes:3", "log/level:1", "uts/host:x", "tpe/gid:4", "deny/read+/x",
    "allow/read+/x", "deny/ioctl+TCGETS",
)  # fmt: skip
OPEN = "0001110000000"
ANSWERS = {"off": OPEN, "exec": OPEN, "drop": "0101110111010", "read": "1" * 13}


@pytest.mark.parametrize("lock", ["off", "exec", "drop", "read"])
def test_the_lock_decides_which_commands_a_guest_may_give(sandbox: Guest, lock: str) -> None:
    outcome = sandbox.run(
        "/bin/sh", "-c", "for c; do test -c /dev/syd/$c; printf $?; done", "sh", *COMMANDS,
        rules=["include_profile off", f"lock:{lock}"], profile=None,
    )  # fmt: skip
    assert outcome.status == 0, outcome
    assert outcome.out.decode() == ANSWERS[lock], outcome


@pytest.mark.parametrize("command", ["trace/allow_safe_setuid:1", "trace/allow_safe_setgid:1"])
def test_commands_that_do_not_fit_together_start_nothing(sandbox: Guest, command: str) -> None:
    outcome = sandbox.run("/bin/echo", "ran", rules=[command], log_apart=False)
    assert outcome.status == 61, outcome  # ENODATA
    assert outcome.out == b""


def test_a_lock_that_is_never_set_enters_its_domain(sandbox: Guest) -> None:
    rules = ["include_profile off", "domain+@lock"]
    outcome = sandbox.run("/bin/echo", "ran", rules=rules, profile=None)
    assert (outcome.status, outcome.out) == (13, b""), outcome  # The new domain allows nothing.


BLOCKED = """
import errno, os, threading, time
os.mkfifo("fifo")
numbers = []
def wait():
    try:
        os.open("fifo", os.O_RDONLY)
    except OSError as error:
        numbers.append(error.errno)
thread = threading.Thread(target=wait)
thread.start()
time.sleep(0.3)
print("ghost", os.stat("/dev/syd/ghost").st_rdev, flush=True)
thread.join()
print("blocked", *numbers, flush=True)
for call in (lambda: os.open("/etc/passwd", 0), lambda: os.stat("/dev/syd"), lambda: os.chdir("/")):
    try:
        call()
    except OSError as error:
        print(error.errno, flush=True)
"""


@pytest.mark.parametrize("lock", ["off", "drop"])
def test_ghost_mode_refuses_all_calls_and_ends_those_that_wait(sandbox: Guest, lock: str) -> None:
    outcome = sandbox.run(
        host.PYTHON, "-ISc", BLOCKED,
        rules=["include_profile off", "trace/allow_unsafe_exec_nopie:1", "sandbox/chdir:on",
               "allow/chdir+/***", f"lock:{lock}"],
        profile=None,
    )  # fmt: skip
    lines = outcome.out.decode().splitlines()
    assert [line.split()[0] for line in lines] == ["ghost", "blocked", *["38"] * 3], outcome
    assert lines[1] == "blocked 38"


@pytest.mark.parametrize("number", ["-1", "-9", "-2147483648"])
def test_log_can_be_switched_off_by_any_negative_number(sandbox: Guest, number: str) -> None:
    outcome = sandbox.run("true", environment={"SYD_LOG_FD": number}, log_apart=False)
    assert (outcome.status, outcome.err) == (0, b""), outcome
