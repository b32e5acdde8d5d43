# SPDX-License-Identifier: GPL-3.0-or-later
"""Random configurations, given to madcap and to the program it can stand in for.

Both must end with the same status and, where the configuration is taken, show the same state as
JSON and as text. `--configurations` and `--configuration-seed` say how many are tried and which.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.command import MADCAP, run
from tests.cli.test_reference import REFERENCE, pytestmark
from tests.support.configurations import Source

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["pytestmark"]

QUIET = {"SYD_LOG_FD": "-1"}
SHOWN = ["dump", "stat"]
# What names the run, the words of the description, and a setting of another language.
APART = ("id", "api", "backtrace")


def state(text: str) -> tuple[Any, list[str], list[str]]:
    """Return what *text* says of a sandbox, as data, and as lines; and its lines about errors."""
    found = re.search(r"^\{\n.*?^\}", text, re.MULTILINE | re.DOTALL)
    shown = None
    if found:
        shown = {key: value for key, value in json.loads(found[0]).items() if key not in APART}
        text = text.replace(found[0], "")
    told = [line for line in text.splitlines() if line.startswith("Error: ")]
    _, begun, people = text.partition("Syd:\n")
    people = re.sub(r"\([0-9.]+[BKM], total", "(total", people.partition("Error: ")[0])
    lines = people.splitlines() if begun else []
    return shown, [line for line in lines if line and "Sandbox ID: " not in line], told


@pytest.mark.timeout(1500)
def test_random_configurations_are_taken_or_refused_the_same(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    first = request.config.getoption("--configuration-seed")
    count = request.config.getoption("--configurations")
    tmp_path.chmod(0o755)
    file = tmp_path / "random.syd-3"
    built = "+force" in run("-V").out
    different = []
    taken = 0
    for seed in range(first, first + count):
        commands = Source(seed).commands()
        if not built:  # Commands about checksums are refused as a whole then.
            commands = [command for command in commands if "force" not in command]
        commands += SHOWN
        options: list[str | bytes] = []
        if seed % 2:
            # How long a line may be depends on where it stands, there.
            commands = [command for command in commands if len(command) < 4000]
            file.write_bytes("".join(f"{command}\n" for command in commands).encode())
            options = ["-P", str(file)]
        else:
            options = [f"-m{command}" for command in commands]
        theirs = run(*options, "-Z", program=REFERENCE, environ=QUIET)
        ours = run(*options, "-Z", program=MADCAP, environ=QUIET)
        taken += theirs.status == 128
        if (theirs.status, state(theirs.err)) != (ours.status, state(ours.err)):
            different.append(_difference(seed, commands, theirs.status, ours.status))
            different += _unlike(state(theirs.err), state(ours.err))
            different += ["    " + line for line in ours.err.splitlines() if "madcap: " in line]
    assert not different, "\n" + "\n".join(different)
    assert taken > count // 10, "the configurations are hardly ever taken"


def _difference(seed: int, commands: list[str], theirs: int, ours: int) -> str:
    shown = " ".join(repr(command[:90]) for command in commands[:-2])
    return f"seed {seed}: status {theirs}, here {ours}: {shown}"


def _unlike(theirs: tuple[Any, list[str], list[str]], ours: tuple[Any, ...]) -> list[str]:
    """Return lines that say what differs."""
    found = []
    if theirs[0] and ours[0]:
        found = [
            f"    {key}: {theirs[0].get(key)!r}, here {ours[0].get(key)!r}"
            for key in theirs[0].keys() | ours[0].keys()
            if theirs[0].get(key) != ours[0].get(key)
        ]
    for one, other in zip(theirs[1], ours[1], strict=False):
        if one != other and not found:
            found.append(f"    {one!r}, here {other!r}")
    return [*found, *[f"    {line}" for line in theirs[2][:1]]]
