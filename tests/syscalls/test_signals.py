# SPDX-License-Identifier: GPL-3.0-or-later
"""Interrupted, restarted, stopped and killed calls: the same inside as outside.

Inside is with a tracer, and without one; as on a kernel that can't keep signals inside; and with
the interrupter that looks at pending signals (SYD_INTERRUPT=status), where that can tell enough.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import host
from tests.support.guest import Guest
from tests.syscalls.tables import differences, names_of

if TYPE_CHECKING:
    from collections.abc import Callable

PROFILE = "signals.syd-3"
TABLES = (
    "cases_signals", "cases_interrupts", "cases_interrupted_sockets", "cases_family",
    "cases_tracer",
)  # fmt: skip
CASES = [(table, name) for table in TABLES for name in names_of(table)]
WAYS: dict[str, dict[str, Any]] = {
    "native": {},
    "traced": {"environment": {"TIMER_SECONDS": "10"}},
    "untraced": {"rules": ["trace/allow_unsafe_ptrace:1"]},
    "status": {"environment": {"SYD_INTERRUPT": "status"}},
    "unscoped": {"environment": {"SYD_ASSUME_KERNEL": "5.19"}},
}
JOBS = 8  # Cases mostly sleep.

# Looking at pending signals says nothing of default actions and stops, and lets a handler that
# restarts wait for the call's end. What needs more than that is not tried.
BY_STATUS = {
    "case_caught_signal_restarts", "case_cont_with_restarting_handler",
    "case_restarting_then_plain", "case_fork_keeps_restarting", "case_default_term_kills",
    "case_stop_and_continue", "case_only_the_chosen_thread_is_interrupted",
    "case_signal_for_the_thread", "case_open_for_writing", "case_real_time_signal_restarts",
    "case_handler_is_reset", "case_handler_that_blocks_too", "case_thread_that_is_cancelled",
    "case_storm_of_stops", "case_stop_of_a_process_with_blocked_threads", "case_accept",
    "case_accept_restarts_then_ends", "case_accept_on_the_internet", "case_stop_while_in_accept",
    "case_recvfrom_with_an_address", "case_recvmsg", "case_recvmmsg",
    "case_sendmsg_on_a_full_socket", "case_sendmmsg_on_a_full_socket",
    "case_send_that_got_something_out", "case_datagram_to_a_full_queue",
    "case_connect_to_a_full_backlog", "case_many_short_lived_readers",
    "case_shell_pipelines",  # It ends with a default action in the open of a FIFO.
}  # fmt: skip
# Without a tracer nobody can start a call again whose notification a signal withdrew.
UNTRACED = {"case_timer_during_calls_that_do_not_block"}


@pytest.fixture(scope="module")
def results(installation: host.Installation, target: str) -> Callable[[str, str], dict[str, Any]]:
    """Return a function of a table and a way that returns the results by case."""

    @lru_cache
    def run(table: str, way: str) -> dict[str, Any]:
        kind = "native" if way == "native" else "madcap"
        names = [name for name in names_of(table) if applies(table, name, way)]
        guest = Guest(kind, host.ordinary_user(), installation, target)
        try:
            outcome = guest.python(
                "run_cases.py",
                table,
                f"-j{JOBS}",
                *names,
                profile=PROFILE,
                timeout=240,
                **WAYS[way],
            )
        finally:
            guest.close()
        lines = [json.loads(line) for line in outcome.out.splitlines()]
        found = {line["name"]: line["result"] for line in lines}
        found[""] = f"{way}: ended with {outcome.status}: {outcome.err.decode()[-2000:]}"
        return found

    return run


def applies(table: str, name: str, way: str) -> bool:
    """Tell whether *way* can come out as Linux does in the case *name*, and is of interest."""
    if table == "cases_tracer":
        return way in ("native", "untraced")
    if way == "unscoped":
        return table == "cases_family"
    if way == "status":
        return name not in BY_STATUS
    return way != "untraced" or name not in UNTRACED


@pytest.mark.parametrize(
    ("table", "name", "way"),
    [
        pytest.param(table, name, way, id=f"{name}-{way}")
        for table, name in CASES
        for way in WAYS
        if way != "native" and applies(table, name, way)
    ],
)
def test_it_comes_out_as_linux_gives_it(
    results: Callable[[str, str], dict[str, Any]], table: str, name: str, way: str
) -> None:
    native, inside = results(table, "native"), results(table, way)
    assert name in native, native[""]
    assert not str(native[name]).startswith(("raised", "hung")), native[name]
    assert name in inside, inside[""]
    found = "\n".join(differences(native[name], inside[name]))
    assert not found, f"{name}: natively, and inside:\n{found}"
