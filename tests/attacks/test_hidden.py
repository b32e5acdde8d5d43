# SPDX-License-Identifier: GPL-3.0-or-later
"""What the walk category hides can't be told from what does not exist, by no call."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.guest import Guest

ALL_ON = "sandbox/walk,list,readlink,chdir,stat:on"
ALONE = "sandbox/all:off"


def _answers(guest: Guest, *rules: str) -> dict[str, list[object]]:
    guest.fresh_work()
    hidden = guest.home / "hidden"
    (hidden / "sub").mkdir(parents=True, exist_ok=True)
    for path in (hidden / "there", hidden / "sub" / "file"):
        path.write_text("x")
    if not (hidden / "link").is_symlink():
        (hidden / "link").symlink_to("there")
    for path in (hidden, *hidden.rglob("*")):
        os.lchown(path, guest.identity.uid, guest.identity.gid)
    outcome = guest.python(
        "hidden_paths.py", str(hidden), profile="attacks.syd-3", fresh=False,
        rules=(*rules, "sandbox/walk:on", "allow/walk+/***", f"deny/walk+{hidden}/***"),
    )  # fmt: skip
    assert outcome.status == 0, outcome._replace(log=[])
    found: dict[str, list[object]] = json.loads(outcome.out)
    return found


@pytest.mark.parametrize("rules", [(ALONE,), (ALL_ON, "allow/all+/***")], ids=["alone", "all"])
def test_what_is_hidden_answers_as_what_is_not_there(sandbox: Guest, rules: tuple[str]) -> None:
    found = _answers(sandbox, *rules)
    assert len(found) > 200
    told = {call: answers for call, answers in found.items() if len(set(map(str, answers))) > 1}
    assert not told
    assert {answer for answers in found.values() for answer in answers} == {"ENOENT"}


def test_the_calls_tell_it_where_nothing_is_hidden(guest: Guest) -> None:
    """Else the test above would prove nothing."""
    if guest.kind == "madcap":
        pytest.skip("the proof that the calls are right is the native run")
    found = _answers(guest)
    telling = {call for call, answers in found.items() if len(set(map(str, answers))) > 1}
    # Some calls before have removed what the later ones ask about.
    assert len({call.split()[0] for call in telling}) > 30
