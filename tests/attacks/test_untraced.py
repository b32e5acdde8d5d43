# SPDX-License-Identifier: GPL-3.0-or-later
"""No task may come about that the tracer doesn't have: nobody would verify what it executes."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.guest import Guest

_PROGRAM = """
import ctypes, errno, os, struct, sys
NUMBER = {"x86_64": 56, "aarch64": 220}[os.uname().machine]
CLONE3, SIGCHLD, VM, VFORK, UNTRACED = 435, 17, 0x100, 0x4000, 0x800000
call = ctypes.CDLL(None, use_errno=True).syscall
call.restype = ctypes.c_long

def show(what, *arguments):
    ctypes.set_errno(0)
    child = call(*map(ctypes.c_long, arguments))
    if child == 0:
        os._exit(0)
    if child > 0:
        os.waitpid(child, 0x40000000)
        print(what, "made")
    else:
        print(what, errno.errorcode[ctypes.get_errno()])

show("plain", NUMBER, SIGCHLD, 0, 0, 0, 0)
show("untraced", NUMBER, SIGCHLD | UNTRACED, 0, 0, 0, 0)
show("upper", NUMBER, SIGCHLD | UNTRACED | 1 << 40, 0, 0, 0, 0)
for what, flags in (("clone3", 0), ("clone3-untraced", UNTRACED)):
    arguments = ctypes.create_string_buffer(struct.pack("=8Q", flags, 0, 0, 0, SIGCHLD, 0, 0, 0))
    show(what, CLONE3, ctypes.addressof(arguments), 64)
"""


@pytest.mark.skipif(platform.machine() not in {"x86_64", "aarch64"}, reason="needs its numbers")
def test_a_task_that_no_tracer_has_is_not_made(guest: Guest) -> None:
    outcome = guest.run("/usr/bin/python3", "-c", _PROGRAM, profile="attacks.syd-3")
    assert outcome.status == 0, outcome
    found = dict(line.split() for line in outcome.out.decode().splitlines())
    assert found["plain"] == "made"
    if guest.kind == "native":
        assert found["untraced"] == found["upper"] == found["clone3"] == "made"
        return
    assert found["untraced"] == found["upper"] == "EPERM"
    assert found["clone3"] == found["clone3-untraced"] == "ENOSYS"
