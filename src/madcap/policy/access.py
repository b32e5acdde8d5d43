# SPDX-License-Identifier: GPL-3.0-or-later
"""Switching categories, default actions, and access rules about names and file system types."""

from __future__ import annotations

from errno import EBUSY, EINVAL, ENOENT, ENOSPC, ENOSYS, EOPNOTSUPP, EPERM

from madcap.errors import PolicyError
from madcap.policy import actions, categories, glob
from madcap.policy.domain import LIST_MAX
from madcap.policy.rules import Rule
from madcap.policy.values import boolean, field, invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final, NoReturn

    from madcap.policy.domain import Domain
    from madcap.policy.sandbox import Sandbox

# The targets of default actions that are no categories of rules.
REFUSED_DEFAULTS: Final = {
    "block": (actions.ALLOW,),
    "segvguard": (actions.ALLOW,),
    "force": (actions.ALLOW,),
    "tpe": (actions.ALLOW,),
    "mem": (actions.ALLOW,),
    "pid": (actions.ALLOW, actions.DENY, actions.PANIC),
}
STARTUP_ONLY: Final = categories.LOCK | categories.PROXY | categories.PTY | categories.URING
LOCK_DEFAULTS: Final = (actions.KILL, actions.DENY, actions.WARN)

# Sets whose name goes on after a hyphen, which elsewhere is the operator of removal.
HYPHENATED: Final = ("l", "n", "x", "ln", "lx", "nx", "lnx")


def switch(box: Sandbox, text: str) -> None:
    """Do ``sandbox/LIST:BOOL`` or ``sandbox/LIST?``; *text* is what follows the slash."""
    names, colon, value = text.partition(":")
    if not colon:
        _query(box, text)
        return
    mask = categories.parse_list(names)
    on = boolean(box.expand(value))
    if on and mask & categories.FORCE and not box.host.force:
        raise PolicyError(ENOSYS, "checksums are not built in")
    if box.host.oci and mask & (categories.PROXY | categories.PTY):
        raise PolicyError(EOPNOTSUPP, "proxy and pty are not possible in a container")
    box.require_unlocked()
    if box.in_drop and not on:
        raise PolicyError(EPERM, "lock:drop switches nothing off")
    domain = box.subject
    if box.running and mask & categories.STATIC:
        raise PolicyError(EBUSY, "proxy, pty, lock and uring are set before the sandbox starts")
    if on:
        if mask & categories.STATIC:
            box.require_default()
        if box.running and mask & categories.UNHOOKED & ~domain.enabled:
            raise PolicyError(EBUSY, "was off when the sandbox started, so nothing watches it")
        domain.enabled |= mask
    else:
        domain.enabled &= ~mask
    domain.touch()


def _query(box: Sandbox, text: str) -> None:
    if not text.endswith("?"):
        categories.parse_list(text)
        raise PolicyError(EINVAL, f"sandbox/{text} does nothing", expected=":on, :off or ?")
    mask = categories.parse_list(text[:-1])
    box.require_free()
    if not box.running:
        raise PolicyError(EINVAL, "queries are possible only while the sandbox runs")
    if mask & ~box.subject.enabled:
        raise PolicyError(ENOENT, "not switched on")


def default(box: Sandbox, text: str) -> None:
    """Do ``default/LIST:ACTION``; *text* is what follows the slash."""
    names, colon, value = text.partition(":")
    if not colon:
        raise PolicyError(EINVAL, f"default/{text} without an action", expected=":ACTION")
    action = _action(box.expand(value))
    box.require_unlocked()
    domain = box.subject
    mask = 0
    refused: dict[int, PolicyError] = {}  # By the bit of the category, in whose turn it counts.
    for name in names.split(","):
        if action in REFUSED_DEFAULTS.get(name, ()):
            what = f"{name} cannot have the default action {value}"
            error = PolicyError(EINVAL, what, word=value)
            if name not in categories.NAMES:
                raise error
            refused[categories.NAMES.index(name)] = error
        if name == "lock":
            if action not in LOCK_DEFAULTS:
                raise invalid("default action of lock", value, "kill, deny or warn")
            _only_stricter(box, action, domain.defaults[0])
            box.require_startup(narrowing=True, any_domain=True)
            domain.defaults[0] = action
        elif name == "block":
            _only_stricter(box, action, domain.default_block)
            domain.default_block = action
        elif name == "segvguard":
            _only_stricter(box, action, domain.default_segvguard)
            domain.default_segvguard = action
        else:
            mask |= categories.parse_list(name)
    ignored = mask & (categories.PTY | categories.PROXY | categories.URING)
    if ignored and box.running:
        raise PolicyError(EBUSY, "proxy, pty and uring are set before the sandbox starts")
    bits = [bit for bit in range(len(categories.NAMES)) if (mask & ~ignored) >> bit & 1]
    for bit in bits:
        if bit in refused:
            raise refused[bit]
        _only_stricter(box, action, domain.defaults[bit])
    for bit in bits:
        domain.defaults[bit] = action
    domain.touch()


def _action(name: str) -> int:
    action = actions.BY_NAME.get(name)
    if action is None:
        raise invalid("action", name, " ".join(actions.NAMES), actions.NAMES)
    return action


def _only_stricter(box: Sandbox, action: int, present: int) -> None:
    if box.in_drop and (action < actions.DENY or action < present):
        raise PolicyError(EPERM, "lock:drop only makes defaults stricter")


def rule(box: Sandbox, word: str, text: str) -> None:
    """Do ``ACTION/LIST+PATTERN`` and the other rules that begin with an action."""
    action = actions.BY_NAME[word]
    if text.startswith("ioctl") and word in ("allow", "deny"):
        from madcap.policy import ioctls

        ioctls.command(box, word == "allow", text[5:])
        return
    if text.startswith("fs") and text[2:3] in ("+", "-", "^"):
        from madcap.policy import fsmagic

        fsmagic.command(box, action, text[2], field(text[3:]))
        return
    if word == "allow" and _startup_rule(box, text):
        return
    mask, operator, pattern = _parse(text)
    field(pattern)
    box.require_unlocked()
    if mask & ~categories.RULES:
        _refuse_list(box, action, operator, mask & ~categories.RULES)
    require_action(box, action, operator)
    if not mask & ~categories.NETWORK:
        from madcap.policy import address

        if address.command(box, action, mask, operator, pattern):
            return
        pattern = address.unix_pattern(box, pattern)
    name_rule(box, action, mask, operator, box.expand(pattern))


def _refuse_list(box: Sandbox, action: int, operator: str, mask: int) -> NoReturn:
    """Raise the error for a rule about the categories *mask*, which have no such rules."""
    if box.running and mask & STARTUP_ONLY:
        raise PolicyError(EBUSY, "proxy, pty, uring and lock are set before the sandbox starts")
    if not mask & categories.IOCTL:
        require_action(box, action, operator)
    names = ", ".join(categories.names_of(mask))
    raise PolicyError(EINVAL, f"{names}: no rules with patterns here")


def _startup_rule(box: Sandbox, text: str) -> bool:
    """Do ``allow/net/link``, ``allow/uring/…`` or ``allow/lock/…``; tell whether *text* is one."""
    if text.startswith("lock/"):
        from madcap.policy import landlock

        if not landlock.command(box, text[5:]):
            raise landlock.unknown(text[5:])
        return True
    if text.startswith(("net/link", "uring/")):
        from madcap.policy import kernel_lists

        return kernel_lists.command(box, text)
    return False


def _parse(text: str) -> tuple[int, str, str]:
    """Return the categories, the operator and the pattern of a rule."""
    index = text.find("+")
    if index > 0:
        mask = categories.MASKS.get(text[:index])
        if mask is None:
            mask = _mask_before(text, index)
        if mask:
            return _checked(mask, "+", text[index + 1 :])
    for index, letter in enumerate(text):
        if letter in "+-^" and not _hyphenated(text, index):
            return _checked(categories.parse_list(text[:index]), letter, text[index + 1 :])
    categories.parse_list(text)
    raise PolicyError(EINVAL, "rule without a pattern", expected="+PATTERN, -PATTERN or ^PATTERN")


def _mask_before(text: str, index: int) -> int:
    """Return the categories that end at *index*, or 0 when that is no list of names."""
    mask = 0
    for name in text[:index].split(","):
        bits = categories.MASKS.get(name)
        if bits is None:
            return 0
        mask |= bits
    return mask


def _hyphenated(text: str, index: int) -> bool:
    """Tell whether the hyphen at *index* is part of a name such as ``all-x``."""
    if text[index] != "-" or text[:index].rpartition(",")[2] != "all":
        return False
    end = index + 1
    while end < len(text) and "a" <= text[end] <= "z":
        end += 1
    return text[index + 1 : end] in HYPHENATED and text[end : end + 1] in ("+", "-", "^", ",")


def _checked(mask: int, operator: str, pattern: str) -> tuple[int, str, str]:
    if not pattern:
        raise PolicyError(EINVAL, "empty pattern", expected="a pattern after the operator")
    return mask, operator, pattern


def name_rule(box: Sandbox, action: int, mask: int, operator: str, text: str) -> None:
    """Add or remove the rule that answers *action* for names like the expanded pattern *text*."""
    forms = glob.split(glob.canonical(text, mask))
    domain = box.subject
    if box.in_drop and operator == "+":
        _judge_in_drop(box, action, mask, forms)
    if operator != "+":
        for pattern, method in forms:
            remove(domain, action, mask, pattern, method, every=operator == "^")
        return
    for pattern, method in forms:
        if len(domain.rules) + 1 >= LIST_MAX:
            raise PolicyError(ENOSPC, f"more than {LIST_MAX - 1} rules")
        domain.add_rule(Rule(action, mask, pattern, method, box.origin))


def remove(
    domain: Domain, action: int, mask: int, pattern: bytes, method: int, *, every: bool
) -> None:
    """Take each category of *mask* out of the newest equal rule that has it, or out of *every* one.

    Removing what is not there is no error.
    """
    kept: list[Rule] = []
    for old in reversed(domain.rules):
        taken = 0
        if old.action == action and old.pattern == pattern and old.method == method:
            taken = old.mask & mask
            if not every:
                mask &= ~taken
        if taken == old.mask:
            continue
        if taken:
            old = Rule(action, old.mask & ~taken, pattern, method, old.origin)
        kept.append(old)
    kept.reverse()
    domain.replace_rules(kept)


def _judge_in_drop(
    box: Sandbox, action: int, mask: int, forms: tuple[tuple[bytes, int], ...]
) -> None:
    """Refuse under lock:drop a rule about names that could weaken a stricter one."""
    judge_default_in_drop(box, action, mask)
    from madcap.policy import overlap

    for old in box.subject.rules:
        if old.action > action and old.mask & mask:
            for pattern, method in forms:
                if overlap.may_meet(old.pattern, old.method, pattern, method):
                    raise PolicyError(EPERM, "would weaken a stricter rule under lock:drop")


def require_action(box: Sandbox, action: int, operator: str) -> None:
    """Refuse under lock:drop to add what does not deny, and to remove what does not allow."""
    if not box.in_drop:
        return
    if operator == "+" and action < actions.DENY:
        raise PolicyError(EPERM, "lock:drop adds only rules that deny")
    if operator != "+" and action != actions.ALLOW:
        raise PolicyError(EPERM, "lock:drop removes only rules that allow")


def judge_default_in_drop(box: Sandbox, action: int, mask: int) -> None:
    """Refuse under lock:drop a rule that is weaker than a default of its categories."""
    for bit, present in enumerate(box.subject.defaults):
        if mask >> bit & 1 and present > action:
            raise PolicyError(EPERM, "would weaken a stricter default under lock:drop")
