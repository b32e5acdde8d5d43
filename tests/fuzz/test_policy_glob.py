# SPDX-License-Identifier: GPL-3.0-or-later
"""The fast matcher and the index of rules answer as the slow and obvious ones do."""

from __future__ import annotations

import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from madcap.policy import categories, glob, oracle
from madcap.policy.domain import Domain
from madcap.policy.rules import Rule

PIECES = st.sampled_from(
    [
        *(
            b"/",
            b"/",
            b"a",
            b"b",
            b"ab",
            b"*",
            b"*",
            b"**",
            b"***",
            b"?",
            b"/**/",
            b"[ab]",
            b"[!a]",
        ),
        *(
            b"[]-]",
            b"[a",
            b"[[:alpha:]]",
            b"[[:no:]]",
            b"[^[:digit:]b-]",
            b"\\",
            b"\\*",
            b"]",
            b"-",
        ),
        *(b"[b-a]", b"[a\\]]", b"[/]", b".", b"\xff", b"[\x80-\xff]", b"\n"),
    ]
)
PATTERNS = st.lists(PIECES, max_size=8).map(b"".join)
TEXTS = st.lists(
    st.sampled_from([b"/", b"/", b"a", b"b", b"ab", b"-", b"]", b"[", b".", b"\xff", b"*", b"\n"]),
    max_size=10,
).map(b"".join)


SIBLINGS = st.tuples(
    st.sampled_from([b"/", b"/a/", b"/a/b/", b"/ab/"]), st.sampled_from([b"a", b"b", b"ab", b"-"])
).map(b"".join)


def translated(pattern: bytes) -> re.Pattern[bytes]:
    """Return *pattern* as the regular expression it is equivalent to."""
    out = b""
    index = 0
    while index < len(pattern):
        byte = pattern[index : index + 1]
        if byte == b"*":
            end = index
            while pattern[end : end + 1] == b"*":
                end += 1
            inner = index and pattern[index - 1 : index] == b"/" and pattern[end : end + 1] == b"/"
            if end == index + 1:
                out += b"[^/]*"
            elif inner and end + 1 < len(pattern):
                out += b"(?:.*/)?"
                end += 1
            else:
                out += b".*"
                end += bool(inner)
            index = end
        elif byte == b"?":
            out += b"[^/]"
            index += 1
        elif byte == b"\\":
            out += (
                re.escape(pattern[index + 1 : index + 2]) if index + 1 < len(pattern) else b"(?!)"
            )
            index += 2
        elif byte == b"[":
            member, index = glob.parse_class(pattern, index)
            if isinstance(member, int):
                out += b"\\["
            elif member:
                out += b"[" + b"".join(b"\\x%02x" % each for each in sorted(member)) + b"]"
            else:
                out += b"(?!)"
        else:
            out += re.escape(byte)
            index += 1
    return re.compile(out, re.DOTALL)


@given(PATTERNS, TEXTS)
@example(b"/**/a*/**/b", b"/x/ab/c/b")
@example(b"**a*b", b"/a/ab")
@settings(max_examples=2000, deadline=None)
def test_fast_matcher_equals_the_slow_one_and_the_regular_expression(
    pattern: bytes, text: bytes
) -> None:
    slow = oracle.glob_matches(pattern, text)
    assert glob.Glob(pattern).match(text) == slow
    assert bool(translated(pattern).fullmatch(text)) == slow


@given(st.data())
@settings(max_examples=500, deadline=None)
def test_domain_decides_as_reading_all_rules_would(data: st.DataObject) -> None:
    domain = Domain("default")
    domain.enabled = data.draw(st.integers(0, (1 << 33) - 1))
    domain.defaults = data.draw(st.lists(st.integers(0, 8), min_size=41, max_size=41))
    patterns = st.tuples(st.sampled_from([b"/", b"@", b"!", b"/a", b"/a/b/"]), PATTERNS)
    for first, rest in data.draw(st.lists(patterns, max_size=12)):
        action = data.draw(st.integers(0, 8))
        mask = data.draw(st.sampled_from([1 << 4, 3 << 4, categories.RULES, 1 << 29]))
        for stored, method in glob.split(first + rest):
            domain.add_rule(Rule(action, mask, stored, method, None))
    # Neighbours too: what a whole directory has in common is remembered once.
    texts = TEXTS.map(lambda text: b"/" + text) | SIBLINGS
    for text in data.draw(st.lists(texts, max_size=12)):
        wanted = data.draw(st.sampled_from([1 << 4, 1 << 5, 3 << 4, 7 << 4, 1 << 29]))
        expected = oracle.decide(domain.rules, domain.defaults, domain.enabled, wanted, text)
        assert domain.check(wanted, text)[:2] == expected
        assert domain.check(wanted, text)[:2] == expected
