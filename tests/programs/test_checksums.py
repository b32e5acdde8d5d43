# SPDX-License-Identifier: GPL-3.0-or-later
"""Checksums of programs, of their loader and of libraries (`sandbox/force`)."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.guest import Guest, Outcome

FREE = ("include_profile off", "sandbox/force:on")
LOADER = os.path.realpath("/lib64/ld-linux-x86-64.so.2")
LIBRARY = os.path.realpath("/lib/x86_64-linux-gnu/libc.so.6")
TRUE = "/usr/bin/true"
SHELL = os.path.realpath("/bin/sh")


def force(path: str, algorithm: str = "sha256", *, wrong: bool = False, action: str = "") -> str:
    """Return the command that wants *path* to be as it is, or otherwise."""
    digest = hashlib.new(algorithm, Path(path).read_bytes()).hexdigest()
    if wrong:
        digest = digest[:-1] + ("1" if digest[-1] == "0" else "0")
    return f"force+{path}:{algorithm}:{digest}" + (f":{action}" if action else "")


def run(sandbox: Guest, *rules: str, argv: tuple[str, ...] = (TRUE,)) -> Outcome:
    return sandbox.run(*argv, rules=[*FREE, *rules], profile=None)


ALL = (force(TRUE), force(LOADER), force(LIBRARY))


def test_what_has_its_checksums_runs(sandbox: Guest) -> None:
    outcome = run(sandbox, *ALL)
    assert (outcome.status, outcome.log) == (0, []), outcome


@pytest.mark.parametrize(
    ("rules", "status", "record"),
    [
        pytest.param(ALL[1:], 13, ["verify_elf", None, "deny", "execve", TRUE], id="unknown"),
        pytest.param(
            (force(TRUE, wrong=True), *ALL[1:]), 13,
            ["verify_elf", None, "deny", "execve", TRUE], id="another",
        ),
        pytest.param(
            (force(TRUE, wrong=True, action="kill"), *ALL[1:]), 137,
            ["verify_elf", None, "kill", "execve", TRUE], id="kill",
        ),
        pytest.param(
            (ALL[0], ALL[2]), 137, ["exec", "verify_elf", "kill", None, LOADER], id="loader"
        ),
        pytest.param(ALL[:2], 127, ["mmap", "verify_lib", "deny", "mmap", LIBRARY], id="library"),
        pytest.param(
            (*ALL[:2], force(LIBRARY, wrong=True)), 127,
            ["mmap", "verify_lib", "deny", "mmap", LIBRARY], id="another-library",
        ),
    ],
)  # fmt: skip
def test_what_has_not_is_refused(
    sandbox: Guest, rules: tuple[str, ...], status: int, record: list[str | None]
) -> None:
    outcome = run(sandbox, *rules)
    assert outcome.status == status, outcome
    first = outcome.log[0]
    assert [first.get(key) for key in ("ctx", "op", "act", "sys", "path")] == record, first
    hint = "<algorithm>:" if record[0] == "verify_elf" else ""
    assert first["tip"] == f"configure `force+{record[-1]}:{hint}<checksum>'"


def test_a_mismatch_names_both_checksums(sandbox: Guest) -> None:
    outcome = run(sandbox, force(TRUE, wrong=True, action="warn"), *ALL[1:])
    assert outcome.status == 0, outcome
    digest = hashlib.sha256(Path(TRUE).read_bytes()).hexdigest()
    assert [record["ctx"] for record in outcome.log] == ["verify_elf", "exec"], outcome.log
    for record in outcome.log:
        assert record["msg"].startswith(f"ELF checksum mismatch: {digest} is not {digest[:63]}")


@pytest.mark.parametrize("action", ["warn", "filter"])
def test_the_default_is_for_what_has_none(sandbox: Guest, action: str) -> None:
    outcome = run(sandbox, f"default/force:{action}")
    assert outcome.status == (0 if action == "warn" else 13), outcome
    names = [record["path"] for record in outcome.log]
    assert names == ([TRUE, TRUE, LOADER, LIBRARY] if action == "warn" else [])


def test_the_file_is_read_each_time_where_the_guest_may_write_it(sandbox: Guest) -> None:
    script = "./mine -c :; echo $?; echo >>mine; ./mine -c :; echo $?"
    path = sandbox.work / "mine"

    def copy(work: Path) -> None:
        shutil.copy("/bin/sh", work / "mine")
        os.chown(work / "mine", sandbox.identity.uid, sandbox.identity.gid)

    digest = hashlib.sha256(Path(SHELL).read_bytes()).hexdigest()
    shell = [force(SHELL), *ALL[1:], f"force+{path}:sha256:{digest}"]
    outcome = sandbox.run(
        "/bin/sh", "-c", script, profile=None, rules=[*FREE, *shell],
        prepare=copy,
    )  # fmt: skip
    assert outcome.out.split() == [b"0", b"126"], outcome


@pytest.mark.parametrize(
    "rules",
    [
        [f"force+{TRUE}:tiger:{'ab' * 24}"],
        ["trace/allow_unsafe_ptrace:1"],
    ],
)
def test_what_cannot_be_checked_starts_nothing(sandbox: Guest, rules: list[str]) -> None:
    outcome = sandbox.run("/bin/echo", "ran", rules=[*FREE, *rules], profile=None, log_apart=False)
    assert (outcome.status, outcome.out) == (38, b""), outcome
    assert b"force" in outcome.err


def test_checksums_may_change_while_it_runs(sandbox: Guest) -> None:
    shell = [force(SHELL), *ALL[1:]]
    wanted = force(TRUE)
    script = f"/usr/bin/true; echo $?; test -c '/dev/syd/{wanted}'; /usr/bin/true; echo $?"
    outcome = sandbox.run("/bin/sh", "-c", script, profile=None, rules=[*FREE, "lock:off", *shell])
    assert outcome.out.split() == [b"126", b"0"], outcome
