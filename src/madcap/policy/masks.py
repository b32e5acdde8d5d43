# SPDX-License-Identifier: GPL-3.0-or-later
"""``mask``: files shown in place of others."""

from __future__ import annotations

from errno import EINVAL, ENOSPC

from madcap.errors import PolicyError
from madcap.policy import glob
from madcap.policy.domain import LIST_MAX
from madcap.policy.rules import Mask
from madcap.policy.values import absolute_path, field, unescape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.policy.sandbox import Sandbox

DEFAULT = b"/dev/null"


def command(box: Sandbox, rest: str) -> None:
    """Do ``mask+PATTERN[:FILE[:DIRECTORY]]``, ``mask-PATTERN`` or ``mask^``."""
    operator = rest[:1]
    if operator == "^" and len(rest) == 1:
        box.require_free()
        box.subject.replace_masks([])
        return
    fields = unescape(rest[1:])
    if operator == "+" and len(fields) <= 3 and fields[0]:
        _add(box, fields)
    elif operator == "-" and fields != [""]:
        _remove(box, ":".join(fields))
    else:
        raise PolicyError(
            EINVAL,
            f"malformed mask{rest}",
            expected="mask+PATTERN[:FILE[:DIR]], mask-PATTERN, mask^",
        )


def _forms(box: Sandbox, text: str) -> tuple[tuple[bytes, int], ...]:
    return glob.split(glob.canonical(box.expand(field(text))))


def _target(box: Sandbox, text: str) -> bytes:
    return absolute_path(glob.unhex(box.expand(field(text))))


def _add(box: Sandbox, fields: list[str]) -> None:
    box.require_free()
    forms = _forms(box, fields[0])
    targets = [_target(box, text) for text in fields[1:]]
    domain = box.subject
    for pattern, method in reversed(forms):
        if len(domain.masks) + 1 >= LIST_MAX:
            raise PolicyError(ENOSPC, f"more than {LIST_MAX - 1} masks")
        file = targets[0] if targets else None
        directory = targets[1] if len(targets) > 1 else None
        domain.add_mask(Mask(pattern, method, file, directory, box.origin))


def _remove(box: Sandbox, text: str) -> None:
    box.require_free()
    forms = _forms(box, text)
    kept = [mask for mask in box.subject.masks if (mask.pattern, mask.method) not in forms]
    box.subject.replace_masks(kept)
