# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules that can never decide, since for all they match a later one answers first.

Only what is certain is reported: for every category of the rule there is one later rule, as it was
typed, that matches whatever it matches. Most rules are seen to be alive at once, by a text that
they are the newest to match; the exact test is for those few where no such text was found.
"""

from __future__ import annotations

from madcap.explain import cover
from madcap.policy import glob
from madcap.policy.address import base_of
from madcap.policy.rules import Index

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Final

    from madcap.errors import Origin
    from madcap.policy.address import NetRule
    from madcap.policy.domain import Domain
    from madcap.policy.rules import Rule

    # Where a rule stands that never decides, and where those stand that answer first.
    Dead = dict[Origin, set[Origin]]

_TESTS_MAX: Final = (
    50_000  # Exact tests of one list: a file that needs more is not written by hand.
)


class Statement:
    """The rules that one line made: a pattern may be stored as two."""

    __slots__ = ("forms", "globs", "mask", "origin", "texts")

    def __init__(self, origin: Origin | None, mask: int) -> None:
        self.origin = origin
        self.mask = mask
        self.forms: list[cover.Form] = []
        self.globs: list[glob.Glob | None] = []
        self.texts: list[bytes] = []  # Some texts that the line matches.

    def add(self, rule: Rule) -> None:
        """Take in one of the rules."""
        self.forms.append((rule.pattern, rule.method))
        self.globs.append(glob.Glob(rule.pattern) if rule.method == glob.GLOB else None)
        self.texts += samples(rule.pattern, rule.method)

    def matches(self, text: bytes) -> bool:
        """Tell whether *text* is matched."""
        for (pattern, method), compiled in zip(self.forms, self.globs, strict=True):
            if compiled.match(text) if compiled else glob.matches(pattern, method, text):
                return True
        return False

    def covered_by(self, other: Statement) -> bool:
        """Tell whether *other* certainly matches whatever this one does."""
        if not all(other.matches(text) for text in self.texts):
            return False
        return all(cover.covers(other.forms, form) for form in self.forms)


def samples(pattern: bytes, method: int) -> list[bytes]:
    """Return texts that *pattern* matches: a short one, and one that fills its stars."""
    if method == glob.LITERAL:
        return [pattern]
    if method == glob.PREFIX:
        below = pattern if pattern.endswith(b"/") else pattern + b"/"
        return [text for text in (pattern, below + b"\x7e0/\x7e1") if text]
    made = (_filled(pattern, b"", b""), _filled(pattern, b"\x7e0", b"\x7e1/\x7e2/"))
    compiled = glob.Glob(pattern)
    return [text for text in made if compiled.match(text)]


def _filled(pattern: bytes, narrow: bytes, wide: bytes) -> bytes:
    """Return *pattern* with its stars replaced, and one byte for each class."""
    text = b""
    index = 0
    while index < len(pattern):
        byte = pattern[index]
        if byte == 0x2A:
            end = index
            while pattern[end : end + 1] == b"*":
                end += 1
            text += narrow if end == index + 1 else wide
            if end > index + 1 and pattern[index - 1 : index] == b"/" == pattern[end : end + 1]:
                end += 1
            index = end
        elif byte == 0x5C:
            text += pattern[index + 1 : index + 2]
            index += 2
        elif byte == 0x5B:
            test, index = glob.parse_class(pattern, index)
            text += bytes((test if isinstance(test, int) else min(test, default=0),))
        else:
            text += b"x" if byte == 0x3F else bytes((byte,))
            index += 1
    return text


def dead_rules(domain: Domain) -> Dead:
    """Return the rules and masks of *domain* that never decide, and which lines answer first.

    There is no such line where a pattern matches nothing, such as ``/x[[:no:]]``.
    """
    found = _dead_names(domain.rules)
    found.update(_dead_names(domain.masks))
    found.update(_dead_networks(domain.net_rules))
    newest: dict[int, Origin | None] = {}
    alive: set[Origin | None] = set()
    pairs: Dead = {}
    for rule in reversed(domain.fs_rules):
        later = newest.setdefault(rule.magic, rule.origin)
        if later == rule.origin:
            alive.add(rule.origin)
        elif rule.origin is not None and later is not None:
            pairs.setdefault(rule.origin, set()).add(later)
    found.update({origin: later for origin, later in pairs.items() if origin not in alive})
    return found


def _statements(rules: Sequence[Rule]) -> list[Statement]:
    """Return the lines that made *rules*, in their order."""
    found: list[Statement] = []
    for rule in rules:
        last = found[-1] if found else None
        if (
            last is None
            or rule.origin is None
            or (last.origin, last.mask)
            != (
                rule.origin,
                rule.mask,
            )
        ):
            last = Statement(rule.origin, rule.mask)
            found.append(last)
        last.add(rule)
    return found


def _bits(mask: int) -> Iterable[int]:
    """Return the categories of *mask*; that of masked files, which have none, stands for itself."""
    if mask < 0:
        return (mask,)
    return [1 << bit for bit in range(mask.bit_length()) if mask >> bit & 1]


def _dead_names(rules: Sequence[Rule]) -> Dead:
    """Return the rules about names that never decide."""
    index = Index(rules)
    statements = _statements(rules)
    places: dict[int, int] = {}  # Of a rule, by its identity, the number of its statement.
    position = 0
    for number, statement in enumerate(statements):
        for _ in statement.forms:
            places[id(rules[position])] = number
            position += 1
    found: Dead = {}
    budget = _TESTS_MAX
    for number, statement in enumerate(statements):
        if statement.origin is None:
            continue
        if not statement.texts and all(cover.covers((), form) for form in statement.forms):
            found[statement.origin] = set()  # The pattern matches nothing at all.
            continue
        later: set[Origin] = set()
        for bit in _bits(statement.mask):
            first = [_newest(index, places, bit, text) for text in statement.texts]
            if not first or number in first:
                break  # It decides about that text.
            # The newest to match one of the texts is the likely one; then all others.
            rest = range(len(statements) - 1, number, -1)
            for other in dict.fromkeys((*first, *rest)):
                candidate = statements[other]
                if candidate.origin is None or not candidate.mask & bit or other <= number:
                    continue
                budget -= 1
                if budget < 0:
                    return found
                if statement.covered_by(candidate):
                    later.add(candidate.origin)
                    break
            else:
                break  # Nothing that certainly covers it.
        else:
            found[statement.origin] = later
    return found


def _newest(index: Index, places: dict[int, int], bit: int, text: bytes) -> int:
    """Return the number of the statement that decides about *text* for the category *bit*."""
    rules, _ = index.find(bit, text)
    return places[id(rules[0])] if rules else -1


def _dead_networks(rules: Sequence[NetRule]) -> Dead:
    """Return the rules about networks that never decide."""
    by_network: dict[tuple[int, int, int], list[NetRule]] = {}
    alive: set[Origin | None] = set()
    found: Dead = {}
    for rule in reversed(rules):
        later = _wider(by_network, rule)
        if later is None or rule.origin is None:
            alive.add(rule.origin)
        else:
            found.setdefault(rule.origin, set()).update(later)
        by_network.setdefault(base_of(rule.network), []).append(rule)
    return {origin: later for origin, later in found.items() if origin not in alive}


def _wider(
    by_network: dict[tuple[int, int, int], list[NetRule]], rule: NetRule
) -> set[Origin] | None:
    """Return where rules stand that match all that *rule* does, one for each of its categories."""
    size, address, prefix = rule.network
    left = rule.mask
    found: set[Origin] = set()
    for length in range(prefix + 1):
        for other in by_network.get(base_of((size, address, length)), ()):
            if (
                other.mask & left
                and other.origin is not None
                and other.origin != rule.origin
                and other.protocol in (None, rule.protocol)
                and all(
                    any(low <= first and last <= high for low, high in other.ports)
                    for first, last in rule.ports
                )
            ):
                found.add(other.origin)
                left &= ~other.mask
    return None if left else found
