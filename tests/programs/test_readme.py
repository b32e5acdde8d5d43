# SPDX-License-Identifier: GPL-3.0-or-later
"""The command that the README starts with works, and does what the README says."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

from tests.support import host

if TYPE_CHECKING:
    from tests.support.guest import Guest


def test_the_command_of_the_readme_does_what_it_says(sandbox: Guest) -> None:
    text = (host.CHECKOUT / "README.md").read_text()
    found = re.search(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found
    command = found[1].replace("bin/madcap", sandbox.target)
    sandbox.fresh_work()
    (sandbox.home / ".ssh").mkdir()
    (sandbox.home / ".ssh" / "id_ed25519").write_text("secret")
    for path in (sandbox.home / ".ssh", sandbox.home / ".ssh" / "id_ed25519"):
        os.chown(path, sandbox.identity.uid, sandbox.identity.gid)
    outcome = sandbox.sibling("native").run("/bin/sh", "-c", command, fresh=False)
    records = [json.loads(line) for line in outcome.err.splitlines() if line.startswith(b"{")]
    assert outcome.out == b"hello\n"
    assert [record["path"] for record in records] == [
        f"{sandbox.home}/.ssh/id_ed25519",
        "/tmp/elsewhere",
    ]
    assert (sandbox.work / "here").read_text() == "hello\n"
    assert not os.path.exists("/tmp/elsewhere")
