# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures: guests, natively and inside madcap; and a watch for what a test leaves behind."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

# That this machine is busy is no mistake of what is tested.
settings.register_profile("madcap", deadline=None)
settings.load_profile("madcap")

pytest.register_assert_rewrite("tests.support.guest")

from tests.support import host  # noqa: E402 - after the line that lets pytest explain its asserts
from tests.support.guest import Guest, Pair  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

IDENTITIES = host.identities()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the same tests ask another program, such as the one madcap replaces; and walk far."""
    parser.addoption("--target", help="the program to run instead of bin/madcap")
    parser.addoption("--rounds", type=int, default=2, help="how often to look for what leaks")
    parser.addoption("--calls", type=int, default=400, help="how many calls of each kind to make")
    parser.addoption("--walk-steps", type=int, default=0, help="how many steps to walk (0: few)")
    parser.addoption("--walk-seed", type=int, default=1, help="which random walks to take")
    parser.addoption("--configurations", type=int, default=60, help="how many random ones to try")
    parser.addoption("--configuration-seed", type=int, default=1, help="the first of them")


@pytest.fixture(scope="session")
def installation() -> host.Installation:
    """Return what guests see of the project."""
    return host.install()


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest, installation: host.Installation) -> str:
    """Return the program under test."""
    chosen = request.config.getoption("--target") or installation.madcap
    if not Path(chosen).exists():
        pytest.fail(f"{chosen} is missing")
    return str(chosen)


@pytest.fixture(params=["native", "madcap"])
def guest(
    request: pytest.FixtureRequest, installation: host.Installation, target: str
) -> Iterator[Guest]:
    """Run the test twice, as the ordinary user: natively and inside."""
    made = Guest(request.param, host.ordinary_user(), installation, target)
    yield made
    made.close()


@pytest.fixture
def sandbox(installation: host.Installation, target: str) -> Iterator[Guest]:
    """Run the test inside only, as the ordinary user."""
    made = Guest("madcap", host.ordinary_user(), installation, target)
    yield made
    made.close()


@pytest.fixture
def root_sandbox(installation: host.Installation, target: str) -> Iterator[Guest]:
    """Run the test inside only, started by root."""
    if os.geteuid() != 0:
        pytest.skip("needs root: the sandbox is to be started by it")
    made = Guest("madcap", host.root(), installation, target)
    yield made
    made.close()


@pytest.fixture(params=IDENTITIES, ids=lambda identity: "root" if identity.uid == 0 else "user")
def pair(
    request: pytest.FixtureRequest, installation: host.Installation, target: str
) -> Iterator[Pair]:
    """Compare a native run with one inside, as an ordinary user and as root."""
    native = Guest("native", request.param, installation, target)
    yield Pair(native)
    native.close()


@pytest.fixture(autouse=True)
def _nothing_is_left_behind() -> Iterator[None]:
    """Fail a test that leaves a descriptor or a child of this process behind."""
    before = host.descriptors()
    children = host.children()
    yield
    deadline = time.monotonic() + 2
    while host.children() - children and time.monotonic() < deadline:
        time.sleep(0.01)
    leaked = {fd: name for fd, name in host.descriptors().items() if before.get(fd) != name}
    assert not host.children() - children, "the test left a child behind"
    assert not leaked, f"the test left descriptors open: {leaked}"


def need(*programs: str) -> None:
    """Skip the test, naming the program that this host lacks."""
    for program in programs:
        if shutil.which(program, path=host.BASE_PATH) is None:
            pytest.skip(f"needs {program}")
