# SPDX-License-Identifier: GPL-3.0-or-later
"""All configuration of one sandbox: its domains, and what they share.

Commands change it, one at a time: callers that have threads take turns. `active` is the policy in
force; `subject` is the one commands are about, which differs only while an ``@NAME/`` command runs.
"""

from __future__ import annotations

from errno import EBUSY, ECANCELED, EINVAL, ENODATA, ENOSYS, EPERM

from madcap.errors import PolicyError
from madcap.policy import blame, categories, lock, parser, values
from madcap.policy.domain import Domain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from madcap.errors import Origin
    from madcap.policy.landlock import Landlock
    from madcap.policy.mounts import Mount

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
        self.spawn: Callable[[list[bytes]], None] | None = None  # Runs a program outside.
        self.sealed: list[Callable[[], None]] = []  # Called when no command can follow.
        self.output: Callable[[str], None] | None = None  # Prints what dump and stat ask for.
        self.client: Callable[[str], str] | None = None  # Reads the library called sh or el.
        self.running = False
        self.eldest = 0  # The first process, and what stands for it once it is there.
        self.eldest_fd = -100
        self.chrooted = False
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
        self.pipe_max = self.host.page_size
        self.xattr_max = 512
        self.timeout: int | None = None  # Nanoseconds.
        self.boot_time: int | None = None
        self.monotonic_time: int | None = None
        # Soft and hard at once; None leaves a limit alone.
        self.rlimits: dict[str, int | None] = dict.fromkeys(
            ("core", "memlock", "msgqueue", "nice", "rtprio", "rttime"), 0
        )
        self.transit_uids: list[tuple[int, int]] = []
        self.transit_gids: list[tuple[int, int]] = []
        self.unshared: set[str] = set()  # Namespaces of the sandbox itself.
        self.root: str | bytes | None = None  # tmpfs or ramfs, or a path.
        self.root_map = False
        self.root_fake = False
        self.workdir: bytes | None = None
        self.mounts: list[Mount] = []
        self.proxy_addr = self.proxy_ext_addr = "127.0.0.1"
        self.proxy_port = self.proxy_ext_port = 9050
        self.proxy_ext_unix: bytes | None = None
        self.pty_rows: int | None = None
        self.pty_columns: int | None = None
        self.ipc_address: bytes | None = None
        self.ipc_uid: int | None = self.host.uid
        self.ipc_gid: int | None = self.host.gid
        self.ipc_max = 64
        self.ipc_idle = 60_000_000_000  # Nanoseconds.
        self.log_level: int | None = None  # Until a command sets it; as syslog(3) counts.
        self.verbose = 1
        self.log_interval = 5_000_000_000  # Nanoseconds.
        self.log_burst = 10

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
            self.place(error, command, origin)
            raise
        finally:
            self.origin = before

    def place(self, error: PolicyError, command: str, origin: Origin | None) -> None:
        """Write into *error* that it is about *command*, which stands at *origin*."""
        if error.origin is not None and error.origin != origin:
            return
        if error.text is None:
            if error.origin is None and command not in error.message:
                error.message = f"{error.message} in {command}"
            error.origin, error.text = origin, command
            if error.column is None:
                error.column = blame.place(command, error)
        elif error.text != command and command.endswith(error.text):  # Addressed to a domain.
            error.column = (error.column or 0) + len(command) - len(error.text)
            error.text = command

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

    def preload(self) -> None:
        """Load what commands may need while the sandbox runs: every module and every profile.

        The threads that carry them out may be unable to open a file by its name.
        """
        from madcap.policy import late

        profile = late.profile
        find = self.profiles
        if find is not None:
            names = {profile.file_of(name, self.host.machine) for name in profile.NAMES}
            self.profiles = {name: find(name) for name in sorted(names)}.get
        if self.client is not None:
            texts = {name: self.client(name) for name in ("el", "sh")}
            self.client = texts.__getitem__

    def load_file(self, path: str) -> None:
        """Apply the configuration file *path*."""
        raise PolicyError(EINVAL, f"no files can be read here: {path}")

    def execute_outside(self, text: str) -> None:
        """Run a program outside the sandbox, as ``cmd/exec!`` asks; *text* is its words.

        The words are parted by the byte 0x1f. Starting it is left to `spawn`.
        """
        self.require_free()
        if not self.running:
            raise PolicyError(ECANCELED, "possible only while the sandbox runs")
        words = text.split("\x1f")
        if not words[0]:
            raise PolicyError(EINVAL, "no program to run")
        if self.spawn is None:
            raise PolicyError(ENOSYS, "no program can be started from here")
        self.spawn([word.encode("utf-8", "surrogateescape") for word in words])

    def show(self, text: str) -> None:
        """Print *text*, the state of the sandbox, through `output`."""
        if self.output is not None:
            self.output(text)

    # -- what happens at certain moments ----------------------------------------------------------

    def seal(self) -> None:
        """Make the best of it that no command can follow.

        Categories that are off go out of all rules, and who waits for commands ends.
        """
        for end in self.sealed:
            end()
        self.sealed = []
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

    def derive(self) -> None:
        """Settle what follows from all commands given, just before the sandbox is made."""
        default = self.domains["default"]
        if not self.unshared.isdisjoint(("mount", "pid")):
            self.unshared |= {"mount", "pid"}
        if default.enabled & categories.PROXY:
            self.unshared.add("net")
        for domain in self.domains.values():
            if domain.mem_max or domain.mem_vm_max:
                domain.enabled |= categories.MEM
            if domain.pid_max:
                domain.enabled |= categories.PID
            domain.touch()
        for option, pairs, own in (
            ("allow_safe_setuid", self.transit_uids, self.host.uid),
            ("allow_safe_setgid", self.transit_gids, self.host.gid),
        ):
            if pairs:
                self.options.add(option)
            if option in self.options and own not in [source for source, _ in pairs]:
                raise PolicyError(ENODATA, f"trace/{option} has no way from the present id {own}")

    def start(self) -> None:
        """Mark the sandbox as running; a lock that was never set closes now."""
        if self.lock is None:
            lock.set_state(self, lock.ON if self.ipc_address is None else lock.IPC)
        if self.locked:
            self.seal()
        for domain in self.domains.values():
            if domain.blocklist is not None:
                domain.blocklist.settle()
        self.running = True
