# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes and threads: pidfds, signals to one thread, per-thread tables, /proc files."""

from __future__ import annotations

import fcntl
import os
import struct

from madcap.linux._call import bind, c_int, c_uint, c_ulong, c_void_p
from madcap.linux.fs import openat2

_pidfd_open = bind("pidfd_open", c_int, c_uint)
_pidfd_getfd = bind("pidfd_getfd", c_int, c_int, c_uint)
_pidfd_send_signal = bind("pidfd_send_signal", c_int, c_int, c_void_p, c_uint)
tgkill = bind("tgkill", c_int, c_int, c_int)
unshare = bind("unshare", c_ulong)
close_range = bind("close_range", c_uint, c_uint, c_uint)
ioprio_set = bind("ioprio_set", c_int, c_int, c_int)
_kcmp = bind("kcmp", c_int, c_int, c_int, c_ulong, c_ulong)

KCMP_VM, KCMP_FILES, KCMP_FS = 1, 2, 3

_PROCMAP_QUERY = 0xC068_6611
_QUERY = struct.Struct("=QQQ")
_ANSWER = struct.Struct("=QII")

PIDFD_THREAD = 0x80  # O_EXCL; Linux 6.9


def pidfd_open(pid: int, flags: int = 0) -> int:
    """Return a descriptor for the process *pid* (close-on-exec)."""
    return _pidfd_open(pid, flags)


def pidfd_of_thread(tid: int) -> int:
    """Return a descriptor for thread *tid*; before Linux 6.9 only group leaders have one."""
    try:
        return _pidfd_open(tid, PIDFD_THREAD)
    except OSError as error:
        if error.errno != 22:
            raise
        return _pidfd_open(tid, 0)


def pidfd_getfd(pidfd: int, target: int) -> int:
    """Duplicate descriptor *target* of the process behind *pidfd*; the copy is close-on-exec."""
    return _pidfd_getfd(pidfd, target, 0)


def pidfd_send_signal(pidfd: int, signal: int) -> None:
    """Send *signal* to the process behind *pidfd*."""
    _pidfd_send_signal(pidfd, signal, 0, 0)


def read_file(proc: int, path: bytes, limit: int = 65536) -> bytes:
    """Return the contents of *path* below the /proc descriptor *proc*, at most *limit* bytes."""
    fd = openat2(proc, path, os.O_RDONLY)
    try:
        parts = []
        while limit > 0:
            data = os.read(fd, min(limit, 65536))
            if not data:
                break
            parts.append(data)
            limit -= len(data)
        return b"".join(parts)
    finally:
        os.close(fd)


def same_resource(one: int, other: int, kind: int) -> bool:
    """Tell whether two threads share what *kind* (KCMP_VM, KCMP_FILES, KCMP_FS) says; see kcmp(2).

    Raises OSError: ESRCH, EPERM, ENOSYS.
    """
    return bool(_kcmp(one, other, kind, 0, 0) == 0)


def query_mapping(proc: int, tid: int, address: int) -> tuple[int, int] | None:
    """Return (device, inode) of the mapping at *address*; None before Linux 6.11, or where none is.

    The PROCMAP_QUERY ioctl of /proc/TID/maps (proc_pid_maps(5)).
    """
    buffer = bytearray(104)
    _QUERY.pack_into(buffer, 0, 104, 0, address)
    try:
        fd = openat2(proc, b"%d/maps" % tid, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.ioctl(fd, _PROCMAP_QUERY, buffer, True)
    except OSError:
        return None
    finally:
        os.close(fd)
    inode, major, minor = _ANSWER.unpack_from(buffer, 64)
    return os.makedev(major, minor), inode


def status_field(status: bytes, name: bytes) -> bytes:
    """Return the value of line *name* of a /proc/PID/status text; empty where it is missing."""
    start = status.find(b"\n" + name + b":\t")
    if start < 0:
        return b""
    start += len(name) + 3
    return status[start : status.find(b"\n", start)]
