# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of the host, logging, and what runs beside the sandbox: proxy, terminal, control socket."""

from __future__ import annotations

from errno import EILSEQ, EINVAL, ENAMETOOLONG, EOPNOTSUPP, EOVERFLOW

from madcap.errors import PolicyError
from madcap.policy.blame import nearest
from madcap.policy.glob import PATH_MAX, unhex
from madcap.policy.values import U64, boolean, decimal, duration, invalid, number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from madcap.policy.sandbox import Sandbox

NAME_MAX: Final = 64
SOCKET_MAX: Final = 108
U16: Final = 65535
U32: Final = (1 << 32) - 1

LEVELS: Final = ("emerg", "alert", "crit", "error", "warn", "notice", "info", "debug")
LANDLOCK_FLAGS: Final = ("same_exec_off", "new_exec_on", "subdomains_off")

UNSAFE: Final = frozenset("*?[]\"<>|()&'!\\;$`\x7f")


def split(word: str, rest: str) -> tuple[str, str]:
    """Return the name and the value of ``/NAME:VALUE``."""
    name, colon, value = rest[1:].partition(":")
    if rest[:1] != "/" or not colon:
        raise PolicyError(EINVAL, f"malformed {word}{rest}", expected=f"{word}/NAME:VALUE")
    return name, value


def unknown(word: str, name: str, names: str) -> PolicyError:
    """Return the error for *name*, which is none of the *names* of the family *word*."""
    hint = nearest(name, names.replace(" or ", ", ").split(", "))
    return PolicyError(EINVAL, f"unknown setting {word}/{name}", expected=names + hint, word=name)


def host_names(box: Sandbox, rest: str) -> None:
    """Do ``uts/host``, ``uts/domain`` and ``uts/version``."""
    name, text = split("uts", rest)
    if name not in ("host", "domain", "version"):
        raise unknown("uts", name, "host, domain or version")
    box.require_free()
    text = box.expand(text)
    value = None if text in ("none", "off") else text
    if value is not None:
        check_name(value, empty=name == "version")
    domain = box.subject
    if name == "host":
        domain.uts_host = value
    elif name == "domain":
        domain.uts_domain = value
    else:
        domain.uts_version = value
    domain.touch()


def check_name(text: str, *, empty: bool) -> None:
    """Refuse a name that would not be safe as that of a file; only what follows a slash counts."""
    if not text:
        if empty:
            return
        raise PolicyError(EILSEQ, "empty name")
    if len(text.encode("utf-8", "surrogateescape")) > NAME_MAX:
        raise PolicyError(ENAMETOOLONG, f"name over {NAME_MAX} bytes")
    if "\0" in text:
        raise PolicyError(EILSEQ, "NUL byte in a name")
    last = text.removesuffix("/").rpartition("/")[2]
    if (
        last[:1] in ("-", "~", " ")
        or last != last.strip()
        or not UNSAFE.isdisjoint(last)
        or any(letter < " " or "\udc80" <= letter <= "\udcff" for letter in last)
    ):
        raise PolicyError(EILSEQ, f"{text!r} is not safe as a name", word=text)


def logging(box: Sandbox, rest: str) -> None:
    """Do the commands of the family ``log/``."""
    name, text = split("log", rest)
    if name.startswith("lock/"):
        _landlock_flags(box, name.removeprefix("lock/"), text)
        return
    if name == "level":
        text = box.expand(text)
        level = LEVELS.index(text) if text in LEVELS else _level(text)
    elif name == "verbose":
        level = min(decimal(box.expand(text), 0, 255), 3)
    elif name == "rlimit_interval":
        level = duration(box.expand(text), 1)
        if level > U64:
            raise PolicyError(EOVERFLOW, f"interval {text} is too long")
    elif name == "rlimit_burst":
        level = decimal(box.expand(text), 0, U32)
    else:
        raise unknown("log", name, "level, verbose, rlimit_interval, rlimit_burst or lock/FLAG")
    box.require_default()
    box.require_free()
    if name == "level":
        box.log_level = level
    elif name == "verbose":
        box.verbose = level
    elif name == "rlimit_interval":
        box.log_interval = level
    else:
        box.log_burst = level


def _level(text: str) -> int:
    try:
        return decimal(text, 0, len(LEVELS) - 1)
    except PolicyError:
        raise invalid("log level", text, " ".join(LEVELS) + ", or 0 to 7", LEVELS) from None


def _landlock_flags(box: Sandbox, names: str, text: str) -> None:
    flags = [name.removeprefix("log_") for name in names.split(",")]
    for flag in flags:
        if flag not in LANDLOCK_FLAGS:
            raise unknown("log/lock", flag, ", ".join(LANDLOCK_FLAGS))
    on = boolean(box.expand(text))
    box.require_startup()
    from madcap.policy.landlock import Landlock

    if box.landlock is None:
        box.landlock = Landlock()
    if on:
        box.landlock.silent.update(flags)
    else:
        box.landlock.silent.difference_update(flags)


def proxy(box: Sandbox, rest: str) -> None:
    """Do the commands of the family ``proxy/``."""
    if rest[:1] == "/":
        box.require_startup()
    name, text = split("proxy", rest)
    if name not in ("addr", "port", "ext/host", "ext/port", "ext/unix"):
        raise unknown("proxy", name, "addr, port, ext/host, ext/port or ext/unix")
    text = box.expand(text)
    if name == "port":
        box.proxy_port = decimal(text, 0, U16)
    elif name == "ext/port":
        box.proxy_ext_port = decimal(text, 0, U16)
    elif name == "ext/unix":
        box.proxy_ext_unix = socket_path(text, PATH_MAX)
    else:
        from madcap.policy.address import ip_text, parse_ip

        parsed = parse_ip(text)
        if parsed is None:
            raise invalid("IP address", text, "an address without a name")
        address = ip_text(parsed[1].to_bytes(parsed[0], "big"))
        if name == "addr":
            box.proxy_addr = address
        else:
            box.proxy_ext_addr = address


def socket_path(text: str, limit: int) -> bytes:
    """Return the path or abstract name *text*, which may be hex, of less than *limit* bytes."""
    path = unhex(text)
    if not path:
        raise PolicyError(EINVAL, "empty address of a socket")
    if len(path) >= limit:
        raise PolicyError(ENAMETOOLONG, f"address of a socket of {limit} bytes or more")
    if b"\0" in path:
        raise PolicyError(EILSEQ, "NUL byte in the address of a socket")
    return path


def terminal(box: Sandbox, rest: str) -> None:
    """Do ``pty/row``, ``pty/col`` and their other names ``pty/x`` and ``pty/y``."""
    if rest[:1] == "/":
        box.require_startup()
    name, text = split("pty", rest)
    if name not in ("row", "x", "col", "y"):
        raise unknown("pty", name, "row, x, col or y")
    text = box.expand(text)
    value = None if text == "none" else decimal(text, 0, U16)
    if name in ("row", "x"):
        box.pty_rows = value
    else:
        box.pty_columns = value


def control_socket(box: Sandbox, rest: str) -> None:
    """Do ``ipc:ADDRESS`` and the commands of the family ``ipc/``."""
    if rest[:1] == ":":
        box.require_startup()
        if box.host.oci:
            raise PolicyError(EOPNOTSUPP, "no control socket in a container")
        text = box.expand(rest[1:])
        box.ipc_address = None if text in ("none", "off") else socket_path(text, SOCKET_MAX)
        return
    name, text = split("ipc", rest)
    if name not in ("uid", "gid", "max", "idle"):
        raise unknown("ipc", name, "uid, gid, max or idle")
    box.require_startup()
    text = box.expand(text)
    if name in ("uid", "gid"):
        owner = None if text in ("none", "off") else number(text, 0, U32)
        if name == "uid":
            box.ipc_uid = owner
        else:
            box.ipc_gid = owner
        return
    value = number(text, 0, U64) if name == "max" else duration(text)
    if not value:
        raise invalid(f"value of ipc/{name}", text, "more than 0")
    if name == "max":
        box.ipc_max = value
    else:
        box.ipc_idle = value


COMMANDS: Final[dict[str, Callable[[Sandbox, str], None]]] = {
    "ipc": control_socket,
    "log": logging,
    "proxy": proxy,
    "pty": terminal,
    "uts": host_names,
}
