# SPDX-License-Identifier: GPL-3.0-or-later
"""The built-in profiles, and what importing and applying them costs."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from madcap.policy import actions, categories, lock, profile

from .boxes import PROFILES, make

ROOT = Path(__file__).resolve().parents[3]

if TYPE_CHECKING:
    from collections.abc import Callable

    from madcap.policy.sandbox import Sandbox

# Lines of each profile; a lost line is a hole or a broken program.
LINES = """
    chrome 10, container 3, core 2, cwd 2, debug 6, enforce 1, firefox 11, fs 9, gui 19, hide 1,
    immutable 14, kcov 39, kvm 3, kvm_native-arm 29, kvm_native-other 0, kvm_native-x86 28,
    landlock 16, lang 6, ldd 2, lib 2, linux 187, local 1, ltp 13, nix 92, nixstore 1, noipv4 3,
    noipv6 3, nomagic 1, nomem 1, nopie 1, noscm 1, noxdev 1, oci 4, off 2, paludis 184,
    privileged 1, quiet 2, rand 1, readonly 2, trace 5, tty 9, tty_native 35, user 17, wx 2, xdg 1
"""


def test_profiles_have_all_their_lines() -> None:
    expected = dict(each.split() for each in LINES.replace("\n", " ").split(","))
    found = {path.stem: len(path.read_text().splitlines()) for path in PROFILES.glob("*.rules")}
    assert found == {name: int(lines) for name, lines in expected.items()}


REFERENCE = Path(
    os.environ.get("MADCAP_REFERENCE_PROFILES", ROOT.parent / "shared" / "reference" / "profiles")
)


def rules_of(path: Path) -> list[str]:
    """Return the rules in a file, in their order."""
    lines = path.read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="no list of the reference's profiles")
def test_profiles_are_those_of_the_reference_rule_for_rule() -> None:
    theirs = {path.name: rules_of(path) for path in REFERENCE.glob("*.rules")}
    ours = {path.name: rules_of(path) for path in PROFILES.glob("*.rules")}
    assert len(theirs) > 40
    assert ours == theirs


def test_profile_is_read_only_when_it_is_applied() -> None:
    """A profile costs nothing until it is named; what it includes is read with it."""
    asked: list[str] = []

    def find(name: str) -> str:
        asked.append(name)
        return (PROFILES / f"{name}.rules").read_text()

    box = make()
    box.profiles = find
    box.execute("allow/read+/x", ("test", 1))
    assert asked == []
    box.execute("include_profile quiet", ("test", 2))
    box.execute("include_profile linux", ("test", 3))
    assert asked == ["quiet", "linux", "fs"]


@pytest.mark.parametrize("name", sorted(profile.NAMES))
def test_profile_applies(name: str) -> None:
    box = make()
    box.environ[b"SYD_UID"] = box.environ[b"SYD_GID"] = b"1000"
    box.environ[b"SYD_PIPE_MAX"] = b"1048576"
    box.environ[b"SYD_XATTR_MAX"] = b"65536"
    box.environ[b"SYD_UID"] = b"1000"
    box.execute(f"include_profile {name}", ("test", 1))


def test_there_are_47_names_and_23_letters() -> None:
    assert len(profile.NAMES) == 47
    assert len(profile.LETTERS) == 23
    assert set(profile.LETTERS.values()) <= profile.NAMES
    assert set(profile.ALIASES) | set(profile.ALIASES.values()) <= profile.NAMES


def test_name_that_is_no_profile_is_read_letter_by_letter(
    box: Sandbox, answer: Callable[[str], int]
) -> None:
    assert answer("include_profile qC") == 0
    assert box.active.defaults[categories.NAMES.index("read")] == actions.FILTER
    assert "allow_unsafe_dumpable" in box.options


@pytest.mark.parametrize("name", ["", "nosuch", "q1", " q", "FS", "q "])
def test_unknown_profile_is_refused(answer: Callable[[str], int], name: str) -> None:
    assert answer(f"include_profile {name}") == errno.EINVAL
    assert answer("include_profile") == errno.EINVAL


def test_letters_before_a_bad_one_stay_applied(box: Sandbox, answer: Callable[[str], int]) -> None:
    assert answer("include_profile q1") == errno.EINVAL
    assert box.active.default_block == actions.FILTER


def test_locked_sandbox_takes_no_profile(box: Sandbox, answer: Callable[[str], int]) -> None:
    box.lock = lock.ON
    assert answer("include_profile lang") == errno.EPERM


def test_error_in_a_profile_names_its_line(box: Sandbox) -> None:
    box.profiles = {"lang": "allow/read+/a\n# remark\n\nallow/reed+/b\n"}.get
    from madcap.errors import PolicyError

    with pytest.raises(PolicyError) as caught:
        box.execute("include_profile lang", ("-p", 1))
    assert caught.value.origin == ("profile lang", 4)


def test_running_sandbox_takes_a_profile_up_to_its_first_static_line(
    box: Sandbox, answer: Callable[[str], int]
) -> None:
    box.running = True
    assert answer("include_profile quiet") == 0
    assert answer("include_profile lang") == errno.EBUSY
    assert answer("include_profile cwd") == errno.EINVAL


def test_kvm_depends_on_the_machine() -> None:
    assert profile.file_of("kvm_native", "x86_64") == "kvm_native-x86"
    assert profile.file_of("kvm_native", "aarch64") == "kvm_native-arm"
    assert profile.file_of("kvm_native", "riscv64") == "kvm_native-other"
    assert profile.file_of("ff", "x86_64") == "firefox"


HEAVY = {
    *("re", "enum", "typing", "dataclasses", "functools", "collections", "json", "logging"),
    *("pathlib", "threading", "signal", "argparse", "string", "contextlib", "difflib", "ctypes"),
}


def test_policy_imports_nothing_heavy() -> None:
    """Start-up is part of the interface: none of these may come with a plain configuration."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "from madcap.policy.sandbox import Sandbox;"
        "text = lambda name: open(sys.argv[2] + '/' + name + '.rules').read();"
        "box = Sandbox({b'HOME': b'/h', b'SYD_HOME': b'/h', b'SYD_GID': b'1',"
        " b'SYD_HAVE_SO_PASSRIGHTS': b'0'}, None, text);"
        "box.include_profile('user'); box.active.check(16, b'/etc/passwd');"
        "print(*sys.modules)"
    )
    source = PROFILES.parent.parent.parent
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, str(source), str(PROFILES)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert HEAVY.isdisjoint(done.stdout.split())


def test_preloading_leaves_nothing_to_read_from_disk() -> None:
    """Threads that carry out commands of a running sandbox cannot open a module or a profile."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "from madcap.policy.sandbox import Sandbox;"
        "box = Sandbox({}, None, str.upper); box.preload();"
        "print(*[name for name in sys.modules if name.startswith('madcap.policy.')])"
    )
    folder = PROFILES.parent
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, str(folder.parent.parent)],
        capture_output=True,
        text=True,
        check=True,
    )
    present = {f"madcap.policy.{path.stem}" for path in folder.glob("*.py")}
    assert present - set(done.stdout.split()) == {"madcap.policy.__init__", "madcap.policy.oracle"}


def test_preloaded_profile_is_applied_without_asking_again(box: Sandbox) -> None:
    box.preload()
    assert box.profiles is not None
    assert box.profiles("firefox")
    assert box.profiles("nosuch") is None
    box.execute("include_profile ff", ("test", 1))


@pytest.mark.parametrize(
    ("word", "hint"),
    [("reed", "read"), ("exce", "exec"), ("wriet", "write"), ("zzz", ""), ("x", ""), ("all-q", "")],
)
def test_word_that_was_probably_meant_is_named(word: str, hint: str) -> None:
    from madcap.policy.blame import nearest

    found = nearest(word, categories.NAMES)
    assert found == (f"; did you mean {hint!r}?" if hint else "")
