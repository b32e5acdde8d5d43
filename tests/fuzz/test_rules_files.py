# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a rules file holds: it is taken, or ends at its first wrong line."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from unittest import mock

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from madcap import events
from madcap.cli import complaint
from madcap.cli.session import Configuration
from madcap.errors import PolicyError
from madcap.policy import report

if TYPE_CHECKING:
    from pathlib import Path

LINES = st.one_of(
    st.sampled_from(
        [
            *(b"allow/read+/etc/***", b"deny/all+/a", b"kill/stat+/b*", b"sandbox/lpath:on"),
            *(
                b"default/write:kill",
                b"domain+@d",
                b"domain+@e:@d",
                b"@d/allow/read+/x",
                b"domain^",
            ),
            *(b"mask+/m:/n", b"block+10.0.0.0/8", b"block-10.0.0.1", b"setenv!A=1", b"clearenv!"),
            *(b"lock:drop", b"lock:on", b"include_profile lang", b"include_profile quiet"),
            *(b"include b.syd-3", b"include c.netset", b"log/level:debug", b"timeout:5", b"stat"),
            *(b"allow/net/connect+any!80", b"cmd/move!d", b"move/@d/exec+/x", b"trace/deny_tsc:1"),
            *(b"", b"# remark", b"passfd+all", b"rlimit/core:inf", b"tpe/gid:5", b"mem/max:1G"),
        ]
    ),
    st.binary(max_size=20).map(lambda raw: raw.replace(b"\n", b"")),
    st.sampled_from([b"allow/raed+/x", b"lock:maybe", b"@f/lock:on", b"include a.syd-3"]),
)


def state(box: Configuration) -> object:
    """Return all of a configuration that can be seen."""
    shown = report.dump_text(box), report.stat_text(box)
    return shown, box.lock, box.active.name, sorted(box.domains), sorted(box.environ.items())


def read(file: Path) -> tuple[Configuration, PolicyError | None]:
    """Return what the file makes, and the error it ends with."""
    box = Configuration({b"HOME": b"/var/empty", b"SYD_ID": b"1" * 64})
    box.expand("")  # The first command sets variables.
    kept = {name: getattr(events, name) for name in ("level", "verbose", "burst", "interval")}
    with mock.patch.multiple(events, fd=-1, **kept), mock.patch.object(os, "urandom", bytes):
        try:
            box.read_file(bytes(file), ("-P", 1))
        except PolicyError as error:
            return box, error
    return box, None


@given(st.lists(LINES, max_size=8), st.lists(LINES, max_size=3))
@settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_file_ends_at_its_first_wrong_line_and_all_wrong_lines_are_named(
    tmp_path: Path, lines: list[bytes], included: list[bytes]
) -> None:
    file = tmp_path / "a.syd-3"
    (tmp_path / "b.syd-3").write_bytes(b"".join([line + b"\n" for line in included]))
    (tmp_path / "c.netset").write_bytes(b"192.0.2.0/24\n# x\n2001:db8::1\n")
    file.write_bytes(b"".join([line + b"\n" for line in lines]))
    box, error = read(file)
    if error is None:
        return
    for each in (error, *error.also):
        assert each.origin is not None
        assert each.errno > 0
    assert not [other for each in error.also for other in each.also]
    assert all(line.isprintable() for line in complaint.lines(error))
    source, number = error.origin or ("", 0)
    if source == str(file):  # Else the end lies within the included file.
        file.write_bytes(b"".join([line + b"\n" for line in lines[: number - 1]]))
        before, none = read(file)
        assert none is None
        assert state(before) == state(box)
