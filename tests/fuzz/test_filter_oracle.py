# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter of a sandboxed process equals its layers, stacked as the kernel would stack them."""

from __future__ import annotations

import random

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.unit.filter import oracle, plans

from madcap.abi.numbers import AUDIT_ARCH, TABLES
from madcap.filter import calls, sockopts
from madcap.filter.answers import ANSWERS
from madcap.filter.layers import (
    CHECKS_THAT_KILL,
    DENIALS,
    FIRST_DENIALS,
    POINTERS_BY_OPERATION,
)
from madcap.filter.rules import Plan, guest_programs
from madcap.filter.simulate import check, data, decode, run

MORE_OPTIONS = """
    allow_unsafe_arch_prctl allow_unsafe_cbpf allow_unsafe_chroot allow_unsafe_exec_memory
    allow_unsafe_exec_null allow_unsafe_exec_speculative allow_unsafe_fcntl allow_unsafe_futex
    allow_unsafe_kptr allow_unsafe_madvise allow_unsafe_mkbdev allow_unsafe_mkcdev
    allow_unsafe_msgqueue allow_unsafe_personality allow_unsafe_pipe allow_unsafe_pivot_root
    allow_unsafe_prctl allow_unsafe_proc_dumpable allow_unsafe_proc_name allow_unsafe_setid
    allow_unsafe_setsockopt allow_unsafe_shm allow_unsafe_sud deny_passrights deny_tsc
"""
OPTIONS = sorted(
    {
        *(option for option in calls.BY_OPTION),
        *sockopts.LEVELS,
        *sockopts.OPEN,
        *MORE_OPTIONS.split(),
    }
)
CONDITIONAL = sorted(
    {*ANSWERS, *CHECKS_THAT_KILL, *DENIALS, *FIRST_DENIALS, *POINTERS_BY_OPERATION}
)
SPECIAL = [
    *range(105),
    *(1 << bit for bit in range(64)),
    *((1 << bit) - 1 for bit in range(64)),
    *(264, 265, 393, 394, 1023, 1024, 1025, 1026, 1027, 1031, 1039, 1040, 1041, 4095, 4096, 4097),
    *(0x22, 0x32, 0x100022, 0x100010, 0x5001, 0x5002, 0x5003, 0x5004, 0x41555856, 0x53564D41),
    *(0x59616D61, 0x740000, 0x20008, 0x2103, 0x40182103, 0x40049409, 0x5412, 0x8901, 0x1200011),
    *(0o020644, 0o060644, 0o100644, 0o010644, 1152, 1167, 1168, 200, 212, 213, 0xFFFFF87F),
    *(255, 258, 263, 269, 270, 271, 274, 279, 282, 283, 284, 285, 286, 287),
    *((1 << 63) + 1, (1 << 31) + 1, (1 << 64) - 2, (1 << 64) - 100),
    *sorted({option for _, _, options in sockopts.OPTIONS for option in options}),
]
ids = st.sampled_from([0, 3, 11, 12, 14, 15, 1000, 65534, -1])
triples = st.one_of(ids.map(lambda n: (n, n, n)), st.tuples(ids, ids, ids))
dead = set(calls.DEAD.split())


def subset(names: list[str]) -> st.SearchStrategy[frozenset[str]]:
    """Return some, most or none of *names*."""

    def choose(seed: int, share: float) -> frozenset[str]:
        chance = random.Random(seed)  # noqa: S311
        return frozenset(name for name in names if chance.random() < share)

    return st.builds(choose, st.integers(0, 2**32), st.sampled_from([0, 0.1, 0.5, 0.9, 1]))


@st.composite
def any_plan(draw: st.DrawFn) -> Plan:
    """Draw a plan."""
    machine = draw(st.sampled_from(sorted(TABLES)))
    names = sorted(TABLES[machine].keys() - dead)
    errnos = st.sampled_from([1, 13, 22, 25, 38, 95])
    requests = st.tuples(
        st.sampled_from([0x5412, 0x2103, 0x40182103, 0x40049409, 1, 2, 3, 0x8901, 0x53564D41]),
        st.sampled_from([0xFFFFFFFF, 0xFFFF, 0xC000FFFF]),
        errnos,
    )
    return plans.default_plan(
        machine=machine,
        options=draw(subset(OPTIONS)),
        namespaces=draw(st.one_of(subset(list(oracle.TYPES)), st.just(frozenset(oracle.TYPES)))),
        notify=draw(st.one_of(st.just(plans.NOTIFY), subset(names))),
        trace=draw(subset(names)),
        refuse=dict.fromkeys(draw(subset(names)), draw(errnos)),
        ioctls=draw(st.lists(requests, max_size=8)),
        uid=draw(triples),
        gid=draw(triples),
        mmap_min_addr=draw(st.sampled_from([0, 1, 4095, 4096, 65536])),
        pipe_max=draw(st.sampled_from([0, 4096, 65536, (1 << 31) - 1, 1 << 31, 1 << 32])),
        scoped_signals=draw(st.booleans()),
        fake_root=draw(st.booleans()),
        io_uring=draw(st.booleans()),
        memory=draw(st.booleans()),
        unasked=draw(subset(["accept", "accept4", "socket", "socketpair"])),
    )


def argument(chance: random.Random) -> int:
    """Return a value that may matter, or differs from one that does in bits the kernel ignores."""
    value = chance.choice(SPECIAL)
    kind = chance.random()
    if kind < 0.15:
        value |= chance.choice(SPECIAL)
    elif kind < 0.25:
        value = value & 0xFFFF_FFFF | chance.getrandbits(32) << 32
    elif kind < 0.3:
        value = -value
    elif kind < 0.35:
        value = chance.getrandbits(64)
    return value % (1 << 64)


# Shrinking cannot help: the failing call is in the message.
@settings(
    max_examples=40,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(plan=any_plan(), seed=st.integers(0, 2**64))
def test_program_answers_what_the_stacked_layers_answer(plan: Plan, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    (program,) = guest_programs(plan)
    check(program.code)
    code = decode(program.code)
    table = TABLES[plan.machine]
    arch = AUDIT_ARCH[plan.machine]
    numbers = [*range(480), *(table[name] for name in CONDITIONAL if name in table for _ in "1234")]
    for number in numbers:
        arguments = [argument(chance) for _ in range(6)]
        expected = oracle.answer(plan, number, arch, arguments)
        answer = run(code, data(number, arch, arguments)).value
        assert answer == expected, (
            f"{oracle.NAMES[plan.machine].get(number, number)}"
            f"({', '.join(map(hex, arguments))}): {answer:#x}, expected {expected:#x}"
        )


@settings(max_examples=30, deadline=None, phases=[Phase.generate, Phase.shrink])
@given(
    plan=any_plan(),
    calls_made=st.lists(
        st.tuples(
            st.one_of(st.sampled_from(SPECIAL), st.integers(0, 2**32 - 1)),
            st.sampled_from([*AUDIT_ARCH.values(), 0x40000003, 0]),
        ),
        max_size=200,
    ),
)
def test_program_answers_strange_calls_as_the_layers_do(
    plan: Plan, calls_made: list[tuple[int, int]]
) -> None:
    (program,) = guest_programs(plan)
    code = decode(program.code)
    for any_number, arch in calls_made:
        number = any_number & 0xFFFF_FFFF
        expected = oracle.answer(plan, number, arch, [0] * 6)
        assert run(code, data(number, arch)).value == expected
