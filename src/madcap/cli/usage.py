# SPDX-License-Identifier: GPL-3.0-or-later
"""The options as people read about them: for the help, the manual and the shells' completion.

Only ``-h`` loads this. Tests hold these tables against what the scanner takes.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final


class Option:
    """An option: its letter, its long name, what its value is called, what it does."""

    __slots__ = ("letter", "text", "value", "word")

    def __init__(self, letter: str | None, word: str | None, value: str | None, text: str) -> None:
        self.letter = letter
        self.word = word
        self.value = value
        self.text = text

    @property
    def forms(self) -> list[str]:
        """How the option is written."""
        found = [f"-{self.letter}"] if self.letter else []
        if self.word:
            found.append(f"--{self.word}")
        return found

    @property
    def name(self) -> str:
        """What a scanner calls it."""
        return self.letter or self.word or ""


COMMON: Final = (
    Option("h", "help", None, "print this help"),
    Option("V", "version", None, "print the version"),
)
MADCAP: Final = (
    Option("m", None, "COMMAND", "carry out one command"),
    Option("p", "profile", "NAME", "apply a built-in profile, or one for each letter"),
    Option("P", None, "FILE", "apply a rules file"),
    Option("x", None, None, "only report what would be refused (profile `trace')"),
    Option("t", None, "DURATION", "end the sandbox after that time"),
    Option("f", None, None, "apply the profile `user' last"),
    Option("l", "login", None, "the same as -f"),
    Option("c", None, "STRING", "run STRING with the shell, and apply `user' last"),
    Option("a", None, "NAME", "what the command sees as its own name"),
    Option("e", None, "VAR=VALUE", "set and pass a variable; VAR= passes, VAR unsets it"),
    Option("E", None, "bpf|pfc", "write the seccomp filters out and run nothing"),
    Option("v", "verbose", None, "say more in the log; up to three times"),
    Option("q", None, None, "taken and ignored"),
    Option("C", "check", None, "print what this system supports"),
    *COMMON,
    Option(None, "api", None, "print the command interface as JSON"),
    Option(None, "el", None, "print the command interface as Emacs Lisp"),
    Option(None, "sh", None, "print the command interface as a shell function"),
)


def rows(options: Sequence[Option]) -> list[str]:
    """Return one line of help for each of *options*."""
    return [
        f"  {', '.join(option.forms) + (f' {option.value}' if option.value else ''):<24} "
        f"{option.text}"
        for option in options
    ]
