# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves between domains: which event sets one off, when, and for whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.guest import Guest, Outcome

#: Nothing is judged but what a test asks for, and /dev/syd tells which domain is active.
FREE = (
    "include_profile off",
    "trace/allow_unsafe_exec_nopie:1",
    "lock:off",
    "domain+@jail:@default",
)
UNTRACED = "trace/allow_unsafe_ptrace:1"
LIBRARY = "/usr/bin/true"


def moves(sandbox: Guest, rules: Sequence[str], *steps: str) -> list[tuple[str, str]]:
    """Return (domain, errno) after each of *steps*."""
    outcome = sandbox.python("moves.py", *steps, rules=[*FREE, *rules], profile=None)
    assert outcome.status == 0, outcome
    return [tuple(line.split()) for line in outcome.out.decode().splitlines()]


TRIGGERS = [
    pytest.param("exec+/usr/bin/true", "run=/usr/bin/true", "jail 0", id="exec"),
    pytest.param("exec+/usr/bin/tr?e", "run=/usr/bin/false", "default 0", id="another-exec"),
    pytest.param("exec+/usr/bin/true", "check=/usr/bin/true", "default 0", id="only-a-check"),
    pytest.param("exec+/usr/bin/true", "run=/bin/true", "jail 0", id="exec-by-another-name"),
    pytest.param("exit+/usr/bin/true", "run=/usr/bin/true", "jail 0", id="exit"),
    pytest.param("exit+/usr/bin/true", "run=/usr/bin/false", "default 0", id="another-exit"),
    pytest.param("exit+/usr/bin/sleep", "background=/usr/bin/sleep", "jail 0", id="killed"),
    pytest.param("chdir+/tmp", "chdir=/tmp", "jail 0", id="chdir"),
    pytest.param("chdir+/tmp", "fchdir=/tmp", "jail 0", id="fchdir"),
    pytest.param("chdir+/tmp", "chdir=/usr/../tmp", "jail 0", id="chdir-by-another-name"),
    pytest.param("chdir+/proc/self", "chdir=/proc/self", "jail 0", id="chdir-to-oneself"),
    pytest.param("chdir+/tmp", "chdir=/tmp/none", "default ENOENT", id="failed-chdir"),
    pytest.param(f"mmap+{LIBRARY}", f"map={LIBRARY}", "jail 0", id="mmap"),
    pytest.param(f"mmap+{LIBRARY}", "map=/usr/bin/env", "default 0", id="another-mmap"),
    pytest.param("bind+127.0.0.1!18101", "bind=18101", "jail 0", id="bind"),
    pytest.param("bind+127.0.0.1!18101", "bind=18102", "default 0", id="another-port"),
    pytest.param("bind+127.0.0.1!0", "listen", "jail 0", id="listen-that-binds"),
    pytest.param("bind+/**/x.sock", "bind_unix=x.sock", "jail 0", id="bind-unix"),
    pytest.param("bind+@moves", "bind_unix=@moves", "jail 0", id="bind-abstract"),
    pytest.param("bind+!unnamed", "bind_unix=", "jail 0", id="autobind"),
    pytest.param("bind+!unnamed", "pair", "jail 0", id="socketpair"),
    pytest.param("connect+127.0.0.1!1-65535", "connect", "jail 0", id="connect"),
    pytest.param("connect+tcp!127.0.0.1!*", "connect", "jail 0", id="connect-by-protocol"),
    pytest.param("connect+udp!127.0.0.1!*", "connect", "default 0", id="another-protocol"),
    pytest.param("connect+127.0.0.1!1-65535", "refused", "default ECONNREFUSED", id="refused"),
    pytest.param(
        "connect+127.0.0.1!1-65535", "connect=nonblocking", "jail EINPROGRESS", id="nonblocking"
    ),
    pytest.param("connect+/**/x.sock", "connect_unix=x.sock", "jail 0", id="connect-unix"),
    pytest.param("connect+127.0.0.1!1-65535", "send", "jail 0", id="sendto"),
    pytest.param("connect+127.0.0.1!1-65535", "sendmsg", "jail 0", id="sendmsg"),
    pytest.param("connect+!*", "send_connected", "default 0", id="send-without-address"),
    pytest.param("connect+@moves", "send_unix=@moves", "jail 0", id="send-unix"),
    pytest.param("accept+127.0.0.1!1-65535", "accept", "jail 0", id="accept"),
    pytest.param("accept+10.0.0.0/8!0-65535", "accept", "default 0", id="another-peer"),
]


@pytest.mark.parametrize("net", ["on", "off"])
@pytest.mark.parametrize(("move", "step", "after"), TRIGGERS)
def test_an_event_moves_the_sandbox(
    sandbox: Guest, move: str, step: str, after: str, net: str
) -> None:
    """Whether the categories that concern it are on, or the move alone is why it is trapped."""
    rules = [f"sandbox/net,exec,chdir:{net}", "allow/exec,chdir+/***", "allow/net/bind+!unnamed"]
    rules += ["allow/net/bind,net/connect+loopback!0-65535", "allow/net+@*", "allow/net+/***"]
    rules += ["domain-@jail", "domain+@jail:@default", f"move/@jail/{move}"]
    assert moves(sandbox, rules, step) == [tuple(after.split())]


UNSEEN = ("exit", "only-a-check", "killed", "another-exit")


@pytest.mark.parametrize(
    ("move", "step", "after"), [case for case in TRIGGERS if case.id not in UNSEEN]
)
def test_an_event_moves_the_sandbox_without_a_tracer(
    sandbox: Guest, move: str, step: str, after: str
) -> None:
    assert moves(sandbox, [UNTRACED, f"move/@jail/{move}"], step) == [tuple(after.split())]


def test_the_end_of_a_process_is_no_trigger_where_nobody_sees_it(sandbox: Guest) -> None:
    rules = [*FREE, UNTRACED, "move/@jail/exit+/usr/bin/true"]
    outcome = sandbox.run("/bin/echo", "ran", rules=rules, profile=None, log_apart=False)
    assert (outcome.status, outcome.out) == (38, b""), outcome
    assert b"move/\xe2\x80\xa6/exit with trace/allow_unsafe_ptrace:1" in outcome.err


def test_a_move_changes_what_everybody_may_do(sandbox: Guest) -> None:
    rules = ["sandbox/read:on", "allow/read+/***", "@jail/sandbox/read:on", "@jail/allow/read+/***"]
    rules += ["@jail/deny/read+/etc/hostname", "move/@jail/exec+/usr/bin/true"]
    reading = "open=/etc/hostname"
    steps = (reading, "run=/usr/bin/true", reading, "command=cmd/move!default", reading)
    assert moves(sandbox, rules, *steps) == [
        ("default", "0"),
        ("jail", "0"),
        ("jail", "EACCES"),
        ("default", "0"),
        ("default", "0"),
    ]


def test_only_the_moves_of_the_active_domain_count_and_the_newest_decides(sandbox: Guest) -> None:
    rules = ["domain+@third:@default", "move/@third/exec+/usr/bin/false"]
    rules += ["move/@jail/exec+/usr/bin/[ft]*e", "@jail/move/@third/exec+/usr/bin/[ft]*e"]
    rules += ["@jail/move/@jail/exec+/usr/bin/false", "@jail/move/@default/chdir+/"]
    steps = ("chdir=/", "run=/usr/bin/false", "run=/usr/bin/false", "chdir=/", "run=/usr/bin/true")
    names = [name for name, _ in moves(sandbox, rules, *steps, "run=/usr/bin/true", "chdir=/")]
    assert names == ["default", "jail", "jail", "default", "jail", "third", "third"]


def test_a_category_that_is_on_in_another_domain_is_judged_there(sandbox: Guest) -> None:
    """A filter can't be changed later: all that any domain judges is trapped from the start."""
    rules = ["@jail/sandbox/readlink,list,chdir,notify,ioctl:on", "move/@jail/exec+/usr/bin/true"]
    rules += ["sandbox/readlink,list,chdir:off"]
    steps = ("chdir=/tmp", "run=/usr/bin/true", "chdir=/")
    assert [error for _, error in moves(sandbox, rules, *steps)] == ["0", "0", "EACCES"]


def test_a_move_is_told_in_the_log(sandbox: Guest) -> None:
    rules = [*FREE, "move/@jail/exec+/usr/bin/tr?e", "@jail/move/@default/connect+tcp!10.0.0.0/8!1"]
    outcome = sandbox.run(
        "/usr/bin/true", rules=rules, profile=None, environment={"SYD_LOG": "info"}
    )
    found = [record for record in outcome.log if record.get("ctx") == "domain"]
    assert len(found) == 1, outcome.log
    record = found[0]
    assert list(record)[3:] == ["ctx", "op", "pat", "from", "to", "time", "msg"], record
    assert record["pat"] == {"kind": "exec", "pat": "/usr/bin/tr?e"}
    assert (record["op"], record["from"], record["to"]) == ("move", "default", "jail")


def last(outcome: Outcome) -> str:
    return outcome.out.decode().splitlines()[-1]


def test_the_end_of_the_first_process_enters_the_domain_of_the_lock(sandbox: Guest) -> None:
    """Under lock:exec the sandbox is locked then, whichever domain is active."""
    rules = [*FREE[:2], "trace/exit_wait_all:1", "domain+@lock:@default", "domain+@jail:@default"]
    rules += ["@lock/sandbox/read:on", "@lock/allow/read+/***", "@lock/deny/read+/etc/hostname"]
    rules += ["move/@jail/exec+/usr/bin/true", "lock:exec"]
    script = """
        readable() { read line </etc/hostname; }
        mkfifo started
        (
            readable && echo readable >started
            for turn in {1..500}; do readable 2>/dev/null || break; sleep 0.01; done
            echo refused after $turn
            test -c /dev/syd/lock:off || echo locked
        ) &
        read line <started
        /usr/bin/true
        echo $line
    """
    outcome = sandbox.script(script, rules=rules, profile=None)
    words = outcome.out.decode().split()
    assert [words[0], words[1], words[-1]] == ["readable", "refused", "locked"], outcome
    assert int(words[3]) < 500, outcome
