# SPDX-License-Identifier: GPL-3.0-or-later
"""Files whose contents would tell about the host: the guest reads a sealed copy instead."""

from __future__ import annotations

import os

from madcap.linux._call import bind, c_char_p, c_uint
from madcap.linux.process import read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.net.names import Names
    from madcap.kernel.request import Request

_memfd_create = bind("memfd_create", c_char_p, c_uint)
_MFD = 1 | 2  # MFD_CLOEXEC | MFD_ALLOW_SEALING
_F_ADD_SEALS = 1033
_NAME_ROOM = 200
_SEALS = 0xF
_MACHINE_ID = frozenset(
    (
        b"/etc/machine-id", b"/etc/hostid", b"/var/adm/hostid", b"/sys/class/dmi/id/product_uuid",
        b"/sys/devices/virtual/dmi/id/product_uuid",
    )
)  # fmt: skip
_UNIX_FIELDS = 7  # Before the path.
_UNIX_MAX = 64 << 20
_ZEROED = (b"TracerPid", b"NoNewPrivs", b"Seccomp", b"Seccomp_filters")


def contents(req: Request, name: bytes) -> int | None:
    """Return a descriptor of what is shown in place of *name*, None where the file itself is."""
    if name in _MACHINE_ID:
        if "allow_unsafe_machine_id" in req.policy.flags:
            return None
        return sealed(req, req.host.unique_name[4:] + b"\n", name)
    if name[:6] != b"/proc/":
        return None
    if name == b"/proc/version" or name == b"/proc/sys/kernel/osrelease":
        if "allow_unsafe_uname" in req.host.options:
            return None
        release = req.host.release
        if name == b"/proc/version":
            return sealed(req, b"Linux version " + release + b" #1 SMP\n", name)
        return sealed(req, release + b"\n", name)
    if name.endswith(b"/status") and name.startswith(b"/proc/self/"):
        if "allow_unsafe_proc_pid_status" in req.policy.flags:
            return None
        task = name[len(b"/proc/self/") :]
        if task != b"status" and not task.startswith(b"task/"):
            return None
        text = read_file(req.host.proc, b"%d/%s" % (req.tgid, task))
        return sealed(req, _masked_status(text), name)
    if name.endswith(b"/net/unix") and name.startswith(b"/proc/self/") and _names().bound:
        text = read_file(req.host.proc, b"%d/net/unix" % req.tgid, _UNIX_MAX)
        return sealed(req, _spelled(text), name)
    return None


def is_substituted(name: bytes) -> bool:
    """Tell whether *name* is one that a copy of ours can stand for.

    A guest can give memory files of its own such a look, with any name.
    """
    if name in _MACHINE_ID or name in (b"/proc/version", b"/proc/sys/kernel/osrelease"):
        return True
    if name in (b"/proc/self/status", b"/proc/self/net/unix", b"/dev/syd"):
        return True
    parts = name.split(b"/", 5)
    task = parts[:4] == [b"", b"proc", b"self", b"task"] and len(parts) == 6
    return task and parts[4].isdigit() and parts[5] in (b"status", b"net/unix")


def sealed(req: Request, data: bytes, name: bytes) -> int:
    """Return a sealed memory file that holds *data*, readable only, standing for *name*."""
    import fcntl

    fd = _memfd_create(req.host.unique_name + name[:_NAME_ROOM], _MFD)
    try:
        os.write(fd, data)
        fcntl.fcntl(fd, _F_ADD_SEALS, _SEALS)
        os.lseek(fd, 0, 0)
        from madcap.linux.fs import openat2

        return openat2(req.host.self_fd, b"%d" % fd, os.O_RDONLY)
    finally:
        os.close(fd)


def _names() -> Names:
    """Return the names that sockets were given; imported late, since its package imports us."""
    from madcap.kernel.net.names import NAMES

    return NAMES


def _spelled(text: bytes) -> bytes:
    """Return a /proc/net/unix *text* with the paths as programs gave them; see unix(7)."""
    names = _names()
    lines = []
    for line in text.split(b"\n"):
        fields = line.split(None, _UNIX_FIELDS)
        if len(fields) > _UNIX_FIELDS:
            path = fields[-1]
            line = line[: len(line) - len(path)] + names.spelling(path)
        lines.append(line)
    return b"\n".join(lines)


def _masked_status(text: bytes) -> bytes:
    """Take out of a /proc/PID/status *text* what tells that somebody confines the process."""
    lines = []
    for line in text.split(b"\n"):
        key, colon, value = line.partition(b":\t")
        if colon:
            if key in _ZEROED:
                value = b"0"
            elif key == b"Speculation_Store_Bypass":
                value = value.replace(b"thread ", b"").replace(b"force ", b"")
                if value in (b"unknown", b"unsupported", b"mitigated"):
                    value = b"vulnerable"
            elif key == b"SpeculationIndirectBranch":
                value = value.replace(b"force ", b"")
                if value in (b"unknown", b"unsupported") or value.startswith(b"conditional"):
                    value = b"always enabled"
                elif value == b"disabled":
                    value = b"enabled"
        lines.append(key + colon + value)
    return b"\n".join(lines)
