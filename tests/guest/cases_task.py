# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases for the calls that ask about or act on tasks and the system, with what can be wrong."""

from __future__ import annotations

import ctypes
import os
import signal
import struct
from typing import TYPE_CHECKING

from cases_open import O_PATH
from cases_order import HOLE, OUTS, every, opened
from rawcalls import call

if TYPE_CHECKING:
    from cases_order import Choices
    from run_cases import Tree

SIGNALS: Choices = {"0": 0, "usr1": signal.SIGUSR1, "99": 99, "-1": -1}


def tasks() -> Choices:
    """Return numbers of tasks; none is that of another program."""
    return {"self": os.getpid(), "none": 1 << 22, "int_min": -(1 << 31)}


def quiet() -> None:
    """Ignore the signal that is sent."""
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def case_kill(t: Tree) -> object:
    quiet()
    return every(t, "kill", tasks(), SIGNALS)


def case_tkill(t: Tree) -> object:
    quiet()
    return every(t, "tkill", {**tasks(), "0": 0, "-1": -1}, SIGNALS)


def case_tgkill(t: Tree) -> object:
    quiet()
    some: Choices = {**tasks(), "0": 0, "-1": -1}
    return every(t, "tgkill", some, some, SIGNALS)


def information(code: int) -> bytes:
    """Return a siginfo_t."""
    return struct.pack("=iii", signal.SIGUSR1, 0, code) + bytes(116)


INFOS: Choices = {"queue": information(-1), "kernel": information(128), "null": 0, "hole": HOLE}


def case_rt_sigqueueinfo(t: Tree) -> object:
    quiet()
    return every(t, "rt_sigqueueinfo", {"self": os.getpid(), "none": 1 << 22}, SIGNALS, INFOS)


def case_rt_tgsigqueueinfo(t: Tree) -> object:
    quiet()
    some: Choices = {"self": os.getpid(), "none": 1 << 22, "0": 0}
    return every(t, "rt_tgsigqueueinfo", some, some, SIGNALS, INFOS)


def case_pidfd_open(t: Tree) -> object:
    child = os.fork()
    if child == 0:
        signal.pause()
    flags: Choices = {"none": 0, "nonblock": os.O_NONBLOCK, "bad": 1}
    seen = opened(t, "pidfd_open", {**tasks(), "child": child, "0": 0, "-1": -1}, flags)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return [seen, t("pidfd_open", child, 0)]


def case_prctl(t: Tree) -> object:
    """PR_SET_NAME and PR_GET_NAME, and some that ask."""
    seen = ctypes.create_string_buffer(16)
    answers = [
        t("prctl", 15, b"name", 0, 0, 0),
        t("prctl", 16, seen, 0, 0, 0),
        t("prctl", 15, HOLE, 0, 0, 0),
        t("prctl", 16, HOLE, 0, 0, 0),
        t("prctl", 3, 0, 0, 0, 0),
        t("prctl", 30, 0, 0, 0, 0) > 0,
    ]
    return [answers, seen.value.decode()]


def case_uname(t: Tree) -> object:
    return every(t, "uname", OUTS)


def case_sysinfo(t: Tree) -> object:
    return every(t, "sysinfo", OUTS)


def case_rt_sigaction(t: Tree) -> object:
    handlers: Choices = {"ignore": struct.pack("=QQQQ", 1, 0, 0, 0), "null": 0, "hole": HOLE}
    signals: Choices = {"usr1": 10, "kill": 9, "stop": 19, "0": 0, "65": 65, "-1": -1}
    return every(t, "rt_sigaction", signals, handlers, OUTS, {"8": 8, "4": 4})


def case_chroot_needs_a_capability(t: Tree) -> object:
    """Inside it is granted and takes every path away: see cases_by_design.py."""
    return t("chroot", b"absent")


def case_ptrace_of_who_is_not_there(t: Tree) -> object:
    pid = os.fork()
    if pid == 0:
        os._exit(0 if call("ptrace", 0, 0, 0, 0) == 0 else 1)
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), t("prctl", 1, 0, 0, 0, 0)]


def case_mmap(t: Tree) -> object:
    """Mappings of files; what is refused by design is left out."""
    true = os.open("/bin/true", os.O_RDONLY)
    wrong: Choices = {"bad": 99, "-1": -1, "path": t.fd(b"file", O_PATH)}
    plain: Choices = {"program": true, "file": t.fd(b"file"), "dir": t.fd(b"dir"), **wrong}
    ways: Choices = {"private": 2, "none": 0}
    sizes: Choices = {"page": 4096, "0": 0, "-1": -1}
    places: Choices = {"0": 0, "4096": 4096, "1": 1}

    def mapped(protection: int, fds: Choices) -> object:
        seen = every(t, "mmap", {"any": 0}, sizes, {"": protection}, ways, fds, places)
        return {key: "ok" if isinstance(value, int) else value for key, value in seen.items()}

    return [mapped(1, plain), mapped(0, plain), mapped(5, {"program": true, **wrong})]


def case_mremap(t: Tree) -> object:
    area = call("mmap", 0, 8192, 3, 0x22, -1, 0)
    olds: Choices = {"area": area, "odd": area + 1, "null": 0}
    sizes: Choices = {"page": 4096, "two": 8192, "0": 0, "-1": -1}
    seen = every(t, "mremap", olds, sizes, sizes, {"none": 0, "bad": 256}, {"0": 0})
    return {key: "ok" if isinstance(value, int) else value for key, value in seen.items()}


def case_brk(t: Tree) -> object:
    """It answers where the end of the data is, moved or not."""
    end = call("brk", 0)
    return [call("brk", end + 65_536) - end, call("brk", 1) - end, t("brk", end) == end]


def case_ioctl(t: Tree) -> object:
    fds: Choices = {"file": t.fd(b"file"), "dir": t.fd(b"dir"), "bad": 99, "-1": -1}
    requests: Choices = {"fionread": 0x541B, "fioclex": 0x5451, "tcgets": 0x5401}
    return every(t, "ioctl", fds, requests, OUTS)
