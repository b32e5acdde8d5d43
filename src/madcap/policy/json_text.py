# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON text of plain values, without the modules that would have to be read from disk for it."""

from __future__ import annotations

SHORT = {
    '"': '\\"',
    "\\": "\\\\",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
}


def pretty(value: object, indent: str = "") -> str:
    """Return *value* as JSON, indented by two spaces a level."""
    inner = indent + "  "
    if isinstance(value, dict):
        if not value:
            return "{}"
        rows = [f"{inner}{compact(key)}: {pretty(each, inner)}" for key, each in value.items()]
        return "{\n" + ",\n".join(rows) + f"\n{indent}}}"
    if isinstance(value, (list, tuple)):
        if not value:
            return "[]"
        rows = [inner + pretty(each, inner) for each in value]
        return "[\n" + ",\n".join(rows) + f"\n{indent}]"
    return compact(value)


def compact(value: object) -> str:
    """Return *value* as JSON on one line."""
    if isinstance(value, dict):
        rows = [f"{compact(key)}:{compact(each)}" for key, each in value.items()]
        return "{" + ",".join(rows) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join([compact(each) for each in value]) + "]"
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str):
        return '"' + "".join([_escape(letter) for letter in value]) + '"'
    raise TypeError(f"no JSON for {type(value).__name__}")


def _escape(letter: str) -> str:
    short = SHORT.get(letter)
    if short is not None:
        return short
    if letter < " " or "\ud800" <= letter <= "\udfff":
        return f"\\u{ord(letter):04x}"
    return letter
