# SPDX-License-Identifier: GPL-3.0-or-later
"""Which family a command belongs to. Each has a module of its own, most of them loaded late."""

from __future__ import annotations

from errno import EINVAL

from madcap.errors import PolicyError
from madcap.policy import access, trace
from madcap.policy.actions import BY_NAME
from madcap.policy.blame import nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from madcap.policy.sandbox import Sandbox

    Family = Callable[[Sandbox, str, str], None]


def run(box: Sandbox, command: str) -> None:
    """Carry out *command* on *box*."""
    if command in ("", "3"):
        return
    if command[0] == "@":
        from madcap.policy import domains

        domains.addressed(box, command[1:])
        return
    end = 0
    for letter in command:
        if not ("a" <= letter <= "z" or letter == "_"):
            break
        end += 1
    word = command[:end]
    rest = command[end:]
    if word in BY_NAME:
        if rest[:1] == "/":
            access.rule(box, word, rest[1:])
            return
    else:
        family = FAMILIES.get(word)
        if family is not None:
            family(box, word, rest)
            return
    raise unknown(command)


def unknown(command: str) -> PolicyError:
    """Return the error for *command*, which no family takes."""
    word = command
    for mark in ":+-^!?/":
        word = word.partition(mark)[0]
    hint = nearest(word, (*FAMILIES, *BY_NAME))
    return PolicyError(EINVAL, f"unknown command {command!r}", expected="a command" + hint)


def _slash(rest: str, command: str) -> str:
    """Return what follows the slash that *rest* must begin with."""
    if rest[:1] != "/":
        raise unknown(command)
    return rest[1:]


def _sandbox(box: Sandbox, word: str, rest: str) -> None:
    access.switch(box, _slash(rest, word + rest))


def _default(box: Sandbox, word: str, rest: str) -> None:
    access.default(box, _slash(rest, word + rest))


def _trace(box: Sandbox, word: str, rest: str) -> None:
    trace.command(box, _slash(rest, word + rest))


def _lock(box: Sandbox, word: str, rest: str) -> None:
    from madcap.policy import lock

    if not rest:
        lock.set_state(box, lock.ON)
    elif rest[0] == ":" and word == "lock":
        lock.set_state(box, lock.parse(box.expand(rest[1:])))
    else:
        raise unknown(word + rest)


def _include_profile(box: Sandbox, word: str, rest: str) -> None:
    if rest[:1] != " ":
        raise unknown(word + rest)
    box.include_profile(rest[1:])


def _block(box: Sandbox, _word: str, rest: str) -> None:
    from madcap.policy import blocklist

    blocklist.command(box, rest)


def _domain(box: Sandbox, _word: str, rest: str) -> None:
    from madcap.policy import domains

    domains.define(box, rest)


def _move(box: Sandbox, word: str, rest: str) -> None:
    from madcap.policy import domains

    domains.move(box, _slash(rest, word + rest))


def _process(box: Sandbox, word: str, rest: str) -> None:
    from madcap.policy import process

    process.command(box, word, rest)


def _mask(box: Sandbox, _word: str, rest: str) -> None:
    from madcap.policy import masks

    masks.command(box, rest)


FAMILIES: dict[str, Family] = {
    "block": _block,
    "clearenv": _process,
    "default": _default,
    "domain": _domain,
    "include_profile": _include_profile,
    "l": _lock,
    "lock": _lock,
    "mask": _mask,
    "move": _move,
    "passenv": _process,
    "passfd": _process,
    "nullfd": _process,
    "sandbox": _sandbox,
    "setenv": _process,
    "trace": _trace,
    "unsetenv": _process,
}
