# SPDX-License-Identifier: GPL-3.0-or-later
"""Other names for a denied file, through /proc, links and directories, do not reach it either."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.guest import Guest


def test_no_other_name_reaches_a_denied_file(guest: Guest) -> None:
    guest.fresh_work()
    key = guest.home / "key"
    key.write_text("denied")
    os.chown(key, guest.identity.uid, guest.identity.gid)
    outcome = guest.python(
        "proc_links.py", str(key), str(guest.home), profile="attacks.syd-3", fresh=False
    )
    assert outcome.status == 0, outcome
    found = json.loads(outcome.out)
    reached = [name for name, text in found.items() if text == "denied"]
    if guest.kind == "native":
        assert len(reached) > 12, f"these names lead nowhere anyway: {found}"
    else:
        assert not reached
        assert key.read_text() == "denied"
        # Nor does anything of the supervisor's come out.
        opened = [n for n, text in found.items() if n.startswith("parent") and not_refused(text)]
        assert not opened


def not_refused(text: str) -> bool:
    """Return whether *text* is something other than an error."""
    return text not in ("Permission denied", "No such file or directory", "Not a directory")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it mounts a proc file system")
def test_a_proc_file_system_elsewhere_tells_nothing(guest: Guest) -> None:
    """The links below it would be read as the supervisor's, and its entry would be open."""
    guest.fresh_work()
    place = guest.work / "proc"
    place.mkdir()
    if subprocess.run(["mount", "-t", "proc", "proc", str(place)], check=False).returncode:
        pytest.skip("needs a place where proc can be mounted")
    try:
        outcome = guest.python(
            "strange_proc.py", str(place), profile="attacks.syd-3", fresh=False,
            rules=("sandbox/readlink:on", "allow/all+/***"),
        )  # fmt: skip
    finally:
        subprocess.run(["umount", str(place)], check=True)
    assert outcome.status == 0, outcome
    found = json.loads(outcome.out)
    told = [name for name, answer in found.items() if isinstance(answer, str)]
    if guest.kind == "native":
        assert len(told) > 6
    else:
        assert not told
