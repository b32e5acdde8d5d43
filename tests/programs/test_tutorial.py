# SPDX-License-Identifier: GPL-3.0-or-later
"""The tutorial works: its commands are run in their order, and print what it says they print."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, NamedTuple

from tests.conftest import need
from tests.support import host

if TYPE_CHECKING:
    from tests.support.guest import Guest

TUTORIAL = host.CHECKOUT / "docs" / "tutorial.md"


class Step(NamedTuple):
    """Commands of the tutorial, and the output that is shown below them."""

    line: int
    commands: str
    output: str | None


def steps() -> list[Step]:
    """Return the commands of the tutorial; blocks of other kinds are not run."""
    found: list[Step] = []
    text = TUTORIAL.read_text()
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        kind, body = match[1], match[2]
        line = text.count("\n", 0, match.start()) + 1
        if kind == "sh":
            found.append(Step(line, body, None))
        elif kind == "text":
            assert found, "output without commands"
            assert found[-1].output is None, "two outputs of the same commands"
            found[-1] = found[-1]._replace(output=body)
    return found


def pattern(line: str) -> str:
    """Return what a line of output has to match: … is any text, blanks are any blanks."""
    words = re.split(r"(…| +)", line.strip())
    return "".join(
        ".*" if word == "…" else r"\s+" if word.isspace() else re.escape(word)
        for word in words
        if word
    )


def agrees(expected: str, printed: str) -> bool:
    """Return whether *printed* is what the tutorial shows; a line … stands for any lines."""
    parts = [r"(?:.*\n)*?" if line == "…" else rf"\s*{pattern(line)}\s*\n"
             for line in expected.splitlines()]  # fmt: skip
    return re.fullmatch("".join(parts), printed) is not None


def test_commands_of_the_tutorial_do_what_it_says(sandbox: Guest) -> None:
    need("sqlite3")
    sandbox.fresh_work()
    environment = sandbox.environment()
    environment["PATH"] = f"{sandbox.installation.top / 'bin'}:{environment['PATH']}"
    found = steps()
    assert len(found) > 10
    for step in found:
        done = subprocess.run(
            ["/bin/bash", "-eu", "-c", step.commands],
            cwd=sandbox.home, env=environment, stdin=subprocess.DEVNULL, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **sandbox.identity.spawn_options(),
        )  # fmt: skip
        place = f"tutorial.md:{step.line}"
        assert done.returncode == 0, f"{place}: {done.stdout}"
        assert agrees(step.output or "", done.stdout), (
            f"{place} shows\n{step.output}\nbut this was printed:\n{done.stdout}"
        )


def test_comparison_can_fail() -> None:
    assert agrees("a … c\n…\nend\n", "a  b   c\nx\ny\nend\n")
    assert agrees("…\nend\n", "end\n")
    assert not agrees("a c\n", "a b c\n")
    assert not agrees("a\n", "a\nb\n")
    assert not agrees("a\n…\nb\n", "a\n")
