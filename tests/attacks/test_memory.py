# SPDX-License-Identifier: GPL-3.0-or-later
"""Code that is mapped can't be changed in place: /proc/PID/mem disregards page protection."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.guest import Guest

_PROGRAM = """
import ctypes, errno, json, os
libc = ctypes.CDLL(None)
address = ctypes.cast(libc.getpagesize, ctypes.c_void_p).value
code = ctypes.string_at(address, 1)
found = {}
for path in ("/proc/self/mem", f"/proc/{os.getpid()}/mem", f"/proc/self/task/{os.getpid()}/mem",
             "/proc/thread-self/mem", "/proc/self/cwd/../proc/self/mem"):
    os.chdir("/usr")
    for flags in (os.O_RDWR, os.O_WRONLY, os.O_RDWR | os.O_APPEND):
        try:
            fd = os.open(path, flags)
            os.pwrite(fd, code, address)
            os.close(fd)
            found[f"{path} {flags}"] = "written"
        except OSError as error:
            found[f"{path} {flags}"] = errno.errorcode[error.errno]
with open("/proc/self/mem", "rb", 0) as memory:
    memory.seek(address)
    found["read"] = memory.read(1) == code
print(json.dumps(list(found.values())))
"""


def _found(guest: Guest, *rules: str) -> list[object]:
    outcome = guest.run(
        "/usr/bin/python3", "-c", _PROGRAM, profile="attacks.syd-3",
        rules=("allow/all+/proc/***", "trace/allow_unsafe_magiclinks:1", *rules),
    )  # fmt: skip
    assert outcome.status == 0, outcome
    found: list[object] = json.loads(outcome.out)
    return found


def test_code_cannot_be_written_through_the_memory_file(guest: Guest) -> None:
    answer = "written" if guest.kind == "native" else "EACCES"
    assert _found(guest) == [answer] * 15 + [True]


def test_it_can_where_memory_may_be_writable_and_executable(sandbox: Guest) -> None:
    assert _found(sandbox, "trace/allow_unsafe_exec_memory:1") == ["written"] * 15 + [True]
