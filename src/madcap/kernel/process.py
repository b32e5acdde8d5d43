# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals to the supervisor, pidfd_open, ptrace tricks, process names, and what the host is."""

from __future__ import annotations

import errno
import os
import struct

from madcap import events
from madcap.kernel.reply import Continue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.reply import Reply
    from madcap.kernel.request import Request

_PID_LIMIT = 4194304
_INT_MIN = -(1 << 31)
_ALLOWED = Continue("a number, and it is not ours: no pointer is read")


def sys_pidfd_open(req: Request) -> Reply:
    """pidfd_open(2): any process but the supervisor."""
    pid, flags = req.i32(0), req.u32(1)
    if flags & ~(0x800 | 0x80):
        raise OSError(errno.EINVAL, "flags")
    if pid <= 0:
        raise OSError(errno.EINVAL, "pid")
    if is_supervisor(req, pid):
        raise OSError(errno.ESRCH, "hidden")
    return _ALLOWED


def is_supervisor(req: Request, pid: int) -> bool:
    """Tell whether *pid* is the supervisor, one of its threads or its helper at the terminal."""
    host = req.host
    return pid in (host.pid, host.terminal or host.pid) or _found(req, b"self/task/%d" % pid)


def _found(req: Request, path: bytes) -> bool:
    """Tell whether *path* is there below /proc. Takes no descriptor: they may be used up."""
    try:
        os.stat(path, dir_fd=req.host.proc)
    except (FileNotFoundError, ProcessLookupError):
        return False
    return True


def sys_kill(req: Request) -> Reply:
    """kill(2), hooked only where Landlock can't scope signals."""
    pid, signal = req.i32(0), req.i32(1)
    if pid == _INT_MIN or abs(pid) > _PID_LIMIT:
        raise OSError(errno.ESRCH, "pid")
    if pid == -1:
        _valid(signal)
        if signal == 0:
            return 0
        raise OSError(errno.ESRCH, "everybody")
    group = os.getpgrp()
    if pid == 0:
        _valid(signal)
        if os.getpgid(req.tgid) == group:
            if signal == 0:
                return 0
            raise OSError(errno.EPERM, "our group")
        return _ALLOWED
    if pid < 0:
        if -pid == group:
            raise OSError(errno.ESRCH, "our group")
        _valid(signal)
        return _ALLOWED
    _protect(req, pid)
    _valid(signal)
    return _ALLOWED


def sys_tkill(req: Request) -> Reply:
    """tkill(2)."""
    return _thread(req, (req.i32(0),), req.i32(1))


def sys_tgkill(req: Request) -> Reply:
    """tgkill(2)."""
    return _thread(req, (req.i32(0), req.i32(1)), req.i32(2))


def sys_rt_sigqueueinfo(req: Request) -> Reply:
    """rt_sigqueueinfo(2)."""
    return _thread(req, (req.i32(0),), req.i32(1))


def sys_rt_tgsigqueueinfo(req: Request) -> Reply:
    """rt_tgsigqueueinfo(2)."""
    return _thread(req, (req.i32(0), req.i32(1)), req.i32(2))


def _thread(req: Request, ids: tuple[int, ...], signal: int) -> Reply:
    if any(number <= 0 for number in ids):
        raise OSError(errno.EINVAL, "pid")
    if any(number > _PID_LIMIT for number in ids):
        raise OSError(errno.ESRCH, "pid")
    for number in ids:
        _protect(req, number)
    _valid(signal)
    return Continue("numbers; the siginfo it points to can only be the caller's own")


def _protect(req: Request, pid: int) -> None:
    if is_supervisor(req, pid) or not _found(req, b"%d" % pid):
        raise OSError(errno.ESRCH, "hidden")


def _valid(signal: int) -> None:
    if not 0 <= signal <= 64:
        raise OSError(errno.EINVAL, "signal")


def sys_ptrace(req: Request) -> Reply:
    """ptrace(PTRACE_TRACEME): 0 the first time, EPERM after, as a traced thread would see."""
    seen = req.host.traceme
    if req.tid in seen:
        raise OSError(errno.EPERM, "traced")
    if len(seen) >= 4096:
        seen.clear()
    seen.add(req.tid)
    return 0


def sys_prctl(req: Request) -> Reply:
    """prctl(PR_SET_NAME): reports success and changes nothing."""
    name = req.string(req.args[1], 16) if req.args[1] else None
    if name is None:
        raise OSError(errno.EFAULT, "name")
    req.alive()
    if events.verbose >= 2:
        events.emit(
            events.WARN,
            {"ctx": "change_process_name", "name": name, "sys": req.name},
            pid=req.tid,
            tip="configure `trace/allow_unsafe_proc_name:1'",
        )
    return 0


def sys_uname(req: Request) -> int:
    """uname(2) with the names of `uts/…` and a patch level of this run's own."""
    sysname, nodename, _, version, machine = os.uname()
    sandbox = req.host.sandbox
    domain = sandbox.active
    fields = (
        sysname.encode(),
        (nodename if domain.uts_host is None else domain.uts_host).encode(),
        req.host.release,
        (version if domain.uts_version is None else domain.uts_version).encode(),
        machine.encode(),
        (domain.uts_domain or "(none)").encode(),
    )
    req.alive()
    req.write(req.args[0], b"".join(field[:64].ljust(65, b"\0") for field in fields))
    return 0


def sys_sysinfo(req: Request) -> int:
    """sysinfo(2) with plausible figures that tell nothing about the host.

    Where memory is limited it is as large as the limit.
    """
    offset, seed = req.host.sysinfo
    import time

    uptime = int(time.clock_gettime(time.CLOCK_BOOTTIME)) + offset
    random = int.from_bytes(os.urandom(16), "little")
    loads = [(random >> shift & 0xFFFFF) for shift in (0, 20, 40)]
    total = 1 << (23 + seed % 10)
    free = (random >> 60 & 0xFFFFFFFF) % total
    buffers, shared = total // 16, total // 32
    if req.policy.mem_max:
        from madcap.kernel.memory import resident_size

        total = req.policy.mem_max
        free = max(total - resident_size(req), 0)
        buffers = shared = 0
    procs = 2 + (random >> 96) % 0x7FFE
    data = struct.pack(
        "=q3Q6QHH4x2QI4x", uptime, *loads, total, free, shared, buffers, 0, 0, procs, 0, 0, 0, 1
    )
    req.alive()
    req.write(req.args[0], data[:112].ljust(112, b"\0"))
    return 0


def sys_chroot(req: Request) -> int:
    """chroot(2): no root changes; from now on every path is ENOENT for the whole sandbox."""
    from madcap.kernel.judge import admit
    from madcap.kernel.lookup import lookup
    from madcap.kernel.target import FOLLOW
    from madcap.policy import categories as C

    target = lookup(req, -100, req.path(0), FOLLOW)
    admit(req, target, C.CHROOT)
    if target.type != 0o040000:
        raise OSError(errno.ENOTDIR, "not a directory")
    with req.host.policy_lock:
        req.host.chrooted = True
    events.emit(
        events.WARN, {"ctx": "chroot_sandbox", "path": target.name, "sys": req.name}, pid=req.tid
    )
    return 0
