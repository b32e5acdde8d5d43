# SPDX-License-Identifier: GPL-3.0-or-later
"""``allow/lock/…``: what the kernel's own sandbox, Landlock, lets through."""

from __future__ import annotations

from errno import EINVAL, ENOSPC, EPERM

from madcap.errors import PolicyError
from madcap.policy.blame import nearest
from madcap.policy.domain import LIST_MAX
from madcap.policy.values import field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from madcap.policy.address import Ports
    from madcap.policy.sandbox import Sandbox

# The rights, in the order they are printed; bind and connect have paths and ports.
RIGHTS: Final = (
    "read",
    "write",
    "exec",
    "ioctl",
    "create",
    "delete",
    "rename",
    "symlink",
    "truncate",
    "readdir",
    "mkdir",
    "rmdir",
    "mkbdev",
    "mkcdev",
    "mkfifo",
    "bind",
    "connect",
)
PORTS: Final = frozenset(("bind", "connect", "bnet", "cnet", "net", "inet"))

SETS: Final = {
    "all": RIGHTS,
    "all-x": tuple(name for name in RIGHTS if name != "exec"),
    "rpath": ("read", "readdir"),
    "wpath": ("write", "truncate"),
    "cpath": ("create", "delete", "rename"),
    "dpath": ("mkbdev", "mkcdev"),
    "spath": ("mkfifo", "symlink"),
    "tpath": ("mkdir", "rmdir"),
    "bnet": ("bind",),
}


class Landlock:
    """What is let through: paths for each right, and ports to bind and to connect to."""

    __slots__ = ("bind_ports", "connect_ports", "paths", "silent")

    def __init__(self) -> None:
        self.paths: dict[str, dict[bytes, None]] = {}  # In the order they were given.
        self.bind_ports: list[tuple[int, int]] = []  # Sorted ranges, both ends included.
        self.connect_ports: list[tuple[int, int]] = []
        self.silent: set[str] = set()  # log/lock flags that are on.


def command(box: Sandbox, text: str) -> bool:
    """Do ``allow/lock/LIST+ARG`` and its kin; *text* is what follows ``allow/lock/``."""
    for place, letter in enumerate(text):
        if letter in "+-^" and not _is_in_name(text, place):
            break
    else:
        return False
    names = text[:place].split(",")
    argument = field(text[place + 1 :])
    if not argument or not all(name in RIGHTS or name in SETS or name in PORTS for name in names):
        return False
    argument = box.expand(argument)
    box.require_default()
    if box.in_drop and letter == "+":
        raise PolicyError(EPERM, "lock:drop lets nothing more through")
    box.require_startup(narrowing=True)
    if box.landlock is None:
        box.landlock = Landlock()
    ports = _ports(argument) if all(name in PORTS for name in names) else None
    if ports is not None:
        _change_ports(box.landlock, names, letter, ports)
    else:
        _change_paths(box.landlock, names, letter, argument)
    return True


def _is_in_name(text: str, place: int) -> bool:
    """Tell whether the letter at *place* is the hyphen of the set ``all-x``."""
    before = text[:place].rpartition(",")[2]
    return before == "all" and text[place : place + 2] == "-x" and text[place + 2 :][:1] in (
        "", ",", "+", "-", "^",
    )  # fmt: skip


def unknown(text: str) -> PolicyError:
    """Return the error for a rule that no right takes; *text* is what follows ``allow/lock/``."""
    end = min([text.find(mark) for mark in "+^" if mark in text], default=len(text))
    for name in text[:end].split(","):
        if name not in RIGHTS and name not in SETS and name not in PORTS:
            hint = nearest(name, (*RIGHTS, *SETS, *sorted(PORTS)))
            what = f"unknown right {name!r}"
            return PolicyError(
                EINVAL, what, expected="a right or a set of rights" + hint, word=name
            )
    return PolicyError(EINVAL, "right without a path or port", expected="+PATH or +PORTS")


def _ports(text: str) -> Ports | None:
    """Return the port set *text*, or None when it is something else."""
    from madcap.policy.address import parse_ports

    try:
        return parse_ports(text)
    except PolicyError:
        return None


def _change_ports(landlock: Landlock, names: list[str], operator: str, ports: Ports) -> None:
    from madcap.policy.process import with_range, without_range

    change = with_range if operator == "+" else without_range
    if not {"bind", "bnet", "net", "inet"}.isdisjoint(names):
        for span in ports:
            landlock.bind_ports = change(landlock.bind_ports, span)
    if not {"connect", "cnet", "net", "inet"}.isdisjoint(names):
        for span in ports:
            landlock.connect_ports = change(landlock.connect_ports, span)


def _change_paths(landlock: Landlock, names: list[str], operator: str, text: str) -> None:
    rights: list[str] = []
    for name in names:
        rights += SETS.get(name, (name,) if name in RIGHTS else ())
    if all(name in PORTS for name in names) and not (rights and text.startswith("/")):
        raise PolicyError(
            EINVAL, f"{text!r} is no port set", expected="ports, or an absolute path", word=text
        )
    path = text.encode("utf-8", "surrogateescape")
    for right in rights:
        paths = landlock.paths.setdefault(right, {})
        if operator != "+":
            paths.pop(path, None)
        elif path not in paths:
            if len(paths) >= LIST_MAX:
                raise PolicyError(ENOSPC, f"more than {LIST_MAX} paths for one right")
            paths[path] = None
