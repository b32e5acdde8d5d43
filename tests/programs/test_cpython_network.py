# SPDX-License-Identifier: GPL-3.0-or-later
"""CPython's own tests of its network modules come out inside as they do outside.

What passes inside is not run again; what is skipped or fails there has to do the same outside.
`MADCAP_LONG_TESTS=1` runs them whole: that takes four minutes more.
"""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support import host
from tests.support.guest import Guest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: CGI programs are in a directory that all may write; no bytecode is written beside the modules;
#: asyncio's tests kill more of their children than a program may have that is not suspended.
RULES = ("sandbox/tpe:off", "sandbox/pty:off", "filter/read+/dev/vsock", "segvguard/expiry:0")
LONG = bool(os.environ.get("MADCAP_LONG_TESTS"))
SOME_OF_ASYNCIO = ("test_server", "test_sock_lowlevel", "test_streams", "test_unix_events")
SOME_OF_MULTIPROCESSING = (
    "*Connection*", "*Listener*", "*TestPoll*", "*TestWait*", "*TestRemoteManager*", "*Family*",
)  # fmt: skip
#: sethostname(2) is not there inside: ENOSYS and not EPERM.
LEFT_OUT = ("-i", "test_sethostname")
#: Some tests race with themselves (testSourceAddress closes its socket while a thread still asks
#: for its name): so many may fail once, if they pass the next time.
RACY = 2


@pytest.fixture
def native(installation: host.Installation, target: str) -> Iterator[Guest]:
    """Return the guest outside, an ordinary user."""
    made = Guest("native", host.ordinary_user(), installation, target)
    yield made
    made.close()


def need_tests() -> None:
    """Skip where the tests of the system's Python are not installed."""
    words = [host.PYTHON, "-I", "-c", "import test.test_socket"]
    if subprocess.run(words, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs CPython's tests (libpython3.11-testsuite)")


_LINE = re.compile(r"\((test\.[\w.]+)\)[^\n]*? \.\.\. ([^\n]*)")
_BAD = re.compile(r"^(?:FAIL|ERROR): \w+ \((test\.[\w.]+)\)", re.MULTILINE)


def outcomes(guest: Guest, *words: str) -> tuple[dict[str, str], str]:
    """Run tests; return what did not simply pass, by its name: `skipped` or `failed`."""
    argv = [host.PYTHON, "-u", "-m", "test", "-v", *LEFT_OUT, *words]
    environment = {"PYTHONDONTWRITEBYTECODE": "1"}
    outcome = guest.run(
        *argv, profile="network.syd-3", rules=RULES, environment=environment, timeout=280
    )
    text = (outcome.out + outcome.err).decode(errors="replace")
    found = {name: "skipped" for name, how in _LINE.findall(text) if how.startswith("skipped")}
    found.update(dict.fromkeys(_BAD.findall(text), "failed"))
    if outcome.status not in (0, 2) or "Total duration" not in text:
        found["the run"] = f"ended with {outcome.status}"
    return found, text


def chosen(names: Iterable[str]) -> list[str]:
    """Return the arguments that choose the tests called *names*."""
    return [word for name in names for word in ("-m", name)]


def check(native: Guest, *words: str) -> None:
    """Require that *words* come out inside as outside."""
    need_tests()
    found, text = outcomes(native.sibling("madcap"), *words)
    assert "the run" not in found, text[-4000:]
    assert sum(map(int, re.findall(r"^Ran (\d+) tests?", text, re.MULTILINE))) > 20, text[-4000:]
    names = [word for word in words if word.startswith("test")]
    failed = [name for name, how in found.items() if how == "failed"]
    if 0 < len(failed) <= RACY:
        again, _ = outcomes(native.sibling("madcap"), *chosen(failed), *names)
        found.update({name: again.get(name, "ok") for name in failed})
    expected, _ = outcomes(native, *chosen(found), *names) if found else ({}, "")
    found = {name: how for name, how in found.items() if how != "ok"}
    different = {name: how for name, how in found.items() if expected.get(name) != how}
    shown = "\n".join(text.partition(f"({name})\n---")[2][:1500] for name in different)
    assert not different, shown


def test_socketserver(native: Guest) -> None:
    check(native, "-u", "network", "test_socketserver")


def test_httpservers(native: Guest) -> None:
    check(native, "test_httpservers")


def test_socket(native: Guest) -> None:
    check(native, "test_socket")


def test_asyncio(native: Guest) -> None:
    some = [word for name in SOME_OF_ASYNCIO for word in ("-m", f"test.test_asyncio.{name}.*")]
    check(native, *([] if LONG else some), "test_asyncio")


def test_multiprocessing(native: Guest) -> None:
    some = [word for pattern in SOME_OF_MULTIPROCESSING for word in ("-m", pattern)]
    check(native, *([] if LONG else some), "test_multiprocessing_fork")
