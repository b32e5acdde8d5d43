# SPDX-License-Identifier: GPL-3.0-or-later
"""``madcap-check``: read rules files as a run would, run nothing, and say what is wrong."""

from __future__ import annotations

import errno
import os

from madcap import events
from madcap.cli import complaint, environment
from madcap.cli.options import Scanner
from madcap.cli.usage import COMMON, Option
from madcap.errors import PolicyError, UsageError
from madcap.explain import screen
from madcap.explain.recorded import Recorded, is_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from madcap.errors import Origin

OPTIONS: Final = (
    Option("e", None, "VAR=VALUE", "set a variable that the files refer to"),
    Option("j", "json", None, "print one JSON object instead of text"),
    *COMMON,
)
USAGE: Final = "madcap-check [-jhV] [-e VAR=VALUE] [--] FILE..."
PURPOSE: Final = "Read rules files without running anything, and say what is wrong with them."
STATUSES: Final = (
    (0, "nothing is wrong"),
    (1, "a file has an error, or a rule that can never decide"),
    (128, "the command line is wrong"),
)


class Shadowed:
    """A rule that never decides: where it stands, and where those stand that answer first."""

    __slots__ = ("by", "origin", "text")

    def __init__(self, origin: Origin, text: str, by: list[tuple[Origin, str]]) -> None:
        self.origin = origin
        self.text = text
        self.by = by


class Findings:
    """What is wrong with one file."""

    __slots__ = ("errors", "path", "shadowed", "unbuilt")

    def __init__(self, path: bytes) -> None:
        self.path = path
        self.errors: list[PolicyError] = []
        self.shadowed: list[Shadowed] = []
        self.unbuilt: str | None = None

    @property
    def fine(self) -> bool:
        """Whether there is nothing to say."""
        return not (self.errors or self.shadowed or self.unbuilt)


def main(argv: list[bytes], environ: dict[bytes, bytes]) -> int:
    """Run the command line *argv* and return the exit status. Never raises."""
    return screen.guarded("madcap-check", lambda: _main(argv[1:], environ))


def _main(words: list[bytes], environ: dict[bytes, bytes]) -> int:
    environment.forget_internal(environ)
    scanner = Scanner(words, *screen.tables(OPTIONS))
    as_json = False
    while (option := scanner.next()) is not None:
        if option in ("h", "V"):
            return screen.answer(option, USAGE, PURPOSE, OPTIONS, STATUSES)
        if option == "e":
            name, equals, value = scanner.value().partition(b"=")
            if not name or not equals:
                raise UsageError("option '-e' wants VAR=VALUE")
            environ[name] = value
        else:
            as_json = True
    files = scanner.rest()
    if not files:
        raise UsageError("no file was given")
    found = [check(path, dict(environ)) for path in files]
    if as_json:
        screen.write_json({"files": [_as_json(each) for each in found]})
    else:
        for each in found:
            _print(each)
    return 0 if all(each.fine for each in found) else 1


def check(path: bytes, environ: dict[bytes, bytes]) -> Findings:
    """Return what is wrong with the file *path*, read under the variables *environ*."""
    findings = Findings(path)
    log, events.fd = events.fd, -1
    box = Recorded(environ)
    try:
        box.read_file(path, (events.printable(path), 0))
        box.derive()
        findings.unbuilt = _unbuilt(box)
    except PolicyError as error:
        findings.errors = [error, *error.also]
        error.also = []
    except OSError as error:
        number = error.errno or errno.EIO
        findings.errors = [PolicyError(number, str(error.strerror), (events.printable(path), 0))]
    finally:
        events.fd = log
    findings.shadowed = _shadowed(box)
    return findings


def _unbuilt(box: Recorded) -> str | None:
    """Return what a run with this configuration would refuse to start for."""
    from madcap.confine.plan import unbuilt

    return unbuilt(box)


def _shadowed(box: Recorded) -> list[Shadowed]:
    """Return the rules that never decide in any of the domains they are in."""
    from madcap.explain.shadow import dead_rules

    later: dict[Origin, set[Origin]] = {}
    alive: set[Origin | None] = set()
    for domain in box.domains.values():
        dead = dead_rules(domain)
        for origin, by in dead.items():
            later.setdefault(origin, set()).update(by)
        present = [rule.origin for rule in (*domain.rules, *domain.masks)]
        present += [rule.origin for rule in domain.net_rules]
        present += [rule.origin for rule in domain.fs_rules]
        alive.update(origin for origin in present if origin not in dead)
    return [
        Shadowed(
            origin,
            box.texts.get(origin, ""),
            [(place, box.texts.get(place, "")) for place in sorted(later[origin])],
        )
        for origin in sorted(later)
        if origin not in alive and is_file(origin)
    ]


def _print(found: Findings) -> None:
    """Print what is wrong with a file, for people."""
    name = complaint.shown(os.fsdecode(found.path))
    for error in found.errors:
        error.also = []
        for line in complaint.lines(error, "madcap-check"):
            screen.say(line)
    for rule in found.shadowed:
        screen.say(f"madcap-check: {screen.place(rule.origin)}: never decides: {rule.text}")
        for origin, text in rule.by:
            screen.say(f"    {screen.place(origin)} answers first: {text}")
        if not rule.by:
            screen.say("    its pattern matches nothing")
    if found.unbuilt:
        screen.say(f"madcap-check: {name}: madcap cannot enforce this yet: {found.unbuilt}")
    if found.fine:
        screen.say(f"madcap-check: {name}: nothing is wrong")


def _as_json(found: Findings) -> dict[str, object]:
    """Return what is wrong with a file, for programs. Lines and columns count from 1."""
    return {
        "file": os.fsdecode(found.path),
        "ok": found.fine,
        "errors": [
            {
                **screen.place_as_json(error.origin),
                "column": None if error.column is None else error.column + 1,
                "errno": error.errno,
                "message": error.message,
                "expected": error.expected,
                "text": error.text,
            }
            for error in found.errors
        ],
        "shadowed": [
            {
                **screen.place_as_json(rule.origin),
                "rule": rule.text,
                "by": [{**screen.place_as_json(origin), "rule": text} for origin, text in rule.by],
            }
            for rule in found.shadowed
        ],
        "unsupported": found.unbuilt,
    }
