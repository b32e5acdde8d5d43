# SPDX-License-Identifier: GPL-3.0-or-later
"""mmap(2) of files as executable: judged at the call's ptrace stop, verified at its exit.

The descriptor is read again by the kernel after we looked at it, and a thread could swap what it
refers to in between. So those who could are held (supervisor/freeze.py), and the mapping that
really came about is compared with the file judged.
"""

from __future__ import annotations

import errno
import fcntl
import os

from madcap import events
from madcap.abi import flags as F
from madcap.kernel import elf, formats, trust
from madcap.kernel.judge import require
from madcap.kernel.target import descriptor_name, subject
from madcap.linux.fs import filesystem_type
from madcap.linux.process import query_mapping, read_file
from madcap.policy import categories as C

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.host import Host
    from madcap.kernel.request import Request
    from madcap.linux._call import Buffer

    #: What was judged, or was found in maps: device, inode, the kernel's text for its path.
    Identity = tuple[int, int, bytes]

_PROT_WRITE, _PROT_EXEC = 2, 4
_MAP_SHARED_MASK, _MAP_SHARED, _MAP_ANONYMOUS = 0x0F, 0x01, 0x20
_PAGE = 4096  # The smallest there is: a page may be larger, and the kernel then refuses more.
_LONGEST = (1 << 64) - _PAGE
_MAPS_LIMIT = 16 << 20
_STRANGE = (0x794C7630, 0x9123683E)  # overlayfs, btrfs


def concerned(req: Request) -> bool:
    """Tell whether the mmap that *req* is stopped at maps a file as executable."""
    return bool(req.u32(2) & _PROT_EXEC) and not req.u32(3) & _MAP_ANONYMOUS


def judge(req: Request) -> tuple[Identity, bytes]:
    """Judge the executable mmap of a file that *req* is stopped at.

    Returns what the file is, and the name that rules know it by. Raises
    OSError with what the caller is to get.
    """
    protection, flags = req.u32(2), req.u32(3)
    options = req.host.options
    guarded = "allow_unsafe_exec_memory" not in options
    if guarded and (protection & _PROT_WRITE or flags & _MAP_SHARED_MASK == _MAP_SHARED):
        raise OSError(errno.EPERM, "writable and executable")
    if req.args[5] & _PAGE - 1:
        raise OSError(errno.EINVAL, "offset")
    fd = req.descriptor(req.i32(4))
    status = fcntl.fcntl(fd, fcntl.F_GETFL)
    if status & F.O_PATH:
        raise OSError(errno.EBADF, "an O_PATH descriptor")
    length = req.args[1]
    if not length or not flags & _MAP_SHARED_MASK:
        # As the kernel rounds it, the greatest lengths are none; it looks at the type after that.
        raise OSError(errno.EINVAL if length <= _LONGEST else errno.ENOMEM, "length or type")
    if length > _LONGEST:
        raise OSError(errno.ENOMEM, "length")
    if guarded and status & F.O_ACCMODE != F.O_RDONLY:
        raise OSError(errno.EACCES, "open for writing")
    st = os.fstat(fd)
    if st.st_mode & F.S_IFMT != F.S_IFREG and "allow_unsafe_exec_noreg" not in options:
        raise OSError(errno.EACCES, "not a regular file")
    name = descriptor_name(req, fd)
    if name[:1] == b"!" and "allow_unsafe_memfd" not in options:
        raise OSError(errno.EACCES, "a memory file")
    if not st.st_nlink and name[:1] == b"/" and "allow_unsafe_deleted" not in req.policy.flags:
        raise OSError(errno.EPERM, "deleted")
    known = subject(req, name)
    require(req, C.EXEC, known)
    trust.require(req.host, req.policy, fd, name, req.name, req.tid)
    _format(req, fd, name)
    if req.policy.enabled & C.FORCE:
        from madcap.kernel import checksum

        where: dict[str, object] = {"ctx": "mmap", "op": "verify_lib", "sys": req.name}
        checksum.require(req, fd, name, where, "")
    return identity(fd, st, req.link_text(fd), req.scratch), known


def _format(req: Request, fd: int, name: bytes) -> None:
    options = req.host.options
    if {"allow_unsafe_exec_stack", "allow_unsafe_exec_textrel"} <= options:
        return
    reason: str | None = "not an ELF file"
    try:
        found = formats.inspect(req.host, fd)
        if isinstance(found, elf.Elf):
            reason = elf.mapping_refusal(found, options)
    except elf.ElfError as error:
        reason = str(error)
    if reason is None:
        return
    events.emit(
        events.WARN,
        {"ctx": "mmap", "op": "check_elf", "sys": req.name, "err": errno.EACCES, "path": name},
        pid=req.tid,
        msg=reason,
    )
    raise OSError(errno.EACCES, reason)


def mapped_at(host: Host, tid: int, address: int, *, named: bool) -> Identity | None:
    """Return what is mapped at *address* of thread *tid*; its path only where *named*."""
    if not named:
        found = query_mapping(host.proc, tid, address)
        if found is not None:
            return (*found, b"")
    text = read_file(host.proc, b"%d/maps" % tid, _MAPS_LIMIT)
    start = b"%x-" % address
    at = text.find(b"\n" + start) + 1
    lines = [text[at : text.find(b"\n", at)]] if at else text.split(b"\n")
    for line in lines:
        fields = line.split(None, 5)
        if len(fields) < 5:
            continue
        low, _, high = fields[0].partition(b"-")
        if int(low, 16) <= address < int(high, 16):  # Neighbours of one file are merged.
            major, _, minor = fields[3].partition(b":")
            path = fields[5] if len(fields) > 5 else b""
            return os.makedev(int(major, 16), int(minor, 16)), int(fields[4]), path
    return None


def identity(fd: int, st: os.stat_result, text: bytes, scratch: Buffer) -> Identity:
    """Return what the object behind *fd* is, to be compared with what maps shows.

    *text* is its path as the kernel shows it. It counts only where maps may show another device
    than stat(2), else it is left out.
    """
    strange = filesystem_type(fd, scratch) in _STRANGE
    return st.st_dev, st.st_ino, in_maps(text) if strange else b""


def in_maps(text: bytes) -> bytes:
    """Return the path *text* as maps shows it."""
    return text.replace(b"\n", b"\\012")


def same(judged: Identity, found: Identity | None) -> bool:
    """Tell whether *found* in maps is the object *judged*.

    Device numbers of overlayfs and btrfs differ between stat(2) and maps: there the path has to be
    the same. Everywhere else the number must be, also on file systems without a major number:
    whoever may write on a tmpfs chooses what inode numbers his files have.
    """
    if found is None or judged[1] != found[1]:
        return False
    return judged[0] == found[0] or (judged[2] != b"" and judged[2] == found[2])
