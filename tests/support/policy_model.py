# SPDX-License-Identifier: GPL-3.0-or-later
"""A pure model of a tree of files below a policy: what each call is to give, and to change.

It knows nothing of madcap but the rules' meaning: the last rule that names a category and matches
a path decides it; a path that may not be walked is not there, whatever is asked about it; any
other denial is EACCES. Paths are relative to the top of the tree, "" being the top itself.
"""

from __future__ import annotations

import posixpath
from typing import NamedTuple

FILE, DIRECTORY, LINK, FIFO, PROGRAM = "file", "directory", "link", "fifo", "program"
TYPE_BITS = {FILE: 0o100000, PROGRAM: 0o100000, DIRECTORY: 0o40000, LINK: 0o120000, FIFO: 0o10000}
#: What would make an object of a kind, and what would remove it.
MAKES = {FILE: "create", PROGRAM: "create", DIRECTORY: "mkdir", LINK: "symlink", FIFO: "mkfifo"}
CATEGORIES = (
    "walk", "stat", "read", "write", "exec", "create", "delete", "rename", "symlink", "truncate",
    "chdir", "readdir", "mkdir", "rmdir", "chown", "chgrp", "chmod", "chattr", "notify", "utime",
    "mkfifo", "mktemp", "list", "readlink",
)  # fmt: skip
#: Calls on one object that exists, and their categories; the model of `_effect` does the rest.
ASKS = {
    "read": ("read",), "append": ("write",), "stat": ("stat",), "lstat": ("stat",),
    "access": ("stat",), "statfs": ("stat",), "readlink": ("readlink",),
    "list": ("readdir", "stat"),  # opendir(3) asks what it opened.
    "rmdir": ("rmdir",), "unlink": ("delete",), "rewrite": ("write", "truncate", "chmod", "chattr"),
    "truncate": ("truncate", "chmod", "chattr"), "chmod": ("chmod",), "utime": ("utime",),
    "setxattr": ("chattr",), "getxattr": ("read",), "listxattr": ("read",), "notify": ("notify",),
    "exec": ("exec",), "chdir": ("chdir",), "tmpfile": ("write", "mktemp"), "chown": ("utime",),
    "chgrp": ("chgrp",),
}  # fmt: skip
FRESH = {
    "create": ("write", "create"), "mkdir": ("mkdir",), "symlink": ("symlink",),
    "mkfifo": ("mkfifo",),
}  # fmt: skip


class Rule(NamedTuple):
    """Allow or deny *categories* for a *pattern*: a path, `d/***`, `d/*` or `**/name`."""

    allow: bool
    categories: frozenset[str]
    pattern: str

    def matches(self, path: str) -> bool:
        """Tell whether the rule is about *path*."""
        pattern = self.pattern
        if pattern.endswith("/***"):
            directory = pattern[:-4]
            return path == directory or path.startswith(directory + "/")
        if pattern.endswith("/*"):
            return posixpath.dirname(path) == pattern[:-2] and path != ""
        if pattern.startswith("**/"):
            return posixpath.basename(path) == pattern[3:]
        return path == pattern

    def command(self, top: str) -> str:
        """Return the rule as a command, for a tree at *top*."""
        verb = "allow" if self.allow else "deny"
        place = f"{top}/{self.pattern}"
        return f"{verb}/{','.join(sorted(self.categories))}+{place}"


class Node:
    """An object of the tree."""

    def __init__(self, kind: str, text: str = "") -> None:
        self.kind = kind
        self.text = text
        self.mode = {DIRECTORY: 0o755, PROGRAM: 0o755, LINK: 0o777}.get(kind, 0o644)
        self.attribute: str | None = None

    def told(self) -> list[int]:
        """Return what stat(2) tells."""
        size = -1 if self.kind == DIRECTORY else len(self.text)
        return [TYPE_BITS[self.kind] | self.mode, size]


class Model:
    """The tree, the rules, and the categories that are on."""

    def __init__(self, rules: list[Rule], off: frozenset[str], program_size: int) -> None:
        self.rules = rules
        self.off = off
        self.program_size = program_size
        self.nodes: dict[str, Node] = {"": Node(DIRECTORY)}

    def allows(self, category: str, path: str) -> bool:
        """Tell whether the policy lets the guest do *category* with *path*."""
        if category in self.off:
            return True
        for rule in reversed(self.rules):
            if category in rule.categories and rule.matches(path):
                return rule.allow
        return True

    def hidden(self, visited: list[str]) -> bool:
        """Tell whether a walk that comes by all of *visited* meets what is not to be seen."""
        paths = {path for name in visited for path in above(name)}
        return not all(self.allows("walk", path) for path in paths)

    def children(self, directory: str) -> list[str]:
        """Return the paths right below *directory*."""
        return [p for p in self.nodes if p and posixpath.dirname(p) == directory]

    def step(self, operation: str, visited: list[str], path: str, argument: str) -> object:
        """Take a step on *path*, reached by way of *visited*; return what the guest is to see.

        *argument* is the other canonical path of a call with two, else what the call is given.
        """
        if operation in ("rename", "link"):
            return self._two(operation, visited, path, argument)
        if self.hidden([*visited, path]):
            return "ENOENT"
        node = self.nodes.get(path)
        if operation in FRESH:
            if node is not None:
                return "EEXIST"
            if not self._may(FRESH[operation], path):
                return "EACCES"
            return self._make(operation, path, argument)
        if node is None:
            return "ENOENT"
        asks = ASKS[operation]
        if operation in ("chown", "chgrp") and node.kind != DIRECTORY:
            asks = (*asks, "chmod", "chattr")
        if not self._may(asks, path):
            return "EACCES"
        return self._effect(operation, path, node, argument)

    def _may(self, categories: tuple[str, ...], path: str) -> bool:
        return all(self.allows(category, path) for category in categories)

    def _make(self, operation: str, path: str, argument: str) -> object:
        kind = {"create": FILE, "mkdir": DIRECTORY, "symlink": LINK, "mkfifo": FIFO}[operation]
        self.nodes[path] = Node(kind, argument if kind in (FILE, LINK) else "")
        return ["ok", len(argument) if operation == "create" else None]

    def _effect(self, operation: str, path: str, node: Node, argument: str) -> object:
        seen: object = None
        if operation == "read":
            seen = node.text
        elif operation in ("append", "rewrite"):
            node.text = argument if operation == "rewrite" else node.text + argument
            seen = len(argument)
        elif operation in ("stat", "lstat"):
            mode, size = node.told()
            seen = [mode, self.program_size if node.kind == PROGRAM else size]
        elif operation == "access":
            seen = True
        elif operation == "statfs":
            seen = 255
        elif operation == "readlink":
            seen = node.text
        elif operation == "list":
            shown = [p for p in self.children(path) if self.allows("list", p)]
            seen = sorted(map(posixpath.basename, shown))
        elif operation == "rmdir":
            if self.children(path):
                return "ENOTEMPTY"
            del self.nodes[path]
        elif operation == "unlink":
            del self.nodes[path]
        elif operation == "truncate":
            node.text = node.text[: int(argument)].ljust(int(argument), "\0")
        elif operation == "chmod":
            node.mode = int(argument)
        elif operation == "setxattr":
            node.attribute = argument
        elif operation == "getxattr":
            if node.attribute is None:
                return "ENODATA"
            seen = node.attribute
        elif operation == "listxattr":
            seen = [] if node.attribute is None else ["user.a"]
        return ["ok", seen]

    def _two(self, operation: str, visited: list[str], path: str, target: str) -> object:
        if self.hidden([*visited, path]):
            return "ENOENT"
        node = self.nodes.get(path)
        if node is None:
            return "ENOENT"
        if self.hidden([target]):
            return "ENOENT"
        over = self.nodes.get(target)
        if operation == "link" and over is not None:
            return "EEXIST"
        gone = ("rename", "rmdir" if node.kind == DIRECTORY else "delete")
        asks = gone if operation == "rename" else ("rename",)
        made: tuple[str, ...] = (MAKES[node.kind],)
        if over is not None:
            made = (*made, "rmdir" if over.kind == DIRECTORY else "delete")
        if not self._may(asks, path) or not self._may(made, target):
            return "EACCES"
        if operation == "link":
            self.nodes[target] = node
        elif path != target and over is not node:
            below = [p for p in self.nodes if p == path or p.startswith(path + "/")]
            for old in below:
                self.nodes[target + old[len(path) :]] = self.nodes.pop(old)
        return ["ok", None]


def above(path: str) -> list[str]:
    """Return *path* and every directory above it, the top included."""
    found = [path]
    while path:
        path = posixpath.dirname(path)
        found.append(path)
    return found
