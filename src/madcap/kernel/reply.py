# SPDX-License-Identifier: GPL-3.0-or-later
"""What a handler can answer: a plain int (the call's result), Install, Continue or ANSWERED.

Errors are raised as OSError. `Continue` hands the guest's own memory back to the kernel after it
was judged, so it names the reason why that is harmless (docs/adr/0004).
"""

from __future__ import annotations


class Install:
    """Give the guest a duplicate of our descriptor *fd* and answer with its number."""

    __slots__ = ("cloexec", "fd")

    def __init__(self, fd: int, *, cloexec: bool) -> None:
        self.fd = fd
        self.cloexec = cloexec


class Written:
    """Answer 0 after *size* bytes at RESULT of `Request.scratch` were written to *address*."""

    __slots__ = ("address", "size")

    def __init__(self, address: int, size: int) -> None:
        self.address = address
        self.size = size


class Continue:
    """Let the kernel run the guest's own call; *reason* says why a race on it is harmless."""

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason


class Gone(Exception):
    """The notification is no longer valid: undo what can be undone and answer nothing."""


class Interrupted(Exception):
    """The guest was hit by a signal: answer ERESTARTSYS, and the kernel does what is native."""


#: A plain int is the call's result.
Reply = int | Install | Written | Continue
