# SPDX-License-Identifier: GPL-3.0-or-later
"""A tracee that was killed may have stopped once more: then what is asked is of another stop."""

from __future__ import annotations

import ctypes
import errno
import struct

import pytest

from madcap.linux import ptrace


def plays(monkeypatch: pytest.MonkeyPatch, *, event: int, message: int) -> None:
    """Let a tracee be in the stop for *event*."""

    def answer(request: int, _tid: int, _address: int, data: int) -> None:
        if request == ptrace.PTRACE_GETEVENTMSG:
            ctypes.memmove(data, struct.pack("=Q", message), 8)
        else:
            assert request == ptrace.PTRACE_GETSIGINFO
            ctypes.memmove(data, struct.pack("=iii", 5, 0, 5 | event << 8), 12)

    monkeypatch.setattr(ptrace, "_ptrace", answer)


def test_the_message_is_that_of_the_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    plays(monkeypatch, event=ptrace.EVENT_CLONE, message=4711)
    assert ptrace.event_message(7, ptrace.EVENT_CLONE) == 4711


def test_the_exit_status_of_a_killed_tracee_is_no_task(monkeypatch: pytest.MonkeyPatch) -> None:
    plays(monkeypatch, event=ptrace.EVENT_EXIT, message=9)
    with pytest.raises(ProcessLookupError):
        ptrace.event_message(7, ptrace.EVENT_CLONE)


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.EIO, ProcessLookupError), (errno.ESRCH, ProcessLookupError), (errno.EPERM, OSError)],
)
def test_who_is_in_a_group_stop_no_more_counts_as_gone(
    monkeypatch: pytest.MonkeyPatch, number: int, kind: type[OSError]
) -> None:
    def fail(*_words: int) -> None:
        raise OSError(number, "failed")

    monkeypatch.setattr(ptrace, "_ptrace", fail)
    with pytest.raises(kind) as caught:
        ptrace.listen(7)
    assert caught.value.errno in (errno.ESRCH, errno.EPERM)
