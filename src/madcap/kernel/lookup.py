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
import os

from madcap import events
from madcap.abi import flags as F
from madcap.kernel.host import OPEN
from madcap.kernel.names import is_safe_name
from madcap.kernel.procfs import refuse_elsewhere
from madcap.kernel.substitute import is_substituted
from madcap.linux._call import get_errno
from madcap.linux.fs import open_with, openat2_how
from madcap.policy.categories import WALK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.request import Request

# How the last component is treated; none of these: the object itself must exist, no following.
FOLLOW = 1  #: Follow a link.
MAY = 2  #: It may be missing; parent and name are pinned also.
MISS = 4  #: It must be missing (EEXIST); parent and name are pinned.
BASE = 8  #: Parent and name are wanted, for an object that exists; never followed.
EMPTY = 16  #: An empty path means the descriptor itself.
_LAST = MAY | MISS | BASE

MAX_LINKS = 40
_PLAIN = F.RESOLVE_NO_SYMLINKS | F.RESOLVE_NO_MAGICLINKS
_FOLLOW_HOW = openat2_how(F.O_PATH, _PLAIN)
_NOFOLLOW_HOW = openat2_how(F.O_PATH | OPEN.NOFOLLOW, _PLAIN)
_DIRECTORY_HOW = openat2_how(F.O_PATH | OPEN.DIRECTORY, _PLAIN)
_MAGIC_HOW = openat2_how(F.O_PATH, 0)
_SCOPED = F.RESOLVE_BENEATH | F.RESOLVE_IN_ROOT
_UNTRUSTED = F.S_ISVTX | 0o022
_FORCING = frozenset(("deny_dotdot", "force_no_symlinks", "force_no_magiclinks", "force_no_xdev"))


class Target:
    """What a path led to.

    *fd* pins the object (-1: missing), *name* is its canonical name; *parent* and *base* are set
    where the lookup asked for them. *directory* tells that the path ended in a slash. All
    descriptors belong to the request.
    """

    __slots__ = ("_st", "base", "directory", "fd", "magic", "name", "parent")

    def __init__(self, fd: int, name: bytes) -> None:
        self.fd = fd
        self.name = name
        self.parent = -1
        self.base = b""
        self.directory = False
        self.magic = False
        self._st: os.stat_result | None = None

    @property
    def st(self) -> os.stat_result:
        """The object's attributes, read once."""
        if self._st is None:
            self._st = os.fstat(self.fd)
        return self._st

    @property
    def type(self) -> int:
        """The object's type bits (S_IF…), 0 where it is missing."""
        return self.st.st_mode & F.S_IFMT if self.fd >= 0 else 0


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
    if not flags.isdisjoint(_FORCING):
        resolve = _forced(flags, path, resolve)
    target = None
    if not resolve and not req.policy.enabled & WALK:
        if how & _LAST:
            target = _entry(req, dirfd, path, how)
        elif absolute:
            target = _at_once(req, req.host.root, b"", path, how)
        else:
            target = _from_here(req, dirfd, path, how)
    if target is None:
        start = req.host.root if absolute else req.directory(dirfd)
        walk = _Walk(req, start, absolute, how, resolve)
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
    fd = open_with(req.host.root, path, _FOLLOW_HOW)
    if fd < 0:
        raise OSError(errno.ENOENT, "the original is gone")
    return req.own(fd), path


def descriptor_name(req: Request, fd: int) -> bytes:
    """Return the subject for rules of what our descriptor *fd* refers to.

    A path without the kernel's mark of a deleted file; ``!memfd:NAME``, ``!secretmem``; for pipes,
    sockets and anonymous inodes ``/proc/TGID/fd/pipe:[N]``.
    """
    text = req.link_text(fd)
    if text[:1] != b"/":
        _reachable(text)
        return b"/proc/%d/fd/%s" % (req.tgid, text)
    if text.startswith(b"/secretmem") and text in (b"/secretmem", b"/secretmem (deleted)"):
        return b"!secretmem"
    if text.endswith(b" (deleted)") and os.fstat(fd).st_nlink == 0:
        text = text[:-10]
        if text.startswith((b"/memfd:", b"/memfd-hugetlb:")):
            return b"!" + text[1:]
    return text


def _reachable(text: bytes) -> None:
    """Raise ENOENT for a file that has no name below the root: rules can't say anything of it."""
    if text.startswith(b"(unreachable)"):
        raise OSError(errno.ENOENT, "unreachable")


def subject(req: Request, name: bytes) -> bytes:
    """Return *name* as rules know it: the caller's own /proc entry is /proc/self."""
    if name.startswith(b"/proc/") and name[6:7].isdigit():
        number, _, rest = name[6:].partition(b"/")
        if number.isdigit() and int(number) in (req.tid, req.tgid):
            return b"/proc/self/" + rest if rest else b"/proc/self"
    return name


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


def _is_clean(path: bytes) -> bool:
    """Tell whether *path*, if it has no links, is canonical below its start."""
    if path[-1] == 0x2F or b"//" in path:
        return False
    if b"/." in path and (b"/./" in path or b"/../" in path or path.endswith((b"/.", b"/.."))):
        return False
    return path[0] != 0x2E or not (path in (b".", b"..") or path.startswith((b"./", b"../")))


def _at_once(req: Request, start: int, prefix: bytes, path: bytes, how: int) -> Target | None:
    """Open *path* in one call, or return None where it has to be walked.

    *prefix* is the canonical name of *start*, b"" for the root.
    """
    fd = _open(req, start, path, _FOLLOW_HOW if how & FOLLOW else _NOFOLLOW_HOW)
    if fd < 0:
        return None
    name = b""
    if _is_clean(path):
        name = path if path[0] == 0x2F else prefix + b"/" + path
    return _named(req, fd, name, path)


def _from_here(req: Request, dirfd: int, path: bytes, how: int) -> Target | None:
    """Open the relative *path* in one call, or return None where it has to be walked.

    This thread goes to the caller's directory itself: that is half as dear as to hold a descriptor
    of it and to ask /proc for its name. Whatever is found at /proc, the name is the kernel's.
    """
    if not _go(req, dirfd):
        return None  # The walk finds out why.
    fd = _open(req, F.AT_FDCWD, path, _FOLLOW_HOW if how & FOLLOW else _NOFOLLOW_HOW)
    if fd < 0:
        return None
    name = b""
    if _is_clean(path):
        try:
            prefix = os.getcwdb()
        except OSError:
            return None  # A deleted directory.
        name = prefix + b"/" + path if prefix != b"/" else b"/" + path
    return _named(req, fd, name, path)


def _entry(req: Request, dirfd: int, path: bytes, how: int) -> Target | None:
    """Pin the directory and the name that *path* ends in, or return None where it has to be walked.

    The way to the directory is opened in one call.
    """
    if not _is_clean(path):
        return None
    head, _, base = path.rpartition(b"/")
    if path[0] == 0x2F:
        parent, above = req.host.root, head
        if head:
            parent = _open(req, parent, head, _DIRECTORY_HOW)
    else:
        if not _go(req, dirfd):
            return None
        parent = _open(req, F.AT_FDCWD, head or b".", _DIRECTORY_HOW)
        try:
            above = os.getcwdb()
        except OSError:
            return None
        if above == b"/":
            above = b"/" + head if head else b""
        elif head:
            above += b"/" + head
        if above[:1] not in (b"/", b""):
            return None
    if parent < 0 or above == b"/proc" or above[:6] == b"/proc/":
        return None
    name = above + b"/" + base
    fd = open_with(parent, base, _NOFOLLOW_HOW)
    if fd < 0:
        if get_errno() != errno.ENOENT or not how & (MAY | MISS):
            return None
        target = Target(-1, name)
    else:
        req.own(fd)
        target = Target(fd, name)
        if req.host.procs_elsewhere:
            refuse_elsewhere(req, target.st.st_dev, name, fd)
        if how & MISS:
            raise OSError(errno.EEXIST, "exists")
        if how & FOLLOW and not how & BASE and target.type == F.S_IFLNK:
            return None
    target.parent = parent
    target.base = base
    return target


def _go(req: Request, dirfd: int) -> bool:
    """Go to the caller's directory *dirfd*; False where that isn't one or can't be entered."""
    if dirfd == F.AT_FDCWD:
        here = b"/proc/%d/cwd" % req.tid
    elif dirfd >= 0:
        here = b"/proc/%d/fd/%d" % (req.tid, dirfd)
    else:
        raise OSError(errno.EBADF, "bad descriptor")
    try:
        os.chdir(here)
    except OSError:
        return False
    return True


def _open(req: Request, start: int, path: bytes, how: bytes) -> int:
    """Open *path*, which leads over no link, below *start*; -1 where there is one."""
    fd = open_with(start, path, how)
    if fd >= 0:
        return req.own(fd)
    error = get_errno()
    if error != errno.ELOOP:
        raise OSError(error, "lookup")
    return -1


def _named(req: Request, fd: int, name: bytes, path: bytes) -> Target | None:
    """Return the target for *fd*, to which *path* led; the kernel is asked where *name* is b"".

    None for what is in /proc: the walk tells whose entry that is and what its links mean.
    """
    if not name:
        name = req.link_text(fd)
        if name.endswith(b" (deleted)") and os.fstat(fd).st_nlink == 0:
            name = name[:-10]
    if name[:6] == b"/proc/" and (name[6:7].isdigit() or name[6:7] in b"st"):
        return None
    if name[:1] != b"/":
        raise OSError(errno.ENOENT, "unreachable")
    target = Target(fd, name)
    if req.host.procs_elsewhere:
        refuse_elsewhere(req, target.st.st_dev, name, fd)
    target.directory = path[-1] == 0x2F
    return target


class _Walk:
    """One walk of a path, component by component."""

    __slots__ = (
        "_at_once", "_depth", "_device", "_dot", "_links", "_slash", "fd", "how", "name", "req",
        "resolve", "rooted", "stack", "start",
    )  # fmt: skip

    def __init__(self, req: Request, start: int, absolute: bool, how: int, resolve: int) -> None:
        self.req = req
        self.start = self.fd = start
        self.how = how
        self.resolve = resolve
        self.stack: list[bytes] = []
        self._links = 0
        self._depth = 0
        self._at_once = False
        self._slash = False  # A link that was followed last asked for a directory.
        self._dot = False  # The walk ends in a dot: that asks for the right to search.
        self.rooted = True
        self._device = -1
        if absolute:
            self.name = b""
        else:
            name = req.link_text(start)
            if name[:1] != b"/":
                gone = os.fstat(start).st_mode & F.S_IFMT == F.S_IFDIR
                raise OSError(errno.ENOENT if gone else errno.ENOTDIR, "no directory with a name")
            if name.endswith(b" (deleted)") and os.fstat(start).st_nlink == 0:
                name = name[:-10]
            self.name = b"" if name == b"/" else name
            self._guard(self.name)

    def _guard(self, name: bytes) -> None:
        """Refuse *name* where it is below another process's /proc entry, however it was reached."""
        if name[:6] != b"/proc/" or not name[6:7].isdigit():
            return
        text = name[6:].partition(b"/")[0]
        if not text.isdigit():  # An entry that is gone: "/proc/7 (deleted)".
            raise OSError(errno.ENOENT, "no process")
        number = int(text)
        req = self.req
        if number in (req.tid, req.tgid):
            return
        if "allow_unsafe_magiclinks" not in req.host.options:
            raise OSError(errno.EACCES, "another process")
        own = open_with(req.host.proc, b"self/task/%d" % number, _DIRECTORY_HOW)
        if own >= 0:
            os.close(own)
            raise OSError(errno.ENOENT, "hidden")

    def run(self, path: bytes) -> Target:
        """Walk *path* and return the target."""
        how = self.how
        slash = path[-1] == 0x2F
        parts = [part for part in path.split(b"/") if part and part != b"."]
        last = path.rstrip(b"/").rpartition(b"/")[2]
        dot = last in (b"", b".", b"..")
        self._dot = last == b"."
        if self.resolve & F.RESOLVE_NO_XDEV:
            self._device = os.fstat(self.start).st_dev
        if how & _LAST and dot:
            return self._dot_last(path, parts)
        # A trailing slash or dot asks for a directory, through a link too, except where the last
        # component is to be made or removed.
        if (slash or last == b".") and not how & (MISS | BASE):
            self.how = how = how | FOLLOW
        self.stack = parts[::-1]
        while self.stack:
            target = self._step()
            if target is not None:
                target.directory = slash or last == b"." or self._slash
                self._finish(target)
                return target
        target = Target(self.fd, self.name or b"/")
        target.directory = slash or dot or self._slash
        self._finish(target)
        return target

    def _finish(self, target: Target) -> None:
        self._see(target.name)
        wrong = target.directory and target.fd >= 0 and target.type != F.S_IFDIR
        if wrong and not self.how & _LAST:
            raise OSError(errno.ENOTDIR, "not a directory")
        if self._dot and target.fd >= 0:
            self._search(target.fd)
        if self.resolve & _SCOPED:
            self._inside(target.fd if target.fd >= 0 else target.parent)

    def _inside(self, fd: int) -> None:
        """Raise EXDEV where *fd* isn't below the start: somebody has moved what was on the way."""
        top = self.req.link_text(self.start).rstrip(b"/")
        name = self.req.link_text(fd)
        if name != top and not name.startswith(top + b"/"):
            raise OSError(errno.EXDEV, "moved out of the start")

    @staticmethod
    def _search(fd: int) -> None:
        """Raise EACCES where the caller may not search *fd*: a dot is a step as any other."""
        here = open_with(fd, b".", _DIRECTORY_HOW)
        if here < 0:
            raise OSError(get_errno(), "lookup")
        os.close(here)

    def _dot_last(self, path: bytes, parts: list[bytes]) -> Target:
        """The last component is the root, a dot or a dot-dot: resolve it; *base* tells which."""
        last = path.rstrip(b"/").rpartition(b"/")[2]
        saved, self.how = self.how, FOLLOW
        self.stack = parts[::-1]
        target = None
        while self.stack and target is None:
            target = self._step()
        if target is None:
            target = Target(self.fd, self.name or b"/")
        if target.type != F.S_IFDIR:
            raise OSError(errno.ENOTDIR, "not a directory")
        if last == b".":
            self._search(target.fd)
        self.how = saved
        target.base = last
        target.directory = True
        self._see(target.name)
        if saved & MISS:
            raise OSError(errno.EEXIST, "dot")
        return target

    def _see(self, name: bytes) -> None:
        """Check that the walk category lets the caller see *name*."""
        policy = self.req.policy
        if policy.enabled & WALK:
            from madcap.kernel.judge import require

            require(self.req, WALK, subject(self.req, name), errno.ENOENT)

    def _step(self) -> Target | None:
        """Take one component; return the target when it was the last."""
        stack, how, req = self.stack, self.how, self.req
        if self._at_once and len(stack) > 1 and not how & _LAST:
            self._at_once = False
            target = self._rest_at_once()
            if target is not None:
                return target
        part = stack.pop()
        if part == b"..":
            self._parent()
            return None
        last = not stack
        if last and self._slash and how & MAY and how & FOLLOW and not self._dot:
            raise OSError(errno.EISDIR, "a slash in a link to what is to be made")
        name = self.name + b"/" + part
        if self.name[:5] == b"/proc" and self._proc_entry(part, last):
            return None
        if req.policy.enabled & WALK:
            self._see(name)
        fd = open_with(self.fd, part, _NOFOLLOW_HOW)
        if fd < 0:
            error = get_errno()
            if error == errno.ENOENT and last and how & (MAY | MISS) and not self._dot:
                return self._pin(Target(-1, name), part)
            if error == errno.ENAMETOOLONG and last and how & MAY and how & BASE:
                return self._pin(Target(-1, name), part)  # Where it counts, rename(2) knows.
            raise OSError(error, "lookup")
        req.own(fd)
        st = os.fstat(fd)
        if self._device >= 0 and st.st_dev != self._device:
            raise OSError(errno.EXDEV, "crosses a mount")
        if req.host.procs_elsewhere:
            refuse_elsewhere(req, st.st_dev, name, fd)
        kind = st.st_mode & F.S_IFMT
        if kind == F.S_IFLNK and (not last or (how & FOLLOW and not how & (MISS | BASE))):
            self._follow(fd, part, last)
            return None
        if last:
            target = Target(fd, name)
            target._st = st
            if how & MISS:
                raise OSError(errno.EEXIST, "exists")
            return self._pin(target, part) if how & _LAST else target
        if kind != F.S_IFDIR:
            raise OSError(errno.ENOTDIR, "not a directory")
        self.fd, self.name = fd, name
        self._depth += 1
        return None

    def _pin(self, target: Target, part: bytes) -> Target:
        target.parent = self.fd
        target.base = part
        return target

    def _rest_at_once(self) -> Target | None:
        rest = b"/".join(reversed(self.stack))
        if self.resolve or self.req.policy.enabled & WALK or b".." in self.stack:
            return None
        if self.name[:5] == b"/proc" or (not self.name and self.stack[-1] == b"proc"):
            return None
        if len(rest) > 4095:  # A link's text and what comes after it may be longer than a path.
            return None
        return _at_once(self.req, self.fd, self.name, rest, self.how)

    def _parent(self) -> None:
        resolve = self.resolve
        self.rooted = True
        if self._depth == 0:
            if resolve & (F.RESOLVE_BENEATH | F.RESOLVE_IN_ROOT):
                self._search(self.fd)  # Dot-dot is looked up in it all the same.
            if resolve & F.RESOLVE_BENEATH:
                raise OSError(errno.EXDEV, "above the start")
            if resolve & F.RESOLVE_IN_ROOT:
                return
        if not self.name:
            return
        fd = open_with(self.fd, b"..", _DIRECTORY_HOW)
        if fd < 0:
            raise OSError(get_errno(), "lookup")
        self.req.own(fd)
        name = self.req.link_text(fd)
        if name[:1] != b"/":
            raise OSError(errno.ENOENT, "unreachable directory")
        if self._device >= 0 and os.fstat(fd).st_dev != self._device:
            raise OSError(errno.EXDEV, "crosses a mount")
        if resolve & _SCOPED:
            self._inside(fd)
        self._guard(name)
        self.fd, self.name = fd, b"" if name == b"/" else name
        self._depth = max(0, self._depth - 1)

    def _count_link(self) -> None:
        self._links += 1
        if self._links > MAX_LINKS:
            raise OSError(errno.ELOOP, "too many links")

    def _follow(self, fd: int, part: bytes, last: bool) -> None:
        """Follow the link *part* of the current directory, which *fd* pins."""
        if self.resolve & F.RESOLVE_NO_SYMLINKS:
            raise OSError(errno.ELOOP, "a link")
        self._count_link()
        if self.name[:6] == b"/proc/" and self.name[6:7].isdigit():
            self._magic(part, last)
            return
        req = self.req
        if "allow_unsafe_symlinks" not in req.policy.flags:
            directory = os.fstat(self.fd)
            if directory.st_mode & _UNTRUSTED:
                events.emit(
                    events.WARN,
                    {"ctx": "trusted_symlinks", "path": self.name + b"/" + part,
                     "sys": req.name, "err": errno.ELOOP},
                    pid=req.tid,
                    msg="a link in a directory that others can write is not followed",
                    tip="configure `trace/allow_unsafe_symlinks:1'",
                )  # fmt: skip
                raise OSError(errno.ELOOP, "untrusted link")
        text = os.readlink(b"", dir_fd=fd)
        if not text:
            raise OSError(errno.ENOENT, "empty link")
        if text[:1] == b"/":
            if self.resolve & F.RESOLVE_BENEATH or not self.rooted:
                raise OSError(errno.EXDEV, "absolute link")
            if self.resolve & F.RESOLVE_IN_ROOT:
                self.fd = self.start
                name = req.link_text(self.start)
                self.name = b"" if name == b"/" else name
            else:
                self.fd, self.name = req.host.root, b""
            self._depth = 0
        if last:
            self._slash |= text[-1:] == b"/" or text.endswith(b"/.")
            self._dot |= text.rstrip(b"/").endswith(b"/.")
        parts = [p for p in text.split(b"/") if p and p != b"."]
        self.stack.extend(reversed(parts))
        self._at_once = True

    def _magic(self, part: bytes, last: bool) -> None:
        """Follow the magic link *part* of the caller's /proc entry: it leads to an object."""
        if self.resolve & F.RESOLVE_NO_MAGICLINKS:
            raise OSError(errno.ELOOP, "a magic link")
        if self.resolve & (F.RESOLVE_BENEATH | F.RESOLVE_IN_ROOT):
            raise OSError(errno.EXDEV, "a magic link")
        req = self.req
        fd = open_with(self.fd, part, _MAGIC_HOW)
        if fd < 0:
            raise OSError(get_errno(), "magic link")
        req.own(fd)
        if self._device >= 0 and os.fstat(fd).st_dev != self._device:
            raise OSError(errno.EXDEV, "crosses a mount")
        text = req.link_text(fd)
        deleted = text.endswith(b" (deleted)") and os.fstat(fd).st_nlink == 0
        if text[:1] != b"/":
            if not last:
                raise OSError(errno.ENOTDIR, "not a directory")
            _reachable(text)
            text = self.name + b"/" + text
        elif text.startswith((b"/memfd:", b"/memfd-hugetlb:")) and deleted:
            text = b"!" + text[1 : -len(b" (deleted)")]
        elif deleted:
            if "allow_unsafe_deleted" not in req.policy.flags:
                raise OSError(errno.ENOENT, "deleted")
            text = text[: -len(b" (deleted)")]
        self._guard(text)
        self.fd, self.name = fd, b"" if text == b"/" else text
        self._depth = 0
        if not last and os.fstat(fd).st_mode & F.S_IFMT != F.S_IFDIR:
            raise OSError(errno.ENOTDIR, "not a directory")

    def _proc_entry(self, part: bytes, last: bool) -> bool:
        """Handle /proc/self, /proc/thread-self and /proc/NUMBER; True when *part* was replaced."""
        if self.name != b"/proc":
            return False
        req = self.req
        if part in (b"self", b"thread-self"):
            if last and not self.how & FOLLOW:
                return False
            if self.resolve & F.RESOLVE_NO_SYMLINKS:
                raise OSError(errno.ELOOP, "a link")
            self._count_link()
            if part == b"thread-self":
                self.stack.extend((b"%d" % req.tid, b"task"))
            self.stack.append(b"%d" % req.tgid)
            return True
        if part.isdigit():
            self._guard(self.name + b"/" + part)
        return False
