# SPDX-License-Identifier: GPL-3.0-or-later
"""``setuid`` and ``setgid``: which identities guests may change to, and from which."""

from __future__ import annotations

from errno import EACCES, EEXIST, EINVAL

from madcap.errors import PolicyError
from madcap.policy.values import number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from madcap.policy.sandbox import Sandbox

U32: Final = (1 << 32) - 1

# The highest id that is never a target: those up to here belong to the system.
RESERVED: Final = {"setuid": 11, "setgid": 14}


def command(box: Sandbox, word: str, rest: str) -> None:
    """Do ``setuid+A:B``, ``setuid-A:B``, ``setuid^A``, ``setuid^`` and the same with groups."""
    operator = rest[:1]
    text = rest[1:]
    source, colon, target = text.partition(":")
    if operator not in ("+", "-", "^") or bool(colon) != (operator != "^"):
        raise PolicyError(EINVAL, f"malformed {word}{rest}", expected=f"{word}+FROM:TO")
    if operator != "^" and not (source and target and ":" not in target):
        raise PolicyError(EINVAL, f"malformed {word}{rest}", expected=f"{word}+FROM:TO")
    box.require_startup()
    pairs = box.transit_uids if word == "setuid" else box.transit_gids
    if operator == "^":
        if not text:
            pairs.clear()
        else:
            old = number(box.expand(text), 0, U32)
            pairs[:] = [pair for pair in pairs if pair[0] != old]
        return
    pair = (number(box.expand(source), 0, U32), number(box.expand(target), 0, U32))
    if operator == "-":
        if pair in pairs:
            pairs.remove(pair)
        return
    _check(word, pair, pairs)
    if pair not in pairs:
        pairs.append(pair)


def _check(word: str, pair: tuple[int, int], pairs: list[tuple[int, int]]) -> None:
    source, target = pair
    if source == target:
        raise PolicyError(EINVAL, f"{word} from {source} to itself")
    if target <= RESERVED[word] or source > target:
        raise PolicyError(EACCES, f"{word} only goes up, and above {RESERVED[word]}")
    for old_source, old_target in pairs:
        if (old_source, old_target) == pair:
            return
        if old_source == source:
            raise PolicyError(EEXIST, f"{word} from {source} goes to {old_target} already")
        if target == old_source or source == old_target:
            raise PolicyError(EACCES, f"{word} cannot be chained")
