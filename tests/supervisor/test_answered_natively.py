# SPDX-License-Identifier: GPL-3.0-or-later
"""While several guests wait for what is answered natively, one thread helps the receiver.

And a receiver that answers natively all the time is not taken for one that is stuck.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

import pytest

from tests.supervisor.session import started, wait_until

if TYPE_CHECKING:
    from tests.support.guest import Guest

RULES = ("sandbox/stat:on", "sandbox/walk:off", "allow/stat+/***")
SECONDS = 4  # The understudy looks each second.


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may look at the supervisor")
@pytest.mark.parametrize(("others", "helpers"), [(0, 0), (4, 1)])
def test_a_thread_helps_in_a_crowd(sandbox: Guest, others: int, helpers: int) -> None:
    if not (sandbox.installation.top / "src/madcap/linux/libnative.so").exists():
        pytest.skip("the native part is not built: needs a C compiler")
    sandbox.native = True
    if len(os.sched_getaffinity(0)) == 1:
        helpers = 0
    words = ("known.py", "spin", "/etc/hostname", str(SECONDS), str(others))
    with started(sandbox, *words, rules=RULES) as made:
        assert made.hear() == "started"
        usual = made.threads()
        most = usual
        end = time.monotonic() + SECONDS - 0.5
        while time.monotonic() < end:
            most = max(most, made.threads())
            time.sleep(0.1)
        found = json.loads(made.hear())
        assert wait_until(lambda: made.threads() == usual, 8)
        made.say("")
        assert made.process.wait(10) == 0
    assert found["seen"] > 1000
    assert set(found) - {"ended with 0"} == {"seen"}
    assert most == usual + helpers, f"{most} threads where {usual} do"


def test_a_call_may_block_while_the_only_other_thread_helps(sandbox: Guest) -> None:
    """The one that helps receives then, and the call does not fail with EINTR."""
    sandbox.native = True
    outcome = sandbox.python(
        "known.py", "wait", ".", "300", rules=RULES, environment={"SYD_NPROC_MAX": "2"}
    )
    assert outcome.status == 0, outcome
    assert json.loads(outcome.out) == {"opened": 300}
