# SPDX-License-Identifier: GPL-3.0-or-later
"""Sandboxes to give commands to, and what becomes of the commands."""

from __future__ import annotations

from pathlib import Path

import madcap.policy
from madcap.errors import PolicyError
from madcap.policy.sandbox import Host, Sandbox

PROFILES = Path(madcap.policy.__file__).parent / "profiles"


def profile(name: str) -> str | None:
    """Return the text of a built-in profile."""
    path = PROFILES / f"{name}.rules"
    return path.read_text() if path.exists() else None


def make() -> Sandbox:
    """Return a sandbox of an ordinary user before any command."""
    environ = {
        b"HOME": b"/home/u",
        b"USER": b"u",
        b"FOO": b"bar",
        b"P": b"~/x",
        b"EMPTY": b"",
        b"RAW": b"\xff",
        b"SYD_GID": b"100",
        b"SYD_HOME": b"/home/u",
        b"SYD_PWD": b"/home/u/work",
        b"SYD_HAVE_FORCE": b"1",
        b"SYD_HAVE_SO_PASSRIGHTS": b"1",
    }
    return Sandbox(environ, Host(uid=1000, gid=100, passrights=True), profile)


def errno_of(box: Sandbox, command: str) -> int:
    """Carry out *command* and return the errno it is refused with, 0 when it is not."""
    refusal = None
    try:
        box.execute(command, ("test", 1))
    except PolicyError as error:
        refusal = error
    if refusal is None:
        return 0
    assert refusal.origin is not None
    assert str(refusal)
    return refusal.errno
