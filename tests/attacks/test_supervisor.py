# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest can neither stop, nor read, nor change the process that confines it."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support import host

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.guest import Guest


@pytest.fixture
def bystander(sandbox: Guest) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process of the guest's user outside of the sandbox."""
    options = sandbox.identity.spawn_options()
    process: subprocess.Popen[bytes] = subprocess.Popen(["sleep", "60"], **options)  # type: ignore[call-overload]
    yield process
    process.kill()
    process.wait()


# No attempt may succeed; these are the answers of calls that do nothing inside.
HARMLESS = {"ptrace attach", "ptrace peek"}
# A descriptor of a process outside is no right over it.
HARMLESS_OUTSIDE = {*HARMLESS, "pidfd_open"}


def check(outcome_out: bytes, harmless: set[str] = HARMLESS) -> None:
    """Require that every attempt failed, and that the sandbox still worked afterwards."""
    first, second = outcome_out.decode().splitlines()
    found = json.loads(first)
    succeeded = [n for n, result in found.items() if isinstance(result, int) and n not in harmless]
    assert len(found) > 40
    assert not succeeded
    assert second == "True True"


def test_the_supervisor_cannot_be_attacked(sandbox: Guest) -> None:
    outcome = sandbox.python("attack_supervisor.py", profile="attacks.syd-3")
    assert outcome.status == 0, outcome
    check(outcome.out)


def test_the_supervisor_of_root_cannot_be_attacked(root_sandbox: Guest) -> None:
    outcome = root_sandbox.python("attack_supervisor.py", profile="attacks.syd-3")
    assert outcome.status == 0, outcome
    check(outcome.out)


def test_a_process_outside_cannot_be_attacked(
    sandbox: Guest, bystander: subprocess.Popen[bytes]
) -> None:
    outcome = sandbox.python("attack_supervisor.py", str(bystander.pid), profile="attacks.syd-3")
    assert outcome.status == 0, outcome
    check(outcome.out, HARMLESS_OUTSIDE)
    assert bystander.poll() is None


def test_the_attacks_work_where_nothing_stands_in_the_way(
    guest: Guest, bystander: subprocess.Popen[bytes]
) -> None:
    """Else the tests above would prove nothing."""
    if guest.kind == "madcap":
        pytest.skip("needs no sandbox: it is the proof that the attacks are attacks")
    outcome = guest.python("attack_supervisor.py", str(bystander.pid))
    found = json.loads(outcome.out.splitlines()[0])
    assert found["kill 15"] == 0
    assert isinstance(found["pidfd_open"], int)
    assert isinstance(found["open cmdline"], int)
    assert bystander.wait(10) != 0


def test_ten_thousand_signals_do_not_disturb_the_supervisor(sandbox: Guest) -> None:
    program = (
        "import os, signal\n"
        "refused = 0\n"
        "for turn in range(10000):\n"
        "    try: os.kill(os.getppid(), 1 + turn % 64)\n"
        "    except OSError: refused += 1\n"
        "print(refused, os.path.exists('/etc/passwd'))\n"
    )
    outcome = sandbox.run(host.PYTHON, "-I", "-S", "-c", program, profile="attacks.syd-3")
    assert outcome.out == b"10000 True\n"
    assert outcome.status == 0


def test_limits_and_priorities_reach_nobody_outside(
    sandbox: Guest, bystander: subprocess.Popen[bytes]
) -> None:
    """Also where a switch opens these calls; RLIMIT_NOFILE of the supervisor would stop it all."""
    outcome = sandbox.python(
        "limit_parent.py", str(bystander.pid), profile="attacks.syd-3",
        rules=("trace/allow_unsafe_prlimit:1", "trace/allow_unsafe_nice:1"),
    )  # fmt: skip
    assert outcome.status == 0, outcome
    found = json.loads(outcome.out)
    assert found.pop("lives") is True
    assert {answer for name, answer in found.items() if name.endswith("parent")} == {"ESRCH"}
    assert {answer for name, answer in found.items() if not name.endswith("parent")} == {"EPERM"}
