# SPDX-License-Identifier: GPL-3.0-or-later
"""Take walks through file trees: make the calls that a file lists, and print what came of each.

The file holds a list of walks; each is a list of steps [call, arguments, slot], and begins in a
fresh tree. Arguments are integers; texts (latin-1, with $TREE for the top of the tree); or lists:
["how", flags, mode, resolve, size], ["times", [[seconds, nanoseconds], ...]], ["value", text],
["xattr", text, size, flags] and ["out", what, size], a buffer that is shown as *what*. A descriptor
that a call returns moves to number SLOTS + slot.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import stat
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import rawcalls

SLOTS = 100
#: Directories between the work directory and the tree, so that dot-dot does not lead far.
ABOVE = "above/above/above/above"
SET_BY_US = 1_000_000_000
OPENS = ("open", "openat", "openat2", "creat")


class Walk:
    """One walk: its tree, and the buffers of the call that is being made."""

    def __init__(self, number: int) -> None:
        self.above = os.path.join(os.environ["WORK"], f"walk{number}")
        parent = os.path.join(self.above, ABOVE)
        self.tree = os.path.join(parent, "tree")
        self.outs: list[tuple[str, ctypes.Array[ctypes.c_char]]] = []
        self.keep: list[object] = []
        self.over = False
        os.umask(0o022)
        os.closerange(SLOTS, SLOTS + 20)
        os.makedirs(self.tree)
        os.chdir(self.tree)
        self._fill()
        for above in (parent, os.path.dirname(parent)):
            os.chmod(above, 0o555)

    def _fill(self) -> None:
        for directory in ("a/b", "b", "c", "locked", "blind"):
            os.makedirs(directory, exist_ok=True)
        for name in ("f", "g", "a/f", "a/b/g", "locked/f", "blind/f", "none"):
            with open(name, "w") as file:
                file.write(name)
        os.chmod("locked", 0o555)
        os.chmod("blind", 0o600)
        os.chmod("none", 0)
        os.mkfifo("fifo", 0o644)
        for name, to in (
            ("l", "f"), ("m", "a"), ("dangling", "nowhere"), ("loop", "loop"),
            ("absolute", self.tree + "/a"), ("up", "a/../f"), ("slash", "b/"), ("wrong", "f/"),
            ("a/up", "../g"), ("a/l", "b/g"), ("newslash", "nowhere/"), ("dot", "."),
        ):  # fmt: skip
            os.symlink(to, name)

    def argument(self, given: object) -> object:
        """Return one argument of a step as the call takes it."""
        if isinstance(given, str):
            return given.replace("$TREE", self.tree).encode("latin-1")
        if not isinstance(given, list):
            return given
        kind, *rest = given
        if kind == "value":
            return rest[0].encode("latin-1")
        if kind == "how":
            data = struct.pack("=QQQ", *rest[:3]) + bytes(16)
        elif kind == "times":
            data = b"".join(struct.pack("=qq", *pair) for pair in rest[0])
        elif kind == "xattr":
            value = ctypes.create_string_buffer(rest[0].encode("latin-1"), 600)
            self.keep.append(value)
            self.outs.append(("xattr", value))
            data = struct.pack("=QII", ctypes.addressof(value), *rest[1:])
        else:
            buffer = ctypes.create_string_buffer(max(rest[1], 512))
            self.outs.append((rest[0], buffer))
            return buffer
        return ctypes.create_string_buffer(data)

    def step(self, name: str, given: list[object], slot: int) -> object:
        """Make one call; return what is to be seen of it."""
        if self.over:
            return "over"
        self.outs, self.keep = [], []
        arguments = [self.argument(one) for one in given]
        if name == "creat" and self._blocks(arguments[0]):
            return "skipped"
        result = rawcalls.call(name, *arguments)
        shown: list[object] = [rawcalls.named(result)]
        if name in OPENS and result >= 0:
            shown += self._opened(result, SLOTS + slot)
        elif name in ("chdir", "fchdir") and result == 0:
            shown.append(self._inside(os.getcwd()))
            if shown[-1] == "outside":
                self._return()
        elif result >= 0:
            shown += [show(what, buffer.raw, result) for what, buffer in self.outs]
        return shown

    def _return(self) -> None:
        """Go back to the tree; where its mode forbids that, the walk is over."""
        try:
            os.chdir(self.tree)
        except OSError:
            self.over = True

    def _blocks(self, path: object) -> bool:
        """Tell whether an open of *path* that lacks O_NONBLOCK would wait for a reader."""
        try:
            return isinstance(path, bytes) and stat.S_ISFIFO(os.stat(path).st_mode)
        except (OSError, ValueError):
            return False

    def _opened(self, fd: int, slot: int) -> list[object]:
        """Move *fd* to *slot* and return its number, flags and what it is; it stays in the tree."""
        seen = os.fstat(fd)
        where = self._inside(os.readlink(f"/proc/self/fd/{fd}"))
        # A file that is opened by way of its pin forgets O_NOFOLLOW; it asks nothing of it anymore.
        flags = [fcntl.fcntl(fd, fcntl.F_GETFL) & ~os.O_NOFOLLOW, fcntl.fcntl(fd, fcntl.F_GETFD)]
        if where == "outside":
            os.close(fd)
            return [where]
        os.dup2(fd, slot, inheritable=True)
        os.close(fd)
        return [where, *flags, oct(seen.st_mode), seen.st_size if stat.S_ISREG(seen.st_mode) else 0]

    def _inside(self, path: str) -> str:
        if "/#" in path:  # What O_TMPFILE makes is called by its inode.
            return "nameless"
        return path[len(self.tree) :] if path.startswith(self.tree) else "outside"

    def snapshot(self) -> list[object]:
        """Return every object of the tree: a directory is opened up when its mode was seen."""
        os.chdir(self.above)
        os.umask(0o022)
        found: list[object] = []
        groups: dict[int, str] = {}
        self._visit(self.above, found, groups)
        return sorted(found, key=str)

    def _visit(self, directory: str, found: list[object], groups: dict[int, str]) -> None:
        os.chmod(directory, 0o700)
        for name in sorted(os.listdir(os.fsencode(directory))):
            path = os.path.join(directory, os.fsdecode(name))
            seen = os.lstat(path)
            first = groups.setdefault(seen.st_ino, path)
            content: object = None
            if stat.S_ISLNK(seen.st_mode):
                content = os.readlink(path).replace(self.tree, "$TREE")
            elif stat.S_ISREG(seen.st_mode):
                os.chmod(path, 0o600)
                attributes = sorted(
                    (name, os.getxattr(path, name).decode("latin-1"))
                    for name in os.listxattr(path)
                    if name.startswith("user.")
                )
                with open(path, "rb") as file:
                    content = [file.read(200).decode("latin-1"), attributes]
            relative, alias = (one[len(self.above) :] for one in (path, first))
            found.append([ascii(relative), ascii(alias), describe(seen), content])
            if first != path:
                continue
            if stat.S_ISDIR(seen.st_mode):
                self._visit(path, found, groups)


def describe(seen: os.stat_result) -> list[object]:
    """Return what two trees must have in common of an object."""
    plain = not stat.S_ISDIR(seen.st_mode)
    return [
        oct(seen.st_mode), seen.st_nlink, seen.st_uid, seen.st_gid,
        seen.st_size if plain else -1, when(seen.st_mtime_ns), when(seen.st_atime_ns),
    ]  # fmt: skip


def when(stamp: int) -> int:
    """Return a time that a step set, or -1 for one that the clock did."""
    return stamp if stamp < SET_BY_US * 1_000_000_000 else -1


def show(what: str, data: bytes, result: int) -> object:
    """Return the contents of a buffer that a call filled."""
    if what == "stat":
        _, _, nlink, mode, uid, gid, _, _, size = struct.unpack_from("=QQQIIIIQq", data)
        times = struct.unpack_from("=qqqq", data, 72)
        size = -1 if stat.S_ISDIR(mode) else size
        stamps = [when(times[i] * 1_000_000_000 + times[i + 1]) for i in (0, 2)]
        return [oct(mode), nlink, uid, gid, size, *stamps]
    if what == "statx":
        mask, _, attributes, nlink, uid, gid, mode, _, _, size = struct.unpack_from(
            "=IIQIIIHHQQ", data
        )
        # A mount's identity may come as the old number or the unique one; directories grow.
        size = -1 if stat.S_ISDIR(mode) else size
        return [hex(mask), hex(attributes), nlink, uid, gid, oct(mode), size]
    if what == "statfs":
        return list(struct.unpack_from("=qq", data)) + list(struct.unpack_from("=qq", data, 64))
    if what == "dents":
        return entries(data[:result])
    return data[:result].decode("latin-1")


def entries(data: bytes) -> list[list[object]]:
    """Return the names and types in what getdents64(2) wrote."""
    found: list[list[object]] = []
    at = 0
    while at < len(data):
        size, kind = struct.unpack_from("=HB", data, at + 16)
        name = data[at + 19 : data.index(0, at + 19)]
        found.append([name.decode("latin-1"), kind])
        at += size
    return found


def main() -> None:
    """Take the walks of the file that the first argument names, each a line of output."""
    with open(sys.argv[1]) as file:
        walks = json.load(file)
    for number, steps in enumerate(walks):
        walk = Walk(number)
        shown = [walk.step(*step) for step in steps]
        text = json.dumps([*shown, walk.snapshot()]).replace(walk.tree, "$TREE")
        print(text, flush=True)


main()
