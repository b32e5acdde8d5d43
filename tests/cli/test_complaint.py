# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors for people: all of a file at once, each with its place, a caret, and what was meant."""

from __future__ import annotations

import errno
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madcap.cli import complaint
from madcap.cli.session import Configuration
from madcap.errors import PolicyError
from tests.cli.command import run

if TYPE_CHECKING:
    from pathlib import Path

# A wrong line, the part of it that is underlined, and a word of the explanation.
LINES = [
    ("sandbox/read:maybe", "maybe", "on, off"),
    ("sandbx/read:on", "sandbx", "did you mean 'sandbox'?"),
    ("allwo/read+/x", "allwo", "did you mean 'allow'?"),
    (" allow/read+/x", " allow", "did you mean 'allow'?"),
    ("allow/read,wriet+/x", "wriet", "did you mean 'write'?"),
    ("allow/exec,x+/x", "x", "category"),
    ("allow/read", "", "+PATTERN"),
    ("allow/read+", "", "pattern after the operator"),
    ("allow/read+relative", "relative", "/PATH"),
    ("allow/read+/a/../b", "/..", "canonical"),
    ("allow/read+${NOPE}/x", "NOPE", "not set"),
    ("allow/net/connect+1.2.3.4!99999", "99999", "65535"),
    ("allow/net/connect+1.2.3.400!9", "1.2.3.400", "IP network"),
    ("allow/ioctl+TCGET", "TCGET", "did you mean 'TCGETA'?"),
    ("allow/fs+ext5", "ext5", "did you mean 'ext'?"),
    ("trace/allow_unsafe_nie:1", "allow_unsafe_nie", "did you mean 'allow_unsafe_nice'?"),
    ("rlimit/nofil:3", "nofil", "did you mean 'nofile'?"),
    ("tpe/root_mont:on", "root_mont", "did you mean 'root_mount'?"),
    ("mem/mx:1", "m", "mem/max:SIZE"),
    ("mem/max:much", "much", "a number"),
    ("lock:maybe", "maybe", "drop"),
    ("allow/lock/raed+/x", "raed", "did you mean 'read'?"),
    ("allow/lock/read", "", "+PATH"),
    ("allow/READ+/x", "READ", "did you mean 'read'?"),
    ("sandbox/read=on", "read=on", "did you mean 'read'?"),
    ("allow read /x", "allow read /x", "allow/CATEGORIES+PATTERN"),
    ("segvguard/expiri:3", "e", "did you mean 'expiry'?"),
    ("move/@default/exce+/x", "exce", "did you mean 'exec'?"),
    ("cmd/exe!x", "exe!x", "did you mean 'exec'?"),
    ("allow/net/connect+tpc!1.2.3.4!80", "tpc!1.2.3.4!80", "did you mean 'tcp'?"),
    ("allow/net/connect+localhost!80", "localhost!80", "ADDRESS!PORTS"),
    ("lock:dorp", "dorp", "did you mean 'drop'?"),
    ("log/level:dbug", "dbug", "did you mean 'debug'?"),
    ("log/levl:debug", "levl", "did you mean 'level'?"),
    ("unshare/monut:on", "monut", "did you mean 'mount'?"),
    ("sandbox/read:ture", "ture", "did you mean 'true'?"),
    ("default/read:alow", "alow", "did you mean 'allow'?"),
    ("mask+/a\\x", "\\x", "no escape"),
    ("include_profile fsx", "fsx", "did you mean 'fs'?"),
    ("include nope.syd-3", "n", "cannot open"),
    ("@a/sandbox/raed:on", "a", "unknown domain"),
    ("move/@a/exec+/x", "a", "unknown domain"),
    ("setenv!SYD_A=1", "s", "belongs|variable of the sandbox"),
]


@pytest.mark.parametrize(("line", "part", "words"), LINES)
def test_place_and_expectation_of_a_wrong_line(
    tmp_path: Path, line: str, part: str, words: str
) -> None:
    (tmp_path / "a.syd-3").write_text(f"# first\n{line}\n")
    result = run("-P", "a.syd-3", "true", cwd=tmp_path)
    said, shown, caret = result.lines[-3:]
    assert said.startswith("madcap: a.syd-3:2: ")
    assert any(each in said for each in words.split("|"))
    assert shown == f"     2 | {line}"
    marks = caret.removeprefix("       | ")
    column = len(marks) - len(marks.lstrip(" "))
    assert set(marks.strip()) == {"^"}
    assert len(marks.strip()) == max(1, len(part))
    assert line[column : column + len(part)] == part


def test_all_errors_of_a_file_and_of_those_it_includes_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.syd-3").write_text(
        "one\ninclude b.syd-3\nallow/read+/fine\ninclude c.netset\nfour\ndomain+@d\n@d/five\n"
    )
    (tmp_path / "b.syd-3").write_text("two\nallow/read+/fine\ninclude nope.syd-3\nunfinished")
    (tmp_path / "c.netset").write_text("192.0.2.1\nthree\n")
    result = run("-P", "a.syd-3", "true", cwd=tmp_path)
    places = [line.split(": ")[1] for line in result.lines if line.startswith("madcap: ")]
    assert places == [
        *("a.syd-3:1", "b.syd-3:1", "b.syd-3:3", "b.syd-3:4", "c.netset:2", "a.syd-3:5"),
        "a.syd-3:7",
    ]
    assert result.status == errno.EINVAL


def test_errors_of_a_file_that_seeds_a_domain_are_among_them(tmp_path: Path) -> None:
    (tmp_path / "a.syd-3").write_text(f"domain+@d:{tmp_path}/b.syd-3\nthree\n")
    (tmp_path / "b.syd-3").write_text("one\nallow/read+/fine\ntwo\n")
    result = run("-P", "a.syd-3", "true", cwd=tmp_path)
    said = [line for line in result.lines if line.startswith("madcap: ")]
    places = [line.split(": ")[1].rpartition("/")[2] for line in said]
    assert places == ["b.syd-3:1", "b.syd-3:3", "a.syd-3:2"]


def test_only_the_first_error_is_logged(tmp_path: Path) -> None:
    (tmp_path / "a.syd-3").write_text("one\nlog/level:debug\ntwo\nstat\ndump\n")
    result = run("-P", "a.syd-3", "true", cwd=tmp_path)
    records = [json.loads(line) for line in result.lines if line.startswith("{")]
    assert [record["cfg"] for record in records] == ["one"]
    assert not [line for line in result.lines if "Default" in line]


def test_lines_behind_an_error_change_nothing(tmp_path: Path) -> None:
    file = tmp_path / "a.syd-3"
    file.write_text("allow/read+/a\nbad\nallow/read+/b\nsetenv!A=1\ndomain+@d\nlock:on\nworse\n")
    environ: dict[bytes, bytes] = {}
    box = Configuration(environ)
    with pytest.raises(PolicyError) as caught:
        box.read_file(bytes(file), ("-P", 1))
    assert [rule.pattern for rule in box.active.rules] == [b"/a"]
    assert (list(box.domains), box.lock, b"A" in environ) == (["default"], None, False)
    assert [other.origin for other in caught.value.also] == [(str(file), 7)]
    assert caught.value.also[0].errno == errno.EPERM


def test_lines_after_the_lock_are_one_error(tmp_path: Path) -> None:
    (tmp_path / "a.syd-3").write_text("lock:on\none\ntwo\nthree\n")
    result = run("-P", "a.syd-3", "true", cwd=tmp_path)
    assert len([line for line in result.lines if line.startswith("madcap: ")]) == 1
    assert result.status == 1


def test_many_errors_are_counted_after_the_first_twenty(tmp_path: Path) -> None:
    (tmp_path / "a.syd-3").write_text("bad\n" * 50)
    lines = run("-P", "a.syd-3", "true", cwd=tmp_path).lines
    said = [line for line in lines if line.startswith("madcap: ")]
    assert len(said) == 21
    assert said[-1] == "madcap: and 30 more errors"


def test_long_line_is_cut_around_the_place() -> None:
    error = PolicyError(errno.EINVAL, "x", ("f", 1), 5000, word="here")
    error.text = "a" * 5000 + "here" + "b" * 5000
    text, caret = complaint.excerpt(error)
    assert len(text) < 120
    assert text.index("here") == caret.index("^^^^")


def test_caret_stands_under_the_place_behind_wide_and_odd_characters() -> None:
    error = PolicyError(errno.EINVAL, "x", ("f", 1), 4, word="b")
    error.text = "\N{CJK UNIFIED IDEOGRAPH-4E00}\x1be\N{COMBINING ACUTE ACCENT}b"
    text, caret = complaint.excerpt(error)
    assert text.isprintable()
    # The ideograph takes two columns, the escape four, the letter with its accent one.
    assert caret == "       | " + " " * 7 + "^"


@given(st.text(max_size=300), st.integers(0, 320), st.text(max_size=5))
def test_excerpt_of_any_text_can_be_printed(text: str, column: int, word: str) -> None:
    error = PolicyError(errno.EINVAL, "x", ("f", 1), column, word=word)
    error.text = text
    lines = list(complaint.excerpt(error))
    assert len(lines) in (0, 2)
    assert all(line.isprintable() for line in lines)
