# SPDX-License-Identifier: GPL-3.0-or-later
"""Wrong input of every kind: one clear line, the right status, nothing run, no traceback."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import MADCAP, Result, run

if TYPE_CHECKING:
    from pathlib import Path


def refused(*args: str | bytes, cwd: Path | str = "/") -> Result:
    """Run a command line that must fail before its command is started."""
    result = run(*args, "echo", "started", cwd=cwd)
    assert result.status not in (0, 101)
    assert result.out == ""
    assert "Traceback" not in result.err
    return result


@pytest.mark.parametrize(
    ("args", "words"),
    [
        pytest.param(("-m", "sandbx/all:on"), "-m:1: unknown command", id="command"),
        pytest.param(("-m", "3", "-m", "foo"), "-m:2: ", id="second-of-its-kind"),
        pytest.param(("-m", "sandbox/raed:on"), "raed", id="category"),
        pytest.param(("-m", "sandbox/read:maybe"), "maybe", id="value"),
        pytest.param(("-m", "lock:maybe"), "expected off, exec", id="expectation"),
        pytest.param(("-m", b"a\xff"), "printable ASCII", id="bytes"),
        pytest.param(("-m", "x" * 100_000), "-m:1: ", id="long"),
        pytest.param(("-p", "nope"), "-p:1: ", id="profile"),
        pytest.param(("-p", "\x1b[2J"), "-p:1: ", id="profile-of-control-characters"),
        pytest.param(("-P", "/nope.syd-3"), "cannot open `/nope.syd-3'", id="file"),
        pytest.param(("-t", "soon"), "-t:1: ", id="duration"),
        pytest.param(("-E", "other"), "expected bpf or pfc", id="export"),
        pytest.param(("-e", "=1"), "-e:1: ", id="variable"),
    ],
)
def test_wrong_option_is_explained_on_one_line(args: tuple[str | bytes, ...], words: str) -> None:
    result = refused(*args)
    (line,) = [line for line in result.lines if line.startswith("madcap: ")]
    assert words in line
    assert line.isprintable()
    assert any(line.startswith("Error: LinuxError: ") for line in result.lines)


def test_wrong_line_of_a_file_is_named_by_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "a.syd-3").write_text("# first\n\nsandbox/read:maybe\n")
    result = refused("-P", "a.syd-3", cwd=tmp_path)
    assert result.status == 22
    assert result.lines[-3:] == [
        "madcap: a.syd-3:3: column 14: 'maybe' is no boolean in sandbox/read:maybe "
        "(expected on, off, true, false, 1 or 0)",
        "     3 | sandbox/read:maybe",
        "       |              ^^^^^",
    ]


@pytest.mark.parametrize("option", ["-P", "-m", "-p"])
def test_odd_bytes_of_a_value_do_not_reach_the_terminal(option: str, tmp_path: Path) -> None:
    result = refused(option, b"\x1b]0;x\x07\xff\xc2\x9b.syd-3", cwd=tmp_path)
    assert all(line.isprintable() for line in result.lines)


def test_line_of_a_gigabyte_ends_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.syd-3").touch()
    os.truncate(tmp_path / "a.syd-3", 1 << 30)
    assert refused("-P", "a.syd-3", cwd=tmp_path).status == 36


def test_log_can_be_written_elsewhere_or_nowhere(tmp_path: Path) -> None:
    log = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    try:
        result = run("-mfoo", environ={"SYD_LOG_FD": str(log)}, also=(log,))
    finally:
        os.close(log)
    assert [line[:7] for line in result.lines[:2]] == ["Error: ", "madcap:"]
    assert all(line.startswith("  ") for line in result.lines[2:])
    assert '"ctx":"configure_sandbox"' in (tmp_path / "log").read_text()


def test_closed_standard_streams_change_nothing_but_what_is_seen() -> None:
    script = 'exec "$0" -mfoo <&- >&- 2>&-'
    assert run("-c", script, str(MADCAP), program="/bin/sh").status == 22
