# SPDX-License-Identifier: GPL-3.0-or-later
"""A run's log: what was refused to which program, each once, and the line that would allow it.

What a log holds was named by guests, and where it goes the same way as the standard error of a
guest, a guest may even write records of its own. So nothing of it is printed as it stands (see
`complaint.shown`), lines to add are made here from what was refused, with nothing in them that
matches more, and advice in a record counts only where it names one switch.
"""

from __future__ import annotations

from madcap.errors import PolicyError, UsageError
from madcap.explain import advice
from madcap.explain.question import endpoint
from madcap.policy import actions, categories
from madcap.policy.address import ip_text
from madcap.policy.glob import is_literal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO, Final

_TIP: Final = "configure `"
_SWITCHES: Final = ("trace/", "block-")
_LINE_MAX: Final = 1 << 20  # Bytes: a longer one is no record of ours.


class Violation:
    """What was refused, or warned of: to whom, with what, how often, and the line to add.

    Refusals of one program that are about one target are one violation.
    """

    __slots__ = ("_line", "action", "context", "count", "mask", "program", "target")

    def __init__(
        self, program: str, context: str, mask: int, target: str, action: str, line: str | None
    ) -> None:
        self.program = program
        self.context = context
        self.mask = mask
        self.target = target
        self.action = action
        self.count = 1
        self._line = line

    @property
    def key(self) -> tuple[str, str, str, str | None, int]:
        """What tells two violations apart."""
        own = self.mask & ~categories.RULES
        return self.program, self.target, self.action, self._line, own

    @property
    def capability(self) -> str:
        """What was asked for, as rules name it, or else the subject of the record."""
        return ",".join(categories.names_of(self.mask)) or self.context

    @property
    def line(self) -> str | None:
        """The line that allows it, if there is one."""
        return rule_for(self.mask, self.target) if self.mask else self._line


def violations(lines: Iterable[bytes]) -> list[Violation]:
    """Return the violations that *lines* report, in the order of their first report."""
    return survey(lines)[0]


def survey(lines: Iterable[bytes]) -> tuple[list[Violation], int]:
    """Return the violations that *lines* report, and how many records they say were lost."""
    found: dict[tuple[str, str, str, str | None, int], Violation] = {}
    lost = 0
    for record in records(lines):
        count = record.get("count")
        if record.get("ctx") == "log" and record.get("op") == "lost" and isinstance(count, int):
            lost += count
        violation = _violation(record)
        if violation is None:
            continue
        known = found.setdefault(violation.key, violation)
        if known is not violation:
            known.count += 1
            known.mask |= violation.mask
    return list(found.values()), lost


def bounded(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of *file*; of one that no record can be as long as, nothing."""
    long = False
    while line := file.readline(_LINE_MAX):
        ends = line.endswith(b"\n")
        if not long and (ends or len(line) < _LINE_MAX):
            yield line
        long = not ends


def records(lines: Iterable[bytes]) -> Iterator[dict[str, object]]:
    """Yield the JSON objects among *lines*, on one line each or laid out for a terminal."""
    import json

    held: list[bytes] = []
    size = 0
    for raw in lines:
        line = raw.rstrip(b"\r\n")
        if held:
            held.append(line)
            size += len(line)
            if line == b"}":
                line, held = b"\n".join(held), []
            elif size > _LINE_MAX:
                held = []
                continue
            else:
                continue
        elif line == b"{":
            held, size = [line], 0
            continue
        if not line.startswith(b"{") or len(line) > _LINE_MAX:
            continue
        try:
            record = json.loads(line.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            yield record


def _violation(record: dict[str, object]) -> Violation | None:
    """Return what *record* reports, or None when that is no violation."""
    context = _text(record.get("ctx"))
    action = _text(record.get("act"))
    program = _text(record.get("cmd") or record.get("exe")).partition(" ")[0] or "?"
    target = _text(record.get("addr") or record.get("unix") or record.get("path"))
    names = record.get("cap")
    if context == "access" and names:
        mask = _mask(names)
        if mask == 0 or action not in actions.BY_NAME or action == "allow":
            return None
        if mask == categories.FS:
            target = _text(record.get("fs"))
        elif mask == categories.IOCTL:
            target = _request(record.get("ctl"))
        return Violation(program, context, mask, target, action, None)
    tip = _text(record.get("tip"))
    line = tip[len(_TIP) :].removesuffix("'") if tip.startswith(_TIP) else ""
    if not line.startswith(_SWITCHES) or context in ("filter_env", "log"):
        return None
    return Violation(program, context, 0, target, action or "deny", line)


def _mask(names: object) -> int:
    """Return the categories that a record names, 0 when it names no such thing."""
    words = names if isinstance(names, list) else [names]
    try:
        return categories.parse_list(",".join([_text(word) for word in words]))
    except PolicyError:
        return 0


def _request(value: object) -> str:
    """Return the name of the ioctl request in a record, or its number."""
    if isinstance(value, list) and value:
        return _text(value[0])
    return hex(value) if isinstance(value, int) else _text(value)


def rule_for(mask: int, target: str) -> str | None:
    """Return the rule that allows the categories *mask* on *target*, and nothing more."""
    names = ",".join(categories.names_of(mask))
    try:
        if mask == categories.FS:
            from madcap.policy import fsmagic

            return f"allow/fs+{target}" if len(fsmagic.parse_list(target)) < 8 else None
        if mask == categories.IOCTL:
            from madcap.policy.ioctls import requests_of

            literal = is_literal(target.encode()) and "," not in target
            return f"allow/{names}+{target}" if literal and requests_of(target) else None
        name = name_of(target)
        if name is not None:
            return advice.rule("allow", mask, name) if not mask & ~categories.RULES else None
        found = endpoint(target.encode("utf-8", "surrogateescape"))
    except (PolicyError, UsageError):
        return None
    if found is None or mask & ~categories.NETWORK:
        return None
    protocol, address, port = found
    return advice.network_rule("allow", mask, protocol, ip_text(address), port)


def name_of(target: str) -> bytes | None:
    """Return the bytes of a name in a record, where odd ones are in hex; None for an address."""
    if target[:1] in ("/", "@", "!"):
        return target.encode("utf-8", "surrogateescape")
    try:
        name = bytes.fromhex(target)
    except ValueError:
        return None
    return name if name[:1] in (b"/", b"@", b"!") else None


def _text(value: object) -> str:
    """Return *value* of a record as text."""
    return value if isinstance(value, str) else "" if value is None else str(value)
