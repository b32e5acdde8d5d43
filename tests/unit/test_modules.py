# SPDX-License-Identifier: GPL-3.0-or-later
"""Start-up is part of the interface: these are the modules that a run may import.

Each one costs every sandbox its time; adding one says how much. Measured with -X importtime.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.support import host

if TYPE_CHECKING:
    from tests.support.guest import Guest

# What `python3 -I -S` has loaded before any line of ours.
INTERPRETER = {
    "_io", "marshal", "posix", "_frozen_importlib_external", "time", "zipimport", "_codecs",
    "codecs", "encodings.aliases", "encodings", "encodings.utf_8", "_signal", "_abc", "abc", "io",
    "encodings.ascii", "encodings.latin_1", "_frozen_importlib", "builtins", "_imp", "_thread",
    "_warnings", "_weakref", "winreg", "sys",
}  # fmt: skip
# The rest of the standard library that a run may load, and its price in ms.
LIBRARY = {
    "__future__": 0.2, "os": 1.2, "stat": 0.3, "_stat": 0.1, "posixpath": 0.3, "genericpath": 0.1,
    "_collections_abc": 0.8, "errno": 0.1, "fcntl": 0.3, "select": 0.3, "gc": 0.0, "types": 0.5,
    "ctypes": 4.0, "_ctypes": 1.5, "ctypes._endian": 0.2, "struct": 0.3, "_struct": 0.2,
    "itertools": 0.0, "_string": 0.1, "binascii": 0.2, "_bisect": 0.0,
}  # fmt: skip
# A run of the tests' rules file does without these, which only some commands need.
NOT_NEEDED = {
    "json",
    "re",
    "enum",
    "typing",
    "logging",
    "argparse",
    "threading",
    "signal",
    "subprocess",
}  # fmt: skip
OWN_MODULES_AT_MOST = 133  # Each costs some 0.1 ms; one of them is the native part.


def loaded_by(command: list[str], **options: object) -> set[str]:
    """Return the modules that a command of Python's loads, ending with its status 0."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    assert done.returncode == 0, done.stderr
    return {line.rpartition("|")[2].strip() for line in lines[1:]}


@pytest.fixture
def run_modules(sandbox: Guest) -> set[str]:
    """Return what a run of true(1) under the tests' rules file loads."""
    sandbox.fresh_work()
    words = sandbox.command(["true"])
    return loaded_by(
        [host.PYTHON, "-I", "-S", "-X", "utf8", "-X", "importtime", *words],
        cwd=sandbox.work,
        env=sandbox.environment(),
        **sandbox.identity.spawn_options(),
    )


def test_a_run_imports_nothing_but_this(run_modules: set[str]) -> None:
    ours = {name for name in run_modules if name.split(".")[0] == "madcap"}
    strangers = run_modules - ours - INTERPRETER - set(LIBRARY)
    assert not strangers, "say in LIBRARY what they cost"
    assert "madcap.sandbox" in ours, "the run did not come to start a sandbox"
    assert len(ours) <= OWN_MODULES_AT_MOST


def test_a_run_needs_none_of_what_is_slow(run_modules: set[str]) -> None:
    assert not run_modules & NOT_NEEDED


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["madcap-why", "-m", "allow/read+/x", "read", "/x"], id="why"),
        pytest.param(["madcap-check", "development.syd-3"], id="check"),
    ],
)
def test_a_side_tool_needs_none_of_what_is_slow(
    installation: host.Installation, words: list[str]
) -> None:
    name, *rest = words
    found = loaded_by(
        [
            *(host.PYTHON, "-I", "-S", "-X", "utf8", "-X", "importtime"),
            *(str(installation.top / "bin" / name), *rest),
        ],
        cwd=installation.programs,
        env={"WORK": "/w", "TMPDIR": "/t", "PROJECT": "/p"},
    )
    assert f"madcap.explain.{name.partition('-')[2]}" in found
    assert not found & (NOT_NEEDED | {"ctypes", "madcap.sandbox", "madcap.kernel.table"})
    strangers = {each for each in found if each.split(".")[0] != "madcap"}
    assert not strangers - INTERPRETER - set(LIBRARY)


def test_every_module_can_be_imported_alone(installation: host.Installation) -> None:
    """Else the order in which others happen to import it would matter."""
    source = installation.top / "src"
    names = sorted(
        ".".join(path.relative_to(source).with_suffix("").parts)
        for path in (source / "madcap").rglob("*.py")
        if path.name != "__init__.py"
    )
    # One process that forks for each: an interpreter per module would take seconds.
    program = (
        "import os, sys\n"
        f"sys.path.append({str(source)!r})\n"
        "sys.dont_write_bytecode = True\n"
        "bad = []\n"
        "for name in sys.argv[1:]:\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        try: __import__(name)\n"
        "        except BaseException as error:\n"
        "            os.write(2, f'{name}: {error!r}\\n'.encode())\n"
        "            os._exit(1)\n"
        "        os._exit(0)\n"
        "    if os.waitpid(pid, 0)[1]: bad.append(name)\n"
        "sys.exit(bool(bad))\n"
    )
    command = [host.PYTHON, "-I", "-S", "-c", program, *names]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr
    assert len(names) > 40
