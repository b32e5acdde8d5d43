# SPDX-License-Identifier: GPL-3.0-or-later
"""A random walk below a random policy gives what a pure model of that policy says, and no more.

What the model denies is not read, changed or listed, by whatever name it is reached; what may not
be walked cannot be told from what is not there; and what is allowed works. At the end the tree is
looked at from outside. `--walk-steps` and `--walk-seed` take more walks, and others.
"""

from __future__ import annotations

import json
import os
import posixpath
import random
import shutil
import stat
from typing import TYPE_CHECKING, Any

from tests.support import policy_model as m
from tests.support.guest import Guest
from tests.syscalls.tables import RULES

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.support import host

STEPS = 150
SHORT = 12  # Policies, for each identity.
ON = ("sandbox/all:on", "sandbox/lock,mem,pid,proxy,pty,uring,tpe,force,ioctl:off")
_NAMES = ("a", "b", "c", "d", "e", "f")
_BY_LINK = {"la": "a", "lb": "b", "here": ""}


class Walk:
    """One policy, its model, and the steps that are made up for it."""

    def __init__(self, rng: random.Random, top: str) -> None:
        self.rng = rng
        self.top = top
        off = frozenset(rng.choice(((), ("walk",), ("list",), ("walk", "list", "chdir"))))
        rules = [self._rule() for _ in range(rng.randrange(3, 14))]
        self.model = m.Model(rules, off, os.stat("/bin/true").st_size)
        self.steps: list[tuple[str, str, str]] = []
        self.expected: list[object] = []
        self._tree()
        self.commands = [*ON, *(f"sandbox/{name}:off" for name in sorted(off))]
        self.commands += [rule.command(top) for rule in rules]
        self.before = [(path, node.kind, node.text) for path, node in self.model.nodes.items()]
        for _ in range(STEPS):
            self._step()

    def _rule(self) -> m.Rule:
        rng = self.rng
        number = rng.choice((1, 1, 2, 3, 6, len(m.CATEGORIES)))
        categories = frozenset(rng.sample(m.CATEGORIES, number))
        place = "/".join(rng.choice(_NAMES) for _ in range(rng.choice((1, 2, 2, 3))))
        shapes = (place, place, place + "/***", place + "/***", place + "/*", "**/" + place[-1:])
        return m.Rule(rng.random() < 0.3, categories, rng.choice(shapes))

    def _tree(self) -> None:
        nodes, rng = self.model.nodes, self.rng
        for name, target in _BY_LINK.items():
            nodes[name] = m.Node(m.LINK, target or ".")
        for directory in ("a", "b", "a/c", "b/d", "a/c/e"):
            nodes[directory] = m.Node(m.DIRECTORY)
        for number in range(20):
            where = rng.choice(("", "a", "b", "a/c", "b/d", "a/c/e"))
            path = posixpath.join(where, rng.choice(_NAMES))
            kind = rng.choice((m.FILE, m.FILE, m.FILE, m.LINK, m.FIFO, m.PROGRAM, m.DIRECTORY))
            if path not in nodes:
                text = f"token {number}" if kind in (m.FILE, m.LINK) else ""
                nodes[path] = m.Node(kind, text)

    def _path(self) -> str:
        """Return a canonical path: mostly of an object, else one that is not there."""
        nodes, rng = self.model.nodes, self.rng
        if rng.random() < 0.75:
            return rng.choice(sorted(path for path in nodes if path not in _BY_LINK))
        directories = sorted(p for p, node in nodes.items() if node.kind == m.DIRECTORY)
        return posixpath.join(rng.choice(directories), rng.choice(_NAMES))

    def _spelt(self, path: str) -> tuple[str, list[str]]:
        """Return another way to write *path*, and the paths that it comes by."""
        rng = self.rng
        visited: list[str] = []
        parts = path.split("/") if path else ["."]
        for link, target in _BY_LINK.items():
            if target and parts[0] == target and len(parts) > 1 and rng.random() < 0.4:
                parts[0] = link
                visited.append(link)
        if rng.random() < 0.2:
            parts.insert(0, "here")
            visited.append("here")
        directories = self.model.children("")
        if rng.random() < 0.2 and "a" in directories and self.model.nodes["a"].kind == m.DIRECTORY:
            parts[:0] = ["a", ".."]
            visited.append("a")
        glue = rng.choice(("/", "/", "/", "//", "/./"))
        starts = ("", "", f"{self.top}/", "./", "/proc/self/cwd/", "/proc/self/fd/100/")
        return rng.choice(starts) + glue.join(parts), visited

    def _step(self) -> None:
        rng, model = self.rng, self.model
        operation = rng.choice(sorted({**m.ASKS, **m.FRESH, "rename": (), "link": ()}))
        path = self._path()
        node = model.nodes.get(path)
        argument = f"new {len(self.steps)}"
        if not fits(operation, path, node):
            return
        if operation == "chmod":
            argument = str(rng.choice((0o755, 0o700)))
        elif operation == "truncate":
            argument = str(rng.choice((0, 3, 20)))
        elif operation in ("rename", "link"):
            argument = self._path()
            if not self._can_be_moved(operation, path, argument):
                return
        text, visited = self._spelt(path)
        self.expected.append(model.step(operation, visited, path, argument))
        if operation in ("rename", "link"):
            argument = f"{self.top}/{argument}"
        self.steps.append((operation, text, argument))

    def _can_be_moved(self, operation: str, path: str, target: str) -> bool:
        """Tell whether the model says all there is to say about this move."""
        node, over = self.model.nodes.get(path), self.model.nodes.get(target)
        if not path or not target or path == target or node is None:
            return False
        if target.startswith(path + "/") or path.startswith(target + "/"):
            return False
        parent = self.model.nodes.get(posixpath.dirname(target))
        if parent is None or parent.kind != m.DIRECTORY:
            return False
        if operation == "link":
            return node.kind in (m.FILE, m.PROGRAM)
        # A directory is never overwritten, nor does one overwrite.
        return over is None or m.DIRECTORY not in (node.kind, over.kind)


def fits(operation: str, path: str, node: m.Node | None) -> bool:
    """Tell whether *operation* is one that an object like *node* takes, or may find nothing."""
    if operation in m.FRESH or operation in ("rename", "link"):
        return path != ""
    if node is None:
        return True
    wanted = {
        "read": (m.FILE,), "append": (m.FILE,), "rewrite": (m.FILE,), "truncate": (m.FILE,),
        "readlink": (m.LINK,), "list": (m.DIRECTORY,), "rmdir": (m.DIRECTORY,),
        "tmpfile": (m.DIRECTORY,), "chdir": (m.DIRECTORY,), "exec": (m.PROGRAM,),
        "unlink": (m.FILE, m.LINK, m.FIFO, m.PROGRAM), "setxattr": (m.FILE, m.DIRECTORY),
        "getxattr": (m.FILE, m.DIRECTORY), "listxattr": (m.FILE, m.DIRECTORY),
        "lstat": tuple(m.TYPE_BITS), "chmod": (m.FILE, m.DIRECTORY),
    }  # fmt: skip
    if operation == "rmdir" and path == "":
        return False
    return node.kind in wanted.get(operation, (m.FILE, m.DIRECTORY, m.FIFO, m.PROGRAM))


def build(walk: Walk, top: Path, uid: int, gid: int) -> None:
    """Make the tree that *walk* starts with."""
    top.mkdir()
    os.chown(top, uid, gid)
    for path, kind, text in walk.before:
        where = top / path
        if kind == m.DIRECTORY and path:
            where.mkdir()
        elif kind == m.LINK:
            where.symlink_to(text)
        elif kind == m.FIFO:
            os.mkfifo(where)
        elif kind == m.PROGRAM:
            shutil.copy("/bin/true", where)
        elif kind == m.FILE:
            where.write_text(text)
        if kind != m.LINK:
            os.chmod(where, 0o755 if kind in (m.DIRECTORY, m.PROGRAM) else 0o644)
        os.chown(where, uid, gid, follow_symlinks=False)


def found(top: Path) -> dict[str, list[Any]]:
    """Return every object below *top*: type and mode, and what it holds."""
    seen: dict[str, list[Any]] = {}
    for directory, directories, files in os.walk(top):
        for name in (*directories, *files):
            path = os.path.join(directory, name)
            status = os.lstat(path)
            text = ""
            if stat.S_ISLNK(status.st_mode):
                text = os.readlink(path)
            elif stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    text = file.read(4096).decode("latin-1")
            seen[os.path.relpath(path, top)] = [status.st_mode, text if text[1:4] != "ELF" else ""]
    return seen


def test_a_policy_is_kept_whatever_is_tried(
    request: pytest.FixtureRequest, identity: host.Identity, installation: host.Installation,
    target: str,
) -> None:  # fmt: skip
    seed = request.config.getoption("--walk-seed")
    first = request.config.getoption("--walk-first")
    count = -(-request.config.getoption("--walk-steps") // STEPS) or SHORT
    guest = Guest("madcap", identity, installation, target)
    top = guest.work / "tree"
    denied = 0
    try:
        for number in range(first, first + count):
            walk = Walk(random.Random(f"policy {seed} {number}"), str(top))  # noqa: S311

            def prepare(work: Path, walk: Walk = walk) -> None:
                build(walk, work / "tree", identity.uid, identity.gid)
                (work / "steps").write_text(json.dumps(walk.steps))

            outcome = guest.python(
                "policy_walker.py", str(guest.work / "steps"), str(top), profile=RULES,
                rules=walk.commands, prepare=prepare,
            )  # fmt: skip
            answers = [json.loads(line) for line in outcome.out.splitlines()]
            again = f"--walk-seed {seed} --walk-first {number} --walk-steps {STEPS}"
            assert len(answers) == len(walk.steps), (again, outcome.err.decode()[-900:])
            wrong = [
                f"step {i} {walk.steps[i]}: expected {expected}, got {answer}"
                for i, (expected, answer) in enumerate(zip(walk.expected, answers, strict=True))
                if expected != answer
            ]
            rules = "\n".join(walk.commands)
            assert not wrong, f"{again}\n{rules}\n" + "\n".join(wrong[:5])
            expected = {
                path: [m.TYPE_BITS[node.kind] | node.mode, node.text]
                for path, node in walk.model.nodes.items()
                if path
            }
            assert found(top) == expected, again
            denied += sum(answer == "EACCES" for answer in answers)
    finally:
        guest.close()
    assert denied > count, "hardly anything was denied: the walks show nothing"
