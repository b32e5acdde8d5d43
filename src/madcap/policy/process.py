# SPDX-License-Identifier: GPL-3.0-or-later
"""What the first process starts with: its environment and its descriptors."""

from __future__ import annotations

from errno import EILSEQ, EINVAL, ENAMETOOLONG, ENOSPC, EPERM, ERANGE

from madcap.errors import PolicyError
from madcap.policy.domain import LIST_MAX
from madcap.policy.glob import PATH_MAX
from madcap.policy.values import invalid, number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from madcap.policy.sandbox import Sandbox

FD_MAX: Final = 0x7FFF_FFFF

STREAMS: Final = {"stdin": (0, 0), "stdout": (1, 1), "stderr": (2, 2), "stdio": (0, 2)}


def command(box: Sandbox, word: str, rest: str) -> None:
    """Do the commands about environment and descriptors."""
    if word == "passenv" and rest[:1] in ("+", "-", "^"):
        _pass_variable(box, rest[0], rest[1:])
    elif word == "passfd" and rest[:1] in ("+", "-", "^"):
        _pass_descriptors(box, rest[0], rest[1:])
    elif word == "nullfd" and rest[:1] in ("+", "-", "^"):
        _null_descriptors(box, rest[0], rest[1:])
    elif word == "setenv" and rest[:1] == "!":
        _set_variable(box, rest[1:])
    elif word == "unsetenv" and rest[:1] == "!":
        box.require_startup()
        key = _variable(rest[1:])
        if b"=" in key:
            raise PolicyError(EINVAL, f"{rest[1:]!r} is no name of a variable")
        box.environ.pop(key, None)
    elif word == "clearenv" and rest == "!":
        box.require_startup()
        for name in list(box.environ):
            if not is_internal(name):
                del box.environ[name]
    else:
        if word in ("passfd", "nullfd"):
            box.require_startup()
        raise PolicyError(EINVAL, f"malformed {word}{rest}", expected="an operator after " + word)


def is_internal(name: bytes) -> bool:
    """Tell whether *name* is a variable of our own, which configuration leaves alone."""
    return name[:3].upper() == b"SYD"


def _variable(name: str) -> bytes:
    if not name.strip():
        raise PolicyError(EINVAL, "variable without a name")
    if "\0" in name:
        raise PolicyError(EILSEQ, "NUL byte in the name of a variable")
    key = name.encode("utf-8", "surrogateescape")
    if len(key) > PATH_MAX:
        raise PolicyError(ENAMETOOLONG, "name of a variable over 4096 bytes")
    if is_internal(key):
        raise PolicyError(EPERM, f"{name} is a variable of the sandbox itself")
    return key


def _set_variable(box: Sandbox, text: str) -> None:
    box.require_startup()
    name, equals, value = text.partition("=")
    if not equals:
        raise PolicyError(EINVAL, f"setenv!{text} sets nothing", expected="NAME=VALUE")
    key = _variable(name)
    value = box.expand(value)
    if "\0" in value:
        raise PolicyError(EILSEQ, "NUL byte in the value of a variable")
    box.environ[key] = value.encode("utf-8", "surrogateescape")


def _pass_variable(box: Sandbox, operator: str, glob: str) -> None:
    box.require_startup()
    if not glob:
        raise PolicyError(EINVAL, f"passenv{operator} names no variable")
    if operator == "+" and glob[:3].upper() == "SYD":
        raise PolicyError(EPERM, f"{glob} is a variable of the sandbox itself")
    if operator != "+":
        if glob in box.passenv:
            box.passenv.remove(glob)
    elif glob not in box.passenv:
        if len(box.passenv) >= LIST_MAX:
            raise PolicyError(ENOSPC, f"more than {LIST_MAX} variables to pass")
        box.passenv.append(glob)


def _span(word: str, *, checked: bool = True) -> tuple[int, int]:
    """Return the first and the last descriptor of the number or range *word*.

    That it is a range of possible descriptors is *checked*.
    """
    low, hyphen, high = word.partition("-")
    first = number(low, 0, 0xFFFF_FFFF)
    last = number(high, 0, 0xFFFF_FFFF) if hyphen else first
    if not checked:
        return first, last
    if last < first:
        raise invalid("range of descriptors", word, "the lower number first")
    if last > FD_MAX:
        raise PolicyError(ERANGE, f"no descriptor is as high as {word}")
    return first, last


def _pass_descriptors(box: Sandbox, operator: str, text: str) -> None:
    if operator == "^":
        box.require_startup()
        if text:
            raise PolicyError(EINVAL, "passfd^ takes nothing")
        box.passfd = []
        return
    box.require_startup()
    everything = (0, FD_MAX)
    present = box.passfd
    full = operator == "+" and present == [everything]
    for word in text.split(","):
        full = full or (operator == "+" and word == "all")  # What follows that is not checked.
        span = everything if word == "all" else STREAMS.get(word) or _span(word, checked=not full)
        if not full or word == "all":
            present = with_range(present, span) if operator == "+" else without_range(present, span)
    if len(present) > LIST_MAX:
        raise PolicyError(ENOSPC, f"more than {LIST_MAX} ranges of descriptors")
    box.passfd = present


def with_range(ranges: list[tuple[int, int]], span: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the sorted *ranges* with *span*, merged where they touch."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted((*ranges, span)):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return merged


def without_range(ranges: list[tuple[int, int]], span: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the sorted *ranges* with *span* cut out."""
    kept = []
    for low, high in ranges:
        if low < span[0]:
            kept.append((low, min(high, span[0] - 1)))
        if high > span[1]:
            kept.append((max(low, span[1] + 1), high))
    return kept


def _null_descriptors(box: Sandbox, operator: str, text: str) -> None:
    if operator == "^":
        box.require_startup()
        if text:
            raise PolicyError(EINVAL, "nullfd^ takes nothing")
        box.nullfd.clear()
        return
    box.require_startup()
    chosen: set[int] = set()
    for word in text.split(","):
        span = STREAMS.get(word)
        if span is not None:
            chosen.update(range(span[0], span[1] + 1))
        elif "-" in word:
            raise invalid("descriptor", word, "a number")
        else:
            chosen.add(_span(word)[0])
    if operator == "+":
        if len(box.nullfd | chosen) > LIST_MAX:
            raise PolicyError(ENOSPC, f"more than {LIST_MAX} descriptors to replace")
        box.nullfd |= chosen
    else:
        box.nullfd -= chosen
