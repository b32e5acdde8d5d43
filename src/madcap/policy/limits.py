# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits: memory, tasks, pipes, attributes, resources, time; crash guard and trusted execution."""

from __future__ import annotations

from errno import EINVAL, EOPNOTSUPP, EPERM

from madcap.errors import PolicyError
from madcap.policy.blame import nearest
from madcap.policy.values import U64, boolean, decimal, duration, invalid, number, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from madcap.policy.sandbox import Sandbox

XATTR_MAX: Final = 65536
I64: Final = (1 << 63) - 1
U32: Final = (1 << 32) - 1
SECOND: Final = 1_000_000_000

# How the value of each resource is read; None leaves the limit as it is.
RLIMITS: Final = {
    "as": "size",
    "core": "size",
    "cpu": "seconds",
    "data": "size",
    "fsize": "size",
    "memlock": "size",
    "msgqueue": "size",
    "nice": "nice",
    "nofile": "count",
    "nproc": "count",
    "rtprio": "count",
    "rttime": "microseconds",
    "sigpending": "count",
    "stack": "size",
}
INFINITY: Final = U64
TPE: Final = ("gid", "negate", "root_owned", "user_owned", "root_mount")


def value_after(word: str, rest: str, head: str) -> str:
    """Return what follows *head*, a name with its colon, in *rest*."""
    value = rest.removeprefix(head)
    if value == rest:
        raise PolicyError(EINVAL, f"malformed {word}{rest}", expected=f"{word}{head}VALUE")
    return value


def memory(box: Sandbox, rest: str) -> None:
    """Do ``mem/max:SIZE`` and ``mem/vm_max:SIZE``."""
    virtual = rest.startswith("/vm_max:")
    if not virtual and not rest.startswith("/max:"):
        expected = "mem/max:SIZE or mem/vm_max:SIZE"
        raise PolicyError(EINVAL, f"malformed mem{rest}", expected=expected)
    text = value_after("mem", rest, "/vm_max:" if virtual else "/max:")
    box.require_unlocked()
    value = size(box.expand(text))
    domain = box.subject
    _only_lower(box, value, domain.mem_vm_max if virtual else domain.mem_max)
    if virtual:
        domain.mem_vm_max = value
    else:
        domain.mem_max = value
    domain.touch()


def tasks(box: Sandbox, rest: str) -> None:
    """Do ``pid/max:N``."""
    text = value_after("pid", rest, "/max:")
    box.require_unlocked()
    value = decimal(box.expand(text), 0, U64)
    _only_lower(box, value, box.subject.pid_max)
    box.subject.pid_max = value
    box.subject.touch()


def _only_lower(box: Sandbox, value: int, present: int) -> None:
    """Refuse under lock:drop a limit above the *present* one; 0 stands for none."""
    if box.in_drop and (value == 0 or (present and value > present)):
        raise PolicyError(EPERM, "lock:drop only lowers limits")


def pipes(box: Sandbox, rest: str) -> None:
    """Do ``pipe/max:N``, which can only go down once the sandbox runs."""
    text = value_after("pipe", rest, "/max:")
    box.require_default()
    box.require_unlocked()
    value = decimal(box.expand(text), box.host.page_size, (1 << 31) - 1)
    if (box.in_drop or box.running) and value > box.pipe_max:
        raise PolicyError(EPERM, "pipe/max can only go down now")
    box.pipe_max = value
    box.subject.touch()


def attributes(box: Sandbox, rest: str) -> None:
    """Do ``xattr/max:N``."""
    text = value_after("xattr", rest, "/max:")
    box.require_default()
    box.require_unlocked()
    value = decimal(box.expand(text), 0, XATTR_MAX)
    if box.in_drop and value > box.xattr_max:
        raise PolicyError(EPERM, "lock:drop only lowers limits")
    box.xattr_max = value
    box.subject.touch()


def resource(box: Sandbox, rest: str) -> None:
    """Do ``rlimit/NAME:VALUE``."""
    if rest[:1] == "/":
        box.require_startup()
    name, colon, text = rest[1:].partition(":")
    if rest[:1] != "/" or not colon:
        raise PolicyError(EINVAL, f"malformed rlimit{rest}", expected="rlimit/NAME:VALUE")
    kind = RLIMITS.get(name)
    if kind is None:
        raise PolicyError(
            EINVAL,
            f"unknown resource {name!r}",
            expected=" ".join(RLIMITS) + nearest(name, RLIMITS),
            word=name,
        )
    text = box.expand(text)
    if text in ("none", "off"):
        box.rlimits[name] = None
    elif text == "inf":
        box.rlimits[name] = INFINITY
    elif kind == "size":
        box.rlimits[name] = size(text)
    elif kind == "seconds":
        box.rlimits[name] = duration(text) // SECOND
    elif kind == "microseconds":
        microseconds = duration(text, 1000) // 1000
        if microseconds > U64:
            raise invalid("duration", text, "microseconds that fit in 64 bits")
        box.rlimits[name] = microseconds
    elif kind == "nice":
        value = number(text, -(1 << 63), I64)
        if not -20 <= value <= 20:
            raise invalid("nice value", text, "-20 to 20")
        box.rlimits[name] = 20 - value
    else:
        box.rlimits[name] = number(text)


def crashes(box: Sandbox, rest: str) -> None:
    """Do ``segvguard/expiry``, ``segvguard/suspension`` and ``segvguard/maxcrashes``."""
    name, colon, text = rest[1:].partition(":")
    if rest[:1] != "/" or not colon or name not in ("expiry", "suspension", "maxcrashes"):
        raise PolicyError(
            EINVAL,
            f"malformed segvguard{rest}",
            expected="/expiry:, /suspension: or /maxcrashes:"
            + nearest(name, ("expiry", "suspension", "maxcrashes")),
        )
    box.require_unlocked()
    domain = box.subject
    text = box.expand(text)
    if name == "maxcrashes":
        value = decimal(text, 1, 255)
        stricter = value <= domain.segvguard_maxcrashes
    else:
        value = duration(text) // SECOND
        if name == "suspension" and not value:
            raise invalid("suspension", text, "a second or more")
        present = domain.segvguard_expiry if name == "expiry" else domain.segvguard_suspension
        stricter = value >= present and value > 0
    if box.in_drop and not stricter:
        raise PolicyError(EPERM, "lock:drop only makes the crash guard stricter")
    if name == "maxcrashes":
        domain.segvguard_maxcrashes = value
    elif name == "expiry":
        domain.segvguard_expiry = value
    else:
        domain.segvguard_suspension = value
    domain.touch()


def trusted_paths(box: Sandbox, rest: str) -> None:
    """Do ``tpe/gid`` and the four switches of trusted path execution."""
    name, colon, text = rest[1:].partition(":")
    if rest[:1] != "/" or not colon:
        raise PolicyError(EINVAL, f"malformed tpe{rest}", expected="tpe/NAME:VALUE")
    domain = box.subject
    if name == "gid":
        box.require_free()
        domain.tpe_gid = None if text == "none" else decimal(box.expand(text), 0, U32)
        domain.touch()
        return
    if name not in TPE:
        raise PolicyError(
            EINVAL,
            f"unknown setting tpe/{name}",
            expected=" ".join(TPE) + nearest(name, TPE),
            word=name,
        )
    box.require_unlocked()
    on = boolean(box.expand(text))
    if box.in_drop and not (on and name in ("root_owned", "root_mount")):
        raise PolicyError(EPERM, "lock:drop only switches on root_owned and root_mount")
    if on:
        domain.flags.add("tpe_" + name)
    else:
        domain.flags.discard("tpe_" + name)
    domain.touch()


def timeout(box: Sandbox, rest: str) -> None:
    """Do ``timeout:DURATION``."""
    text = value_after("timeout", rest, ":")
    box.require_startup()
    text = box.expand(text)
    if text in ("none", "off"):
        box.timeout = None
        return
    value = duration(text)
    if not value:
        raise invalid("timeout", text, "a duration above zero, or none")
    box.timeout = value


def clocks(box: Sandbox, rest: str) -> None:
    """Do ``time:SECONDS``, ``time/boot:SECONDS`` and ``time/mono:SECONDS``."""
    clock, colon, text = rest.partition(":")
    if not colon or clock not in ("", "/boot", "/mono"):
        raise PolicyError(EINVAL, f"malformed time{rest}", expected="/boot: or /mono:")
    text = box.expand(text)
    offset = None if text in ("none", "off") else decimal(text, -I64 - 1, I64)
    if box.host.oci:
        raise PolicyError(EOPNOTSUPP, "clocks are not shifted in a container")
    box.require_startup()
    if clock != "/mono":
        box.boot_time = offset
    if clock != "/boot":
        box.monotonic_time = offset


COMMANDS: Final[dict[str, Callable[[Sandbox, str], None]]] = {
    "mem": memory,
    "pid": tasks,
    "pipe": pipes,
    "rlimit": resource,
    "segvguard": crashes,
    "time": clocks,
    "timeout": timeout,
    "tpe": trusted_paths,
    "xattr": attributes,
}
