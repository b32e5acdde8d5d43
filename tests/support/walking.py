# SPDX-License-Identifier: GPL-3.0-or-later
"""Take walks natively and inside, where a walker waits for them, and say where they differ."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import tempfile
from typing import TYPE_CHECKING, Any

from tests.support import host
from tests.support.guest import summary
from tests.syscalls.tables import RULES, differences

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.guest import Guest
    from tests.support.walks import Walk

PATIENCE = 60  # Seconds for one walk: the walker itself gives up a step before.


class Walker:
    """A guest that takes one walk after the other, in a directory that always has the same name."""

    def __init__(self, guest: Guest, rules: Sequence[str]) -> None:
        self._guest = guest
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the walker
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        guest.fresh_work()
        program = str(guest.installation.guest / "walker.py")
        options: dict[str, Any] = dict(guest.identity.spawn_options())
        if guest.kind != "native":  # There it would take the number of a descriptor.
            options["pass_fds"] = (self._log.fileno(),)
        self._process = subprocess.Popen(
            guest.command([host.PYTHON, "-I", "-S", program], rules, RULES),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, cwd=guest.work,
            env=guest.environment({"SYD_LOG_FD": str(self._log.fileno())}), text=True,
            start_new_session=True, umask=0o022, **options,
        )  # fmt: skip

    def set_out(self, walk: Walk) -> None:
        """Begin *walk*; what came of it is for `arrive` to tell."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(walk) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return

    def arrive(self) -> list[Any] | None:
        """Return the results of the walk, its tree being the last; None where the guest is gone."""
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], PATIENCE)
        line = self._process.stdout.readline() if ready else ""
        if not line.endswith("\n"):
            return None
        shutil.rmtree(self._guest.work / "walk")
        return json.loads(line)  # type: ignore[no-any-return]

    def last_words(self) -> str:
        """Return what the guest and its sandbox said last."""
        said = []
        for file in (self._errors, self._log):
            file.seek(0)
            said.append(file.read().decode(errors="replace"))
        records = [json.loads(line) for line in said[1].splitlines()[-5:]]
        return "\n".join([said[0][-2000:], *map(summary, records)])

    def close(self) -> None:
        """End the guest."""
        for member in (self._process.pid, *host.session_members(self._process.pid)):
            try:
                os.kill(member, 9)
            except ProcessLookupError:
                continue
        for stream in (self._process.stdin, self._process.stdout, self._errors, self._log):
            if stream is not None:
                stream.close()
        self._process.wait()


class Walkers:
    """One walker natively and one inside, who take the same walks."""

    def __init__(self, native: Guest, inside: Guest, rules: Sequence[str]) -> None:
        self._guests = (native, inside)
        self._rules = rules
        self._walkers: list[Walker] = []
        self.steps = 0  # How many were taken, both ways.

    def compare(self, walk: Walk) -> list[str]:
        """Take *walk* both ways; return where that differed, a line for each place."""
        if not self._walkers:
            self._walkers = [Walker(guest, self._rules) for guest in self._guests]
        for walker in self._walkers:
            walker.set_out(walk)
        native, inside = (walker.arrive() for walker in self._walkers)
        if native is None or inside is None:
            gone = " and ".join(
                name for name, one in (("native", native), ("inside", inside)) if one is None
            )
            words = [walker.last_words() for walker in self._walkers]
            self.close()
            return [f"{gone}: the walker is gone or hangs", *words]
        self.steps += len(walk)
        places = [*(f"step {at}" for at in range(len(walk))), "tree"]
        found = map(differences, native, inside, places)
        return [line for lines in found for line in lines]

    def close(self) -> None:
        """End both; the next walk begins with others."""
        for walker in self._walkers:
            walker.close()
        self._walkers = []
