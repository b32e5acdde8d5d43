# SPDX-License-Identifier: GPL-3.0-or-later
"""``madcap-why`` as a program: questions, logs, and what it says of nonsense."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madcap import events
from madcap.explain.log import records, violations
from tests.cli.command import ROOT, Result, run

if TYPE_CHECKING:
    from pathlib import Path

WHY = ROOT / "bin" / "madcap-why"


def why(*words: str | bytes, cwd: Path | str = "/") -> Result:
    """Ask, and make sure that nothing else went wrong."""
    result = run(*words, program=WHY, cwd=cwd)
    assert "Traceback" not in result.err
    assert result.status != 101
    return result


def test_verdict_rule_place_and_remedy_are_printed(tmp_path: Path) -> None:
    (tmp_path / "a.syd-3").write_text("allow/read+/etc/***\n\ndeny/read+/etc/shadow\n")
    result = why("-P", "a.syd-3", "read", "/etc/shadow", cwd=tmp_path)
    assert (result.status, result.err) == (1, "")
    assert result.out.splitlines() == [
        "read /etc/shadow: denied",
        "  read: deny, by deny/read+/etc/shadow  [a.syd-3:3]",
        "  to allow it, add as the last line of a.syd-3:",
        "    allow/read+/etc/shadow",
    ]
    result = why("-P", "a.syd-3", "read", "/etc/passwd", cwd=tmp_path)
    assert result.status == 0
    assert "allow/read+/etc/***  [a.syd-3:1]" in result.out


def test_answer_is_printed_as_json() -> None:
    result = why("--json", "-m", "allow/read+/etc/***", "read,write", "/etc/passwd")
    assert json.loads(result.out) == {
        "capability": ["read", "write"],
        "target": "/etc/passwd",
        "domain": "default",
        "allowed": False,
        "verdict": "deny",
        "reasons": [
            {
                "capability": ["write"], "verdict": "deny", "by": "default",
                "rule": "default/write:deny", "file": None, "line": None,
            },
            {
                "capability": ["read"], "verdict": "allow", "by": "rule",
                "rule": "allow/read+/etc/***", "file": "-m", "line": 1,
            },
        ],
        "change": {"to": "allow", "lines": ["allow/write+/etc/passwd"]},
        "notes": [],
    }  # fmt: skip


def test_options_are_those_of_a_run() -> None:
    words = ("-p", "quiet", "-e", "X=/srv", "-m", "allow/read+${X}", "-xt5", "read", "/srv")
    assert why(*words).status == 0
    assert "[profile quiet:" in why("-p", "quiet", "read", "/x").out
    assert why("-mlock:on", "-mallow/read+/x", "read", "/x").status == 128


def test_domain_is_the_active_one_or_the_one_asked_for() -> None:
    words = ("-mdomain+@d", "-m@d/allow/read+/x")
    assert why(*words, "read", "/x").status == 1
    assert why(*words, "-d", "d", "read", "/x").status == 0
    assert "@d/allow/read+/y" in why(*words, "--domain=@d", "read", "/y").out
    assert why(*words, "-mlock:off", "-mcmd/move!d", "read", "/x").status == 0
    assert "no domain" in why(*words, "-d", "e", "read", "/x").err


def test_link_is_followed_where_the_call_would(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    assert f"read {tmp_path}/file: denied" in why("read", "link", cwd=tmp_path).out
    assert f"leads to {tmp_path}/file" in why("read", "link", cwd=tmp_path).out
    assert f"delete {tmp_path}/link: denied" in why("delete", "link", cwd=tmp_path).out
    assert "read /proc/self/fd/0: denied" in why("read", "/proc/self/fd/0").out


def test_program_is_looked_up_as_a_shell_would() -> None:
    answer = why("-m", "allow/exec+/usr/bin/env", "exec", "env")
    assert answer.status == 0
    assert "exec /usr/bin/env: allowed" in answer.out
    assert "exec /no-such-program: denied" in why("exec", "no-such-program").out


def test_question_without_a_configuration_says_so() -> None:
    assert "allows nothing" in why("read", "/x").out
    assert "allows nothing" not in why("-p", "quiet", "read", "/x").out


def test_lock_in_the_configuration_is_mentioned() -> None:
    assert "locks itself" in why("-mlock:on", "read", "/x").out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        pytest.param((), "CAPABILITY and TARGET", id="nothing"),
        pytest.param(("read",), "CAPABILITY and TARGET", id="no-target"),
        pytest.param(("raed", "/x"), "did you mean 'read'?", id="capability"),
        pytest.param(("read", "!"), "", id="target"),
        pytest.param(("-mbad", "read", "/x"), "-m:1: unknown command", id="command"),
        pytest.param(("-P", "/none.syd-3", "read", "/x"), "ENOENT", id="file"),
        pytest.param(("--log", "/none"), "No such file", id="log"),
        pytest.param(("--log", "/dev/null", "read", "/x"), "takes no", id="log-and-question"),
        pytest.param(("-c", "x"), "invalid option '-c'", id="option-of-runs-only"),
        pytest.param(("mem", "1"), "no rule with a target", id="limit"),
    ],
)
def test_nonsense_is_refused_with_one_line(words: tuple[str, ...], text: str) -> None:
    result = why(*words)
    if words == ("read", "!"):
        assert result.status == 1
        return
    assert (result.status, result.out) == (128, "")
    assert text in result.lines[0]
    assert result.lines[0].startswith("madcap-why: ")


def record(**keys: object) -> str:
    """Return a log record as a run writes it."""
    return "{" + ",".join(f'"{key}":{events.encode(value)}' for key, value in keys.items()) + "}"


LOG = "\n".join(
    [
        record(id="x", ctx="access", cap="read", act="deny", sys="open", path="/a", cmd="cat /a"),
        "cat: /a: Permission denied",
        record(id="y", ctx="access", cap="read", act="deny", sys="open", path="/a", cmd="cat /a b"),
        record(ctx="access", cap=["read", "write"], act="warn", path="/b*", cmd="/bin/sh -c x"),
        record(ctx="access", cap="net/connect", act="kill", addr="tcp!::1!80", cmd="curl"),
        record(ctx="access", cap="net/bind", act="deny", unix=b"@a\xff", cmd="x"),
        record(ctx="access", cap="stat", act="deny", path="/a", cmd="cat x"),
        record(ctx="access", cap="fs", act="deny", path="/a", fs="ext", cmd="cat x"),
        record(ctx="access", cap="ioctl", act="deny", ctl=["TCGETS"], cmd="tty"),
        record(ctx="access", cap="ioctl", act="deny", ctl=0x1234, cmd="tty"),
        record(ctx="exec", act="deny", path="/c", cmd="sh", tip="configure `trace/allow_x:1'"),
        record(ctx="configure_sandbox", err=22, cfg="foo"),
        record(ctx="log", op="rlimit", suppressed=3),
        "{not json}",
        '{\n  "ctx": "access",\n  "cap": "stat",\n  "act": "deny",\n  "path": "/d",\n  "cmd": "ls"',
        "}",
        "",
    ]
)


def test_log_is_a_table_without_repeats(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(LOG)
    result = why("--log", "log", cwd=tmp_path)
    assert (result.status, result.err) == (0, "")
    rows = [line.split() for line in result.out.splitlines()[2:]]
    assert rows == [
        ["3", "cat", "stat,read", "/a", "deny", "allow/stat,read+/a"],
        ["1", "sh", "read,write", "/b*", "warn", "allow/read,write+/b\\*"],
        ["1", "curl", "net/connect", "tcp!::1!80", "kill", "allow/net/connect+tcp!::1!80"],
        ["1", "x", "net/bind", "4061ff", "deny", "allow/net/bind+4061ff"],
        ["1", "cat", "fs", "ext", "deny", "allow/fs+ext"],
        ["1", "tty", "ioctl", "TCGETS", "deny", "allow/ioctl+TCGETS"],
        ["1", "tty", "ioctl", "0x1234", "deny", "allow/ioctl+0x1234"],
        ["1", "sh", "exec", "/c", "deny", "trace/allow_x:1"],
        ["1", "ls", "stat", "/d", "deny", "allow/stat+/d"],
    ]


def test_log_with_the_configuration_of_its_run_names_the_rules(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(LOG)
    (tmp_path / "a.syd-3").write_text("deny/read+/***\nallow/stat+/***\n")
    result = why("-P", "a.syd-3", "--log", "log", cwd=tmp_path)
    lines = result.out.splitlines()
    assert "a.syd-3:1" in lines[2]
    assert "allowed by this configuration" in lines[-1]
    found = json.loads(why("-P", "a.syd-3", "-j", "--log", "log", cwd=tmp_path).out)
    first = found["violations"][0]
    assert (first["program"], first["count"], first["line"]) == ("cat", 3, "allow/stat,read+/a")
    assert [reason["line"] for reason in first["answer"]["reasons"]] == [1, 2]


def test_log_can_come_through_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(LOG)
    script = 'exec "$0" --log - <log'
    result = run("-c", script, str(WHY), program="/bin/sh", cwd=tmp_path)
    assert "allow/stat,read+/a" in result.out


def test_line_too_long_for_a_record_is_passed_over(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        file.write(LOG.encode())
        file.truncate(file.tell() + (1 << 28))
        file.seek(0, 2)
        file.write(b"\n" + record(ctx="access", cap="stat", act="deny", path="/z").encode())
    result = run(
        "-c", 'ulimit -v 200000; exec "$0" --log log', str(WHY), program="/bin/bash", cwd=tmp_path
    )
    assert (result.status, result.err) == (0, "")
    assert "allow/stat,read+/a" in result.out
    assert result.out.endswith("allow/stat+/z\n")


def test_lost_records_are_mentioned(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(LOG + '\n{"ctx":"log","op":"lost","count":7}\n')
    assert why("--log", "log", cwd=tmp_path).out.startswith("note: 7 records were lost")
    assert json.loads(why("-j", "--log", "log", cwd=tmp_path).out)["lost"] == 7


def test_log_without_violations_says_so(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("hello\n")
    assert why("--log", "log", cwd=tmp_path).out == "no violations\n"


def test_lines_of_a_run_make_the_run_succeed(tmp_path: Path) -> None:
    """The lines offered are taken as commands."""
    (tmp_path / "log").write_text(LOG)
    found = json.loads(why("-j", "--log", "log", cwd=tmp_path).out)
    lines = [each["line"] for each in found["violations"] if "allow_x" not in each["line"]]
    words = [word for line in lines for word in ("-m", line)]
    assert why(*words, "read,write", "/b*").status == 0
    assert why(*words, "read", "/bx").status == 1


FORGED = st.dictionaries(
    st.sampled_from(
        ["ctx", "cap", "act", "path", "addr", "unix", "cmd", "tip", "exe", "fs", "ctl"]
    ),
    st.one_of(
        st.none(), st.integers(), st.lists(st.text(max_size=5), max_size=3), st.text(max_size=20),
        st.sampled_from(
            [
                *("access", "deny", "read", "/***", "all", "configure `lock:off'", "\x1b[2J"),
                *("a\nb", "b*", "fs", "ioctl", "*", "all,proc", "TC*", "TCGETS,TIOCSTI"),
                *("configure `trace/x:1'", "1.2.3.4!80", "any!0-65535", "@*", "net/connect", "2a"),
            ]
        ),
    ),
)  # fmt: skip


@given(st.lists(FORGED, max_size=4))
def test_forged_record_makes_no_line_that_matches_more(forged: list[dict[str, object]]) -> None:
    """A guest that shares its standard error with the log can write records of its own."""
    for each in violations([json.dumps(line).encode() for line in forged]):
        if each.line is None:
            continue
        if each.line.startswith("allow/"):
            assert each.line.isprintable()
            pattern = each.line.partition("+")[2]
            for star in ("*", "?", "["):
                assert star not in pattern.replace("\\" + star, "").replace("!al[l]", "")
            assert not pattern.startswith("any")
        else:
            assert each.line.startswith(("trace/", "block-"))


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_any_log_is_read_without_an_exception(lines: list[bytes]) -> None:
    assert all(isinstance(each, dict) for each in records(lines))
    violations(lines)
