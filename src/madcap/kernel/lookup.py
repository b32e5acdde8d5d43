# SPDX-License-Identifier: GPL-3.0-or-later
"""Path resolution: from the guest's text to a pinned object and its canonical name.

Some facts about resolving for somebody else
--------------------------------------------
The name that policy judges must be the name of the object that is acted on, whatever other
threads rename meanwhile. Two roads lead there. A path without any link, dot or double slash is
opened in one openat2(2) with RESOLVE_NO_SYMLINKS: if that succeeds, the text *was* the canonical
name while the kernel walked it. Everything else is walked component by component on O_PATH
descriptors, each relative to the pinned one before, and links are followed by us, because only we
know the caller's /proc/self and because links in untrusted directories are not followed at all.
What is acted on afterwards is the descriptor (or a pinned parent and one name), never the text.

Everything below /proc/NUMBER needs care: its links are "magic" (they lead to an object, not to a
name), and NUMBER must be the caller, or the supervisor would lend its own rights to others.
"""

from __future__ import annotations

import errno

from madcap.abi import flags as F
from madcap.kernel import at_once
from madcap.kernel.host import FORCING
from madcap.kernel.names import is_safe_name
from madcap.kernel.substitute import is_substituted
from madcap.kernel.target import EMPTY, FOLLOW_HOW, LAST, Target, descriptor_name
from madcap.kernel.walk import Walk
from madcap.linux.fs import open_with
from madcap.policy.categories import WALK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.request import Request


def lookup(req: Request, dirfd: int, path: bytes, how: int, resolve: int = 0) -> Target:
    """Resolve *path* of the caller as *how* says; *resolve* has openat2's RESOLVE_ bits.

    Raises OSError as the kernel would: ENOENT, ENOTDIR, ELOOP, EACCES, EEXIST (MISS), EXDEV …;
    also ELOOP for a link in an untrusted directory, EACCES for others' /proc entries, EILSEQ for
    unsafe names. The caller's process counts as alive only after `Request.alive`.
    """
    if not path:
        if how & EMPTY:
            return from_descriptor(req, dirfd)
        raise OSError(errno.ENOENT, "empty path")
    if req.host.chrooted:
        raise OSError(errno.ENOENT, "after chroot")
    flags = req.policy.flags
    absolute = path[0] == 0x2F and not resolve & F.RESOLVE_IN_ROOT
    if absolute and resolve & F.RESOLVE_BENEATH:
        raise OSError(errno.EXDEV, "absolute path")
    asked = resolve
    if not flags.isdisjoint(FORCING):
        resolve = _forced(flags, path, resolve)
    target = None
    if not resolve and not req.policy.enabled & WALK:
        if how & LAST:
            target = at_once.entry(req, dirfd, path, how)
        elif absolute:
            target = at_once.at_once(req, req.host.root, b"", path, how)
        else:
            target = at_once.from_here(req, dirfd, path, how)
    if target is None:
        start = req.host.root if absolute else req.directory(dirfd)
        walk = Walk(req, start, absolute, how, resolve)
        # The kernel only learns where the root is from an absolute path or a dot-dot: until then an
        # absolute link leaves the mount, wherever it leads. What we force is not that literal.
        unset = F.RESOLVE_NO_XDEV | F.RESOLVE_IN_ROOT
        walk.rooted = absolute or asked & unset != F.RESOLVE_NO_XDEV
        target = walk.run(path)
    if "allow_unsafe_filename" not in flags:
        _check_name(target)
    return target


def from_descriptor(req: Request, number: int) -> Target:
    """Return what the caller's descriptor *number* (or AT_FDCWD) refers to, links unfollowed."""
    fd = req.directory(number)
    name = descriptor_name(req, fd)
    copy = b"!memfd:" + req.host.unique_name
    if name[:1] == b"!" and name.startswith(copy) and is_substituted(name[len(copy) :]):
        fd, name = _behind(req, name[len(copy) :])
    target = Target(fd, name)
    target.magic = True
    return target


def _behind(req: Request, path: bytes) -> tuple[int, bytes]:
    """Return (descriptor, name) of the file *path* that a memory file of ours stands for."""
    if path.startswith(b"/proc/self/"):
        path = b"/proc/%d/" % req.tgid + path[len(b"/proc/self/") :]
    if path.startswith(b"/dev/syd"):
        path = b"/dev/null"
    fd = open_with(req.host.root, path, FOLLOW_HOW)
    if fd < 0:
        raise OSError(errno.ENOENT, "the original is gone")
    return req.own(fd), path


def _forced(flags: set[str], path: bytes, resolve: int) -> int:
    if "deny_dotdot" in flags and b".." in path.split(b"/"):
        raise OSError(errno.EPERM, "dot-dot")
    if "force_no_symlinks" in flags:
        resolve |= F.RESOLVE_NO_SYMLINKS
    if "force_no_magiclinks" in flags:
        resolve |= F.RESOLVE_NO_MAGICLINKS
    if "force_no_xdev" in flags:
        resolve |= F.RESOLVE_NO_XDEV
    return resolve


def _check_name(target: Target) -> None:
    name = target.name
    base = name[name.rfind(b"/") + 1 :]
    if base and not is_safe_name(base) and name[:6] != b"/proc/" and name[:1] == b"/":
        if target.magic:
            return
        raise OSError(errno.EILSEQ, "unsafe name")
