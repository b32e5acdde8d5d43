# SPDX-License-Identifier: GPL-3.0-or-later
"""What the walker shows of the buffers that calls fill, and of the tree that is left."""

from __future__ import annotations

import os
import stat
import struct

SET_BY_US = 1_000_000_000


def when(stamp: int) -> int:
    """Return a time that a step set, or -1 for one that the clock did."""
    return stamp if stamp < SET_BY_US * 1_000_000_000 else -1


def show(what: str, data: bytes, result: int) -> object:
    """Return the contents of a buffer that a call filled."""
    if what == "stat":
        return _stat(data)
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
        return entries(data[:result], 19)
    if what == "old dents":
        return entries(data[:result], 18)
    if what == "events":
        return events(data[:result])
    text = data[:result].decode("latin-1")
    # What /proc calls a socket holds a number that is another each time.
    return "socket:[]" if text.startswith("socket:[") else text


def _stat(data: bytes) -> object:
    _, _, nlink, mode, uid, gid, _, _, size = struct.unpack_from("=QQQIIIIQq", data)
    times = struct.unpack_from("=qqqq", data, 72)
    size = -1 if stat.S_ISDIR(mode) else size
    stamps = [when(times[i] * 1_000_000_000 + times[i + 1]) for i in (0, 2)]
    return [oct(mode), nlink, uid, gid, size, *stamps]


def entries(data: bytes, name_at: int) -> list[list[object]]:
    """Return the names and types in what getdents64(2), or getdents(2) with 18, wrote."""
    found: list[list[object]] = []
    at = 0
    while at < len(data):
        size = struct.unpack_from("=H", data, at + 16)[0]
        name = data[at + name_at : data.index(0, at + name_at)]
        kind = data[at + 18] if name_at == 19 else data[at + size - 1]
        found.append([name.decode("latin-1"), kind])
        at += size
    return found


def events(data: bytes) -> list[list[object]]:
    """Return watch, mask and name of what was read from inotify; cookies are only told apart."""
    found: list[list[object]] = []
    cookies: list[int] = []
    at = 0
    while at < len(data):
        watch, mask, cookie, size = struct.unpack_from("=iIII", data, at)
        if cookie not in cookies:
            cookies.append(cookie)
        name = data[at + 16 : at + 16 + size].rstrip(b"\0").decode("latin-1")
        found.append([watch, hex(mask), cookies.index(cookie) if cookie else -1, name])
        at += 16 + size
    return found


class Snapshot:
    """Every object below *above*, with *tree* written as $TREE."""

    def __init__(self, above: str, tree: str) -> None:
        self._above = above
        self._tree = tree
        self._found: list[object] = []
        self._groups: dict[int, str] = {}

    def take(self) -> list[object]:
        """Return the objects; a directory is opened up when its mode was seen."""
        self._visit(self._above)
        return sorted(self._found, key=str)

    def _visit(self, directory: str) -> None:
        os.chmod(directory, 0o700)
        for name in sorted(os.listdir(os.fsencode(directory))):
            path = os.path.join(directory, os.fsdecode(name))
            seen = os.lstat(path)
            first = self._groups.setdefault(seen.st_ino, path)
            relative, alias = (one[len(self._above) :] for one in (path, first))
            content = self._content(path, seen)
            self._found.append([ascii(relative), ascii(alias), describe(seen), content])
            if first == path and stat.S_ISDIR(seen.st_mode):
                self._visit(path)

    def _content(self, path: str, seen: os.stat_result) -> object:
        if stat.S_ISLNK(seen.st_mode):
            return os.readlink(path).replace(self._tree, "$TREE")
        if not stat.S_ISREG(seen.st_mode):
            return None
        os.chmod(path, 0o600)
        attributes = sorted(
            (name, os.getxattr(path, name).decode("latin-1"))
            for name in os.listxattr(path)
            if name.startswith("user.")
        )
        with open(path, "rb") as file:
            return [file.read(200).decode("latin-1"), attributes]


def describe(seen: os.stat_result) -> list[object]:
    """Return what two trees must have in common of an object."""
    plain = not stat.S_ISDIR(seen.st_mode)
    return [
        oct(seen.st_mode), seen.st_nlink, seen.st_uid, seen.st_gid,
        seen.st_size if plain else -1, when(seen.st_mtime_ns), when(seen.st_atime_ns),
    ]  # fmt: skip
