# SPDX-License-Identifier: GPL-3.0-or-later
"""What the filter answers where nothing forbids the call: allow, notify, trace, or an errno of its
own.

An answer is a function of the Answering and of the name of the call. An errno decided here
(`build.errno`) is final. Everything else goes through `answering.then(name, value)`, which puts
the checks of layers.py in front of *value*.
"""

from __future__ import annotations

from errno import EINVAL, ENOSYS, EOPNOTSUPP, EPERM

from madcap.filter import calls
from madcap.filter.compile import ALLOW, ANY, EQUAL, ERRNO, LEAST, NOTIFY, TRACE, high, low
from madcap.filter.layers import (
    MAP_ANONYMOUS,
    MAP_SHARED,
    PROT_EXEC,
    Build,
    prctl_pointers,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Answer = Callable[["Answering", str], int]

_SIGN = 0x8000_0000
_SOL_SOCKET = 1
_MSG_OOB = 1
_PEER_OPTIONS = (17, 77)  # SO_PEERCRED, SO_PEERPIDFD
_AF_UNIX, _AF_INET, _AF_INET6 = 1, 2, 10
_TYPE_MASK = 0xF
_PLAIN_TYPES = (1, 2, 5)  # SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET

_FUTEX_MASK = 0xFFFF_F87F  # Without the flags: private, clock, size.
# Wait, wake, fd, requeue, cmp_requeue, wake_op, wait_bitset, wake_bitset: all but those with
# priority inheritance.
_FUTEX = (0, 1, 2, 3, 4, 5, 9, 10)

# Operations of prctl(2) that are left to the kernel unless they have an answer of their own below.
# PR_SET_PTRACER and PR_SET_VMA are large.
# fmt: off
_PRCTL = (
    *range(1, 17), *range(19, 35), *range(36, 43), *range(45, 48), *range(50, 67), *range(69, 77),
    *range(78, 82), 0x59616D61, 0x53564D41,
)
# fmt: on
_PR_SET_DUMPABLE = 4
_PR_SET_NAME = 15
_PR_SET_TSC = 26
_PR_SET_SHADOW_STACK_STATUS = 75
_PR_SET_CFI = 81
_PR_SET_PTRACER = 0x59616D61
# Operation, errno, the option that leaves it to the kernel.
_PRCTL_REFUSED = (
    (21, 0, "allow_unsafe_cbpf"),  # PR_GET_SECCOMP
    (22, EINVAL, "allow_unsafe_cbpf"),  # PR_SET_SECCOMP
    (31, EINVAL, "allow_unsafe_perf"),  # PR_TASK_PERF_EVENTS_DISABLE
    (32, EINVAL, "allow_unsafe_perf"),  # PR_TASK_PERF_EVENTS_ENABLE
    (52, EINVAL, "allow_unsafe_exec_speculative"),  # PR_GET_SPECULATION_CTRL
    (53, EINVAL, "allow_unsafe_exec_speculative"),  # PR_SET_SPECULATION_CTRL
    (59, EINVAL, "allow_unsafe_sud"),  # PR_SET_SYSCALL_USER_DISPATCH
    (79, EINVAL, "allow_unsafe_rseq"),  # PR_RSEQ_SLICE_EXTENSION
)

_MADVISE = (0, 2, 4, 24, 9, 14, 15, 16, 11, 10, 18, 19, 25, 22, 23, 102, 103)
_MADVISE_IGNORED = (1, 3, 8, 12, 13, 17, 20, 21, 101)
_MADV_HWPOISON = 100

_PERSONALITY_QUERY = 0xFFFF_FFFF
# READ_IMPLIES_EXEC, ADDR_COMPAT_LAYOUT, MMAP_PAGE_ZERO, ADDR_NO_RANDOMIZE
_PERSONALITY_UNSAFE = 0x40_0000 | 0x20_0000 | 0x10_0000 | 0x4_0000
_PERSONALITY = (0x0, 0x8, 0x2_0000, 0x2_0008)


class Answering:
    """The policy side of a filter: which calls are open, and what is asked of whom."""

    __slots__ = ("build", "number", "open", "then")

    def __init__(
        self, build: Build, numbers: dict[str, int], then: Callable[[str, int], int]
    ) -> None:
        self.build = build
        self.number = numbers
        self.then = then
        self.open = open_calls(build)

    def hook(self, name: str, otherwise: int) -> int:
        """Return what the supervisor wants of *name*, or *otherwise*."""
        plan = self.build.plan
        if name in plan.refuse:
            return ERRNO | plan.refuse[name]
        if name in plan.notify:
            return NOTIFY
        if name in plan.trace:
            return TRACE | self.number[name] & 0xFFFF
        return otherwise

    def plain(self, name: str) -> int:
        """Answer a call that has no conditions."""
        value = self.hook(name, ALLOW if name in self.open else -1)
        return self.build.errno(ENOSYS) if value < 0 else self.then(name, value)


def open_calls(build: Build) -> set[str]:
    """Return the calls that are allowed when nobody asks for them."""
    plan = build.plan
    names = f"{calls.SAFE}{calls.FUTEX}{calls.VDSO}{calls.HOOKED}{calls.GETID}".split()
    for option, more in calls.BY_OPTION.items():
        if option in plan.options:
            names += more.split()
    for namespace, more in calls.BY_NAMESPACE.items():
        if namespace in plan.namespaces:
            names += more.split()
    if plan.io_uring:
        names += calls.IO_URING.split()
    # Without these options the calls kill: the check for that is in rules.py.
    names += calls.SHM.split()
    names += calls.MSGQUEUE.split()
    if not build.denied:
        names.append("clone3")
    return set(names)


def _sigaction(answering: Answering, name: str) -> int:
    """A query (argument 1 is null) changes nothing."""
    allow = answering.then(name, ALLOW)
    return answering.build.asm.null(1, allow, answering.then(name, answering.hook(name, ALLOW)))


def _getsockopt(answering: Answering, name: str) -> int:
    """Two options tell of processes, and ours may be among them."""
    asm = answering.build.asm
    hooked = answering.then(name, answering.hook(name, ALLOW))
    allow = answering.then(name, ALLOW)
    options = asm.lookup(low(2), dict.fromkeys(_PEER_OPTIONS, hooked), allow)
    return asm.test(low(1), EQUAL, _SOL_SOCKET, options, allow)


def _socket(answering: Answering, name: str) -> int:
    """No process is refused a UNIX socket, nor one for TCP, UDP and their like."""
    asm = answering.build.asm
    hooked = answering.plain(name)
    if name not in answering.build.plan.unasked:
        return hooked
    allow = answering.then(name, ALLOW)
    inet = asm.lookup(low(1), dict.fromkeys(_PLAIN_TYPES, allow), hooked, _TYPE_MASK)
    return asm.lookup(low(0), {_AF_UNIX: allow, _AF_INET: inet, _AF_INET6: inet}, hooked)


def _socketpair(answering: Answering, name: str) -> int:
    hooked = answering.plain(name)
    if name not in answering.build.plan.unasked:
        return hooked
    return answering.build.asm.test(low(0), EQUAL, _AF_UNIX, answering.then(name, ALLOW), hooked)


def _accept(answering: Answering, name: str) -> int:
    """Who doesn't ask for the peer's address gets none that we would have to put right."""
    hooked = answering.plain(name)
    if name not in answering.build.plan.unasked:
        return hooked
    return answering.build.asm.null(1, answering.then(name, ALLOW), hooked)


def _recvfrom(answering: Answering, name: str) -> int:
    asm = answering.build.asm
    hooked = answering.then(name, answering.hook(name, ALLOW))
    return _refuse_oob(answering, asm.null(4, answering.then(name, ALLOW), hooked))


def _sendto(answering: Answering, name: str) -> int:
    asm = answering.build.asm
    allow = answering.then(name, ALLOW)
    hooked = answering.then(name, answering.hook(name, ALLOW))
    hooked = asm.test(low(5), EQUAL, 0, allow, hooked)
    return _refuse_oob(answering, asm.null(4, allow, hooked))


def _refuse_oob(answering: Answering, then: int) -> int:
    build = answering.build
    if "allow_unsafe_oob" in build.options:
        return then
    return build.asm.test(low(3), ANY, _MSG_OOB, build.errno(EOPNOTSUPP), then)


def _futex(answering: Answering, name: str) -> int:
    build = answering.build
    allow = answering.then(name, ALLOW)
    if "allow_unsafe_futex" in build.options:
        return allow
    cases = dict.fromkeys(_FUTEX, allow)
    return build.asm.lookup(low(1), cases, build.errno(ENOSYS), _FUTEX_MASK)


def _signalfd(answering: Answering, name: str) -> int:
    """A descriptor that is not negative names a signalfd to change."""
    hooked = answering.then(name, answering.hook(name, ALLOW))
    allow = answering.then(name, ALLOW)
    return answering.build.asm.test(low(0), ANY, _SIGN, hooked, allow)


def _kill(answering: Answering, name: str) -> int:
    otherwise = ALLOW if answering.build.plan.scoped_signals else NOTIFY
    return answering.then(name, answering.hook(name, otherwise))


def _syslog(answering: Answering, name: str) -> int:
    value = answering.hook(name, -1)
    return answering.build.errno(EPERM) if value < 0 else answering.then(name, value)


def _chroot(answering: Answering, name: str) -> int:
    if "allow_unsafe_chroot" in answering.build.options:
        return answering.build.errno(0)
    value = answering.hook(name, -1)
    return answering.build.errno(EPERM) if value < 0 else answering.then(name, value)


def _pivot_root(answering: Answering, _name: str) -> int:
    allowed = "allow_unsafe_pivot_root" in answering.build.options
    return answering.build.errno(0 if allowed else EPERM)


def _getid(answering: Answering, name: str) -> int:
    if answering.build.plan.fake_root:
        return answering.build.errno(0)
    return answering.plain(name)


def _mmap(answering: Answering, name: str) -> int:
    build = answering.build
    asm, plan = build.asm, build.plan
    allow = answering.then(name, ALLOW)
    traced = answering.hook(name, ALLOW)
    if name in plan.trace and name not in plan.refuse:
        traced = TRACE | answering.number[name] & 0xFFFF
    watched = answering.then(name, traced)
    if plan.memory:
        anonymous = answering.then(name, answering.hook(name, ALLOW))
        return asm.test(low(3), ANY, MAP_ANONYMOUS, anonymous, watched)
    executable = asm.test(low(2), ANY, PROT_EXEC, watched, allow)
    shared = asm.branch(ANY, MAP_SHARED, watched, executable)
    return asm.load(low(3), asm.branch(ANY, MAP_ANONYMOUS, allow, shared))


def _seccomp(answering: Answering, name: str) -> int:
    build = answering.build
    allow = answering.then(name, ALLOW)
    if "allow_unsafe_cbpf" in build.options:
        return allow
    # SECCOMP_GET_ACTION_AVAIL, SECCOMP_GET_NOTIF_SIZES
    return build.asm.lookup(low(0), {2: allow, 3: allow}, build.errno(EINVAL))


def _bpf(answering: Answering, name: str) -> int:
    build = answering.build
    if "allow_unsafe_ebpf" not in build.options:
        return answering.plain(name)
    refused = build.errno(EPERM)
    allow = answering.then(name, answering.hook(name, ALLOW))
    # BPF_MAP_CREATE, BPF_PROG_LOAD, BPF_BTF_LOAD, and the commands that are too new to judge.
    commands = [(0, 0, refused), (5, 5, refused), (18, 18, refused), (38, 0xFFFF_FFFF, refused)]
    return build.asm.load(low(0), build.asm.search(commands, allow))


def _prlimit64(answering: Answering, name: str) -> int:
    build = answering.build
    allow = answering.then(name, ALLOW)
    if "allow_unsafe_prlimit" not in build.options:
        return build.asm.null(2, allow, build.errno(ENOSYS))
    changes = answering.then(name, answering.hook(name, ALLOW))
    return build.asm.null(2, allow, build.asm.test(low(0), EQUAL, 0, allow, changes))


def _madvise(answering: Answering, name: str) -> int:
    build = answering.build
    allow = answering.then(name, ALLOW)
    if "allow_unsafe_madvise" in build.options:
        return allow
    cases = dict.fromkeys(_MADVISE, allow)
    cases.update(dict.fromkeys(_MADVISE_IGNORED, build.errno(0)))
    cases[_MADV_HWPOISON] = build.errno(EPERM)
    return build.asm.lookup(low(2), cases, build.errno(ENOSYS))


def _ptrace(answering: Answering, name: str) -> int:
    build = answering.build
    if "allow_unsafe_ptrace" in build.options:
        return answering.then(name, ALLOW)
    # PTRACE_TRACEME is 0. The request is a long.
    value = answering.hook(name, -1)
    hooked = build.errno(0) if value < 0 else answering.then(name, value)
    return build.asm.null(0, hooked, build.errno(0))


def _personality(answering: Answering, name: str) -> int:
    build = answering.build
    asm = build.asm
    allow = answering.then(name, ALLOW)
    if "allow_unsafe_personality" in build.options:
        return allow
    # The query carries the unsafe bits too, so it comes first; then they do.
    known = asm.search([(value, value, allow) for value in _PERSONALITY], build.errno(ENOSYS))
    unsafe = asm.branch(ANY, _PERSONALITY_UNSAFE, build.kill, known)
    return asm.load(low(0), asm.branch(EQUAL, _PERSONALITY_QUERY, allow, unsafe))


def _prctl(answering: Answering, name: str) -> int:
    build = answering.build
    asm, options = build.asm, build.options

    def kernel(operation: int) -> int:
        return prctl_pointers(build, operation, build.allow())

    if "allow_unsafe_prctl" in options:
        cases = {operation: kernel(operation) for operation in (*_PRCTL, 35, 0x41555856)}
        return asm.lookup(low(0), cases, build.allow())
    cases = {operation: kernel(operation) for operation in _PRCTL}
    for operation, number, option in _PRCTL_REFUSED:
        if option not in options:
            cases[operation] = build.errno(number)
    cases[_PR_SET_PTRACER] = build.errno(0)
    if "deny_tsc" in options:
        cases[_PR_SET_TSC] = build.errno(ENOSYS)
    if "allow_unsafe_proc_name" not in options:
        value = answering.hook(name, -1)
        cases[_PR_SET_NAME] = (
            build.errno(0) if value < 0 else prctl_pointers(build, _PR_SET_NAME, asm.ret(value))
        )
    invalid = build.errno(EINVAL)
    zero = build.errno(0) if "allow_unsafe_proc_dumpable" in options else build.allow()
    values = asm.branch(EQUAL, 0, zero, asm.branch(LEAST, 2, invalid, build.allow()))
    cases[_PR_SET_DUMPABLE] = asm.test(high(1), EQUAL, 0, asm.load(low(1), values), invalid)
    one = asm.test(low(1), EQUAL, 1, build.allow(), invalid)
    cases[_PR_SET_SHADOW_STACK_STATUS] = asm.test(high(1), EQUAL, 0, one, invalid)
    cases[_PR_SET_CFI] = asm.bits(low(2), 3, 1, build.allow(), invalid)
    return asm.lookup(low(0), cases, build.errno(ENOSYS))


ANSWERS: dict[str, Answer] = {
    "accept": _accept,
    "accept4": _accept,
    "bpf": _bpf,
    "chroot": _chroot,
    "futex": _futex,
    "getsockopt": _getsockopt,
    "madvise": _madvise,
    "mmap": _mmap,
    "personality": _personality,
    "pivot_root": _pivot_root,
    "prctl": _prctl,
    "prlimit64": _prlimit64,
    "ptrace": _ptrace,
    "recvfrom": _recvfrom,
    "rt_sigaction": _sigaction,
    "seccomp": _seccomp,
    "sendto": _sendto,
    "signalfd": _signalfd,
    "signalfd4": _signalfd,
    "socket": _socket,
    "socketpair": _socketpair,
    "syslog": _syslog,
}
for _name in calls.KILL_FAMILY.split():
    ANSWERS[_name] = _kill
for _name in calls.GETID.split():
    ANSWERS[_name] = _getid
