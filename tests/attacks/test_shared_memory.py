# SPDX-License-Identifier: GPL-3.0-or-later
"""A mapping that was not judged doesn't stay with those who share the killed one's memory."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.attacks.test_races import build
from tests.support import host

if TYPE_CHECKING:
    from tests.support.guest import Guest

pytestmark = pytest.mark.skipif(
    shutil.which("gcc", path=host.BASE_PATH) is None, reason="needs gcc"
)


def test_a_denied_library_does_not_stay_mapped(guest: Guest) -> None:
    guest.fresh_work()
    build(guest, "shared_memory", guest.work)
    with open("/proc/self/maps") as maps:
        library = next(line.split()[5] for line in maps if "libc.so" in line or "libc-" in line)
    denied = guest.home / "denied.so"
    shutil.copy(library, denied)
    os.chown(denied, guest.identity.uid, guest.identity.gid)
    outcome = guest.run(
        "./shared_memory", library, str(denied), profile="attacks.syd-3", fresh=False,
        rules=[f"allow/lpath,npath,rpath+{denied}"],
    )  # fmt: skip
    if guest.kind == "native":
        assert outcome.status == 77, outcome
    else:
        assert outcome.status == 0, outcome._replace(
            log=[]
        )  # Nobody is ended: the swap comes late.
        assert outcome.left == 0
