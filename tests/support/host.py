# SPDX-License-Identifier: GPL-3.0-or-later
"""Find out where and as whom the tests may run a sandbox.

Some facts about the place a sandbox is tested from: an ordinary user must be able to read the
program under test, must not be able to write it, and a rules file is refused below a directory
that others may write. So a run as root works from a copy below /var/lib that root owns, with its
bytecode compiled, as an installed madcap would be; a run as an ordinary user takes the checkout.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

CHECKOUT = Path(__file__).resolve().parents[2]
INSTALLATIONS = Path("/var/lib/madcap-test")
WORK_ROOT = "/var/tmp"
PYTHON = "/usr/bin/python3"
BASE_PATH = "/usr/bin:/bin:/usr/sbin:/sbin"


class Identity(NamedTuple):
    """A user that guests run as."""

    name: str
    uid: int
    gid: int

    def spawn_options(self) -> dict[str, object]:
        """Return the keywords of subprocess that turn a child of ours into this user."""
        if os.geteuid() == self.uid:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def root() -> Identity:
    """Return root."""
    return Identity("root", 0, 0)


def ordinary_user() -> Identity:
    """Return the ordinary user that guests run as: ourselves, or one that root picks.

    Root takes $MADCAP_TEST_USER, then the user `madcap-test` that .ci/run makes, then `nobody`.
    """
    if os.geteuid() != 0:
        return Identity(pwd.getpwuid(os.geteuid()).pw_name, os.geteuid(), os.getegid())
    for name in (os.environ.get("MADCAP_TEST_USER"), "madcap-test", "nobody"):
        if not name:
            continue
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Identity(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise RuntimeError("no ordinary user: set MADCAP_TEST_USER")


def identities() -> list[Identity]:
    """Return everyone a guest can be run as here: an ordinary user, and root when we are root."""
    found = [ordinary_user()]
    if os.geteuid() == 0:
        found.append(root())
    return found


class Installation:
    """What guests see of the project: the program, the guest programs, the rules files."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.madcap = top / "bin" / "madcap"
        self.guest = top / "tests" / "guest"
        self.programs = top / "tests" / "programs"

    def rules(self, name: str) -> str:
        """Return the path of the rules file *name*."""
        return str(self.programs / name)


_PARTS = ("src", "bin", "tests/guest", "tests/programs")


def _fingerprint() -> str:
    """Return a name for the present contents of the parts that are copied."""
    digest = hashlib.sha256()
    for part in _PARTS:
        for path in sorted((CHECKOUT / part).rglob("*")):
            if path.is_file() and path.suffix not in (".pyc", ".so"):
                digest.update(str(path.relative_to(CHECKOUT)).encode() + b"\0")
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _forget_old_installations(keep: Path) -> None:
    """Remove copies that no run has used for a day."""
    for path in INSTALLATIONS.iterdir():
        if path != keep and time.time() - path.stat().st_mtime > 86_400:
            shutil.rmtree(path, ignore_errors=True)


def install() -> Installation:
    """Return an installation that the ordinary user can read and, if we are root, not write."""
    if os.geteuid() != 0:
        return Installation(CHECKOUT)
    target = INSTALLATIONS / _fingerprint()
    INSTALLATIONS.mkdir(mode=0o755, parents=True, exist_ok=True)
    if not target.exists():
        # Made beside it and renamed, so that two runs at once cannot see half of it.
        fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=INSTALLATIONS))
        for part in _PARTS:
            shutil.copytree(
                CHECKOUT / part, fresh / part, ignore=shutil.ignore_patterns("__pycache__", "*.so")
            )
        if shutil.which("cc"):  # Guests choose whether it is used.
            subprocess.run([str(fresh / "bin" / "build-native")], check=True)
        for path in (fresh, *fresh.rglob("*")):
            os.chown(path, 0, 0)
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        # What does not compile is reported by whoever imports it.
        subprocess.run([PYTHON, "-m", "compileall", "-qq", str(fresh / "src")], check=False)
        try:
            fresh.rename(target)
        except OSError:  # Another run was faster; its copy has the same contents.
            shutil.rmtree(fresh)
    os.utime(target)
    _forget_old_installations(target)
    return Installation(target)


def children() -> set[int]:
    """Return the process ids of the children of this process."""
    found: set[int] = set()
    for task in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{task}/children") as listing:
                found.update(int(word) for word in listing.read().split())
        except OSError:  # The thread ended in between.
            continue
    return found


def session_members(session: int) -> set[int]:
    """Return the live processes of *session*."""
    found: set[int] = set()
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", "rb") as stat:
                fields = stat.read().rpartition(b")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] not in (b"Z", b"X"):
            found.add(int(entry))
    return found


def descriptors() -> dict[int, str]:
    """Return what every open descriptor of this process refers to."""
    found: dict[int, str] = {}
    for entry in os.listdir("/proc/self/fd"):
        try:
            found[int(entry)] = os.readlink(f"/proc/self/fd/{entry}")
        except OSError:  # The one that listed the directory.
            continue
    return found
