# SPDX-License-Identifier: GPL-3.0-or-later
"""What records tell, by verbosity and by category."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from madcap.kernel.describe import mapping, signals

if TYPE_CHECKING:
    from tests.support.guest import Guest

RULES = ["include_profile off", "sandbox/stat:on", "allow/stat+/***", "deny/stat+/etc/hostname"]
PROCESS = {"cmd", "cwd", "pid"}


@pytest.mark.parametrize("lock", ["lock:off", "lock:on"])
@pytest.mark.parametrize("verbose", [2, 3])
def test_whole_request_takes_the_place_of_its_process_at_verbosity_three(
    sandbox: Guest, lock: str, verbose: int
) -> None:
    outcome = sandbox.run(
        "/bin/sh", "-c", "trap '' TERM; umask 027; exec stat /etc/hostname",
        rules=[*RULES, f"log/verbose:{verbose}", lock], profile=None,
    )  # fmt: skip
    (record,) = outcome.denials()
    if verbose < 3:
        assert record.keys() >= PROCESS
        assert "req" not in record
        return
    assert not record.keys() & PROCESS
    assert list(record)[-2:] == ["req", "tip"]
    request = record["req"]
    assert list(request) == [
        *("pid", "sys", "args", "arch", "cmd", "tgid", "sig_caught", "sig_blocked", "sig_ignored"),
        *("sig_pending_thread", "sig_pending_process", "umask", "ip", "sp", "ip_vma", "sp_vma"),
        *("ip_mem", "sp_mem"),
    ]
    assert (request["sys"], request["args"]) == (record["sys"], record["args"])
    assert (request["cmd"], request["arch"]) == ("stat", os.uname().machine)
    assert (request["umask"], request["sig_ignored"]) == (0o027, ["SIGTERM"])
    assert request["ip_vma"]["perm"] == "r-xp"
    assert request["sp_vma"]["name"] == "[stack]"
    assert request["sp_vma"]["addr"][0] <= request["sp"] < request["sp_vma"]["addr"][1]
    assert len(bytes.fromhex(request["ip_mem"])) == 64


@pytest.mark.parametrize("switch", ["on", "off"])
def test_file_system_is_named_where_it_matters(sandbox: Guest, switch: str) -> None:
    rules = ["include_profile off", "sandbox/read:on", "allow/read+/***", "deny/read+/etc/hostname"]
    outcome = sandbox.run(
        "cat", "/etc/hostname", rules=[*rules, f"sandbox/fs:{switch}", "allow/fs+all"], profile=None
    )
    (record,) = outcome.denials()
    assert ("fs" in record) == (switch == "on")


def test_signals_have_their_names() -> None:
    assert signals(0) == []
    assert signals(1 | 1 << 30 | 1 << 31 | 1 << 63) == ["SIGHUP", "SIGSYS", "SIGRT0", "SIGRT32"]


def test_mapping_is_found_by_an_address_in_it() -> None:
    text = b"1000-2000 r-xp 0 08:01 7    /a b\n2000-3000 rw-p 0 0:0 0 \n"
    assert mapping(text, 0x1FFF) == {"addr": [0x1000, 0x2000], "perm": b"r-xp", "name": b"/a b"}
    assert mapping(text, 0x2000) == {"addr": [0x2000, 0x3000], "perm": b"rw-p"}
    assert mapping(text, 0x3000) is None
