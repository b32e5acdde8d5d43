# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines to add: a rule about exactly one name or address, written so that it is read as meant."""

from __future__ import annotations

from madcap.policy import categories, glob

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_SPECIAL: Final = b"*?[\\"
_FIELD_MAX: Final = 4095


def pattern(text: bytes) -> str | None:
    """Return how a rule writes the name *text*, or None when no rule can name just that.

    What a line cannot hold as it is becomes hex, as the language provides.
    """
    stored = text
    if text == b"!all":  # As it stands it means every name.
        stored = b"!al[l]"
    elif not glob.is_literal(text):
        stored = b"".join([b"\\%c" % byte if byte in _SPECIAL else b"%c" % byte for byte in text])
    plain = stored.isascii() and stored.decode("ascii").isprintable()
    typed = stored.decode("ascii").replace("$", "$$") if plain else stored.hex()
    if len(typed) > _FIELD_MAX or not _means(typed, text):
        return None
    return typed


def _means(typed: str, text: bytes) -> bool:
    """Tell whether the pattern *typed* matches *text* once a command was read with it."""
    from madcap.errors import PolicyError
    from madcap.policy import values

    try:
        forms = glob.split(glob.canonical(values.expand(typed, {})))
    except PolicyError:
        return False
    return any(glob.matches(stored, method, text) for stored, method in forms)


def rule(action: str, mask: int, text: bytes) -> str | None:
    """Return the rule that answers *action* for the categories *mask* on the name *text*."""
    typed = pattern(text)
    names = ",".join(categories.names_of(mask))
    return None if typed is None else f"{action}/{names}+{typed}"


def network_rule(action: str, mask: int, protocol: str | None, address: str, port: int) -> str:
    """Return the rule that answers *action* for one IP *address* and *port*."""
    names = ",".join(categories.names_of(mask))
    head = "" if protocol is None else f"{protocol}!"
    return f"{action}/{names}+{head}{address}!{port}"
