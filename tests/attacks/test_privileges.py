# SPDX-License-Identifier: GPL-3.0-or-later
"""Other doors into the kernel stay shut, and so do the rights of root and of set-id files."""

from __future__ import annotations

import errno
import json
import os
import platform
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.attacks.test_races import build
from tests.support import host

if TYPE_CHECKING:
    from tests.support.guest import Guest


@pytest.mark.skipif(platform.machine() != "x86_64", reason="needs x86_64: the doors are its own")
@pytest.mark.skipif(shutil.which("gcc", path=host.BASE_PATH) is None, reason="needs gcc")
def test_x32_numbers_and_int_0x80_reach_nothing(guest: Guest) -> None:
    guest.fresh_work()
    build(guest, "other_abi", guest.work)
    (guest.home / "key").write_text("denied")
    (guest.home / "key").chmod(0o644)
    for path in (guest.home / "key", "/etc/hostname"):
        outcome = guest.run("./other_abi", str(path), profile="attacks.syd-3", fresh=False)
        assert outcome.status == 0, outcome
        lines = dict(line.split(" ", 1) for line in outcome.out.decode().splitlines())
        assert set(lines) == {"x32", "x32-exec", "int80"}
        if guest.kind == "madcap":
            # Killed by SIGSYS, or refused where the kernel was built without that door.
            assert set(lines.values()) <= {"killed by 31", "killed by 11", "refused"}


@pytest.mark.parametrize(
    ("rules", "opened"),
    [
        ([], False),
        (["sandbox/uring:off", "sandbox/uring:on"], False),
        (["sandbox/uring:off"], True),
        (["domain+@other", "sandbox/uring:off"], False),
        (["sandbox/uring:off", "domain+@other:@default"], True),
    ],
)
def test_a_ring_is_had_only_where_no_domain_confines_it(
    sandbox: Guest, rules: list[str], opened: bool
) -> None:
    """A ring makes calls that nobody sees: it is there where the category is off."""
    native = sandbox.sibling("native").syscall("io_uring_setup", 1, bytes(120))
    if native < 0:
        pytest.skip("this kernel has no io_uring")
    rules = [*rules, "rlimit/memlock:8M"]
    answer = sandbox.syscall("io_uring_setup", 1, bytes(120), rules=rules)
    assert (answer >= 0) == opened
    assert opened or answer == -errno.ENOSYS


def test_a_guest_of_root_has_no_right_that_its_ids_do_not_give(root_sandbox: Guest) -> None:
    root_sandbox.fresh_work()
    other = host.ordinary_user()
    foreign = root_sandbox.work / "foreign"
    foreign.mkdir()
    (foreign / "file").write_text("theirs")
    (foreign / "file").chmod(0o600)
    for path in (foreign, foreign / "file"):
        os.chown(path, other.uid, other.gid)
    with subprocess.Popen(["sleep", "60"], user=other.uid, group=other.gid) as victim:
        outcome = root_sandbox.python(
            "attack_as_root.py", str(foreign / "file"), str(victim.pid),
            profile="attacks.syd-3", fresh=False,
        )  # fmt: skip
        alive = victim.poll() is None
        victim.kill()
    assert outcome.status == 0, outcome
    found = json.loads(outcome.out)
    assert alive
    assert found.pop("capabilities") == [0] * 6
    assert set(found.pop("sets")) == {"0" * 16}
    assert found.pop("setuid to what I am") == "0"
    assert found.pop("setresuid that keeps all") == "0"
    # A guest that asks for a new root directory is told that it has one, and finds nothing there.
    found.pop("chroot")
    # Dropping supplementary groups is no right: root has given them up before.
    found.pop("setgroups")
    allowed = [name for name, text in found.items() if text.lstrip("-").isdigit()]
    assert not allowed
    assert found["read of another's file"] == "EACCES"
    assert (foreign / "file").read_text() == "theirs"
    assert not (root_sandbox.work / "node").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it makes a set-user-id file")
def test_a_set_user_id_program_gives_nothing(sandbox: Guest) -> None:
    sandbox.fresh_work()
    shutil.copy("/usr/bin/id", sandbox.work / "id")
    (sandbox.work / "id").chmod(0o4755)
    outcome = sandbox.run("./id", "-u", profile="attacks.syd-3", fresh=False)
    assert outcome.out.decode().strip() in (str(sandbox.identity.uid), "")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: the tests are run by another user")
def test_the_guest_user_can_neither_read_roots_home_nor_write_the_program(sandbox: Guest) -> None:
    """Else the tests of the sandbox would say little."""
    outcome = sandbox.sibling("native").run(
        "/bin/sh", "-c", 'test -r /root || test -w "$PROJECT/bin/madcap" || echo neither'
    )
    assert outcome.out == b"neither\n"


def test_no_rule_lets_root_name_the_programs_that_the_kernel_runs(root_sandbox: Guest) -> None:
    outcome = root_sandbox.run(
        "/bin/sh", "-c",
        "cd /proc/sys/kernel; (: >>hostname) && echo; for file in core_pattern modprobe"
        " /proc/sysrq-trigger /proc/sys/fs/binfmt_misc/register /sys/fs/cgroup/*/release_agent"
        " /sys/module/firmware_class/parameters/path"
        '; do [ ! -e "$file" ] || ! (: >>"$file") || echo "opened $file"; done',
        profile="attacks.syd-3", rules=["allow/all+/***", "allow/fs+all"],
    )  # fmt: skip
    assert outcome.out == b"\n", outcome  # The other file shows that the rules would allow it.
