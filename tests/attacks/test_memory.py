# SPDX-License-Identifier: GPL-3.0-or-later
"""Code that is mapped can't be changed in place: /proc/PID/mem disregards page protection."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

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


_ANSWER_INTO_CODE = """
import ctypes
libc = ctypes.CDLL(None)
code = ctypes.cast(libc.getpagesize, ctypes.c_void_p).value & ~4095
print(libc.syscall(ctypes.c_long(63), ctypes.c_void_p(code)), ctypes.string_at(code, 5) == b"Linux")
"""


@pytest.mark.parametrize("access", [0, 1, 2])
def test_no_answer_is_written_into_code(sandbox: Guest, access: int) -> None:
    """However memory is read: uname(2) fails on a buffer that the guest itself can't write."""
    outcome = sandbox.run(
        "/usr/bin/python3", "-c", _ANSWER_INTO_CODE, profile="attacks.syd-3",
        rules=(f"trace/memory_access:{access}",),
    )  # fmt: skip
    assert outcome.out == b"-1 False\n", outcome


_MEMORY_FILE = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
written = os.memfd_create("code")
os.write(written, open("/usr/bin/true", "rb").read())
code = os.open(f"/proc/self/fd/{written}", os.O_RDONLY)
failed = libc.mmap(None, 4096, 5, 2, code, 0) == ctypes.c_void_p(-1).value
print(ctypes.get_errno() if failed else "mapped")
"""


@pytest.mark.parametrize(
    ("rules", "answer"),
    [
        pytest.param((), "13", id="by default"),
        pytest.param(("trace/allow_unsafe_memfd:1",), "mapped", id="with the switch"),
    ],
)
def test_a_memory_file_is_not_mapped_as_code(
    sandbox: Guest, rules: tuple[str, ...], answer: str
) -> None:
    """Also where no rule about programs is asked: it could be written while it runs."""
    outcome = sandbox.run(
        "/usr/bin/python3", "-c", _MEMORY_FILE, profile="attacks.syd-3",
        rules=("sandbox/exec:off", "allow/all+!memfd:*", *rules),
    )  # fmt: skip
    assert outcome.out.decode() == f"{answer}\n", outcome
