# SPDX-License-Identifier: GPL-3.0-or-later
"""Which file names are safe: the rule behind trace/allow_unsafe_filename."""

from __future__ import annotations

_REFUSED = b"*?[]\"<>()&'!\\;$|`"
#: Bytes that a name may hold, as bytes.translate wants them; 0x80 and up need a closer look.
_PLAIN = bytes(b for b in range(0x20, 0x7F) if b not in _REFUSED)
_ALLOWED = _PLAIN + bytes(range(0x80, 0xFF))


def is_safe_name(name: bytes) -> bool:
    """Tell whether *name*, one path component, is a name that a shell or terminal can't misread.

    Refused: empty names, control bytes, 0x7f, 0xff, shell metacharacters, bad UTF-8, a leading
    ``-``, ``~`` or blank, a trailing blank, Unicode white space at either end.
    """
    if not name or name[0] in b"-~ " or name[-1] == 0x20:
        return False
    rest = name.translate(None, _PLAIN)
    if not rest:
        return True
    if rest.translate(None, _ALLOWED):
        return False
    try:
        text = name.decode()
    except UnicodeDecodeError:
        return False
    return not (text[0].isspace() or text[-1].isspace())
