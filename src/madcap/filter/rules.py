# SPDX-License-Identifier: GPL-3.0-or-later
"""The seccomp program of a sandboxed process.

Everything a process is refused without a look at the policy, and everything the supervisor is
asked about, is one program: the kernel runs each filter of a process for each call, so a second
one would cost as much again. What belongs to it is in calls.py (lists), layers.py (checks no
policy opens) and answers.py (the rest, call by call); compile.py turns it into instructions.

A call that no list names is answered ENOSYS, as a kernel that does not know it would.
"""

from __future__ import annotations

from errno import EFAULT, EINVAL, ENOSYS

from madcap.abi.numbers import AUDIT_ARCH, TABLES, X32_BIT
from madcap.filter import calls, pointers
from madcap.filter.answers import ANSWERS, Answering
from madcap.filter.compile import ARCH, EQUAL, NUMBER
from madcap.filter.layers import (
    CHECKS_THAT_KILL,
    DENIALS,
    FIRST_DENIALS,
    POINTERS_BY_OPERATION,
    Build,
)
from madcap.filter.plan import Plan, Program

__all__ = ["Plan", "Program", "guest_programs"]

# Calls that are made often and are not allowed by their number alone: the search finds them first.
_OFTEN = {
    "futex": 64,
    "mmap": 16,
    "munmap": 16,
    "mprotect": 8,
    "madvise": 8,
    "poll": 16,
    "ppoll": 16,
    "clock_gettime": 16,
    "clock_nanosleep": 16,
    "rt_sigprocmask": 16,
    "rt_sigaction": 4,
    "brk": 8,
    "recvfrom": 16,
    "sendto": 16,
    "wait4": 8,
    "fcntl": 8,
    "ioctl": 8,
}


def guest_programs(plan: Plan) -> list[Program]:
    """Return the programs for a sandboxed process, in the order to install them.

    The last one carries the listener.
    """
    build = Build(plan)
    numbers = TABLES[plan.machine]
    labels = _labels(build, numbers)
    asm = build.asm
    segments: list[tuple[int, int, int]] = []
    weights: list[int] = []
    enosys = build.errno(ENOSYS)
    last, target = -2, -1
    for name, number in numbers.items():  # In the order of the numbers.
        label = labels[name]
        if label == enosys:
            continue
        weight = _OFTEN.get(name, 1)
        if label == target and number == last + 1:
            segments[-1] = (segments[-1][0], number, label)
            weights[-1] += weight
        else:
            segments.append((number, number, label))
            weights.append(weight)
        last, target = number, label
    if plan.machine == "x86_64":
        # All but -1, which no machine has and a tracer uses to skip a call.
        segments.append((X32_BIT, 0xFFFF_FFFE, build.kill))
        weights.append(1)
    call = asm.load(NUMBER, asm.search(segments, enosys, weights))
    entry = asm.test(ARCH, EQUAL, AUDIT_ARCH[plan.machine], call, build.kill)
    return [Program("main", asm.finish(entry), listener=True)]


def _labels(build: Build, numbers: dict[str, int]) -> dict[str, int]:
    """Write what each call is answered, and return where."""
    options = build.options
    asm = build.asm
    addresses: dict[str, tuple[int, ...]] = {}
    for positions, names in pointers.POINTERS.items():
        for name in names.split():
            addresses[name] = positions
    for name in pointers.REFUSED_BY_KERNEL.split():
        del addresses[name]
    invalid = set(pointers.INVALID.split())
    plain: dict[tuple[int, tuple[int, ...], int], int] = {}

    def then(name: str, value: int) -> int:
        """Answer *value* if no check of *name* objects."""
        fault = EINVAL if name in invalid else EFAULT
        positions = addresses.get(name, ())
        key = None
        if name not in DENIALS and name not in POINTERS_BY_OPERATION:
            key = (value, positions, fault)
            if key in plain:
                return plain[key]
        label = asm.ret(value)
        if name in DENIALS:
            label = DENIALS[name](build, label)
        if name in POINTERS_BY_OPERATION:
            label = POINTERS_BY_OPERATION[name](build, label)
        label = build.pointers(positions, label, fault)
        if name in FIRST_DENIALS:
            label = FIRST_DENIALS[name](build, label)
        if key is not None:
            plain[key] = label
        return label

    answering = Answering(build, numbers, then)
    killed: set[str] = set()
    if "allow_unsafe_shm" not in options:
        killed.update(calls.SHM.split())
    if "allow_unsafe_msgqueue" not in options:
        killed.update(calls.MSGQUEUE.split())
    dead = set(calls.DEAD.split())

    labels: dict[str, int] = {}
    for name in numbers:
        if name in killed:
            label = build.kill
        elif name in dead:
            label = build.errno(ENOSYS)
        else:
            answer = ANSWERS.get(name)
            label = answer(answering, name) if answer is not None else answering.plain(name)
            if name in CHECKS_THAT_KILL:
                label = CHECKS_THAT_KILL[name](build, label)
        labels[name] = label
    return labels
