# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about names, and the index that finds the ones a text can match.

A path rule can only match a text below the directory its literal head ends in. So a text is looked
up once as a whole, and once for each directory above it, and only what hangs there is tried. The
rules of all categories share one list, and a rule with a higher number is newer and wins.
"""

from __future__ import annotations

from madcap.policy.glob import GLOB, LITERAL, Glob, head_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from madcap.errors import Origin


class Rule:
    """One access rule: what it answers, for which categories, on which names, and who said so."""

    __slots__ = ("action", "mask", "method", "origin", "pattern")

    def __init__(
        self, action: int, mask: int, pattern: bytes, method: int, origin: Origin | None
    ) -> None:
        self.action = action
        self.mask = mask
        self.pattern = pattern
        self.method = method
        self.origin = origin

    def copy(self) -> Rule:
        """Return a rule like this one that may change on its own."""
        return Rule(self.action, self.mask, self.pattern, self.method, self.origin)


class Mask(Rule):
    """Files to be shown in place of those a pattern matches; None stands for /dev/null."""

    __slots__ = ("directory", "target")

    def __init__(
        self,
        pattern: bytes,
        method: int,
        target: bytes | None,
        directory: bytes | None,
        origin: Origin | None,
    ) -> None:
        super().__init__(0, -1, pattern, method, origin)
        self.target = target
        self.directory = directory


if TYPE_CHECKING:
    Entry = tuple[int, Glob | None, Rule]


class Index:
    """Rules or masks by where in the tree they can match."""

    __slots__ = ("_anywhere", "_below", "_count", "_exact", "_named_in")

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._exact: dict[bytes, list[Entry]] = {}
        self._below: dict[bytes, list[Entry]] = {}
        self._anywhere: list[Entry] = []
        self._count = 0
        self._named_in: set[bytes] | None = None
        for rule in rules:
            self.add(rule)

    def add(self, rule: Rule) -> None:
        """Take in *rule* as the newest."""
        self._count += 1
        self._named_in = None
        pattern = rule.pattern
        if rule.method == GLOB:
            entry: Entry = (self._count, Glob(pattern), rule)
            head = head_of(pattern)
            slash = head.rfind(b"/")
            if slash < 0:
                self._anywhere.append(entry)
            else:
                self._below.setdefault(head[:slash], []).append(entry)
            return
        entry = (self._count, None, rule)
        if rule.method == LITERAL:
            self._exact.setdefault(pattern, []).append(entry)
        elif pattern.endswith(b"/"):
            self._below.setdefault(pattern[:-1], []).append(entry)
        else:
            self._exact.setdefault(pattern, []).append(entry)
            self._below.setdefault(pattern, []).append(entry)

    def names(self, text: bytes) -> bool:
        """Tell whether a rule is about *text* alone."""
        return text in self._exact

    def names_in(self, directory: bytes) -> bool:
        """Tell whether a rule `names` something in *directory*."""
        if self._named_in is None:
            self._named_in = {name[: name.rfind(b"/")] for name in self._exact}
        return directory in self._named_in

    def find(self, wanted: int, text: bytes) -> tuple[list[Rule], bool]:
        """Return what matches *text*, newest first, until nothing of *wanted* is left to say.

        Also whether the same holds for everything in its directory that no rule `names`.
        """
        if not text:
            return [], False
        entries = list(self._exact.get(text, ()))
        below = self._below
        slash = text.find(b"/")
        while slash >= 0:
            here = below.get(text[:slash])
            if here is not None:
                entries += here
            slash = text.find(b"/", slash + 1)
        entries += self._anywhere
        if len(entries) > 1:
            entries.sort(key=_newest, reverse=True)
        found = []
        alike = text not in self._exact
        for _, glob, rule in entries:
            if rule.mask & wanted:
                if glob is not None:
                    alike = False
                    if not glob.match(text):
                        continue
                found.append(rule)
                wanted &= ~rule.mask
                if not wanted:
                    break
        return found, alike


def _newest(entry: Entry) -> int:
    return entry[0]
