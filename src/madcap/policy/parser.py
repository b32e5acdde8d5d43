# SPDX-License-Identifier: GPL-3.0-or-later
"""Which family a command belongs to. Each has a module of its own, most of them loaded late."""

from __future__ import annotations

from errno import EBUSY, EINVAL, ENOENT

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
        if word.startswith(("passfd", "nullfd")):
            box.require_startup()
    raise unknown(command)


def unknown(command: str) -> PolicyError:
    """Return the error for *command*, which no family takes."""
    word = command
    for mark in ":+-^!?/ ":
        word = word.partition(mark)[0] or word
    if word in BY_NAME:
        what = f"malformed rule {command!r}"
        return PolicyError(EINVAL, what, expected=f"{word}/CATEGORIES+PATTERN", word=command)
    hint = nearest(word, (*FAMILIES, *BY_NAME))
    return PolicyError(
        EINVAL, f"unknown command {command!r}", expected="a command" + hint, word=word or command
    )


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


def _limit(box: Sandbox, word: str, rest: str) -> None:
    from madcap.policy import limits

    limits.COMMANDS[word](box, rest)


def _service(box: Sandbox, word: str, rest: str) -> None:
    from madcap.policy import services

    services.COMMANDS[word](box, rest)


def _identity(box: Sandbox, word: str, rest: str) -> None:
    from madcap.policy import identity

    identity.command(box, word, rest)


def _force(box: Sandbox, _word: str, rest: str) -> None:
    from madcap.policy import force

    force.command(box, rest)


def _mount(box: Sandbox, word: str, rest: str) -> None:
    from madcap.policy import mounts

    mounts.command(box, word, rest)


def _control(box: Sandbox, word: str, rest: str) -> None:
    """Do ``cmd/exec!…`` and ``cmd/move!…``; of all unknown commands only these are ENOENT."""
    tail = _slash(rest, word + rest)
    if tail.startswith("move!"):
        from madcap.policy import domains

        domains.move_now(box, tail[5:])
    elif tail.startswith("exec!"):
        box.execute_outside(tail[5:])
    else:
        what = f"unknown command {word + rest!r}"
        hint = nearest(tail.partition("!")[0], ("exec", "move"))
        raise PolicyError(ENOENT, what, expected="cmd/exec! or cmd/move!" + hint, word=tail)


def _show(box: Sandbox, word: str, rest: str) -> None:
    if rest:
        raise unknown(word + rest)
    box.require_free()
    if box.running:
        raise PolicyError(EBUSY, "the state is read from /dev/syd while the sandbox runs")
    from madcap.policy import report

    box.show(report.dump_text(box) if word == "dump" else report.stat_text(box))


FAMILIES: dict[str, Family] = {
    "bind": _mount,
    "block": _block,
    "clearenv": _process,
    "cmd": _control,
    "default": _default,
    "domain": _domain,
    "dump": _show,
    "force": _force,
    "include_profile": _include_profile,
    "ipc": _service,
    "l": _lock,
    "link": _mount,
    "lock": _lock,
    "log": _service,
    "mask": _mask,
    "mem": _limit,
    "mkdir": _mount,
    "mkfifo": _mount,
    "mkfile": _mount,
    "move": _move,
    "nullfd": _process,
    "passenv": _process,
    "passfd": _process,
    "pid": _limit,
    "pipe": _limit,
    "proxy": _service,
    "pty": _service,
    "rlimit": _limit,
    "root": _mount,
    "sandbox": _sandbox,
    "segvguard": _limit,
    "setenv": _process,
    "setgid": _identity,
    "setuid": _identity,
    "stat": _show,
    "symlink": _mount,
    "time": _limit,
    "timeout": _limit,
    "tpe": _limit,
    "trace": _trace,
    "unsetenv": _process,
    "unshare": _mount,
    "uts": _service,
    "workdir": _mount,
    "xattr": _limit,
}
