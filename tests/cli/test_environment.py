# SPDX-License-Identifier: GPL-3.0-or-later
"""Which variables reach the command, and which are set for the configuration."""

from __future__ import annotations

import fnmatch
import os
import select
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madcap import events
from madcap.cli import environment
from tests.cli.command import ENVIRON, MADCAP, ROOT

LIST = ROOT.parent / "shared" / "reference" / "defaults" / "unsafe-env.txt"
LIST = Path(os.environ.get("MADCAP_UNSAFE_VARIABLES", LIST))


def kept(
    environ: dict[bytes, bytes], *passed: bytes, keep_unsafe: bool = False
) -> dict[bytes, bytes]:
    """Return what the command is given of *environ*."""
    return environment.for_command(environ, passed.__contains__, keep_unsafe)


@pytest.mark.parametrize(
    "name",
    [
        *(b"LD_PRELOAD", b"ld_preload", b"MY_API_KEY", b"TMPDIR", b"USER", b"PWD", b"OLDPWD", b"_"),
        *(b"IFS", b"TZ", b"XDG_RUNTIME_DIR", b"Http_Proxy", b"A_BV9", b"SSH_AUTH_SOCK", b"X_ORG"),
        *(b"MY_CHARSET", b"TSAN_X", b"SOME_URI", b"LANG"),
    ],
)
def test_unsafe_variable_is_kept_from_the_command(name: bytes) -> None:
    assert kept({name: b"1"}) == {}
    assert kept({name: b"1"}, name) == {name: b"1"}
    assert kept({name: b"1"}, keep_unsafe=True) == {name: b"1"}


@pytest.mark.parametrize(
    "name", [b"PATH", b"HOME", b"TERM", b"LINES", b"RUST_BACKTRACE", b"V9", b"AV9", b"a b", b"\xff"]
)
def test_other_variable_reaches_the_command(name: bytes) -> None:
    assert kept({name: b"1"}) == {name: b"1"}


def test_our_own_variables_never_reach_the_command() -> None:
    environ = {b"SYD_LOG": b"", b"SYD_X": b"", b"CARGO_BIN_EXE_syd-x": b"", b"SYD_TEST_X": b"1"}
    assert kept(environ, *environ, keep_unsafe=True) == {b"SYD_TEST_X": b"1"}
    assert kept({b"syd_x": b"1", b"SYD": b"2"}) == {b"syd_x": b"1", b"SYD": b"2"}


@pytest.mark.skipif(not LIST.exists(), reason="the published list of globs is not here")
@given(
    st.text(alphabet="ABCDEIKLMNOPRSTUVWXYZ_0123456789aps", max_size=12)
    | st.sampled_from(LIST.read_text().split() if LIST.exists() else [""]).map(
        lambda glob: glob.replace("*", "x").replace("[", "").replace("]", "")
    )
)
def test_unsafe_names_are_those_of_the_published_list(name: str) -> None:
    globs = LIST.read_text().split()
    slow = any(fnmatch.fnmatchcase(name.upper(), glob) for glob in globs)
    assert environment.is_unsafe(name.encode()) == slow


def test_removal_is_logged_at_info(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    monkeypatch.setattr(events, "level", events.INFO)
    monkeypatch.setattr(events, "emit", lambda _level, record, **_more: seen.append(record["var"]))
    kept({b"LD_X": b"", b"A": b""})
    assert seen == ["LD_X"]


def test_announced_variables_describe_this_process() -> None:
    environ = {b"HOME": b"/h", b"SYD_EUID": b"9", b"SYD_PIPE_MAX": b"9", b"PWD": b"/nowhere"}
    environment.announce(environ)
    assert environ[b"SYD_UID"] == environ[b"SYD_EUID"] == b"%d" % os.getuid()
    assert environ[b"SYD_PWD"] == environ[b"PWD"] == os.getcwdb()
    assert (environ[b"SYD_HOME"], environ[b"GIT_CEILING_DIRECTORIES"]) == (b"/h", b"/h")
    assert (environ[b"SYD_USER"], environ[b"USER"]) == (b"nobody", b"nobody")
    assert environ[b"SYD_PIPE_MAX"] == b"9"
    assert environ[b"SYD_ID"].decode() == events.identity
    assert len(events.identity) == 64


@pytest.mark.parametrize(
    ("word", "number"),
    [
        *((b"KILL", 9), (b"SIGKILL", 9), (b"sigterm", 15), (b"15", 15), (b"64", 64)),
        *((b"", None), (b"0", None), (b"65", None), (b"-9", None), (b"nope", None)),
        *((b"_DFL", None), (b"SIG_DFL", None), (b"\xff", None), (b"9" * 30, None)),
    ],
)
def test_parent_death_signal_is_a_name_or_a_number(word: bytes, number: int | None) -> None:
    assert environment.parent_death_signal({b"SYD_PDS": word}) == number
    assert environment.parent_death_signal({}) is None


def test_sandbox_is_sent_the_parent_death_signal_when_its_parent_ends() -> None:
    # The pipe ends with the last process that has it: the sandbox, which nobody else would end.
    ours, theirs = os.pipe()
    with subprocess.Popen(
        ["/bin/sh", "-c", f"{MADCAP} -poff -- sleep 60 </dev/null & read -r line"],
        env={**ENVIRON, "SYD_PDS": "kill"},
        stdin=subprocess.PIPE,
        pass_fds=(theirs,),
    ) as parent:
        os.close(theirs)
        deadline = time.monotonic() + 20
        while not (sleeping := _commands_below(parent.pid, b"sleep")):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        parent.communicate(b"")  # The shell goes.
    assert select.select([ours], [], [], 20)[0]
    os.close(ours)
    while any(os.path.exists(f"/proc/{pid}/exe") for pid in sleeping):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _commands_below(top: int, name: bytes) -> list[int]:
    """Return the descendants of process *top* that run the program *name*."""
    found, parents = [], [top]
    while parents:
        parent = parents.pop()
        try:
            children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        except OSError:
            continue
        for child in map(int, children):
            parents.append(child)
            try:
                command = Path(f"/proc/{child}/comm").read_bytes().strip()
            except OSError:
                continue
            if command == name:
                found.append(child)
    return found
