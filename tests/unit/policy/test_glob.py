# SPDX-License-Identifier: GPL-3.0-or-later
"""Patterns: how they are stored, and which texts they match."""

from __future__ import annotations

import errno

import pytest

from madcap.errors import PolicyError
from madcap.policy import categories, glob, oracle
from madcap.policy.rules import Index, Rule

METHODS = {"literal": glob.LITERAL, "prefix": glob.PREFIX, "glob": glob.GLOB}

# Result, method, canonical pattern, text; where a pattern is stored as two, either may match.
VECTORS = r"""
yes  literal  /etc/passwd            /etc/passwd
no   literal  /etc/passwd            /etc/passwd2
no   literal  /etc/Passwd            /etc/passwd
no   literal  /etc                   /etc/
yes  glob     /etc/*                 /etc/passwd
no   glob     /etc/*                 /etc/ssl/cert
no   glob     /etc/*                 /etc
yes  glob     /etc/*                 /etc/
no   prefix   /etc/**                /etc
yes  prefix   /etc/**                /etc/
yes  prefix   /etc/**                /etc/ssl/cert
yes  prefix   /etc/***               /etc
yes  prefix   /etc/***               /etc/ssl/cert
no   prefix   /etc/***               /etcetera
yes  prefix   /***                   /
yes  prefix   /***                   /a/b
yes  prefix   /**                    /
yes  glob     /*                     /
yes  glob     /*                     /a
no   glob     /*                     /a/b
yes  glob     /home/*/***            /home/bob
yes  glob     /home/*/***            /home/bob/x/y
no   glob     /home/*/***            /home
no   glob     /home/**/***           /home
yes  glob     /home/**/***           /home/x
yes  glob     /usr/**/bash           /usr/bash
yes  glob     /usr/**/bash           /usr/local/bin/bash
no   glob     /usr/**/bash           /usr/xbash
yes  glob     /usr/**bash            /usr/xbash
yes  glob     /usr/**bash            /usr/local/bin/bash
no   glob     /usr/**/               /usr
yes  glob     /usr/**/               /usr/
yes  glob     /usr/**/lib/**/*.so    /usr/lib/a.so
yes  glob     /usr/**/lib/**/*.so    /usr/x/lib/y/z/a.so
no   glob     /usr/**/lib/**/*.so    /usr/libx/a.so
yes  glob     /a**b                  /a/x/b
yes  glob     /a**b                  /ab
no   glob     /a*b                   /a/b
yes  glob     /a*b                   /aXb
yes  glob     /a*b*c                 /aXbYbc
yes  glob     /a***b                 /a/x/b
yes  glob     /dev/tty?              /dev/tty1
no   glob     /dev/tty?              /dev/tty
no   glob     /dev/tty?              /dev/tty/
yes  glob     /dev/tty[0-9]          /dev/tty7
no   glob     /dev/tty[0-9]          /dev/tty10
yes  glob     /dev/tty[!0-9]         /dev/ttyS
no   glob     /dev/tty[^0-9]         /dev/tty5
no   glob     /dev/tty[!/]           /dev/tty/
no   glob     /x[/]y                 /x/y
yes  glob     /x[]-]y                /x]y
yes  glob     /x[]-]y                /x-y
yes  glob     /x[a-]y                /x-y
yes  glob     /x[a-c-e]y             /x-y
no   glob     /x[a-c-e]y             /xdy
no   glob     /x[z-a]y               /xzy
no   glob     /x[z-a]y               /xay
yes  glob     /x[[:digit:]]          /x4
yes  glob     /x[[:digit:]a-c]       /xb
no   glob     /x[[:Digit:]]          /x4
yes  glob     /x[![:space:]]         /xq
no   glob     /x[[:upper:]]          /xq
yes  glob     /x[abc                 /x[abc
no   glob     /x[abc                 /xa
yes  glob     /x*[abc                /xyz[abc
yes  glob     /x[]                   /x[]
yes  glob     /x[a\]b]               /x]
yes  glob     /x\*y                  /x*y
no   glob     /x\*y                  /xzy
yes  glob     /x\y*                  /xyz
no   literal  /x\y                   /xy
yes  literal  /x\y                   /x\y
no   literal  /x\                    /x
no   glob     /x*\                   /xa\
no   glob     /x?y                   /x/y
no   literal  /x{a,b}                /xa
yes  literal  /x{a,b}                /x{a,b}
yes  glob     /Ünicode/?             /Ünicode/a
no   glob     /u/?                   /u/ü
yes  glob     /u/??                  /u/ü
yes  glob     @dbus-*                @dbus-abc
no   glob     @dbus-*                @dbus-a/b
yes  glob     @dbus-**               @dbus-a/b
yes  prefix   @foo/***               @foo
yes  prefix   @foo/***               @foo/bar
yes  glob     !memfd:*               !memfd:foo
no   glob     !memfd:*               !memfd-hugetlb:foo
yes  glob     !*                     !eventpoll
yes  glob     /a/*/**/c              /a/b/c
no   glob     /a/*/**/c              /a/c
yes  glob     /a/**/**/c             /a/c
yes  glob     /**/c                  /c
yes  glob     /**/c                  /a/b/c
yes  glob     /a/b**                 /a/b
yes  glob     /a/b**                 /a/bc/d
yes  glob     /a/b/***x              /a/b/x
yes  glob     /*/***                 /a
yes  glob     /*/***                 /
yes  glob     /home/*/.ssh/***       /home/bob/.ssh
yes  glob     /home/*/.ssh/***       /home/bob/.ssh/id
yes  glob     /*                     /.hidden
yes  glob     /a/[.]x                /a/.x
yes  glob     /a/?x                  /a/.x
yes  glob     /proc/self/fd/[0-9]*   /proc/self/fd/12
no   glob     /proc/self/fd/[0-9]*   /proc/self/fd/x
yes  glob     /tmp/**.so             /tmp/a/b.so
yes  glob     /tmp/**.so             /tmp/.so
yes  glob     /tmp/**/*.so           /tmp/a.so
yes  glob     /tmp/***/x             /tmp/x
yes  glob     /tmp/***/x             /tmp/a/b/x
yes  glob     /tmp/x[[:alpha:]-]     /tmp/x-
yes  glob     /tmp/[\]]              /tmp/]
yes  glob     /tmp/[\\]              /tmp/\
"""


def vectors() -> list[tuple[str, str, str, str]]:
    """Return the rows of the table."""
    rows = [line.split() for line in VECTORS.strip().splitlines()]
    return [(row[0], row[1], row[2], row[3]) for row in rows]


@pytest.mark.parametrize(("result", "method", "pattern", "text"), vectors())
def test_pattern_matches_as_the_table_says(
    result: str, method: str, pattern: str, text: str
) -> None:
    forms = glob.split(pattern.encode())
    assert {way for _, way in forms} == {METHODS[method]}
    rules = [Rule(0, 1, stored, way, None) for stored, way in forms]
    assert bool(Index(rules).find(1, text.encode())[0]) == (result == "yes")
    assert any(glob.matches(stored, way, text.encode()) for stored, way in forms) == (
        result == "yes"
    )
    assert any(oracle.matches(stored, way, text.encode()) for stored, way in forms) == (
        result == "yes"
    )


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("/a//b/", (b"/a/b", glob.LITERAL)),
        ("/", (b"/", glob.LITERAL)),
        ("//", (b"/", glob.LITERAL)),
        ("/etc/***/", (b"/etc", glob.PREFIX)),
        ("/etc/**/", (b"/etc/", glob.PREFIX)),
        ("/***", (b"", glob.PREFIX)),
        ("/**", (b"/", glob.PREFIX)),
        ("2f746d70", (b"/tmp", glob.LITERAL)),
        ("!epoll", (b"!eventpoll", glob.LITERAL)),
        ("/a/[.]/b", (b"/a/[.]/b", glob.GLOB)),
        ("/...", (b"/...", glob.LITERAL)),
        ("/.x", (b"/.x", glob.LITERAL)),
        ("/etc/ ", (b"/etc/ ", glob.LITERAL)),
        ("@", (b"@", glob.LITERAL)),
        ("@a//b/", (b"@a//b/", glob.LITERAL)),
        ("@a/../b", (b"@a/../b", glob.LITERAL)),
        ("/a****", (b"/a****", glob.GLOB)),
        ("/\u00e9", ("/\u00e9".encode(), glob.LITERAL)),
    ],
)
def test_pattern_is_stored_in_canonical_form(typed: str, stored: tuple[bytes, int]) -> None:
    assert glob.split(glob.canonical(typed, categories.READ)) == (stored,)


def test_pattern_with_wildcards_before_three_stars_is_stored_as_two() -> None:
    assert glob.split(b"/home/*/***") == ((b"/home/*", glob.GLOB), (b"/home/*/**", glob.GLOB))


def test_all_stands_for_every_descriptor_name_when_only_descriptors_are_meant() -> None:
    assert glob.canonical("!all", categories.SENDFD | categories.RECVFD) == b"!*"


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("2F746D7", errno.EINVAL),
        ("", errno.EINVAL),
        ("rel", errno.EINVAL),
        ("***", errno.EINVAL),
        (" /etc", errno.EINVAL),
        ("!", errno.EINVAL),
        ("!all", errno.EINVAL),
        ("/a/./b", errno.EILSEQ),
        ("/.", errno.EILSEQ),
        ("/a/..", errno.EILSEQ),
        ("2f00", errno.EILSEQ),
        ("/" + "a" * 4095, errno.ENAMETOOLONG),
        ("a" * 4097, errno.ENAMETOOLONG),
    ],
)
def test_pattern_is_refused(typed: str, number: int) -> None:
    with pytest.raises(PolicyError) as caught:
        glob.canonical(typed, categories.READ)
    assert caught.value.errno == number


def test_pattern_of_the_greatest_length_is_accepted() -> None:
    assert len(glob.canonical("/" + "a" * 4094, categories.READ)) == 4095


def test_matching_stays_linear_in_the_text() -> None:
    """A guest chooses the text, and must not be able to stop the world with it."""
    hard = glob.Glob(b"/**[a-y]*[0-9]*[a-z]**[0-9]?*[0-9]")
    assert not hard.match(b"/" + b"a" * 4094)
