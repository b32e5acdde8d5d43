# SPDX-License-Identifier: GPL-3.0-or-later
"""The integration tests of the program that madcap replaces, as far as madcap passes them.

`passing.txt` names them. The list only grows: a name that leaves it is a regression.
The tests themselves are no part of this project; they are looked for beside it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import host

if TYPE_CHECKING:
    from tests.support.host import Installation

LIST = Path(__file__).with_name("passing.txt")
RUNNER = host.CHECKOUT.parent / "shared" / "conformance" / "run"


@pytest.mark.timeout(1500)
def test_every_listed_test_still_passes(
    installation: Installation, target: str, tmp_path: Path
) -> None:
    if not RUNNER.exists():
        pytest.skip(f"needs the conformance tests at {os.path.relpath(RUNNER, host.CHECKOUT)}")
    if not LIST.exists():
        pytest.skip("needs tests/conformance/passing.txt")
    del installation
    results = tmp_path / "results"
    command = [sys.executable, str(RUNNER), "--target", target, "--names", str(LIST)]
    command += ["--expect", str(LIST), "--out", str(results), "--jobs", "2"]
    if os.geteuid() == 0:
        command += ["--user", host.ordinary_user().name]
    # One that fails gets a second chance: the reference's tests race with a busy machine.
    failed = _failures(command, results)
    if failed:
        again = tmp_path / "again"
        again.write_text("\n".join(failed) + "\n")
        command[command.index("--names") + 1] = str(again)
        failed = _failures(command, results)
    report = "\n\n".join(f"{name}:\n{tail}" for name, tail in failed.items())
    assert not failed, f"{len(failed)} listed tests fail\n{report}"


def _failures(command: list[str], results: Path) -> dict[str, str]:
    """Run the listed tests; return those that failed, or did not run, with their output."""
    names = set(Path(command[command.index("--names") + 1]).read_text().split())
    subprocess.run(command, stderr=subprocess.DEVNULL, check=False)
    failed = dict.fromkeys(names, "did not run")
    for line in results.read_text().splitlines():
        result = json.loads(line)
        if result["ok"] is False:
            failed[result["name"]] = result["tail"]
        else:
            failed.pop(result["name"], None)
    return failed
