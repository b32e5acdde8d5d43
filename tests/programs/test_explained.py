# SPDX-License-Identifier: GPL-3.0-or-later
"""What madcap-why says is what a run does, and the lines it offers make a run succeed."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.guest import Guest

RULES = """\
include_profile fs
allow/stat+/***
allow/read,exec+/usr/***
allow/read,exec+/lib*/***
allow/read,exec+/bin/***
allow/read+/etc/***
allow/create,write+!*
allow/read,write+{work}/***
deny/read+{work}/a*
allow/read+{work}/ab
deny/write+{work}/**/y
filter/read+{work}/[!a-z]*
allow/read+{work}/s/*/y
default/write:filter
"""
NAMES = ("a", "ab", "abc", "b", "1", "A", "s/t/y", "s/y", "x y", "s/t/z", "*", "é")


def own(sandbox: Guest, path: Path, text: str) -> Path:
    """Write a file that belongs to whom the sandbox runs as."""
    path.write_text(text)
    subprocess.run(["chown", f"{sandbox.identity.uid}:{sandbox.identity.gid}", path], check=True)
    return path


def why(sandbox: Guest, *words: str) -> tuple[int, str]:
    """Return the status and output of madcap-why, asked as the sandbox's user."""
    done = subprocess.run(
        [str(sandbox.installation.top / "bin" / "madcap-why"), *words],
        cwd=sandbox.work, env=sandbox.environment(), capture_output=True, text=True, check=False,
        **sandbox.identity.spawn_options(),
    )  # fmt: skip
    assert not done.stderr
    return done.returncode, done.stdout


def test_answers_are_what_a_run_does(sandbox: Guest) -> None:
    sandbox.fresh_work()
    (sandbox.work / "s" / "t").mkdir(parents=True)
    for name in NAMES:
        own(sandbox, sandbox.work / name, "text\n")
    rules = own(sandbox, sandbox.home / "a.syd-3", RULES.format(work=sandbox.work))
    script = (
        'for name; do { read -r line <"$name"; } 2>&- && echo yes || echo no; '
        '{ : 1<>"$name"; } 2>&- && echo yes || echo no; done'
    )
    options = ["-P", str(rules), "-m", "trace/allow_unsafe_filename:1"]
    outcome = sandbox.sibling("native").run(
        sandbox.target, *options, "--", "/bin/bash", "-c", script, "bash", *NAMES, fresh=False
    )
    found = outcome.out.decode().split()
    assert len(found) == 2 * len(NAMES), outcome
    assert {"yes", "no"} == set(found), outcome
    said = []
    for name in NAMES:
        for capability in ("read", "read,write"):
            status, _ = why(sandbox, *options, capability, str(sandbox.work / name))
            assert status in (0, 1)
            said.append("no" if status else "yes")
    assert said == found


def test_lines_made_of_a_log_let_the_same_run_succeed(sandbox: Guest) -> None:
    sandbox.fresh_work()
    own(sandbox, sandbox.work / "notes", "buy milk\n")
    log = own(sandbox, sandbox.home / "log", "")
    rules = own(sandbox, sandbox.home / "made.syd-3", "")
    command = ["/usr/bin/cp", "notes", "copy of notes"]

    def run(*options: str) -> tuple[int, bytes]:
        words = f'exec 9>"{log}"; SYD_LOG_FD=9 exec "$@" 9>&9'
        outcome = sandbox.sibling("native").run(
            "/bin/bash", "-c", words, "bash", sandbox.target, *options, "--", *command, fresh=False
        )
        return outcome.status, outcome.err

    status, _ = run("-P", str(rules))
    assert status == 13
    status, error = run("-x")
    assert status == 0, error
    (sandbox.work / "copy of notes").unlink()
    _, output = why(sandbox, "-j", "--log", str(log))
    lines = [each["line"] for each in json.loads(output)["violations"]]
    assert len(lines) > 5
    own(sandbox, rules, "".join([f"{line}\n" for line in lines]))
    status, error = run("-P", str(rules))
    assert (status, log.read_text()) == (0, ""), error
    assert (sandbox.work / "copy of notes").read_text() == "buy milk\n"
    _, output = why(sandbox, "--log", str(log))
    assert output == "no violations\n"
