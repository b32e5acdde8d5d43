# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a sandbox for people and programs: text, JSON, and the bits of a magic stat(2)."""

from __future__ import annotations

from madcap.policy import actions, categories, lock
from madcap.policy.address import ports_text, text_of
from madcap.policy.fsmagic import name_of
from madcap.policy.json_text import pretty

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

    from madcap.policy.address import NetRule, Network, Ports
    from madcap.policy.domain import Domain
    from madcap.policy.landlock import Landlock
    from madcap.policy.sandbox import Sandbox

# Flags as people read them; programs get the names with hyphens.
LABELS: Final = {
    "tpe_negate": "Negate TPE GID Logic",
    "tpe_root_owned": "Ensure TPE directory is root-owned",
    "tpe_user_owned": "Ensure TPE directory is user-owned",
    "tpe_root_mount": "Ensure TPE directory is on root-mount",
    "allow_unsafe_any_addr": "Allow Unsafe Any Address",
    "allow_unsafe_ipv6_rthdr": "Allow Unsafe IPV6_RTHDR control messages",
    "allow_unsafe_ipv6_scope": "Allow Unsafe IPv6 Scope ID",
    "allow_unsafe_ip_retopts": "Allow Unsafe IP_RETOPTS control messages",
    "allow_unsupp_cmsg": "Allow Unsupported control messages",
    "allow_unsafe_open_kfd": "Allow Unsafe AMD KFD Character Device Open",
    "allow_unsafe_open_path": "Allow Unsafe O_PATH Open",
    "allow_unsafe_open_suid": "Allow Unsafe SUID/SGID File Open",
    "allow_unsafe_create": "Allow Unsafe Create",
    "allow_unsafe_deleted": "Allow Unsafe Deleted Files",
    "allow_unsafe_hardlinks": "Allow Unsafe Hardlinks",
    "allow_unsafe_symlinks": "Allow Unsafe Symlinks",
    "allow_unsafe_sticky": "Disable Immutable Sticky Bit",
    "allow_unsafe_machine_id": "Allow Unfiltered machine-id(5) Access",
    "allow_unsafe_proc_pid_status": "Allow Unfiltered proc_pid_status(5) Access",
    "allow_unsafe_filename": "Allow Unsafe Filename",
    "allow_unsafe_netlink": "Allow Unsafe Netlink",
    "deny_dotdot": "Deny DotDot",
    "deny_vdso": "Deny vDSO",
    "force_cloexec": "Force Close-on-Exec FDs",
    "force_rand_fd": "Force Randomized FDs",
    "force_ro_open": "Force Readonly Open",
    "force_wx_open": "Force W^X Open",
    "force_local_net": "Force Local Network",
    "force_no_symlinks": "Force No Symbolic Links",
    "force_no_magiclinks": "Force No Magic Symbolic Links",
    "force_no_xdev": "Force No Mountpoint Traversal",
}

# The order of categories in the text: not quite that of their bits.
TEXT_ORDER: Final = (
    categories.FS,
    *(1 << bit for bit in range(1, 33)),
    categories.FORCE,
    categories.TPE,
    categories.PROXY,
    categories.PTY,
    categories.MEM,
    categories.PID,
    categories.LOCK,
    categories.URING,
)

RLIMITS: Final = (
    *("as", "core", "cpu", "data", "fsize", "memlock", "msgqueue", "nice", "nofile", "nproc"),
    *("rtprio", "rttime", "sigpending", "stack"),
)

# The last categories that have a default action, after those with rules.
DEFAULTS_AFTER: Final = ("block", "lock", "mem", "pid", "force", "segvguard", "tpe")

COMPATIBILITY: Final = {
    actions.KILL: ("hard-requirement", "HardRequirement"),
    actions.DENY: ("soft-requirement", "SoftRequirement"),
    actions.WARN: ("best-effort", "BestEffort"),
}
SILENT: Final = ("same_exec_off", "new_exec_on", "subdomains_off")


def shown(text: bytes) -> str:
    """Return *text*, or its hex digits when a byte of it is not printable ASCII."""
    for byte in text:
        if not 0x20 <= byte <= 0x7E:
            return text.hex()
    return text.decode("ascii")


def human(size: int) -> str:
    """Return *size* in the largest unit that leaves it above one, with two decimals."""
    value = float(size)
    unit = 0
    while value > 1024 and unit < 6:
        value /= 1024
        unit += 1
    return f"{value:.2f}{'BKMGTPE'[unit]}"


def sandbox_id(box: Sandbox) -> str:
    """Return the identity of the sandbox, 64 hex digits."""
    return box.environ.get(b"SYD_ID", b"").decode("ascii", "replace")


# -- magic stat ------------------------------------------------------------------------------------


def stat_mode(box: Sandbox) -> int:
    """Return st_mode of a successful magic stat(2): a character device that tells what is on."""
    mode = 0o020000
    for name, bit in (("mount", 0o1000), ("user", 0o4000), ("net", 0o2000)):
        if name in box.unshared:
            mode |= bit
    for category, bit in (
        (categories.READ, 0o400),
        (categories.WRITE, 0o200),
        (categories.EXEC, 0o100),
        (categories.STAT, 0o40),
        (categories.PROXY, 0o20),
        (categories.TPE, 0o10),
        (categories.LOCK, 0o4),
        (categories.URING, 0o2),
        (categories.FORCE, 0o1),
    ):
        if box.active.enabled & category:
            mode |= bit
    return mode


def stat_nlink(box: Sandbox) -> int:
    """Return st_nlink of a successful magic stat(2): the low half of the enabled categories."""
    return box.active.enabled & 0xFFFF_FFFF


# -- JSON ------------------------------------------------------------------------------------------


def one_or_all(items: list[str]) -> object:
    """Return nothing, the only item, or all items: as many as there are."""
    if not items:
        return None
    return items[0] if len(items) == 1 else items


def state(box: Sandbox) -> dict[str, object]:
    """Return the state of *box* as plain values, in the order of the interface."""
    from madcap.policy.interface import api

    domain = box.subject
    root = box.root
    found: dict[str, object] = {
        "id": sandbox_id(box),
        "name": domain.uts_host,
        "domainname": domain.uts_domain,
        "domain": domain.name,
        "have_force": box.host.force,
        "landlock_abi": box.host.landlock_abi,
        "flags": [name.replace("_", "-") for name in sorted(domain.flags)],
        "state": one_or_all(categories.names_of(domain.enabled)),
        "lock": None if box.lock is None else lock.NAMES[box.lock],
        "cpid": box.eldest,
        "fpid": box.eldest_fd,
        "rootdir": shown(root) if isinstance(root, bytes) else root,
        "workdir": None if box.workdir is None else shown(box.workdir),
        "chroot": box.chrooted,
        "boottime": box.boot_time,
        "monotime": box.monotonic_time,
        "umask": domain.force_umask,
        "tmout": None if box.timeout is None else box.timeout // 1_000_000_000,
        "verbose": box.verbose,
        "ipc_uid": box.ipc_uid,
        "ipc_gid": box.ipc_gid,
        "ipc_max": box.ipc_max,
        "ipc_idle": box.ipc_idle // 1_000_000_000,
        "backtrace": "0",
        "proxy_addr": box.proxy_addr,
        "proxy_port": box.proxy_port,
        "proxy_ext_addr": box.proxy_ext_addr,
        "proxy_ext_port": box.proxy_ext_port,
        "proxy_ext_unix": None if box.proxy_ext_unix is None else shown(box.proxy_ext_unix),
    }
    found.update(_defaults(domain))
    found["mem_max"] = domain.mem_max
    found["mem_vm_max"] = domain.mem_vm_max
    found["pid_max"] = domain.pid_max
    found["pipe_max"] = box.pipe_max
    found["xattr_max"] = box.xattr_max
    for name in RLIMITS:
        found["rlimit_" + name] = box.rlimits.get(name)
    found["segvguard_expiry"] = domain.segvguard_expiry
    found["segvguard_suspension"] = domain.segvguard_suspension
    found["segvguard_maxcrashes"] = domain.segvguard_maxcrashes
    found["transit_uids"] = [list(pair) for pair in box.transit_uids]
    found["transit_gids"] = [list(pair) for pair in box.transit_gids]
    found.update(_rules(domain))
    found["lock_rules"] = None if box.landlock is None else _landlock(box, box.landlock)
    found["mask_rules"] = [
        [
            shown(mask.pattern),
            None if mask.target is None else shown(mask.target),
            None if mask.directory is None else shown(mask.directory),
        ]
        for mask in reversed(domain.masks)
    ]
    found["force_rules"] = [
        {"pat": shown(path), "act": actions.NAMES[action], "alg": algorithm, "sum": digest.hex()}
        for path, (algorithm, digest, action) in sorted(domain.force.items())
    ]
    found["api"] = api()
    return found


def _defaults(domain: Domain) -> dict[str, object]:
    found: dict[str, object] = {}
    for bit in (33, *range(1, 33)):
        name = categories.NAMES[bit].replace("/", "_")
        found["default_" + name] = actions.NAMES[domain.defaults[bit]]
    for name in DEFAULTS_AFTER:
        if name == "block":
            action = domain.default_block
        elif name == "segvguard":
            action = domain.default_segvguard
        else:
            action = domain.defaults[categories.NAMES.index(name)]
        found["default_" + name] = actions.NAMES[action]
    return found


def _rules(domain: Domain) -> dict[str, object]:
    return {
        "fs_rules": [
            [name_of(rule.magic) or rule.magic, actions.NAMES[rule.action]]
            for rule in reversed(domain.fs_rules)
        ],
        "cidr_rules": [
            {
                "act": actions.NAMES[rule.action],
                "cap": one_or_all(categories.names_of(rule.mask)),
                "pat": _network(rule),
            }
            for rule in reversed(domain.net_rules)
        ],
        "glob_rules": [
            {
                "act": actions.NAMES[rule.action],
                "cap": one_or_all(categories.names_of(rule.mask)),
                "pat": shown(rule.pattern),
            }
            for rule in reversed(domain.rules)
        ],
    }


def _network(rule: NetRule) -> dict[str, object]:
    pattern: dict[str, object] = {"addr": text_of(rule.network)}
    if rule.ports != ((0, 65535),):
        pattern["port"] = _ports(rule.ports)
    if rule.protocol is not None:
        pattern["proto"] = rule.protocol
    return pattern


def _ports(ports: Ports) -> object:
    """Return a port, a range as a pair, or a list of these, as many as there are."""
    items: list[object] = [low if low == high else [low, high] for low, high in ports]
    return items[0] if len(items) == 1 else items


def _pathsets(landlock: Landlock) -> list[tuple[str, list[str]]]:
    from madcap.policy.landlock import RIGHTS

    return [
        (right, [shown(path) for path in sorted(landlock.paths[right])])
        for right in RIGHTS
        if landlock.paths.get(right)
    ]


def _landlock(box: Sandbox, landlock: Landlock) -> dict[str, object]:
    compatible = COMPATIBILITY[box.domains["default"].defaults[0]] if box.running else BEST_EFFORT
    found: dict[str, object] = {
        "compat_level": compatible[0],
        "scoped_abs": True,
        "scoped_sig": True,
        "restrict_self_flags": [
            "log-" + flag.replace("_", "-") for flag in SILENT if flag in landlock.silent
        ],
    }
    for right, paths in _pathsets(landlock):
        found[("conn" if right == "connect" else right) + "_pathset"] = paths
    if landlock.bind_ports:
        found["bind_portset"] = _ports(tuple(landlock.bind_ports))
    if landlock.connect_ports:
        found["conn_portset"] = _ports(tuple(landlock.connect_ports))
    return found


BEST_EFFORT: Final = COMPATIBILITY[actions.WARN]


def dump_text(box: Sandbox) -> str:
    """Return the state of *box* as indented JSON, without a newline at its end."""
    return pretty(state(box))


# -- text ------------------------------------------------------------------------------------------


def stat_text(box: Sandbox) -> str:
    """Return the state of *box* as people read it, without a newline at its end."""
    domain = box.subject
    enabled = [_name(mask) for mask in TEXT_ORDER if mask & domain.enabled]
    labels = sorted(LABELS[flag] for flag in domain.flags)
    lines = [
        "Syd:",
        f"  Sandbox ID: {sandbox_id(box)}",
        f"  Sandbox Process ID: {box.eldest}",
        f"  Lock: {'off' if box.lock is None else lock.NAMES[box.lock].capitalize()}",
        f"  Options: {', '.join(labels)}",
        f"  Capabilities: {','.join(enabled)}",
        f"  Verbosity: {box.verbose}",
        f"  Memory Max: {human(domain.mem_max)}",
        f"  Virtual Memory Max: {human(domain.mem_vm_max)}",
        f"  Pid Max: {domain.pid_max}",
        f"  Pipe Max: {box.pipe_max}",
        f"  Xattr Max: {box.xattr_max}",
        f"  SegvGuard Max Crashes: {domain.segvguard_maxcrashes}",
        f"  SegvGuard Expiry: {domain.segvguard_expiry} seconds",
        f"  SegvGuard Suspension: {domain.segvguard_suspension} seconds",
        f"  IPC UID: {_or_none(box.ipc_uid)}",
        f"  IPC GID: {_or_none(box.ipc_gid)}",
        f"  IPC Max Connections: {box.ipc_max}",
        f"  IPC Idle Timeout: {box.ipc_idle // 1_000_000_000} seconds",
        "  Default Action:",
    ]
    for bit, name in enumerate(categories.NAMES):
        if domain.enabled >> bit & 1:
            lines.append(f"    {name}:\t\t{actions.NAMES[domain.defaults[bit]]}")
    for kind, pairs in (("UID", box.transit_uids), ("GID", box.transit_gids)):
        lines.append(f"  Allowed {kind} Transitions: (total: {len(pairs)}, source -> target)")
        lines += [f"    - {source} -> {target}" for source, target in pairs]
    blocked = (0, 0)
    if domain.blocklist is not None:
        blocked = (len(domain.blocklist.v4), len(domain.blocklist.v6))
    lines.append(f"  IP Blocklist: {blocked[0]} IPv4, {blocked[1]} IPv6, {sum(blocked)} total")
    lines += _rule_lines(domain)
    if box.landlock is not None:
        lines += _landlock_lines(box, box.landlock)
    return "\n".join(lines)


def _name(mask: int) -> str:
    return categories.NAMES[mask.bit_length() - 1]


def _or_none(value: int | None) -> str:
    return "none" if value is None else str(value)


def _numbered(rows: Iterable[str]) -> list[str]:
    return [f"    {number}. {row}" for number, row in enumerate(rows, 1)]


def _rule_lines(domain: Domain) -> list[str]:
    lines = [_heading("Filesystem", len(domain.fs_rules), 24)]
    lines += _numbered(
        f"Action: {actions.NAMES[rule.action]}, FsType: {name_of(rule.magic) or hex(rule.magic)}, "
        f"FsMagic: {rule.magic:#x}"
        for rule in reversed(domain.fs_rules)
    )
    lines.append(_heading("Cidr", len(domain.net_rules), 72))
    lines += _numbered(
        f"Action: {actions.NAMES[rule.action]}, "
        f"Capability: {','.join(categories.names_of(rule.mask))}, Pattern: {_pattern(rule)}"
        for rule in reversed(domain.net_rules)
    )
    lines.append(_heading("Glob", len(domain.rules), 160))
    lines += _numbered(
        f"Action: {actions.NAMES[rule.action]}, "
        f"Capability: {','.join(categories.names_of(rule.mask))}, Pattern: `{shown(rule.pattern)}'"
        for rule in reversed(domain.rules)
    )
    masks = domain.masks
    lines.append(f"  Mask Rules: ({human(416 * len(masks))}, total {len(masks)})")
    rows = []
    for mask in reversed(masks):
        target = "/dev/null" if mask.target is None else shown(mask.target)
        if mask.directory is None:
            rows.append(f"Pattern: {shown(mask.pattern)}, Mask: {target}")
        else:
            both = f"AllMask: {target}, DirMask: {shown(mask.directory)}"
            rows.append(f"Pattern: {shown(mask.pattern)}, , {both}")  # Readers know both commas.
    lines += _numbered(rows)
    default = actions.NAMES[domain.defaults[36]]
    lines.append(f"  Force Rules: (total {len(domain.force)}, default action: {default})")
    lines += _numbered(
        f"Action: {actions.NAMES[action]}, Algorithm: {algorithm}, Checksum: {digest.hex()}, "
        f"Path: {shown(path)}"
        for path, (algorithm, digest, action) in sorted(domain.force.items())
    )
    return lines


def _heading(kind: str, count: int, each: int) -> str:
    size = human(count * each)
    return f"  {kind} Rules: ({size}, total {count}, highest precedence first)"


def _pattern(rule: NetRule) -> str:
    return address_pattern(rule.network, rule.ports, rule.protocol)


def address_pattern(network: Network, ports: Ports, protocol: str | None) -> str:
    """Return what a rule or a move says about addresses."""
    text = text_of(network)
    every = ports == ((0, 65535),)
    if protocol is not None:
        return f"{protocol}!{text}!{'*' if every else ports_text(ports)}"
    return text if every else f"{text}!{ports_text(ports)}"


def _landlock_lines(box: Sandbox, landlock: Landlock) -> list[str]:
    compatible = COMPATIBILITY[box.domains["default"].defaults[0]] if box.running else BEST_EFFORT
    flags = " | ".join("LOG_" + flag.upper() for flag in SILENT if flag in landlock.silent)
    lines = [
        "  Landlock Policy:",
        f"    Compat Level: {compatible[1]}",
        "    Scoped Abstract Unix Sockets: true",
        "    Scoped Signals: true",
        f"    Restrict Self Flags: RestrictSelfFlags({flags or '0x0'})",
    ]
    lines += [
        f"    {right.capitalize()} Pathset: [{', '.join(paths)}]"
        for right, paths in _pathsets(landlock)
    ]
    for kind, ports in (("Bind", landlock.bind_ports), ("Connect", landlock.connect_ports)):
        if ports:
            every = [str(port) for low, high in ports for port in range(low, high + 1)]
            lines.append(f"      {kind} Portset: [{', '.join(every)}]")
    return lines
