# SPDX-License-Identifier: GPL-3.0-or-later
"""What a filter should answer, said slowly: every layer on its own, then the kernel's choice.

It shares the lists of names and options with madcap, and none of the code.
"""

from __future__ import annotations

from errno import EACCES, EFAULT, EINVAL, ENOPKG, ENOPROTOOPT, ENOSYS, EOPNOTSUPP, EPERM
from typing import TYPE_CHECKING

from madcap.abi.numbers import AUDIT_ARCH, TABLES
from madcap.filter import calls, pointers, sockopts
from madcap.filter.compile import ALLOW, ERRNO, KILL, NOTIFY, TRACE
from madcap.filter.simulate import strictest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from madcap.filter.plan import Plan

REFUSED = -1  # Stands for NOTIFY until the strictest answer is known.
NAMES = {
    machine: {number: name for name, number in table.items()} for machine, table in TABLES.items()
}
TYPES = {
    "time": 1 << 7,
    "mount": 1 << 17,
    "cgroup": 1 << 25,
    "uts": 1 << 26,
    "ipc": 1 << 27,
    "user": 1 << 28,
    "pid": 1 << 29,
    "net": 1 << 30,
}
LISTS = {
    text: frozenset(text.split())
    for text in (
        *(calls.DEAD, calls.SAFE, calls.FUTEX, calls.VDSO, calls.GETID, calls.HOOKED, calls.SHM),
        *(calls.MSGQUEUE, calls.IO_URING, calls.KILL_FAMILY, pointers.INVALID, "clone3"),
        *calls.BY_OPTION.values(),
        *calls.BY_NAMESPACE.values(),
    )
}
ADDRESSES = {
    name: at
    for at, names in pointers.POINTERS.items()
    for name in names.split()
    if name not in pointers.REFUSED_BY_KERNEL.split()
}


def u32(value: int) -> int:
    """Return what the kernel sees of an int."""
    return value & 0xFFFF_FFFF


def answer(plan: Plan, number: int, arch: int, arguments: Sequence[int]) -> int:
    """Return what the kernel does with a call of a process under the filters of *plan*."""
    if arch != AUDIT_ARCH[plan.machine]:
        return KILL
    if plan.machine == "x86_64" and 0x4000_0000 <= number < 0xFFFF_FFFF:
        return KILL
    name = NAMES[plan.machine].get(number)
    if name is None:
        return ERRNO | ENOSYS
    a = [argument % (1 << 64) for argument in arguments]
    policy = layer6(plan, name, number, a)
    outer = [layer(plan, name, a) for layer in (layer1, layer2, layer3, layer4)]
    result = strictest([*outer, NOTIFY if policy == REFUSED else policy])
    if policy == REFUSED and result == NOTIFY:
        return ERRNO | plan.refuse[name]
    return result


def layer1(plan: Plan, name: str, a: Sequence[int]) -> int:
    """Return what the parent filter answers."""
    found = [ALLOW]

    def unless(option: str, result: int) -> None:
        if option not in plan.options:
            found.append(result)

    if name in LISTS[calls.DEAD]:
        found.append(ERRNO | ENOSYS)
    if name in LISTS[calls.MSGQUEUE]:
        unless("allow_unsafe_msgqueue", KILL)
    if name in LISTS[calls.SHM]:
        unless("allow_unsafe_shm", KILL)
    if name == "arch_prctl" and (
        u32(a[0]) in {0x5002, 0x5004} or (u32(a[0]) == 0x5001 and a[1] & 2)
    ):
        unless("allow_unsafe_arch_prctl", ERRNO | EINVAL)
    if (name == "execve" and 0 in a[0:3]) or (name == "execveat" and 0 in a[1:4]):
        unless("allow_unsafe_exec_null", KILL)
    least = min(plan.mmap_min_addr, 4096)
    if name == "mmap":
        executable, anonymous, shared = a[2] & 4, a[3] & 0x20, a[3] & 1
        if a[3] & 0x100010 and a[0] < least:
            unless("allow_unsafe_exec_memory", KILL)
        if executable and (a[2] & 2 or anonymous or shared):
            unless("allow_unsafe_exec_memory", KILL)
    if name == "mremap" and a[3] & 2 and a[4] < least:
        unless("allow_unsafe_exec_memory", KILL)
    if name in {"mprotect", "pkey_mprotect"} and a[2] & 4:
        unless("allow_unsafe_exec_memory", KILL)
    if name in {"mknod", "mknodat"}:
        kind = a[1 if name == "mknod" else 2] & 0o170000
        if kind == 0o060000:
            unless("allow_unsafe_mkbdev", KILL)
        if kind == 0o020000:
            unless("allow_unsafe_mkcdev", KILL)
    if name == "pipe2" and a[1] & 0o200:
        unless("allow_unsafe_pipe", ERRNO | ENOPKG)
    found += [fcntl(plan, a)] if name == "fcntl" else []
    found += [set_id(plan, name, a)] if name.startswith("set") and name.endswith("id") else []
    found += [namespaces(plan, name, a)]
    if name == "setsockopt" and "allow_unsafe_setsockopt" not in plan.options:
        found += [socket_option(plan, a)]
    return strictest(found)


def fcntl(plan: Plan, a: Sequence[int]) -> int:
    """Return what the parent filter answers to fcntl."""
    if u32(a[0]) >= 1 << 31:
        return ALLOW
    operation = u32(a[1])
    if operation == 1031:
        return ERRNO | EPERM if plan.pipe_max < u32(a[2]) <= 1 << 31 else ALLOW
    if "allow_unsafe_fcntl" in plan.options:
        return ALLOW
    if operation in {8, 9, 10, 11, 15, 16}:
        return ERRNO | EPERM
    if operation in {1024, 1025, 1039, 1040}:
        return ERRNO | EACCES
    return ERRNO | EINVAL if operation == 1026 else ALLOW


def set_id(plan: Plan, name: str, a: Sequence[int]) -> int:
    """Return what the parent filter answers to a change of ids."""
    kinds = {
        "setuid": (1, 11, plan.uid),
        "setreuid": (2, 11, plan.uid),
        "setresuid": (3, 11, plan.uid),
        "setgid": (1, 14, plan.gid),
        "setregid": (2, 14, plan.gid),
        "setresgid": (3, 14, plan.gid),
    }
    if name not in kinds:
        return ALLOW
    count, highest, ids = kinds[name]
    asked = [u32(value) for value in a[:count]]
    if all(value > highest for value in asked):
        return ALLOW
    # Nothing changes: our deviation, for programs that root starts.
    if count == 3 or len(set(ids)) == 1:
        keep = [{u32(number)} for number in ids[:count]]
        if count > 1:
            keep = [same | {0xFFFF_FFFF} for same in keep]
        if all(value in same for value, same in zip(asked, keep, strict=True)):
            return ALLOW
    return ERRNO | EPERM if "allow_unsafe_setid" in plan.options else KILL


def namespaces(plan: Plan, name: str, a: Sequence[int]) -> int:
    """Return what the parent filter answers to calls that make or enter namespaces."""
    denied = sum(bit for kind, bit in TYPES.items() if kind not in plan.namespaces)
    refused = ERRNO | EPERM
    untraced = 0 if "allow_unsafe_ptrace" in plan.options else 0x0080_0000
    if name == "clone" and a[0] & untraced:
        return refused
    if name == "clone3" and denied | untraced:
        return ERRNO | ENOSYS
    if name in {"clone", "unshare"} and a[0] & denied:
        return refused
    if name == "unshare" and a[0] & 0x100000 and "mount" not in plan.namespaces:
        return refused
    if name == "setns" and denied:
        nothing_allowed = denied == sum(TYPES.values())
        if nothing_allowed or u32(a[1]) == 0 or a[1] & denied:
            return refused
    return ALLOW


def socket_option(plan: Plan, a: Sequence[int]) -> int:
    """Return what the parent filter answers to setsockopt."""
    level, option = u32(a[1]), u32(a[2])
    if u32(a[0]) >= 1 << 31:
        return ALLOW
    for switch, levels in sockopts.LEVELS.items():
        if level in levels and switch not in plan.options:
            return ERRNO | ENOPROTOOPT
    for switch, pairs in sockopts.OPEN.items():
        if (level, option) in pairs and switch in plan.options:
            return ALLOW
    for row, number, options in sockopts.OPTIONS:
        if row == level and option in options:
            return ERRNO | number
    return ALLOW


def layer2(plan: Plan, name: str, a: Sequence[int]) -> int:
    """Return what the filter of ioctl requests answers."""
    if name != "ioctl" or u32(a[0]) >= 1 << 31:
        return ALLOW
    for mask in sorted({mask for _, mask, _ in plan.ioctls}, reverse=True):
        for request, its_mask, number in reversed(plan.ioctls):
            if mask == its_mask and a[1] & mask == request & mask:
                return ERRNO | number
    return ALLOW


def layer3(plan: Plan, name: str, a: Sequence[int]) -> int:
    """Return what the filter of kernel addresses answers."""
    if "allow_unsafe_kptr" in plan.options:
        return ALLOW
    positions: list[int] = list(ADDRESSES.get(name, ()))
    if name == "clone":
        arm = plan.machine == "aarch64"
        positions.append(1)
        positions += [2] if a[0] & (0x100000 | 0x1000) else []
        positions += [3 if arm else 4] if a[0] & 0x80000 else []
        positions += [4 if arm else 3] if a[0] & (0x1000000 | 0x200000) else []
    if name in {"keyctl", "syslog", "prctl"}:
        table = {"keyctl": pointers.KEYCTL, "syslog": pointers.SYSLOG, "prctl": pointers.PRCTL}
        positions += table[name].get(u32(a[0]), ())
    if name == "prctl":
        operation, detail = u32(a[0]), u32(a[1])
        positions += [2] if operation == 35 and detail != 13 else []
        positions += [2] if operation == 22 and detail == 2 else []
        positions += [4] if operation == 59 and detail in {1, 2} else []
    if any(a[position] >= 1 << 63 for position in positions):
        return ERRNO | (EINVAL if name in LISTS[pointers.INVALID] else EFAULT)
    return ALLOW


def layer4(plan: Plan, name: str, a: Sequence[int]) -> int:
    """Return what the filter of socket options answers to guests."""
    if name != "setsockopt" or u32(a[0]) >= 1 << 31 or u32(a[1]) != 1:
        return ALLOW
    results = {26: EPERM, 44: 0}
    if "deny_passrights" in plan.options:
        results[83] = EPERM
    return ERRNO | results[u32(a[2])] if u32(a[2]) in results else ALLOW


def asked(plan: Plan, name: str, number: int, otherwise: int) -> int:
    """Return what the plan wants of a call."""
    if name in plan.refuse:
        return REFUSED
    if name in plan.notify:
        return NOTIFY
    return TRACE | number if name in plan.trace else otherwise


def layer6(plan: Plan, name: str, number: int, a: Sequence[int]) -> int:
    """Return what the main filter answers."""
    on = plan.options
    if name == "prctl":
        return prctl(plan, number, a)
    if name in LISTS[calls.GETID] and plan.fake_root:
        return ERRNO | 0
    if name == "pivot_root":
        return ERRNO | (0 if "allow_unsafe_pivot_root" in on else EPERM)
    if name == "chroot":
        if "allow_unsafe_chroot" in on:
            return ERRNO | 0
        return asked(plan, name, number, ERRNO | EPERM)
    if name == "syslog":
        return asked(plan, name, number, ERRNO | EPERM)
    if name in LISTS[calls.KILL_FAMILY]:
        return asked(plan, name, number, ALLOW if plan.scoped_signals else NOTIFY)
    by_arguments = conditional(plan, name, number, a)
    if by_arguments is not None:
        return by_arguments
    return asked(plan, name, number, ALLOW if is_open(plan, name) else ERRNO | ENOSYS)


def conditional(plan: Plan, name: str, number: int, a: Sequence[int]) -> int | None:
    """Return what the main filter answers to calls with conditions."""
    on = plan.options
    hooked = asked(plan, name, number, ALLOW)
    if name == "rt_sigaction":
        return ALLOW if a[1] == 0 else hooked
    if name == "getsockopt":
        return hooked if u32(a[1]) == 1 and u32(a[2]) in {17, 77} else ALLOW
    if name in plan.unasked:
        return ALLOW if plainly(name, a) else None
    if name in {"recvfrom", "sendto"}:
        if a[3] & 1 and "allow_unsafe_oob" not in on:
            return ERRNO | EOPNOTSUPP
        if a[4] == 0 or (name == "sendto" and u32(a[5]) == 0):
            return ALLOW
        return hooked
    if name == "futex":
        ordinary = u32(a[1]) & 0xFFFFF87F in {0, 1, 2, 3, 4, 5, 9, 10}
        return ALLOW if ordinary or "allow_unsafe_futex" in on else ERRNO | ENOSYS
    if name in {"signalfd", "signalfd4"}:
        return hooked if u32(a[0]) >= 1 << 31 else ALLOW
    if name == "mmap":
        return mmap(plan, number, a)
    if name == "seccomp":
        return ALLOW if a[0] & 0xFFFFFFFF in {2, 3} or "allow_unsafe_cbpf" in on else ERRNO | EINVAL
    if name == "bpf" and "allow_unsafe_ebpf" in on:
        return ERRNO | EPERM if u32(a[0]) in {0, 5, 18} or u32(a[0]) >= 38 else hooked
    if name == "prlimit64":
        if "allow_unsafe_prlimit" not in on:
            return ALLOW if a[2] == 0 else ERRNO | ENOSYS
        return ALLOW if a[2] == 0 or u32(a[0]) == 0 else hooked
    if name == "madvise":
        return madvise(u32(a[2])) if "allow_unsafe_madvise" not in on else ALLOW
    if name == "ptrace":
        if "allow_unsafe_ptrace" in on:
            return ALLOW
        return ERRNO | 0 if a[0] != 0 else asked(plan, name, number, ERRNO | 0)
    if name == "personality" and "allow_unsafe_personality" not in on:
        if u32(a[0]) == 0xFFFFFFFF:
            return ALLOW
        if a[0] & 0x740000:
            return KILL
        return ALLOW if u32(a[0]) in {0, 8, 0x20000, 0x20008} else ERRNO | ENOSYS
    return ALLOW if name == "personality" else None


def plainly(name: str, a: Sequence[int]) -> bool:
    """Tell whether nothing is asked about this call, where plain ones are not asked about."""
    if name == "socket":
        return u32(a[0]) == 1 or (u32(a[0]) in {2, 10} and a[1] & 15 in {1, 2, 5})
    if name == "socketpair":
        return u32(a[0]) == 1
    return name in {"accept", "accept4"} and a[1] == 0


def mmap(plan: Plan, number: int, a: Sequence[int]) -> int:
    """Return what the main filter answers to mmap."""
    hooked = asked(plan, "mmap", number, ALLOW)
    stopped = TRACE | number if "mmap" in plan.trace and hooked != REFUSED else hooked
    anonymous, shared, executable = a[3] & 0x20, a[3] & 1, a[2] & 4
    if plan.memory:
        return hooked if anonymous else stopped
    if anonymous:
        return ALLOW
    return stopped if shared or executable else ALLOW


def madvise(advice: int) -> int:
    """Return what the main filter answers to a piece of advice."""
    if advice in {0, 2, 4, 24, 9, 14, 15, 16, 11, 10, 18, 19, 25, 22, 23, 102, 103}:
        return ALLOW
    if advice in {1, 3, 8, 12, 13, 17, 20, 21, 101}:
        return ERRNO | 0
    return ERRNO | (EPERM if advice == 100 else ENOSYS)


def prctl(plan: Plan, number: int, a: Sequence[int]) -> int:
    """Return what the main filter answers to prctl."""
    on, operation = plan.options, u32(a[0])
    if "allow_unsafe_prctl" in on:
        return ALLOW
    if operation == 4:
        if a[1] > 1:
            return ERRNO | EINVAL
        return ERRNO | 0 if a[1] == 0 and "allow_unsafe_proc_dumpable" in on else ALLOW
    if operation == 15 and "allow_unsafe_proc_name" not in on:
        return asked(plan, "prctl", number, ERRNO | 0)
    if operation == 0x59616D61:
        return ERRNO | 0
    for operations, option, result in (
        ({21}, "allow_unsafe_cbpf", 0),
        ({22}, "allow_unsafe_cbpf", EINVAL),
        ({31, 32}, "allow_unsafe_perf", EINVAL),
        ({52, 53}, "allow_unsafe_exec_speculative", EINVAL),
        ({79}, "allow_unsafe_rseq", EINVAL),
        ({59}, "allow_unsafe_sud", EINVAL),
    ):
        if operation in operations and option not in on:
            return ERRNO | result
    if operation == 75:
        return ALLOW if a[1] == 1 else ERRNO | EINVAL
    if operation == 81:
        return ALLOW if a[2] & 3 == 1 else ERRNO | EINVAL
    if operation == 26 and "deny_tsc" in on:
        return ERRNO | ENOSYS
    gaps = {17, 18, 35, 43, 44, 48, 49, 67, 68, 77}
    known = (1 <= operation <= 81 and operation not in gaps) or operation == 0x53564D41
    return ALLOW if known else ERRNO | ENOSYS


def is_open(plan: Plan, name: str) -> bool:
    """Tell whether the main filter lets the call through when the plan does not ask for it."""
    lists = [calls.SAFE, calls.FUTEX, calls.VDSO, calls.GETID, calls.HOOKED]
    lists += [calls.SHM, calls.MSGQUEUE]  # Only layer 1 stands before those.
    lists += [names for option, names in calls.BY_OPTION.items() if option in plan.options]
    lists += [names for kind, names in calls.BY_NAMESPACE.items() if kind in plan.namespaces]
    lists += [calls.IO_URING] if plan.io_uring else []
    lists += ["clone3"] if plan.namespaces >= TYPES.keys() else []
    return any(name in LISTS[names] for names in lists)
