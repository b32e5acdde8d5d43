# SPDX-License-Identifier: GPL-3.0-or-later
"""A receiver that answers natively all the time is not taken for one that is stuck."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

import pytest

from tests.supervisor.session import started

if TYPE_CHECKING:
    from tests.support.guest import Guest

RULES = ("sandbox/stat:on", "sandbox/walk:off", "allow/stat+/***")
SECONDS = 4  # The understudy looks each second.


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may look at the supervisor")
def test_no_second_thread_receives(sandbox: Guest) -> None:
    if not (sandbox.installation.top / "src/madcap/linux/libnative.so").exists():
        pytest.skip("the native part is not built: needs a C compiler")
    sandbox.native = True
    words = ("known.py", "spin", "/etc/hostname", str(SECONDS))
    with started(sandbox, *words, rules=RULES) as made:
        assert made.hear() == "started"
        usual = made.threads()
        most = usual
        end = time.monotonic() + SECONDS - 0.5
        while time.monotonic() < end:
            most = max(most, made.threads())
            time.sleep(0.1)
        found = json.loads(made.hear())
    assert found["seen"] > 1000
    assert set(found) == {"seen", "ended with 0"}
    assert most <= usual, f"{most} threads where {usual} do"
