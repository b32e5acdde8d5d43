# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the steps that a file lists, below the current directory; print what came of each.

A step is [operation, path, argument]; its answer is ["ok", what was seen] or the name of an errno.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_libc = ctypes.CDLL(None, use_errno=True)
TOP = 100  # The directory that the walk is in, for paths by way of /proc/self/fd.


def opened(path: str, flags: int, use: Callable[[int], object], mode: int = 0o644) -> object:
    """Open *path*, use the descriptor, close it."""
    fd = os.open(path, flags | os.O_NONBLOCK, mode)
    try:
        return use(fd)
    finally:
        os.close(fd)


def watched(path: str, _: object) -> object:
    """Put a watch on *path*."""
    fd = _libc.inotify_init1(os.O_NONBLOCK)
    try:
        if _libc.inotify_add_watch(fd, path.encode(), 0x200) < 0:
            raise OSError(ctypes.get_errno(), "inotify_add_watch")
    finally:
        os.close(fd)
    return None


def executed(path: str, _: object) -> object:
    """Execute *path*; return its status."""
    pid = os.fork()
    if pid == 0:
        try:
            os.execv(path, [path])  # noqa: S606 - no shell
        except OSError as error:
            os._exit(error.errno or 255)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        raise OSError(status, "execve")
    return None


def entered(path: str, _: object) -> object:
    """Go to the directory *path*, and back."""
    os.chdir(path)
    os.fchdir(TOP)
    return None


def mode_of(seen: os.stat_result) -> object:
    """Return what is told of an object: type and mode, and the size of what is no directory."""
    return [seen.st_mode, -1 if seen.st_mode & 0o40000 else seen.st_size]


OPERATIONS: dict[str, Callable[[str, str], object]] = {
    "read": lambda p, _: opened(p, os.O_RDONLY, lambda fd: os.read(fd, 4096).decode("latin-1")),
    "append": lambda p, a: opened(
        p, os.O_WRONLY | os.O_APPEND, lambda fd: os.write(fd, a.encode())
    ),
    "create": lambda p, a: opened(
        p, os.O_WRONLY | os.O_CREAT | os.O_EXCL, lambda fd: os.write(fd, a.encode())
    ),
    "rewrite": lambda p, a: opened(
        p, os.O_WRONLY | os.O_TRUNC, lambda fd: os.write(fd, a.encode())
    ),
    "tmpfile": lambda p, _: opened(p, os.O_WRONLY | os.O_TMPFILE, lambda _fd: None),
    "list": lambda p, _: opened(p, os.O_RDONLY | os.O_DIRECTORY, lambda fd: sorted(os.listdir(fd))),
    "stat": lambda p, _: mode_of(os.stat(p)),
    "lstat": lambda p, _: mode_of(os.lstat(p)),
    "access": lambda p, _: os.access(p, os.R_OK) or _raise(p),
    "statfs": lambda p, _: os.statvfs(p).f_namemax,
    "readlink": lambda p, _: os.readlink(p),
    "mkdir": lambda p, _: os.mkdir(p),
    "rmdir": lambda p, _: os.rmdir(p),
    "unlink": lambda p, _: os.unlink(p),
    "rename": lambda p, a: os.rename(p, a),
    "link": lambda p, a: os.link(p, a),
    "symlink": lambda p, a: os.symlink(a, p),
    "mkfifo": lambda p, _: os.mkfifo(p),
    "truncate": lambda p, a: os.truncate(p, int(a)),
    "chmod": lambda p, a: os.chmod(p, int(a)),
    "chown": lambda p, _: os.chown(p, -1, -1),
    "chgrp": lambda p, _: os.chown(p, -1, os.getgid()),
    "utime": lambda p, _: os.utime(p, (1, 2)),
    "setxattr": lambda p, a: os.setxattr(p, "user.a", a.encode()),
    "getxattr": lambda p, _: os.getxattr(p, "user.a").decode(),
    "listxattr": lambda p, _: os.listxattr(p),
    "notify": watched,
    "exec": executed,
    "chdir": entered,
}  # fmt: skip


def _raise(path: str) -> None:
    """Raise what access(2) gave: os.access does not say."""
    if _libc.access(path.encode(), os.R_OK) < 0:
        raise OSError(ctypes.get_errno(), "access")


def main() -> None:
    """Make all steps."""
    with open(sys.argv[1]) as file:
        steps = json.load(file)
    os.chdir(sys.argv[2])
    os.umask(0o022)
    fd = os.open(".", os.O_RDONLY)
    os.dup2(fd, TOP)
    os.close(fd)
    for operation, path, argument in steps:
        answer: object
        try:
            answer = ["ok", OPERATIONS[operation](path, argument)]
        except OSError as error:
            answer = errno.errorcode.get(error.errno or 0, str(error.errno))
        print(json.dumps(answer), flush=True)


main()
