# SPDX-License-Identifier: GPL-3.0-or-later
"""Evade a move between domains by racing with it: threads that open, fork and exec meanwhile."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.guest import Guest

pytestmark = pytest.mark.timeout(300)

RULES = (
    *("include_profile off", "trace/allow_unsafe_exec_nopie:1", "lock:off", "sandbox/read:on"),
    *("allow/read+/***", "domain+@jail:@default", "@jail/deny/read+/**/secret"),
)


@pytest.mark.parametrize("trigger", ["connect", "exec", "chdir"])
def test_nothing_is_opened_under_the_domain_that_was_left(sandbox: Guest, trigger: str) -> None:
    """Threads and forked children open the secret without pause while another one moves.

    What they begin after the move was made has to be refused; before it, it has to work.
    """
    move = {"connect": "connect+@moves", "exec": "exec+/usr/bin/true", "chdir": "chdir+/tmp"}
    outcome = sandbox.python(
        "race_domains.py", trigger, "200", rules=[*RULES, f"move/@jail/{move[trigger]}"],
        profile=None, timeout=120, prepare=lambda work: (work / "secret").write_text("x") and None,
    )  # fmt: skip
    assert outcome.status == 0, outcome
    result = json.loads(outcome.out)
    assert result["escaped"] == 0, result
    assert min(result["before"], result["refused"]) > 40, result


def test_a_program_that_sets_off_a_move_never_runs_outside_of_its_domain(sandbox: Guest) -> None:
    """The path leads to it and to another program in turn; the move goes by what really runs."""
    outcome = sandbox.python(
        "race_domains.py", "swap", "150", rules=[*RULES, "move/@jail/exec+/**/trigger"],
        profile=None, timeout=150, prepare=lambda work: (work / "secret").write_text("x") and None,
    )  # fmt: skip
    assert outcome.status == 0, outcome
    result = json.loads(outcome.out)
    assert result["escaped"] == 0, result
    assert min(result["before"], result["refused"]) > 10, result
