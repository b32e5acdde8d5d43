# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a sandbox as text, as JSON, and as bits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from madcap.policy import categories, json_text, lock, report
from madcap.policy.interface import api

if TYPE_CHECKING:
    from madcap.policy.sandbox import Sandbox

COMMANDS = [
    "lock:x",
    "allow/read+/a",
    "deny/read,write+/b*/***",
    "allow/read+2fc3a9",
    "allow/fs+tmpfs,0x1234",
    "deny/net/connect+1.2.3.4!80",
    "allow/net+udp!*!*",
    "allow/net/bind+1::2/64!443,1-3,5,4",
    "mask+/a:/b:/c",
    "mask+/x:/y",
    "mask+/z",
    "allow/lock/read+/x",
    "allow/lock/read+/b",
    "allow/lock/connect+/x",
    "allow/lock/bind+80-82,443",
    "log/lock/subdomains_off,new_exec_on:1",
    "block+10.0.0.0/8",
    "setuid+1000:2000",
    "force+/bin/x:crc32:12345678:kill",
    "mem/max:1536",
    "tpe/negate:1",
    "trace/deny_dotdot:1",
    "trace/allow_unsafe_shm:1",
    "uts/host:none",
    "timeout:1.5s",
    "rlimit/as:inf",
]


def run(box: Sandbox, commands: list[str]) -> None:
    for command in commands:
        box.execute(command, ("test", 1))


def test_dump_has_the_keys_of_the_interface_in_their_order(box: Sandbox) -> None:
    keys = list(json.loads(report.dump_text(box)))
    defaults = [key.removeprefix("default_") for key in keys if key.startswith("default_")]
    assert keys[:12] == [
        *("id", "name", "domainname", "domain", "have_force", "landlock_abi", "flags", "state"),
        *("lock", "cpid", "fpid", "rootdir"),
    ]
    assert defaults[:3] == ["fs", "walk", "list"]
    assert defaults[-9:] == [
        *("sendfd", "recvfd", "block", "lock", "mem", "pid", "force", "segvguard", "tpe"),
    ]
    assert keys[-7:] == [
        *("fs_rules", "cidr_rules", "glob_rules", "lock_rules", "mask_rules", "force_rules", "api"),
    ]
    assert len(keys) == 100


def test_dump_shows_rules_newest_first_and_single_items_bare(box: Sandbox) -> None:
    run(box, COMMANDS)
    state = json.loads(report.dump_text(box))
    assert state["name"] is None
    assert state["lock"] == "exec"
    assert state["flags"] == ["deny-dotdot", "tpe-negate"]
    assert state["umask"] == 0o7000
    assert state["tmout"] == 1
    assert state["rlimit_as"] == 2**64 - 1
    assert state["rlimit_core"] == 0
    assert state["rlimit_data"] is None
    assert state["transit_uids"] == [[1000, 2000]]
    assert state["fs_rules"] == [[0x1234, "allow"], ["tmpfs", "allow"]]
    assert state["glob_rules"] == [
        {"act": "allow", "cap": "read", "pat": "2fc3a9"},
        {"act": "deny", "cap": ["read", "write"], "pat": "/b*/**"},
        {"act": "deny", "cap": ["read", "write"], "pat": "/b*"},
        {"act": "allow", "cap": "read", "pat": "/a"},
    ]
    assert [rule["pat"] for rule in state["cidr_rules"]] == [
        {"addr": "1::2/64", "port": [[1, 5], 443]},
        {"addr": "::/0", "proto": "udp"},
        {"addr": "0.0.0.0/0", "proto": "udp"},
        {"addr": "1.2.3.4/32", "port": 80},
    ]
    assert state["mask_rules"] == [["/z", None, None], ["/x", "/y", None], ["/a", "/b", "/c"]]
    assert state["force_rules"] == [
        {"pat": "/bin/x", "act": "kill", "alg": "crc32", "sum": "12345678"}
    ]
    assert state["lock_rules"] == {
        "compat_level": "best-effort",
        "scoped_abs": True,
        "scoped_sig": True,
        "restrict_self_flags": ["log-new-exec-on", "log-subdomains-off"],
        "read_pathset": ["/b", "/x"],
        "conn_pathset": ["/x"],
        "bind_portset": [[80, 82], 443],
    }


def test_state_is_null_a_name_or_a_list(box: Sandbox) -> None:
    box.active.enabled = 0
    assert report.state(box)["state"] is None
    box.active.enabled = categories.EXEC
    assert report.state(box)["state"] == "exec"
    box.active.enabled = categories.EXEC | categories.LOCK
    assert report.state(box)["state"] == ["lock", "exec"]


def test_text_has_a_line_for_each_item(box: Sandbox) -> None:
    run(box, COMMANDS)
    lines = report.stat_text(box).splitlines()
    for line in (
        "Syd:",
        "  Lock: Exec",
        "  Options: Deny DotDot, Negate TPE GID Logic",
        "  Memory Max: 1.50K",
        "  Pipe Max: 4096",
        "  SegvGuard Expiry: 120 seconds",
        "    net/connect:\t\tdeny",
        "  Allowed UID Transitions: (total: 1, source -> target)",
        "    - 1000 -> 2000",
        "  IP Blocklist: 1 IPv4, 0 IPv6, 1 total",
        "    1. Action: allow, FsType: 0x1234, FsMagic: 0x1234",
        "    2. Action: allow, FsType: tmpfs, FsMagic: 0x1021994",
        "    1. Action: allow, Capability: net/bind, Pattern: 1::2/64!1-5,443",
        "    2. Action: allow, Capability: net/bind,net/connect, Pattern: udp!::/0!*",
        "    2. Action: deny, Capability: read,write, Pattern: `/b*/**'",
        "    1. Pattern: /z, Mask: /dev/null",
        "    3. Pattern: /a, , AllMask: /b, DirMask: /c",
        "    1. Action: kill, Algorithm: crc32, Checksum: 12345678, Path: /bin/x",
        "    Restrict Self Flags: RestrictSelfFlags(LOG_NEW_EXEC_ON | LOG_SUBDOMAINS_OFF)",
        "    Read Pathset: [/b, /x]",
        "      Bind Portset: [80, 81, 82, 443]",
    ):
        assert line in lines
    assert lines[5].startswith("  Capabilities: fs,stat,read,")
    assert lines[5].endswith("recvfd,tpe,pty,uring")


def test_every_flag_has_a_label() -> None:
    from madcap.policy import trace

    flags = {name for name, code in trace.NAMES.items() if code[0] == "F"}
    assert flags == {name for name in report.LABELS if not name.startswith("tpe_")}


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0.00B"), (1024, "1024.00B"), (1536, "1.50K"), (2**20, "1024.00K"), (2**64, "16.00E")],
)
def test_size_is_divided_while_above_1024(size: int, text: str) -> None:
    assert report.human(size) == text


def test_magic_stat_tells_what_is_on(box: Sandbox) -> None:
    assert report.stat_mode(box) == 0o020000 | 0o752
    assert report.stat_nlink(box) == box.active.enabled & 0xFFFF_FFFF
    run(box, ["sandbox/all,tpe,uring:off", "sandbox/lock,force:on", "unshare/user,net,mount:on"])
    assert report.stat_mode(box) == 0o020000 | 0o7005
    assert report.stat_nlink(box) == 1 | categories.IOCTL


def test_interface_describes_63_methods_and_57_types() -> None:
    described = api()
    methods, types = described["methods"], described["types"]
    assert isinstance(methods, list)
    assert isinstance(types, list)
    assert len(methods) == 63
    assert len(types) == 57
    assert {"name": "pid_max", "path": "pid/max", "argv": "$usize", "argc": 1, "op": ":"} in [
        {key: value for key, value in method.items() if key != "desc"} for method in methods
    ]


def test_json_text_equals_that_of_the_library() -> None:
    value = {"a": [1, 'é"\\\n\x01', None, True], "b": {}, "c": [], "d": {"e": [[-1]]}, "f": 1.5}
    assert json_text.pretty(value) == json.dumps(value, indent=2, ensure_ascii=False)
    assert json.loads(json_text.compact(value)) == value


def test_what_follows_from_the_commands_is_settled_before_the_start(box: Sandbox) -> None:
    run(box, ["unshare/pid:on", "mem/vm_max:1k", "pid/max:5", "setuid+1000:2000", "domain+@lock"])
    box.derive()
    assert box.unshared == {"mount", "pid"}
    assert box.active.enabled & categories.MEM
    assert box.active.enabled & categories.PID
    assert "allow_safe_setuid" in box.options
    box.start()
    assert box.lock == lock.ON
    assert box.running
    assert box.active.name == "lock"


def test_sealing_takes_out_categories_that_are_off(box: Sandbox) -> None:
    run(box, ["allow/list+/a", "allow/list,read+/b"])
    box.start()
    assert [(rule.mask, rule.pattern) for rule in box.active.rules] == [(categories.READ, b"/b")]
