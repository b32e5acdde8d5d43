# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare tables of cases (tests/guest/cases_*.py): what the kernel and what madcap answers."""

from __future__ import annotations

import ast
import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tests.support import host
from tests.support.guest import summary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.support.guest import Guest

RULES = "syscalls.syd-3"
Result = dict[str, Any]


def names_of(table: str) -> list[str]:
    """Return the names of the cases of *table*, in the order of its source."""
    source = (host.CHECKOUT / "tests" / "guest" / f"{table}.py").read_text()
    return [
        node.name
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("case_")
    ]


def differences(native: object, inside: object, where: str = "") -> list[str]:
    """Return where two results differ, a line for each place."""
    if isinstance(native, dict) and isinstance(inside, dict):
        keys = [*native, *(key for key in inside if key not in native)]
        pairs = [(f"{where}[{key!r}]", native.get(key), inside.get(key)) for key in keys]
    elif isinstance(native, list) and isinstance(inside, list) and len(native) == len(inside):
        pairs = [
            (f"{where}[{i}]", a, b) for i, (a, b) in enumerate(zip(native, inside, strict=True))
        ]
    else:
        return [] if native == inside else [f"{where}: {native!r}, {inside!r}"]
    return [line for place, a, b in pairs for line in differences(a, b, place)]


def run(
    table: str, guest: Guest, profile: str = RULES, rules: Sequence[str] = ()
) -> tuple[Result, list[Any]]:
    """Run all cases of *table* in one guest; return the result of each, and what was logged."""
    outcome = guest.python("run_cases.py", table, profile=profile, rules=rules, timeout=240)
    lines = [json.loads(line) for line in outcome.out.splitlines()]
    results = {line["name"]: line["result"] for line in lines}
    results[""] = f"the table ended with {outcome.status}: {outcome.err.decode()[-2000:]}"
    return results, outcome.log


class Comparison:
    """The results of one table, natively and inside, each run once and when first asked for."""

    def __init__(
        self,
        make: Callable[[str], Guest],
        table: str,
        profile: str = RULES,
        rules: Sequence[str] = (),
    ) -> None:
        self._make = make
        self._rules = rules
        self._profile = profile
        self._table = table
        self.results = lru_cache(self._results)

    def _results(self, kind: str) -> tuple[Result, list[Any]]:
        guest = self._make(kind)
        try:
            return run(self._table, guest, self._profile, self._rules)
        finally:
            guest.close()

    def check(self, name: str) -> None:
        """Require that the case *name* came out natively, and inside the same."""
        native, _ = self.results("native")
        inside, _ = self.results("madcap")
        assert name in native, native[""]
        assert not str(native[name]).startswith(("raised", "hung")), native[name]
        assert name in inside, inside[""]
        found = "\n".join(differences(native[name], inside[name]))
        assert not found, f"{name}: natively, and inside:\n{found}"

    def check_log(self) -> None:
        """Require that nothing was logged inside."""
        _, log = self.results("madcap")
        found = "\n".join(map(summary, log))
        assert not found, f"logged:\n{found}"
