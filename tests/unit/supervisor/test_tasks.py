# SPDX-License-Identifier: GPL-3.0-or-later
"""How tasks are counted."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import TYPE_CHECKING

from madcap.supervisor.tasks import count_tasks

if TYPE_CHECKING:
    from pathlib import Path


def process(proc: Path, pid: int, threads: int, name: str = "x") -> None:
    directory = proc / str(pid)
    directory.mkdir()
    fields = ["S", *["0"] * 16, str(threads), *["7"] * 30]
    (directory / "stat").write_text(f"{pid} ({name}) {' '.join(fields)}\n")
    (directory / "status").write_text(f"Name:\t{name}\nTgid:\t{pid}\n")


def test_others_count_once_more_than_they_have_threads(tmp_path: Path) -> None:
    """The supervisor counts for nothing, and who forks for its threads alone."""
    for pid, threads, name in ((1, 1, "init"), (7, 4, "supervisor"), (8, 2, "sh"), (9, 3, "a) b")):
        process(tmp_path, pid, threads, name)
    for name in ("self", "sys", "1x"):
        (tmp_path / name).mkdir()
    proc = os.open(tmp_path, os.O_PATH)
    try:
        host = SimpleNamespace(proc=proc, pid=7)
        assert count_tasks(host, 8) == (1 + 1) + 2 + (3 + 1)
        assert count_tasks(host, 9) == (1 + 1) + (2 + 1) + 3
    finally:
        os.close(proc)
