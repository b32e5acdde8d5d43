# SPDX-License-Identifier: GPL-3.0-or-later
"""ioctl(2) requests: the map of those allowed and denied, by number.

Some requests vary in a few bits of their number, mostly the size of the argument. Such a family is
stored once, with those bits cleared, and a number that is not in the map itself is then looked for
as a member of its family.
"""

from __future__ import annotations

from errno import EBUSY, EINVAL, ENOSPC, EOPNOTSUPP, EPERM

from madcap.abi import ioctl as abi
from madcap.errors import PolicyError
from madcap.policy.blame import nearest
from madcap.policy.domain import LIST_MAX
from madcap.policy.glob import Glob, is_literal
from madcap.policy.values import invalid, number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from madcap.policy.sandbox import Sandbox

# The list is kept for each architecture of a machine, so it fills up sooner than it looks.
ARCHITECTURES: Final = {"x86_64": 3, "aarch64": 2}

# Requests of drivers that look at the command number only: a denial by number would be evaded.
UNDENIABLE: Final = "AMDKFD_IOC_"


class Ioctls:
    """Which requests a domain allows or denies, apart from its default."""

    __slots__ = ("_exact", "_initial", "_varying")

    def __init__(self, *, initial: bool) -> None:
        self._initial = initial  # Whether the lists every sandbox starts with are still to be read.
        self._exact: dict[int, bool] = {}
        self._varying: dict[int, bool] = {}

    def _load(self) -> None:
        """Read the lists every sandbox starts with, when something asks for them first."""
        self._initial = False
        for names, allowed in ((abi.DEFAULT_ALLOW, True), (abi.DEFAULT_DENY, False)):
            for name in names:
                self.put(abi.DEFAULT_REQUESTS[name], allowed)

    def put(self, request: int, allowed: bool) -> None:
        """Let the answer for *request*, and for its family if it has one, be *allowed*."""
        if self._initial:
            self._load()
        varying = abi.varying(request)
        if varying:
            self._varying[request & ~varying] = allowed
        else:
            self._exact[request] = allowed

    def drop(self, request: int, allowed: bool) -> None:
        """Forget *request* when its answer is *allowed*."""
        if self._initial:
            self._load()
        varying = abi.varying(request)
        answers = self._varying if varying else self._exact
        key = request & ~varying
        if answers.get(key) is allowed:
            del answers[key]

    def answer(self, request: int) -> bool | None:
        """Return whether *request* is allowed, or None when nothing is known of it."""
        if self._initial:
            self._load()
        answer = self._exact.get(request)
        if answer is None and self._varying:
            varying = abi.varying(request)
            if varying:
                answer = self._varying.get(request & ~varying)
        return answer

    def denied(self) -> list[tuple[int, int]]:
        """Return the requests that are denied, each with the mask of the bits that may vary."""
        if self._initial:
            self._load()
        found = [(request, 0) for request, allowed in self._exact.items() if not allowed]
        for request, allowed in self._varying.items():
            if not allowed:
                found.append((request, abi.varying(request)))
        return found

    def count(self) -> int:
        """Return the number of entries."""
        if self._initial:
            self._load()
        return len(self._exact) + len(self._varying)

    def copy(self) -> Ioctls:
        """Return a map like this one that may change on its own."""
        other = Ioctls(initial=self._initial)
        other._exact = dict(self._exact)
        other._varying = dict(self._varying)
        return other


def requests_of(item: str) -> list[int]:
    """Return the numbers the *item* of a list means: a number, a name, or a glob over names."""
    optional = item.endswith("!")
    text = item.removesuffix("!")
    if "0" <= text[:1] <= "9" or text[:1] in ("+", "-"):
        try:
            return [number(text, 0, 0xFFFF_FFFF)]
        except PolicyError:
            if optional:
                return []
            raise invalid("ioctl request", text, "a number of 32 bits") from None
    upper = text.upper()
    if is_literal(upper.encode()):
        request = abi.REQUESTS.get(upper)
        found = [] if request is None else [request]
    else:
        glob = Glob(upper.encode())
        found = [value for name, value in abi.REQUESTS.items() if glob.match(name.encode())]
    if not found and (not optional or not text):
        raise PolicyError(
            EINVAL,
            f"unknown ioctl request {item!r}",
            expected="a number, a name, a glob over names" + nearest(upper, abi.REQUESTS),
            word=item,
        )
    return found


def command(box: Sandbox, allowed: bool, text: str) -> None:
    """Do ``allow/ioctl+LIST`` and its kin; *text* begins with the operator."""
    operator = text[:1]
    word = "allow" if allowed else "deny"
    if operator not in ("+", "-", "^") or len(text) < 2:
        raise PolicyError(EINVAL, f"malformed {word}/ioctl{text}", expected="+LIST or -LIST")
    box.require_unlocked()
    adds = operator == "+"
    if box.in_drop and adds == allowed:
        raise PolicyError(EPERM, "lock:drop only denies more requests")
    if box.running and not adds and not allowed:
        raise PolicyError(EBUSY, "a denied request cannot be taken back while the sandbox runs")
    requests: list[int] = []
    for item in box.expand(text[1:]).split(","):
        requests += requests_of(item)
    if adds and not allowed and undeniable(requests):
        raise PolicyError(EOPNOTSUPP, "would be evaded: the driver looks at a part of the number")
    domain = box.subject
    room = LIST_MAX // ARCHITECTURES.get(box.host.machine, 1)
    if adds and len(requests) + domain.ioctls.count() > room:
        raise PolicyError(ENOSPC, f"more than {room} ioctl requests")
    for request in requests:
        if adds:
            domain.ioctls.put(request, allowed)
        else:
            domain.ioctls.drop(request, allowed)
    domain.touch()


def undeniable(requests: list[int]) -> bool:
    """Tell whether a denial by number would not stop one of *requests*."""
    return any(
        name.startswith(UNDENIABLE) and value in requests for name, value in abi.REQUESTS.items()
    )
