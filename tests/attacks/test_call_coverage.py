# SPDX-License-Identifier: GPL-3.0-or-later
"""Every number of x86_64: what the kernel runs unseen is on a list that somebody has reviewed.

The list is what is left to the kernel with every category on and no switch. Nothing on it takes a
name, a process other than the caller's (Landlock scopes signals), or changes what others may do.
"""

from __future__ import annotations

import platform

import pytest

from madcap.abi.numbers import AUDIT_ARCH, TABLES
from madcap.confine.plan import ioctl_denials
from madcap.filter import simulate
from madcap.filter.compile import ALLOW, ERRNO, KILL, NOTIFY, TRACE
from madcap.filter.plan import Plan
from madcap.filter.rules import guest_programs
from madcap.kernel.table import Conditions, plan, stops
from madcap.policy.sandbox import Sandbox

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="needs x86_64: its numbers")

ENOSYS = 38
# On descriptors that the caller has, and its own memory, threads, time and children.
REVIEWED = """
    alarm arch_prctl capget capset clock_getres clock_gettime clock_nanosleep clone close
    close_range copy_file_range dup dup2 dup3 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2
    epoll_wait epoll_wait_old exit exit_group fadvise64 fcntl fdatasync flock fork fsync futex
    futex_requeue futex_wait futex_waitv futex_wake get_robust_list get_thread_area getcpu
    getcwd getegid geteuid getgid getgroups getitimer getpgid getpgrp getpid getpmsg getppid
    getpriority getrandom getresgid getresuid getrlimit getrusage getsid gettid gettimeofday
    getuid inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit
    ioprio_get kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lseek
    madvise map_shadow_stack membarrier mlock mlock2 mlockall mprotect mseal msync munlock
    munlockall munmap nanosleep pause personality pidfd_send_signal poll ppoll pread64 preadv
    preadv2 prlimit64 process_mrelease pselect6 pwrite64 pwritev pwritev2 read readahead readv
    restart_syscall rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
    rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min
    sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval
    sched_yield select sendfile set_robust_list set_thread_area set_tid_address setgid setgroups
    setitimer setpgid setregid setresgid setresuid setreuid setsid setsockopt setuid shutdown
    sigaltstack splice sync sync_file_range syncfs tee tgkill time timer_create timer_delete
    timer_getoverrun timer_gettime timer_settime timerfd_gettime timerfd_settime times tkill
    umask unshare uretprobe vfork wait4 waitid write writev
"""
# Looked at by their arguments: the rest of them is refused or handed over.
PARTLY = """
    brk getsockopt mmap mremap prctl recvfrom rt_sigaction seccomp sendto signalfd signalfd4
"""
# No room for one here: a new call would have to be read about first.
LAST = 1100


def program() -> tuple[list[tuple[int, int, int, int]], list[str]]:
    """Return the filter where every category is on, and the calls that it hands over."""
    sandbox = Sandbox({})
    for command in ("sandbox/all:on", "sandbox/lock:off", "sandbox/proxy:off"):
        sandbox.execute(command)
    sandbox.lock = 5
    conditions = Conditions(sandbox, scoped=True)
    _, notify, refuse = plan(conditions)
    (made,) = guest_programs(
        Plan(
            machine="x86_64",
            notify=notify,
            trace=stops(conditions),
            refuse=refuse,
            ioctls=ioctl_denials(sandbox),
            scoped_signals=True,
        )
    )
    return simulate.decode(made.code), sorted(notify | stops(conditions))


def answers(code: list[tuple[int, int, int, int]], number: int) -> set[int]:
    """Return what the filter answers to call *number* with arguments of several kinds."""
    arch = AUDIT_ARCH["x86_64"]
    kinds = ((0,) * 6, (3, 0x10000, 0, 0, 0, 0), (0x10000,) * 6, (1,) * 6, (2**64 - 1,) * 6)
    found = {simulate.run(code, simulate.data(number, arch, words)).value for words in kinds}
    return {value if value in (ALLOW, KILL, NOTIFY) else value & 0xFFFF_0000 for value in found}


def test_what_the_kernel_runs_unseen_was_reviewed() -> None:
    code, seen = program()
    allowed = {name for name, number in TABLES["x86_64"].items() if ALLOW in answers(code, number)}
    assert allowed - set(PARTLY.split()) == set(REVIEWED.split())
    assert not set(seen) & set(REVIEWED.split())


def test_numbers_that_no_table_names_are_unknown() -> None:
    code, _ = program()
    known = set(TABLES["x86_64"].values())
    arch = AUDIT_ARCH["x86_64"]
    for number in set(range(LAST)) - known:
        outcome = simulate.run(code, simulate.data(number, arch))
        assert outcome.value == ERRNO | ENOSYS, number


def test_every_known_number_has_an_answer() -> None:
    code, _ = program()
    for name, number in TABLES["x86_64"].items():
        for value in answers(code, number):
            assert value in (ALLOW, KILL, NOTIFY) or value & 0xFFFF_0000 in (ERRNO, TRACE), name
