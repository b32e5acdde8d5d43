# SPDX-License-Identifier: GPL-3.0-or-later
"""Which command is started, under which name, with which environment, and from where."""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from madcap import events
from madcap.cli import environment
from madcap.cli.main import main
from madcap.errors import ConfineError

if TYPE_CHECKING:
    from pathlib import Path

SHELL = [
    *(b"/usr/bin/env", b"HISTFILE=", b"/usr/bin/bash"),
    *(b"--login", b"--noprofile", b"--norc", b"--restricted"),
]


class Started:
    """What would have been started."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[bytes], bytes | None, dict[bytes, bytes]]] = []
        self.cwd = b""
        self.sandbox: Any = None
        self.error: Exception | None = None

    def run(
        self, sandbox: object, argv: list[bytes], arg0: bytes | None, environ: dict[bytes, bytes]
    ) -> int:
        """Take the place of `madcap.sandbox.run`."""
        if self.error is not None:
            raise self.error
        self.calls.append((argv, arg0, environ))
        self.sandbox = sandbox
        self.cwd = os.getcwdb()
        return 42

    def __call__(self, *words: bytes, **environ: bytes) -> tuple[list[bytes], bytes | None]:
        """Return command and argv[0] that the command line *words* starts."""
        given = {name.encode(): value for name, value in environ.items()}
        assert main([b"madcap", *words], given) == 42
        argv, arg0, _ = self.calls[-1]
        return argv, arg0


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Started:
    """Run command lines in this process, up to the start of the sandbox."""
    there = Started()
    module = ModuleType("madcap.sandbox")
    module.run = there.run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "madcap.sandbox", module)
    for name in ("fd", "level", "pretty", "verbose", "identity", "burst", "interval"):
        monkeypatch.setattr(events, name, getattr(events, name))
    monkeypatch.chdir(tmp_path)
    return there


def test_words_after_the_options_are_the_command(started: Started) -> None:
    assert started(b"-v", b"cat", b"-n", b"\xff") == ([b"cat", b"-n", b"\xff"], None)


def test_alias_is_the_name_of_the_command_and_the_last_one_counts(started: Started) -> None:
    assert started(b"-ax", b"-a", b"\xff", b"cat") == ([b"cat"], b"\xff")


@pytest.mark.parametrize("words", [(b"-v",), (b"--",), (b"-m", b"")])
def test_without_a_command_a_restricted_login_shell_starts_nowhere(
    started: Started, words: tuple[bytes, ...]
) -> None:
    assert started(*words) == (SHELL, b"-")
    assert started.cwd.endswith(b"/fdinfo")


def test_other_shell_is_one_word_and_starts_where_we_are(started: Started, tmp_path: Path) -> None:
    assert started(b"-v", SYD_SHELL=b"/bin/my sh") == ([b"/bin/my sh"], b"-")
    assert started.cwd == os.fsencode(tmp_path)
    assert started(b"-v", SYD_SHELL=b"") == (SHELL, b"-")


def test_alias_replaces_the_dash_of_the_shell(started: Started) -> None:
    assert started(b"-a", b"x") == (SHELL, b"x")


def test_directory_is_nowhere_when_a_variable_asks_for_it(started: Started) -> None:
    started(b"true", SYD_CHDIR=b"")
    assert started.cwd.endswith(b"/fdinfo")


def test_script_is_run_by_the_shell_with_the_words_that_follow(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("madcap.cli.session.Configuration._apply_profile", lambda *_: None)
    assert started(b"-c", b"echo", b"a0", b"a1") == ([*SHELL, b"-c", b"echo", b"a0", b"a1"], None)
    assert started(b"-cecho", SYD_SHELL=b"/bin/sh") == ([b"/bin/sh", b"-c", b"echo"], None)
    assert started(b"-c", b"a", b"-c", b"b") == ([*SHELL, b"-c", b"a", b"b"], None)


@pytest.mark.parametrize(
    ("name", "words", "profiles"),
    [
        pytest.param(b"madcap", (), ["user"], id="no-arguments"),
        pytest.param(b"-madcap", (b"-plib",), ["user", "lib"], id="login"),
        pytest.param(b"/bin/-madcap", (b"-plib",), ["user", "lib"], id="login-by-file-name"),
        pytest.param(b"madcap", (b"-plib",), ["lib"], id="options-only"),
        pytest.param(b"madcap", (b"-f", b"-plib"), ["lib", "user"], id="asked-for"),
        pytest.param(b"madcap", (b"-l", b"-plib"), ["lib", "user"], id="login-option"),
        pytest.param(b"madcap", (b"-c", b"x", b"-plib"), ["lib", "user"], id="script"),
        pytest.param(b"-madcap", (b"-c", b"x", b"-plib"), ["user", "lib"], id="login-script"),
        pytest.param(b"madcap", (b"--",), [], id="two-dashes"),
        pytest.param(b"madcap", (b"-f", b"-mlock:on"), [], id="locked"),
        pytest.param(b"madcap", (b"-x",), ["trace"], id="trace"),
    ],
)
def test_user_profile_is_applied_when_it_should_be(
    started: Started,
    monkeypatch: pytest.MonkeyPatch,
    name: bytes,
    words: tuple[bytes, ...],
    profiles: list[str],
) -> None:
    from madcap.cli.session import Configuration

    seen: list[str] = []

    def note(self: Configuration, profile: str) -> None:
        self.user_parsed = self.user_parsed or profile == "user"
        seen.append(profile)

    monkeypatch.setattr(Configuration, "_apply_profile", note)
    assert main([name, *words], {}) == 42
    assert seen == profiles
    assert started.calls


def test_environment_of_the_command_is_filtered(started: Started) -> None:
    started(b"-eA=1", b"-eLD_A=2", b"-eLD_B=", b"-eC", b"true", LD_B=b"3", LD_C=b"4", C=b"5")
    assert started.calls[-1][2] == {b"A": b"1", b"LD_A": b"2", b"LD_B": b"3"}


def test_variables_can_be_passed_by_pattern(started: Started) -> None:
    started(b"-mpassenv+LD_*", b"true", LD_A=b"1", TMPDIR=b"2")
    environ = started.calls[-1][2]
    assert environ.pop(b"HOME") == b"/var/empty"
    assert environ == {b"LD_A": b"1"}


def test_settings_become_options_of_the_sandbox(started: Started) -> None:
    environ = {name.decode(): b"0" for name, _ in environment.FLAGS if name != b"SYD_FORCE_CLOEXEC"}
    started(b"true", **environ)
    settings = started.sandbox.options | started.sandbox.active.flags
    switches = [command for _, command in environment.FLAGS if command.endswith(":1")]
    wanted = {command.split("/")[1][:-2] for command in switches} - {"force_cloexec"}
    wanted.discard("memory_access")
    assert wanted <= settings
    assert "force_cloexec" not in settings
    assert started.sandbox.memory_access == 1
    started(b"true", SYD_PROC_PID_MEM_FALLBACK=b"")
    assert started.sandbox.memory_access == 0


def test_verbosity_is_a_counter_that_stops_at_three(started: Started) -> None:
    started(b"-v", b"true")
    assert events.verbose == 2
    started(b"-vvvvvv", b"-m", b"log/verbose:1", b"-v", b"true")
    assert events.verbose == 2
    started(b"-vvvvvv", b"true")
    assert events.verbose == 3


def test_commands_about_the_log_act_at_once(started: Started) -> None:
    started(b"-mlog/level:crit", b"-mlog/rlimit_burst:3", b"-mlog/rlimit_interval:7", b"true")
    assert (events.level, events.burst, events.interval) == (events.CRIT, 3, 7)


def test_failed_step_of_the_sandbox_is_reported_with_its_errno(
    started: Started, capfd: pytest.CaptureFixture[str]
) -> None:
    started.error = ConfineError("landlock", 1)
    assert main([b"madcap", b"true"], {}) == 1
    assert "madcap: landlock: EPERM: Operation not permitted" in capfd.readouterr().err


def test_mistake_of_ours_is_one_line_without_a_traceback(
    started: Started, capfd: pytest.CaptureFixture[str]
) -> None:
    started.error = RuntimeError("odd\nthing")
    assert main([b"madcap", b"true"], {b"SYD_LOG_FD": b"-1"}) == 101
    assert capfd.readouterr().err == "madcap: internal error: RuntimeError: odd\\x0athing\n"


def test_unknown_word_in_a_variable_asks_for_no_export(started: Started) -> None:
    assert main([b"madcap", b"true"], {b"SYD_DUMP_SCMP": b"other"}) == 42
    assert started.calls


@pytest.mark.parametrize("value", [b"0", b"x", b"-1", b"", b"1.5"])
def test_bad_number_of_threads_ends_before_the_command(
    started: Started, capfd: pytest.CaptureFixture[str], value: bytes
) -> None:
    assert main([b"madcap", b"true"], {b"SYD_NPROC": value, b"SYD_LOG_FD": b"-1"}) == 101
    assert not started.calls
    assert capfd.readouterr().err == "madcap: SYD_NPROC must be a number from 1\n"


@pytest.mark.parametrize("form", ["dump", "stat"])
def test_state_is_printed_on_standard_error(
    started: Started,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    form: str,
) -> None:
    monkeypatch.setattr(f"madcap.policy.report.{form}_text", lambda _box: f"the {form}")
    started(b"-m", form.encode(), b"true")
    assert capfd.readouterr().err == f"the {form}\n"
    assert main([b"madcap", b"-mlock:drop", b"-m", form.encode(), b"true"], {}) == 1


def test_a_way_to_interrupt_that_is_none_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    environ = {b"SYD_INTERRUPT": b"maybe", b"SYD_LOG_FD": b"-1"}
    assert main([b"madcap", b"true"], environ) == 101
    assert capfd.readouterr().err == "madcap: SYD_INTERRUPT must be state or status\n"
