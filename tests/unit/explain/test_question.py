# SPDX-License-Identifier: GPL-3.0-or-later
"""A question gets the verdict a run would give, and the line it offers turns that round."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from madcap.errors import MadcapError, PolicyError
from madcap.explain import advice
from madcap.explain.question import Answer, Asker
from madcap.explain.recorded import Recorded
from madcap.policy import categories, oracle
from madcap.policy.actions import ALLOW, BY_NAME, WARN

ENVIRON = {b"HOME": b"/h", b"A": b"x"}


def configured(*commands: str) -> Recorded:
    """Return a configuration after *commands*, those left out that are refused."""
    box = Recorded(dict(ENVIRON))
    for number, command in enumerate(commands, 1):
        try:
            box.execute(command, ("a.syd-3", number))
        except PolicyError:
            continue
    return box


def ask(box: Recorded, capability: str, target: bytes | str) -> Answer:
    """Return the answer about a target in the active domain."""
    name = target.encode() if isinstance(target, str) else target
    return Asker(box, box.active).ask(capability, name)


NAMES = st.lists(
    st.sampled_from([b"/", b"a", b"*", b"[", b"?", b"\\", b"$", b"$A", b"~", b" ", b"\xff", b"\n"]),
    min_size=1,
    max_size=6,
).map(lambda parts: b"/" + b"".join(parts))
TARGETS = st.one_of(
    NAMES.filter(lambda name: b"//" not in name and (name == b"/" or name[-1:] != b"/")),
    st.sampled_from([b"@abc", b"@a*b", b"!memfd:x", b"!memfd:*", b"!all", b"!unnamed", b"@\0x"]),
)
CAPABILITIES = st.sampled_from(
    ["read", "write", "read,write", "all", "rpath", "exec,stat", "lpath", "net/bind", "sendfd"]
)
RULES = st.lists(
    st.tuples(
        st.sampled_from(sorted(BY_NAME)),
        st.sampled_from(["read", "write", "all", "rpath", "net/bind", "sendfd", "lpath,stat"]),
        st.sampled_from(["/***", "/a", "/a/***", "/*", "/**", "/?*", "@*", "!*", "/**/a", "/[a*]"]),
    ).map(lambda parts: f"{parts[0]}/{parts[1]}+{parts[2]}")
    | st.sampled_from(
        [
            *("default/read:allow", "default/all:kill", "sandbox/lpath:on", "sandbox/read:off"),
            *("mask+/a", "mask+/a/***:/dev/zero", "mask+/?", "default/write:warn"),
        ]
    ),
    max_size=6,
)


@given(RULES, CAPABILITIES, TARGETS)
@settings(max_examples=800, deadline=None)
def test_lines_to_add_turn_the_answer_round(rules: list[str], names: str, target: bytes) -> None:
    before = ask(configured(*rules), names, target)
    if not before.change:
        assert before.mask & categories.WRITE_LIKE or b"*" in target or target == b"@\0x"
        return
    box = configured(*rules)
    for number, line in enumerate(before.change):
        box.execute(line, ("b.syd-3", number))
    assert ask(box, names, target).allowed is not before.allowed


@given(RULES, CAPABILITIES, TARGETS)
@settings(max_examples=400, deadline=None)
def test_answer_is_the_verdict_of_a_run(rules: list[str], names: str, target: bytes) -> None:
    box = configured(*rules)
    domain = box.active
    mask = categories.parse_list(names)
    action, asked = oracle.decide(domain.rules, domain.defaults, domain.enabled, mask, target)
    answer = ask(box, names, target)
    masked = domain.mask_of(target) is not None and mask & categories.WRITE_LIKE
    assert answer.allowed == ((not asked or action in (ALLOW, WARN)) and not masked)
    assert sum(reason.mask for reason in answer.reasons if reason.by != "mask") == mask
    for reason in answer.reasons:
        if reason.by in ("rule", "mask"):
            assert reason.origin is not None
            assert box.texts[reason.origin] == reason.text == rules[reason.origin[1] - 1]


@given(NAMES | st.binary(min_size=1, max_size=30).map(lambda name: b"/" + name))
@settings(max_examples=800, deadline=None)
def test_rule_that_is_offered_is_about_one_name_only(name: bytes) -> None:
    line = advice.rule("allow", categories.READ, name)
    if line is None:
        return
    assert line.isascii()
    assert line.isprintable()
    box = configured(line)
    (rule,) = box.active.rules
    assert oracle.matches(rule.pattern, rule.method, name)
    for other in (name + b"x", name + b"/x", b"/x" + name, name[:-1], name.replace(b"*", b"xx")):
        if other != name:
            assert not oracle.matches(rule.pattern, rule.method, other)


@pytest.mark.parametrize(
    ("commands", "capability", "target", "verdict", "text", "line", "change"),
    [
        pytest.param(
            ("allow/read+/etc/***", "deny/read+/etc/shadow"), "read", "/etc/shadow",
            False, "deny/read+/etc/shadow", 2, ["allow/read+/etc/shadow"], id="last-rule",
        ),
        pytest.param(
            ("allow/read+/etc/***",), "read", "/etc/passwd",
            True, "allow/read+/etc/***", 1, ["deny/read+/etc/passwd"], id="allowed",
        ),
        pytest.param(
            ("default/read:filter",), "read", "/x",
            False, "default/read:filter", 1, ["allow/read+/x"], id="default-that-was-set",
        ),
        pytest.param(
            (), "read", "/x", False, "default/read:deny", None, ["allow/read+/x"], id="built-in",
        ),
        pytest.param(
            ("sandbox/read:off",), "read", "/x", True, "sandbox/read:off", 1,
            ["sandbox/read:on", "deny/read+/x"], id="off",
        ),
        pytest.param(
            ("allow/read+/x", "mask+/x:/dev/zero", "allow/write+/x"), "write", "/x", False,
            "allow/write+/x", 3, ["mask-/x"], id="masked",
        ),
        pytest.param(
            ("allow/net/connect+10.0.0.0/8!80",), "net/connect", "tcp!10.1.2.3!80", True,
            "allow/net/connect+10.0.0.0/8!80", 1, ["deny/net/connect+tcp!10.1.2.3!80"], id="net",
        ),
        pytest.param(
            (), "net/connect", "::ffff:10.1.2.3!80", False,
            "default/net/connect:deny", None, ["allow/net/connect+10.1.2.3!80"], id="mapped",
        ),
        pytest.param(
            ("block+10.0.0.0/8", "allow/net/connect+any!80"), "net/connect", "10.1.2.3!80", False,
            "default/block:deny", None, ["block-10.1.2.3"], id="blocked",
        ),
        pytest.param(
            ("allow/fs+tmpfs", "deny/fs+all"), "fs", "tmpfs", False,
            "deny/fs+all", 2, ["allow/fs+tmpfs"], id="fs",
        ),
        pytest.param(
            ("allow/ioctl+TCGETS,TIOCSTI",), "ioctl", "tiocsti", True,
            "allow/ioctl+TCGETS,TIOCSTI", 1, ["deny/ioctl+tiocsti"], id="ioctl",
        ),
        pytest.param(
            (), "ioctl", "TIOCSTI", False,
            "deny/ioctl+TIOCSTI", None, ["allow/ioctl+TIOCSTI"], id="ioctl-built-in",
        ),
        pytest.param(
            ("domain+@d", "@d/default/read:kill", "domain+@e:@d", "cmd/move!e"), "read", "/x",
            False, "default/read:kill", 2, ["@e/allow/read+/x"], id="copied-domain",
        ),
    ],
)  # fmt: skip
def test_answer_names_line_and_remedy(
    commands: tuple[str, ...], capability: str, target: str, verdict: bool,
    text: str, line: int | None, change: list[str],
) -> None:  # fmt: skip
    answer = ask(configured(*commands), capability, target)
    assert answer.allowed is verdict
    assert (text, line) in [
        (reason.text, reason.origin and reason.origin[1]) for reason in answer.reasons
    ]
    assert answer.change == change


def test_way_that_may_not_be_walked_is_mentioned() -> None:
    box = configured(
        "sandbox/walk:on", "allow/all-l+/a/***", "allow/walk+/a", "allow/walk+/a/b/***"
    )
    assert ask(box, "read", "/a/b/c").notes == []
    assert ask(box, "read", "/a/d/c").notes == [
        "the way is barred: walk /a/d is refused by default/walk:deny, try allow/walk+/a/d"
    ]
    assert ask(box, "read", "@a").notes == []
    assert ask(configured("allow/read+/***"), "read", "/a/d/c").notes == []


@pytest.mark.parametrize(
    ("capability", "target"),
    [
        ("mem", "1"),
        ("read", "x"),
        ("net/connect", "1.2.3.4!99999"),
        ("raed", "/x"),
        ("fs", "zzz"),
        ("ioctl", "zz!"),
    ],
)
def test_question_that_makes_no_sense_is_refused(capability: str, target: str) -> None:
    with pytest.raises(MadcapError):
        ask(configured(), capability, target)


@given(st.text(max_size=12), st.binary(max_size=12))
@settings(max_examples=400)
def test_any_question_is_answered_or_refused(capability: str, target: bytes) -> None:
    for names in (capability, "read", "net/connect", "fs", "ioctl"):
        try:
            answer = ask(configured("allow/read+/a*", "block+1.2.3.4"), names, target)
        except MadcapError:
            continue
        assert answer.reasons
