# SPDX-License-Identifier: GPL-3.0-or-later
"""The slow and obvious way to do what `glob` and `domain` do fast; only tests come here."""

from __future__ import annotations

from madcap.policy import glob

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from madcap.policy.rules import Rule


def matches(pattern: bytes, method: int, text: bytes) -> bool:
    """Tell whether a stored *pattern* matches *text*, reading the rule from left to right."""
    if method == glob.LITERAL:
        return pattern == text
    if method == glob.PREFIX:
        rest = text[len(pattern) :]
        return text.startswith(pattern) and (
            not rest or pattern.endswith(b"/") or rest.startswith(b"/")
        )
    return glob_matches(pattern, text)


def glob_matches(pattern: bytes, text: bytes) -> bool:
    """Tell whether the glob *pattern* matches the whole of *text*.

    All places in the text that the pattern read so far can end at are carried along.
    """
    places = {0}
    index = 0
    while index < len(pattern):
        byte = pattern[index : index + 1]
        if byte == b"*":
            end = index
            while pattern[end : end + 1] == b"*":
                end += 1
            if end == index + 1:
                places = _narrow(places, text)
            elif pattern[index - 1 : index] == b"/" and pattern[end : end + 1] == b"/":
                end += 1
                places = _wide(places, text) if end == len(pattern) else _components(places, text)
            else:
                places = _wide(places, text)
            index = end
            continue
        accepted: Iterable[int]
        if byte == b"?":
            accepted, index = glob.ANY, index + 1
        elif byte == b"\\":
            accepted, index = pattern[index + 1 : index + 2], index + 2
        elif byte == b"[":
            member, index = glob.parse_class(pattern, index)
            accepted = (member,) if isinstance(member, int) else member
        else:
            accepted, index = byte, index + 1
        allowed = set(accepted)
        places = {place + 1 for place in places if place < len(text) and text[place] in allowed}
    return len(text) in places


def _narrow(places: set[int], text: bytes) -> set[int]:
    reached = set(places)
    for place in places:
        end = place
        while end < len(text) and text[end] != glob.SLASH:
            end += 1
            reached.add(end)
    return reached


def _wide(places: set[int], text: bytes) -> set[int]:
    return set(range(min(places), len(text) + 1)) if places else set()


def _components(places: set[int], text: bytes) -> set[int]:
    if not places:
        return places
    start = min(places)
    return places | {end + 1 for end in range(start, len(text)) if text[end] == glob.SLASH}


def decide(
    rules: Sequence[Rule], defaults: Sequence[int], enabled: int, wanted: int, text: bytes
) -> tuple[int, int]:
    """Return the action for *wanted* on *text* and the enabled part; *rules* are oldest first."""
    left = asked = wanted & enabled
    action = 0
    for rule in reversed(rules):
        if rule.mask & left and text and matches(rule.pattern, rule.method, text):
            action = max(action, rule.action)
            left &= ~rule.mask
    for bit, default in enumerate(defaults):
        if left >> bit & 1:
            action = max(action, default)
    return action, asked
