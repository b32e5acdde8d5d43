# SPDX-License-Identifier: GPL-3.0-or-later
"""All configuration of one sandbox: its domains, and what they share.

Commands change it, one at a time: callers that have threads take turns. `active` is the policy in
force; `subject` is the one commands are about, which differs only while an ``@NAME/`` command runs.
"""

from __future__ import annotations

from errno import EBUSY, EINVAL, EPERM

from madcap.errors import PolicyError
from madcap.policy import lock, parser, values
from madcap.policy.domain import Domain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from madcap.errors import Origin
    from madcap.policy.landlock import Landlock

    # Returns the text of a built-in profile, or None when there is none of that name.
    Profiles = Callable[[str], str | None]


class Host:
    """What commands need to know of the machine, the user and the build."""

    __slots__ = (
        "force",
        "gid",
        "kcmp",
        "landlock_abi",
        "machine",
        "oci",
        "page_size",
        "passrights",
        "uid",
    )

    def __init__(
        self,
        *,
        uid: int = 0,
        gid: int = 0,
        machine: str = "x86_64",
        page_size: int = 4096,
        landlock_abi: int = 0,
        kcmp: bool = True,
        passrights: bool = False,
        force: bool = True,
        oci: bool = False,
    ) -> None:
        self.uid = uid
        self.gid = gid
        self.machine = machine
        self.page_size = page_size
        self.landlock_abi = landlock_abi
        self.kcmp = kcmp
        self.passrights = passrights
        self.force = force
        self.oci = oci


class Sandbox:
    """The configuration commands build. *environ* is the caller's own and is edited in place."""

    def __init__(
        self,
        environ: dict[bytes, bytes],
        host: Host | None = None,
        profiles: Profiles | None = None,
    ) -> None:
        self.environ = environ
        self.host = host or Host()
        self.profiles = profiles
        self.running = False
        self.lock: int | None = None
        default = Domain("default")
        self.domains: dict[str, Domain] = {"default": default}
        self.active = default
        self.subject = default
        self.origin: Origin | None = None  # Of the command being carried out.
        self.options: set[str] = set()
        self.namespaces: set[str] = set()  # What guests may unshare: trace/allow_unsafe_namespace.
        self.memory_access = 2
        self.netlink: set[int] = set()
        self.uring_ops = {1, 2, 22, 23, 29}  # readv writev read write epoll_ctl
        self.uring_regs = {8}  # register_probe
        self.uring_flags = {4}  # async
        self.landlock: Landlock | None = None  # Until a rule or a flag is given.
        self.passenv: list[str] = []
        self.passfd: list[tuple[int, int]] = [(0, 2)]  # Sorted ranges, both ends included.
        self.nullfd: set[int] = set()

    # -- what commands ask first ------------------------------------------------------------------

    @property
    def locked(self) -> bool:
        """Whether no configuration is possible any more."""
        return self.lock is not None and self.lock >= lock.READ

    @property
    def in_drop(self) -> bool:
        """Whether only narrowing is possible."""
        return self.lock == lock.DROP

    def require_unlocked(self) -> None:
        """Refuse when the lock forbids every change."""
        if self.locked:
            raise PolicyError(EPERM, "the sandbox is locked")

    def require_free(self) -> None:
        """Refuse when the lock forbids changes other than narrowing ones."""
        self.require_unlocked()
        if self.in_drop:
            raise PolicyError(EPERM, "lock:drop permits only what narrows the policy")

    def require_default(self) -> None:
        """Refuse a setting of the whole sandbox that is addressed to another domain."""
        if self.subject.name != "default":
            raise PolicyError(EINVAL, f"not a setting of a domain ({self.subject.name})")

    def require_startup(self, *, narrowing: bool = False, any_domain: bool = False) -> None:
        """Refuse a setting that is for start-up only, when that is over or the lock forbids it."""
        if not any_domain:
            self.require_default()
        if narrowing:
            self.require_unlocked()
        else:
            self.require_free()
        if self.running:
            raise PolicyError(EBUSY, "possible only before the sandbox starts")

    def expand(self, text: str) -> str:
        """Return *text* with its variables replaced, which ends when the sandbox starts."""
        if self.running:
            return text
        return values.expand(text, self.environ)

    # -- ways in ----------------------------------------------------------------------------------

    def execute(self, command: str, origin: Origin | None = None) -> None:
        """Carry out *command*; raise PolicyError, saying where it stands, when it is refused."""
        before = self.origin
        self.origin = origin
        try:
            parser.run(self, command)
        except PolicyError as error:
            if error.origin is not None:
                raise
            message = error.message
            if command not in message:
                message = f"{message} in {command}"
            raise PolicyError(error.errno, message, origin, error.column, error.expected) from None
        finally:
            self.origin = before

    def include_profile(self, name: str) -> None:
        """Apply the built-in profile *name*, or one profile for each letter of it."""
        from madcap.policy import profile

        self.require_unlocked()
        if profile.is_name(name):
            self._apply_profile(profile.file_of(name, self.host.machine))
            return
        if not name:
            raise PolicyError(EINVAL, "profile without a name")
        for letter in name:
            full = profile.LETTERS.get(letter)
            if full is None:
                raise profile.unknown(name)
            self.require_unlocked()
            self._apply_profile(full)

    def _apply_profile(self, name: str) -> None:
        text = self.profiles(name) if self.profiles is not None else None
        if text is None:
            raise PolicyError(EINVAL, f"profile {name} is not installed")
        source = "profile " + name
        for number, line in enumerate(text.split("\n"), 1):
            if line and line[0] != "#":
                self.require_unlocked()
                self.execute(line, (source, number))

    def load_file(self, path: str) -> None:
        """Apply the configuration file *path*."""
        raise PolicyError(EINVAL, f"no files can be read here: {path}")

    # -- what happens at certain moments ----------------------------------------------------------

    def seal(self) -> None:
        """Take categories that are off out of all rules: nothing can switch them on any more."""
        for domain in self.domains.values():
            off = ~domain.enabled
            kept = []
            for rule in domain.rules:
                if rule.mask & off:
                    rule = rule.copy()
                    rule.mask &= ~off
                if rule.mask:
                    kept.append(rule)
            domain.replace_rules(kept)
