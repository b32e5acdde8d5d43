# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules of madcap import each other, and the standard library, as the design says.

Read from the source, so that an import inside a function counts like one at the top.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest
from tests.support.host import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SOURCE = CHECKOUT / "src"
MODULES = sorted((SOURCE / "madcap").rglob("*.py"))

# What each part may import of madcap, besides itself. errors and events stand aside.
ARROWS: dict[str, set[str]] = {
    "launch": {"cli", "explain"},
    "explain": {"cli", "confine", "policy"},
    "cli": {
        "sandbox",
        "learn",
        "supervisor",
        "confine",
        "kernel",
        "policy",
        "filter",
        "linux",
        "abi",
    },
    "sandbox": {"supervisor", "confine", "kernel", "policy", "filter", "linux", "abi"},
    "learn": {"supervisor", "confine", "kernel", "policy", "filter", "linux", "abi"},
    "supervisor": {"kernel", "policy", "filter", "linux", "abi"},
    "confine": {"kernel", "policy", "filter", "linux", "abi"},
    "kernel": {"policy", "filter", "linux", "abi"},
    "policy": {"abi"},
    "filter": {"abi"},
    "linux": {"abi"},
    "abi": set(),
    "errors": set(),
    "events": set(),
    "__init__": {"sandbox", "policy"},
}
ASIDE = {"errors", "events"}
PURE = ("policy", "filter", "abi")
# What a pure part may use of the standard library: nothing that opens, waits, or asks the system.
PURE_LIBRARY = {
    "difflib",
    "__future__",
    "_bisect",
    "errno",
    "_struct",
    "struct",
    "binascii",
    "hashlib",
    "_hashlib",
    "unicodedata",
}
# Imported by no module while it is loaded; see docs/adr/0005.
SLOW = {
    "typing", "dataclasses", "re", "enum", "logging", "argparse", "json", "functools",
    "collections", "pathlib", "threading", "signal", "subprocess", "asyncio", "inspect",
}  # fmt: skip


def part_of(path: Path) -> str:
    """Return the part of madcap that a file belongs to: a package, or a module at the top."""
    return path.relative_to(SOURCE / "madcap").parts[0].removesuffix(".py")


def name_of(path: Path) -> str:
    """Return a file's place below src, for a test's name."""
    return str(path.relative_to(SOURCE))


def is_for_types(node: ast.If) -> bool:
    """Return whether a condition is TYPE_CHECKING."""
    return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imports(tree: ast.AST, *, types: bool) -> Iterator[tuple[str, bool]]:
    """Yield the full name of each import, and whether it runs when the module is loaded.

    Imports under TYPE_CHECKING come only if *types*.
    """

    def walk(node: ast.AST, loading: bool) -> Iterator[tuple[str, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and is_for_types(child):
                if types:
                    yield from walk(child, False)
                continue
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield alias.name, loading
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, "imports are written out in full"
                for alias in child.names:
                    yield f"{child.module}.{alias.name}", loading
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from walk(child, loading and not inside)

    yield from walk(tree, True)


def parse(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text(), str(path))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_follow_the_arrows(path: Path) -> None:
    part = part_of(path)
    assert part in ARROWS, f"say in ARROWS what {part} may import"
    allowed = ARROWS[part] | {part} | (set() if part in ASIDE else ASIDE)
    if part not in ASIDE:
        allowed |= {"__version__", "VERSION"}  # `from madcap import …` of a constant.
    wrong = [
        name
        for name, _ in imports(parse(path), types=True)
        if name.split(".")[0] == "madcap" and name.split(".")[1] not in allowed
    ]
    assert not wrong


@pytest.mark.parametrize("path", [p for p in MODULES if part_of(p) in PURE], ids=name_of)
def test_a_pure_part_asks_nothing_of_the_system(path: Path) -> None:
    tree = parse(path)
    used = {name.split(".")[0] for name, _ in imports(tree, types=False)} - {"madcap"}
    assert not used - PURE_LIBRARY
    called = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not called & {"open", "input", "print", "exec", "eval", "__import__"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_linux_knows_ctypes(path: Path) -> None:
    used = {name.split(".")[0] for name, _ in imports(parse(path), types=True)}
    assert part_of(path) == "linux" or not used & {"ctypes", "_ctypes"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_slow_is_imported_while_a_module_is_loaded(path: Path) -> None:
    loaded = {name.split(".")[0] for name, loading in imports(parse(path), types=False) if loading}
    assert not loaded & SLOW


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_opens_with_its_licence_and_what_it_is(path: Path) -> None:
    text = path.read_text()
    tree = parse(path)
    assert text.startswith("# SPDX-License-Identifier: GPL-3.0-or-later\n")
    assert ast.get_docstring(tree)
    if len(tree.body) > 1:
        assert "from __future__ import annotations\n" in text


def test_the_modules_were_found() -> None:
    """An empty list of cases would pass every test above."""
    assert len(MODULES) > 40
    assert {part_of(path) for path in MODULES} >= {"cli", "kernel", "policy", "filter", "linux"}
