# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans the tests of the filter start from."""

from __future__ import annotations

from errno import ENOTTY, EOPNOTSUPP, EPERM
from typing import Any

from madcap.filter.plan import Plan

MINUS_ONE = 2**64 - 1

_NOTIFIED = """
    accept accept4 access bind chmod chown chroot connect creat epoll_create epoll_create1 eventfd
    eventfd2 execve execveat faccessat faccessat2 fallocate fanotify_init fanotify_mark fchmod
    fchmodat fchmodat2 fchown fchownat fgetxattr flistxattr fremovexattr fsetxattr fstat fstatfs
    ftruncate futimesat getpeername getsockname getsockopt getxattr getxattrat inotify_add_watch
    inotify_init inotify_init1 ioctl lchown lgetxattr link linkat listxattr listxattrat llistxattr
    lremovexattr lsetxattr lstat memfd_create memfd_secret mkdir mkdirat mknod mknodat newfstatat
    open openat openat2 pidfd_open pipe pipe2 prctl ptrace recvfrom recvmmsg recvmsg removexattr
    removexattrat rename renameat renameat2 rmdir rt_sigaction sendmmsg sendmsg sendto setxattr
    setxattrat signalfd signalfd4 socket socketpair stat statfs statx symlink symlinkat sysinfo
    timerfd_create truncate uname unlink unlinkat utime utimensat utimes
"""
NOTIFY = frozenset(_NOTIFIED.split())

IOCTLS = (
    (0x5412, 0xFFFF_FFFF, ENOTTY),  # TIOCSTI
    (0x4004_9409, 0xFFFF_FFFF, EOPNOTSUPP),  # FICLONE
    (0x8901, 0xFFFF_FFFF, EPERM),  # FIOSETOWN
    (0x2103, 0xFFFF, ENOTTY),  # SECCOMP_IOCTL_NOTIF_ADDFD, of any size
)


def default_plan(**changes: Any) -> Plan:
    """Return the plan of a sandbox that changes no switch, with *changes*."""
    values: dict[str, Any] = {
        "machine": "x86_64",
        "notify": NOTIFY,
        "trace": frozenset({"mmap"}),
        "ioctls": IOCTLS,
        "uid": (1000, 1000, 1000),
        "gid": (1000, 1000, 1000),
        "scoped_signals": True,
    }
    return Plan(**(values | changes))


DEFAULT = default_plan()
