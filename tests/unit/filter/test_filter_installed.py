# SPDX-License-Identifier: GPL-3.0-or-later
"""The program of a sandboxed process, installed on this kernel.

There is no listener: what would be notified is answered ENOSYS by the kernel, and so is what would
be traced.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
from errno import (
    EACCES,
    EFAULT,
    EINVAL,
    ENOENT,
    ENOPKG,
    ENOSYS,
    ENOTTY,
    EOPNOTSUPP,
    EPERM,
)
from typing import TYPE_CHECKING

import pytest
from tests.unit.filter.plans import IOCTLS, default_plan

from madcap.abi.numbers import TABLES
from madcap.filter.rules import guest_programs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from madcap.filter.plan import Plan

MACHINE = os.uname().machine
NUMBERS = TABLES[MACHINE]
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_SET_MODE_FILTER = 1

libc = ctypes.CDLL(None, use_errno=True)


class Fprog(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def call(name: str, *arguments: int | bytes | ctypes.Array[ctypes.c_char]) -> int:
    """Make a system call; return its result, or its errno negated."""
    words = [ctypes.c_ulong(a % (1 << 64)) if isinstance(a, int) else a for a in arguments]
    result: int = libc.syscall(ctypes.c_long(NUMBERS[name]), *words)
    return result if result >= 0 else -ctypes.get_errno()


def install(plan: Plan) -> None:
    """Put the filter on this process, for good."""
    for program in guest_programs(plan):
        struct = Fprog(len(program.code) // 8, program.code)
        assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
        address = ctypes.addressof(struct)
        assert call("seccomp", SECCOMP_SET_MODE_FILTER, 0, address) == 0


def confined(plan: Plan, *made: Sequence[int | str | bytes]) -> tuple[list[int], int]:
    """Make the calls in a child under *plan*; return their results and how the child ended."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            install(plan)
            for name, *arguments in made:
                result = call(str(name), *arguments)  # type: ignore[arg-type]
                os.write(writer, f"{result} ".encode())
        except BaseException as error:
            os.write(writer, repr(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader) as results:
        text = results.read()
    _, status = os.waitpid(child, 0)
    return json.loads(f"[{', '.join(text.split())}]"), os.waitstatus_to_exitcode(status)


def plan_here(**changes: object) -> Plan:
    """Return the default plan for this machine and user."""
    return default_plan(
        **{
            "machine": MACHINE,
            "uid": os.getresuid(),
            "gid": os.getresgid(),
            "ioctls": IOCTLS,
            **changes,
        }
    )


pytestmark = pytest.mark.skipif(MACHINE not in TABLES, reason=f"no filter for {MACHINE}")
AREA = ctypes.create_string_buffer(64)
HERE = ctypes.addressof(AREA)


@pytest.mark.parametrize(
    ("made", "result"),
    [
        (("read", 0, 1 << 63, 1), -EFAULT),
        (("getpid",), None),
        (("prctl", 66, 0, 0, 0, 0), None),
        (("prctl", 27, 0, 0, 0, 0), None),
        (("prctl", 52, 0, 0, 0, 0), -EINVAL),
        (("prctl", 59, 1, 0, 0, 0), -EINVAL),
        (("prctl", 35, 0, 0, 0, 0), -ENOSYS),
        (("prctl", 0x41555856, HERE, 64, 0, 0), -ENOSYS),
        (("prctl", 0x59616D61, 1, 0, 0, 0), 0),
        (("prctl", 4, 2), -EINVAL),
        (("personality", 0xFFFFFFFF), None),
        (("rseq", 0, 0, 0, 0), -ENOSYS),
        (("pkey_alloc", 0, 0), -ENOSYS),
        (("mincore", 0, 4096, HERE), -ENOSYS),
        (("madvise", HERE & ~4095, 4096, 12), 0),
        (("madvise", HERE & ~4095, 4096, 100), -EPERM),
        (("vmsplice", 1, 0, 0, 0), -ENOSYS),
        (("get_mempolicy", 0, 0, 0, 0, 0), -ENOSYS),
        (("futex", HERE, 6, 0, 0), -ENOSYS),
        (("io_uring_setup", 1, HERE), -ENOSYS),
        (("ptrace", 16, 1, 0, 0), 0),
        (("process_vm_readv", 1, 0, 0, 0, 0, 0), -ENOSYS),
        (("pidfd_getfd", 0, 0, 0), -ENOSYS),
        (("kcmp", 1, 1, 0, 0, 0), -ENOSYS),
        (("perf_event_open", HERE, 0, -1, -1, 0), -ENOSYS),
        (("bpf", 0, HERE, 0), -ENOSYS),
        (("seccomp", 1, 0, HERE), -EINVAL),
        (("fcntl", 0, 8, 1), -EPERM),
        (("fcntl", 0, 1024, 0), -EACCES),
        (("fcntl", 0, 1026, 1), -EINVAL),
        (("keyctl", 0, 0, 0, 0, 0), -ENOSYS),
        (("setresuid", -1, -1, -1), 0),
        (("unshare", 0x10000000), -EPERM),
        (("clone3", HERE, 64), -ENOSYS),
        (("mount", 0, 0, 0, 0, 0), -ENOSYS),
        (("sethostname", b"x", 1), -ENOSYS),
        (("setpriority", 0, 0, 5), -ENOSYS),
        (("adjtimex", HERE), -ENOSYS),
        (("setrlimit", 7, HERE), -ENOSYS),
        (("name_to_handle_at", -100, b"/", HERE, HERE, 0), -ENOSYS),
        (("userfaultfd", 0), -ENOSYS),
        (("remap_file_pages", 0, 0, 0, 0, 0), -ENOSYS),
        (("syslog", 10, 0, 0), -EPERM),
        (("pivot_root", b"/", b"/"), -EPERM),
        (("pipe2", HERE, 0o200), -ENOPKG),
        (("ioctl", 0, 0x40049409, 0), -EOPNOTSUPP),
        (("ioctl", 0, 0x5412, HERE), -ENOTTY),
        (("sendto", 0, HERE, 1, 1, 0, 0), -EOPNOTSUPP),
        (("setsockopt", 0, 6, 13, HERE, 5), -ENOENT),
        (("setsockopt", 0, 1, 12, HERE, 4), 0),
        (("setsockopt", 0, 1, 26, HERE, 16), -EPERM),
        (("setsockopt", 0, 1, 44, HERE, 4), 0),
        (("openat", -100, b"/etc/hostname", 0), -ENOSYS),
        (("file_getattr", -100, b"/", HERE, 64, 0), -ENOSYS),
    ],
    ids=lambda value: "-".join(map(str, value))[:40] if isinstance(value, tuple) else None,
)
def test_kernel_answers(made: tuple[int | str | bytes, ...], result: int | None) -> None:
    (answer,), ended = confined(plan_here(), made)
    assert ended == 0
    assert answer >= 0 if result is None else answer == result


@pytest.mark.parametrize(
    "made",
    [
        ("mmap", 0, 4096, 7, 0x22, -1, 0),
        ("mmap", 0, 4096, 5, 0x22, -1, 0),
        ("mmap", 0, 4096, 5, 1, 0, 0),
        ("mmap", 0, 4096, 3, 0x32, -1, 0),
        ("mprotect", HERE & ~4095, 4096, 5),
        ("execve", b"/bin/true", 0, 0),
        ("personality", 0x40000),
        ("shmget", 0, 4096, 0o600),
        ("mq_open", b"/q", 0, 0, 0),
        ("msgsnd", 0, HERE, 1, 0),
        ("setuid", 3),
        ("setresgid", -1, 3, -1),
        ("mknodat", -100, b"/tmp/c", 0o20600, 0x103),
    ],
    ids=lambda made: "-".join(map(str, made))[:40],
)
def test_kernel_kills(made: tuple[int | str | bytes, ...]) -> None:
    results, ended = confined(plan_here(), made)
    assert (results, ended) == ([], -signal.SIGSYS)


@pytest.mark.skipif(MACHINE != "x86_64", reason="x32 belongs to x86_64")
def test_kernel_kills_x32_calls() -> None:
    """The bit selects another table of calls, which no rule of the filter speaks about."""
    child = os.fork()
    if child == 0:
        install(plan_here())
        libc.syscall(ctypes.c_long(0x40000000 | NUMBERS["getpid"]))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGSYS


def test_root_may_set_the_ids_it_has() -> None:
    """make(1) asks for setresuid(-1, 0, -1) when root runs it, and must not die for it."""
    uid = os.getuid()
    (answer,), ended = confined(plan_here(), ("setresuid", -1, uid, -1))
    assert (answer, ended) == (0, 0)


def test_filter_is_installed_with_the_default_options_of_every_size() -> None:
    """The largest plan still is a program the kernel takes."""
    refuse = dict.fromkeys(default_plan().notify, 95)
    options = frozenset({"deny_passrights", "allow_unsafe_prctl", "allow_unsafe_ebpf"})
    (answer,), ended = confined(plan_here(refuse=refuse, options=options), ("openat", -100, b"/"))
    assert (answer, ended) == (-EOPNOTSUPP, 0)
