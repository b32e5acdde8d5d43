# SPDX-License-Identifier: GPL-3.0-or-later
"""CPython's own tests of signals, processes, threads and terminals: inside they come out the same.

They come with Debian's libpython3-testsuite. Each module runs natively and inside at the same time,
since both mostly wait.
"""

from __future__ import annotations

import concurrent.futures
import subprocess
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

from tests.support import host
from tests.support.guest import Guest

if TYPE_CHECKING:
    from collections.abc import Callable

MODULES = ("test_signal", "test_subprocess", "test_threading", "test_eintr", "test_pty")
TIMEOUT = 170
Results = dict[str, str]


def suite_is_missing() -> bool:
    """Tell whether the system's Python has no tests of itself."""
    words = [host.PYTHON, "-I", "-c", "import test.test_eintr"]
    return subprocess.run(words, capture_output=True, check=False).returncode != 0


pytestmark = pytest.mark.skipif(suite_is_missing(), reason="needs libpython3-testsuite")


def results(made: Guest, module: str) -> tuple[int, Results]:
    """Run *module*; return its status, and what came of each of its tests."""
    report = made.work / "report.xml"
    outcome = made.run(
        host.PYTHON, "-m", "test", "--junit-xml", str(report), module,
        profile="cpython.syd-3", timeout=TIMEOUT,
    )  # fmt: skip
    if not report.exists():
        return outcome.status, {"": f"no report: {outcome.out!r} {outcome.err!r}"}
    found = {}
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - the tests wrote it.
        kinds = {child.tag for child in case} - {"system-out", "system-err"}
        found[case.attrib["name"]] = " ".join(sorted(kinds)) or "ok"
    return outcome.status, found


@pytest.fixture(scope="module")
def runs(
    installation: host.Installation, target: str
) -> Callable[[str], list[tuple[int, Results]]]:
    """Return a function that gives the results of a module, natively and inside."""

    def run(module: str, kind: str) -> tuple[int, Results]:
        made = Guest(kind, host.ordinary_user(), installation, target)
        try:
            return results(made, module)
        finally:
            made.close()

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        started = {
            module: [pool.submit(run, module, kind) for kind in ("native", "madcap")]
            for module in MODULES
        }
    return lambda module: [future.result() for future in started[module]]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("module", MODULES[::-1])
def test_it_comes_out_the_same(
    runs: Callable[[str], list[tuple[int, Results]]], module: str
) -> None:
    (status, native), (inside_status, inside) = runs(module)
    assert status == 0, f"the tests fail outside: {native}"
    different = {
        name: (native.get(name, "absent"), inside.get(name, "absent"))
        for name in native.keys() | inside.keys()
        if native.get(name) != inside.get(name)
    }
    assert different == {}
    assert inside_status == 0
    assert len(native) > 0
