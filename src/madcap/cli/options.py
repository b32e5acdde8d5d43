# SPDX-License-Identifier: GPL-3.0-or-later
"""Split a command line into options, values and the command, one step at a time.

Each option acts before the next one is looked at, so this is a scanner and not a table of results:
``next`` names the next option, ``value`` takes what belongs to it, ``rest`` the words of the
command. Options end at ``--`` or at the first word that is none. Clusters (``-vvx``), attached
values (``-mX``, ``-m=X``, ``--profile=X``) and their errors are those of the command line madcap
is compatible with; its users' scripts read the messages.
"""

from __future__ import annotations

from madcap.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Final

# Short options, and which name each long one stands for.
SHORT: Final = frozenset("hVCvqmpPxtflcaeE")
LONG: Final = {
    "help": "h",
    "version": "V",
    "check": "C",
    "verbose": "v",
    "profile": "p",
    "login": "l",
    "api": "api",
    "el": "el",
    "sh": "sh",
}


class Scanner:
    """The words of a command line that are not used yet; *short* and *long* are its options."""

    __slots__ = ("_cluster", "_index", "_long", "_names", "_short", "_shown", "_words")

    def __init__(
        self,
        words: list[bytes],
        short: Collection[str] = SHORT,
        long: Mapping[str, str] = LONG,
    ) -> None:
        self._words = words
        self._short = short
        self._names = long
        self._index = 0
        self._cluster = b""  # What is left of a word of short options, from its next letter on.
        self._long: bytes | None = None  # A value written with a long option, not yet taken.
        self._shown = ""  # The last option, as it was written.

    def next(self) -> str | None:
        """Return the next option by its short name, or None when the command begins.

        Raise UsageError for one that does not exist, or if the last one left a value unused.
        """
        if self._long is not None:
            raise self._unexpected(self._long)
        if self._cluster:
            return self._letter()
        if self._index >= len(self._words):
            return None
        word = self._words[self._index]
        if word == b"--":
            self._index += 1
            return None
        if not word.startswith(b"-") or word == b"-":
            return None
        self._index += 1
        if word.startswith(b"--"):
            return self._word(word)
        self._shown = ""
        self._cluster = word[1:]
        return self._letter()

    def value(self) -> bytes:
        """Return the value of the option that `next` named last."""
        if self._long is not None:
            value, self._long = self._long, None
            return value
        if self._cluster:
            value, self._cluster = self._cluster.removeprefix(b"="), b""
            return value
        if self._index >= len(self._words):
            raise UsageError(f"missing argument for option '{self._shown}'")
        self._index += 1
        return self._words[self._index - 1]

    def text(self) -> str:
        """Return the value of the option that `next` named last, which must be UTF-8."""
        value = self.value()
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise UsageError(f"argument is invalid unicode: {debug(value)}") from None

    def rest(self) -> list[bytes]:
        """Return all words that are left."""
        words = self._words[self._index :]
        self._index = len(self._words)
        return words

    def _word(self, word: bytes) -> str:
        """Take a long option apart."""
        name, equals, value = word.partition(b"=")
        self._shown = name.decode("utf-8", "replace")
        if equals:
            self._long = value
        option = self._names.get(self._shown[2:])
        if option is None:
            raise UsageError(f"invalid option '{self._shown}'")
        return option

    def _letter(self) -> str:
        """Take the next short option off the cluster."""
        if self._shown and self._cluster.startswith(b"="):
            raise self._unexpected(self._cluster[1:])
        letter, self._cluster = _first(self._cluster)
        self._shown = "-" + letter
        if letter not in self._short:
            raise UsageError(f"invalid option '{self._shown}'")
        return letter

    def _unexpected(self, value: bytes) -> UsageError:
        """Return the complaint about a *value* for an option that takes none."""
        return UsageError(f"unexpected argument for option '{self._shown}': {debug(value)}")


def _first(data: bytes) -> tuple[str, bytes]:
    """Return the first character of *data* (a replacement if it is none) and what follows it."""
    for size in range(1, 5):
        try:
            return data[:size].decode(), data[size:]
        except UnicodeDecodeError:
            continue
    return "\N{REPLACEMENT CHARACTER}", data[1:]


_ESCAPES: Final = {
    "\t": "\\t",
    "\r": "\\r",
    "\n": "\\n",
    "\0": "\\0",
    '"': '\\"',
    "\\": "\\\\",
}


def debug(value: bytes) -> str:
    """Return *value* between quotes, with escapes for what cannot be printed."""
    shown: list[str] = []
    for char in value.decode("utf-8", "surrogateescape"):
        point = ord(char)
        if char in _ESCAPES:
            shown.append(_ESCAPES[char])
        elif 0xDC80 <= point <= 0xDCFF:
            shown.append(f"\\x{point - 0xDC00:02X}")
        elif char.isprintable():
            shown.append(char)
        else:
            shown.append(f"\\u{{{point:x}}}")
    return '"' + "".join(shown) + '"'
