# SPDX-License-Identifier: GPL-3.0-or-later
"""``madcap-check`` as a program: what it prints, and that it never fails in another way."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from madcap.explain.check import check
from madcap.policy import profile
from tests.cli.command import ROOT, Result, run

if TYPE_CHECKING:
    from pathlib import Path

CHECK = ROOT / "bin" / "madcap-check"


def checked(folder: Path, *words: str | bytes, **files: str | bytes) -> Result:
    """Write *files* and check them, or what *words* say."""
    for name, text in files.items():
        (folder / f"{name}.syd-3").write_bytes(text.encode() if isinstance(text, str) else text)
    names = [f"{name}.syd-3" for name in files]
    result = run(*(words or names), program=CHECK, cwd=folder)
    assert "Traceback" not in result.err
    return result


def test_file_without_fault_is_said_to_be_fine(tmp_path: Path) -> None:
    result = checked(tmp_path, a="# one\nallow/read+/etc/***\nlock:on\n")
    assert (result.status, result.out, result.err) == (
        0, "madcap-check: a.syd-3: nothing is wrong\n", "",
    )  # fmt: skip


def test_errors_and_dead_rules_of_all_files_are_printed(tmp_path: Path) -> None:
    result = checked(
        tmp_path,
        a="allow/raed+/x\nallow/read+/etc/passwd\ndump\nallow/read+/etc/***\n",
        b="bad\ninclude a.syd-3\n",
    )
    assert result.status == 1
    assert result.err == ""
    assert result.out.splitlines() == [
        "madcap-check: a.syd-3:1: column 7: unknown category 'raed' in allow/raed+/x "
        "(expected a category or set name; did you mean 'read'?)",
        "     1 | allow/raed+/x",
        "       |       ^^^^",
        "madcap-check: a.syd-3:2: never decides: allow/read+/etc/passwd",
        "    a.syd-3:4 answers first: allow/read+/etc/***",
        "madcap-check: b.syd-3:1: unknown command 'bad' (expected a command)",
        "     1 | bad",
        "       | ^^^",
        *(
            "madcap-check: a.syd-3:1: column 7: unknown category 'raed' in allow/raed+/x "
            "(expected a category or set name; did you mean 'read'?)",
            "     1 | allow/raed+/x",
            "       |       ^^^^",
            "madcap-check: a.syd-3:2: never decides: allow/read+/etc/passwd",
            "    a.syd-3:4 answers first: allow/read+/etc/***",
        ),
    ]


def test_findings_are_printed_as_json(tmp_path: Path) -> None:
    (tmp_path / "a.syd-3").write_text("allow/raed+/x\nallow/read+/a\nallow/read+/***\n")
    result = checked(tmp_path, "-j", "a.syd-3")
    (found,) = json.loads(result.out)["files"]
    assert found == {
        "file": "a.syd-3",
        "ok": False,
        "errors": [
            {
                "file": "a.syd-3", "line": 1, "column": 7, "errno": 22,
                "message": "unknown category 'raed' in allow/raed+/x",
                "expected": "a category or set name; did you mean 'read'?",
                "text": "allow/raed+/x",
            }
        ],
        "shadowed": [
            {
                "file": "a.syd-3", "line": 2, "rule": "allow/read+/a",
                "by": [{"file": "a.syd-3", "line": 3, "rule": "allow/read+/***"}],
            }
        ],
        "unsupported": None,
    }  # fmt: skip
    assert result.status == 1


def test_pattern_that_matches_nothing_is_named(tmp_path: Path) -> None:
    result = checked(tmp_path, a="allow/read+/dev/tty[[:digits:]]\n")
    assert result.out.splitlines() == [
        "madcap-check: a.syd-3:1: never decides: allow/read+/dev/tty[[:digits:]]",
        "    its pattern matches nothing",
    ]


def test_rule_that_decides_in_one_domain_is_not_dead(tmp_path: Path) -> None:
    result = checked(tmp_path, a="allow/read+/a\ndomain+@d:@default\nallow/read+/***\n")
    assert result.status == 0


def test_variables_are_those_of_the_run_and_of_the_option(tmp_path: Path) -> None:
    (tmp_path / "a.syd-3").write_text("allow/read+${WORK}/***\n")
    assert checked(tmp_path, "a.syd-3").status == 1
    assert checked(tmp_path, "-e", "WORK=/srv", "a.syd-3").status == 0


def test_rules_files_of_the_project_are_fine() -> None:
    for path in sorted((ROOT / "tests" / "programs").glob("*.syd-3")):
        environ = {b"WORK": b"/w", b"TMPDIR": b"/t", b"PROJECT": b"/p", b"HOME": b"/h"}
        found = check(os.fsencode(path), environ)
        assert not found.errors, path


def test_every_profile_can_be_included(tmp_path: Path) -> None:
    names = sorted(profile.NAMES - {"user"})
    for name in names:
        (tmp_path / f"{name}.syd-3").write_text(f"include_profile {name}\n")
    result = checked(tmp_path, *(f"{name}.syd-3" for name in names))
    errors = [line for line in result.out.splitlines() if ": column " in line]
    assert not errors


@pytest.mark.parametrize(
    ("words", "text"),
    [
        pytest.param((), "no file was given", id="nothing"),
        pytest.param(("-Z",), "invalid option '-Z'", id="letter"),
        pytest.param(("--nope",), "invalid option '--nope'", id="word"),
        pytest.param(("-e",), "missing argument", id="value"),
        pytest.param(("-e", "x", "f"), "VAR=VALUE", id="variable"),
        pytest.param(("--json=1", "f"), "unexpected argument", id="no-value"),
    ],
)
def test_wrong_command_line_is_one_line(tmp_path: Path, words: tuple[str, ...], text: str) -> None:
    result = run(*words, program=CHECK, cwd=tmp_path)
    assert (result.status, result.out) == (128, "")
    assert text in result.err
    assert result.err.count("\n") == 1


def odd_files(folder: Path) -> dict[str, str]:
    """Make files nobody should write, and return a word that each one's error has."""
    (folder / "long.syd-3").touch()
    os.truncate(folder / "long.syd-3", 1 << 30)
    (folder / "cycle.syd-3").write_text("include other.syd-3\n")
    (folder / "other.syd-3").write_text("include cycle.syd-3\n")
    (folder / "nul.syd-3").write_bytes(b"allow/read+/a\0b\n")
    (folder / "nuls.syd-3").write_bytes(b"\0" * 100 + b"\n")
    (folder / "latin.syd-3").write_bytes(b"allow/read+/\xff\n")
    os.mkfifo(folder / "fifo.syd-3")
    (folder / "folder.syd-3").mkdir()
    (folder / "link.syd-3").symlink_to("nul.syd-3")
    (folder / "open.syd-3").touch(0o666)
    (folder / "open.syd-3").chmod(0o666)
    return {
        "long.syd-3": "too long", "cycle.syd-3": "again", "nul.syd-3": "NUL",
        "nuls.syd-3": "unknown command", "latin.syd-3": "not UTF-8", "fifo.syd-3": "a fifo",
        "folder.syd-3": "a directory", "link.syd-3": "a symbolic link",
        "open.syd-3": "writable by others", "none.syd-3": "ENOENT", "none": "no known extension",
    }  # fmt: skip


def test_odd_file_is_one_clear_error_to_check_and_to_madcap(tmp_path: Path) -> None:
    words = odd_files(tmp_path)
    (tmp_path / "none").touch(0o644)
    (tmp_path / "none").chmod(0o644)
    for name, word in words.items():
        result = checked(tmp_path, name)
        said = [line for line in result.out.splitlines() if line.startswith("madcap-check: ")]
        assert (result.status, len(said), result.err) == (1, 1, ""), name
        assert word in said[0], name
        started = run("-P", name, "echo", "started", cwd=tmp_path)
        (line,) = [line for line in started.lines if line.startswith("madcap: ")]
        assert word in line
        assert started.status not in (0, 101)
        assert started.out == ""


LINE = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            *(b"allow/read+/***", b"deny/all+/a", b"include a.syd-3", b"lock:on", b"dump", b"stat"),
            *(b"domain+@a", b"@a/allow/read+/x", b"include_profile user", b"log/level:debug"),
            *(b"allow/net/connect+any!80", b"block+1.2.3.4/8", b"mask+/x", b"cmd/exec!x"),
            *(b"include_profile linux", b"panic", b"ghost", b"load/3", b"# x", b"include b.netset"),
        ]
    ),
)


@given(st.lists(LINE, max_size=8), st.sampled_from([b"\n", b"\n", b"\n", b"", b"\r\n", b"\0"]))
@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_file_is_checked_without_an_exception(
    tmp_path: Path, lines: list[bytes], end: bytes
) -> None:
    file = tmp_path / "a.syd-3"
    file.write_bytes(b"".join([line + end for line in lines]))
    found = check(bytes(file), {b"HOME": b"/var/empty"})
    for error in found.errors:
        assert error.errno > 0
        assert "\n" not in str(error).replace("\\n", "")
