# SPDX-License-Identifier: GPL-3.0-or-later
"""Mounts among what the guest sees: bound directories, a tmpfs, another proc file system."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.guest import Guest, Pair

BOUND = """
mount --bind here there
mount -t tmpfs -o mode=0777 none memory
"""
PROC = "mount -t proc none proc"


def can_mount() -> bool:
    """Tell whether we may mount, and with a name space of our own."""
    if os.geteuid() != 0:
        return False
    words = ["unshare", "--mount", "sh", "-c", "mount --bind /var /mnt"]
    return subprocess.run(words, check=False, capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(not can_mount(), reason="needs root that may mount")


def lay_out(work: Path) -> None:
    for name in ("here/sub", "there", "memory", "proc"):
        (work / name).mkdir(parents=True)
    (work / "here/file").write_text("text")
    (work / "here/into").symlink_to("../there/file")
    (work / "here/back").symlink_to("../here/file")
    (work / "here/sub/into").symlink_to("../file")
    owner = work.stat()
    for path in work.rglob("*"):
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


@pytest.fixture
def bound(pair: Pair) -> Pair:
    """Guests that see a directory in two places, and a tmpfs."""
    pair.native.mounts = pair.inside.mounts = BOUND
    return pair


def test_crossing_mounts_is_as_on_linux(bound: Pair) -> None:
    outcome = bound.same_python("mounted.py", "cross", prepare=lay_out)
    found = json.loads(outcome.out)
    assert found["no_xdev there/file"] == "EXDEV"
    assert found["no_xdev here/file"] == "opened"
    assert found["link the same file"] == "EXDEV"


def test_no_mount_is_crossed_where_that_is_forbidden(bound: Pair) -> None:
    words = ("here/file", "there/file", "there/sub/../file", "here/into", "memory", "here")
    outcome = bound.inside.python(
        "mounted.py", "open", *words, prepare=lay_out, rules=["trace/force_no_xdev:1"]
    )
    assert outcome.status == 0, outcome
    assert json.loads(outcome.out) == ["opened", *["EXDEV"] * 4, "opened"]


def test_another_proc_file_system_is_closed(sandbox: Guest) -> None:
    sandbox.mounts = PROC
    words = ("proc/self/environ", "proc/1/status", "proc", "proc/self/fd/0", "proc/sys/kernel",
             "/proc/self/status", "proc/../here/file")  # fmt: skip
    outcome = sandbox.python("mounted.py", "open", *words, prepare=lay_out)
    assert outcome.status == 0, outcome
    assert json.loads(outcome.out) == [*["EACCES"] * 5, "opened", "opened"]
