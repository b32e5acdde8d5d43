# SPDX-License-Identifier: GPL-3.0-or-later
"""What the interrupter may do; anything else ends the sandbox."""

from __future__ import annotations

import pytest

from madcap.abi import flags as F
from madcap.filter.compile import ALLOW, KILL
from madcap.filter.simulate import data, run
from madcap.linux._call import ARCH, NUMBERS
from madcap.supervisor.lockdown import interrupter_program

PID, LISTENER, PROC, LOG = 4711, 7, 8, 2
SIGALRM, SIGKILL = 14, 9
ID_VALID, SEND = F.SECCOMP_IOCTL_NOTIF_ID_VALID, F.SECCOMP_IOCTL_NOTIF_SEND
PROGRAM = interrupter_program(PID, LISTENER, PROC, LOG)


@pytest.mark.parametrize(
    ("name", "arguments", "answer"),
    [
        pytest.param("tgkill", (PID, 5, SIGALRM), ALLOW, id="SIGALRM for a thread of ours"),
        pytest.param("tgkill", (PID, 5, SIGKILL), KILL, id="another signal"),
        pytest.param("tgkill", (PID + 1, 5, SIGALRM), KILL, id="another process"),
        pytest.param("kill", (PID, SIGALRM), KILL, id="a whole process"),
        pytest.param("ioctl", (LISTENER, ID_VALID), ALLOW, id="is a notification valid"),
        pytest.param("ioctl", (LISTENER, SEND), KILL, id="an answer to a guest"),
        pytest.param("ioctl", (PROC, ID_VALID), KILL, id="an ioctl elsewhere"),
        pytest.param("openat2", (PROC,), ALLOW, id="a file below /proc"),
        pytest.param("openat2", (F.AT_FDCWD,), KILL, id="a file anywhere"),
        pytest.param("openat2", (LISTENER,), KILL, id="a file below something else"),
        pytest.param("write", (LOG,), ALLOW, id="the log"),
        pytest.param("pwritev2", (LOG,), ALLOW, id="the log without blocking"),
        pytest.param("write", (LISTENER,), KILL, id="writing elsewhere"),
        pytest.param("process_vm_readv", (PID,), KILL, id="memory of a guest"),
        pytest.param("ptrace", (0,), KILL, id="tracing"),
        pytest.param("unshare", (F.CLONE_FILES,), KILL, id="leaving the descriptors again"),
        pytest.param("socket", (1,), KILL, id="a socket"),
        pytest.param("clone", (0,), KILL, id="another thread"),
    ],
)
def test_the_interrupter_may(name: str, arguments: tuple[int, ...], answer: int) -> None:
    assert run(PROGRAM, data(NUMBERS[name], ARCH, arguments)).value == answer


def test_without_a_log_it_writes_nowhere_in_particular() -> None:
    """SYD_LOG_FD=-1: the interpreter may still write what it dies of."""
    program = interrupter_program(PID, LISTENER, PROC, -1)
    assert run(program, data(NUMBERS["write"], ARCH, (2,))).value == ALLOW
