# SPDX-License-Identifier: GPL-3.0-or-later
"""The control socket answers the user's programs outside of the sandbox, and no guest."""

from __future__ import annotations

import errno
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.support import host

if TYPE_CHECKING:
    from tests.support.guest import Guest

# Ask for commands in every way a process has: by itself, and through a child that is gone at once.
ASK = """
import os, socket, sys, time
name = sys.argv[1]
address = "\\0" + name[1:] if name[0] == "@" else name
def ask(command, forked):
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(5)
    try:
        peer.connect(address)
    except OSError as error:
        return "refused"
    if forked:
        if os.fork() == 0:
            if os.fork() == 0:
                os.write(peer.fileno(), command)
            os._exit(0)
        os.wait()
    else:
        peer.sendall(command)
    return peer.recv(4096).decode().strip()
for forked in (False, True):
    for _ in range(20):
        print(ask(b"lock:off\\n", forked), ask(b"sandbox/write:off\\n", forked))
"""
FREE = ["include_profile off", "trace/allow_unsafe_exec_nopie:1"]


@pytest.mark.parametrize("kind", ["abstract", "file"])
@pytest.mark.parametrize("trapped", ["on", "off"])
def test_guest_cannot_command_by_the_control_socket(
    sandbox: Guest, kind: str, trapped: str
) -> None:
    work = sandbox.fresh_work()
    name = f"{work}/socket" if kind == "file" else f"@{work}/socket"
    rules = [*FREE, f"ipc:{name}", f"sandbox/net/connect:{trapped}", "allow/net/connect+/***"]
    rules += ["allow/net/connect+@***"]
    outcome = sandbox.run(
        host.PYTHON, "-ISc", ASK, name, rules=rules, profile=None, fresh=False, timeout=100
    )
    assert outcome.status == 0, outcome
    answers = outcome.out.decode().split()
    assert len(answers) == 80, outcome
    assert set(answers) <= {'{"err":13,"msg":"AUTH"}', "refused"}, outcome


def test_user_can_command_by_the_control_socket(sandbox: Guest) -> None:
    """The counterpart: the same commands from outside are carried out."""
    work = sandbox.fresh_work()
    rules = [*FREE, f"ipc:{work}/socket"]
    with subprocess.Popen(
        sandbox.command(["sleep", "60"], rules, None),
        cwd=work,
        env=sandbox.environment(),
        start_new_session=True,
        **sandbox.identity.spawn_options(),  # type: ignore[call-overload]
    ) as running:
        deadline = time.monotonic() + 20
        while not (work / "socket").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        for command, answer in (
            ("ping", '{"err":0,"msg":"PONG"}'),
            ("allow/read+/***", '{"err":0,"msg":"ACK"}'),
            (f"cmd/exec!touch\x1f{work}/made", '{"err":0,"msg":"ACK"}'),
            ("cmd/exec!/nonexistent", '{"err":2,"msg":"ENOENT: No such file or directory"}'),
        ):
            with socket.socket(socket.AF_UNIX) as peer:
                peer.settimeout(20)
                while peer.connect_ex(str(work / "socket")) == errno.ECONNREFUSED:
                    assert time.monotonic() < deadline  # Bound, and not listening yet.
                    time.sleep(0.01)
                peer.sendall(command.encode() + b"\n")
                assert peer.makefile().read() == answer + "\n"
        while not (work / "made").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        running.kill()


def test_second_sandbox_at_the_same_address_does_not_start(sandbox: Guest) -> None:
    sandbox.fresh_work()
    rules = [*FREE, f"ipc:{sandbox.work}/socket"]
    for status in (0, 98):
        outcome = sandbox.run("true", rules=rules, profile=None, fresh=False, log_apart=False)
        assert outcome.status == status, outcome
