# SPDX-License-Identifier: GPL-3.0-or-later
"""What is printed for programs: the description of the interface, its libraries, the filters."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from madcap.filter.simulate import check
from tests.cli.command import run

if TYPE_CHECKING:
    from pathlib import Path

SECTIONS = ("parent", "pointer", "process", "monitor", "interrupter", "ipc", "waiter")
FILES = {"syd_emu.bpf", "syd_exec.bpf", "syd_int.bpf", "syd_ipc.bpf", "syd_out.bpf", "syd_run.bpf"}


def test_api_is_one_json_object_without_a_line_end() -> None:
    done = run("--api")
    assert (done.status, done.err) == (0, "")
    assert done.out[-1] == "}"
    described = json.loads(done.out)
    assert list(described) == ["root", "version", "methods", "types"]
    assert (len(described["methods"]), len(described["types"])) == (63, 57)


@pytest.mark.parametrize("option", ["--sh", "--el", "--api"])
def test_text_is_printed_also_in_turn_among_other_options(option: str) -> None:
    done = run("-v", option, "-Z")
    assert done.status == 0
    assert done.out == run(option).out != ""


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_library_for_the_shell_defines_its_function(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    script = run("--sh").out + (
        "esyd check; echo $?\n"
        "esyd nope 2>/dev/null; echo $?\n"
        "esyd allow_read relative 2>&1; echo $?\n"
        "esyd allow_read 2>/dev/null; echo $?\n"
        "esyd lock too many 2>/dev/null; echo $?\n"
        "esyd enable_lock 2>/dev/null; echo $?\n"
        "esyd help >/dev/null; echo $?\n"
    )
    done = subprocess.run([shell, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "1",
        "1",
        "esyd_path: expects absolute path, got: relative",
        *("1", "1", "1", "1", "0"),
    ]


def test_library_for_emacs_is_balanced() -> None:
    """Nothing here runs Emacs; a parenthesis too few would still be seen."""
    depth, quoted, previous = 0, False, ""
    for line in run("--el").out.splitlines():
        code = line if quoted or not line.startswith(";") else ""
        assert quoted or not depth or not code.startswith("("), f"something is open before {line}"
        for char in code:
            if char == '"' and previous != "\\":
                quoted = not quoted
            elif not quoted and previous not in ("\\", "?"):
                depth += {"(": 1, ")": -1}.get(char, 0)
            previous = "" if previous == "\\" else char
            assert depth >= 0, line
    assert (depth, quoted) == (0, False)


def test_filters_are_printed_by_section() -> None:
    done = run("-plib", "-E", "PFC")
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    positions = [
        next(at for at, line in enumerate(lines) if line.startswith(f"# Syd {section} rules"))
        for section in SECTIONS
    ]
    assert positions == sorted(positions)
    assert "# Syd:" in lines
    assert '  # filter for syscall "openat" (257)' in lines


def test_filters_follow_the_policy() -> None:
    without, given = run("-E", "pfc").out, run("-mtrace/allow_unsafe_shm:1", "-E", "pfc").out
    quoted = '  # filter for syscall "shmget" (29)\n  if ($syscall == 29)\n    action '
    assert quoted + "KILL_PROCESS" in without
    assert quoted + "KILL_PROCESS" not in given
    assert quoted in given


def test_filters_are_written_to_new_files(tmp_path: Path) -> None:
    environ = {"SYD_TMPDIR": str(tmp_path)}
    done = run("-Ebpf", "--", "true", environ=environ)
    assert (done.status, done.out, done.err) == (0, "", "")
    assert {file.name for file in tmp_path.iterdir()} == FILES
    for file in tmp_path.iterdir():
        assert file.stat().st_mode & 0o7777 == 0o400
        check(file.read_bytes())
    again = run("-Ebpf", environ=environ)
    assert again.status == 17
    assert "Error: LinuxError: EEXIST: File exists" in again.lines


def test_variable_asks_for_an_export_as_the_option_does() -> None:
    done = run("--", "/nonexistent", environ={"SYD_DUMP_SCMP": "pfc"})
    assert done.status == 0
    assert done.out.startswith("# Syd parent rules\n")
