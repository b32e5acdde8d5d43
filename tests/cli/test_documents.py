# SPDX-License-Identifier: GPL-3.0-or-later
"""Help, manual and completion know every option, and the manual knows the whole language."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest

from madcap.cli import options, usage
from madcap.errors import PolicyError
from madcap.explain import check, why
from madcap.policy import actions, categories, profile, trace
from madcap.policy.parser import FAMILIES
from madcap.policy.sandbox import Sandbox
from tests.cli.command import ROOT, run
from tests.conftest import need

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MANUAL = ROOT / "docs" / "man"
PROGRAMS: dict[str, tuple[usage.Option, ...]] = {
    "madcap": usage.MADCAP,
    "madcap-check": check.OPTIONS,
    "madcap-why": why.OPTIONS,
}
FORMS = [
    pytest.param(name, form, id=f"{name}{form}")
    for name, table in PROGRAMS.items()
    for option in table
    for form in option.forms
]
PAGES = ["madcap.1", "madcap-check.1", "madcap-why.1", "madcap.5"]


def plain(page: str) -> str:
    """Return the source of a manual page without its escapes."""
    text = (MANUAL / page).read_text()
    return text.replace("\\-", "-").replace("\\&", "").replace("\\e", "\\")


def words(page: str) -> set[str]:
    """Return the words of a manual page, as they are written between blanks."""
    return {word.rstrip(".,:;)") for word in plain(page).split()}


def test_table_of_madcap_is_what_its_scanner_takes() -> None:
    assert {option.letter for option in usage.MADCAP if option.letter} == set(options.SHORT)
    assert {option.word: option.name for option in usage.MADCAP if option.word} == options.LONG


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_option_is_in_help_manual_and_completion(name: str, form: str) -> None:
    shown = run("-h", program=ROOT / "bin" / name).out
    assert re.search(rf"(^|[ ,]){re.escape(form)}([ ,]|$)", shown, re.MULTILINE)
    # In the source an option is written without its first dash: Fl gives that.
    assert re.search(rf"^\.It .*\bFl {re.escape(form[1:])}( |$)", plain(f"{name}.1"), re.MULTILINE)
    bash = (ROOT / "completion" / "bash" / name).read_text()
    assert re.search(rf"[ ']{re.escape(form)}[ ']", bash)
    zsh = (ROOT / "completion" / "zsh" / f"_{name}").read_text()
    assert re.search(rf"'\*?{re.escape(form)}[+=]?\[", zsh)
    fish = (ROOT / "completion" / "fish" / f"{name}.fish").read_text()
    kind = f"-l {form[2:]}" if form.startswith("--") else f"-s {form[1:]}"
    assert f" {kind} " in fish


@pytest.mark.parametrize("name", PROGRAMS)
def test_manual_names_no_option_that_is_not_there(name: str) -> None:
    named = set(re.findall(r"^\.It (Fl .*)$", plain(f"{name}.1"), re.MULTILINE))
    forms = {f"-{form}" for line in named for form in re.findall(r"Fl ([^ ]+)", line)}
    assert forms == {form for option in PROGRAMS[name] for form in option.forms}


@pytest.mark.parametrize("name", ["madcap-check", "madcap-why"])
def test_help_of_a_side_tool_is_in_the_house_form(name: str) -> None:
    result = run("--help", program=ROOT / "bin" / name)
    lines = result.out.splitlines()
    assert (result.status, result.err) == (0, "")
    assert lines[:4] == run("-V").out.splitlines()[:4]
    assert lines[5].startswith(f"$ {name} ")
    assert lines[6].startswith("  ")
    assert "\x1b[" not in result.out
    version = run("-V", program=ROOT / "bin" / name)
    assert (version.status, version.out) == (0, run("-V").out)


def test_manual_of_the_language_knows_every_word() -> None:
    known = words("madcap.5")
    heads = {re.split(r"[^a-z_]", word)[0] for word in known}
    assert set(FAMILIES) - {"pty"} <= heads
    assert set(actions.NAMES) <= known
    assert set(categories.MASKS) <= known
    assert {*trace.NAMES} <= known
    assert {f"trace/{name}" for name in trace.SPECIAL} <= known
    assert set(profile.NAMES) <= known


def test_manual_names_the_categories_that_are_off() -> None:
    sentence = plain("madcap.5").split("All are looked at from the start but")[1].split(".El")[0]
    named = set(re.findall(r"[a-z]+", sentence.partition("default/")[0])) & set(categories.NAMES)
    off = {name for bit, name in enumerate(categories.NAMES) if not categories.INITIAL >> bit & 1}
    assert named == off


def test_rules_that_the_manual_shows_are_rules() -> None:
    blocks = re.findall(
        r"^\.Bd -literal.*?\n(.*?)^\.Ed", plain("madcap.5"), re.MULTILINE | re.DOTALL
    )
    assert len(blocks) >= 3
    box = Sandbox({b"HOME": b"/h"}, None, lambda _name: "allow/fs+all\n")
    for line in "".join(blocks).splitlines():
        try:
            box.execute(line, ("madcap.5", 1))
        except PolicyError as error:
            pytest.fail(str(error))


def test_manual_names_every_variable_that_is_read() -> None:
    source = "".join([path.read_text() for path in (ROOT / "src").rglob("*.py")])
    read = set(re.findall(r"\"(SYD_[A-Z_]*[A-Z])\"", source))
    known = words("madcap.1")
    inner = {"SYD_PID_PTY", "SYD_PID_TOR"}  # Only ever removed.
    assert len(read) > 30
    assert read - inner - known == set()


SHOWN = {
    "madcap-check": "# rules\nallow/raed+/srv/***\ndeny/read+/etc/shadow\nallow/read+/etc/***\n",
    "madcap-why": "# rules\nallow/read+/etc/***\n\ndeny/read+/etc/shadow\n",
}


@pytest.mark.parametrize("name", SHOWN)
def test_example_of_the_manual_prints_what_it_shows(tmp_path: Path, name: str) -> None:
    (tmp_path / "web.syd-3").write_text(SHOWN[name])
    section = plain(f"{name}.1").split(".Sh EXAMPLES")[1]
    block = section.split(".Bd -literal -offset indent\n")[1].split(".Ed")[0]
    command, _, output = block.partition("\n")
    program, *arguments = command.removeprefix("$ ").split()
    assert program == name
    result = run(*arguments, program=ROOT / "bin" / name, cwd=tmp_path)
    assert result.out.split() == output.split()  # Long lines are broken for the page.


@pytest.mark.parametrize("page", PAGES)
def test_page_has_no_fault_that_mandoc_finds(page: str) -> None:
    need("mandoc")
    done = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "style", str(MANUAL / page)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    faults = [line for line in done.stdout.splitlines() if "manual not found" not in line]
    assert not faults


@pytest.mark.parametrize("page", PAGES)
def test_page_can_be_shown(page: str) -> None:
    need("groff")
    done = subprocess.run(
        ["groff", "-mandoc", "-Tutf8", "-ww", str(MANUAL / page)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "MADCAP" in done.stdout
    assert not done.stderr


def test_completion_is_what_the_generator_makes(tmp_path: Path) -> None:
    generator = ROOT / "tools" / "generate_completion.py"
    subprocess.run([sys.executable, str(generator), str(tmp_path)], check=True)
    made = {path.relative_to(tmp_path): path for path in tmp_path.rglob("*") if path.is_file()}
    assert len(made) == 9
    for name, path in made.items():
        assert (ROOT / "completion" / name).read_text() == path.read_text(), name


BASH = """
source {file}
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
{function}
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
ASKED = [
    (["madcap", "-p", "linu"], {"linux"}),
    (["madcap", "-m", "allow/readl"], {"allow/readlink+"}),
    (["madcap", "-E", ""], {"bpf", "pfc"}),
    (["madcap", "--verb"], {"--verbose"}),
    (["madcap-why", "readl"], {"readlink"}),
    (["madcap-why", "--lo"], {"--login", "--log"}),
    (["madcap-check", "a"], {"a.syd-3"}),
]


def completed(command: Sequence[str], folder: Path) -> set[str]:
    """Return what a shell that completes prints, one word a line."""
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    assert not done.stderr
    return {line.partition("\t")[0] for line in done.stdout.splitlines() if line}


@pytest.mark.parametrize(("line", "offered"), ASKED)
def test_bash_completes(tmp_path: Path, line: list[str], offered: set[str]) -> None:
    need("bash")
    (tmp_path / "a.syd-3").touch()
    (tmp_path / "b").touch()
    file = ROOT / "completion" / "bash" / line[0]
    script = BASH.format(file=file, function="_" + line[0].replace("-", "_"))
    assert completed(["bash", "--norc", "-c", script, "bash", *line], tmp_path) == offered


@pytest.mark.parametrize(("line", "offered"), ASKED)
def test_fish_completes(tmp_path: Path, line: list[str], offered: set[str]) -> None:
    need("fish")
    (tmp_path / "a.syd-3").touch()
    file = ROOT / "completion" / "fish" / f"{line[0]}.fish"
    script = f"source {file}; complete -C '{' '.join(line)}'"
    assert completed(["fish", "--no-config", "-c", script], tmp_path) == offered


@pytest.mark.parametrize("name", PROGRAMS)
def test_zsh_reads_its_completion(name: str) -> None:
    need("zsh")
    file = ROOT / "completion" / "zsh" / f"_{name}"
    subprocess.run(["zsh", "-n", str(file)], check=True)
    assert file.read_text().startswith(f"#compdef {name}\n")


def test_package_installs_programs_pages_and_completion() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    scripts = project["project"]["scripts"]
    assert set(scripts) == set(PROGRAMS)
    from madcap import launch

    for target in scripts.values():
        module, _, function = target.partition(":")
        assert module == "madcap.launch"
        assert callable(getattr(launch, function))
    installed = {
        name for names in project["tool"]["setuptools"]["data-files"].values() for name in names
    }
    present = {
        str(path.relative_to(ROOT))
        for top in (MANUAL, ROOT / "completion")
        for path in top.rglob("*")
        if path.is_file()
    }
    assert installed == present
    assert {path.name for path in (ROOT / "bin").iterdir()} == {*PROGRAMS, "build-native", "test"}
    assert shutil.which("sh")
