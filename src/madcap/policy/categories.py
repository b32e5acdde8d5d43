# SPDX-License-Identifier: GPL-3.0-or-later
"""The 41 categories of access, their bits, and the 23 sets that stand for several of them.

The low 32 bits are part of the interface: a successful stat(2) of the control path shows them.
"""

from __future__ import annotations

from errno import EINVAL

from madcap.errors import PolicyError
from madcap.policy.blame import nearest

# fmt: off
LOCK        = 1 << 0
WALK        = 1 << 1
LIST        = 1 << 2
STAT        = 1 << 3
READ        = 1 << 4
WRITE       = 1 << 5
EXEC        = 1 << 6
IOCTL       = 1 << 7
CREATE      = 1 << 8
DELETE      = 1 << 9
RENAME      = 1 << 10
READLINK    = 1 << 11
SYMLINK     = 1 << 12
TRUNCATE    = 1 << 13
CHDIR       = 1 << 14
READDIR     = 1 << 15
MKDIR       = 1 << 16
RMDIR       = 1 << 17
CHOWN       = 1 << 18
CHGRP       = 1 << 19
CHMOD       = 1 << 20
CHATTR      = 1 << 21
CHROOT      = 1 << 22
NOTIFY      = 1 << 23
UTIME       = 1 << 24
MKBDEV      = 1 << 25
MKCDEV      = 1 << 26
MKFIFO      = 1 << 27
MKTEMP      = 1 << 28
NET_BIND    = 1 << 29
NET_CONNECT = 1 << 30
SENDFD      = 1 << 31
RECVFD      = 1 << 32
FS          = 1 << 33
PTY         = 1 << 34
PROXY       = 1 << 35
FORCE       = 1 << 36
TPE         = 1 << 37
MEM         = 1 << 38
PID         = 1 << 39
URING       = 1 << 40
# fmt: on

NAMES = (
    "lock",
    "walk",
    "list",
    "stat",
    "read",
    "write",
    "exec",
    "ioctl",
    "create",
    "delete",
    "rename",
    "readlink",
    "symlink",
    "truncate",
    "chdir",
    "readdir",
    "mkdir",
    "rmdir",
    "chown",
    "chgrp",
    "chmod",
    "chattr",
    "chroot",
    "notify",
    "utime",
    "mkbdev",
    "mkcdev",
    "mkfifo",
    "mktemp",
    "net/bind",
    "net/connect",
    "sendfd",
    "recvfd",
    "fs",
    "pty",
    "proxy",
    "force",
    "tpe",
    "mem",
    "pid",
    "uring",
)

# What a command may name: every category, then every set.
MASKS = {
    "lock": 1 << 0,
    "walk": 1 << 1,
    "list": 1 << 2,
    "stat": 1 << 3,
    "read": 1 << 4,
    "write": 1 << 5,
    "exec": 1 << 6,
    "ioctl": 1 << 7,
    "create": 1 << 8,
    "delete": 1 << 9,
    "rename": 1 << 10,
    "readlink": 1 << 11,
    "symlink": 1 << 12,
    "truncate": 1 << 13,
    "chdir": 1 << 14,
    "readdir": 1 << 15,
    "mkdir": 1 << 16,
    "rmdir": 1 << 17,
    "chown": 1 << 18,
    "chgrp": 1 << 19,
    "chmod": 1 << 20,
    "chattr": 1 << 21,
    "chroot": 1 << 22,
    "notify": 1 << 23,
    "utime": 1 << 24,
    "mkbdev": 1 << 25,
    "mkcdev": 1 << 26,
    "mkfifo": 1 << 27,
    "mktemp": 1 << 28,
    "net/bind": 1 << 29,
    "net/connect": 1 << 30,
    "sendfd": 1 << 31,
    "recvfd": 1 << 32,
    "fs": 1 << 33,
    "pty": 1 << 34,
    "proxy": 1 << 35,
    "force": 1 << 36,
    "tpe": 1 << 37,
    "mem": 1 << 38,
    "pid": 1 << 39,
    "uring": 1 << 40,
    "all": 0x1FFFFFF7E,
    "all-l": 0x1FFFFB778,
    "all-n": 0x1FF7FFF76,
    "all-x": 0x1FFFFFF3E,
    "all-ln": 0x1FF7FB770,
    "all-lx": 0x1FFFFB738,
    "all-nx": 0x1FF7FFF36,
    "all-lnx": 0x1FF7FB730,
    "lpath": 0x4806,
    "npath": 0x800008,
    "rpath": 0x8010,
    "wpath": 0x2020,
    "cpath": 0x700,
    "dpath": 0x6000000,
    "spath": 0x8001000,
    "tpath": 0x30000,
    "fown": 0xC0000,
    "fattr": 0x1300000,
    "net": 0x60000000,
    "inet": 0x60000000,
    "bnet": 0x20000000,
    "cnet": 0x40000000,
    "passfd": 0x180000000,
}

# The categories that take patterns.
RULES = 0x1FFFFFF7E

# The categories whose calls change a file: masked paths refuse them.
WRITE_LIKE = 0x3F3F3720

# What is on in a new policy, in a build with the "trusted" feature (others add LOCK).
INITIAL = 0x127FFFFB7F8

# Changed at start-up only, and for all domains at once.
STATIC = LOCK | PTY | PROXY | URING

# No hooks are installed for these when they are off at start: they cannot be switched on later.
UNHOOKED = MEM | PID | FORCE | IOCTL | LIST | STAT | CHDIR | NOTIFY | READLINK

NETWORK = NET_BIND | NET_CONNECT
DESCRIPTORS = SENDFD | RECVFD

_lists: dict[str, int] = {}


def parse_list(text: str) -> int:
    """Return the bits of the comma-joined names in *text*; raise PolicyError for a name unknown."""
    mask = _lists.get(text)
    if mask is None:
        mask = 0
        for name in text.split(","):
            bits = MASKS.get(name)
            if bits is None:
                raise unknown(name)
            mask |= bits
        if len(_lists) < 512:
            _lists[text] = mask
    return mask


def unknown(name: str) -> PolicyError:
    """Return the error for *name*, which is neither a category nor a set."""
    what = f"unknown category {name!r}" if name else "empty item in a list of categories"
    return PolicyError(
        EINVAL, what, expected="a category or set name" + nearest(name, MASKS), word=name
    )


def names_of(mask: int) -> list[str]:
    """Return the names of the bits in *mask*, lowest bit first."""
    return [name for bit, name in enumerate(NAMES) if mask >> bit & 1]
