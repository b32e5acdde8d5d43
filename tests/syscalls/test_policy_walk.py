# SPDX-License-Identifier: GPL-3.0-or-later
"""A random walk below a random policy gives what a pure model of that policy says, and no more.

What the model denies is not read, changed or listed, by whatever name it is reached; what may not
be walked cannot be told from what is not there; and what is allowed works. At the end the tree is
looked at from outside. Hypothesis makes up the walks, and makes one smaller that goes wrong;
`--walk-steps` and `--walk-seed` take more of them, and others.
"""

from __future__ import annotations

import json
import os
import posixpath
import shutil
import stat
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.support import policy_model as m
from tests.support.dice import Dice, several
from tests.support.guest import Guest
from tests.syscalls.tables import RULES

if TYPE_CHECKING:
    from pathlib import Path

    from hypothesis.strategies import SearchStrategy

    from tests.support import host

STEPS = 150  # Most of them below one policy,
TYPICAL = 90  # and how many are left when those are gone that no object takes.
RULES_AT_MOST = 16
SHORT = 1000  # Steps of the short form, for each identity.
LESS = 4  # Walks that may be shorter: hypothesis begins with small ones.
ON = ("sandbox/all:on", "sandbox/lock,mem,pid,proxy,pty,uring,tpe,force,ioctl:off")
_NAMES = ("a", "b", "c", "d", "e", "f")
_BY_LINK = {"la": "a", "lb": "b", "here": ""}
_OPERATIONS = sorted({**m.ASKS, **m.FRESH, "rename": (), "link": ()})


class Walk:
    """One policy, its model, and the steps that are made up for it."""

    def __init__(self, top: str, rules: list[Dice], tree: list[Dice], steps: list[Dice]) -> None:
        self.top = top
        off, *rest = rules
        switched = off.choice(((), ("walk",), ("list",), ("walk", "list", "chdir")))
        made = [rule for dice in rest if (rule := self._rule(dice)) is not None]
        self.model = m.Model(made, frozenset(switched), os.stat("/bin/true").st_size)
        self.steps: list[tuple[str, str, str]] = []
        self.expected: list[object] = []
        self._tree(tree)
        self.commands = [*ON, *(f"sandbox/{name}:off" for name in sorted(switched))]
        self.commands += [rule.command(top) for rule in made]
        self.before = [(path, node.kind, node.text) for path, node in self.model.nodes.items()]
        for dice in steps:
            self._step(dice)

    def __repr__(self) -> str:
        return f"{len(self.steps)} steps below {len(self.model.rules)} rules"

    def _rule(self, dice: Dice) -> m.Rule | None:
        number = dice.weighted((0, 1, 2, 3, 6, len(m.CATEGORIES)), (5, 2, 1, 1, 1, 1))
        if number == 0:
            return None
        left = list(m.CATEGORIES)
        categories = frozenset(left.pop(dice.below(len(left))) for _ in range(number))
        place = "/".join(dice.choice(_NAMES) for _ in range(dice.choice((1, 2, 2, 3))))
        shapes = (place, place, place + "/***", place + "/***", place + "/*", "**/" + place[-1:])
        return m.Rule(dice.rarely(30), categories, dice.choice(shapes))

    def _tree(self, tree: list[Dice]) -> None:
        nodes = self.model.nodes
        for name, target in _BY_LINK.items():
            nodes[name] = m.Node(m.LINK, target or ".")
        for directory in ("a", "b", "a/c", "b/d", "a/c/e"):
            nodes[directory] = m.Node(m.DIRECTORY)
        for number, dice in enumerate(tree):
            where = dice.choice(("", "a", "b", "a/c", "b/d", "a/c/e"))
            path = posixpath.join(where, dice.choice(_NAMES))
            kind = dice.choice((m.FILE, m.FILE, m.FILE, m.LINK, m.FIFO, m.PROGRAM, m.DIRECTORY))
            if path not in nodes:
                text = f"token {number}" if kind in (m.FILE, m.LINK) else ""
                nodes[path] = m.Node(kind, text)

    def _path(self, dice: Dice) -> str:
        """Return a canonical path: mostly of an object, else one that is not there."""
        nodes = self.model.nodes
        if not dice.rarely(25):
            return dice.choice(sorted(path for path in nodes if path not in _BY_LINK))
        directories = sorted(p for p, node in nodes.items() if node.kind == m.DIRECTORY)
        return posixpath.join(dice.choice(directories), dice.choice(_NAMES))

    def _spelt(self, dice: Dice, path: str) -> tuple[str, list[str]]:
        """Return another way to write *path*, and the paths that it comes by."""
        visited: list[str] = []
        parts = path.split("/") if path else ["."]
        for link, target in _BY_LINK.items():
            if target and parts[0] == target and len(parts) > 1 and dice.rarely(40):
                parts[0] = link
                visited.append(link)
        if dice.rarely(20):
            parts.insert(0, "here")
            visited.append("here")
        directories = self.model.children("")
        if dice.rarely(20) and "a" in directories and self.model.nodes["a"].kind == m.DIRECTORY:
            parts[:0] = ["a", ".."]
            visited.append("a")
        glue = dice.choice(("/", "/", "/", "//", "/./"))
        starts = ("", "", f"{self.top}/", "./", "/proc/self/cwd/", "/proc/self/fd/100/")
        return dice.choice(starts) + glue.join(parts), visited

    def _step(self, dice: Dice) -> None:
        model = self.model
        operation = dice.choice(("nothing", *_OPERATIONS))
        if operation == "nothing":
            return
        path = self._path(dice)
        node = model.nodes.get(path)
        argument = f"new {len(self.steps)}"
        if not fits(operation, path, node):
            return
        if operation == "chmod":
            argument = str(dice.choice((0o755, 0o700)))
        elif operation == "truncate":
            argument = str(dice.choice((0, 3, 20)))
        elif operation in ("rename", "link"):
            argument = self._path(dice)
            if not self._can_be_moved(operation, path, argument):
                return
        text, visited = self._spelt(dice, path)
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


def walks(top: str) -> SearchStrategy[Walk]:
    """Return a strategy for walks in a tree at *top*."""
    parts = st.tuples(
        several(keep, RULES_AT_MOST + 1), several(keep, 20, 8), several(keep, STEPS, 24)
    )
    return parts.map(lambda dice: Walk(top, *dice))


def keep(dice: Dice) -> Dice:
    """Return *dice*, to be thrown once it is known what there is to choose from."""
    return dice


def take(guest: Guest, walk: Walk) -> list[object]:
    """Take *walk*; require what its model says, and return the answers."""
    top = guest.work / "tree"

    def prepare(work: Path) -> None:
        build(walk, work / "tree", guest.identity.uid, guest.identity.gid)
        (work / "steps").write_text(json.dumps(walk.steps))

    outcome = guest.python(
        "policy_walker.py", str(guest.work / "steps"), str(top), profile=RULES,
        rules=walk.commands, prepare=prepare,
    )  # fmt: skip
    rules = "\n".join(walk.commands)
    answers = [json.loads(line) for line in outcome.out.splitlines()]
    assert len(answers) == len(walk.steps), (rules, walk.steps, outcome.err.decode()[-900:])
    wrong = [
        f"step {i} {walk.steps[i]}: expected {expected}, got {answer}"
        for i, (expected, answer) in enumerate(zip(walk.expected, answers, strict=True))
        if expected != answer
    ]
    told = f"{rules}\n{walk.before}\n{walk.steps}"
    assert not wrong, "\n".join([told, *wrong[:5]])
    expected = {
        path: [m.TYPE_BITS[node.kind] | node.mode, node.text]
        for path, node in walk.model.nodes.items()
        if path
    }
    assert found(top) == expected, told
    return answers


@pytest.mark.timeout(7200)
def test_a_policy_is_kept_whatever_is_tried(
    request: pytest.FixtureRequest, identity: host.Identity, installation: host.Installation,
    target: str,
) -> None:  # fmt: skip
    wanted = request.config.getoption("--walk-steps") or SHORT
    guest = Guest("madcap", identity, installation, target)
    taken: list[object] = []

    @seed(f"policy {request.config.getoption('--walk-seed')} {identity.name}")
    @settings(
        max_examples=wanted // TYPICAL + LESS, database=None, deadline=None,
        suppress_health_check=list(HealthCheck), phases=(Phase.generate, Phase.shrink),
        report_multiple_bugs=False,
    )  # fmt: skip
    @given(walks(str(guest.work / "tree")))
    def keeps_to(walk: Walk) -> None:
        taken.extend(take(guest, walk))

    try:
        keeps_to()
    finally:
        guest.close()
    denied = sum(answer == "EACCES" for answer in taken)
    print(f"{len(taken)} steps, {denied} of them denied")
    assert len(taken) >= wanted
    assert denied > wanted // STEPS, "hardly anything was denied: the walks show nothing"
