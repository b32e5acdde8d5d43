# SPDX-License-Identifier: GPL-3.0-or-later
"""The terminal of the guest's own (`sandbox/pty`), and what becomes of the user's."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import subprocess
import termios
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.support.guest import Guest

FREE = ("include_profile off", "sandbox/pty:on", "allow/ioctl+TIOCSPGRP,TIOCSWINSZ")
PATIENCE = 20


class User:
    """Somebody at a terminal, who runs a program in the sandbox."""

    def __init__(self, sandbox: Guest) -> None:
        self.sandbox = sandbox
        self.master, self.slave = os.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("4H", 33, 99, 0, 0))
        self.attributes = termios.tcgetattr(self.slave)
        self.seen = b""
        self.process: subprocess.Popen[bytes]

    def starts(self, argv: Sequence[str], *rules: str, **streams: Any) -> User:
        """Start *argv* as leader of a session on the terminal."""
        self.sandbox.fresh_work()
        chosen = {"stdin": self.slave, "stdout": self.slave, "stderr": self.slave, **streams}
        self.process = subprocess.Popen(
            self.sandbox.command(argv, [*FREE, *rules], None),
            cwd=self.sandbox.work,
            env=self.sandbox.environment(),
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0),
            pass_fds=(self.slave,),
            **self.sandbox.identity.spawn_options(),  # type: ignore[arg-type]
            **chosen,
        )
        return self

    def sees(self, text: bytes) -> bytes:
        """Return what the terminal shows until *text*."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.seen:
            left = deadline - time.monotonic()
            assert left > 0, self.seen[-500:]
            if select.select([self.master], [], [], left)[0]:
                self.seen += os.read(self.master, 65536)
        found, _, self.seen = self.seen.partition(text)
        return found

    def types(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def waits(self) -> int:
        """Return the status of the program; what it wrote is read meanwhile."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.seen[-500:]
            self._look(0.05)
        while self._look(0.1):
            continue
        return self.process.returncode

    def _look(self, seconds: float) -> bool:
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        self.seen += os.read(self.master, 65536)
        return True

    def until(self, condition: Callable[[], bool]) -> bool:
        """Tell whether *condition* comes true in time."""
        deadline = time.monotonic() + PATIENCE
        while not condition() and time.monotonic() < deadline:
            self._look(0.05)
        return condition()

    def is_at_peace(self) -> bool:
        """Tell whether the terminal is as it was before."""
        return termios.tcgetattr(self.slave) == self.attributes

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for fd in (self.master, self.slave):
            try:
                os.close(fd)
            except OSError:
                continue


@pytest.fixture
def user(sandbox: Guest) -> Iterator[User]:
    made = User(sandbox)
    yield made
    made.close()


def shell(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]


def test_the_guest_has_a_terminal_of_its_own(user: User) -> None:
    user.starts(shell("tty; tty </dev/tty; stty size; echo done; exit 7"))
    assert user.waits() == 7, user.seen
    first, second, size = user.seen.split(b"done")[0].split(b"\n")[:3]
    assert first.strip() == second.strip() == first.strip(), user.seen
    assert first.startswith(b"/dev/pts/")
    assert first.strip() != os.ttyname(user.slave).encode()
    assert size.split() == [b"33", b"99"]
    assert user.is_at_peace()


@pytest.mark.parametrize("rules", [(), ("pty/row:10",), ("pty/row:10", "pty/col:20")])
def test_its_size_is_the_users_but_for_what_rules_say(user: User, rules: tuple[str, ...]) -> None:
    trap = 'trap "stty size" WINCH; stty size; echo ready; while :; do sleep 0.05; done'
    user.starts(shell(trap), *rules)
    rows = b"10" if rules else b"33"
    columns = b"20" if len(rules) > 1 else b"99"
    assert user.sees(b"ready").split() == [rows, columns]
    fcntl.ioctl(user.slave, termios.TIOCSWINSZ, struct.pack("4H", 44, 55, 0, 0))
    if len(rules) < 2:
        assert user.sees(b"55").split() == [rows if rules else b"44"]


def test_keys_reach_the_guest_and_signals_from_them_its_programs(user: User) -> None:
    script = """
        trap 'echo interrupted' INT; echo ready
        until read line && test -n "$line"; do :; done
        echo "<$line>"
    """
    user.starts(shell(script))
    user.sees(b"ready")
    user.types(b"\x03")
    user.sees(b"interrupted")
    user.types(b"hello\r")
    user.sees(b"<hello>")
    assert user.waits() == 0


@pytest.mark.parametrize("after", ["", "exec sleep 0.3"])
def test_all_that_was_written_is_shown(user: User, after: str) -> None:
    user.starts(shell(f"seq 1 40000; echo end; {after}"))
    assert user.waits() == 0
    words = user.seen.split()
    assert words == [b"%d" % number for number in range(1, 40001)] + [b"end"]


def test_others_that_go_on_writing_hold_nobody_up(user: User) -> None:
    user.starts(shell("yes & sleep 0.2; echo end; exit 3"))
    assert user.waits() == 3
    assert user.is_at_peace()


@pytest.mark.parametrize("number", [signal.SIGKILL])
def test_the_users_terminal_is_put_back_whatever_happens(user: User, number: int) -> None:
    user.starts(shell("echo ready; sleep 100"))
    user.sees(b"ready")
    assert user.until(lambda: not user.is_at_peace())  # It passes every key on.
    user.process.send_signal(number)
    assert user.waits() == -number
    assert user.until(user.is_at_peace)


def test_the_guest_hears_that_the_user_hung_up(user: User) -> None:
    trap = "trap 'echo heard >here; exit 0' HUP"
    user.starts(shell(f"{trap}; echo ready; while :; do sleep 0.05; done"))
    user.sees(b"ready")
    os.close(user.slave)
    os.close(user.master)
    deadline = time.monotonic() + PATIENCE
    while user.process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert user.process.returncode == 0
    assert (user.sandbox.work / "here").read_text() == "heard\n"


def test_a_program_that_others_wait_for_ends_too(user: User) -> None:
    user.starts(shell("sleep 0.3 & echo end; exit 5"), "trace/exit_wait_all:1")
    assert user.waits() == 5
    assert user.is_at_peace()


def test_a_redirected_standard_error_stays_where_it_is(user: User) -> None:
    reader, writer = os.pipe()
    user.starts(shell("echo wrong >&2; tty"), stderr=writer)
    os.close(writer)
    assert user.waits() == 0
    assert os.read(reader, 100) == b"wrong\n"
    os.close(reader)
    assert user.seen.startswith(b"/dev/pts/")


@pytest.mark.parametrize("why", ["off", "input", "output"])
def test_there_is_none_where_it_is_not_wanted(user: User, why: str) -> None:
    streams = {"input": {"stdin": subprocess.DEVNULL}, "output": {"stdout": subprocess.PIPE}}
    rules = ["sandbox/pty:off"] if why == "off" else []
    user.starts(shell("readlink /proc/self/fd/2 >&2"), *rules, **streams.get(why, {}))
    assert user.waits() == 0
    assert user.seen.strip() == os.ttyname(user.slave).encode()
    if user.process.stdout is not None:
        user.process.stdout.close()
