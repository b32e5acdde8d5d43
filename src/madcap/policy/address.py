# SPDX-License-Identifier: GPL-3.0-or-later
"""IP networks, ports and protocols: their syntax, and the rules about them."""

from __future__ import annotations

from errno import EINVAL, ENOSPC, EPERM

from madcap.errors import PolicyError
from madcap.policy.access import judge_default_in_drop
from madcap.policy.domain import LIST_MAX
from madcap.policy.glob import HEX
from madcap.policy.values import DIGITS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from madcap.errors import Origin
    from madcap.policy.domain import Domain
    from madcap.policy.sandbox import Sandbox

    # Bytes of the address (4 or 16), the address with its host bits, and the prefix length.
    Network = tuple[int, int, int]
    Ports = tuple[tuple[int, int], ...]

ALL_PORTS: Final = ((0, 65535),)

# fmt: off
_ANY4, _ANY6 = (4, 0, 0), (16, 0, 0)
_LOOP4, _LOOP6 = (4, 0x7F000000, 8), (16, 1, 128)
_LINK4, _LINK6 = (4, 0xA9FE0000, 16), (16, 0xFE80 << 112, 10)
_LOCAL4 = (_LOOP4, (4, 0x0A000000, 8), (4, 0xAC100000, 12), (4, 0xC0A80000, 16))
_LOCAL6 = (_LOOP6, _LINK6, (16, 0xFC00 << 112, 7), (16, 0xFEC0 << 112, 10))
_MULTI4, _MULTI6 = (4, 0xE0000000, 4), (16, 0xFF00 << 112, 8)

ALIASES: Final[dict[str, tuple[Network, ...]]] = {
    "any": (_ANY4, _ANY6), "any4": (_ANY4,), "any6": (_ANY6,),
    "loopback": (_LOOP4, _LOOP6), "loopback4": (_LOOP4,), "loopback6": (_LOOP6,),
    "linklocal": (_LINK4, _LINK6), "linklocal4": (_LINK4,), "linklocal6": (_LINK6,),
    "local": _LOCAL4 + _LOCAL6, "local4": _LOCAL4, "local6": _LOCAL6,
    "multicast": (_MULTI4, _MULTI6), "multicast4": (_MULTI4,), "multicast6": (_MULTI6,),
}

# Dial networks: the protocol for IPv4, the one for IPv6 (None is any), and the address sizes.
_BOTH, _V4, _V6 = (4, 16), (4,), (16,)
DIALS: Final = {
    "tcp": ("tcp", "tcp", _BOTH), "tcp4": ("tcp", "tcp", _V4), "tcp6": ("tcp", "tcp", _V6),
    "mptcp": ("mptcp", "mptcp", _BOTH), "mptcp4": ("mptcp", "mptcp", _V4),
    "mptcp6": ("mptcp", "mptcp", _V6),
    "udp": ("udp", "udp", _BOTH), "udp4": ("udp", "udp", _V4), "udp6": ("udp", "udp", _V6),
    "udplite": ("udplite", "udplite", _BOTH), "udplite4": ("udplite", "udplite", _V4),
    "udplite6": ("udplite", "udplite", _V6),
    "sctp": ("sctp", "sctp", _BOTH), "sctp4": ("sctp", "sctp", _V4),
    "sctp6": ("sctp", "sctp", _V6),
    "dccp": ("dccp", "dccp", _BOTH), "dccp4": ("dccp", "dccp", _V4), "dccp6": ("dccp", "dccp", _V6),
    "icmp": ("icmp4", "icmp6", _BOTH), "icmp4": ("icmp4", "icmp6", _V4),
    "icmp6": ("icmp4", "icmp6", _V6),
    "net": (None, None, _BOTH), "net4": (None, None, _V4), "net6": (None, None, _V6),
}
# fmt: on
OCTETS: Final = {str(number): number for number in range(256)}
UNIX: Final = ("unix", "unixgram", "unixpacket")

MAPPED: Final = 0xFFFF << 32  # ::ffff:0:0


class NetRule:
    """What is answered for connections with a network, on some ports, by one protocol or all."""

    __slots__ = ("action", "mask", "network", "origin", "ports", "protocol")

    def __init__(
        self,
        action: int,
        mask: int,
        network: Network,
        ports: Ports,
        protocol: str | None,
        origin: Origin | None,
    ) -> None:
        self.action = action
        self.mask = mask
        self.network = network
        self.ports = ports
        self.protocol = protocol
        self.origin = origin

    def copy(self) -> NetRule:
        """Return a rule like this one that may change on its own."""
        return NetRule(self.action, self.mask, self.network, self.ports, self.protocol, self.origin)

    def matches(self, protocol: str | None, size: int, address: int, port: int) -> bool:
        """Tell whether a socket of *protocol* and a peer at *address* (of *size* bytes) match."""
        own_size, own, prefix = self.network
        if size != own_size or (own ^ address) >> (size * 8 - prefix):
            return False
        if self.protocol is not None and self.protocol != protocol:
            return False
        return any(low <= port <= high for low, high in self.ports)

    def same(self, other: NetRule) -> bool:
        """Tell whether *other* is about the same connections, host bits aside."""
        return (
            self.protocol == other.protocol
            and self.ports == other.ports
            and base_of(self.network) == base_of(other.network)
        )

    def meets(self, other: NetRule) -> bool:
        """Tell whether some connection can match this rule and *other*."""
        size, address, prefix = self.network
        other_size, other_address, other_prefix = other.network
        if size != other_size or (address ^ other_address) >> (
            size * 8 - min(prefix, other_prefix)
        ):
            return False
        if None not in (self.protocol, other.protocol) and self.protocol != other.protocol:
            return False
        return any(
            low <= other_high and other_low <= high
            for low, high in self.ports
            for other_low, other_high in other.ports
        )


def base_of(network: Network) -> Network:
    """Return *network* without its host bits."""
    size, address, prefix = network
    shift = size * 8 - prefix
    return size, address >> shift << shift, prefix


def parse_ip(text: str) -> tuple[int, int] | None:
    """Return size and value of the IPv4 or IPv6 address *text*, or None when it is none."""
    if ":" in text:
        value = _parse_v6(text)
        return None if value is None else (16, value)
    value = _parse_v4(text)
    return None if value is None else (4, value)


def _parse_v4(text: str) -> int | None:
    octets = text.split(".")
    if len(octets) != 4:
        return None
    try:
        first, second, third, fourth = [OCTETS[octet] for octet in octets]
    except KeyError:
        return None
    return first << 24 | second << 16 | third << 8 | fourth


def _parse_v6(text: str) -> int | None:
    head, gap, tail = text.partition("::")
    if "::" in tail or tail.startswith(":") or (not gap and not head):
        return None
    first = _groups(head, not gap)
    last = _groups(tail, True) if gap else []
    if first is None or last is None:
        return None
    missing = 8 - len(first) - len(last)
    if missing < 0 or (gap and missing == 0) or (not gap and missing):
        return None
    value = 0
    for group in (*first, *[0] * missing, *last):
        value = value << 16 | group
    return value


def _groups(text: str, last: bool) -> list[int] | None:
    """Return the 16-bit groups of *text*; a dotted address may stand in the *last* place."""
    if not text:
        return []
    groups: list[int] = []
    words = text.split(":")
    for number, word in enumerate(words):
        if "." in word:
            value = _parse_v4(word) if last and number == len(words) - 1 else None
            if value is None:
                return None
            groups += (value >> 16, value & 0xFFFF)
        elif 1 <= len(word) <= 4 and HEX.issuperset(word):
            groups.append(int(word, 16))
        else:
            return None
    return groups


def parse_network(text: str) -> Network:
    """Return the network *text*, ``ADDRESS`` or ``ADDRESS/LENGTH``; mapped IPv6 becomes IPv4."""
    address, slash, length = text.partition("/")
    parsed = parse_ip(address)
    if parsed is None:
        raise PolicyError(
            EINVAL, f"{text!r} is no IP network", expected="ADDRESS or ADDRESS/LENGTH", word=text
        )
    size, value = parsed
    prefix = size * 8
    if slash:
        if not 1 <= len(length) <= 3 or not DIGITS[10].issuperset(length) or int(length) > prefix:
            raise PolicyError(
                EINVAL, f"bad prefix length in {text!r}", expected=f"0 to {prefix}", word=text
            )
        prefix = int(length)
    if size == 16 and value >> 32 == 0xFFFF:
        if prefix < 96:
            raise PolicyError(
                EINVAL, f"{text!r} is wider than the IPv4 networks it begins with", word=text
            )
        return 4, value & 0xFFFF_FFFF, prefix - 96
    return size, value, prefix


def parse_ports(text: str) -> Ports:
    """Return the sorted, merged ranges of the port set *text*."""
    ranges = []
    for word in text.split(","):
        low, hyphen, high = word.partition("-")
        first = _port(low, text)
        last = _port(high, text) if hyphen else first
        if last < first:
            raise PolicyError(EINVAL, f"port range {word} runs backwards", word=word)
        ranges.append((first, last))
    if len(ranges) == 1:
        return (ranges[0],)
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(merged)


def _port(word: str, text: str) -> int:
    digits = word.removeprefix("+")
    if digits and DIGITS[10].issuperset(digits):
        digits = digits.lstrip("0") or "0"
        if len(digits) <= 5 and int(digits) <= 65535:
            return int(digits)
    raise PolicyError(
        EINVAL,
        f"{text!r} is no port set",
        expected="N, N-M or a comma list, up to 65535",
        word=text,
    )


def parse(
    box: Sandbox, text: str, *, aliases: bool = True
) -> list[tuple[Network, Ports, str | None]] | None:
    """Return the networks, ports and protocols of the address *text*, or None when it is a pattern.

    *aliases* says whether the short form ``any!80`` counts; dial strings always may use aliases.
    """
    mark = _mark(text)
    if mark < 0:
        return None
    head = text[:mark]
    tail = text[mark + 1 :]
    if aliases:
        networks = ALIASES.get(head.lower())
        if networks is not None:
            if "," in tail or "+" in tail:
                raise PolicyError(
                    EINVAL, f"{tail!r} is no port or range", expected="N or N-M", word=tail
                )
            ports = parse_ports(tail)
            return [(network, ports, None) for network in networks]
    if _is_address(head):
        return [(parse_network(head), parse_ports(tail), None)]
    dial = DIALS.get(box.expand(head).lower()) if text[mark] == "!" else None
    if dial is None:
        return None
    return _parse_dial(box, dial, tail)


def _mark(text: str) -> int:
    """Return the place of the first ``!`` or ``@``, or -1 when there is none but at the start."""
    for place, letter in enumerate(text):
        if letter in "!@":
            return place or -1
    return -1


def _is_address(text: str) -> bool:
    address, _, length = text.partition("/")
    return (
        ("." in address or ":" in address)
        and all(letter in HEX or letter in ".:" for letter in address)
        and DIGITS[10].issuperset(length)
    )


def _parse_dial(
    box: Sandbox, dial: tuple[str | None, str | None, tuple[int, ...]], text: str
) -> list[tuple[Network, Ports, str | None]]:
    fields = text.split("!")
    if len(fields) != 2:
        raise PolicyError(
            EINVAL, f"{text!r} is no address with service", expected="ADDRESS!PORTS", word=text
        )
    where = box.expand(fields[0]).lower()
    service = box.expand(fields[1])
    networks = ALIASES.get("any" if where == "*" else where)
    if networks is None:
        networks = (parse_network(where),)
    ports = ALL_PORTS if service == "*" else parse_ports(service)
    for4, for6, sizes = dial
    found = [
        (network, ports, for4 if network[0] == 4 else for6)
        for network in networks
        if network[0] in sizes
    ]
    if not found:
        raise PolicyError(EINVAL, f"{where} has no network of the required family")
    return found


def unix_pattern(box: Sandbox, text: str) -> str:
    """Return the pattern of a UNIX dial string, or *text* itself when it is none."""
    head, mark, tail = text.partition("!")
    if mark and box.expand(head).lower() in UNIX:
        return tail
    return text


def command(box: Sandbox, action: int, mask: int, operator: str, text: str) -> bool:
    """Add or remove the network rules *text* stands for; tell whether it stands for any."""
    parsed = parse(box, text)
    if parsed is None and "$" in text:
        parsed = parse(box, box.expand(text))
    if parsed is None:
        return False
    rules = [
        NetRule(action, mask, network, ports, protocol, box.origin)
        for network, ports, protocol in parsed
    ]
    domain = box.subject
    if box.in_drop and operator == "+":
        judge_default_in_drop(box, action, mask)
        for old in domain.net_rules:
            if old.action > action and old.mask & mask and any(old.meets(rule) for rule in rules):
                raise PolicyError(EPERM, "would weaken a stricter rule under lock:drop")
    for rule in rules:
        if operator == "+":
            if len(domain.net_rules) >= LIST_MAX:
                raise PolicyError(ENOSPC, f"more than {LIST_MAX} network rules")
            domain.net_rules.append(rule)
        else:
            remove(domain, rule, every=operator == "^")
    domain.touch()
    return True


def remove(domain: Domain, like: NetRule, *, every: bool) -> None:
    """Take each category of *like* out of the newest equal rule that has it, or of *every* one."""
    mask = like.mask
    kept = []
    for old in reversed(domain.net_rules):
        taken = old.mask & mask if old.action == like.action and old.same(like) else 0
        if taken and not every:
            mask &= ~taken
        if taken == old.mask:
            continue
        if taken:
            old = old.copy()
            old.mask &= ~taken
        kept.append(old)
    kept.reverse()
    domain.net_rules = kept
    domain.touch()


def text_of(network: Network) -> str:
    """Return *network* as ``ADDRESS/LENGTH``."""
    size, address, prefix = network
    return f"{ip_text(address.to_bytes(size, 'big'))}/{prefix}"


def ip_text(address: bytes) -> str:
    """Return the text of an IP address of 4 or 16 bytes."""
    if len(address) == 4:
        return ".".join(map(str, address))
    if address.startswith(bytes(10) + b"\xff\xff"):
        return "::ffff:" + ip_text(address[12:])
    groups = [address[index] << 8 | address[index + 1] for index in range(0, 16, 2)]
    best, length = 8, 1
    index = 0
    while index < 8:
        end = index
        while end < 8 and not groups[end]:
            end += 1
        if end - index > length:
            best, length = index, end - index
        index = max(end, index + 1)
    words = [f"{group:x}" for group in groups]
    if best == 8:
        return ":".join(words)
    return ":".join(words[:best]) + "::" + ":".join(words[best + length :])


def ports_text(ports: Ports) -> str:
    """Return a port set as commands write it."""
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in ports)
