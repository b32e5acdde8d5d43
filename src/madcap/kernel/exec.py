# SPDX-License-Identifier: GPL-3.0-or-later
"""execve(2) and execveat(2): judged here, run by the kernel, verified at the exec stop.

Nobody but the kernel can replace a process image, so this call is continued although its path is
read again. What makes that safe is `verify`: at PTRACE_EVENT_EXEC the new image is in place and
none of it has run; the program and the loader that the kernel really mapped are judged again, and
a mismatch kills. With trace/allow_unsafe_ptrace nobody verifies; the switch says so.
"""

from __future__ import annotations

import errno
import os

from madcap import events
from madcap.abi import flags as F
from madcap.kernel import elf, formats, moves, trust
from madcap.kernel.crashes import tell
from madcap.kernel.judge import admit, carry_out, hide_device, require
from madcap.kernel.lookup import from_descriptor, lookup
from madcap.kernel.reply import Continue
from madcap.kernel.target import EMPTY, FOLLOW, subject
from madcap.linux import fs
from madcap.policy import categories as C

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.host import Host
    from madcap.kernel.reply import Reply
    from madcap.kernel.request import Request
    from madcap.kernel.target import Target

_CONTINUE = Continue("the image is verified at the exec stop before any of it runs")
_UNVERIFIED = Continue("trace/allow_unsafe_ptrace gives up the check at the call's stop")
_FLAGS = F.AT_SYMLINK_NOFOLLOW | F.AT_EMPTY_PATH | F.AT_EXECVE_CHECK


def sys_execve(req: Request) -> Reply:
    """execve(2)."""
    path = req.path(0)
    return _exec(req, lookup(req, F.AT_FDCWD, path, FOLLOW), 0)


def sys_execveat(req: Request) -> Reply:
    """execveat(2)."""
    flags, path = req.u32(4), req.path(1)
    if not path and not flags & F.AT_EMPTY_PATH:
        raise OSError(errno.ENOENT, "empty path")
    if flags & ~_FLAGS:
        raise OSError(errno.EINVAL, "flags")
    how = 0 if flags & F.AT_SYMLINK_NOFOLLOW else FOLLOW
    if flags & F.AT_EMPTY_PATH:
        how |= EMPTY
    return _exec(req, lookup(req, req.i32(0), path, how), flags)


def _exec(req: Request, target: Target, flags: int) -> Reply:
    req.alive()
    kind = target.type
    hide_device(req, kind)
    name = subject(req, target.name)
    require(req, C.EXEC, name)
    if kind == F.S_IFLNK:
        raise OSError(errno.ELOOP, "a link")
    if kind != F.S_IFREG:
        raise OSError(errno.EACCES, "not a regular file")
    if target.name[:1] == b"!" and "allow_unsafe_memfd" not in req.host.options:
        raise OSError(errno.EACCES, "a memory file")
    fs.faccessat2(target.fd, b"", os.X_OK, F.AT_EACCESS | F.AT_EMPTY_PATH)
    if not req.host.traced:
        if not flags & F.AT_EXECVE_CHECK:
            moves.after(req.host, "exec", name)  # Before it happened: nobody is there to see it.
        return _CONTINUE
    if req.host.crashes.suspended(req.policy, target.name):
        tell(req.policy, target.name, req.name, req.tid)
        carry_out(req, req.policy.default_segvguard, errno.EACCES)
    trust.require(req.host, req.policy, target.fd, target.name, req.name, req.tid)
    try:
        inspect(req, target)
    except OSError as error:
        if error.errno == errno.ENOEXEC:
            _not_written(target.fd)
        raise
    if req.policy.enabled & C.FORCE:
        from madcap.kernel import checksum

        where: dict[str, object] = {"ctx": "verify_elf", "sys": req.name}
        checksum.require(req, target.fd, target.name, where, "<algorithm>:")
    return _CONTINUE


def _not_written(fd: int) -> None:
    """Raise ETXTBSY where somebody writes the file: that comes before its format (Linux 6.14)."""
    try:
        fs.execveat(fd, b"", None, None, F.AT_EMPTY_PATH | F.AT_EXECVE_CHECK)
    except OSError as error:
        if error.errno == errno.ETXTBSY:
            raise


def sys_chdir(req: Request) -> Reply:
    """chdir(2), notified only with trace/allow_unsafe_ptrace: nobody verifies it then."""
    path = req.path(0)
    if req.host.chrooted and not path.strip(b"/") and path:
        return _UNVERIFIED
    return _directory(req, lookup(req, F.AT_FDCWD, path, FOLLOW))


def sys_fchdir(req: Request) -> Reply:
    """fchdir(2), notified only with trace/allow_unsafe_ptrace."""
    return _directory(req, from_descriptor(req, req.i32(0)))


def _directory(req: Request, target: Target) -> Reply:
    if target.type != F.S_IFDIR:
        raise OSError(errno.ENOTDIR, "not a directory")
    admit(req, target, C.CHDIR)
    moves.after(req.host, "chdir", subject(req, target.name))
    return _UNVERIFIED


def inspect(req: Request, target: Target) -> None:
    """Raise EACCES (ENOEXEC) where the file's format is refused by a switch."""
    options = req.host.options
    if not elf.wants_inspection(options):
        return
    # A program that may be run but not read is EACCES: the kernel allows it, but we must look.
    reason = refusal(req.host, target.fd, program=True)
    if reason is None:
        return
    script = reason == "deny_exec_script"
    events.emit(
        events.WARN,
        {
            "ctx": "exec",
            "op": reason if script else "check_elf",
            "sys": req.name,
            "err": errno.EACCES,
            "path": target.name,
        },
        pid=req.tid,
        msg=f"refused by {reason}",
        tip=f"configure `trace/{reason}:{int(reason.startswith('allow'))}'",
    )
    raise OSError(errno.EACCES, reason)


def refusal(host: Host, fd: int, *, program: bool) -> str | None:
    """Return the switch that refuses the file behind *fd*, None where none does."""
    try:
        found = formats.inspect(host, fd)
    except elf.ElfError as error:
        raise OSError(errno.ENOEXEC, str(error)) from None
    if found is elf.UNKNOWN:
        raise OSError(errno.ENOEXEC, "neither ELF nor script")
    return elf.refusal(found, host.options, program=program)
