# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether two patterns can match a common text: a cautious answer, for rules under lock:drop."""

from __future__ import annotations

from madcap.policy import glob

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

STRING: Final = -1  # Any string, also the empty one.
BYTE: Final = -2  # Any one byte.


def tokens(pattern: bytes, method: int) -> list[int]:
    """Return *pattern* as a row of bytes, BYTE and STRING; what a class lists is not looked at."""
    if method == glob.LITERAL:
        return list(pattern)
    if method == glob.PREFIX:
        return [*pattern, STRING]
    row: list[int] = []
    index = 0
    while index < len(pattern):
        byte = pattern[index]
        stars = index + 1 if byte == glob.SLASH else index
        end = stars
        while pattern[end : end + 1] == b"*":
            end += 1
        if end > stars:
            if pattern[end : end + 1] == b"/":
                end += 1
            row.append(STRING)
            index = end
        elif byte == 0x3F:
            row.append(BYTE)
            index += 1
        elif byte == 0x5B:
            member, index = glob.parse_class(pattern, index)
            row.append(member if isinstance(member, int) else BYTE)
        elif byte == 0x5C and index + 1 < len(pattern):
            row.append(pattern[index + 1])
            index += 2
        else:
            row.append(byte)
            index += 1
    return row


def may_meet(left: bytes, left_method: int, right: bytes, right_method: int) -> bool:
    """Tell whether some text may match both patterns. Overlong patterns always may."""
    if len(left) > glob.PATH_MAX or len(right) > glob.PATH_MAX:
        return True
    return rows_meet(tokens(left, left_method), tokens(right, right_method))


def rows_meet(left: list[int], right: list[int]) -> bool:
    """Tell whether some string is produced by both rows."""
    for one, other in zip(left, right, strict=False):
        if one < 0 or other < 0:
            break
        if one != other:
            return False
    reachable = [True]  # Which prefixes of *right* meet the prefix of *left* read so far.
    for token in right:
        reachable.append(reachable[-1] and token == STRING)
    for token in left:
        following = [reachable[0] and token == STRING]
        for index, other in enumerate(right):
            if token == STRING:
                meets = reachable[index + 1] or following[index]
            elif other == STRING:
                meets = following[index] or reachable[index + 1]
            else:
                meets = reachable[index] and (token == other or BYTE in (token, other))
            following.append(meets)
        reachable = following
    return reachable[-1]
