# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask every call that takes a name about things that are there and about one that is not.

Arguments: a directory, which has ``there`` (a file), ``link`` and ``sub/`` in it. Prints, for each
call and form of the name, what came for each: JSON.
"""

import ctypes
import json
import os
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from rawcalls import AT_FDCWD, call, named

directory = sys.argv[1].encode()
buffer = ctypes.create_string_buffer(4096)
how = (ctypes.c_uint64 * 3)(0, 0, 0)
own = b"own"
with open(own, "w"):
    pass


def unix(name: bytes, what: str) -> int:
    """Name a UNIX socket, or reach one."""
    with socket.socket(socket.AF_UNIX) as made:
        address = b"\1\0" + name[:107] + b"\0"
        return call(what, made.fileno(), ctypes.create_string_buffer(address), len(address))


def arguments(path: bytes) -> list[ctypes.Array[ctypes.c_char]]:
    """Return a null-terminated vector of strings, as exec takes it."""
    return [ctypes.create_string_buffer(path)]


null = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), None)
CALLS = {
    "open": lambda p: call("open", p, 0, 0),
    "open-path": lambda p: call("open", p, 0o10000000, 0),
    "open-creat": lambda p: call("open", p, 0o101, 0o600),
    "open-excl": lambda p: call("open", p, 0o301, 0o600),
    "open-tmp": lambda p: call("open", p, 0o20200001, 0o600),
    "openat2": lambda p: call("openat2", AT_FDCWD, p, how, 24),
    "creat": lambda p: call("creat", p, 0o600),
    "stat": lambda p: call("stat", p, buffer),
    "lstat": lambda p: call("lstat", p, buffer),
    "newfstatat": lambda p: call("newfstatat", AT_FDCWD, p, buffer, 0),
    "statx": lambda p: call("statx", AT_FDCWD, p, 0, 0x7FF, buffer),
    "access": lambda p: call("access", p, 0),
    "access-write": lambda p: call("access", p, 2),
    "faccessat2": lambda p: call("faccessat2", AT_FDCWD, p, 4, 0),
    "statfs": lambda p: call("statfs", p, buffer),
    "readlink": lambda p: call("readlink", p, buffer, 99),
    "chdir": lambda p: call("chdir", p),
    "mkdir": lambda p: call("mkdir", p, 0o700),
    "mknod": lambda p: call("mknod", p, 0o100600, 0),
    "mkfifo": lambda p: call("mknod", p, 0o010600, 0),
    "symlink": lambda p: call("symlink", b"x", p),
    "chmod": lambda p: call("chmod", p, 0o600),
    "chown": lambda p: call("chown", p, os.getuid(), os.getgid()),
    "lchown": lambda p: call("lchown", p, os.getuid(), os.getgid()),
    "utime": lambda p: call("utime", p, 0),
    "utimensat": lambda p: call("utimensat", AT_FDCWD, p, 0, AT_SYMLINK_NOFOLLOW),
    "truncate": lambda p: call("truncate", p, 0),
    "getxattr": lambda p: call("getxattr", p, b"user.x", buffer, 99),
    "setxattr": lambda p: call("setxattr", p, b"user.x", b"x", 1, 0),
    "listxattr": lambda p: call("listxattr", p, buffer, 99),
    "removexattr": lambda p: call("removexattr", p, b"user.x"),
    "execve": lambda p: call("execve", p, null, null),
    "bind": lambda p: unix(p, "bind"),
    "connect": lambda p: unix(p, "connect"),
    "unlink": lambda p: call("unlink", p),
    "rmdir": lambda p: call("rmdir", p),
    "rename-from": lambda p: call("rename", p, b"new"),
    "rename-to": lambda p: call("rename", own, p),
    "exchange": lambda p: call("renameat2", AT_FDCWD, own, AT_FDCWD, p, 2),
    "noreplace": lambda p: call("renameat2", AT_FDCWD, own, AT_FDCWD, p, 1),
    "link-to": lambda p: call("link", own, p),
    "link-from": lambda p: call("link", p, b"new"),
}
AT_SYMLINK_NOFOLLOW = 0x100
NAMES = (b"there", b"link", b"sub", b"sub/file")
FORMS = (b"%s", b"%s/", b"%s/.", b"%s/..", b"%s/x", b"%s/../there")

found: dict[str, list[object]] = {}
for what, ask in CALLS.items():
    for form in FORMS:
        results = [
            named(ask(os.path.join(directory, form % name))) for name in (b"missing", *NAMES)
        ]
        found[f"{what} {form.decode()}"] = results
print(json.dumps(found))
