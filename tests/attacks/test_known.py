# SPDX-License-Identifier: GPL-3.0-or-later
"""What was seen before is seen only as long as policy lets it: with the native part and without."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.guest import Guest


@pytest.fixture(params=["native", "pure"])
def either(request: pytest.FixtureRequest, sandbox: Guest) -> Guest:
    """A sandbox with the native part, and one without."""
    library = sandbox.installation.top / "src/madcap/linux/libnative.so"
    if request.param == "native" and not library.exists():
        pytest.skip("the native part is not built: needs a C compiler")
    sandbox.native = request.param == "native"
    return sandbox


def ask(guest: Guest, what: str, count: int) -> dict[str, int]:
    guest.fresh_work()
    place = guest.work / "place"
    place.mkdir()
    (place / "file").write_text("x")
    os.chown(place, guest.identity.uid, guest.identity.gid)
    rules = ["sandbox/stat:on", "allow/stat+/***", "allow/stat+/dev/syd/***", "lock:off"]
    outcome = guest.python(
        "known.py", what, str(place), str(count), rules=rules, fresh=False, timeout=120
    )
    assert outcome.status == 0, outcome._replace(log=[])
    found: dict[str, int] = json.loads(outcome.out)
    return found


def test_a_change_holds_at_once(either: Guest) -> None:
    found = ask(either, "toggle", 1000)
    assert found == {"allowed: [True]": 2000, "denied: [False]": 2000}


def test_a_change_holds_whatever_others_ask(either: Guest) -> None:
    found = ask(either, "race", 1500)
    assert found == {"denied: not seen": 1500, "allowed: seen": 1500}


def test_a_change_holds_for_who_helps_too(either: Guest) -> None:
    found = ask(either, "crowd", 300)
    killed = {"ended with 9": 4}
    assert found == {"denied: [False]": 600, "allowed: [True]": 600} | killed


def test_more_than_can_be_remembered(either: Guest) -> None:
    found = ask(either, "many", 5000)
    assert found == {"seen": 10_000, "forbidden not seen": 1, "beside it seen": 1}


def test_a_rule_on_the_root_says_nothing_of_what_is_in_it(either: Guest) -> None:
    rules = ["sandbox/stat:on", "allow/stat+/", "allow/stat+/usr/bin/***", "deny/stat+/usr"]
    outcome = either.python("known.py", "root", "/usr", "3", rules=rules)
    assert json.loads(outcome.out) == {"/: seen": 3, "/usr/bin: seen": 3, "/usr: not seen": 3}
