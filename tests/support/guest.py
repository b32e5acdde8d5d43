# SPDX-License-Identifier: GPL-3.0-or-later
"""Run one program natively and inside madcap, and say what came of it."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.support import host

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Prepare = Callable[[Path], None]

DEVELOPMENT = "development.syd-3"
_APART = ("unshare", "--mount", "--propagation", "private", "sh", "-euc")
_AS_USER = """uid=$1 gid=$2; shift 2
exec setpriv --reuid "$uid" --regid "$gid" --clear-groups "$@"
"""


class Outcome(NamedTuple):
    """What a guest did: its status (negative: the signal), its output, and what was logged."""

    status: int
    out: bytes
    err: bytes
    log: list[dict[str, Any]]
    left: int

    def denials(self) -> list[dict[str, Any]]:
        """Return the log records about a denied access."""
        return [record for record in self.log if record.get("ctx") == "access"]


class Guest:
    """A way to run programs: natively, or inside madcap; both as the same user in the same place.

    A run happens in a fresh directory *work*, always of the same name, so that a native run and
    one inside can be compared to the byte. *home* is the user's home and lies outside of it.
    """

    def __init__(
        self, kind: str, identity: host.Identity, installation: host.Installation, target: str
    ) -> None:
        self.kind = kind
        self.identity = identity
        self.installation = installation
        self.target = target
        #: Whether madcap may use its native part: what root runs does, so both are tested.
        self.native = bool(os.environ.get("MADCAP_TEST_NATIVE")) or identity.uid == 0
        #: What root does in a mount namespace of its own before each run, a shell script.
        self.mounts = ""
        self.top = Path(tempfile.mkdtemp(prefix="madcap-", dir=host.WORK_ROOT))
        os.chmod(self.top, 0o755)
        self.work = self.top / "work"
        self.home = self.top / "home"
        self.temporary = self.top / "tmp"
        self._own_directory(self.home)
        self._own_directory(self.temporary)

    def close(self) -> None:
        """Remove the directories of this guest."""
        shutil.rmtree(self.top, ignore_errors=True)

    def sibling(self, kind: str) -> Guest:
        """Return a guest of another *kind* that works in the same directories."""
        twin = Guest.__new__(Guest)
        twin.__dict__.update(self.__dict__)
        twin.kind = kind
        return twin

    def _own_directory(self, path: Path) -> None:
        path.mkdir()
        os.chown(path, self.identity.uid, self.identity.gid)

    def fresh_work(self) -> Path:
        """Empty the working directory."""
        subprocess.run(["rm", "-rf", str(self.work)], check=True)
        self._own_directory(self.work)
        return self.work

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the whole environment of a run; *more* may speak of $WORK."""
        chosen = {
            name: text.replace("$WORK", str(self.work)) for name, text in (more or {}).items()
        }
        return {
            "PATH": host.BASE_PATH,
            "HOME": str(self.home),
            "USER": self.identity.name,
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "TERM": "dumb",
            "TMPDIR": str(self.temporary),
            "WORK": str(self.work),
            "PROJECT": str(self.installation.top),
            "MADCAP_NATIVE": str(int(self.native)),
            **chosen,
        }

    def command(
        self,
        argv: Sequence[str],
        rules: Sequence[str] = (),
        profile: str | None = DEVELOPMENT,
    ) -> list[str]:
        """Return the words that start *argv*: itself, or madcap with its rules before it."""
        if self.mounts:
            return [*_APART, f"{self.mounts}\n{_AS_USER}", "sh", str(self.identity.uid),
                    str(self.identity.gid), *self._command(argv, rules, profile)]  # fmt: skip
        return self._command(argv, rules, profile)

    def _command(self, argv: Sequence[str], rules: Sequence[str], profile: str | None) -> list[str]:
        if self.kind == "native":
            return list(argv)
        words = [self.target]
        if profile is not None:
            words += ["-P", self.installation.rules(profile)]
        for rule in rules:
            words += ["-m", rule]
        return [*words, "--", *argv]

    def run(
        self,
        *argv: str,
        rules: Sequence[str] = (),
        profile: str | None = DEVELOPMENT,
        environment: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        timeout: float = 60,
        log_apart: bool = True,
        fresh: bool = True,
        prepare: Prepare | None = None,
    ) -> Outcome:
        """Run *argv* in a fresh working directory (that *prepare* may fill) and return its outcome.

        Whatever of it is still alive two seconds after it ended is killed, and counted.
        """
        if fresh:
            self.fresh_work()
        if prepare is not None:
            prepare(self.work)
        options: dict[str, Any] = {} if self.mounts else dict(self.identity.spawn_options())
        with tempfile.TemporaryFile() as log:
            if self.kind != "native" and log_apart:
                environment = {"SYD_LOG_FD": str(log.fileno()), **(environment or {})}
                options["pass_fds"] = (log.fileno(),)
            with subprocess.Popen(
                self.command(argv, rules, profile),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=self.work,
                env=self.environment(environment),
                start_new_session=True,
                umask=0o022,
                **options,
            ) as process:
                watch = _Watch(process.pid, timeout)
                out, err = process.communicate(stdin)
                left = watch.finish()
            records = [json.loads(line) for line in _read(log).splitlines()]
        if watch.hung:
            logged = "\n".join(map(summary, records))
            raise AssertionError(f"{self.kind}: {argv!r} hung; {out!r} {err!r} {logged}")
        return Outcome(process.returncode, out, err, records, left)

    def script(self, text: str, **options: Any) -> Outcome:
        """Run the shell script *text* under bash, ending at its first failure."""
        return self.run("/bin/bash", "-euo", "pipefail", "-c", text, **options)

    def python(self, name: str, *arguments: str, **options: Any) -> Outcome:
        """Run the guest program *name* of tests/guest under the system's Python."""
        program = str(self.installation.guest / name)
        return self.run(host.PYTHON, "-I", "-S", program, *arguments, **options)

    def syscall(self, name: str, *arguments: Any, cwd: str | None = None, **options: Any) -> int:
        """Make one raw system call in a guest of its own; return its result or -errno."""
        words = [
            ["bytes", argument.decode("latin-1")] if isinstance(argument, bytes) else argument
            for argument in arguments
        ]
        request = json.dumps({"name": name, "arguments": words, "cwd": cwd})
        outcome = self.python("one_call.py", request, **options)
        assert outcome.status == 0, outcome
        return int(outcome.out)


class Pair:
    """One guest outside and one inside, in the same directories."""

    def __init__(self, native: Guest) -> None:
        self.native = native
        self.inside = native.sibling("madcap")

    def same(self, text: str, *, status: int = 0, **options: Any) -> Outcome:
        """Run the script *text* both ways; require equal output and status, and an empty log."""
        return self._same("script", text, status=status, **options)

    def same_python(self, name: str, *arguments: str, status: int = 0, **options: Any) -> Outcome:
        """Run the guest program *name* both ways, as `same` does."""
        return self._same("python", name, *arguments, status=status, **options)

    def _same(self, how: str, *words: str, status: int, **options: Any) -> Outcome:
        """Compare the two runs of one program."""
        outside: Outcome = getattr(self.native, how)(*words, **options)
        assert outside.status == status, f"the test itself fails outside: {outside}"
        inside: Outcome = getattr(self.inside, how)(*words, **options)
        assert [summary(record) for record in inside.log] == []
        assert inside.err.decode() == outside.err.decode()
        assert inside.out.decode() == outside.out.decode()
        assert (inside.status, inside.left) == (outside.status, outside.left)
        return inside


def summary(record: dict[str, Any]) -> str:
    """Return what a person needs to see of a log record, in one line."""
    names = ("ctx", "cap", "sys", "op", "err", "path", "addr", "unix", "ctl", "msg")
    return " ".join(f"{name}={record[name]}" for name in names if name in record)


def _read(file: Any) -> bytes:
    """Return all that was written to *file*."""
    file.seek(0)
    data: bytes = file.read()
    return data


class _Watch(threading.Thread):
    """Kill a session that takes too long, or whose processes outlive their leader."""

    def __init__(self, leader: int, timeout: float) -> None:
        super().__init__(daemon=True)
        self.leader = leader
        self.timeout = timeout
        self.pidfd = os.pidfd_open(leader)
        self.hung = False
        self.left = 0
        self.start()

    def run(self) -> None:
        """Wait for the leader, then for the others; the pipes of our caller end with the last."""
        ended, _, _ = select.select([self.pidfd], [], [], self.timeout)
        if not ended:
            self.hung = True
            _kill_session(self.leader)
            return
        deadline = time.monotonic() + 2
        while host.session_members(self.leader):
            if time.monotonic() > deadline:
                self.left = _kill_session(self.leader)
                return
            time.sleep(0.01)

    def finish(self) -> int:
        """Return how many processes outlived the leader, all of them being gone now."""
        self.join()
        os.close(self.pidfd)
        return self.left


def _kill_session(session: int) -> int:
    """Kill every process of *session* and return how many there were."""
    members = host.session_members(session)
    for pid in members:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return len(members)
