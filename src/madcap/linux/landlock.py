# SPDX-License-Identifier: GPL-3.0-or-later
"""Landlock: the kernel's own sandbox for the thread that calls, and for all its children.

Some facts about Landlock that matter here:

- Domains stack and never loosen. A right that a domain handles and no rule grants is refused, with
  EACCES (EXDEV for a rename across directories, EPERM for a signal).
- Files are judged when they are opened. A descriptor that somebody outside of the domain opened and
  handed in keeps working: reading, writing, ftruncate(2), ioctl(2).
- A domain that handles any file right refuses to *reparent*, that is to link or rename across
  directories, unless it grants that right (REFER); and every domain beside it in the same stack
  does so too, even one that handles no file right. It also refuses mount(2).
- A process may trace only what is in its own domain or below it, so a domain with nothing in it
  still keeps what runs inside from tracing what does not.
- Threads have their own domains. A supervisor thread is not bound by what its child is bound by.
"""

from __future__ import annotations

import errno
import os
import stat
from itertools import pairwise
from struct import pack

from madcap.abi.flags import AT_FDCWD, O_PATH, RESOLVE_NO_MAGICLINKS
from madcap.linux._call import bind, c_char_p, c_int, c_uint, c_ulong
from madcap.linux.fs import openat2

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence
    from typing import Final

    Ports = Sequence[tuple[int, int]]

# File rights, by their names in the configuration, in the order in which the kernel numbers them.
# fmt: off
EXECUTE: Final      = 1 << 0
WRITE_FILE: Final   = 1 << 1
READ_FILE: Final    = 1 << 2
READ_DIR: Final     = 1 << 3
REMOVE_DIR: Final   = 1 << 4
REMOVE_FILE: Final  = 1 << 5
MAKE_CHAR: Final    = 1 << 6
MAKE_DIR: Final     = 1 << 7
MAKE_REG: Final     = 1 << 8
MAKE_SOCK: Final    = 1 << 9
MAKE_FIFO: Final    = 1 << 10
MAKE_BLOCK: Final   = 1 << 11
MAKE_SYM: Final     = 1 << 12
REFER: Final        = 1 << 13
TRUNCATE: Final     = 1 << 14
IOCTL_DEV: Final    = 1 << 15
RESOLVE_UNIX: Final = 1 << 16

BIND_TCP: Final         = 1 << 0
CONNECT_TCP: Final      = 1 << 1
BIND_UDP: Final         = 1 << 2
CONNECT_SEND_UDP: Final = 1 << 3

SCOPE_ABSTRACT_UNIX: Final = 1 << 0
SCOPE_SIGNAL: Final        = 1 << 1

RIGHTS: Final = {
    "exec":     EXECUTE,
    "write":    WRITE_FILE,
    "read":     READ_FILE,
    "readdir":  READ_DIR,
    "rmdir":    REMOVE_DIR,
    "delete":   REMOVE_FILE,
    "mkcdev":   MAKE_CHAR,
    "mkdir":    MAKE_DIR,
    "create":   MAKE_REG,
    "bind":     MAKE_SOCK,
    "mkfifo":   MAKE_FIFO,
    "mkbdev":   MAKE_BLOCK,
    "symlink":  MAKE_SYM,
    "rename":   REFER,
    "truncate": TRUNCATE,
    "ioctl":    IOCTL_DEV,
    "connect":  RESOLVE_UNIX,
}

# Flags of landlock_restrict_self(2), ABI 7, by their names in the configuration.
LOG_FLAGS: Final = {"same_exec_off": 1, "new_exec_on": 2, "subdomains_off": 4}

# What each version of the interface added: file rights, network rights, scopes, flags.
_ADDED: Final = (
    (1, (1 << 13) - 1,  0,                              0,                                  0),
    (2, REFER,          0,                              0,                                  0),
    (3, TRUNCATE,       0,                              0,                                  0),
    (4, 0,              BIND_TCP | CONNECT_TCP,         0,                                  0),
    (5, IOCTL_DEV,      0,                              0,                                  0),
    (6, 0,              0,                              SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL, 0),
    (7, 0,              0,                              0,                                  7),
    (9, RESOLVE_UNIX,   0,                              0,                                  0),
    (10, 0,             BIND_UDP | CONNECT_SEND_UDP,    0,                                  0),
)

# What a child loses because its supervisor does it in its place, by the calls that it hands over.
_EMULATED: Final = {
    #            file rights                           network                         scopes
    "creat":    (MAKE_REG,                             0,                              0),
    "open":     (READ_DIR | WRITE_FILE,                0,                              0),
    "truncate": (TRUNCATE,                             0,                              0),
    "unlink":   (REMOVE_FILE,                          0,                              0),
    "rmdir":    (REMOVE_DIR,                           0,                              0),
    "mkdir":    (MAKE_DIR,                             0,                              0),
    "mknod":    (MAKE_FIFO | MAKE_BLOCK | MAKE_CHAR,   0,                              0),
    "symlink":  (MAKE_SYM,                             0,                              0),
    "rename":   (REFER,                                0,                              0),
    "link":     (REFER,                                0,                              0),
    "bind":     (MAKE_SOCK,                            BIND_TCP | BIND_UDP,            0),
    "connect":  (RESOLVE_UNIX,      CONNECT_TCP | CONNECT_SEND_UDP,  SCOPE_ABSTRACT_UNIX),
}
# fmt: on

# The rights that mean something on what is not a directory; the kernel takes no others there.
_ON_FILES: Final = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV | RESOLVE_UNIX

_RULE_PATH_BENEATH, _RULE_NET_PORT = 1, 2
_QUERY_VERSION, _QUERY_ERRATA = 1, 2
_ALL_PORTS: Final = 65536

_create_ruleset = bind("landlock_create_ruleset", c_char_p, c_ulong, c_uint)
_add_rule = bind("landlock_add_rule", c_int, c_int, c_char_p, c_uint)
_restrict_self = bind("landlock_restrict_self", c_int, c_uint)


class Access:
    """A set of file rights, network rights and scopes."""

    __slots__ = ("fs", "net", "scoped")

    def __init__(self, fs: int = 0, net: int = 0, scoped: int = 0) -> None:
        self.fs = fs
        self.net = net
        self.scoped = scoped

    def __bool__(self) -> bool:
        """Return whether there is anything in it."""
        return bool(self.fs or self.net or self.scoped)

    def __and__(self, other: Access) -> Access:
        """Return what is in both."""
        return Access(self.fs & other.fs, self.net & other.net, self.scoped & other.scoped)


class Outcome:
    """What came of a policy: whether it binds, and what of it the kernel or the files lack.

    *missing* are paths that do not exist and *relaxed* names of rights the kernel cannot refuse.
    """

    __slots__ = ("abi", "enforced", "missing", "relaxed")

    def __init__(self, abi: int, enforced: bool, missing: list[bytes], relaxed: list[str]) -> None:
        self.abi = abi
        self.enforced = enforced
        self.missing = missing
        self.relaxed = relaxed


def abi() -> int:
    """Return the version of Landlock the kernel offers, 0 where there is none."""
    try:
        return _create_ruleset(None, 0, _QUERY_VERSION)
    except OSError:
        return 0  # Not built in (ENOSYS) or not enabled at boot (EOPNOTSUPP).


def errata() -> int:
    """Return the kernel's bit set of corrected mistakes, 0 where it can't tell (Linux 6.15)."""
    try:
        return _create_ruleset(None, 0, _QUERY_ERRATA)
    except OSError:
        return 0


def supported(version: int) -> Access:
    """Return everything that *version* of Landlock can refuse."""
    known = Access()
    for since, fs, net, scoped, _ in _ADDED:
        if version >= since:
            known = Access(known.fs | fs, known.net | net, known.scoped | scoped)
    return known


def create_ruleset(handled: Access) -> int:
    """Return a descriptor of a new set of rules that refuses *handled* where no rule grants it."""
    attribute = pack("=QQQ", handled.fs, handled.net, handled.scoped)
    # Older kernels take a longer attribute only if what they don't know is zero, so cut it there.
    size = 24 if handled.scoped else 16 if handled.net else 8
    return _create_ruleset(attribute, size, 0)


def add_path(ruleset: int, fd: int, rights: int) -> None:
    """Grant file *rights* on what *fd* refers to and on everything below it."""
    _add_rule(ruleset, _RULE_PATH_BENEATH, pack("=Qi", rights, fd), 0)


def add_port(ruleset: int, port: int, rights: int) -> None:
    """Grant network *rights* on *port*."""
    _add_rule(ruleset, _RULE_NET_PORT, pack("=QQ", rights, port), 0)


def restrict_self(ruleset: int, flags: int = 0) -> None:
    """Put the calling thread under *ruleset*; it must have no_new_privs or CAP_SYS_ADMIN."""
    _restrict_self(ruleset, flags)


def scope_only(*, signals: bool = True, sockets: bool = True) -> bool:
    """Keep this thread from *signals* to and abstract UNIX *sockets* of processes outside.

    Return whether the kernel can (Linux 6.12, ABI 6); nothing is done where it can't.
    """
    scoped = SCOPE_SIGNAL * signals | SCOPE_ABSTRACT_UNIX * sockets
    return _refuse(Access(scoped=scoped) & supported(abi()))


def scope_supervisor(*, signals: bool = True) -> bool:
    """Keep this thread and all below from tracing, and from *signals* to, processes outside.

    Reparenting stays allowed everywhere, whatever domains come on top. Return whether the kernel
    can (Linux 5.19, ABI 2).
    """
    handled = Access(fs=REFER, scoped=SCOPE_SIGNAL * signals) & supported(abi())
    if not handled.fs:
        return False
    ruleset = create_ruleset(handled)
    try:
        root = openat2(AT_FDCWD, b"/", O_PATH)
        try:
            add_path(ruleset, root, REFER)
        finally:
            os.close(root)
        restrict_self(ruleset)
    finally:
        os.close(ruleset)
    return True


def child_access(hooked: Container[str], *, signals: bool = True) -> Access:
    """Return what a child needs not be able to do itself when the calls *hooked* are emulated.

    Never READ_FILE, EXECUTE or IOCTL_DEV: exec, mapping and ioctl are continued.
    """
    fs = net = 0
    scoped = SCOPE_SIGNAL * signals
    for name, access in _EMULATED.items():
        if name in hooked:
            fs |= access[0]
            net |= access[1]
            scoped |= access[2]
    return Access(fs, net, scoped)


def scope_child(hooked: Container[str], *, signals: bool = True) -> bool:
    """Refuse this thread whatever the supervisor does in its place for the calls *hooked*.

    A call that slips past emulation is then refused by the kernel. Descriptors that the supervisor
    installs keep working. Return whether the kernel can do any of it.
    """
    version = abi()
    if version < 2:  # Its REFER can't be granted, so not be left out either.
        return False
    return _refuse(child_access(hooked, signals=signals) & supported(version))


def _refuse(handled: Access) -> bool:
    """Refuse *handled* to this thread without any exception."""
    if not handled:
        return False
    ruleset = create_ruleset(handled)
    try:
        restrict_self(ruleset)
    finally:
        os.close(ruleset)
    return True


def apply(
    paths: Mapping[str, Iterable[bytes]],
    bind_ports: Ports = (),
    connect_ports: Ports = (),
    *,
    best_effort: bool = False,
    granted: Sequence[tuple[int, int]] = (),
    log: Container[str] = (),
    start: int = AT_FDCWD,
) -> Outcome:
    """Put this thread under the user's policy: refuse every right except what is listed.

    *paths* has the paths by the name of the right, relative ones below the descriptor *start*; the
    ports are ranges with both ends. *granted* are descriptors that keep some rights without being
    asked for, *log* the names of log flags that are on. Scopes are always requested.

    Raise OSError that names the path: EACCES for ``..`` in it, ELOOP for a magic link in it. Unless
    *best_effort*, also ENOENT where it is missing, EOPNOTSUPP where a right makes no sense on it,
    and EOPNOTSUPP where the kernel has no Landlock at all. What a younger Landlock could refuse
    in addition is no error: the outcome tells.
    """
    version = abi()
    if version < 2:
        if best_effort:
            return Outcome(version, False, [], sorted(paths))
        raise OSError(errno.EOPNOTSUPP, "landlock: the kernel has it not, or not enabled")
    known = supported(version)
    bind_net = BIND_TCP | BIND_UDP if _some(bind_ports) else 0
    connect_net = CONNECT_TCP | CONNECT_SEND_UDP if _some(connect_ports) else 0
    handled = known & Access(known.fs, bind_net | connect_net, known.scoped)
    relaxed = [name for name in paths if not RIGHTS[name] & known.fs]
    if (bind_net | connect_net) and not handled.net:
        relaxed.append("net")
    missing: list[bytes] = []
    ruleset = create_ruleset(handled)
    try:
        for path, rights in _by_path(paths).items():
            if not _grant(ruleset, path, rights & known.fs, best_effort, start):
                missing.append(path)
        for fd, rights in granted:
            add_path(ruleset, fd, rights & known.fs)
        _grant_ports(
            ruleset,
            ((bind_ports, handled.net & bind_net), (connect_ports, handled.net & connect_net)),
        )
        restrict_self(ruleset, _log_flags(version, log))
    finally:
        os.close(ruleset)
    return Outcome(version, True, missing, relaxed)


def _by_path(paths: Mapping[str, Iterable[bytes]]) -> dict[bytes, int]:
    """Return the rights of each path."""
    result: dict[bytes, int] = {}
    for name, listed in paths.items():
        right = RIGHTS[name]
        for path in listed:
            result[path] = result.get(path, 0) | right
    return result


def _grant(ruleset: int, path: bytes, rights: int, best_effort: bool, start: int) -> bool:
    """Grant *rights* on *path*; return whether it exists."""
    shown = path.decode("utf-8", "backslashreplace")
    if b".." in path.split(b"/"):
        raise OSError(errno.EACCES, f"landlock: {shown}: '..' in a rule")
    try:
        fd = openat2(start, path, O_PATH, RESOLVE_NO_MAGICLINKS)
    except OSError as error:
        if best_effort and error.errno in {errno.ENOENT, errno.ENOTDIR}:
            return False
        reason = f"landlock: no rule for {shown}: {os.strerror(error.errno or 0)}"
        raise OSError(error.errno, reason) from None
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            if rights & ~_ON_FILES and not best_effort:
                names = ",".join(n for n, bit in RIGHTS.items() if rights & bit & ~_ON_FILES)
                reason = f"landlock: {shown} is no directory: {names} makes no sense there"
                raise OSError(errno.EOPNOTSUPP, reason)
            rights &= _ON_FILES
        if rights:  # The kernel refuses a rule that grants nothing.
            add_path(ruleset, fd, rights)
    finally:
        os.close(fd)
    return True


def _some(ports: Ports) -> bool:
    """Return whether *ports* leave any port out."""
    following = 0
    for low, high in sorted(ports):
        if low > following:
            return True
        following = max(following, high + 1)
    return following < _ALL_PORTS


def _grant_ports(ruleset: int, grants: Sequence[tuple[Ports, int]]) -> None:
    """Grant rights on ports, each port once: there may be all but a few of them."""
    spans = [(low, high + 1, rights) for ports, rights in grants if rights for low, high in ports]
    borders = sorted({border for low, end, _ in spans for border in (low, end)})
    for start, end in pairwise(borders):
        together = 0
        for low, high, rights in spans:
            if low <= start < high:
                together |= rights
        if together:
            for port in range(start, end):
                add_port(ruleset, port, together)


def _log_flags(version: int, log: Container[str]) -> int:
    flags = 0
    for name, flag in LOG_FLAGS.items():
        if name in log:
            flags |= flag
    return flags & sum(known for since, _, _, _, known in _ADDED if version >= since)
