# SPDX-License-Identifier: GPL-3.0-or-later
"""File system types: their magic numbers, and the rules about them.

The numbers are those of linux/magic.h and of the file systems that keep theirs to themselves.
"""

from __future__ import annotations

from errno import EINVAL, ENOSPC, EPERM

from madcap.errors import PolicyError
from madcap.policy.access import judge_default_in_drop, require_action
from madcap.policy.blame import nearest
from madcap.policy.categories import FS
from madcap.policy.domain import LIST_MAX
from madcap.policy.values import invalid, number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from madcap.errors import Origin
    from madcap.policy.sandbox import Sandbox

MAGIC: Final = {
    "aafs": (0x5A3C69F0,),
    "adfs": (0xADF5,),
    "affs": (0xADFF,),
    "afs": (0x5346414F,),
    "anon_inode_fs": (0x9041934,),
    "aufs": (0x61756673,),
    "autofs": (0x187,),
    "bcachefs": (0xCA451A4E,),
    "bdevfs": (0x62646576,),
    "befs": (0x42465331,),
    "bfs": (0x1BADFACE,),
    "binderfs": (0x6C6F6F70,),
    "binfmt_misc": (0x42494E4D,),
    "bpf_fs": (0xCAFE4A11,),
    "btrfs": (0x9123683E,),
    "btrfs_test": (0x73727279,),
    "ceph": (0xC36400,),
    "cgroup": (0x27E0EB,),
    "cgroup2": (0x63677270,),
    "cifs": (0xFF534D42,),
    "coda": (0x73757245,),
    "coh": (0x12FF7B7,),
    "configfs": (0x62656570,),
    "cramfs": (
        0x28CD3D45,
        0x453DCD28,
    ),
    "daxfs": (0x64646178,),
    "debugfs": (0x64626720,),
    "devfs": (0x1373,),
    "devmem": (0x454D444D,),
    "devpts": (0x1CD1,),
    "dma_buf": (0x444D4142,),
    "ecryptfs": (0xF15F,),
    "efivarfs": (0xDE5E81E4,),
    "efs": (0x414A53,),
    "erofs": (0xE0F5E1E2,),
    "exfat": (0x2011BAB0,),
    "ext": (
        0x137D,
        0xEF51,
        0xEF53,
    ),
    "f2fs": (0xF2F52010,),
    "failfs": (0x4641494C,),
    "fat": (0x4006,),
    "fhgfs": (0x19830326,),
    "fuseblk": (0x65735546,),
    "fusectl": (0x65735543,),
    "futexfs": (0xBAD1DEA,),
    "gfs": (0x1161970,),
    "gpfs": (0x47504653,),
    "guest_memfd": (0x474D454D,),
    "hfs": (0x4244,),
    "hfsplus": (0x482B,),
    "hostfs": (0xC0FFEE,),
    "hpfs": (0xF995E849,),
    "hugetlbfs": (0x958458F6,),
    "inodefs": (0x11307854,),
    "inotifyfs": (0x2BAD1DEA,),
    "isofs": (
        0x9660,
        0x4004,
        0x4000,
    ),
    "jffs": (0x7C0,),
    "jffs2": (0x72B6,),
    "jfs": (0x3153464A,),
    "kafs": (0x6B414653,),
    "lustre": (0xBD00BD0,),
    "minix": (
        0x137F,
        0x138F,
    ),
    "minix2": (
        0x2468,
        0x2478,
    ),
    "minix3": (0x4D5A,),
    "mqueue": (0x19800202,),
    "msdos": (0x4D44,),
    "ncp": (0x564C,),
    "nfs": (0x6969,),
    "nfsd": (0x6E667364,),
    "nilfs": (0x3434,),
    "nsfs": (0x6E736673,),
    "ntfs": (0x5346544E,),
    "nullfs": (0x4E554C4C,),
    "ocfs2": (0x7461636F,),
    "openprom": (0x9FA1,),
    "overlayfs": (0x794C7630,),
    "panfs": (0xAAD7AAEA,),
    "pid_fd": (0x50494446,),
    "pipefs": (0x50495045,),
    "proc": (0x9FA0,),
    "pstorefs": (0x6165676C,),
    "qnx4": (0x2F,),
    "qnx6": (0x68191122,),
    "ramfs": (0x858458F6,),
    "rdtgroup": (0x7655821,),
    "reiserfs": (0x52654973,),
    "reiserfs2": (0x52654974,),
    "reiserfs3": (0x52654975,),
    "romfs": (0x7275,),
    "rpc_pipefs": (0x67596969,),
    "secretmem": (0x5345434D,),
    "securityfs": (0x73636673,),
    "selinux": (0xF97CFF8C,),
    "smack": (0x43415D53,),
    "smb": (0x517B,),
    "smb2": (0xFE534D42,),
    "sockfs": (0x534F434B,),
    "squashfs": (0x73717368,),
    "sysfs": (0x62656572,),
    "sysv2": (0x12FF7B6,),
    "sysv4": (0x12FF7B5,),
    "tmpfs": (0x1021994,),
    "tracefs": (0x74726163,),
    "udf": (0x15013346,),
    "ufs": (
        0x11954,
        0x54190100,
    ),
    "usbdevfs": (0x9FA2,),
    "v9fs": (0x1021997,),
    "vmhgfs": (0xBACBACBC,),
    "vxfs": (0xA501FCF5,),
    "vzfs": (0x565A4653,),
    "xenfs": (0xABBA1974,),
    "xenix": (0x12FF7B4,),
    "xfs": (0x58465342,),
    "xia": (0x12FD16D,),
    "zfs": (0x2FC12FC1,),
    "zonefs": (0x5A4F4653,),
}

ALIASES: Final = {"ext2": "ext", "ext3": "ext", "ext4": "ext"}


class FsRule:
    """What is answered for files on file systems of one type."""

    __slots__ = ("action", "magic", "origin")

    def __init__(self, action: int, magic: int, origin: Origin | None) -> None:
        self.action = action
        self.magic = magic
        self.origin = origin


def parse_list(text: str) -> list[int]:
    """Return the magic numbers behind the comma-joined names and numbers in *text*."""
    found: list[int] = []
    for name in text.split(","):
        magics = MAGIC.get(ALIASES.get(name, name))
        if magics is not None:
            found += magics
        elif name == "all":
            for magics in MAGIC.values():
                found += magics
        elif "0" <= name[:1] <= "9" or name[:1] == "+":
            found.append(_number(name))
        else:
            raise PolicyError(
                EINVAL,
                f"unknown file system type {name!r}",
                expected="a name, a magic number or all" + nearest(name, MAGIC),
                word=name,
            )
    return found


def _number(text: str) -> int:
    try:
        return number(text)
    except PolicyError:
        raise invalid("magic number", text, "a number of 64 bits") from None


def name_of(magic: int) -> str | None:
    """Return the name of the type with the number *magic*, if it has one."""
    for name, magics in MAGIC.items():
        if magic in magics:
            return name
    return None


def command(box: Sandbox, action: int, operator: str, text: str) -> None:
    """Do ``ACTION/fs+LIST``, ``-LIST`` or ``^LIST``."""
    magics = parse_list(box.expand(text))
    box.require_unlocked()
    domain = box.subject
    require_action(box, action, operator)
    if box.in_drop and operator == "+":
        judge_default_in_drop(box, action, FS)
        if any(old.action > action and old.magic in magics for old in domain.fs_rules):
            raise PolicyError(EPERM, "would weaken a stricter rule under lock:drop")
    rules = list(domain.fs_rules)
    if operator == "+":
        for magic in magics:
            if len(rules) + 1 >= LIST_MAX:
                raise PolicyError(ENOSPC, f"more than {LIST_MAX - 1} rules about file systems")
            rules.append(FsRule(action, magic, box.origin))
    else:
        for magic in magics:
            rules = _without(rules, action, magic, every=operator == "^")
    domain.fs_rules = rules
    domain.touch()


def _without(rules: list[FsRule], action: int, magic: int, *, every: bool) -> list[FsRule]:
    kept: list[FsRule] = []
    done = False
    for rule in reversed(rules):
        if rule.magic == magic and rule.action == action and not done:
            done = not every
        else:
            kept.append(rule)
    kept.reverse()
    return kept
