# SPDX-License-Identifier: GPL-3.0-or-later
"""A log that nobody reads: nothing waits for it for ever, and the reader learns what was lost."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import pty
import time
from typing import TYPE_CHECKING

import pytest

from madcap import events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIZE = 16384
WAIT = 0.05


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("fd", "level", "pretty", "lost", "_cut", "_direct"):
        monkeypatch.setattr(events, name, getattr(events, name))
    monkeypatch.setattr(events, "PATIENCE", WAIT)
    monkeypatch.setattr(events, "interval", 0)
    monkeypatch.setattr(events, "lost", 0)
    monkeypatch.setattr(events, "_cut", False)


def no_flag(*_arguments: object) -> int:
    raise OSError(errno.EOPNOTSUPP, "RWF_NOWAIT is not known")


@pytest.fixture(params=["pipe", "pipe of an older kernel", "terminal"])
def ends(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Return [reader, writer] of a blocking log."""
    if request.param == "terminal":
        made = list(pty.openpty())
    else:
        made = list(os.pipe())
        fcntl.fcntl(made[1], fcntl.F_SETPIPE_SZ, SIZE)
    if "older" in request.param:
        monkeypatch.setattr(os, "pwritev", no_flag)
    events.configure({b"SYD_LOG_FD": b"%d" % made[1], b"SYD_QUIET_TTY": b""})
    yield made
    if events.fd != made[1]:
        os.close(events.fd)
    for end in made:
        os.close(end)


def timed(act: Callable[[], object]) -> float:
    """Return how many seconds *act* took."""
    start = time.monotonic()
    act()
    return time.monotonic() - start


def say(text: str) -> None:
    events.emit(events.WARN, {"ctx": "test", "path": text})


def fill() -> int:
    """Emit records until one is lost; return how many were written."""
    for count in range(10_000):
        say(f"record {count}")
        if events.lost:
            return count
    raise AssertionError("the log takes everything")


def drain(reader: int) -> list[dict[str, object]]:
    """Return the records that can be read now; what was cut is none."""
    os.set_blocking(reader, False)
    text = b""
    while True:
        try:
            piece = os.read(reader, 65536)
        except BlockingIOError:
            break
        text += piece
    found = []
    for line in text.splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def test_a_record_waits_once_and_the_next_not_at_all(ends: list[int]) -> None:
    assert len(ends) == 2
    assert timed(fill) >= WAIT
    assert timed(lambda: [say("more") for _ in range(20)]) < WAIT
    assert events.lost == 21


def test_the_reader_is_told_how_many_were_lost(ends: list[int]) -> None:
    written = fill()
    say("lost too")
    assert len(drain(ends[0])) in (written, written + 1)  # One may lack but its line's end.
    say("read again")
    note, record = drain(ends[0])
    assert note == {"ctx": "log", "op": "lost", "count": 2}
    assert record["path"] == "read again"
    assert events.lost == 0


def test_a_record_that_is_cut_does_not_swallow_the_next(ends: list[int]) -> None:
    say("x" * 200_000)  # More than any of them holds.
    assert events.lost == 1
    assert drain(ends[0]) == []
    say("after")
    note, record = drain(ends[0])
    assert (note["count"], record["path"]) == (1, "after")
