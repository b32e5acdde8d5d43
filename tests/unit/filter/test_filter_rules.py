# SPDX-License-Identifier: GPL-3.0-or-later
"""The program of a sandboxed process: what it answers, how long it is, how soon it decides."""

from __future__ import annotations

from errno import (
    EACCES,
    EFAULT,
    EINVAL,
    ENOENT,
    ENOPKG,
    ENOPROTOOPT,
    ENOSYS,
    ENOTTY,
    EOPNOTSUPP,
    EPERM,
)
from typing import Any

import pytest
from tests.unit.filter.plans import DEFAULT, MINUS_ONE, default_plan

from madcap.abi.numbers import AUDIT_ARCH, TABLES
from madcap.filter.compile import ALLOW, ERRNO, KILL, LONGEST, NOTIFY, TRACE
from madcap.filter.rules import Plan, guest_programs
from madcap.filter.simulate import Outcome, check, data, run
from madcap.kernel.table import Conditions, stops
from madcap.kernel.table import plan as kernel_plan
from madcap.policy.sandbox import Sandbox

HIGH = 1 << 63
# What tests/programs/network.syd-3 switches on.
SERVERS = tuple(
    f"trace/allow_unsafe_{name}:1"
    for name in ("any_addr", "setsockopt", "fcntl", "prlimit", "proc_dumpable", "shm")
)


def outcome(plan: Plan, name: str, *arguments: int) -> Outcome:
    """Run the programs of *plan* on one call."""
    (program,) = guest_programs(plan)
    number = TABLES[plan.machine][name]
    return run(program.code, data(number, AUDIT_ARCH[plan.machine], arguments))


def ask(name: str, *arguments: int, **changes: Any) -> int:
    """Return what the default plan with *changes* answers."""
    plan = default_plan(**changes) if changes else DEFAULT
    return outcome(plan, name, *arguments).value


def on(*options: str) -> dict[str, Any]:
    """Switch options on."""
    return {"options": frozenset(options)}


@pytest.mark.parametrize(
    ("name", "arguments", "answer"),
    [
        # Dead calls, and those nobody lists.
        ("reboot", (), ERRNO | ENOSYS),
        ("open_by_handle_at", (0, HIGH), ERRNO | ENOSYS),
        ("file_setattr", (), ERRNO | ENOSYS),
        ("clone3", (), ERRNO | ENOSYS),
        # Shadow stack.
        ("arch_prctl", (0x5002, 1), ERRNO | EINVAL),
        ("arch_prctl", (0x5004, 1), ERRNO | EINVAL),
        ("arch_prctl", (0x5001, 2), ERRNO | EINVAL),
        ("arch_prctl", (0x5001, 1), ALLOW),
        ("arch_prctl", (1 << 32 | 0x5002, 1), ERRNO | EINVAL),
        ("arch_prctl", (0x1002, 0x7000), ALLOW),
        # exec.
        ("execve", (1, 1, 1), NOTIFY),
        ("execve", (0, 1, 1), KILL),
        ("execve", (1, 0, 1), KILL),
        ("execve", (1, 1, 0), KILL),
        ("execve", (1 << 32, 1, 1), NOTIFY),
        ("execveat", (0, 1, 1, 1), NOTIFY),
        ("execveat", (5, 1, 1, 0), KILL),
        ("execve", (1, HIGH, 1), ERRNO | EFAULT),
        # Memory.
        ("mmap", (0, 4096, 3, 0x22), ALLOW),
        ("mmap", (0, 4096, 3, 0x32), KILL),
        ("mmap", (4095, 4096, 3, 0x100022), KILL),
        ("mmap", (4096, 4096, 3, 0x32), ALLOW),
        ("mmap", (1 << 32, 4096, 3, 0x32), ALLOW),
        ("mmap", (0, 4096, 7, 0x22), KILL),
        ("mmap", (0, 4096, 6, 2), KILL),
        ("mmap", (0, 4096, 5, 0x22), KILL),
        ("mmap", (0, 4096, 5, 1), KILL),
        ("mmap", (0, 4096, 5, 2), TRACE | 9),
        ("mmap", (0, 4096, 1, 1), TRACE | 9),
        ("mmap", (0, 4096, 3, 0x21), ALLOW),
        ("mmap", (0, 4096, 1, 2), ALLOW),
        ("mmap", (HIGH, 4096, 1, 2), ERRNO | EINVAL),
        ("mremap", (0, 0, 0, 2, 100), KILL),
        ("mremap", (0, 0, 0, 1, 100), ALLOW),
        ("mremap", (0, 0, 0, 2, 1 << 40), ALLOW),
        ("mprotect", (4096, 4096, 5), KILL),
        ("mprotect", (4096, 4096, 3), ALLOW),
        ("mprotect", (HIGH, 4096, 3), ERRNO | EINVAL),
        ("pkey_mprotect", (4096, 4096, 4), KILL),
        ("pkey_mprotect", (4096, 4096, 1), ERRNO | ENOSYS),
        # fcntl.
        *[("fcntl", (3, op), ERRNO | EPERM) for op in (8, 9, 10, 11, 15, 16)],
        *[("fcntl", (3, op), ERRNO | EACCES) for op in (1024, 1025, 1039, 1040)],
        ("fcntl", (3, 1026), ERRNO | EINVAL),
        ("fcntl", (MINUS_ONE, 8), ALLOW),
        ("fcntl", (0xFFFFFFFF, 1026), ALLOW),
        ("fcntl", (3, 3), ALLOW),
        ("fcntl", (3, 1031, 4096), ALLOW),
        ("fcntl", (3, 1031, 4097), ERRNO | EPERM),
        ("fcntl", (3, 1031, 1 << 31), ERRNO | EPERM),
        ("fcntl", (3, 1031, (1 << 31) + 1), ALLOW),
        # Device nodes.
        ("mknod", (1, 0o060600), KILL),
        ("mknod", (1, 0o020600), KILL),
        ("mknod", (1, 0o010600), NOTIFY),
        ("mknodat", (3, 1, 0o160600), NOTIFY),
        ("mknodat", (3, 1, 0o1_060600), KILL),
        ("mknodat", (3, 1, 0o020666), KILL),
        # IPC.
        ("mq_open", (), KILL),
        ("shmget", (), KILL),
        ("msgsnd", (0, HIGH), KILL),
        ("pipe2", (1, 0o200), ERRNO | ENOPKG),
        ("pipe2", (1, 0o2000000), NOTIFY),
        # Ids: DEFAULT is run by 1000.
        ("setuid", (0,), KILL),
        ("setuid", (11,), KILL),
        ("setuid", (12,), ALLOW),
        ("setuid", (MINUS_ONE,), ALLOW),
        ("setgid", (14,), KILL),
        ("setgid", (15,), ALLOW),
        ("setreuid", (MINUS_ONE, 3), KILL),
        ("setresuid", (MINUS_ONE, MINUS_ONE, 0), KILL),
        ("setresuid", (MINUS_ONE, MINUS_ONE, MINUS_ONE), ALLOW),
        ("setresgid", (1 << 32, 1000, 1000), KILL),
        ("setgroups", (0, 0), ALLOW),
        # Namespaces.
        ("clone", (0x10000000,), ERRNO | EPERM),
        ("clone", (0x11,), ALLOW),
        ("clone", (0x800011,), ERRNO | EPERM),
        ("clone", (0x11, HIGH), ERRNO | EFAULT),
        ("clone", (0x1200011, 0, 0, HIGH), ERRNO | EFAULT),
        ("clone", (0x200011, 0, 0, HIGH), ERRNO | EFAULT),
        ("clone", (0x1000011, 0, 0, HIGH), ERRNO | EFAULT),
        ("clone", (0x100011, 0, HIGH), ERRNO | EFAULT),
        ("clone", (0x11, 0, HIGH, HIGH, HIGH), ALLOW),
        ("clone", (0x80011, 0, 0, 0, HIGH), ERRNO | EFAULT),
        ("clone", (0x1011, 0, HIGH), ERRNO | EFAULT),
        ("unshare", (0x20000,), ERRNO | EPERM),
        ("unshare", (0x100000,), ERRNO | EPERM),
        ("unshare", (0x200,), ALLOW),
        ("setns", (3, 0x4000000), ERRNO | EPERM),
        ("setns", (3, 4), ERRNO | EPERM),
        # ioctl.
        ("ioctl", (3, 0x5401), NOTIFY),
        ("ioctl", (3, 0x5412), ERRNO | ENOTTY),
        ("ioctl", (3, 1 << 32 | 0x5412), ERRNO | ENOTTY),
        ("ioctl", (MINUS_ONE, 0x5412), NOTIFY),
        ("ioctl", (3, 0x40049409), ERRNO | EOPNOTSUPP),
        ("ioctl", (3, 0x40182103), ERRNO | ENOTTY),
        ("ioctl", (3, 0x8901), ERRNO | EPERM),
        # Addresses of the kernel.
        ("recvfrom", (0, HIGH, 1), ERRNO | EFAULT),
        ("recvfrom", (0, HIGH - 1, 1), ALLOW),
        ("read", (0, HIGH, 1), ALLOW),  # The kernel says EFAULT itself.
        ("openat", (0, HIGH), ERRNO | EFAULT),
        ("munmap", (HIGH, 1), ERRNO | EINVAL),
        ("mount", (HIGH,), ERRNO | ENOSYS),
        ("wait4", (0, 0, 0, HIGH), ERRNO | EFAULT),
        ("seccomp", (2, 0, HIGH), ERRNO | EFAULT),
        ("seccomp", (1, 0, HIGH), ERRNO | EINVAL),
        # Answers with conditions.
        ("rt_sigaction", (2, 0, 1), ALLOW),
        ("rt_sigaction", (2, 1, 0), NOTIFY),
        ("rt_sigaction", (2, 1 << 32, 0), NOTIFY),
        ("getsockopt", (3, 1, 17), NOTIFY),
        ("getsockopt", (3, 1, 77), NOTIFY),
        ("getsockopt", (3, 1, 18), ALLOW),
        ("getsockopt", (3, 6, 17), ALLOW),
        ("recvfrom", (3, 1, 1, 1), ERRNO | EOPNOTSUPP),
        ("recvfrom", (3, 1, 1, 0, 0, 1), ALLOW),
        ("recvfrom", (3, 1, 1, 0, 1, 0), NOTIFY),
        ("recvfrom", (3, 1, 1, 0, 1, 1), NOTIFY),
        ("sendto", (3, 1, 1, 0, 1, 0), ALLOW),
        ("sendto", (3, 1, 1, 0, 1, 16), NOTIFY),
        ("sendto", (3, 1, 1, 1, 1, 16), ERRNO | EOPNOTSUPP),
        ("sendto", (3, 1, 1, 0, 0, 16), ALLOW),
        *[("futex", (4096, op), ALLOW) for op in (0, 1, 128, 129, 137, 265, 393, 5, 10)],
        *[("futex", (4096, op), ERRNO | ENOSYS) for op in (6, 7, 8, 11, 12, 13, 134, 0x800)],
        ("signalfd", (MINUS_ONE, 1), NOTIFY),
        ("signalfd4", (3, 1), ALLOW),
        ("kill", (1, 9), ALLOW),
        ("syslog", (10,), ERRNO | EPERM),
        ("chdir", (1,), ALLOW),
        ("prlimit64", (0, 7, 0, 1), ALLOW),
        ("prlimit64", (0, 7, 1, 0), ERRNO | ENOSYS),
        ("setrlimit", (7, 1), ERRNO | ENOSYS),
        ("ptrace", (16, 1), ERRNO | 0),
        ("ptrace", (0,), NOTIFY),
        ("ptrace", (1 << 32,), ERRNO | 0),
        ("seccomp", (1,), ERRNO | EINVAL),
        ("seccomp", (0,), ERRNO | EINVAL),
        ("seccomp", (2, 0, 1), ALLOW),
        ("seccomp", (3, 0, 1), ALLOW),
        ("bpf", (0,), ERRNO | ENOSYS),
        ("pivot_root", (), ERRNO | EPERM),
        ("chroot", (1,), NOTIFY),
        ("getuid", (), ALLOW),
    ],
)
def test_default_plan_answers(name: str, arguments: tuple[int, ...], answer: int) -> None:
    assert ask(name, *arguments) == answer


@pytest.mark.parametrize(
    ("operation", "more", "answer"),
    [
        (4, (2,), ERRNO | EINVAL),
        (4, (1 << 32,), ERRNO | EINVAL),
        (4, (1,), ALLOW),
        (4, (0,), ALLOW),
        (15, (1,), NOTIFY),
        (15, (HIGH,), ERRNO | EFAULT),
        (0x59616D61, (1,), ERRNO | 0),
        (22, (2,), ERRNO | EINVAL),
        (21, (), ERRNO | 0),
        (31, (), ERRNO | EINVAL),
        (32, (), ERRNO | EINVAL),
        (52, (), ERRNO | EINVAL),
        (53, (), ERRNO | EINVAL),
        (79, (), ERRNO | EINVAL),
        (59, (), ERRNO | EINVAL),
        (75, (1,), ALLOW),
        (75, (3,), ERRNO | EINVAL),
        (81, (0, 1), ALLOW),
        (81, (0, 5), ALLOW),
        (81, (0, 2), ERRNO | EINVAL),
        (26, (2,), ALLOW),
        (35, (), ERRNO | ENOSYS),
        (0x41555856, (), ERRNO | ENOSYS),
        (68, (), ERRNO | ENOSYS),
        (43, (), ERRNO | ENOSYS),
        (77, (), ERRNO | ENOSYS),
        (38, (1,), ALLOW),
        (0x53564D41, (0, 1, 1, 1), ALLOW),
        (0x53564D41, (0, 1, 1, HIGH), ERRNO | EFAULT),
        (37, (HIGH,), ERRNO | EFAULT),
        (36, (HIGH,), ALLOW),
        (1 << 32 | 38, (1,), ALLOW),
    ],
)
def test_prctl_answers(operation: int, more: tuple[int, ...], answer: int) -> None:
    assert ask("prctl", operation, *more) == answer


@pytest.mark.parametrize(
    ("level", "option", "answer"),
    [
        (1, 12, ERRNO | 0),
        (1, 25, ERRNO | EPERM),
        (1, 27, ERRNO | ENOENT),
        (1, 1, ERRNO | EACCES),
        (1, 60, ERRNO | EOPNOTSUPP),
        (1, 84, ERRNO | ENOPROTOOPT),
        (1, 2, ALLOW),
        (1, 9, ALLOW),
        (1, 26, ERRNO | EPERM),
        (1, 44, ERRNO | 0),
        (1, 83, ALLOW),
        (0, 1, ERRNO | 0),
        (0, 17, ERRNO | EPERM),
        (0, 1167, ERRNO | ENOPROTOOPT),
        (0, 1168, ALLOW),
        (41, 26, ALLOW),
        (41, 78, ERRNO | 0),
        (6, 13, ERRNO | ENOENT),
        (6, 23, ERRNO | EOPNOTSUPP),
        (6, 1, ALLOW),
        (17, 104, ERRNO | 0),
        (136, 11, ERRNO | ENOPROTOOPT),
        (255, 1, ERRNO | EOPNOTSUPP),
        (58, 1, ERRNO | ENOPROTOOPT),
        (270, 8, ERRNO | EPERM),
        (284, 6, ERRNO | ENOPROTOOPT),
        (279, 1, ERRNO | ENOPROTOOPT),
        (263, 0xFFFF, ERRNO | ENOPROTOOPT),
        (286, 3, ERRNO | ENOPROTOOPT),
        (12345, 1, ALLOW),
    ],
)
def test_setsockopt_answers(level: int, option: int, answer: int) -> None:
    assert ask("setsockopt", 3, level, option, 1, 4) == answer
    assert ask("setsockopt", 3, 1 << 32 | level, 1 << 32 | option, 1, 4) == answer
    assert ask("setsockopt", MINUS_ONE, level, option, 1, 4) == ALLOW


@pytest.mark.parametrize(
    ("advice", "answer"),
    [
        *[(advice, ALLOW) for advice in (0, 2, 4, 9, 10, 11, 14, 15, 16, 18, 19, 22, 23, 24, 25)],
        *[(advice, ALLOW) for advice in (102, 103)],
        *[(advice, ERRNO | 0) for advice in (1, 3, 8, 12, 13, 17, 20, 21, 101)],
        (100, ERRNO | EPERM),
        *[(advice, ERRNO | ENOSYS) for advice in (5, 6, 7, 26, 99, 104, 0xFFFFFFFF)],
    ],
)
def test_madvise_answers(advice: int, answer: int) -> None:
    assert ask("madvise", 4096, 4096, advice) == answer


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        (0, ALLOW),
        (8, ALLOW),
        (0x20000, ALLOW),
        (0x20008, ALLOW),
        (0xFFFFFFFF, ALLOW),
        (MINUS_ONE, ALLOW),
        (0x40000, KILL),
        (0x400000, KILL),
        (0x200000, KILL),
        (0x100008, KILL),
        (0xFFFFFFFE, KILL),
        (4, ERRNO | ENOSYS),
    ],
)
def test_personality_answers(value: int, answer: int) -> None:
    assert ask("personality", value) == answer


@pytest.mark.parametrize(
    ("option", "name", "arguments", "answer"),
    [
        ("allow_unsafe_arch_prctl", "arch_prctl", (0x5002,), ALLOW),
        ("allow_unsafe_exec_null", "execve", (0, 0, 0), NOTIFY),
        ("allow_unsafe_exec_memory", "mmap", (0, 4096, 7, 0x22), ALLOW),
        ("allow_unsafe_exec_memory", "mmap", (0, 4096, 7, 1), TRACE | 9),
        ("allow_unsafe_exec_memory", "mprotect", (0, 4096, 7), ALLOW),
        ("allow_unsafe_exec_memory", "mremap", (0, 0, 0, 2, 0), ALLOW),
        ("allow_unsafe_fcntl", "fcntl", (3, 8), ALLOW),
        ("allow_unsafe_fcntl", "fcntl", (3, 1031, 5000), ERRNO | EPERM),
        ("allow_unsafe_mkbdev", "mknod", (1, 0o060600), NOTIFY),
        ("allow_unsafe_mkbdev", "mknod", (1, 0o020600), KILL),
        ("allow_unsafe_mkcdev", "mknodat", (3, 1, 0o020600), NOTIFY),
        ("allow_unsafe_mkcdev", "mknodat", (3, 1, 0o060600), KILL),
        ("allow_unsafe_msgqueue", "mq_open", (), ALLOW),
        ("allow_unsafe_msgqueue", "shmget", (), KILL),
        ("allow_unsafe_shm", "shmget", (), ALLOW),
        ("allow_unsafe_pipe", "pipe2", (1, 0o200), NOTIFY),
        ("allow_unsafe_setid", "setuid", (0,), ERRNO | EPERM),
        ("allow_unsafe_setid", "setresgid", (MINUS_ONE, 14, MINUS_ONE), ERRNO | EPERM),
        ("allow_unsafe_setsockopt", "setsockopt", (3, 1, 12), ALLOW),
        ("allow_unsafe_setsockopt", "setsockopt", (3, 279, 12), ALLOW),
        ("allow_unsafe_setsockopt", "setsockopt", (3, 1, 26), ERRNO | EPERM),
        ("allow_unsafe_kcapi", "setsockopt", (3, 279, 12), ALLOW),
        ("allow_unsafe_socket", "setsockopt", (3, 101, 12), ALLOW),
        ("allow_unsupp_socket", "setsockopt", (3, 40, 12), ALLOW),
        ("allow_unsupp_socket", "setsockopt", (3, 283, 12), ERRNO | ENOPROTOOPT),
        ("allow_unsafe_oob", "setsockopt", (3, 1, 10), ALLOW),
        ("allow_unsafe_oob", "sendto", (3, 1, 1, 1), ALLOW),
        ("allow_unsafe_ip_pktinfo", "setsockopt", (3, 0, 8), ALLOW),
        ("allow_unsafe_ip_pktinfo", "setsockopt", (3, 41, 49), ALLOW),
        ("allow_unsafe_tcp_devmem", "setsockopt", (3, 1, 79), ALLOW),
        ("allow_unsafe_tcp_devmem", "setsockopt", (3, 1, 80), ALLOW),
        ("allow_unsafe_tcp_fastopen", "setsockopt", (3, 6, 34), ALLOW),
        ("deny_passrights", "setsockopt", (3, 1, 83), ERRNO | EPERM),
        ("allow_unsafe_kptr", "recvfrom", (0, HIGH), ALLOW),
        ("allow_unsafe_kptr", "clone", (0x11, HIGH), ALLOW),
        ("allow_unsafe_pivot_root", "pivot_root", (), ERRNO | 0),
        ("allow_unsafe_chroot", "chroot", (1,), ERRNO | 0),
        ("allow_unsafe_futex", "futex", (4096, 6), ALLOW),
        ("allow_unsafe_prctl", "prctl", (35,), ALLOW),
        ("allow_unsafe_prctl", "prctl", (22, 2, HIGH), ERRNO | EFAULT),
        ("allow_unsafe_prctl", "prctl", (22, 1, HIGH), ALLOW),
        ("allow_unsafe_prctl", "prctl", (35, 13, HIGH), ALLOW),
        ("allow_unsafe_proc_dumpable", "prctl", (4, 0), ERRNO | 0),
        ("allow_unsafe_proc_dumpable", "prctl", (4, 1), ALLOW),
        ("allow_unsafe_proc_name", "prctl", (15, 1), ALLOW),
        ("allow_unsafe_cbpf", "prctl", (22, 2), ALLOW),
        ("allow_unsafe_cbpf", "prctl", (21,), ALLOW),
        ("allow_unsafe_cbpf", "seccomp", (1,), ALLOW),
        ("allow_unsafe_perf", "prctl", (31,), ALLOW),
        ("allow_unsafe_perf", "perf_event_open", (), ALLOW),
        ("allow_unsafe_exec_speculative", "prctl", (53,), ALLOW),
        ("allow_unsafe_rseq", "prctl", (79,), ALLOW),
        ("allow_unsafe_rseq", "rseq", (), ALLOW),
        ("allow_unsafe_sud", "prctl", (59, 1, 0, 0, 0), ALLOW),
        ("allow_unsafe_sud", "prctl", (59, 1, 0, 0, HIGH), ERRNO | EFAULT),
        ("deny_tsc", "prctl", (26, 2), ERRNO | ENOSYS),
        ("allow_unsafe_ebpf", "bpf", (1,), ALLOW),
        ("allow_unsafe_ebpf", "bpf", (5,), ERRNO | EPERM),
        ("allow_unsafe_ebpf", "bpf", (38,), ERRNO | EPERM),
        ("allow_unsafe_prlimit", "prlimit64", (0, 7, 1), ALLOW),
        ("allow_unsafe_prlimit", "setrlimit", (7, 1), ALLOW),
        ("allow_unsafe_madvise", "madvise", (4096, 1, 100), ALLOW),
        ("allow_unsafe_personality", "personality", (0x40000,), ALLOW),
        ("allow_unsafe_ptrace", "ptrace", (16,), ALLOW),
        ("allow_unsafe_ptrace", "process_vm_readv", (), ALLOW),
        ("allow_unsafe_cpu", "modify_ldt", (), ALLOW),
        ("allow_unsafe_keyring", "keyctl", (10, 0, 0, HIGH), ERRNO | EFAULT),
        ("allow_unsafe_keyring", "keyctl", (11, 0, 0, HIGH), ALLOW),
        ("allow_unsafe_time", "settimeofday", (), ALLOW),
        ("allow_unsafe_page_cache", "mincore", (), ALLOW),
        ("allow_unsafe_deprecated", "setfsuid", (), ALLOW),
        ("allow_unsafe_kcmp", "kcmp", (), ALLOW),
        ("allow_unsafe_pkey", "pkey_alloc", (), ALLOW),
        ("allow_unsafe_nice", "setpriority", (), ALLOW),
        ("allow_unsafe_numa", "mbind", (), ALLOW),
        ("allow_unsafe_vmsplice", "vmsplice", (), ALLOW),
    ],
)
def test_options_change_answers(
    option: str, name: str, arguments: tuple[int, ...], answer: int
) -> None:
    assert ask(name, *arguments, **on(option)) == answer


@pytest.mark.parametrize(
    ("changes", "name", "arguments", "answer"),
    [
        ({"namespaces": {"mount"}}, "mount", (), ALLOW),
        ({"namespaces": {"mount"}}, "unshare", (0x20000,), ALLOW),
        ({"namespaces": {"mount"}}, "unshare", (0x100000,), ALLOW),
        ({"namespaces": {"mount"}}, "unshare", (0x10020000,), ERRNO | EPERM),
        ({"namespaces": {"mount"}}, "setns", (3, 0), ERRNO | EPERM),
        ({"namespaces": {"mount"}}, "setns", (3, 0x20000), ALLOW),
        ({"namespaces": {"uts"}}, "sethostname", (1, 1), ALLOW),
        ({"namespaces": {"uts"}}, "mount", (), ERRNO | ENOSYS),
        (
            {"namespaces": {"mount", "uts", "ipc", "user", "pid", "net", "cgroup", "time"}},
            "clone3",
            (),
            ERRNO | ENOSYS,
        ),
        (
            {"namespaces": {"mount", "uts", "ipc", "user", "pid", "net", "cgroup", "time"}},
            "setns",
            (3, 0),
            ALLOW,
        ),
        ({"fake_root": True}, "getuid", (), ERRNO | 0),
        ({"fake_root": True}, "getgroups", (0, HIGH), ERRNO | 0),
        ({"io_uring": True}, "io_uring_setup", (), ALLOW),
        ({"io_uring": False}, "io_uring_setup", (), ERRNO | ENOSYS),
        ({"scoped_signals": False}, "tgkill", (1, 1, 9), NOTIFY),
        ({"uid": (0, 0, 0)}, "setresuid", (MINUS_ONE, 0, MINUS_ONE), ALLOW),
        ({"uid": (0, 0, 0)}, "setresuid", (MINUS_ONE, 1, MINUS_ONE), KILL),
        ({"uid": (0, 0, 0)}, "setuid", (0,), ALLOW),
        ({"uid": (0, 0, 0)}, "setgid", (0,), KILL),
        ({"gid": (5, 5, 5)}, "setregid", (5, MINUS_ONE), ALLOW),
        ({"gid": (5, 5, 5)}, "setregid", (5, 6), KILL),
        ({"uid": (1000, 0, 0)}, "setuid", (0,), KILL),
        ({"uid": (1000, 0, 0)}, "setresuid", (1000, 0, MINUS_ONE), ALLOW),
        ({"uid": (1000, 0, 0)}, "setresuid", (0, 0, MINUS_ONE), KILL),
        ({"pipe_max": 65536}, "fcntl", (3, 1031, 65536), ALLOW),
        ({"pipe_max": 1 << 32}, "fcntl", (3, 1031, 1 << 31), ALLOW),
        ({"mmap_min_addr": 65536}, "mmap", (4096, 1, 3, 0x32), ALLOW),
        ({"mmap_min_addr": 0}, "mmap", (0, 1, 3, 0x32), ALLOW),
        ({"refuse": {"openat": 95}}, "openat", (), ERRNO | 95),
        ({"refuse": {"openat": 95}}, "openat", (0, HIGH), ERRNO | EFAULT),
        ({"refuse": {"rt_sigaction": 95}}, "rt_sigaction", (1, 0), ALLOW),
        ({"refuse": {"setuid": 95}}, "setuid", (0,), KILL),
        ({"trace": {"chdir", "fchdir"}}, "chdir", (), TRACE | 80),
        ({"trace": {"setgroups"}}, "setgroups", (), TRACE | 116),
        ({"trace": set(), "notify": {"mmap"}}, "mmap", (0, 1, 5, 2), NOTIFY),
        ({"memory": True, "notify": {"mmap", "brk"}}, "mmap", (0, 1, 3, 0x22), NOTIFY),
        ({"memory": True, "notify": {"mmap", "brk"}}, "mmap", (0, 1, 1, 2), TRACE | 9),
        ({"notify": {"mount"}}, "mount", (), NOTIFY),
        (
            {"ioctls": [(0x2103, 0xFFFF, 1), (0x40182103, 0xFFFFFFFF, 2)]},
            "ioctl",
            (3, 0x40182103),
            ERRNO | 2,
        ),
        (
            {"ioctls": [(0x5412, 0xFFFFFFFF, 1), (0x5412, 0xFFFFFFFF, 2)]},
            "ioctl",
            (3, 0x5412),
            ERRNO | 2,
        ),
        ({"machine": "aarch64"}, "clone", (0x1000011, 0, 0, 0, HIGH), ERRNO | EFAULT),
        ({"machine": "aarch64"}, "clone", (0x80011, 0, 0, HIGH), ERRNO | EFAULT),
        ({"machine": "aarch64"}, "clone", (0x80011, 0, 0, 0, HIGH), ALLOW),
        ({"notify": set()}, "openat", (), ALLOW),
        ({"notify": set()}, "chroot", (), ERRNO | EPERM),
        ({"notify": set()}, "ptrace", (0,), ERRNO | 0),
        ({"notify": set()}, "prctl", (15, 1), ERRNO | 0),
        ({"notify": {"syslog"}}, "syslog", (10, 0), NOTIFY),
        ({"notify": {"syslog"}}, "syslog", (2, HIGH), ERRNO | EFAULT),
    ],
)
def test_plan_changes_answers(
    changes: dict[str, Any], name: str, arguments: tuple[int, ...], answer: int
) -> None:
    fixed = {key: frozenset(v) if isinstance(v, set) else v for key, v in changes.items()}
    assert ask(name, *arguments, **fixed) == answer


@pytest.mark.parametrize("machine", TABLES)
def test_program_is_one_the_kernel_takes(machine: str) -> None:
    (program,) = guest_programs(default_plan(machine=machine))
    check(program.code)
    assert len(program.code) // 8 <= min(LONGEST, 1500)
    assert program.listener


@pytest.mark.parametrize("machine", TABLES)
def test_every_call_is_found_in_logarithmic_time(machine: str) -> None:
    """What no argument decides takes a binary search of some 390 numbers."""
    (program,) = guest_programs(default_plan(machine=machine))
    for number in range(512):
        result = run(program.code, data(number, AUDIT_ARCH[machine]))
        assert result.steps <= (20 if result.constant else 45)


@pytest.mark.parametrize(
    ("name", "arguments", "most"),
    [
        ("recvfrom", (3, 4096, 1), 23),
        ("sendto", (3, 4096, 1), 23),
        ("futex", (4096, 128), 16),
        ("mmap", (0, 4096, 3, 0x22), 20),
        ("munmap", (4096, 4096), 13),
        ("mprotect", (4096, 4096, 3), 15),
        ("clock_gettime", (1, 4096), 14),
    ],
)
def test_hot_calls_take_few_steps(name: str, arguments: tuple[int, ...], most: int) -> None:
    result = outcome(DEFAULT, name, *arguments)
    assert (result.value, result.steps <= most) == (ALLOW, True), result.steps


BY_NUMBER = """
    close close_range dup dup2 dup3 epoll_ctl epoll_pwait epoll_wait exit_group fadvise64 fdatasync
    flock fork fsync getpid gettid lseek pread64 pwrite64 read readv rt_sigreturn sched_yield
    shutdown umask write writev
"""


@pytest.mark.parametrize("commands", [(), SERVERS], ids=["default", "servers"])
def test_hot_calls_are_allowed_by_their_number(commands: tuple[str, ...]) -> None:
    """The kernel keeps these in a bitmap and does not run the program for them."""
    sandbox = Sandbox({})
    for command in commands:
        sandbox.execute(command)
    sandbox.lock = 5
    asked = Conditions(sandbox, scoped=True)
    _, notify, refuse = kernel_plan(asked)
    made = default_plan(
        options=frozenset(sandbox.options),
        notify=notify,
        trace=stops(asked),
        refuse=refuse,
        unasked=asked.unasked & notify,
    )
    for name in BY_NUMBER.split():
        for arguments in ((), (MINUS_ONE,) * 6):
            result = outcome(made, name, *arguments)
            assert (name, result.value, result.constant) == (name, ALLOW, True)


@pytest.mark.parametrize("machine", TABLES)
@pytest.mark.parametrize("arch", [0, 0x40000003, 0xC00000F3, 0xC000003E, 0xC00000B7])
def test_foreign_architectures_are_killed(machine: str, arch: int) -> None:
    (program,) = guest_programs(default_plan(machine=machine))
    answer = run(program.code, data(TABLES[machine]["getpid"], arch)).value
    assert answer == (ALLOW if arch == AUDIT_ARCH[machine] else KILL)


@pytest.mark.parametrize("number", [0x40000000, 0x40000001, 0x40000027, 0x7FFFFFFF, 0xFFFFFFFE])
def test_x32_calls_are_killed(number: int) -> None:
    (program,) = guest_programs(DEFAULT)
    assert run(program.code, data(number, AUDIT_ARCH["x86_64"])).value == KILL


def test_call_minus_one_is_unknown_as_it_is_natively() -> None:
    (program,) = guest_programs(DEFAULT)
    assert run(program.code, data(-1, AUDIT_ARCH["x86_64"])).value == ERRNO | ENOSYS


def test_plans_with_everything_open_still_fit() -> None:
    options = frozenset({"deny_passrights", "deny_tsc", "allow_unsafe_prctl", "allow_unsafe_ebpf"})
    plan = default_plan(
        options=options,
        refuse=dict.fromkeys(DEFAULT.notify, 95),
        ioctls=[(request, 0xFFFFFFFF, EINVAL + request % 7) for request in range(0, 3000, 3)],
    )
    (program,) = guest_programs(plan)
    check(program.code)


def test_a_plan_that_does_not_fit_is_refused() -> None:
    ioctls = [(request * 2, 0xFFFFFFFF, EINVAL + request % 7) for request in range(4000)]
    with pytest.raises(ValueError, match="at most 4096"):
        guest_programs(default_plan(ioctls=ioctls))
