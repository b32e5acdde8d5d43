# SPDX-License-Identifier: GPL-3.0-or-later
"""Domains: defining them, addressing them, and moving from one to another."""

from __future__ import annotations

from errno import EEXIST, EILSEQ, EINVAL, ENAMETOOLONG, ENOENT, ENOSPC, EPERM

from madcap.errors import PolicyError
from madcap.policy import glob
from madcap.policy.blame import nearest
from madcap.policy.domain import LIST_MAX, Domain
from madcap.policy.values import field, first_field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from madcap.errors import Origin
    from madcap.policy.address import Network, Ports
    from madcap.policy.sandbox import Sandbox

NAME_MAX: Final = 16
DOMAIN_MAX: Final = 64

KINDS: Final = ("exec", "exit", "chdir", "mmap", "bind", "connect", "accept")
ADDRESSED: Final = ("bind", "connect", "accept")


class Move:
    """An event after which another domain becomes active.

    A move is about a name, with *pattern* and *method*, or about a network.
    """

    __slots__ = ("kind", "method", "network", "origin", "pattern", "ports", "protocol", "target")

    def __init__(
        self,
        kind: str,
        target: str,
        origin: Origin | None,
        *,
        pattern: bytes | None = None,
        method: int = glob.LITERAL,
        network: Network | None = None,
        ports: Ports = (),
        protocol: str | None = None,
    ) -> None:
        self.kind = kind
        self.target = target
        self.origin = origin
        self.pattern = pattern
        self.method = method
        self.network = network
        self.ports = ports
        self.protocol = protocol

    def shown(self) -> str:
        """Return what the move is about, as records show it."""
        if self.network is None:
            from madcap.policy.report import shown

            return shown(self.pattern or b"")
        from madcap.policy.report import address_pattern

        return address_pattern(self.network, self.ports, self.protocol)

    def same(self, other: Move) -> bool:
        """Tell whether *other* is the same move, wherever it was given."""
        from madcap.policy.address import base_of

        if (self.network is None) != (other.network is None):
            return False
        if self.network is not None and other.network is not None:
            alike = base_of(self.network) == base_of(other.network)
        else:
            alike = (self.pattern, self.method) == (other.pattern, other.method)
        return (
            alike
            and (self.kind, self.target) == (other.kind, other.target)
            and (self.ports, self.protocol) == (other.ports, other.protocol)
        )


def move_after(domain: Domain, kind: str, text: bytes) -> Move | None:
    """Return the move that *kind* having happened to the name *text* sets off, if one does."""
    for move in reversed(domain.moves):
        if (
            move.kind == kind
            and move.pattern is not None
            and glob.matches(move.pattern, move.method, text)
        ):
            return move
    return None


def move_after_address(
    domain: Domain, kind: str, protocol: str | None, address: bytes, port: int
) -> Move | None:
    """Return the move that *kind* having happened to an IP address sets off, if one does."""
    from madcap.policy.address import NetRule

    number = int.from_bytes(address, "big")
    for move in reversed(domain.moves):
        if move.kind == kind and move.network is not None:
            rule = NetRule(0, 0, move.network, move.ports, move.protocol, None)
            if rule.matches(protocol, len(address), number, port):
                return move
    return None


def kinds_of(box: Sandbox) -> frozenset[str]:
    """Return the kinds of event that set off a move in any domain; settled when *box* starts."""
    return frozenset(move.kind for domain in box.domains.values() for move in domain.moves)


def take(box: Sandbox, move: Move | None) -> bool:
    """Make the domain that *move* leads to the active one; tell whether another one was."""
    if move is None or move.target == box.active.name:
        return False
    enter(box, box.domains[move.target])
    return True


def parse_name(box: Sandbox, text: str) -> str:
    """Return the name of a domain that *text* spells, with or without an ``@``."""
    name = box.expand(text.removeprefix("@"))
    if len(name) > NAME_MAX:
        raise PolicyError(ENAMETOOLONG, f"name of a domain over {NAME_MAX} bytes: {name}")
    if not name.isascii() or not name[:1].isalpha() or not name.replace("_", "a").isalnum():
        raise PolicyError(
            EILSEQ,
            f"{name!r} is no name of a domain",
            expected="a letter, then letters, digits, _",
            word=name,
        )
    return name


def _known(box: Sandbox, text: str) -> Domain:
    name = parse_name(box, text)
    domain = box.domains.get(name)
    if domain is None:
        raise PolicyError(
            EINVAL, f"unknown domain {name!r}", expected="one that is defined before", word=name
        )
    return domain


def addressed(box: Sandbox, text: str) -> None:
    """Do ``@NAME/COMMAND``; *text* is what follows the ``@``."""
    name, slash, command = text.partition("/")
    if not slash or not name:
        raise PolicyError(EINVAL, f"@{text} without a command", expected="@NAME/COMMAND")
    box.require_default()
    domain = _known(box, name)
    before = box.active, box.subject
    box.subject = domain
    try:
        box.execute(command, box.origin)
    finally:
        box.active, box.subject = before


def move_now(box: Sandbox, text: str) -> None:
    """Do ``cmd/move!NAME``."""
    if not text:
        raise PolicyError(ENOENT, "cmd/move! without the name of a domain")
    box.require_free()
    enter(box, _known(box, text))


def enter(box: Sandbox, domain: Domain) -> None:
    """Make *domain* the active one."""
    box.active = box.subject = domain


def define(box: Sandbox, rest: str) -> None:
    """Do ``domain+@NAME[:SEED]``, ``domain-@NAME`` or ``domain^``."""
    operator = rest[:1]
    if operator == "^" and len(rest) == 1:
        box.require_startup()
        box.domains = {"default": box.domains["default"]}
        _forget_moves(box)
        return
    text, seed = first_field(field(rest[1:]))
    if operator not in ("+", "-") or not text or (operator == "-" and seed is not None):
        raise PolicyError(
            EINVAL,
            f"malformed domain{rest}",
            expected="domain+@NAME[:SEED], domain-@NAME, domain^",
        )
    if operator == "+" and seed == "":
        raise PolicyError(EINVAL, "empty seed of a domain", expected="@DOMAIN, /FILE or a profile")
    box.require_startup()
    if operator == "-":
        _undefine(box, parse_name(box, text))
        return
    name = parse_name(box, text)
    if seed is not None and seed.startswith("@"):
        parse_name(box, seed)
    elif seed is not None:
        seed = box.expand(seed)
    if name in box.domains:
        raise PolicyError(EEXIST, f"domain {name} is there already")
    if len(box.domains) >= DOMAIN_MAX:
        raise PolicyError(ENOSPC, f"more than {DOMAIN_MAX} domains")
    _create(box, name, seed or "")


def _create(box: Sandbox, name: str, seed: str) -> None:
    if seed.startswith("@"):
        box.domains[name] = _known(box, seed).copy(name)
        return
    domain = box.domains[name] = Domain(name)
    if not seed:
        return
    before = box.active, box.subject
    box.subject = domain
    try:
        if seed.startswith("/"):
            box.load_file(seed)
        else:
            box.include_profile(seed)
    except PolicyError:
        del box.domains[name]
        raise
    finally:
        box.active, box.subject = before


def _undefine(box: Sandbox, name: str) -> None:
    if name == "default":
        raise PolicyError(EPERM, "the domain default stays")
    if name not in box.domains:
        raise PolicyError(EINVAL, f"unknown domain {name!r}", word=name)
    del box.domains[name]
    _forget_moves(box)
    if box.active.name == name:
        enter(box, box.domains["default"])


def _forget_moves(box: Sandbox) -> None:
    """Drop the moves to domains that are no more."""
    for domain in box.domains.values():
        domain.moves = [move for move in domain.moves if move.target in box.domains]


def move(box: Sandbox, text: str) -> None:
    """Do ``move/@TO/KIND+PATTERN``, ``-PATTERN`` or ``^``; *text* is what follows ``move/``."""
    name, _, rest = text.partition("/")
    for kind in KINDS:
        if rest.startswith(kind) and rest[len(kind) : len(kind) + 1] in ("+", "-", "^"):
            break
    else:
        word = rest.partition("+")[0].rstrip("^")
        raise PolicyError(
            EINVAL,
            f"malformed move/{text}",
            expected="move/@TO/KIND+PATTERN, KIND: " + " ".join(KINDS) + nearest(word, KINDS),
            word=word,
        )
    operator = rest[len(kind)]
    argument = rest[len(kind) + 1 :]
    if (operator == "^") == bool(argument):
        raise PolicyError(
            EINVAL, f"malformed move/{text}", expected="a pattern, or nothing after ^"
        )
    box.require_startup(any_domain=True)
    target = _known(box, name).name
    domain = box.subject
    if operator == "^":
        domain.moves = [old for old in domain.moves if (old.kind, old.target) != (kind, target)]
        return
    for new in _parse_moves(box, kind, target, field(argument)):
        if operator == "-":
            _drop_move(domain, new)
        elif len(domain.moves) >= LIST_MAX:
            raise PolicyError(ENOSPC, f"more than {LIST_MAX} moves")
        else:
            domain.moves.append(new)


def _drop_move(domain: Domain, like: Move) -> None:
    for place in range(len(domain.moves) - 1, -1, -1):
        if domain.moves[place].same(like):
            domain.moves = domain.moves[:place] + domain.moves[place + 1 :]
            return


def _parse_moves(box: Sandbox, kind: str, target: str, text: str) -> list[Move]:
    if kind in ADDRESSED:
        from madcap.policy import address

        parsed = address.parse(box, text, aliases=False)
        if parsed is None and "$" in text:
            parsed = address.parse(box, box.expand(text), aliases=False)
        if parsed is not None:
            return [
                Move(kind, target, box.origin, network=network, ports=ports, protocol=protocol)
                for network, ports, protocol in parsed
            ]
        if kind == "accept":
            raise PolicyError(EINVAL, f"{text!r} is no IP address with ports", word=text)
        text = address.unix_pattern(box, text)
    # Of a pattern that is stored as two, a move keeps the first only.
    pattern, method = glob.split(glob.canonical(box.expand(text)))[0]
    return [Move(kind, target, box.origin, pattern=pattern, method=method)]
