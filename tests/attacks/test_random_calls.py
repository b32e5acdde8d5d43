# SPDX-License-Identifier: GPL-3.0-or-later
"""Random calls with random arguments neither end the supervisor nor find a mistake in it.

An exception in a handler denies the call, so no harm would come of one; but it is a case that
nobody thought of. $MADCAP_FUZZ multiplies the number of batches.
"""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING

import pytest

from madcap.abi.numbers import TABLES

if TYPE_CHECKING:
    from tests.support.guest import Guest

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="needs x86_64: raw numbers")

BATCHES = 150 * int(os.environ.get("MADCAP_FUZZ", "1"))
CALLS = 250
# Calls that end, stop or tear apart the process that makes them, or that change everybody's view.
LEFT_OUT = """
    alarm arch_prctl brk chroot clone clone3 exit exit_group fork kill madvise mprotect mremap mseal
    msync munmap pause pidfd_send_signal reboot rseq rt_sigaction rt_sigprocmask rt_sigqueueinfo
    rt_sigreturn rt_sigsuspend rt_tgsigqueueinfo seccomp setitimer set_robust_list setsid sync
    syncfs tgkill tkill vfork wait4 waitid
"""
# Calls that kill unless a switch opens them.
CLOSED = """
    mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget msgrcv
    msgsnd semctl semget semop semtimedop shmat shmctl shmdt shmget
"""
RULES = (
    "sandbox/walk,list,chdir,readlink,ioctl:on",
    "allow/walk,list,chdir,readlink+/***",
    "allow/net/bind+!unnamed",
    "allow/net/connect+loopback!0-65535",
)
OPEN = ("lock:off", "trace/force_rand_fd:1", "trace/allow_unsafe_memfd:1")
IPC = ("trace/allow_unsafe_shm:1", "trace/allow_unsafe_msgqueue:1")


def numbers(left_out: str) -> str:
    """Return the numbers of all calls but those named in *left_out*."""
    names = left_out.split()
    return ",".join(str(number) for name, number in TABLES["x86_64"].items() if name not in names)


def run(guest: Guest, seed: int, calls: str, rules: tuple[str, ...]) -> None:
    """Run the batches of *seed*; require that the sandbox lives and nothing went wrong in it."""
    outcome = guest.python(
        "fuzz_calls.py", str(seed), str(BATCHES), str(CALLS), calls,
        profile="attacks.syd-3", rules=rules, timeout=240,
    )  # fmt: skip
    mistakes = [record for record in outcome.log if record.get("ctx") == "panic"]
    assert not mistakes
    assert outcome.status == 0, outcome._replace(log=[])
    ended, lives = outcome.out.split()
    assert lives == b"True"
    assert int(ended) > BATCHES // 5, "hardly any batch came to its end: nothing was tried"


@pytest.mark.parametrize("seed", [1, 2])
def test_random_calls_find_no_mistake(sandbox: Guest, seed: int) -> None:
    run(sandbox, seed, numbers(LEFT_OUT + CLOSED), RULES)


def test_random_calls_find_no_mistake_where_all_is_open(sandbox: Guest) -> None:
    run(sandbox, 3, numbers(LEFT_OUT), (*RULES, *OPEN, *IPC))


def test_random_calls_of_root_find_no_mistake(root_sandbox: Guest) -> None:
    run(root_sandbox, 4, numbers(LEFT_OUT + CLOSED), RULES)
