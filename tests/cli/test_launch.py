# SPDX-License-Identifier: GPL-3.0-or-later
"""How the interpreter is found and what it may be influenced by."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest

from madcap import launch
from madcap.cli import version
from tests.cli.command import ENVIRON, MADCAP, ROOT, run

if TYPE_CHECKING:
    from pathlib import Path


def test_version_is_that_of_the_package() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        assert tomllib.load(file)["project"]["version"] == version.VERSION


def test_launcher_works_through_a_link_and_from_anywhere(tmp_path: Path) -> None:
    link = tmp_path / "somewhere"
    link.symlink_to(MADCAP)
    (tmp_path / "again").symlink_to("somewhere")
    assert run("-V", program=tmp_path / "again", cwd=tmp_path).out.startswith("madcap ")


def test_launcher_works_by_a_relative_name(tmp_path: Path) -> None:
    (tmp_path / "odd").symlink_to(MADCAP)
    assert run("-V", program="bin/madcap", cwd=ROOT).status == 0
    result = run("-c", "./odd -Z; sh odd -Z", program="/bin/sh", cwd=tmp_path)
    assert result.err.count("invalid option '-Z'") == 2


def test_modules_of_the_current_directory_are_not_imported(tmp_path: Path) -> None:
    for name in ("os", "posixpath", "madcap", "errno", "site", "sitecustomize", "usercustomize"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('taken over')\n")
    where = {"PYTHONPATH": str(tmp_path), "PYTHONSTARTUP": str(tmp_path / "os.py")}
    result = run("-V", cwd=tmp_path, environ={**where, "PYTHONHOME": "/nowhere"})
    assert (result.status, result.err) == (0, "")


def test_variables_of_the_caller_are_not_changed_by_the_search() -> None:
    """The launcher's own variables must not shine through to the command."""
    names = [word.split("=")[0].strip() for word in MADCAP.read_text().split("\n") if "=" in word]
    assigned = [name.split()[-1] for name in names if name and name.split()[-1].isidentifier()]
    shell = MADCAP.read_text().partition("\n'''\n")[0]
    assert all(
        name.startswith("_madcap_") or name == "IFS" for name in assigned if f"{name}=" in shell
    )


def _hidden(tmp_path: Path) -> Path:
    """Return a copy of the launcher that looks for interpreters below *tmp_path* only."""
    text = MADCAP.read_text().replace("/usr/", f"{tmp_path}/usr/")
    copy = tmp_path / "bin" / "madcap"
    copy.parent.mkdir()
    copy.write_text(text)
    copy.chmod(0o755)
    (tmp_path / "src").symlink_to(ROOT / "src")
    return copy


def test_missing_interpreter_is_one_clear_line(tmp_path: Path) -> None:
    result = run("-V", program=_hidden(tmp_path), environ={"PATH": f"{tmp_path}:relative"})
    assert result.status == 127
    assert result.lines[0].startswith("madcap: no Python 3.11 or later found")
    assert len(result.lines) == 1


def test_interpreter_is_found_in_path_but_shims_are_passed_by(tmp_path: Path) -> None:
    """A version manager's shim is a shell script that costs 50 ms."""
    shims, scripts, real = tmp_path / "shims", tmp_path / "scripts", tmp_path / "real"
    for folder in (shims, scripts, real):
        folder.mkdir()
    for folder in (shims, scripts):
        script = folder / "python3"
        script.write_text("#!/bin/sh\necho shim\nexit 3\n")
        script.chmod(0o755)
    (real / "python3").symlink_to(os.path.realpath(sys.executable))
    path = ":".join(map(str, ("", ".", shims, scripts, real)))
    result = run("-V", program=_hidden(tmp_path), environ={"PATH": path})
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith("madcap ")


def test_too_old_an_interpreter_is_passed_by(tmp_path: Path) -> None:
    """The search asks an interpreter whose name does not tell its version."""
    old = tmp_path / "old"
    old.mkdir()
    shutil.copy("/bin/false", old / "python3")
    result = run("-V", program=_hidden(tmp_path), environ={"PATH": str(old)})
    assert result.status == 127


def test_package_started_by_any_python_runs_isolated(tmp_path: Path) -> None:
    """This is what a console script does."""
    (tmp_path / "sitecustomize.py").write_text("")
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); sys.argv[0] = '/x/madcap'; "
        "from madcap.launch import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT / "src"), b"-m\xff", "-h"],
        env={**ENVIRON, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 22
    assert b'"cfg":"ff"' in done.stderr


@pytest.mark.parametrize("entry", ["check", "why"])
def test_side_tool_of_a_package_runs_isolated_too(tmp_path: Path, entry: str) -> None:
    """As its console script starts it: under site packages, variables and a current directory."""
    (tmp_path / "json.py").write_text("raise SystemExit('a module of the current directory')")
    (tmp_path / "a.syd-3").write_text("allow/read+/a\n")
    script = tmp_path / f"madcap-{entry}"
    source = str(ROOT / "src")
    script.write_text(
        f"#!{sys.executable}\nimport sys; sys.path.append({source!r})\n"
        f"from madcap import launch\nlaunch.{entry}()\n"
    )
    script.chmod(0o755)
    words = ["-j", "a.syd-3"] if entry == "check" else ["-j", "-P", "a.syd-3", "read", "/a"]
    result = run(*words, program=script, cwd=tmp_path, environ={"PYTHONPATH": str(tmp_path)})
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith("{")


@pytest.mark.parametrize("given", [{}, {b"LC_CTYPE": b"C.UTF-8"}, {b"A": b"LC_CTYPE=x"}])
def test_environment_is_what_the_program_was_started_with(given: dict[bytes, bytes]) -> None:
    """In the C locale CPython adds LC_CTYPE to its own environment."""
    code = "import sys; sys.path.append(sys.argv[1]); from madcap import launch as l; "
    code += "print(l.environment())"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(ROOT / "src")],
        env=given,
        capture_output=True,
        check=True,
    )
    assert done.stdout.decode().strip() == repr(given)


def test_bytecode_is_written_only_into_a_tree_that_is_ours_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert launch._is_ours(str(tmp_path))
    tmp_path.chmod(0o770)
    assert not launch._is_ours(str(tmp_path))
    tmp_path.chmod(0o755)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert not launch._is_ours(str(tmp_path))
    assert not launch._is_ours(str(tmp_path / "missing"))
