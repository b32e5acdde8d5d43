# SPDX-License-Identifier: GPL-3.0-or-later
"""What no policy opens: uses of a call that kill, and uses that fail.

A call is asked, in this order, whether it

1. kills (CHECKS_THAT_KILL), which wins over everything;
2. fails by what the policy side of the filter says (answers.py);
3. fails by a check here: socket options of guests (FIRST_DENIALS), addresses of the kernel, the
   rest (DENIALS). They come before every other answer of the policy side.

That is what the kernel makes of separate filters stacked on each other: it takes the strictest
answer, and of two errors the one of the filter installed last.

A check is a function of the Build and of the label that follows when it finds nothing.
"""

from __future__ import annotations

from errno import EACCES, EFAULT, EINVAL, ENOPKG, ENOPROTOOPT, ENOSYS, EPERM

from madcap.filter import pointers, sockopts
from madcap.filter.compile import ABOVE, ALLOW, ANY, EQUAL, ERRNO, KILL, LEAST, Assembler, high, low

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from madcap.filter.plan import Plan

    Check = Callable[["Build", int], int]

_SIGN = 0x8000_0000
_ALL_ONES = 0xFFFF_FFFF
_PAGE = 4096

PROT_WRITE, PROT_EXEC = 2, 4
MAP_SHARED, MAP_ANONYMOUS = 1, 0x20
_MAP_FIXED_BITS = 0x10 | 0x10_0000  # MAP_FIXED, MAP_FIXED_NOREPLACE
_MREMAP_FIXED = 2
_S_IFMT, _S_IFCHR, _S_IFBLK = 0o170000, 0o020000, 0o060000
_O_EXCL = 0o200
_F_SETPIPE_SZ = 1031
_LARGEST_PIPE = 1 << 31
_LAST_SYSTEM_UID, _LAST_SYSTEM_GID = 11, 14

NAMESPACES: dict[str, int] = {
    "mount": 0x20000,
    "cgroup": 0x200_0000,
    "uts": 0x400_0000,
    "ipc": 0x800_0000,
    "user": 0x1000_0000,
    "pid": 0x2000_0000,
    "net": 0x4000_0000,
    "time": 0x80,
}
_EMPTY_MOUNT_NAMESPACE = 0x10_0000
_CLONE_UNTRACED = 0x0080_0000

_FCNTL: dict[int, int] = {
    8: EPERM,  # F_SETOWN
    9: EPERM,  # F_GETOWN
    10: EPERM,  # F_SETSIG
    11: EPERM,  # F_GETSIG
    15: EPERM,  # F_SETOWN_EX
    16: EPERM,  # F_GETOWN_EX
    1024: EACCES,  # F_SETLEASE
    1025: EACCES,  # F_GETLEASE
    1026: EINVAL,  # F_NOTIFY
    1039: EACCES,  # F_GETDELEG
    1040: EACCES,  # F_SETDELEG
}


class Build:
    """A filter under construction: its plan, and its code."""

    __slots__ = ("asm", "denied", "kill", "options", "plan")

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.options = plan.options
        self.asm = Assembler()
        self.kill = self.asm.ret(KILL)
        self.denied = 0  # The bits of namespaces that may not be made.
        for name, bit in NAMESPACES.items():
            if name not in plan.namespaces:
                self.denied |= bit

    def errno(self, number: int) -> int:
        """Fail with *number*; 0 makes the call succeed and do nothing."""
        return self.asm.ret(ERRNO | number)

    def allow(self) -> int:
        """Let the kernel do it."""
        return self.asm.ret(ALLOW)

    def open_descriptor(self, then: int, otherwise: int) -> int:
        """Go to *then* unless argument 0 is negative: such a descriptor must reach the kernel."""
        return self.asm.test(low(0), ANY, _SIGN, otherwise, then)

    def pointers(self, positions: Iterable[int], then: int, fault: int) -> int:
        """Fail with *fault* if an argument at *positions* is an address of the kernel."""
        if "allow_unsafe_kptr" in self.options:
            return then
        for position in reversed(tuple(positions)):
            then = self.asm.test(high(position), ANY, _SIGN, self.errno(fault), then)
        return then


# 1: checks that kill.


def _exec_null(first: int) -> Check:
    def check(build: Build, then: int) -> int:
        if "allow_unsafe_exec_null" not in build.options:
            for position in (first + 2, first + 1, first):
                then = build.asm.null(position, build.kill, then)
        return then

    return check


def _below_minimum(build: Build, position: int, then: int) -> int:
    """Kill if the address at *position* is one the kernel would refuse to map."""
    asm = build.asm
    least = min(build.plan.mmap_min_addr, _PAGE)
    low_half = asm.test(low(position), LEAST, least, then, build.kill)
    return asm.test(high(position), EQUAL, 0, low_half, then)


def _mmap(build: Build, then: int) -> int:
    if "allow_unsafe_exec_memory" in build.options:
        return then
    asm = build.asm
    unsafe = asm.test(low(3), ANY, MAP_SHARED | MAP_ANONYMOUS, build.kill, then)
    writable = asm.branch(ANY, PROT_WRITE, build.kill, unsafe)
    protection = asm.load(low(2), asm.branch(ANY, PROT_EXEC, writable, then))
    fixed = _below_minimum(build, 0, protection)
    return asm.test(low(3), ANY, _MAP_FIXED_BITS, fixed, protection)


def _mremap(build: Build, then: int) -> int:
    if "allow_unsafe_exec_memory" in build.options:
        return then
    return build.asm.test(low(3), ANY, _MREMAP_FIXED, _below_minimum(build, 4, then), then)


def _mprotect(build: Build, then: int) -> int:
    if "allow_unsafe_exec_memory" in build.options:
        return then
    return build.asm.test(low(2), ANY, PROT_EXEC, build.kill, then)


def _mknod(position: int) -> Check:
    def check(build: Build, then: int) -> int:
        kinds = {}
        if "allow_unsafe_mkcdev" not in build.options:
            kinds[_S_IFCHR] = build.kill
        if "allow_unsafe_mkbdev" not in build.options:
            kinds[_S_IFBLK] = build.kill
        return build.asm.lookup(low(position), kinds, then, _S_IFMT)

    return check


def _set_id(count: int, group: bool) -> tuple[Check, Check]:
    """Return the two forms of the check on *count* ids: as one that kills, as one that fails."""

    def check(build: Build, then: int, answer: int) -> int:
        plan, asm = build.plan, build.asm
        highest = _LAST_SYSTEM_GID if group else _LAST_SYSTEM_UID
        real, effective, saved = plan.gid if group else plan.uid
        bad = then
        for position in range(count):
            bad = asm.test(low(position), ABOVE, highest, bad, answer)
        if count == 3:
            current: tuple[int, ...] = (real, effective, saved)
        elif real == effective == saved:
            current = (real,) * count
        else:
            return bad  # The call would change the saved id, whatever it is asked.
        if not any(0 <= number <= highest for number in current):
            return bad
        # The kernel would change nothing: make(1) run by root asks for setresuid(-1, 0, -1).
        same = then
        for position, number in enumerate(current):
            kept = {number & _ALL_ONES: same}
            if count > 1:
                kept[_ALL_ONES] = same
            same = asm.lookup(low(position), kept, bad)
        return same

    def kills(build: Build, then: int) -> int:
        if "allow_unsafe_setid" in build.options:
            return then
        return check(build, then, build.kill)

    def fails(build: Build, then: int) -> int:
        if "allow_unsafe_setid" not in build.options:
            return then
        return check(build, then, build.errno(EPERM))

    return kills, fails


_SETUID, _SETGID = _set_id(1, group=False), _set_id(1, group=True)
_SETREUID, _SETREGID = _set_id(2, group=False), _set_id(2, group=True)
_SETRESUID, _SETRESGID = _set_id(3, group=False), _set_id(3, group=True)

CHECKS_THAT_KILL: dict[str, Check] = {
    "execve": _exec_null(0),
    "execveat": _exec_null(1),
    "mknod": _mknod(1),
    "mknodat": _mknod(2),
    "mmap": _mmap,
    "mprotect": _mprotect,
    "mremap": _mremap,
    "pkey_mprotect": _mprotect,
    "setgid": _SETGID[0],
    "setregid": _SETREGID[0],
    "setresgid": _SETRESGID[0],
    "setresuid": _SETRESUID[0],
    "setreuid": _SETREUID[0],
    "setuid": _SETUID[0],
}


# 3: checks that fail.


def _arch_prctl(build: Build, then: int) -> int:
    if "allow_unsafe_arch_prctl" in build.options:
        return then
    asm = build.asm
    invalid = build.errno(EINVAL)
    writable = asm.test(low(1), ANY, 2, invalid, then)
    # Shadow stack: enable, disable, unlock.
    return asm.lookup(low(0), {0x5001: writable, 0x5002: invalid, 0x5004: invalid}, then)


def _fcntl(build: Build, then: int) -> int:
    asm = build.asm
    operations: dict[int, int] = {}
    if build.plan.pipe_max < _LARGEST_PIPE:  # Larger sizes are for the kernel to refuse.
        size = asm.search([(build.plan.pipe_max + 1, _LARGEST_PIPE, build.errno(EPERM))], then)
        operations[_F_SETPIPE_SZ] = asm.load(low(2), size)
    if "allow_unsafe_fcntl" not in build.options:
        for operation, number in _FCNTL.items():
            operations[operation] = build.errno(number)
    return build.open_descriptor(asm.lookup(low(1), operations, then), then)


def _pipe2(build: Build, then: int) -> int:
    if "allow_unsafe_pipe" in build.options:
        return then
    # O_EXCL makes a notification pipe.
    return build.asm.test(low(1), ANY, _O_EXCL, build.errno(ENOPKG), then)


def _clone(build: Build, then: int) -> int:
    return build.asm.test(low(0), ANY, build.denied | _untraced(build), build.errno(EPERM), then)


def _clone3(build: Build, then: int) -> int:
    # Its flags are in memory.
    return build.errno(ENOSYS) if build.denied | _untraced(build) else then


def _untraced(build: Build) -> int:
    """Return the flag that would make a task whose exec no tracer verifies."""
    return 0 if "allow_unsafe_ptrace" in build.options else _CLONE_UNTRACED


def _unshare(build: Build, then: int) -> int:
    bits = build.denied
    if bits & NAMESPACES["mount"]:
        bits |= _EMPTY_MOUNT_NAMESPACE
    return build.asm.test(low(0), ANY, bits, build.errno(EPERM), then)


def _setns(build: Build, then: int) -> int:
    if not build.denied:
        return then
    refused = build.errno(EPERM)
    if len(build.plan.namespaces & NAMESPACES.keys()) == 0:
        return refused
    # Type 0 stands for whatever the descriptor is.
    asm = build.asm
    some = asm.branch(ANY, build.denied, refused, then)
    return asm.load(low(1), asm.branch(EQUAL, 0, refused, some))


def _setsockopt(build: Build, then: int) -> int:
    if "allow_unsafe_setsockopt" in build.options:
        return then
    asm = build.asm
    kept = {
        pair for option, pairs in sockopts.OPEN.items() if option in build.options for pair in pairs
    }
    tables: dict[int, dict[int, int]] = {}
    for level, number, options in sockopts.OPTIONS:
        answer = build.errno(number)
        table = tables.setdefault(level, {})
        for option in options:
            if (level, option) not in kept:
                table[option] = answer
    levels = {level: asm.lookup(low(2), table, then) for level, table in tables.items()}
    for switch, whole in sockopts.LEVELS.items():
        if switch not in build.options:
            for level in whole:
                levels[level] = build.errno(ENOPROTOOPT)
    return build.open_descriptor(asm.lookup(low(1), levels, then), then)


def _guest_setsockopt(build: Build, then: int) -> int:
    rows = sockopts.GUEST_ONLY
    if "deny_passrights" in build.options:
        rows = (*rows, sockopts.PASS_RIGHTS)
    table = {option: build.errno(number) for _, option, number in rows}
    (level,) = {level for level, _, _ in rows}
    denied = build.asm.lookup(low(2), table, then)
    return build.open_descriptor(build.asm.test(low(1), EQUAL, level, denied, then), then)


def _ioctl(build: Build, then: int) -> int:
    by_mask: dict[int, dict[int, int]] = {}
    for request, mask, number in build.plan.ioctls:
        by_mask.setdefault(mask, {})[request & mask] = build.errno(number)
    found = then
    for mask in sorted(by_mask):  # The exact requests come first, so they are put on last.
        found = build.asm.lookup(low(1), by_mask[mask], found, mask)
    return build.open_descriptor(found, then)


# Addresses.


def _clone_pointers(build: Build, then: int) -> int:
    """Test the addresses that the flags of clone(2) give a meaning."""
    asm = build.asm
    child, tls = (4, 3) if build.plan.machine == "aarch64" else (3, 4)
    for bits, position in ((0x120_0000, child), (0x8_0000, tls), (0x10_1000, 2)):
        bad = build.pointers((position,), then, EFAULT)
        then = asm.test(low(0), ANY, bits, bad, then)
    return build.pointers((1,), then, EFAULT)


def _keyctl_pointers(build: Build, then: int) -> int:
    cases = {op: build.pointers(at, then, EFAULT) for op, at in pointers.KEYCTL.items()}
    return build.asm.lookup(low(0), cases, then)


def _syslog_pointers(build: Build, then: int) -> int:
    cases = {op: build.pointers(at, then, EFAULT) for op, at in pointers.SYSLOG.items()}
    return build.asm.lookup(low(0), cases, then)


def prctl_pointers(build: Build, operation: int, then: int) -> int:
    """Test the addresses of one operation of prctl(2)."""
    if operation == 35:  # PR_SET_MM, where PR_SET_MM_EXE_FILE takes a descriptor.
        return build.asm.test(low(1), EQUAL, 13, then, build.pointers((2,), then, EFAULT))
    if operation == 22:  # PR_SET_SECCOMP with SECCOMP_MODE_FILTER
        return build.asm.test(low(1), EQUAL, 2, build.pointers((2,), then, EFAULT), then)
    if operation == 59:  # PR_SET_SYSCALL_USER_DISPATCH, on
        bad = build.pointers((4,), then, EFAULT)
        return build.asm.lookup(low(1), {1: bad, 2: bad}, then)
    return build.pointers(pointers.PRCTL.get(operation, ()), then, EFAULT)


POINTERS_BY_OPERATION: dict[str, Check] = {
    "clone": _clone_pointers,
    "keyctl": _keyctl_pointers,
    "syslog": _syslog_pointers,
}

# Inside, asked after the addresses; and the one that is asked before them.
DENIALS: dict[str, Check] = {
    "arch_prctl": _arch_prctl,
    "clone": _clone,
    "clone3": _clone3,
    "fcntl": _fcntl,
    "ioctl": _ioctl,
    "pipe2": _pipe2,
    "setgid": _SETGID[1],
    "setns": _setns,
    "setregid": _SETREGID[1],
    "setresgid": _SETRESGID[1],
    "setresuid": _SETRESUID[1],
    "setreuid": _SETREUID[1],
    "setsockopt": _setsockopt,
    "setuid": _SETUID[1],
    "unshare": _unshare,
}
FIRST_DENIALS: dict[str, Check] = {"setsockopt": _guest_setsockopt}
