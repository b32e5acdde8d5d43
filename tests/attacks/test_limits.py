# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits of the guest hold for what the supervisor does in its place."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.guest import Guest

_PROGRAM = """
import json, os, resource, signal, sys
signals = []
signal.signal(signal.SIGXFSZ, lambda number, _: signals.append(number))
if sys.argv[1] != "0":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
fd = os.open("file", os.O_RDWR | os.O_CREAT, 0o600)
os.write(fd, b"text")
reader = os.open("file", os.O_RDONLY)
def attempt(action, *arguments):
    try:
        action(*arguments)
        return os.fstat(fd).st_size
    except OSError as error:
        return error.errno
found = [
    attempt(os.ftruncate, fd, 65536), attempt(os.ftruncate, fd, 65537),
    attempt(os.truncate, "file", 1 << 30), attempt(os.posix_fallocate, fd, 65536, 1),
    attempt(os.posix_fallocate, fd, 0, 65536), attempt(os.ftruncate, reader, 1 << 20),
    attempt(os.truncate, "file", 3), len(signals),
]
print(json.dumps(found))
"""


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param(("rlimit/fsize:65536",), id="by rule"),
        pytest.param(("trace/allow_unsafe_prlimit:1",), id="its own"),
    ],
)
def test_no_file_grows_beyond_its_limit(guest: Guest, rules: tuple[str]) -> None:
    own = guest.kind == "native" or "prlimit" in rules[0]
    outcome = guest.run(
        "/usr/bin/python3", "-c", _PROGRAM, "65536" if own else "0", profile="attacks.syd-3",
        rules=rules,
    )  # fmt: skip
    assert outcome.status == 0, outcome
    assert json.loads(outcome.out) == [65536, 27, 27, 27, 65536, 22, 3, 3]
