# SPDX-License-Identifier: GPL-3.0-or-later
"""The description of the configuration interface that programs can read."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

MAJOR: Final = 3
MINOR: Final = 1

NO_IOCTL_ACTIONS: Final = ["abort", "exit", "filter", "kill", "panic", "stop", "warn"]
NO_RULES: Final = ["force", "ioctl", "lock", "mem", "pid", "proxy", "pty", "tpe"]

BOOLEANS: Final = (
    ("allow_unsafe_filename", "Allow file names with control or otherwise unsafe bytes"),
    ("allow_unsafe_hardlinks", "Lift the rule about trusted hard links"),
    ("allow_unsafe_netlink", "Let messages of the kernel through on netlink sockets"),
    ("allow_unsafe_proc_pid_status", "Show all fields of the status files in /proc"),
    ("allow_unsafe_sticky", "Let chmod(2) take sticky bits away from directories"),
    ("allow_unsafe_open_kfd", "Let the process itself open AMD KFD devices"),
    ("allow_unsafe_open_path", "Let the process itself open with O_PATH"),
    ("allow_unsafe_open_suid", "Let set-id files be opened for writing"),
    ("deny_dotdot", "Refuse .. in paths"),
    ("force_cloexec", "Make all new descriptors close on exec"),
    ("force_rand_fd", "Give new descriptors random numbers"),
    ("force_ro_open", "Refuse to open anything for writing"),
    ("force_wx_open", "Refuse to open executable files for writing"),
    ("force_no_symlinks", "Follow no symbolic links"),
    ("force_no_magiclinks", "Follow no magic links in /proc"),
    ("force_no_xdev", "Cross no mount points"),
    ("force_umask", "Set the mode bits that new files never get"),
    ("allow_unsafe_create", "Lift the rule about trusted file creation"),
    ("allow_unsafe_machine_id", "Show the identity of the host"),
    ("allow_unsafe_symlinks", "Follow symbolic links in untrusted directories"),
    ("allow_unsafe_any_addr", "Leave wildcard addresses as they are"),
    ("allow_unsafe_ipv6_rthdr", "Let IPv6 routing headers through"),
    ("allow_unsafe_ipv6_scope", "Keep the scope of IPv6 addresses"),
    ("allow_unsafe_ip_retopts", "Let IP options through to the receiver"),
    ("allow_unsupp_cmsg", "Let unknown control messages through"),
    ("deny_vdso", "Hide the vDSO from new programs"),
    ("force_local_net", "Rewrite all addresses to the loopback interface"),
)

CAPS: Final = (
    "all all-l all-n all-x all-ln all-lx all-nx all-lnx lpath npath rpath wpath cpath dpath spath "
    "tpath fown fattr net inet bnet cnet passfd walk list stat read write exec ioctl create delete "
    "rename readlink symlink truncate chdir readdir mkdir rmdir chown chgrp chmod chattr chroot "
    "notify utime mkbdev mkcdev mkfifo mktemp net/bind net/connect sendfd recvfd mem pid pty tpe "
    "lock force fs proxy uring"
)
PROFILES: Final = (
    "container core debug enforce ff firefox immutable kvm kvm_native landlock lib linux noipv4 "
    "noipv6 nomem nopie oci off paludis privileged quiet readonly ro silent trace tty tty_native "
    "user"
)
ACTIONS: Final = "abort allow deny exit filter kill panic stop warn"
STATES: Final = "off exec ipc drop read on"
LEVELS: Final = "emerg alert crit error warn notice info debug"

U64: Final = (1 << 64) - 1
U32: Final = (1 << 32) - 1


#: What can be read from ``/dev/syd/`` and a name, and is of no use.
EGGS: Final = {
    b"pink": "A door that is painted on a wall has never let in a draught.\n",
    b"pipe": "Ceci n'est pas un pipe(2).\n",
    b"play": "All work is sandboxed; play is emulated.\n",
}


def api() -> dict[str, object]:
    """Return the description of the interface as plain values."""
    return {
        "root": "/dev/syd",
        "version": {"major": MAJOR, "minor": MINOR, "version": f"{MAJOR}.{MINOR}"},
        "methods": methods(),
        "types": types(),
    }


def bare(items: list[str]) -> object:
    """Return the only item of a list by itself."""
    return items[0] if len(items) == 1 else items


def _method(
    name: str,
    about: str,
    path: str = "",
    operator: str = "",
    argv: str = "",
    argc: object = 1,
    *,
    base: str = "",
    extra: dict[str, object] | None = None,
) -> dict[str, object]:
    """Return one method; *argc* of 0 is left out, and so is what is empty."""
    found: dict[str, object] = {"name": name, "desc": about}
    if path:
        found["path"] = path
    if base:
        found["base"] = bare(base.split())
    if argv:
        found["argv"] = bare(argv.split())
    if argc != 0:
        found["argc"] = argc
    more = extra or {}
    if "args" in more:
        found["args"] = more["args"]
    if operator:
        found["op"] = operator
    if "exc" in more:
        found["exc"] = more["exc"]
    return found


def methods() -> list[dict[str, object]]:
    """Return the methods, in their order."""
    return [
        _method("check", "Check whether the interface is there", argc=0),
        _method("panic", "End the sandbox at once with status 127", "panic", argc=0),
        _method("ghost", "Refuse every judged call from now on", "ghost", argc=0),
        _method("load", "Read a descriptor or a built-in profile", "load", "", "$filedes $profile"),
        _method("lock", "Set the lock", "lock", ":", "$state"),
        _method("enabled", "Ask whether categories are on", "sandbox", "?", argc=0, base="$caps"),
        _method("enable", "Switch categories", "sandbox", ":", "$bool", base="$caps"),
        _method("default", "Set default actions", "default", ":", "$action", base="$caps"),
        _method("block_add", "Block a network", "block", "+", "$cidr"),
        _method("block_remove", "Unblock a network", "block", "-", "$cidr"),
        _method("block_clear", "Unblock all networks", "block", "^", argc=0),
        _method("block_merge", "Merge adjacent blocked networks", "block", "!", argc=0),
        _method(
            "force_add",
            "Require a checksum of a file",
            "force",
            "+",
            "$path $hash $action",
            [2, 3],
            extra={"exc": {"$action": ["allow"]}},
        ),
        _method("force_remove", "Require no checksum of a file", "force", "-", "$path"),
        _method("force_clear", "Require no checksums", "force", "^", argc=0),
        *_rule_methods(),
        _method("mask_add", "Show another file", "mask", "+", "$glob $path", [1, 2]),
        _method("mask_remove", "Show a file again", "mask", "-", "$glob"),
        _method("mask_clear", "Show all files again", "mask", "^", argc=0),
        *_limit_methods(),
        *[
            _method(
                name,
                about,
                "trace/" + name,
                ":",
                "$mode -1" if name == "force_umask" else "$bool",
            )
            for name, about in BOOLEANS
        ],
        _method("log_level", "Set the log level", "log/level", ":", "$level"),
        _method("log_verbose", "Set how much records tell", "log/verbose", ":", "$u8"),
    ]


def _rule_methods() -> list[dict[str, object]]:
    request: dict[str, object] = {"exc": {"$action": NO_IOCTL_ACTIONS}}
    rule: dict[str, object] = {"exc": {"$caps": NO_RULES}}
    on = "$action $caps"
    return [
        _method(
            "ioctl_add", "Add ioctl requests", "ioctl", "+", "$u64", base="$action", extra=request
        ),
        _method(
            "ioctl_remove", "Remove requests", "ioctl", "-", "$u64", base="$action", extra=request
        ),
        _method("rule_add", "Add a rule", "", "+", "$rule", base=on, extra=rule),
        _method("rule_remove", "Remove the newest one", "", "-", "$rule", base=on, extra=rule),
        _method("rule_clear", "Remove all such rules", "", "^", "$rule", base=on, extra=rule),
    ]


def _limit_methods() -> list[dict[str, object]]:
    return [
        _method("mem_max", "Limit the memory of a process", "mem/max", ":", "$hsize"),
        _method("mem_vm_max", "Limit the address space", "mem/vm_max", ":", "$hsize"),
        _method("pid_max", "Limit the number of tasks", "pid/max", ":", "$usize"),
        _method(
            "segvguard_expiry", "Set how long crashes count", "segvguard/expiry", ":", "$u64", 0
        ),
        _method("segvguard_timeout", "Set the suspension", "segvguard/suspension", ":", "$u64"),
        _method("segvguard_maxcrashes", "Set the crashes", "segvguard/maxcrashes", ":", "$u8"),
        _method("tpe_gid", "Set the group of untrusted users", "tpe/gid", ":", "$gid none"),
        _method("tpe_negate", "Make it the group of trusted users", "tpe/negate", ":", "$bool"),
        _method("tpe_root_owned", "Trust what root owns", "tpe/root_owned", ":", "$bool"),
        _method("tpe_user_owned", "Trust what the user owns", "tpe/user_owned", ":", "$bool"),
        _method(
            "cmd_exec",
            "Run a program outside the sandbox",
            "cmd/exec",
            "!",
            "$str",
            -1,
            extra={"args": "\x1f"},
        ),
    ]


def _type(
    name: str,
    about: str,
    *,
    least: int | None = None,
    most: int | None = None,
    form: str = "",
    values: str = "",
    uses: str = "$str",
) -> dict[str, object]:
    found: dict[str, object] = {"name": name, "desc": about}
    if least is not None:
        found["min"] = least
    if most is not None:
        found["max"] = most
    if form:
        found["fmt"] = form
    if values:
        found["enum"] = values.split()
    if uses:
        found["impl"] = bare(uses.split())
    return found


def types() -> list[dict[str, object]]:
    """Return the types of arguments, in their order."""
    from madcap.policy.force import EMPTY

    checksums = ["$" + name.replace("-", "_") for name in EMPTY]
    return [
        _type("$str", "Text", form="utf-8", uses=""),
        _type("$bool", "On or off", values="true false"),
        _type("$u8", "A number of 8 bits", least=0, most=255, form="int"),
        _type("$usize", "A number of the size of addresses", least=0, most=U64, form="int"),
        _type("$u64", "A number of 64 bits", least=0, most=U64, form="int"),
        _type("$uid", "A user", least=0, most=U32, form="int"),
        _type("$gid", "A group", least=0, most=U32, form="int"),
        _type("$mode", "Mode bits", least=0, most=U32, form="oct"),
        _type("$path", "A path", least=1, most=4096),
        _type("$hsize", "A number of bytes, with a unit or without"),
        _type("$state", "A state of the lock", values=STATES),
        _type("$level", "A log level", values=LEVELS),
        _type("$action", "An action", values=ACTIONS),
        _type("$caps", "Categories and sets of them", values=CAPS),
        _type("$cidr", "A network"),
        _type("$glob", "A pattern of names"),
        _type("$addr", "A network with ports"),
        _type("$rule", "What a rule is about", uses="$glob $addr"),
        _type("$filedes", "A descriptor", least=0, most=0x7FFF_FFFF),
        _type("$profile", "A built-in profile", values=PROFILES),
        _type("$hash", "A checksum", uses=" ".join(checksums)),
        *[
            _type(
                checksum,
                f"A checksum made with {name}",
                least=len(empty),
                most=len(empty),
                form="hex",
            )
            for checksum, (name, empty) in zip(checksums, EMPTY.items(), strict=True)
        ],
    ]
