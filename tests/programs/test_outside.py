# SPDX-License-Identifier: GPL-3.0-or-later
"""``cmd/exec!``: programs that a guest starts outside of its sandbox, where the lock lets it."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

import pytest

from madcap.confine.outside import Outside
from madcap.errors import PolicyError
from tests.support import host

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.guest import Guest

OFF = ["include_profile off", "trace/allow_unsafe_exec_nopie:1"]  # Some build Python so.
FREE = [*OFF, "lock:off"]
REPORT = """
import json, os, sys
found = {
    "cwd": os.getcwd(), "umask": os.umask(0), "leader": os.getsid(0) == os.getpid(),
    "files": {fd: os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
              if os.path.exists(f"/proc/self/fd/{fd}")},
    "ignored": [line for line in open("/proc/self/status") if line[:6] in ("SigIgn", "SigBlk")],
    "filters": [line.split()[1] for line in open("/proc/self/status") if line[:8] == "Seccomp:"],
    "environ": sorted(os.environ),
}
os.umask(0o077)
with open(sys.argv[1] + ".new", "w") as file:
    json.dump(found, file)
os.rename(sys.argv[1] + ".new", sys.argv[1])
"""
GIVE = """
import os, sys
for words in sys.argv[1].split("|"):
    try:
        os.stat(b"/dev/syd/cmd/exec!" + os.fsencode(words).replace(b" ", b"\\x1f"))
        print(0)
    except OSError as error:
        print(error.errno)
"""


def give(sandbox: Guest, *commands: str, rules: list[str] = FREE) -> list[int]:
    """Have a guest start *commands*, words parted by blanks, and return the errnos."""
    outcome = sandbox.run(
        host.PYTHON, "-ISc", GIVE, "|".join(commands), rules=rules, profile=None, fresh=False
    )
    assert outcome.status == 0, outcome
    return [int(word) for word in outcome.out.split()]


def wait_for(file: Path) -> bytes:
    """Return what is in *file* once it is there."""
    deadline = time.monotonic() + 20
    while not file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return file.read_bytes()


def test_program_outside_has_surroundings_of_its_own(sandbox: Guest) -> None:
    work = sandbox.fresh_work()
    (work / "report.py").write_text(REPORT)
    assert give(sandbox, f"{host.PYTHON} -IS {work}/report.py {work}/found") == [0]
    found = json.loads(wait_for(work / "found"))
    assert (found["cwd"], found["umask"], found["leader"]) == ("/", 0o077, True)
    assert found["files"] == dict.fromkeys("012", "/dev/null")
    own = f"{0x1001000:016x}"  # Python itself ignores SIGPIPE and SIGXFSZ.
    assert [line.split()[1] for line in found["ignored"]] == ["0" * 16, own]
    assert found["filters"] == ["0"]
    assert {"SYD_ID", "SYD_UID", "WORK", "PATH"} <= set(found["environ"])
    assert "TMPDIR" not in found["environ"]


def test_program_that_cannot_be_started_says_why(sandbox: Guest) -> None:
    sandbox.fresh_work()
    missing = "/nonexistent", "nonexistent", "/etc/passwd", "/etc/passwd/x", "", " true", "true"
    assert give(sandbox, *missing) == [2, 2, 13, 2, 22, 22, 0]


@pytest.mark.parametrize(("lock", "answer"), [("exec", 0), ("drop", 1), ("read", 2), ("on", 2)])
def test_lock_decides_who_may_start_programs(sandbox: Guest, lock: str, answer: int) -> None:
    work = sandbox.fresh_work()
    rules = [*OFF, f"lock:{lock}"]
    assert give(sandbox, f"/bin/mkdir {work}/made", rules=rules) == [answer]
    if answer == 0:
        deadline = time.monotonic() + 20
        while not (work / "made").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
    else:
        assert not (work / "made").exists()


def test_program_outside_outlives_the_sandbox(sandbox: Guest) -> None:
    work = sandbox.fresh_work()
    os.mkfifo(work / "gate")
    os.chmod(work / "gate", 0o666)
    script = work / "script"
    script.write_text(f"read line <{work}/gate; echo $line >{work}/new; mv {work}/new {work}/done")
    assert give(sandbox, f"/bin/sh {script}") == [0]  # The sandbox has ended when this returns.
    (work / "gate").write_text("on\n")
    assert wait_for(work / "done") == b"on\n"


def test_process_that_starts_programs_ends_when_nobody_can_ask_it(tmp_path: Path) -> None:
    outside = Outside({b"PATH": b"/usr/bin:/bin"})
    file = tmp_path / "parent"
    script = f"echo $PPID >{file}.new; mv {file}.new {file}"
    outside.spawn([b"sh", b"-c", script.encode()])
    waiting = int(wait_for(file))
    with pytest.raises(PolicyError) as caught:
        outside.spawn([b"nonexistent"])
    assert caught.value.errno == 2
    outside.close()
    deadline = time.monotonic() + 20
    while os.path.exists(f"/proc/{waiting}/exe"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with pytest.raises(PolicyError):
        outside.spawn([b"true"])
