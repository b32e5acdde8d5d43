# SPDX-License-Identifier: GPL-3.0-or-later
"""The long road to an object: component by component, each below the pinned one before."""

from __future__ import annotations

import errno
import os

from madcap import events
from madcap.abi import flags as F
from madcap.kernel import at_once
from madcap.kernel.procfs import refuse_elsewhere
from madcap.kernel.target import (
    BASE,
    DIRECTORY_HOW,
    FOLLOW,
    LAST,
    MAY,
    MISS,
    NOFOLLOW_HOW,
    Target,
    require_reachable,
    subject,
)
from madcap.linux._call import get_errno
from madcap.linux.fs import memory_name, mount_id, open_with, openat2_how
from madcap.policy.categories import WALK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.request import Request

MAX_LINKS = 40
_MAGIC_HOW = openat2_how(F.O_PATH, 0)
_SCOPED = F.RESOLVE_BENEATH | F.RESOLVE_IN_ROOT
_UNTRUSTED = F.S_ISVTX | 0o022


class Walk:
    """One walk of a path, component by component."""

    __slots__ = (
        "_at_once", "_depth", "_dot", "_links", "_mount", "_slash", "fd", "how", "name", "req",
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
        self._mount = -1
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
        own = open_with(req.host.proc, b"self/task/%d" % number, DIRECTORY_HOW)
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
            self._mount = mount_id(self.start)
        if how & LAST and dot:
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
        if wrong and not self.how & LAST:
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
        here = open_with(fd, b".", DIRECTORY_HOW)
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
        if self._at_once and len(stack) > 1 and not how & LAST:
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
        fd = open_with(self.fd, part, NOFOLLOW_HOW)
        if fd < 0:
            error = get_errno()
            if error == errno.ENOENT and last and how & (MAY | MISS) and not self._dot:
                return self._pin(Target(-1, name), part)
            if error == errno.ENAMETOOLONG and last and how & MAY and how & BASE:
                return self._pin(Target(-1, name), part)  # Where it counts, rename(2) knows.
            raise OSError(error, "lookup")
        req.own(fd)
        st = os.fstat(fd)
        if self._mount >= 0 and mount_id(fd) != self._mount:
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
            return self._pin(target, part) if how & LAST else target
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
        return at_once.at_once(self.req, self.fd, self.name, rest, self.how)

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
        fd = open_with(self.fd, b"..", DIRECTORY_HOW)
        if fd < 0:
            raise OSError(get_errno(), "lookup")
        self.req.own(fd)
        name = self.req.link_text(fd)
        if name[:1] != b"/":
            raise OSError(errno.ENOENT, "unreachable directory")
        if self._mount >= 0 and mount_id(fd) != self._mount:
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
        if self._mount >= 0 and mount_id(fd) != self._mount:
            raise OSError(errno.EXDEV, "crosses a mount")
        text = req.link_text(fd)
        deleted = text.endswith(b" (deleted)") and os.fstat(fd).st_nlink == 0
        if text[:1] != b"/":
            if not last:
                raise OSError(errno.ENOTDIR, "not a directory")
            require_reachable(text)
            text = self.name + b"/" + text
        elif deleted and text.startswith(b"/memfd:"):
            text = memory_name(fd, text[: -len(b" (deleted)")])
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
