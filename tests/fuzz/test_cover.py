# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether patterns cover another is answered exactly: with a text to prove it where they do not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from madcap.explain.cover import TooHard, covers, uncovered
from madcap.policy import glob, oracle

PIECES = st.sampled_from(
    [
        *(b"/", b"/", b"a", b"b", b"ab", b"*", b"**", b"***", b"?", b"/**/", b"/***", b"/**"),
        *(b"[ab]", b"[!a]", b"[]-]", b"[a", b"[[:alpha:]]", b"[[:no:]]", b"\\", b"\\*", b"[b-a]"),
        *(b"]", b"-", b".", b"\xff", b"[/]", b"\n"),
    ]
)
FORMS = st.tuples(
    st.sampled_from([b"/", b"/", b"@", b"!", b"/a/"]), st.lists(PIECES, max_size=6).map(b"".join)
).map(lambda parts: glob.split(parts[0] + parts[1]))
SIMPLE = st.lists(
    st.sampled_from([b"/", b"a", b"*", b"**", b"/**/", b"/***", b"?"]), max_size=5
).map(lambda parts: glob.split(b"/" + b"".join(parts)))
TEXTS = st.lists(
    st.sampled_from([b"/", b"/", b"a", b"b", b"ab", b"-", b"]", b"[", b".", b"\xff", b"*", b"\n"]),
    max_size=8,
).map(lambda parts: b"/" + b"".join(parts))


@given(FORMS | SIMPLE, st.lists(FORMS | SIMPLE, max_size=3), st.lists(TEXTS, max_size=10))
@settings(max_examples=1500, deadline=None)
def test_cover_is_what_the_slow_matcher_says(
    one: tuple[tuple[bytes, int], ...],
    others: list[tuple[tuple[bytes, int], ...]],
    texts: list[bytes],
) -> None:
    forms = [form for other in others for form in other]
    for form in one:
        try:
            proof = uncovered(form, forms)
        except TooHard:
            continue
        assert covers(forms, form) == (proof is None)
        if proof is not None:
            assert oracle.matches(*form, proof)
            assert not any(oracle.matches(*other, proof) for other in forms)
            continue
        for text in texts:
            if oracle.matches(*form, text):
                assert any(oracle.matches(*other, text) for other in forms)


@pytest.mark.parametrize(
    ("one", "other", "covered"),
    [
        ("/etc/passwd", "/etc/*", True),
        ("/etc/passwd", "/etc/***", True),
        ("/etc", "/etc/***", True),
        ("/etc", "/etc/**", False),
        ("/etc/**", "/etc/***", True),
        ("/etc/***", "/etc/**", False),
        ("/etc/*", "/etc/**", True),
        ("/etc/**", "/etc/*", False),
        ("/home/bob/***", "/home/*/***", True),
        ("/home/*/***", "/home/bob/***", False),
        ("/home/*/.ssh/***", "/home/**", True),
        ("/usr/**/bash", "/usr/**", True),
        ("/usr/**/bash", "/usr/**bash", True),
        ("/usr/**bash", "/usr/**/bash", False),
        ("/a[ab]", "/a?", True),
        ("/a?", "/a[ab]", False),
        ("/a[ab]", "/a[!c]", True),
        ("/a\\*b*", "/a*", True),
        ("/a", "@a", False),
        ("/***", "/**", False),
        ("/a/*/**/c", "/a/**/c", True),
        ("/a/**/c", "/a/*/**/c", False),
    ],
)
def test_cover_of_patterns_people_write(one: str, other: str, covered: bool) -> None:
    forms = glob.split(other.encode())
    assert all(covers(forms, form) for form in glob.split(one.encode())) == covered


def test_search_that_grows_too_long_proves_nothing() -> None:
    hard = glob.split(b"/" + b"[ab]*a" * 30 + b"?" * 40)[0]
    assert not covers(glob.split(b"/" + b"*a?" * 20), hard)


def test_longest_patterns_are_answered() -> None:
    long = b"/" + b"x" * 4000
    assert covers(glob.split(b"/x*"), glob.split(long)[0])
    assert not covers(glob.split(long), glob.split(b"/x*")[0])
