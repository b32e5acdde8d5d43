# SPDX-License-Identifier: GPL-3.0-or-later
"""Operations of prctl(2), in children."""

from __future__ import annotations

import ctypes
import errno
import faulthandler
import mmap
import os
import signal
import time
from pathlib import Path

import pytest
from tests.support import host
from tests.support.child import errno_of, in_child

from madcap.linux import prctl, rlimit
from madcap.linux._call import call

pytestmark = pytest.mark.parametrize("identity", host.identities(), ids=lambda who: who.name)


def test_set_no_new_privs_stays(identity: host.Identity) -> None:
    def run() -> tuple[bool, bool]:
        before = prctl.get_no_new_privs()
        prctl.set_no_new_privs()
        return before, prctl.get_no_new_privs()

    assert in_child(run, identity)[1]


def test_set_dumpable_turns_off_and_on(identity: host.Identity) -> None:
    def run() -> list[int]:
        states = []
        for on in (False, True):
            prctl.set_dumpable(on)
            states.append(prctl.get_dumpable())
        return states

    assert in_child(run, identity) == [0, 1]


def test_set_pdeathsig_is_read_back(identity: host.Identity) -> None:
    def run() -> list[int]:
        before = prctl.get_pdeathsig()
        prctl.set_pdeathsig(signal.SIGUSR1)
        return [before, prctl.get_pdeathsig()]

    assert in_child(run, identity) == [0, signal.SIGUSR1]


def test_set_child_subreaper_adopts_orphans(identity: host.Identity) -> None:
    def run() -> bool:
        prctl.set_child_subreaper()
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            orphan = os.fork()
            if orphan == 0:
                os.close(writer)
                os.read(reader, 1)  # Until told to end.
                os._exit(7)
            os._exit(0)
        os.waitpid(child, 0)
        os.close(reader)
        os.close(writer)
        _, status = os.wait()
        return os.waitstatus_to_exitcode(status) == 7

    assert in_child(run, identity)


def test_set_name_keeps_fifteen_bytes(identity: host.Identity) -> None:
    def run() -> tuple[bytes, bytes]:
        prctl.set_name(b"a name that is too long")
        return prctl.get_name(), Path("/proc/thread-self/comm").read_bytes()

    assert in_child(run, identity) == (b"a name that is ", b"a name that is \n")


def knows_mdwe(*, inherit: bool) -> bool:
    return in_child(lambda: errno_of(lambda: prctl.set_mdwe(inherit=inherit))) == 0


@pytest.mark.parametrize(
    "inherit",
    [
        pytest.param(
            True,
            marks=pytest.mark.skipif(not knows_mdwe(inherit=True), reason="no MDWE (Linux 6.3)"),
        ),
        pytest.param(
            False,
            marks=pytest.mark.skipif(
                not knows_mdwe(inherit=False), reason="no MDWE without inheritance (Linux 6.6)"
            ),
        ),
    ],
)
def test_set_mdwe_refuses_executable_memory(identity: host.Identity, inherit: bool) -> None:
    def run() -> list[int]:
        prctl.set_mdwe(inherit=inherit)
        memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE)
        view = ctypes.c_char.from_buffer(memory)
        address = ctypes.addressof(view)
        failure = errno_of(lambda: call("mprotect", address, 4096, 5))
        del view
        child = os.fork()
        if child == 0:
            os._exit(prctl.get_mdwe())
        return [failure, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])]

    assert in_child(run, identity) == [errno.EACCES, 1 if inherit else 0]


CLOCK = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")


@pytest.mark.skipif(
    not CLOCK.exists() or CLOCK.read_text().strip() != "tsc",
    reason="the clock is not the time-stamp counter",
)
def test_set_tsc_sigsegv_makes_reading_it_fatal(identity: host.Identity) -> None:
    def run() -> None:
        faulthandler.disable()  # Dying is what is expected: no traceback, and no core.
        rlimit.set_limit(rlimit.RESOURCES["core"], 0, 0)
        prctl.set_tsc_sigsegv()
        time.monotonic()

    with pytest.raises(AssertionError, match="status 0xb"):
        in_child(run, identity)


def test_force_speculation_off_reports_or_does(identity: host.Identity) -> None:
    def run() -> list[tuple[int, int]]:
        failures = prctl.force_speculation_off()
        return [
            (which, prctl.get_speculation_ctrl(which))
            for which in range(3)
            if which not in failures
        ]

    for which, state in in_child(run, identity):
        changeable = bool(state & 1)
        assert not changeable or state & (2 if which == prctl.SPEC_L1D_FLUSH else 8)


def test_best_effort_operations_work_or_say_why(identity: host.Identity) -> None:
    """Machines differ: what counts is that the arguments make sense to the kernel."""

    def run() -> list[int]:
        return [errno_of(prctl.mce_kill_early), errno_of(prctl.sched_core_create)]

    early, core = in_child(run, identity)
    assert early in {0, errno.EINVAL}  # Not built in.
    assert core in {0, errno.EINVAL, errno.ENODEV}  # Not built in; no hardware threads.
