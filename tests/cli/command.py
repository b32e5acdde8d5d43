# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the command line as a program and look at what it prints."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
MADCAP = ROOT / "bin" / "madcap"
ENVIRON = {"PATH": "/usr/bin:/bin", "HOME": "/var/empty", "USER": "somebody"}


class Result(NamedTuple):
    """What a program left."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """The lines on standard error."""
        return self.err.splitlines()


def run(
    *args: str | bytes,
    program: Path | str = MADCAP,
    environ: Mapping[str, str | bytes] | None = None,
    cwd: Path | str = "/",
    also: Sequence[int] = (),
) -> Result:
    """Run *program* with *args* and no more environment than `ENVIRON` and *environ*."""
    done = subprocess.run(
        [os.fsencode(program), *[os.fsencode(arg) for arg in args]],
        env={**ENVIRON, **(environ or {})},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=60,
        pass_fds=also,
    )
    out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    return Result(done.returncode, out, err)
