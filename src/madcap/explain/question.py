# SPDX-License-Identifier: GPL-3.0-or-later
"""May a program do this with that, which line says so, and which line would change it?"""

from __future__ import annotations

from madcap.errors import UsageError
from madcap.explain import advice
from madcap.policy import actions, categories
from madcap.policy.address import NetRule, ip_text, parse_ip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

    from madcap.errors import Origin
    from madcap.explain.recorded import Recorded
    from madcap.policy.domain import Domain
    from madcap.policy.fsmagic import FsRule
    from madcap.policy.rules import Rule

    Decisive = Rule | NetRule | FsRule | None

# The protocols that a rule can name, as records write them before an address.
_PROTOCOLS: Final = (
    "tcp", "mptcp", "udp", "udplite", "sctp", "dccp", "icmp4", "icmp6", "icmp",
)  # fmt: skip


class Reason:
    """What decided about some categories.

    *by* is ``rule``, ``default``, ``off`` (the category is not looked at), ``mask`` or ``block``.
    """

    __slots__ = ("action", "by", "mask", "origin", "text")

    def __init__(self, mask: int, action: int, by: str, text: str, origin: Origin | None) -> None:
        self.mask = mask
        self.action = action
        self.by = by
        self.text = text
        self.origin = origin

    @property
    def allowed(self) -> bool:
        """Whether that lets the program go on."""
        return self.action in (actions.ALLOW, actions.WARN)


class Answer:
    """The verdict on one question: what was asked, the reasons, and the lines to change it."""

    __slots__ = ("action", "change", "domain", "mask", "notes", "reasons", "target")

    def __init__(self, domain: str, mask: int, target: str, reasons: list[Reason]) -> None:
        self.domain = domain
        self.mask = mask
        self.target = target
        self.reasons = reasons
        self.action = max(reason.action for reason in reasons)
        self.change: list[str] = []
        self.notes: list[str] = []

    @property
    def allowed(self) -> bool:
        """Whether the program may."""
        return all(reason.allowed for reason in self.reasons)


class Asker:
    """Puts questions to one domain of a configuration."""

    __slots__ = ("_box", "_domain")

    def __init__(self, box: Recorded, domain: Domain) -> None:
        self._box = box
        self._domain = domain

    def ask(self, capability: str, target: bytes) -> Answer:
        """Return the answer about *capability*, a list of names, and *target*.

        Raise PolicyError or UsageError for names that do not exist or do not go together.
        """
        mask = categories.parse_list(capability)
        if mask == categories.FS:
            return self._ask_fs(target)
        if mask == categories.IOCTL:
            return self._ask_ioctl(target)
        if mask & ~categories.RULES:
            names = ", ".join(categories.names_of(mask & ~categories.RULES))
            raise UsageError(f"no rule with a target is about {names}")
        if not mask & ~categories.NETWORK:
            found = endpoint(target)
            if found is not None:
                return self._ask_network(mask, *found)
        if target[:1] not in (b"/", b"@", b"!"):
            shown = target.decode("utf-8", "replace")
            raise UsageError(f"{shown!r} is no target: want /PATH, @ADDRESS, !NAME or IP!PORT")
        return self._ask_name(mask, target)

    # -- names ----------------------------------------------------------------------------------

    def _ask_name(self, mask: int, text: bytes) -> Answer:
        domain = self._domain
        reasons: list[Reason] = []
        for bit in _bits(mask):
            if not bit & domain.enabled:
                reasons.append(self._off(bit))
                continue
            action, _, rule = domain.check(bit, text)
            reasons.append(self._reason(bit, action, rule))
        answer = Answer(domain.name, mask, _shown(text), _joined(reasons))
        answer.change = self._change_names(answer, text)
        self._consider_masks(answer, text)
        self._consider_way(answer, text)
        return answer

    def _consider_way(self, answer: Answer, text: bytes) -> None:
        """Add to *answer* where a lookup of the path *text* would end, if it may not walk there."""
        domain = self._domain
        if not domain.enabled & categories.WALK or answer.mask & categories.WALK:
            return
        place = text.find(b"/", 1) if text[:1] == b"/" else 0
        while place:
            part = text if place < 0 else text[:place]
            action, _, rule = domain.check(categories.WALK, part)
            reason = self._reason(categories.WALK, action, rule)
            if not reason.allowed:
                said = f"walk {_shown(part)} is refused by {reason.text}"
                line = advice.rule("allow", categories.WALK, part)
                answer.notes.append(
                    f"the way is barred: {said}" + (f", try {line}" if line else "")
                )
                return
            place = text.find(b"/", place + 1) if place > 0 else 0

    def _consider_masks(self, answer: Answer, text: bytes) -> None:
        """Add to *answer* what is shown in place of the file *text*, which nobody may change."""
        shown = self._domain.mask_of(text)
        if shown is None:
            return
        answer.notes.append(f"{_shown(shown[0])} is shown in its place")
        changing = answer.mask & categories.WRITE_LIKE
        if not changing:
            return
        if answer.allowed:
            answer.change = []
        answer.action = max(answer.action, actions.DENY)
        for rule in reversed(self._domain.masks):
            if _about(rule, text):
                line = self._box.texts.get(rule.origin, "") if rule.origin else ""
                answer.reasons.append(Reason(changing, actions.DENY, "mask", line, rule.origin))
                command = line.partition("/")[2] if line.startswith("@") else line
                removal = self._addressed(f"mask-{_first_field(command[5:])}")
                if removal not in answer.change:
                    answer.change.append(removal)

    def _change_names(self, answer: Answer, text: bytes) -> list[str]:
        allowed = answer.allowed
        mask = answer.mask
        lines = []
        if not allowed:
            mask = sum(reason.mask for reason in answer.reasons if not reason.allowed)
        else:
            off = sum(reason.mask for reason in answer.reasons if reason.by == "off")
            if off == mask:
                lines.append(f"sandbox/{','.join(categories.names_of(off))}:on")
        line = advice.rule("deny" if allowed else "allow", mask, text)
        return [] if line is None else [self._addressed(each) for each in (*lines, line)]

    # -- addresses ------------------------------------------------------------------------------

    def _ask_network(self, mask: int, protocol: str | None, address: bytes, port: int) -> Answer:
        domain = self._domain
        reasons: list[Reason] = []
        blocked = bool(mask & categories.NET_CONNECT) and domain.blocked(address)
        for bit in _bits(mask):
            if not bit & domain.enabled:
                reasons.append(self._off(bit))
                continue
            action, _, rule = domain.check_net(bit, protocol, address, port)
            reasons.append(self._reason(bit, action, rule))
        reasons = _joined(reasons)
        if blocked:
            text = f"default/block:{actions.NAMES[domain.default_block]}"
            origin = self._box.where(domain, "default", "block")
            reasons.append(
                Reason(categories.NET_CONNECT, domain.default_block, "block", text, origin)
            )
        where = f"{ip_text(address)}!{port}"
        target = where if protocol is None else f"{protocol}!{where}"
        answer = Answer(domain.name, mask, target, reasons)
        lines = []
        if blocked:
            lines.append(f"block-{ip_text(address)}")
            answer.notes.append("the address is on the block list")
        denied = sum(
            reason.mask for reason in reasons if not reason.allowed and reason.by != "block"
        )
        if answer.allowed:
            off = sum(reason.mask for reason in reasons if reason.by == "off")
            if off == mask:
                lines.append(f"sandbox/{','.join(categories.names_of(off))}:on")
            lines.append(advice.network_rule("deny", mask, protocol, ip_text(address), port))
        elif denied:
            lines.append(advice.network_rule("allow", denied, protocol, ip_text(address), port))
        answer.change = [self._addressed(line) for line in lines]
        return answer

    # -- file systems and ioctl ------------------------------------------------------------------

    def _ask_fs(self, target: bytes) -> Answer:
        from madcap.policy import fsmagic

        name = target.decode("utf-8", "replace")
        magics = fsmagic.parse_list(name)
        domain = self._domain
        reasons: list[Reason] = []
        for magic in magics:
            if not domain.enabled & categories.FS:
                reasons.append(self._off(categories.FS))
                continue
            action, _, rule = domain.check_fs(magic)
            reasons.append(self._reason(categories.FS, action, rule))
        answer = Answer(domain.name, categories.FS, name, _joined(reasons))
        word = "deny" if answer.allowed else "allow"
        lines = ["sandbox/fs:on"] if not domain.enabled & categories.FS else []
        answer.change = [self._addressed(line) for line in (*lines, f"{word}/fs+{name}")]
        return answer

    def _ask_ioctl(self, target: bytes) -> Answer:
        from madcap.policy import ioctls

        name = target.decode("utf-8", "replace")
        requests = ioctls.requests_of(name)
        if not requests:  # What is marked as optional may not exist.
            raise UsageError(f"{name!r} is no request")
        domain = self._domain
        reasons: list[Reason] = []
        for request in requests:
            listed = domain.ioctls.answer(request)
            action = domain.check_ioctl(request)
            if listed is not None:
                origin = self._box.where(domain, "ioctl", request)
                text = self._box.texts.get(origin, "") if origin else ""
                text = text or f"{'allow' if listed else 'deny'}/ioctl+{name}"
                reasons.append(Reason(categories.IOCTL, action, "rule", text, origin))
            elif not domain.enabled & categories.IOCTL:
                reasons.append(self._off(categories.IOCTL))
            else:
                reasons.append(self._reason(categories.IOCTL, action, None))
        answer = Answer(domain.name, categories.IOCTL, name, _joined(reasons))
        word = "deny" if answer.allowed else "allow"
        if word == "allow" or not ioctls.undeniable(requests):
            answer.change = [self._addressed(f"{word}/ioctl+{name}")]
        return answer

    # -- reasons ---------------------------------------------------------------------------------

    def _reason(self, bit: int, action: int, rule: Decisive) -> Reason:
        """Return why the category *bit* was answered *action*."""
        number = bit.bit_length() - 1
        if rule is None:
            text = f"default/{categories.NAMES[number]}:{actions.NAMES[action]}"
            return Reason(
                bit, action, "default", text, self._box.where(self._domain, "default", number)
            )
        text = self._box.texts.get(rule.origin, "") if rule.origin else ""
        return Reason(bit, action, "rule", text, rule.origin)

    def _off(self, bit: int) -> Reason:
        """Return why the category *bit* is not looked at."""
        number = bit.bit_length() - 1
        origin = self._box.where(self._domain, "sandbox", number)
        text = f"sandbox/{categories.NAMES[number]}:off"
        return Reason(bit, actions.ALLOW, "off", text, origin)

    def _addressed(self, line: str) -> str:
        """Return *line* as a command for the domain that was asked."""
        return line if self._domain.name == "default" else f"@{self._domain.name}/{line}"


def _about(rule: Rule, text: bytes) -> bool:
    """Tell whether *rule* is about *text*."""
    from madcap.policy import glob

    return glob.matches(rule.pattern, rule.method, text)


def _first_field(text: str) -> str:
    """Return *text* up to its first colon that is no escaped one."""
    index = 0
    while index < len(text) and text[index] != ":":
        index += 2 if text[index] == "\\" else 1
    return text[:index]


def _bits(mask: int) -> list[int]:
    return [1 << bit for bit in range(mask.bit_length()) if mask >> bit & 1]


def _joined(reasons: Sequence[Reason]) -> list[Reason]:
    """Return *reasons* with those made one that have the same line; the strictest come first."""
    found: dict[tuple[int, str, Origin | None, str], Reason] = {}
    for reason in reasons:
        # Defaults differ in the name of their category and are told apart by their action.
        text = reason.text if reason.by == "rule" else ""
        key = (reason.action, reason.by, reason.origin, text)
        kept = found.get(key)
        if kept is None:
            found[key] = reason
        else:
            kept.mask |= reason.mask
            if kept.by in ("default", "off"):
                names = ",".join(categories.names_of(kept.mask))
                family, _, rest = kept.text.partition("/")
                kept.text = f"{family}/{names}:{rest.rpartition(':')[2]}"
    return sorted(found.values(), key=lambda reason: -reason.action)


def endpoint(target: bytes) -> tuple[str | None, bytes, int] | None:
    """Return protocol, address and port that ``PROTO!IP!PORT`` or ``IP!PORT`` spells, or None."""
    fields = target.decode("utf-8", "replace").replace("@", "!").split("!")
    protocol = None
    if len(fields) == 3 and fields[0].lower() in _PROTOCOLS:
        protocol = fields.pop(0).lower()
    if len(fields) != 2:
        return None
    parsed = parse_ip(fields[0].removeprefix("[").removesuffix("]"))
    if parsed is None:
        return None
    if not (fields[1].isascii() and fields[1].isdigit()) or int(fields[1][:6]) > 65535:
        raise UsageError(f"{fields[1]!r} is no port")
    size, number = parsed
    if size == 16 and number >> 32 == 0xFFFF:
        size, number = 4, number & 0xFFFF_FFFF  # Rules about IPv4 decide about these.
    if protocol == "icmp":
        protocol = "icmp4" if size == 4 else "icmp6"
    return protocol, number.to_bytes(size, "big"), int(fields[1])


def _shown(text: bytes) -> str:
    """Return *text* for people; bytes that are no UTF-8 stay apart as lone surrogates."""
    return text.decode("utf-8", "surrogateescape")
