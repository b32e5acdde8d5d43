# SPDX-License-Identifier: GPL-3.0-or-later
"""Other names for a denied file, through /proc, links and directories, do not reach it either."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

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
