# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration that remembers which line said what, and that tells nobody else of it."""

from __future__ import annotations

from madcap.cli.session import Configuration
from madcap.policy import categories

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from madcap.errors import Origin
    from madcap.policy.domain import Domain

    # A domain, what kind of setting, and which one: a bit, the number of a request, or a name.
    Key = tuple[str, str, int | str]

# Targets of default actions that are no categories of rules.
_SPECIAL: Final = ("block", "segvguard")


class Recorded(Configuration):
    """A configuration for questions: `texts` are its lines, `settings` where each was given."""

    def __init__(self, environ: dict[bytes, bytes]) -> None:
        super().__init__(environ)
        self._real = False
        self.texts: dict[Origin, str] = {}
        self.settings: dict[Key, Origin] = {}

    def execute(self, command: str, origin: Origin | None = None) -> None:
        """Carry out *command* and remember it."""
        before = set(self.domains)
        super().execute(command, origin)
        if origin is None:
            return
        self.texts[origin] = command
        family, _, rest = command.partition("/")
        if family in ("default", "sandbox"):
            self._note_switches(family, rest.partition(":")[0], origin)
        elif rest.startswith("ioctl+"):
            self._note_requests(self.expand(rest[6:]), origin)
        elif command.startswith("domain+"):
            self._note_copies(set(self.domains) - before, command)

    def _note_switches(self, family: str, names: str, origin: Origin) -> None:
        domain = self.subject.name
        for name in names.split(","):
            if name in _SPECIAL:
                self.settings[domain, family, name] = origin
                continue
            mask = categories.MASKS.get(name, 0)
            for bit in range(len(categories.NAMES)):
                if mask >> bit & 1:
                    self.settings[domain, family, bit] = origin

    def _note_requests(self, items: str, origin: Origin) -> None:
        from madcap.policy.ioctls import requests_of

        for item in items.split(","):
            for request in requests_of(item):
                self.settings[self.subject.name, "ioctl", request] = origin

    def _note_copies(self, names: set[str], command: str) -> None:
        """Let a domain that began as a copy remember what its model did."""
        _, colon, seed = command.partition(":")
        if not colon or not seed.startswith("@"):
            return
        model = self.expand(seed[1:])
        for name in names:
            for (domain, kind, which), origin in list(self.settings.items()):
                if domain == model:
                    self.settings[name, kind, which] = origin

    def trial(self) -> Recorded:
        """Return itself: nothing is to be spared, and the lines after an error count too."""
        return self

    def where(self, domain: Domain, kind: str, which: int | str) -> Origin | None:
        """Return which line gave a setting, or None when that is built in."""
        return self.settings.get((domain.name, kind, which))


def is_file(origin: Origin) -> bool:
    """Tell whether *origin* is in a file of the user's, not in an option or a built-in profile."""
    return not origin[0].startswith(("-", "profile ", "SYD_"))
