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

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Final

_TIP: Final = "configure `"
_SWITCHES: Final = ("trace/", "block-")
_LINE_MAX: Final = 1 << 20  # Bytes: a longer one is no record of ours.


class Violation:
    """Something that was refused, or warned of: to whom, what, how often, and the line to add."""

    __slots__ = ("action", "capability", "count", "line", "program", "target")

    def __init__(
        self, program: str, capability: str, target: str, action: str, line: str | None
    ) -> None:
        self.program = program
        self.capability = capability
        self.target = target
        self.action = action
        self.line = line
        self.count = 1

    @property
    def key(self) -> tuple[str, str, str, str, str | None]:
        """What tells two violations apart."""
        return self.program, self.capability, self.target, self.action, self.line


def violations(lines: Iterable[bytes]) -> list[Violation]:
    """Return each violation that *lines* report once, in the order of their first report."""
    found: dict[tuple[str, str, str, str, str | None], Violation] = {}
    for record in records(lines):
        violation = _violation(record)
        if violation is None:
            continue
        known = found.setdefault(violation.key, violation)
        if known is not violation:
            known.count += 1
    return list(found.values())


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
    tip = _text(record.get("tip"))
    line = tip[len(_TIP) :].removesuffix("'") if tip.startswith(_TIP) else None
    if line is not None and not line.startswith(_SWITCHES):
        line = None
    names = record.get("cap")
    if context == "access" and names:
        if action not in actions.BY_NAME or action == "allow":
            return None
        words = names if isinstance(names, list) else [names]
        capability = ",".join([_text(word) for word in words])
        target = _text(record.get("addr") or record.get("unix") or record.get("path"))
        return Violation(program, capability, target, action, _line(capability, target))
    if line is None or context in ("filter_env", "log"):
        return None
    target = _text(record.get("addr") or record.get("unix") or record.get("path"))
    return Violation(program, context, target, action or "deny", line)


def _line(capability: str, target: str) -> str | None:
    """Return the rule that allows *capability* on *target*, as it has to be written."""
    try:
        mask = categories.parse_list(capability)
    except PolicyError:
        return None
    name = name_of(target)
    if name is not None:
        return advice.rule("allow", mask, name)
    try:
        found = endpoint(target.encode("utf-8", "surrogateescape"))
    except UsageError:
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
