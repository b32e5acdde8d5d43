# SPDX-License-Identifier: GPL-3.0-or-later
"""Patterns: how a typed pattern is stored, and a matcher for globs that never backtracks far.

Some facts about the glob language:

A glob is an anchored, byte-wise expression. One star is any run of bytes without a slash, two or
more stars any run at all; between two slashes two or more stars, with the slash that follows, are
"zero or more whole components". ``?`` and classes are one byte that is no slash. So a glob is a
row of segments between the wide stars, a segment is a row of chunks between the narrow ones, and
every chunk has a fixed length.

Within a segment the first place where a chunk fits is always good enough: a narrow star cannot
cross a slash, so a chunk that contains one has a single place, and for the others a later place
only leaves less room. Likewise the first place where a whole segment fits is good enough, because
a wide star follows it. That leaves one search per chunk, and `oracle` proves it by being obvious.
"""

from __future__ import annotations

from errno import EILSEQ, EINVAL, ENAMETOOLONG

from madcap.errors import PolicyError
from madcap.policy import categories
from madcap.policy.blame import nearest

LITERAL = 0
PREFIX = 1
GLOB = 2

PATH_MAX = 4096
SLASH = 0x2F

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Final

    # A chunk without wildcards is its bytes; another is one test for each byte it consumes.
    Test = Collection[int]
    Chunk = bytes | tuple[Test, ...]
    Segment = list[Chunk]

HEX: Final = frozenset("0123456789abcdefABCDEF")

ANY: Final = frozenset(range(256)) - {SLASH}

CLASSES: Final = {
    b"alnum": b"0-9A-Za-z",
    b"alpha": b"A-Za-z",
    b"blank": b" \t",
    b"cntrl": b"\x00-\x1f\x7f",
    b"digit": b"0-9",
    b"graph": b"!-~",
    b"lower": b"a-z",
    b"print": b" -~",
    b"punct": b"!-/:-@[-`{-~",
    b"space": b" \t\n\x0c\r",
    b"upper": b"A-Z",
    b"xdigit": b"0-9A-Fa-f",
}


def unhex(text: str) -> bytes:
    """Return the bytes *text* spells in hex, or its own when it is no even row of hex digits."""
    if text and text[0] in HEX and not len(text) & 1 and HEX.issuperset(text):
        return bytes.fromhex(text)
    return text.encode("utf-8", "surrogateescape")


def canonical(text: str, wanted: int = 0) -> bytes:
    """Return the expanded pattern *text* as rules about the categories *wanted* store it.

    Masks and moves want none: for them ``!all`` is a name like others.
    """
    pattern = unhex(text)
    if len(pattern) >= PATH_MAX:
        raise PolicyError(ENAMETOOLONG, f"pattern of {len(pattern)} bytes: 4095 is the limit")
    first = pattern[:1]
    if first == b"/":
        return _canonical_path(pattern)
    if first == b"@":
        return pattern
    if first == b"!" and len(pattern) > 1:
        if pattern == b"!epoll":
            return b"!eventpoll"
        if pattern == b"!all" and wanted:
            if wanted & ~categories.DESCRIPTORS:
                raise PolicyError(EINVAL, "!all is for the categories sendfd and recvfd only")
            return b"!*"
        return pattern
    raise _no_pattern(text, wanted)


def _no_pattern(text: str, wanted: int) -> PolicyError:
    """Return the error for *text*, which is no pattern of rules about *wanted*."""
    expected = "/PATH, @ADDRESS or !NAME"
    if wanted and not wanted & ~categories.NETWORK:
        from madcap.policy.address import ALIASES, DIALS

        expected = "ADDRESS!PORTS, tcp!ADDRESS!PORTS, /PATH, @NAME or !unnamed"
        expected += nearest(text.partition("!")[0], (*DIALS, *ALIASES))
    return PolicyError(EINVAL, f"not a pattern: {text!r}", expected=expected, word=text)


def _canonical_path(pattern: bytes) -> bytes:
    while b"//" in pattern:
        pattern = pattern.replace(b"//", b"/")
    if b"\0" in pattern:
        raise PolicyError(EILSEQ, "NUL byte in a pattern", word="\0")
    if b"/." in pattern:
        parts = pattern.split(b"/")
        if b"." in parts or b".." in parts:
            raise PolicyError(
                EILSEQ,
                "'.' or '..' component in a pattern: paths are canonical",
                word="/.." if b".." in parts else "/.",
            )
    if len(pattern) > 1 and pattern.endswith(b"/"):
        return pattern[:-1]
    return pattern


def is_literal(pattern: bytes) -> bool:
    """Tell whether *pattern* has none of the bytes that make a glob."""
    return b"*" not in pattern and b"?" not in pattern and b"[" not in pattern


def split(pattern: bytes) -> tuple[tuple[bytes, int], ...]:
    """Return the stored forms of a canonical *pattern*, each with its method, oldest first."""
    if is_literal(pattern):
        return ((pattern, LITERAL),)
    if pattern.endswith(b"/***"):
        base = pattern[:-4]
        if is_literal(base):
            return ((base, PREFIX),)
        return ((base, GLOB), (base + b"/**", GLOB))
    if pattern.endswith(b"/**") and is_literal(pattern[:-3]):
        return ((pattern[:-2], PREFIX),)
    return ((pattern, GLOB),)


def matches(pattern: bytes, method: int, text: bytes) -> bool:
    """Tell whether the stored *pattern* matches *text*, for lists too short to need an index."""
    if method == GLOB:
        return Glob(pattern).match(text)
    if method == LITERAL:
        return pattern == text
    return text.startswith(pattern) and (
        len(pattern) == len(text) or pattern.endswith(b"/") or text[len(pattern)] == SLASH
    )


def head_of(pattern: bytes) -> bytes:
    """Return the bytes every text that the glob *pattern* matches begins with."""
    for index, byte in enumerate(pattern):
        if byte in b"*?[\\":
            return pattern[:index]
    return pattern


class Glob:
    """A glob. `match` takes time in proportion to the text for each chunk of the pattern.

    Most globs of a policy are never asked, so each is compiled by its first question.
    """

    __slots__ = ("_pattern", "_segments")

    def __init__(self, pattern: bytes) -> None:
        self._pattern = pattern
        self._segments: list[tuple[bool, Segment]] | None = None

    def match(self, text: bytes) -> bool:
        """Tell whether the whole of *text* matches."""
        segments = self._segments
        if segments is None:
            segments = self._segments = _compile(self._pattern)
        first = segments[0][1]
        if len(segments) == 1:
            return _ends(first, text, 0, {})
        position = _fits(first, text, 0, {})
        for components, segment in segments[1:-1]:
            if position < 0:
                return False
            position = _search(segment, text, position, components)
        if position < 0:
            return False
        components, segment = segments[-1]
        return _search_end(segment, text, position, components)


def _compile(pattern: bytes) -> list[tuple[bool, Segment]]:
    """Return the segments of *pattern*, each with whether the wide star before it is components."""
    chunks: Segment = []
    segments = [(False, chunks)]
    tests: list[Test | int] = []
    index = 0
    size = len(pattern)
    while index < size:
        byte = pattern[index]
        if byte == 0x2A:
            end = index + 1
            while end < size and pattern[end] == 0x2A:
                end += 1
            chunks.append(_chunk(tests))
            tests = []
            if end - index > 1:
                whole = index > 0 and pattern[index - 1] == SLASH and pattern[end : end + 1] == b"/"
                if whole:
                    end += 1
                    whole = end < size
                chunks = []
                segments.append((whole, chunks))
            index = end
        elif byte == 0x3F:
            tests.append(ANY)
            index += 1
        elif byte == 0x5C:
            tests.append(pattern[index + 1] if index + 1 < size else ())
            index += 2
        elif byte == 0x5B:
            members, index = parse_class(pattern, index)
            tests.append(members)
        else:
            tests.append(byte)
            index += 1
    chunks.append(_chunk(tests))
    return segments


def _chunk(tests: list[Test | int]) -> Chunk:
    """Return the chunk of *tests*: its bytes if each test accepts only one."""
    plain = bytes(test for test in tests if isinstance(test, int))
    if len(plain) == len(tests):
        return plain
    return tuple((test,) if isinstance(test, int) else test for test in tests)


def parse_class(pattern: bytes, start: int) -> tuple[Test | int, int]:
    """Return what the class at *start* of *pattern* accepts, and the index after it.

    A bracket that is never closed is itself, and reading goes on right after it.
    """
    index = start + 1
    size = len(pattern)
    negated = pattern[index : index + 1] in (b"!", b"^") and index < size
    if negated:
        index += 1
    members: set[int] = set()
    broken = False  # An unknown class name: nothing matches, negated or not.
    first = True
    while index < size:
        byte = pattern[index]
        if byte == 0x5D and not first:
            if broken:
                return (), index + 1
            return frozenset(ANY - members if negated else members - {SLASH}), index + 1
        first = False
        if byte == 0x5B and pattern[index + 1 : index + 2] == b":":
            end = pattern.find(b":]", index + 2)
            if end >= 0:
                named = CLASSES.get(pattern[index + 2 : end])
                if named is None:
                    broken = True
                else:
                    members |= _expand(named)
                index = end + 2
                continue
        if byte == 0x5C and index + 1 < size:
            index += 1
            byte = pattern[index]
        index += 1
        if pattern[index : index + 1] == b"-" and pattern[index + 1 : index + 2] not in (b"]", b""):
            index += 1
            upper = pattern[index]
            if upper == 0x5C and index + 1 < size:
                index += 1
                upper = pattern[index]
            members.update(range(byte, upper + 1))
            index += 1
        else:
            members.add(byte)
    return 0x5B, start + 1


def _expand(ranges: bytes) -> set[int]:
    """Return the members of a named class, written as bytes and ranges."""
    members: set[int] = set()
    index = 0
    while index < len(ranges):
        if ranges[index + 1 : index + 2] == b"-" and index + 2 < len(ranges):
            members.update(range(ranges[index], ranges[index + 2] + 1))
            index += 3
        else:
            members.add(ranges[index])
            index += 1
    return members


def _at(chunk: Chunk, text: bytes, position: int) -> bool:
    """Tell whether *chunk* fits *text* at *position*."""
    if isinstance(chunk, bytes):
        return text.startswith(chunk, position)
    if position + len(chunk) > len(text):
        return False
    for test in chunk:
        if text[position] not in test:
            return False
        position += 1
    return True


def _find(chunk: Chunk, text: bytes, position: int, limit: int) -> int:
    """Return the first place from *position* up to and with *limit* where *chunk* fits, or -1."""
    if isinstance(chunk, bytes):
        return text.find(chunk, position, limit + len(chunk))
    while position <= limit:
        if _at(chunk, text, position):
            return position
        position += 1
    return -1


def _fits(segment: Segment, text: bytes, start: int, dead: dict[int, int]) -> int:
    """Return where *segment*, begun at *start*, ends first in *text*, or -1.

    *dead* remembers up to where each chunk is known not to fit, over all starts in one text: chunks
    never move back when the start moves on, so no byte is searched twice for the same chunk.
    """
    if not _at(segment[0], text, start):
        return -1
    position = start + len(segment[0])
    for number in range(1, len(segment)):
        if position <= dead.get(number, -1):
            return -1
        limit = text.find(b"/", position)
        if limit < 0:
            limit = len(text)
        chunk = segment[number]
        found = _find(chunk, text, position, limit)
        if found < 0:
            dead[number] = limit
            return -1
        position = found + len(chunk)
    return position


def _ends(segment: Segment, text: bytes, start: int, dead: dict[int, int]) -> bool:
    """Tell whether *segment*, begun at *start*, can end with *text*."""
    if len(segment) == 1:
        return start + len(segment[0]) == len(text) and _at(segment[0], text, start)
    tail = segment[-1]
    position = _fits(segment[:-1], text, start, dead)
    last = len(text) - len(tail)
    return 0 <= position <= last and text.find(b"/", position, last) < 0 and _at(tail, text, last)


def _starts(head: Chunk, text: bytes, position: int, components: bool) -> int:
    """Return the first place from *position* where *head* fits after a wide star, or -1."""
    if not components:
        return _find(head, text, position, len(text) - len(head))
    while not _at(head, text, position):
        slash = text.find(b"/", position)
        if slash < 0:
            return -1
        position = slash + 1
    return position


def _search(segment: Segment, text: bytes, position: int, components: bool) -> int:
    """Return the first end of *segment* begun anywhere from *position*, or -1."""
    dead: dict[int, int] = {}
    while True:
        position = _starts(segment[0], text, position, components)
        if position < 0:
            return -1
        end = _fits(segment, text, position, dead)
        if end >= 0:
            return end
        position = _next(text, position, components)
        if position < 0:
            return -1


def _search_end(segment: Segment, text: bytes, position: int, components: bool) -> bool:
    """Tell whether *segment*, begun anywhere from *position*, can end with *text*."""
    tail = segment[-1]
    last = len(text) - len(tail)
    if last < position or not _at(tail, text, last):
        return False
    if len(segment) == 1:
        return not components or last == position or text[last - 1] == SLASH
    dead: dict[int, int] = {}
    while True:
        position = _starts(segment[0], text, position, components)
        if position < 0:
            return False
        if _ends(segment, text, position, dead):
            return True
        position = _next(text, position, components)
        if position < 0:
            return False


def _next(text: bytes, position: int, components: bool) -> int:
    """Return the next place a segment may begin after one that failed at *position*, or -1."""
    if not components:
        return position + 1
    return text.find(b"/", position) + 1 or -1
