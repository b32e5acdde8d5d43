# SPDX-License-Identifier: GPL-3.0-or-later
"""Namespaces, root, and the mount operations: what is set up before the first program runs."""

from __future__ import annotations

from errno import EINVAL, ENAMETOOLONG, ENOENT, ENOSPC, EOPNOTSUPP, EPERM

from madcap.errors import PolicyError
from madcap.policy.domain import LIST_MAX
from madcap.policy.glob import PATH_MAX, unhex
from madcap.policy.values import (
    absolute_path,
    boolean,
    field,
    namespaces,
    octal,
    plain_path,
    unescape,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from madcap.policy.sandbox import Sandbox

    Options = tuple[frozenset[str], bytes]

ROOTS: Final = {
    "tmpfs": "tmpfs",
    "tmp": "tmpfs",
    "t": "tmpfs",
    "ramfs": "ramfs",
    "ram": "ramfs",
    "r": "ramfs",
}

MODES: Final = {"mkdir": 0o700, "mkfile": 0o400, "mkfifo": 0o600}
OPERATIONS: Final = ("bind", "link", "symlink", "mkdir", "mkfile", "mkfifo")

# Options of bind: the flag and whether the option sets it. What is no option is data of the file
# system.
OPTIONS: Final = {
    "ro": ("ro", True),
    "rw": ("ro", False),
    "dev": ("nodev", False),
    "nodev": ("nodev", True),
    "exec": ("noexec", False),
    "noexec": ("noexec", True),
    "suid": ("nosuid", False),
    "nosuid": ("nosuid", True),
    "symfollow": ("nosymfollow", False),
    "nosymfollow": ("nosymfollow", True),
    "noatime": ("noatime", True),
    "strictatime": ("strictatime", True),
    "nodiratime": ("nodiratime", True),
    "relatime": ("relatime", True),
}


class Mount:
    """One operation, in the order given: *source* and *target* as the operation reads them."""

    __slots__ = ("data", "flags", "kind", "mode", "optional", "source", "target")

    def __init__(
        self,
        kind: str,
        optional: bool,
        target: bytes,
        *,
        source: bytes = b"",
        mode: int = 0,
        flags: frozenset[str] = frozenset(),
        data: bytes = b"",
    ) -> None:
        self.kind = kind
        self.optional = optional
        self.target = target
        self.source = source
        self.mode = mode
        self.flags = flags
        self.data = data

    def same(self, other: Mount) -> bool:
        """Tell whether removing *other* means this one."""
        return (self.kind, self.optional, self.target) == (
            other.kind,
            other.optional,
            other.target,
        ) and (self.kind != "bind" or self.source == other.source)


def unshare(box: Sandbox, rest: str) -> None:
    """Do ``unshare/LIST:BOOL`` and ``unshare/LIST?``."""
    if rest[:1] != "/":
        raise PolicyError(EINVAL, f"malformed unshare{rest}", expected="unshare/LIST:BOOL")
    names, colon, text = rest[1:].partition(":")
    if not colon:
        chosen = namespaces(names.removesuffix("?"))
        if not names.endswith("?"):
            raise PolicyError(EINVAL, f"unshare{rest} does nothing", expected=":on, :off or ?")
        _container(box)
        box.require_default()
        box.require_free()
        if not box.running:
            raise PolicyError(EINVAL, "queries are possible only while the sandbox runs")
        if chosen - box.unshared:
            raise PolicyError(ENOENT, "not switched on")
        return
    chosen = namespaces(names)
    on = boolean(box.expand(text))
    _container(box)
    box.require_default()
    if box.in_drop and not on:
        raise PolicyError(EPERM, "lock:drop gives no namespace up")
    box.require_startup(narrowing=True)
    if on:
        box.unshared |= chosen
    else:
        box.unshared -= chosen


def _container(box: Sandbox) -> None:
    if box.host.oci:
        raise PolicyError(EOPNOTSUPP, "the container has namespaces and mounts of its own")


def root(box: Sandbox, rest: str) -> None:
    """Do ``root:WHERE``, ``root/map:BOOL`` and ``root/fake:BOOL``."""
    name, colon, text = rest.partition(":")
    if not colon or name not in ("", "/map", "/fake"):
        raise PolicyError(EINVAL, f"malformed root{rest}", expected=":, /map: or /fake:")
    if not name:
        _container(box)
        box.require_default()
        box.require_free()
        place = _place(box.expand(text))
        box.require_startup()
        box.root = place
        return
    if name == "/map":
        _container(box)
    box.require_startup()
    on = boolean(box.expand(text))
    if name == "/map":
        box.root_map = on
    else:
        box.root_fake = on


def _place(text: str) -> str | bytes | None:
    """Return the kind of memory file system, the path, or None, that *text* names."""
    if text in ("none", "off"):
        return None
    return ROOTS.get(text) or _absolute(text)


def _absolute(text: str) -> bytes:
    return absolute_path(unhex(text))


def workdir(box: Sandbox, rest: str) -> None:
    """Do ``workdir:PATH``."""
    if rest[:1] != ":":
        raise PolicyError(EINVAL, f"malformed workdir{rest}", expected="workdir:PATH")
    _container(box)
    box.require_default()
    box.require_free()
    text = box.expand(rest[1:])
    place = None if text in ("none", "off") else _absolute(text)
    box.require_startup()
    box.workdir = place


def operation(box: Sandbox, kind: str, rest: str) -> None:
    """Do one of the operations and its ``-try`` form; *rest* is what follows its name."""
    text = rest.removeprefix("-try")
    optional = text != rest
    operator = text[:1]
    if operator not in ("+", "-", "^") or (operator == "^") != (len(text) == 1):
        raise PolicyError(
            EINVAL, f"malformed {kind}{rest}", expected=f"{kind}+…, {kind}-… or {kind}^"
        )
    fields: list[str] = []
    if operator != "^":
        fields = _fields(kind, operator, text[1:])
    options = _options(fields[2] if len(fields) > 2 else "")
    if kind == "bind":
        _container(box)
    box.require_startup()
    if operator == "^":
        box.mounts = [old for old in box.mounts if (old.kind, old.optional) != (kind, optional)]
        return
    if kind == "bind":
        new = _bind(box, optional, fields, options)
    else:
        new = _create(box, kind, optional, fields)
    if operator == "+":
        if len(box.mounts) >= LIST_MAX:
            raise PolicyError(ENOSPC, f"more than {LIST_MAX} mount operations")
        box.mounts.append(new)
        return
    for place in range(len(box.mounts) - 1, -1, -1):
        if box.mounts[place].same(new):
            del box.mounts[place]
            break


def _fields(kind: str, operator: str, text: str) -> list[str]:
    """Return the fields of an operation, of which there must be as many as it takes."""
    if kind == "bind":
        fields = _split(text, 3)
        least, most = 2, 3 if operator == "+" else 2
    else:
        fields = unescape(text)
        linked = kind in ("link", "symlink")
        least = 2 if linked and operator == "+" else 1
        most = 1 if operator == "-" else 2
    if not least <= len(fields) <= most or not all(fields[:least] if kind in MODES else fields):
        raise PolicyError(EINVAL, f"malformed {kind}{operator}{text}", expected="its fields")
    for each in fields:
        field(each)
    return fields


def _split(text: str, most: int) -> list[str]:
    """Return up to *most* unescaped fields; the last one is left as it is."""
    raw: list[str] = []
    start = index = 0
    while index < len(text) and len(raw) < most - 1:
        if text[index] == "\\":
            index += 1
        elif text[index] == ":":
            raw.append(text[start:index])
            start = index + 1
        index += 1
    raw.append(text[start:])
    head = [unescape(part)[0] for part in raw[:2]]
    return head + raw[2:]


def _bind(box: Sandbox, optional: bool, fields: list[str], options: Options) -> Mount:
    source = unhex(box.expand(fields[0]))
    target = absolute_path(unhex(box.expand(fields[1])))
    if source.startswith(b"/"):
        source = plain_path(source)
    for path in (source, target):
        if path in (b"proc", b"/proc") or path.startswith(b"/proc/"):
            raise PolicyError(EPERM, "the sandbox mounts /proc itself")
    flags, data = options
    return Mount("bind", optional, target, source=source, flags=flags, data=data)


def _options(text: str) -> Options:
    """Return the flags and the file system data that the option list *text* of a bind means."""
    flags = {"nosuid", "nodev", "noexec", "nosymfollow"}
    data: list[str] = []
    for word in text.split(",") if text else ():
        option = OPTIONS.get(word)
        if option is None:
            if not word or word != word.strip():
                raise PolicyError(EINVAL, f"blank mount option in {text!r}", word=text)
            data.append(word)
        elif option[1]:
            flags.add(option[0])
        else:
            flags.discard(option[0])
    if {"noatime", "strictatime"} <= flags:
        raise PolicyError(EINVAL, "noatime and strictatime exclude each other")
    joined = ",".join(data).encode("utf-8", "surrogateescape")
    if len(joined) >= PATH_MAX:
        raise PolicyError(ENAMETOOLONG, "mount options over 4095 bytes")
    return frozenset(flags - {"relatime"}), joined


def _create(box: Sandbox, kind: str, optional: bool, fields: list[str]) -> Mount:
    target = _absolute(box.expand(fields[0]))
    if kind in MODES:
        mode = MODES[kind]
        if len(fields) > 1:
            mode = octal(box.expand(fields[1]), 0o7777)
        return Mount(kind, optional, target, mode=mode)
    source = b""
    if len(fields) > 1:
        text = box.expand(fields[1])
        source = plain_path(unhex(text)) if kind == "symlink" else _absolute(text)
    return Mount(kind, optional, target, source=source)


def command(box: Sandbox, word: str, rest: str) -> None:
    """Do the commands of this family."""
    if word == "unshare":
        unshare(box, rest)
    elif word == "root":
        root(box, rest)
    elif word == "workdir":
        workdir(box, rest)
    else:
        operation(box, word, rest)
