# SPDX-License-Identifier: GPL-3.0-or-later
"""What all handlers share: static descriptors, the policy, identities, hooks into the pool."""

from __future__ import annotations

import _thread
import os

from madcap.abi.flags import O_PATH, PROC_SUPER_MAGIC, OpenFlags
from madcap.kernel.crashes import Crashes
from madcap.kernel.procfs import mounted_elsewhere
from madcap.linux._call import MACHINE, Buffer
from madcap.linux.fs import filesystem_type, openat2
from madcap.linux.listener import LIBRARY, Known, Listener, Looker
from madcap.linux.memory import CROSS_ONLY
from madcap.linux.process import read_file
from madcap.policy.actions import ALLOW
from madcap.policy.categories import STAT, WALK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from madcap.linux.memory import Memory
    from madcap.linux.native import Native
    from madcap.policy.domain import Domain
    from madcap.policy.sandbox import Sandbox

#: The open(2) flags of this machine.
OPEN: OpenFlags = OpenFlags(MACHINE)

#: Switches under which no path is just opened.
FORCING = frozenset(("deny_dotdot", "force_no_symlinks", "force_no_magiclinks", "force_no_xdev"))
_MOST_INTERRUPTED = 4096


class Host:
    """The supervisor as the handlers see it. Made before the first thread, then only read.

    Descriptors: *root* (``/``), *proc* (``/proc``), *self_fd* (our own ``/proc/self/fd``), all
    O_PATH; *null* (``/dev/null``, read-write). They live as long as the process.
    """

    __slots__ = (
        "action",
        "blocking",
        "by_status",
        "chrooted",
        "crashes",
        "egid",
        "eldest",
        "eldest_fd",
        "eldest_lives",
        "end_calls",
        "euid",
        "forget",
        "ghost",
        "groups",
        "interrupted",
        "known",
        "last",
        "listener",
        "moves",
        "native",
        "null",
        "options",
        "pid",
        "plain_stat",
        "policy_lock",
        "proc",
        "proc_dev",
        "procs_elsewhere",
        "pulls",
        "release",
        "root",
        "sandbox",
        "self_fd",
        "sysinfo",
        "terminal",
        "traced",
        "traceme",
        "unique_name",
        "writers",
    )  # fmt: skip

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.options = sandbox.options
        self.pid = os.getpid()
        self.euid = os.geteuid()
        self.egid = os.getegid()
        self.groups = frozenset([*os.getgroups(), self.egid])
        self.root = openat2(-100, b"/", O_PATH | OPEN.DIRECTORY)
        self.proc = openat2(-100, b"/proc", O_PATH | OPEN.DIRECTORY)
        if filesystem_type(self.proc, Buffer(128)) != PROC_SUPER_MAGIC:
            raise OSError(18, "/proc is not a proc file system")
        self.self_fd = openat2(self.proc, b"self/fd", O_PATH | OPEN.DIRECTORY)
        self.proc_dev = os.fstat(self.proc).st_dev
        #: Whether lookups have to look out for other proc file systems than /proc.
        self.procs_elsewhere = mounted_elsewhere(read_file(self.proc, b"self/mountinfo", 1 << 24))
        self.null = openat2(-100, b"/dev/null", os.O_RDWR)
        st = os.fstat(self.null)
        if st.st_rdev != os.makedev(1, 3) or st.st_mode & 0o170000 != 0o020000:
            raise OSError(18, "/dev/null is not the null device")
        self.listener = -1
        #: In the idle class, the default, wake-ups stay near anyway, and on one CPU all do.
        self.pulls = "allow_unsafe_nice" in self.options and len(os.sched_getaffinity(0)) > 1
        self.eldest = 0
        self.eldest_fd = -1
        self.eldest_lives = True
        self.plain_stat = False
        self.policy_lock = PolicyLock(self)
        self.traceme: set[int] = set()  #: Threads that asked to be traced.
        random = os.urandom(4)
        major_minor = b".".join(os.uname().release.encode().split(b".")[:2])
        self.release = major_minor + b".%d" % random[0]
        self.sysinfo = (int.from_bytes(random[1:], "little"), random[0])
        self.unique_name = b"syd-" + sandbox.environ.get(b"SYD_ID", b"")[:32]
        self.chrooted = False
        self.last = Buffer(8)  #: For all threads: the id of the call that was received last.
        self.native: Native | None = None  #: The native part, where there is one.
        self.known = Known()
        if os.path.exists(LIBRARY) and sandbox.environ.get(b"MADCAP_NATIVE") != b"0":
            from madcap.linux.native import load

            self.native = load(LIBRARY)
        if self.native is not None:
            self.known = self.native.known
        #: One of 8 bytes for each request: the task whose memory may be about to be written to,
        #: because it was found waiting, or 0. The tracer looks at them.
        self.writers: list[Buffer] = []
        self.crashes = Crashes()
        self.terminal = 0  #: The process between the guest's terminal and the user's, if any.
        self.ghost = False
        #: SYD_INTERRUPT=status: what signal handlers are installed matters (see supervisor.watch).
        self.by_status = sandbox.environ.get(b"SYD_INTERRUPT") == b"status"
        self.traced = "allow_unsafe_ptrace" not in self.options
        self.moves: frozenset[str] = frozenset()  #: Kinds of event that set off moves.
        if len(sandbox.domains) > 1:
            from madcap.policy.domains import kinds_of

            self.moves = kinds_of(sandbox)
        #: Called around a call that can block: (req, call, restartable) -> result.
        self.blocking: Callable[..., int]
        #: Ends all calls that block now.
        self.end_calls: Callable[[], None]
        #: By thread: number and arguments of its last call that was answered ERESTARTSYS.
        self.interrupted: dict[int, tuple[int, ...]] = {}
        #: Called with (process, signal, restarts=...) and (process) where *by_status*.
        self.action: Callable[..., None] = _nothing
        self.forget: Callable[[int], None] = _nothing

    def ways(
        self, memory: Memory, writer: Buffer, scratch: Buffer, offset: int
    ) -> tuple[Listener, Looker]:
        """Return what a thread receives, answers and looks paths up with.

        *writer* is its own of the `writers`. A struct stat may be left at *offset* of *scratch*
        by a look.
        """
        if self.native is None:
            return Listener(self.listener, memory, self.last), Looker()
        ahead = self.sandbox.memory_access == CROSS_ONLY
        listener = self.native.listener(
            self.listener, memory, (self.last, writer), (self.root, self.self_fd), ahead=ahead
        )
        return listener, self.native.looker(scratch, offset)

    def may_know(self) -> bool:
        """Tell whether a stat may be answered from what is `known`.

        Where more than the rules of one category on a name decides, or the walk to it, it may not.
        """
        policy = self.sandbox.active
        return not (
            self.ghost
            or self.chrooted
            or self.procs_elsewhere
            or self.moves
            or policy.masks
            or policy.enabled & WALK
            or not policy.flags.isdisjoint(FORCING)
        )

    def tell_known(self, policy: Domain, name: bytes) -> None:
        """Let a stat of *name* be answered at once, and of all that is beside it, if it may be.

        *policy* is what allowed the first. The root itself is never known by its own name: that
        is the slash which stands for all in a directory.
        """
        lock = self.policy_lock.lock
        if self.native is None or name[:1] != b"/" or not lock.acquire(False):
            return
        try:
            if policy is not self.sandbox.active:
                return
            directory = name[: name.rfind(b"/")]
            if policy.allows_all_in(STAT, directory):
                self.known.allow(directory + b"/")
            elif name[-1] != 0x2F and policy.check(STAT, name)[0] == ALLOW:
                self.known.allow(name)
        finally:
            lock.release()

    def note_interrupted(self, tid: int, call: tuple[int, ...]) -> None:
        """Note for the tracer that *call* of thread *tid* is answered ERESTARTSYS.

        The tracer forgets it when the thread ends; where that came first, it goes with age.
        """
        if not self.traced:
            return
        calls = self.interrupted
        calls[tid] = call
        if len(calls) > _MOST_INTERRUPTED:
            for old in list(calls)[: _MOST_INTERRUPTED // 2]:
                calls.pop(old, None)


class PolicyLock:
    """Held while the policy changes: one command at a time, and nothing stays `known`."""

    __slots__ = ("_host", "lock")

    def __init__(self, host: Host) -> None:
        self._host = host
        self.lock = _thread.allocate_lock()

    def __enter__(self) -> None:
        self.lock.acquire()
        self._host.known.forget(opened=False)

    def __exit__(self, *_error: object) -> None:
        self._host.known.forget(opened=self._host.may_know())
        self.lock.release()


def _nothing(*_args: object, **_options: object) -> None:
    """Do nothing."""
