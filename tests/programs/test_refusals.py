# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rules do not allow is refused with the right errno, and one JSON line says so."""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.support import host

if TYPE_CHECKING:
    from tests.support.guest import Guest, Outcome

OPEN_KEYS = ["id", "hid", "syd", "ctx", "cap", "act", "sys", "fs", "path", "mode", "type"]
OPEN_KEYS += ["oflags", "rflags", "cmd", "cwd", "pid", "uid", "time", "tip"]
PATH_KEYS = ["id", "hid", "syd", "ctx", "cap", "act", "sys", "err", "path", "args"]
PATH_KEYS += ["cmd", "cwd", "pid", "uid", "time", "tip"]


class Refusal(NamedTuple):
    """One thing a guest tries, the errno it gets, and what the log says about it."""

    attempt: str
    error: str
    cap: str
    path: str


KEY = "{home}/.ssh/id_ed25519"
REFUSALS = [
    pytest.param(
        Refusal(f"open('{KEY}')", "EACCES", "read", KEY),
        id="reading-a-private-key",
    ),
    pytest.param(
        Refusal("os.listdir('{home}/.ssh')", "EACCES", "readdir", "{home}/.ssh"),
        id="listing-the-directory-of-keys",
    ),
    pytest.param(
        Refusal(f"os.stat('{KEY}')", "EACCES", "stat", KEY),
        id="looking-at-a-private-key",
    ),
    pytest.param(
        Refusal("open('{home}/new', 'w')", "EACCES", "write,create", "{home}/new"),
        id="creating-a-file-at-home",
    ),
    pytest.param(
        Refusal(f"open('{KEY}', 'a')", "EACCES", "write", KEY),
        id="appending-to-a-file-at-home",
    ),
    pytest.param(
        Refusal("os.mkdir('{home}/dir')", "EACCES", "mkdir", "{home}/dir"),
        id="making-a-directory-at-home",
    ),
    pytest.param(
        Refusal(f"os.unlink('{KEY}')", "EACCES", "delete", KEY),
        id="removing-a-file-at-home",
    ),
    pytest.param(
        Refusal(f"os.rename('{KEY}', '{{work}}/x')", "EACCES", "delete,rename", KEY),
        id="moving-a-file-away-from-home",
    ),
    pytest.param(
        Refusal("os.rename('{work}/mine', '{home}/x')", "EACCES", "create", "{home}/x"),
        id="moving-a-file-to-home",
    ),
    pytest.param(
        Refusal("os.symlink('x', '{home}/x')", "EACCES", "symlink", "{home}/x"),
        id="linking-at-home",
    ),
    pytest.param(
        Refusal(f"os.chmod('{KEY}', 0o644)", "EACCES", "chmod", KEY),
        id="changing-a-mode-at-home",
    ),
    pytest.param(
        Refusal(f"os.utime('{KEY}')", "EACCES", "utime", KEY),
        id="changing-times-at-home",
    ),
    pytest.param(
        Refusal(f"os.truncate('{KEY}', 0)", "EACCES", "truncate,chmod,chattr", KEY),
        id="truncating-a-file-at-home",
    ),
    pytest.param(
        Refusal(f"os.execv('{KEY}', ['x'])", "EACCES", "exec", KEY),
        id="executing-a-file-at-home",
    ),
]


def caps_of(record: dict[str, Any]) -> str:
    """Return the categories of a record as a rule names them; one stands alone in the JSON."""
    caps = record["cap"]
    return caps if isinstance(caps, str) else ",".join(caps)


def _keys_at_home(guest: Guest) -> None:
    """Give the guest a home with a key that its user may read, write and execute."""
    guest.fresh_work()
    directory = guest.home / ".ssh"
    directory.mkdir()
    (directory / "id_ed25519").write_text("#!/bin/cat\nsecret\n")
    (directory / "id_ed25519").chmod(0o700)
    (guest.work / "mine").write_text("mine\n")
    for path in (directory, directory / "id_ed25519", guest.work / "mine"):
        os.chown(path, guest.identity.uid, guest.identity.gid)


def _attempt(guest: Guest, statement: str) -> tuple[str, Outcome]:
    """Return the name of the errno that *statement* ends with, and the outcome of the run."""
    program = (
        "import errno, os, socket\n"
        f"try: {statement}\n"
        "except OSError as error: print(errno.errorcode[error.errno])\n"
        "else: print('done')\n"
    )
    outcome = guest.run(host.PYTHON, "-I", "-S", "-c", program, fresh=False)
    assert outcome.status == 0, outcome
    return outcome.out.decode().strip(), outcome


@pytest.mark.parametrize("refusal", REFUSALS)
def test_what_no_rule_allows_is_refused_and_logged_once(guest: Guest, refusal: Refusal) -> None:
    _keys_at_home(guest)
    places = {"home": str(guest.home), "work": str(guest.work)}
    answer, outcome = _attempt(guest, refusal.attempt.format(**places))
    if guest.kind == "native":
        # The file system itself stands in nobody's way.
        assert answer in ("done", "#!/bin/cat\nsecret")
        assert outcome.log == []
        return
    assert answer == refusal.error
    (record,) = outcome.log
    path = refusal.path.format(**places)
    assert record["ctx"] == "access"
    assert caps_of(record) == refusal.cap
    assert record["act"] == "deny"
    assert record["path"] == path
    assert record["uid"] == guest.identity.uid
    assert record["tip"] == f"configure `allow/{refusal.cap}+{path}'"
    assert (guest.home / ".ssh" / "id_ed25519").read_text() == "#!/bin/cat\nsecret\n"
    assert sorted(os.listdir(guest.home)) == [".ssh"]


def test_a_refused_open_is_logged_with_these_keys_in_this_order(sandbox: Guest) -> None:
    _keys_at_home(sandbox)
    answer, outcome = _attempt(sandbox, f"open('{sandbox.home}/.ssh/id_ed25519')")
    assert answer == "EACCES"
    (record,) = outcome.log
    assert list(record) == OPEN_KEYS
    assert record["type"] == "reg"
    assert record["oflags"] == ["cloexec"]


def test_a_refused_path_call_is_logged_with_these_keys_in_this_order(sandbox: Guest) -> None:
    _keys_at_home(sandbox)
    _, outcome = _attempt(sandbox, f"os.mkdir('{sandbox.home}/dir')")
    (record,) = outcome.log
    assert list(record) == PATH_KEYS
    assert record["err"] == 13
    assert len(record["args"]) == 6


def test_connecting_elsewhere_is_refused_and_logged(guest: Guest) -> None:
    """The address is one of those that are for documents and lead nowhere."""
    guest.fresh_work()
    statement = "socket.create_connection(('192.0.2.1', 9), timeout=0.2)"
    answer, outcome = _attempt(guest, statement)
    if guest.kind == "native":  # Whatever the network says: nobody writes about it.
        assert outcome.log == []
        return
    assert answer == "ECONNREFUSED"
    (record,) = outcome.log
    assert (record["ctx"], record["cap"], record["act"]) == ("access", "net/connect", "deny")
    assert record["sys"] == "connect"
    assert record["addr"] == "tcp!192.0.2.1!9"
    assert record["ipv"] == 4


def test_connecting_to_a_unix_socket_outside_is_refused_and_logged(guest: Guest) -> None:
    guest.fresh_work()
    path = f"{guest.home}/socket"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        os.chmod(path, 0o777)
        server.listen()
        answer, outcome = _attempt(guest, f"socket.socket(socket.AF_UNIX).connect('{path}')")
    if guest.kind == "native":
        assert answer == "done"
        return
    assert answer == "ECONNREFUSED"
    (record,) = outcome.log
    assert (record["ctx"], record["cap"], record["unix"]) == ("access", "net/connect", path)


def test_the_log_goes_to_standard_error_unless_told_otherwise(sandbox: Guest) -> None:
    _keys_at_home(sandbox)
    outcome = sandbox.run(
        "/bin/cat",
        f"{sandbox.home}/.ssh/id_ed25519",
        log_apart=False,
        fresh=False,
    )
    lines = outcome.err.decode().splitlines()
    assert outcome.status == 1
    assert json.loads(lines[0])["cap"] == "read"
    assert lines[1].endswith("Permission denied")
