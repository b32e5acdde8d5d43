# SPDX-License-Identifier: GPL-3.0-or-later
"""What a filter is made from, and what comes out."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Ids = tuple[int, int, int]


class Plan:
    """What the filter of a sandbox depends on.

    *options* are the names of the switches that are on, *namespaces* the types a program may make.
    *notify* and *trace* are the calls the supervisor wants to see; a call that has conditions
    keeps them. *refuse* are calls whose handler is missing, with the errno they get where they
    would be notified. *ioctls* are (request, mask, errno); of two that say something about one
    request the later counts. *uid* and *gid* are the real, effective and saved ids of the program:
    a call that asks for those changes nothing and is not treated as an attempt on a system
    account. *memory* tells that memory use is watched, *scoped_signals* that the kernel keeps
    signals inside. *unasked* are calls out of `notify` (socket, socketpair, accept, accept4) whose
    plain forms nothing is asked about.
    """

    __slots__ = (
        "fake_root",
        "gid",
        "io_uring",
        "ioctls",
        "machine",
        "memory",
        "mmap_min_addr",
        "namespaces",
        "notify",
        "options",
        "pipe_max",
        "refuse",
        "scoped_signals",
        "trace",
        "uid",
        "unasked",
    )

    def __init__(
        self,
        *,
        machine: str,
        options: frozenset[str] = frozenset(),
        namespaces: frozenset[str] = frozenset(),
        notify: frozenset[str] = frozenset(),
        trace: frozenset[str] = frozenset(),
        refuse: Mapping[str, int] | None = None,
        ioctls: Sequence[tuple[int, int, int]] = (),
        uid: Ids = (-1, -1, -1),
        gid: Ids = (-1, -1, -1),
        mmap_min_addr: int = 4096,
        pipe_max: int = 4096,
        scoped_signals: bool = False,
        fake_root: bool = False,
        io_uring: bool = False,
        memory: bool = False,
        unasked: frozenset[str] = frozenset(),
    ) -> None:
        self.machine = machine
        self.options = options
        self.namespaces = namespaces
        self.notify = notify
        self.trace = trace
        self.refuse = refuse if refuse is not None else {}
        self.ioctls = ioctls
        self.uid = uid
        self.gid = gid
        self.mmap_min_addr = mmap_min_addr
        self.pipe_max = pipe_max
        self.scoped_signals = scoped_signals
        self.fake_root = fake_root
        self.io_uring = io_uring
        self.memory = memory
        self.unasked = unasked


class Program:
    """A seccomp program ready to be installed: *code* is an array of struct sock_filter."""

    __slots__ = ("code", "listener", "name")

    def __init__(self, name: str, code: bytes, listener: bool) -> None:
        self.name = name
        self.code = code
        self.listener = listener
