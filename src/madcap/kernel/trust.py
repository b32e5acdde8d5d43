# SPDX-License-Identifier: GPL-3.0-or-later
"""Trusted path execution: programs and libraries only from places that others can't write."""

from __future__ import annotations

import errno
import os

from madcap import events
from madcap.abi import flags as F
from madcap.kernel.host import OPEN
from madcap.linux.fs import mount_id, openat2
from madcap.policy import actions as A
from madcap.policy import categories as C

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.host import Host
    from madcap.policy.domain import Domain

_OTHERS_WRITE = 0o022


def applies(host: Host, policy: Domain) -> bool:
    """Tell whether trusted path execution restricts the user that we run as."""
    if not policy.enabled & C.TPE or policy.defaults[37] == A.ALLOW:
        return False
    if policy.tpe_gid is None:
        return True
    member = policy.tpe_gid in host.groups
    return member != ("tpe_negate" in policy.flags)


def distrust(host: Host, policy: Domain, fd: int, name: bytes) -> str | None:
    """Return why the file behind *fd* called *name* is not trusted, None where it is."""
    st = os.fstat(fd)
    if name[:1] != b"/":
        return None
    directory = name.rpartition(b"/")[0] or b"/"
    parent = openat2(host.root, directory, F.O_PATH | OPEN.DIRECTORY, F.RESOLVE_NO_SYMLINKS)
    try:
        above = os.fstat(parent)
        if st.st_mode & _OTHERS_WRITE:
            return "file writable by others"
        if above.st_mode & _OTHERS_WRITE:
            return "file in a directory that others can write"
        owners = _owners(host, policy)
        if owners is not None and not {st.st_uid, above.st_uid} <= owners:
            return "file or directory of another owner"
        if "tpe_root_mount" in policy.flags and mount_id(parent) != mount_id(host.root):
            return "file not on the root mount"
    finally:
        os.close(parent)
    return None


def _owners(host: Host, policy: Domain) -> set[int] | None:
    if "tpe_root_owned" in policy.flags:
        return {0}
    if "tpe_user_owned" in policy.flags:
        return {0, host.euid}
    return None


def require(host: Host, policy: Domain, fd: int, name: bytes, sys: str, tid: int) -> int:
    """Judge the file behind *fd*; return the action taken, raising EACCES where it denies."""
    if not applies(host, policy):
        return A.ALLOW
    reason = distrust(host, policy, fd, name)
    if reason is None:
        return A.ALLOW
    action = policy.defaults[37]
    if action != A.FILTER:
        events.emit(
            events.WARN,
            {"ctx": "trusted_path_execution", "sys": sys, "path": name},
            pid=tid,
            msg=f"exec from untrusted path blocked: {reason}",
            tip="move the binary to a safe location or use `sandbox/tpe:off'",
        )
    if action == A.WARN:
        return action
    if action == A.EXIT:
        os._exit(errno.EACCES)
    raise OSError(errno.EACCES, reason)
