# SPDX-License-Identifier: GPL-3.0-or-later
"""What -V, -h and -C print, and when."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.cli.command import MADCAP, run

LINES = (
    *("Allocator: ", "LibSeccomp: ", "Kernel is ", "ASLR is ", "BPF JIT compiler is "),
    *("YAMA ptrace(2) scope is ", "Landlock ", "User namespaces are ", "Cross memory attach is "),
    *("kcmp(2) is ", "Memory sealing is ", "Secret memory is ", "Memory tagging is "),
    *("Core scheduling is ", "UNIX socket diagnostics are ", "LSMs: ", "SELinux is "),
    *("AppArmor is ", "Open file limits: ", "Host (build): ", "Host (target): ", "Host Linux: "),
    *("Environment: ", "Architectures: ", "CPU: ", "CPUFLAGS: ", "Store Bypass status: "),
    *("Indirect Branch status: ", "L1D Flush status: "),
)


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version_has_five_lines_in_a_fixed_form(option: str) -> None:
    result = run(option)
    lines = result.out.splitlines()
    assert (result.status, result.err, len(lines)) == (0, "", 5)
    name, number, codename = lines[0].split(" ", 2)
    assert name == "madcap"
    assert number.replace(".", "").isdigit()
    assert codename.startswith("(")
    assert lines[2].startswith("Author: ")
    assert lines[2].endswith(">")
    assert lines[3] == "License: GPL-3.0-or-later"
    features = lines[4].removeprefix("Features: ").split(", ")
    assert [feature[1:] for feature in features] == [
        *("debug", "force", "kcov", "log", "oci", "trusted")
    ]
    assert all(feature[0] in "+-" for feature in features)


@pytest.mark.parametrize("option", ["-h", "--help", "-vh", "-qh", "-hx"])
def test_help_opens_like_the_version_and_names_the_options(option: str) -> None:
    result = run(option)
    assert (result.status, result.err) == (0, "")
    assert result.out.splitlines()[:4] == run("-V").out.splitlines()[:4]
    assert "\n$ madcap [-" in result.out
    assert "\x1b[" not in result.out.partition("\n\n")[2].partition("\n\n")[0]


@pytest.mark.parametrize("option", ["-C", "--check"])
def test_check_has_its_lines_in_their_order(option: str) -> None:
    result = run(option)
    assert (result.status, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[:5] == run("-V").out.splitlines()
    found = [line for line in lines[5:] if line.startswith(LINES)]
    assert [next(s for s in LINES if line.startswith(s)) for line in found] == list(LINES)


def test_check_names_what_is_on_but_not_enforced() -> None:
    from madcap.kernel.table import unbuilt_categories

    last = run("-C").out.splitlines()[-1]
    names = ", ".join(unbuilt_categories())
    if names:
        assert last == f"On by default but not enforced yet: {names}"
    else:
        assert last.startswith("L1D Flush")


def test_option_before_a_report_is_carried_out_first() -> None:
    assert run("-m", "bad", "-h").status == 22


def test_report_ends_quietly_when_nobody_reads_it() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([MADCAP, "-h"], stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (-13, b"")
