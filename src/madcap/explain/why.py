# SPDX-License-Identifier: GPL-3.0-or-later
"""``madcap-why``: which line allows or denies something, and which line would change that.

The options are those of madcap, so that a question is put to the same configuration as a run.
"""

from __future__ import annotations

import os

from madcap import events
from madcap.cli import complaint, environment
from madcap.cli.main import Invocation, apply_settings
from madcap.cli.options import Scanner
from madcap.cli.session import Session
from madcap.cli.usage import COMMON, Option
from madcap.errors import MadcapError, UsageError
from madcap.explain import screen
from madcap.explain.question import Answer, Asker
from madcap.explain.recorded import Recorded, is_file
from madcap.policy import actions, categories, lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Final

    from madcap.explain.log import Violation
    from madcap.policy.domain import Domain

OPTIONS: Final = (
    Option("p", "profile", "NAME", "apply a built-in profile, as madcap does"),
    Option("P", None, "FILE", "apply a rules file, as madcap does"),
    Option("m", None, "COMMAND", "carry out one command, as madcap does"),
    Option("e", None, "VAR=VALUE", "set, pass or unset a variable, as madcap does"),
    Option("t", None, "DURATION", "set the timeout, as madcap does"),
    Option("x", None, None, "apply the profile `trace', as madcap does"),
    Option("f", None, None, "apply the profile `user' last, as madcap does"),
    Option("l", "login", None, "the same as -f"),
    Option("d", "domain", "NAME", "ask this domain instead of the active one"),
    Option(None, "log", "FILE", "explain each violation in a log (- is standard input)"),
    Option("j", "json", None, "print one JSON object instead of text"),
    *COMMON,
)
USAGE: Final = "madcap-why [-fhjlxV] [-epPmtd VALUE] CAPABILITY TARGET | --log FILE"
PURPOSE: Final = "Say which line of a policy allows or denies something, and which would change it."
STATUSES: Final = (
    (0, "it is allowed, or the log was explained"),
    (1, "it is denied"),
    (128, "the command line, the configuration or the question is wrong"),
)
# The names of things themselves; all other capabilities follow a link to what it names.
_OF_NAMES: Final = (
    categories.CREATE
    | categories.DELETE
    | categories.RENAME
    | categories.READLINK
    | categories.SYMLINK
    | categories.MKDIR
    | categories.RMDIR
    | categories.MKBDEV
    | categories.MKCDEV
    | categories.MKFIFO
    | categories.WALK
    | categories.LIST
)


def main(argv: list[bytes], environ: dict[bytes, bytes]) -> int:
    """Run the command line *argv* and return the exit status. Never raises."""
    return screen.guarded("madcap-why", lambda: _main(argv[1:], environ))


class Question(Invocation):
    """One pass over the options of a question."""

    __slots__ = ("as_json", "domain", "given", "log", "report")

    def __init__(self, session: Session, scanner: Scanner) -> None:
        super().__init__(session, scanner)
        self.as_json = False
        self.given = False  # Whether there is a configuration to ask.
        self.domain: str | None = None
        self.log: bytes | None = None
        self.report: str | None = None

    def options(self) -> None:
        """Carry out all options, in their order, up to one that asks for a report."""
        while self.report is None:
            option = self.scanner.next()
            if option is None:
                return
            self.counts[option] = self.counts.get(option, 0) + 1
            if option in ("h", "V"):
                self.report = option
            elif option == "j":
                self.as_json = True
            elif option == "d":
                self.domain = self.scanner.text().removeprefix("@")
            elif option == "log":
                self.log = self.scanner.value()
            elif option in ("f", "l"):
                self.given = self.wants_user = True
            else:
                self.given = True
                self._configure(option)


def _main(words: list[bytes], environ: dict[bytes, bytes]) -> int:
    events.fd = -1
    environment.forget_internal(environ)
    session = Session(environ, Recorded)
    question = Question(session, Scanner(words, *screen.tables(OPTIONS)))
    apply_settings(session)
    question.options()
    if question.report is not None:
        return screen.answer(question.report, USAGE, PURPOSE, OPTIONS, STATUSES)
    box = session.sandbox
    assert isinstance(box, Recorded)  # noqa: S101 - what the session was made with.
    if question.wants_user and not box.user_parsed and not box.locked:
        session.profile("user", "login")
    box.derive()
    closes = box.lock is not None and box.lock >= lock.DROP
    box.start()
    domain = _domain(box, question.domain)
    operands = question.scanner.rest()
    if question.log is not None:
        if operands:
            raise UsageError("--log takes no CAPABILITY and TARGET")
        asker = Asker(box, domain) if question.given else None
        return _explain_log(question.log, asker, question.as_json)
    if len(operands) != 2:
        raise UsageError("CAPABILITY and TARGET are wanted")
    capability = operands[0].decode("utf-8", "replace")
    target = operands[1]
    if capability == "exec" and b"/" not in target:
        target = _program(target, environ)
    target, notes = _resolved(capability, target)
    if not question.given:
        notes.append("no option was given: a sandbox without rules allows nothing")
    answer = Asker(box, domain).ask(capability, target)
    answer.notes[:0] = notes
    if closes:
        answer.notes.append("the configuration locks itself: a line to add has to come before that")
    if question.as_json:
        screen.write_json(as_json(answer))
    else:
        for line in text_of(answer):
            screen.say(line)
    return 0 if answer.allowed else 1


def _domain(box: Recorded, name: str | None) -> Domain:
    """Return the domain called *name*, or the active one."""
    if name is None:
        return box.active
    domain = box.domains.get(name)
    if domain is None:
        raise UsageError(f"no domain is called {name!r}")
    return domain


def _program(name: bytes, environ: dict[bytes, bytes]) -> bytes:
    """Return where the program *name* is found, as a shell would; else the name itself."""
    for directory in environ.get(b"PATH", b"").split(b":"):
        path = os.path.join(directory, name)
        if directory.startswith(b"/") and os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
    return name


def _resolved(capability: str, target: bytes) -> tuple[bytes, list[str]]:
    """Return *target* as a sandbox names it: absolute, and through the links it goes through.

    What is below /proc is left alone: /proc/self would be ourselves.
    """
    mask = categories.MASKS.get(capability.partition(",")[0], 0)
    if mask & ~categories.RULES or b"!" in target or target[:1] == b"@":
        return target, []
    if target[:1] != b"/" and mask & categories.NETWORK and not mask & ~categories.NETWORK:
        return target, []
    given = os.path.normpath(os.path.join(os.getcwdb(), target))
    given = b"/" + given.lstrip(b"/")
    if given.startswith(b"/proc/"):
        return given, []
    if mask & _OF_NAMES and not mask & ~_OF_NAMES and given != b"/":
        head, tail = os.path.split(given)
        real = os.path.join(os.path.realpath(head), tail)
    else:
        real = os.path.realpath(given)
    if real == given:
        return given, []
    return real, [f"{os.fsdecode(given)} leads to {os.fsdecode(real)}"]


def text_of(answer: Answer) -> Iterator[str]:
    """Yield what to tell people about *answer*."""
    names = ",".join(categories.names_of(answer.mask))
    where = "" if answer.domain == "default" else f" in the domain {answer.domain}"
    verdict = "allowed" if answer.allowed else "denied"
    yield f"{names} {answer.target}: {verdict}{where}"
    for note in answer.notes:
        yield f"  note: {note}"
    for reason in answer.reasons:
        about = ",".join(categories.names_of(reason.mask))
        said = actions.NAMES[reason.action]
        if reason.by == "off":
            said = "not looked at"
        yield f"  {about}: {said}, by {reason.text}  [{screen.place(reason.origin)}]"
    if not answer.change:
        yield "  no line can change that"
        return
    word = "deny" if answer.allowed else "allow"
    yield f"  to {word} it, add as the last line{_file_of(answer)}:"
    for line in answer.change:
        yield f"    {line}"


def _file_of(answer: Answer) -> str:
    """Return in which file a line would take effect, if one is known."""
    for reason in answer.reasons:
        if reason.origin is not None and is_file(reason.origin):
            return f" of {reason.origin[0]}"
    return ""


def as_json(answer: Answer) -> dict[str, object]:
    """Return *answer* for programs."""
    return {
        "capability": categories.names_of(answer.mask),
        "target": answer.target,
        "domain": answer.domain,
        "allowed": answer.allowed,
        "verdict": actions.NAMES[answer.action],
        "reasons": [
            {
                "capability": categories.names_of(reason.mask),
                "verdict": actions.NAMES[reason.action],
                "by": reason.by,
                "rule": reason.text,
                **screen.place_as_json(reason.origin),
            }
            for reason in answer.reasons
        ],
        "change": {"to": "deny" if answer.allowed else "allow", "lines": answer.change},
        "notes": answer.notes,
    }


def _explain_log(path: bytes, asker: Asker | None, wants_json: bool) -> int:
    """Print each violation in the log *path* once; *asker* knows the configuration of its run."""
    from madcap.explain.log import bounded, survey

    if path == b"-":
        with open(0, "rb", closefd=False) as file:
            found, lost = survey(bounded(file))
    else:
        with open(path, "rb") as file:
            found, lost = survey(bounded(file))
    reasons = [_reason(asker, violation) for violation in found]
    if wants_json:
        screen.write_json({"violations": _log_as_json(found, reasons), "lost": lost})
        return 0
    if lost:
        screen.say(f"note: {lost} records were lost, as nobody read the log in time")
    if not found:
        screen.say("no violations")
        return 0
    head = ["times", "program", "capability", "target", "verdict", "line to add"]
    rows = [
        [
            str(each.count),
            os.path.basename(each.program),
            each.capability,
            each.target,
            each.action,
            each.line or "-",
        ]
        for each in found
    ]
    if asker is not None:
        head.insert(5, "decided by")
        for row, reason in zip(rows, reasons, strict=True):
            row.insert(5, "-" if reason is None else _decided(reason))
    for line in table(head, rows):
        screen.say(line)
    return 0


def _reason(asker: Asker | None, violation: Violation) -> Answer | None:
    """Return the answer of the configuration about *violation*, if it can be asked about it."""
    if asker is None:
        return None
    from madcap.explain.log import name_of

    name = name_of(violation.target)
    target = violation.target.encode("utf-8", "surrogateescape") if name is None else name
    try:
        return asker.ask(violation.capability, target)
    except MadcapError:
        return None


def _decided(answer: Answer) -> str:
    """Return the line that decided, in short."""
    first = answer.reasons[0]
    if first.allowed:
        return "allowed by this configuration"
    return screen.place(first.origin) if first.origin is not None else first.text


def _log_as_json(
    found: Sequence[Violation], reasons: Sequence[Answer | None]
) -> list[dict[str, object]]:
    return [
        {
            "program": each.program,
            "capability": each.capability.split(","),
            "target": each.target,
            "verdict": each.action,
            "count": each.count,
            "line": each.line,
            "answer": None if reason is None else as_json(reason),
        }
        for each, reason in zip(found, reasons, strict=True)
    ]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield *rows* below *head* in columns; the last one is not padded."""
    shown = [[complaint.shown(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in shown) for column in range(len(head))]
    for number, row in enumerate(shown):
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)]
        yield "  ".join([*cells, row[-1]])
        if number == 0:
            yield "  ".join(["-" * width for width in widths])
