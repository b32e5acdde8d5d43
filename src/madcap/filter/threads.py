# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs for the threads of the supervisor, which name what a thread needs and kill for the rest.

The reference binds unused arguments to secret values too. An interpreter makes calls of its own,
in its own way, so here a thread has the calls it needs, some of them with fixed arguments.
"""

from __future__ import annotations

from errno import ENOSYS

from madcap.abi.numbers import AUDIT_ARCH, TABLES
from madcap.filter.compile import ALLOW, ARCH, EQUAL, ERRNO, KILL, NUMBER, Assembler, low

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def thread_program(
    machine: str,
    allow: Iterable[str],
    enosys: Iterable[str] = (),
    arguments: Mapping[str, Sequence[tuple[int, int]]] | None = None,
) -> bytes:
    """Return a program that kills the process unless the call is one of *allow*.

    Calls in *enosys* are answered as if the kernel did not know them. Calls in *arguments* are
    allowed when each (index, value) equals the low half of that argument. Names the machine does
    not have are skipped. Raise ValueError if a name has more than one answer.
    """
    numbers = TABLES[machine]
    asm = Assembler()
    kill, allowed = asm.ret(KILL), asm.ret(ALLOW)
    labels = dict.fromkeys(allow, allowed)
    for name in enosys:
        if name in labels:
            raise ValueError(f"filter: {name} is both allowed and unknown")
        labels[name] = asm.ret(ERRNO | ENOSYS)
    for name, required in (arguments or {}).items():
        if labels.get(name, allowed) != allowed:
            raise ValueError(f"filter: {name} is both allowed and unknown")
        label = allowed
        for index, value in reversed(required):
            label = asm.test(low(index), EQUAL, value & 0xFFFF_FFFF, label, kill)
        labels[name] = label
    cases = {numbers[name]: label for name, label in labels.items() if name in numbers}
    entry = asm.lookup(NUMBER, cases, kill)
    return asm.finish(asm.test(ARCH, EQUAL, AUDIT_ARCH[machine], entry, kill))
