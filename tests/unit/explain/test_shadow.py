# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules that never decide: each one reported is proved by the slow matcher, and none is missed."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from madcap.explain.cover import covers
from madcap.explain.shadow import dead_rules, samples
from madcap.policy import glob, oracle

from .test_question import configured

PIECES = ["/", "a", "b", "*", "**", "/***", "/**", "?", "[ab]", "\\*"]
PATTERNS = st.lists(st.sampled_from(PIECES), max_size=4).map(lambda parts: "/" + "".join(parts))
COMMANDS = st.lists(
    st.tuples(
        st.sampled_from(["allow", "deny", "kill"]),
        st.sampled_from(["read", "write", "read,write", "all"]),
        PATTERNS,
    ).map(lambda parts: f"{parts[0]}/{parts[1]}+{parts[2]}"),
    max_size=6,
)
TEXTS = st.lists(st.sampled_from(["/", "a", "b", "ab", "*", "\\", "c"]), max_size=5).map(
    lambda parts: ("/" + "".join(parts)).encode()
)


@given(COMMANDS, st.lists(TEXTS, max_size=12))
@example(["allow/read+/a/b/***", "deny/all+/a/*/***"], [b"/a/b", b"/a/b/c"])
@settings(max_examples=1500, deadline=None)
def test_dead_rule_decides_about_no_text(commands: list[str], texts: list[bytes]) -> None:
    domain = configured(*commands).active
    dead = dead_rules(domain)
    texts += [text for rule in domain.rules for text in samples(rule.pattern, rule.method)]
    for text in texts:
        for bit in (1 << 4, 1 << 5):
            for rule in reversed(domain.rules):
                if rule.mask & bit and oracle.matches(rule.pattern, rule.method, text):
                    assert rule.origin not in dead
                    break


@given(COMMANDS)
@settings(max_examples=600, deadline=None)
def test_rule_that_one_later_line_covers_is_found(commands: list[str]) -> None:
    box = configured(*commands)
    dead = dead_rules(box.active)
    lines: dict[int, list[glob_form]] = {}
    masks: dict[int, int] = {}
    for rule in box.active.rules:
        assert rule.origin is not None
        lines.setdefault(rule.origin[1], []).append((rule.pattern, rule.method))
        masks[rule.origin[1]] = rule.mask
    for number, forms in lines.items():
        for other, covering in lines.items():
            if (
                other > number
                and not masks[number] & ~masks[other]
                and all(covers(covering, form) for form in forms)
            ):
                assert ("a.syd-3", number) in dead


glob_form = tuple[bytes, int]


@given(PATTERNS)
def test_samples_are_matched(pattern: str) -> None:
    for stored, method in glob.split(pattern.encode()):
        for text in samples(stored, method):
            assert oracle.matches(stored, method, text)


@pytest.mark.parametrize(
    ("commands", "dead"),
    [
        pytest.param(["allow/read+/etc/***", "deny/read+/etc/shadow"], {}, id="usual-order"),
        pytest.param(
            ["deny/read+/etc/shadow", "allow/read+/etc/***"], {1: {2}}, id="order-turned-round"
        ),
        pytest.param(
            ["allow/read,write+/a", "deny/read+/a", "deny/write+/***"], {1: {2, 3}}, id="in-parts"
        ),
        pytest.param(["allow/read,write+/a", "deny/read+/a"], {}, id="one-category-left"),
        pytest.param(["allow/read+/a", "allow/read+/a"], {1: {2}}, id="twice"),
        pytest.param(
            ["allow/read+/x[[:no:]]", "allow/read+/y*\\"], {1: set(), 2: set()}, id="nothing"
        ),
        pytest.param(
            ["allow/read+/x[[:no:]]*/***", "mask+/[/]"], {1: set(), 2: set()}, id="nothing-twice"
        ),
        pytest.param(["allow/read+/a/*/***", "deny/read+/a/*"], {}, id="half-of-a-pattern"),
        pytest.param(
            ["allow/net/connect+10.0.0.1!80,443", "deny/net/connect+10.0.0.0/8!0-500"],
            {1: {2}}, id="network",
        ),
        pytest.param(
            ["allow/net/connect+10.0.0.1!80,443", "deny/net/connect+tcp!10.0.0.0/8!0-500"],
            {}, id="network-with-protocol",
        ),
        pytest.param(
            ["allow/net/connect+tcp!10.0.0.1!80", "deny/net/connect+any!80"], {1: {2}}, id="alias"
        ),
        pytest.param(
            ["allow/net/connect+any!80", "deny/net/connect+any4!80"], {}, id="half-of-an-alias"
        ),
        pytest.param(["allow/fs+ext4", "deny/fs+all"], {1: {2}}, id="file-system"),
        pytest.param(["allow/fs+isofs,proc", "deny/fs+isofs"], {}, id="one-file-system-left"),
        pytest.param(["mask+/a/b", "mask+/a/***:/dev/zero"], {1: {2}}, id="mask"),
        pytest.param(["mask+/a/***", "mask+/a/b:/dev/zero"], {}, id="mask-usual-order"),
    ],
)  # fmt: skip
def test_dead_rules_of_small_policies(commands: list[str], dead: dict[int, set[int]]) -> None:
    found = dead_rules(configured(*commands).active)
    assert {origin[1]: {place[1] for place in later} for origin, later in found.items()} == dead


def test_long_list_is_looked_through_in_moderate_time() -> None:
    commands = [f"allow/all+/a{number}/*x" for number in range(2000)]
    commands += [f"deny/read+/a{number}/***" for number in range(2000)]
    assert dead_rules(configured(*commands).active) == {}
