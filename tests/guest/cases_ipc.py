# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases for System V memory, queues and semaphores and for POSIX queues, where they are allowed."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import TYPE_CHECKING

from cases_order import HOLE, OUT, OUTS, every, opened
from rawcalls import call, named

if TYPE_CHECKING:
    from cases_order import Choices
    from run_cases import Tree

CREAT, EXCL, RMID, STAT, NOWAIT = 0o1000, 0o2000, 0, 2, 0o4000
KEYS: Choices = {"private": 0, "absent": 0x7A5E_0001}
MODES: Choices = {"600": 0o600, "creat": CREAT | 0o600, "excl": CREAT | EXCL | 0o600}
COMMANDS: Choices = {"stat": STAT, "bad": 99, "-1": -1}


def made(get: str, remove: str, *arguments: object) -> object:
    """Make an object and remove it; return the answers, its number left out."""
    ident = call(get, *arguments)
    if ident < 0:
        return named(ident)
    gone = call(remove, ident, RMID, 0) if remove != "semctl" else call(remove, ident, 0, RMID, 0)
    return ["made", named(gone)]


def case_shmget(t: Tree) -> object:
    sizes = (4096, 0, 1 << 62)
    del t
    return {f"{size} {mode:o}": made("shmget", "shmctl", 0, size, mode)
            for size in sizes for mode in (0o600, CREAT | 0o600, 0o400)}  # fmt: skip


def case_shmget_of_what_is_not_there(t: Tree) -> object:
    return [t("shmget", 0x7A5E_0001, 4096, 0), t("shmget", 0x7A5E_0001, 4096, EXCL)]


def case_shared_memory_is_shared(t: Tree) -> object:
    ident = call("shmget", 0, 4096, CREAT | 0o600)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p
    address = libc.shmat(ident, None, 0)
    note(t, "shmat", [(ident, 1, 0), (-1, 0, 0), (ident, 0, 1 << 20)])
    pid = os.fork()
    if pid == 0:
        ctypes.memmove(address, b"from the child", 15)
        os._exit(0)
    os.waitpid(pid, 0)
    seen = ctypes.string_at(address).decode()
    return [seen, named(call("shmctl", ident, STAT, OUT)), named(call("shmctl", ident, RMID, 0))]


def note(t: Tree, name: str, attempts: list[tuple[int, ...]]) -> object:
    """Make each of the calls; return whether it failed, and how."""
    answers = [t(name, *words) for words in attempts]
    return [answer if isinstance(answer, str) else "ok" for answer in answers]


def case_shmat(t: Tree) -> object:
    ident = call("shmget", 0, 4096, CREAT | 0o600)
    seen = note(t, "shmat", [(ident, 0, 0), (ident, 1, 0), (-1, 0, 0), (ident, 0, 0o10000)])
    call("shmctl", ident, RMID, 0)
    return seen


def case_shmctl(t: Tree) -> object:
    ident = call("shmget", 0, 4096, CREAT | 0o600)
    seen = every(t, "shmctl", {"it": ident, "-1": -1, "none": 1 << 30}, COMMANDS, OUTS)
    call("shmctl", ident, RMID, 0)
    return seen


def case_msgget(t: Tree) -> object:
    return [made("msgget", "msgctl", 0, CREAT | 0o600), t("msgget", 0x7A5E_0001, 0)]


def case_msgctl(t: Tree) -> object:
    ident = call("msgget", 0, CREAT | 0o600)
    seen = every(t, "msgctl", {"it": ident, "-1": -1, "none": 1 << 30}, COMMANDS, OUTS)
    call("msgctl", ident, RMID, 0)
    return seen


def case_msgrcv(t: Tree) -> object:
    ident = call("msgget", 0, CREAT | 0o600)
    flags: Choices = {"nowait": NOWAIT, "except": NOWAIT | 0o20000}
    queues: Choices = {"it": ident, "-1": -1, "none": 1 << 30}
    seen = every(t, "msgrcv", queues, OUTS, {"9": 9, "-1": -1}, {"0": 0, "1": 1}, flags)
    message = struct.pack("=q", 1) + b"text"
    sent = [call("msgsnd", ident, message, 4, NOWAIT) for _ in range(3)]
    again = every(t, "msgrcv", {"it": ident}, OUTS, {"4": 4, "2": 2}, {"0": 0, "9": 9}, flags)
    call("msgctl", ident, RMID, 0)
    return [seen, sent, again]


def case_semget(t: Tree) -> object:
    return [[made("semget", "semctl", 0, count, CREAT | 0o600) for count in (1, 0, -1, 1 << 30)],
            t("semget", 0x7A5E_0001, 1, 0)]  # fmt: skip


def case_semctl(t: Tree) -> object:
    ident = call("semget", 0, 2, CREAT | 0o600)
    commands: Choices = {"stat": STAT, "getval": 12, "bad": 99, "-1": -1}
    sets: Choices = {"it": ident, "-1": -1, "none": 1 << 30}
    seen = every(t, "semctl", sets, {"0": 0, "9": 9, "-1": -1}, commands, OUTS)
    call("semctl", ident, 0, RMID, 0)
    return seen


def case_mq_open(t: Tree) -> object:
    name = b"madcap-%d" % os.getpid()
    names: Choices = {"new": name, "null": 0, "hole": HOLE, "empty": b"", "slash": b"a/b"}
    flags: Choices = {"rdonly": 0, "creat": 0o100, "excl": 0o300}
    seen = opened(t, "mq_open", names, flags, {"600": 0o600}, {"null": 0, "hole": HOLE})
    gone = t("mq_unlink", name)
    return [seen, gone]
