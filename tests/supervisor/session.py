# SPDX-License-Identifier: GPL-3.0-or-later
"""A sandbox in which a guest program listens to us, while we look at its supervisor."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support import host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.support.guest import Guest

PROFILE = "signals.syd-3"


class Session:
    """A sandbox in which guests block, and its supervisor as root sees it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.directory = Path(f"/proc/{process.pid}")

    def threads(self) -> int:
        return len(list((self.directory / "task").iterdir()))

    def descriptors(self) -> list[str]:
        """Return what the descriptors of every thread of the supervisor refer to, sorted.

        Without pidfds: an emulator keeps that of the thread it served last.
        """
        found = []
        for task in (self.directory / "task").iterdir():
            for entry in (task / "fd").iterdir():
                try:
                    found.append(os.readlink(entry))
                except FileNotFoundError:
                    continue
        return sorted(name for name in found if "[pidfd]" not in name)

    def pidfds(self) -> int:
        """Return how many pidfds the supervisor has open."""
        entries = [os.readlink(entry) for entry in (self.directory / "fd").iterdir()]
        return sum("[pidfd]" in name for name in entries)

    def memory(self) -> float:
        """Return the supervisor's own share of memory, in MiB."""
        lines = (self.directory / "smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


def wait_until(true: Callable[[], bool], seconds: float = 10) -> bool:
    """Wait until *true* is; return False if it is not within *seconds*."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@contextmanager
def started(
    sandbox: Guest,
    name: str,
    *words: str,
    environment: dict[str, str] | None = None,
    rules: Sequence[str] = (),
    limit: int = 0,
) -> Iterator[Session]:
    """Run the guest program *name*; *limit* is the supervisor's limit of descriptors."""
    sandbox.fresh_work()
    program = str(sandbox.installation.guest / name)
    command = sandbox.command([host.PYTHON, "-I", "-S", program, *words], rules, PROFILE)
    if limit:
        command = ["/usr/bin/prlimit", f"--nofile={limit}:{limit}", *command]
    process = subprocess.Popen(
        command,
        cwd=sandbox.work,
        env=sandbox.environment(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **sandbox.identity.spawn_options(),  # type: ignore[call-overload]
    )
    try:
        yield Session(process)
    finally:
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        process.wait()
