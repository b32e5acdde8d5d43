# SPDX-License-Identifier: GPL-3.0-or-later
"""All that the log can tell about a process and the call it is in: verbosity 3, for debugging.

Everything is read below /proc, by number, and may be about a stranger if the process has ended: it
is shown to people and nothing is decided by it.
"""

from __future__ import annotations

import os

from madcap.linux._call import MACHINE, NUMBERS
from madcap.linux.fs import openat2
from madcap.linux.process import read_file, status_field

_AROUND = 64  # Bytes of memory that are shown from an address on.
_MAPS_MAX = 1 << 20
_SETS = (
    ("sig_caught", b"SigCgt"), ("sig_blocked", b"SigBlk"), ("sig_ignored", b"SigIgn"),
    ("sig_pending_thread", b"SigPnd"), ("sig_pending_process", b"ShdPnd"),
)  # fmt: skip
_NAMES = (
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
)  # fmt: skip
_CALLS = {number: name for name, number in NUMBERS.items()}


def describe(proc: int, pid: int) -> dict[str, object]:
    """Return what a record shows as ``req`` about thread *pid*; *proc* is a descriptor of /proc."""
    status = read_file(proc, b"%d/status" % pid)
    call = read_file(proc, b"%d/syscall" % pid).split()
    numbers = [int(word, 16) for word in call[1:]] if len(call) == 9 else []
    maps = read_file(proc, b"%d/maps" % pid, _MAPS_MAX)
    found: dict[str, object] = {
        "pid": pid,
        "sys": _CALLS.get(int(call[0])) if numbers else None,
        "args": numbers[:6] if numbers else None,
        "arch": MACHINE,
        "cmd": read_file(proc, b"%d/comm" % pid).removesuffix(b"\n"),
        "tgid": int(status_field(status, b"Tgid")),
    }
    for key, name in _SETS:
        found[key] = signals(int(status_field(status, name), 16))
    found["umask"] = int(status_field(status, b"Umask"), 8)
    if numbers:
        sp, ip = numbers[6:]
        found["ip"], found["sp"] = ip, sp
        found["ip_vma"], found["sp_vma"] = mapping(maps, ip), mapping(maps, sp)
        found["ip_mem"], found["sp_mem"] = _memory(proc, pid, ip), _memory(proc, pid, sp)
    return {key: value for key, value in found.items() if value is not None}


def signals(mask: int) -> list[str]:
    """Return the names of the signals in *mask*, where signal n is bit n - 1."""
    return [
        f"SIG{_NAMES[number]}" if number < len(_NAMES) else f"SIGRT{number - len(_NAMES)}"
        for number in range(64)
        if mask >> number & 1
    ]


def mapping(maps: bytes, address: int) -> dict[str, object] | None:
    """Return the mapping around *address* out of a /proc/PID/maps text."""
    for line in maps.splitlines():
        fields = line.split(None, 5)
        low, _, high = fields[0].partition(b"-")
        if int(low, 16) <= address < int(high, 16):
            span: dict[str, object] = {"addr": [int(low, 16), int(high, 16)], "perm": fields[1]}
            return {**span, "name": fields[5]} if len(fields) > 5 else span
    return None


def _memory(proc: int, pid: int, address: int) -> str | None:
    """Return the bytes from *address* on, in hex."""
    try:
        memory = openat2(proc, b"%d/mem" % pid, os.O_RDONLY)
    except OSError:
        return None
    try:
        return os.pread(memory, _AROUND, address).hex()
    except (OSError, OverflowError):
        return None
    finally:
        os.close(memory)
