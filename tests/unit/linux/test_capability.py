# SPDX-License-Identifier: GPL-3.0-or-later
"""Capabilities, given up in children."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.support import host
from tests.support.child import in_child

from madcap.linux import capability
from madcap.linux._call import call

BOUNDING = capability.bounding()
privileged = pytest.mark.skipif(
    not capability.capget()[0] & capability.SETPCAP, reason="no CAP_SETPCAP"
)
KILL = capability.mask_of(["cap_kill"])
CHOWN = capability.mask_of(["cap_chown"])


def status_sets() -> dict[str, int]:
    """Return the sets as /proc shows them."""
    lines = Path("/proc/thread-self/status").read_text().splitlines()
    pairs = (line.split(":\t") for line in lines if line.startswith("Cap"))
    return {name: int(value, 16) for name, value in pairs}


def told() -> dict[str, int]:
    """Return the sets as this module tells."""
    effective, permitted, inheritable = capability.capget()
    return {
        "CapInh": inheritable,
        "CapPrm": permitted,
        "CapEff": effective,
        "CapBnd": capability.bounding(),
        "CapAmb": capability.ambient(),
    }


def make_ambient(mask: int) -> None:
    effective, permitted, _ = capability.capget()
    capability.capset(effective, permitted, mask)
    for number in range(64):
        if mask >> number & 1:
            call("prctl", 47, 2, number, 0, 0)  # PR_CAP_AMBIENT_RAISE


def test_names_are_numbered_as_in_the_kernel() -> None:
    assert capability.mask_of(["cap_chown", "CAP_SYS_PTRACE"]) == 1 | 1 << 19
    assert capability.mask_of(["cap_setpcap"]) == capability.SETPCAP
    assert capability.names_of(1 << 40 | 1 << 21) == ["cap_sys_admin", "cap_checkpoint_restore"]
    assert capability.names_of(1 << 50) == ["cap_50"]
    assert capability.names_of(capability.mask_of(capability.NAMES)) == list(capability.NAMES)


def test_lists_of_the_child_do_not_overlap() -> None:
    unsafe = capability.mask_of(capability.UNSAFE)
    assert unsafe & capability.mask_of(capability.EMULATED) == 0
    assert unsafe & capability.SYS_PTRACE == 0


@pytest.mark.parametrize("identity", host.identities(), ids=lambda who: who.name)
def test_sets_are_those_that_proc_shows(identity: host.Identity) -> None:
    def compare() -> tuple[dict[str, int], dict[str, int]]:
        return told(), status_sets()

    mine, shown = in_child(compare, identity)
    assert mine == shown


@pytest.mark.parametrize("identity", host.identities(), ids=lambda who: who.name)
def test_drop_all_leaves_nothing(identity: host.Identity) -> None:
    def drop() -> dict[str, int]:
        capability.drop_all()
        return status_sets()

    after = in_child(drop, identity)
    bounding = after.pop("CapBnd")
    assert set(after.values()) == {0}
    assert bounding == (0 if identity.uid == 0 else BOUNDING)


@privileged
def test_drop_all_clears_the_ambient_set() -> None:
    def drop() -> dict[str, int]:
        make_ambient(KILL)
        assert capability.ambient() == KILL
        capability.drop_all()
        return status_sets()

    assert set(in_child(drop).values()) == {0}


@privileged
def test_drop_all_is_final_for_what_is_executed() -> None:
    def drop() -> str:
        capability.drop_all()
        return subprocess.run(
            ["grep", "CapEff", "/proc/self/status"], capture_output=True, text=True, check=True
        ).stdout

    assert in_child(drop).split() == ["CapEff:", "0" * 16]


@privileged
def test_reduce_keeps_what_it_is_told_to() -> None:
    def reduce() -> dict[str, int]:
        make_ambient(KILL | CHOWN)
        capability.reduce(capability.SYS_PTRACE | KILL | CHOWN, KILL)
        return status_sets()

    keep = capability.SYS_PTRACE | KILL | CHOWN
    assert in_child(reduce) == {
        "CapInh": KILL,
        "CapPrm": keep,
        "CapEff": keep,
        "CapBnd": keep,
        "CapAmb": KILL,
    }


@privileged
def test_reduce_then_drop_all_leaves_the_bounding_set() -> None:
    """What a supervisor and then its child do as root."""

    def both() -> dict[str, int]:
        capability.reduce(capability.SYS_PTRACE)
        capability.drop_all()
        return status_sets()

    after = in_child(both)
    assert after["CapBnd"] == capability.SYS_PTRACE
    assert after["CapPrm"] == after["CapEff"] == 0


@privileged
def test_reduce_can_leave_the_bounding_set_alone() -> None:
    def reduce() -> int:
        capability.reduce(0, bounding_set=False)
        return capability.bounding()

    assert in_child(reduce) == BOUNDING


@privileged
def test_drop_gives_up_only_what_it_names() -> None:
    def drop() -> tuple[int, int]:
        before = capability.capget()[1]
        capability.drop(KILL)
        effective, permitted, _ = capability.capget()
        return before & ~permitted, before & ~effective

    assert in_child(drop) == (KILL, KILL)


def test_an_ordinary_user_cannot_gain_anything() -> None:
    def gain() -> None:
        capability.capset(1, 1, 0)

    with pytest.raises(PermissionError):
        in_child(gain, host.ordinary_user())
    assert in_child(lambda: capability.drop_bounding(), host.ordinary_user()) is False
