# SPDX-License-Identifier: GPL-3.0-or-later
"""What policy says about an address, and what of it becomes known: denials, rewritten addresses."""

from __future__ import annotations

import errno

from madcap import events
from madcap.kernel.judge import outcome
from madcap.linux.process import read_file
from madcap.policy import actions as A
from madcap.policy import categories as C
from madcap.policy.address import NetRule, ip_text
from madcap.policy.domain import LIST_MAX
from madcap.policy.glob import LITERAL
from madcap.policy.rules import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.net.address import Inet
    from madcap.kernel.request import Request
    from madcap.policy.domain import Verdict

#: Where the ports begin that everybody may bind; read when it is first asked for.
_unprivileged: list[int] = []


def require_inet(req: Request, wanted: int, protocol: str | None, to: Inet, error: int) -> None:
    """Raise OSError(*error*) unless policy lets the caller bind or connect to *to*."""
    policy = req.policy
    verdict = policy.check_net(wanted, protocol, to.ip, to.port)
    if wanted == C.NET_CONNECT and policy.blocklist is not None and policy.blocked(to.ip):
        verdict = _with_block(req, wanted, verdict)
    if verdict[0] == A.ALLOW:
        return
    text = socket_text(to)
    if protocol is not None:
        text = f"{protocol}!{text}"
    record: dict[str, object] = {
        "ctx": "access",
        "cap": "net/bind" if wanted == C.NET_BIND else "net/connect",
        "act": A.NAMES[verdict[0]],
        "sys": req.name,
        "addr": text,
        "ipv": 4 if len(to.ip) == 4 else 6,
        "proto": protocol,
    }
    outcome(req, verdict, error, record, text.encode())


def _with_block(req: Request, wanted: int, verdict: Verdict) -> Verdict:
    """Return the verdict on an address of the block list, given that of the rules."""
    block = req.policy.default_block
    asked = wanted & req.policy.enabled
    if asked and block != A.EXIT:
        block = max(block, verdict[0])
    return (block, wanted, verdict[2])


def require_unix(req: Request, wanted: int, name: bytes, error: int) -> None:
    """Raise OSError(*error*) unless policy lets the caller bind or connect to the UNIX *name*."""
    verdict = req.policy.check(wanted, name)
    if verdict[0] == A.ALLOW:
        return
    record: dict[str, object] = {
        "ctx": "access",
        "cap": "net/bind" if wanted == C.NET_BIND else "net/connect",
        "act": A.NAMES[verdict[0]],
        "sys": req.name,
        "unix": name,
        "abs": name[:1] != b"/",
    }
    outcome(req, verdict, error, record, events.printable(name).encode())


def socket_text(to: Inet) -> str:
    """Return ``ADDRESS!PORT``."""
    return f"{ip_text(to.ip)}!{to.port}"


def refuse_any(req: Request, to: Inet) -> OSError:
    """Log that the wildcard is no destination, and return the error for it."""
    text = socket_text(to)
    events.emit(
        events.WARN,
        {"ctx": "net", "op": "deny_any_addr", "sys": req.name, "err": errno.ENETUNREACH,
         "addr": text},
        pid=req.tid,
        msg=f"denied {req.name} to anyaddr {text}",
        tip="configure `trace/allow_unsafe_any_addr:1'",
    )  # fmt: skip
    return OSError(errno.ENETUNREACH, "wildcard address")


def tell_scope(req: Request, to: Inet) -> None:
    """Log that the scope id of *to* is taken away."""
    text = socket_text(to)
    events.emit(
        events.WARN,
        {"ctx": "net", "op": "zero_scope_id", "sys": req.name, "addr": text, "scope_id": to.scope},
        pid=req.tid,
        msg=f"zeroed sin6_scope_id={to.scope} on {text}",
        tip="configure `trace/allow_unsafe_ipv6_scope:1'",
    )


def is_privileged(req: Request, port: int) -> bool:
    """Tell whether binding *port* needs a capability that nobody here has."""
    if port == 0 or "allow_unsafe_bind" in req.host.options:
        return False
    if not _unprivileged:
        try:
            text = read_file(req.host.proc, b"sys/net/ipv4/ip_unprivileged_port_start")
            _unprivileged.append(int(text))
        except (OSError, ValueError):
            _unprivileged.append(1024)
    return port < _unprivileged[0]


# trace/allow_safe_bind: who bound an address may be connected to


def remember_inet(req: Request, protocol: str | None, bound: Inet) -> None:
    """Let everybody connect to the address that was just *bound*."""
    size = len(bound.ip)
    network = (size, int.from_bytes(bound.ip, "big"), size * 8)
    ports = ((bound.port, bound.port),)
    rule = NetRule(A.ALLOW, C.NET_CONNECT, network, ports, protocol, None)
    host = req.host
    with host.policy_lock:
        domain = host.sandbox.active
        rules = [old for old in domain.net_rules if not _equal(old, rule)]
        if len(rules) + 1 < LIST_MAX:
            rules.append(rule)
            domain.net_rules = rules
            domain.touch()


def _equal(old: NetRule, rule: NetRule) -> bool:
    return old.action == rule.action and old.mask == rule.mask and old.same(rule)


def remember_unix(req: Request, name: bytes) -> None:
    """Let everybody connect to the UNIX *name* that was just bound."""
    rule = Rule(A.ALLOW, C.NET_CONNECT, name, LITERAL, None)
    host = req.host
    with host.policy_lock:
        domain = host.sandbox.active
        rules = [
            old
            for old in domain.rules
            if old.pattern != name
            or old.method != LITERAL
            or old.action != rule.action
            or old.mask != rule.mask
        ]
        if len(rules) + 1 >= LIST_MAX:
            return
        if len(rules) == len(domain.rules):
            domain.add_rule(rule)
        else:
            domain.replace_rules([*rules, rule])
