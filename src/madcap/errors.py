# SPDX-License-Identifier: GPL-3.0-or-later
"""Every exception a caller can see.

    Exception
    └── MadcapError
        ├── UsageError         the command line itself is wrong
        ├── PolicyError        a configuration command, line or file is wrong
        ├── UnsupportedError   something the kernel lacks, or that is not built yet
        └── ConfineError       a step of putting the sandbox up failed

What a sandboxed program did wrong is an OSError and never one of these. Each carries the errno that
becomes the exit status, and `describe` turns that number into the words every message uses.
"""

from __future__ import annotations

import errno as _errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

# Where the kernel's wording differs from the C library's.
_TEXTS: Final = {
    _errno.EBADF: "Bad file number",
    _errno.EAGAIN: "Try again",
    _errno.ENOMEM: "Out of memory",
    _errno.EXDEV: "Cross-device link",
    _errno.ENFILE: "File table overflow",
    _errno.ENOTTY: "Not a typewriter",
    _errno.EDOM: "Math argument out of domain of func",
    _errno.ERANGE: "Math result not representable",
    _errno.EDEADLK: "Resource deadlock would occur",
    _errno.ENOLCK: "No record locks available",
    _errno.ELOOP: "Too many symbolic links encountered",
    _errno.EBADMSG: "Not a data message",
    _errno.EILSEQ: "Illegal byte sequence",
    _errno.EOPNOTSUPP: "Operation not supported on transport endpoint",
    _errno.ENETRESET: "Network dropped connection because of reset",
    _errno.EDQUOT: "Quota exceeded",
}

# Numbers with two names: `errno.errorcode` keeps the one it met last.
_NAMES: Final = {
    _errno.EAGAIN: "EAGAIN",
    _errno.EDEADLK: "EDEADLK",
    _errno.EOPNOTSUPP: "EOPNOTSUPP",
}

# Where a command came from: a name ("-m", "profile linux", a file) and a line or count in it.
Origin = tuple[str, int]


def name(number: int) -> str:
    """Return the symbolic name of errno *number*."""
    return _NAMES.get(number) or _errno.errorcode.get(number) or f"E{number}"


def text(number: int) -> str:
    """Return what errno *number* means, in the kernel's words."""
    return _TEXTS.get(number) or os.strerror(number)


def describe(number: int) -> str:
    """Return ``ENAME: text`` for errno *number*, as all messages and records print it."""
    return f"{name(number)}: {text(number)}"


class MadcapError(Exception):
    """Base of all errors madcap raises about itself and its configuration."""

    errno: int = 0


class UsageError(MadcapError):
    """The command line cannot be understood: the text says which option and why."""


class PolicyError(MadcapError):
    """A configuration command is refused.

    *origin* says where it stands, *column* (from 0) where in its text the trouble starts,
    *expected* what would have been right, and *word* which part of the text is wrong; each may be
    unknown. Whoever knows the text adds it as `text`; `also` are the errors that reading on to the
    end of the file found behind this one.
    """

    def __init__(
        self,
        errno: int,
        message: str,
        origin: Origin | None = None,
        column: int | None = None,
        expected: str | None = None,
        word: str | None = None,
    ) -> None:
        super().__init__(errno, message)
        self.errno = errno
        self.message = message
        self.origin = origin
        self.column = column
        self.expected = expected
        self.word = word
        self.text: str | None = None
        self.also: list[PolicyError] = []

    def __str__(self) -> str:
        """Return one line that names the place, the thing and the expectation.

        That the trouble starts with the line goes without saying.
        """
        words = self.message
        if self.column:
            words = f"column {self.column + 1}: {words}"
        if self.origin is not None:
            source, line = self.origin
            words = f"{source}:{line}: {words}"
        if self.expected:
            words = f"{words} (expected {self.expected})"
        return words


class UnsupportedError(MadcapError):
    """The host lacks *feature*, which Linux *since* has, or madcap does not have it yet."""

    errno = _errno.ENOSYS

    def __init__(self, feature: str, since: str | None = None) -> None:
        super().__init__(feature, since)
        self.feature = feature
        self.since = since

    def __str__(self) -> str:
        """Return what is missing and where it would be found."""
        if self.since is None:
            return f"{self.feature} is not supported"
        return f"{self.feature} is not supported: needs Linux {self.since}"


class ConfineError(MadcapError):
    """The *step* of putting a sandbox up failed with *errno*."""

    def __init__(self, step: str, errno: int) -> None:
        super().__init__(step, errno)
        self.step = step
        self.errno = errno

    def __str__(self) -> str:
        """Return the step and the reason."""
        return f"{self.step}: {describe(self.errno)}"
