# SPDX-License-Identifier: GPL-3.0-or-later
"""Secure bits, set in children."""

from __future__ import annotations

import errno

import pytest
from tests.support import host
from tests.support.child import in_child

from madcap.linux import capability, securebits

privileged = pytest.mark.skipif(
    not capability.capget()[0] & capability.SETPCAP, reason="no CAP_SETPCAP"
)
EXEC_CHECK = 0xF00


def kernel_knows_exec_bits() -> bool:
    """Return whether the kernel has the bits for interpreters (Linux 6.14)."""

    def knows() -> bool:
        try:
            securebits.set_securebits(securebits.get_securebits() | EXEC_CHECK)
        except OSError:
            return False
        return True

    return in_child(knows, host.ordinary_user())


KNOWN = 0xFFF if kernel_knows_exec_bits() else 0xFF


@pytest.mark.parametrize(
    ("options", "transitions", "keeps", "bits"),
    [
        pytest.param((), False, False, 0xFEB, id="normal"),
        pytest.param((), True, False, 0xFEF, id="uid-transitions"),
        pytest.param(("allow_unsafe_cap_fixup",), False, False, 0xFC3, id="cap-fixup"),
        pytest.param((), False, True, 0xFE8, id="keeps-a-capability"),
        pytest.param(("allow_unsafe_exec_script",), False, False, 0xCEB, id="script"),
        pytest.param(("allow_unsafe_exec_interactive",), False, False, 0x3EB, id="interactive"),
    ],
)
def test_wanted_bits_follow_the_switches(
    options: tuple[str, ...], transitions: bool, keeps: bool, bits: int
) -> None:
    found = securebits.wanted(options, uid_transitions=transitions, keeps_capabilities=keeps)
    assert found == bits


@privileged
def test_enforce_sets_all_bits_for_root() -> None:
    assert in_child(lambda: securebits.enforce(0xFEB)) == 0xFEB & KNOWN


def test_enforce_sets_the_exec_bits_for_an_ordinary_user() -> None:
    found = in_child(lambda: securebits.enforce(0xFEB), host.ordinary_user())
    assert found == EXEC_CHECK & KNOWN


@privileged
def test_enforce_does_not_ask_for_what_is_locked_off() -> None:
    def twice() -> int:
        securebits.set_securebits(securebits.NO_SETUID_FIXUP_LOCKED)
        return securebits.enforce(0xFEF)

    assert in_child(twice) == 0xFEB & KNOWN


@privileged
def test_enforce_can_be_repeated() -> None:
    def twice() -> int:
        securebits.enforce(0xFEB)
        return securebits.enforce(0xFEB)

    assert in_child(twice) == 0xFEB & KNOWN


@privileged
def test_enforce_does_not_lock_keep_caps_on() -> None:
    def enforce() -> int:
        securebits.set_securebits(securebits.KEEP_CAPS)
        return securebits.enforce(0xFEB)

    assert in_child(enforce) == 0xFEB & KNOWN


@pytest.mark.parametrize("refusal", [errno.EPERM, errno.EINVAL])
def test_enforce_sets_the_classic_bits_where_the_kernel_knows_no_others(
    monkeypatch: pytest.MonkeyPatch, refusal: int
) -> None:
    bits = 0

    def set_bits(wanted: int) -> None:
        nonlocal bits
        if wanted & EXEC_CHECK:
            raise OSError(refusal, "prctl")
        bits = wanted

    monkeypatch.setattr(securebits, "set_securebits", set_bits)
    monkeypatch.setattr(securebits, "get_securebits", lambda: bits)
    assert securebits.enforce(0xFEB) == 0xEB
