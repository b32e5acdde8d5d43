# SPDX-License-Identifier: GPL-3.0-or-later
"""Drive an interactive bash on a pseudo-terminal: stop a job, list it, go on with it, end it."""

import os
import pty
import select
import sys
import time

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "PS1": "@@", "HISTFILE": "", "TERM": "dumb"}
PROMPT = b"@@"


class Shell:
    """An interactive bash, and the terminal it sits on."""

    def __init__(self) -> None:
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            words = ["bash", "--norc", "--noprofile", "--noediting", "-i"]
            os.execve("/bin/bash", words, ENVIRONMENT)  # noqa: S606 - that is the point
        self.pending = b""

    def wait_for(self, text: bytes) -> bytes:
        """Return what the terminal shows until *text*; give up, loudly, after a while."""
        deadline = time.monotonic() + 15
        while text not in self.pending:
            left = max(0, deadline - time.monotonic())
            if not select.select([self.master], [], [], left)[0]:
                self.give_up(text)
            try:
                self.pending += os.read(self.master, 4096)
            except OSError:  # The last process on the terminal closed it.
                self.give_up(text)
        seen, _, self.pending = self.pending.partition(text)
        return seen

    def give_up(self, text: bytes) -> None:
        """End the test: what was waited for did not come."""
        print("waited in vain for", text, "got", self.pending)
        os.kill(self.pid, 9)
        sys.exit(1)

    def press(self, keys: bytes) -> None:
        """Type *keys*."""
        os.write(self.master, keys)

    def say(self, line: bytes) -> bytes:
        """Type *line* at the prompt and return what it prints."""
        self.press(line + b"\n")
        self.wait_for(line + b"\r\n")  # The terminal echoes.
        return self.wait_for(PROMPT)


def main() -> None:
    """Print what the shell showed, step by step."""
    shell = Shell()
    shell.wait_for(PROMPT)
    print("terminal:", shell.say(b"test -t 0 && tty | sed s/[0-9]*$//"))
    shell.press(b"cat\n")
    shell.wait_for(b"cat\r\n")
    shell.press(b"typed\n")
    shell.wait_for(b"typed\r\ntyped\r\n")  # Once by the echo, once by cat.
    shell.press(b"\x1a")
    print("stopped:", b"Stopped" in shell.wait_for(PROMPT))
    print("jobs:", b"Stopped" in shell.say(b"jobs"))
    shell.press(b"fg\n")
    shell.wait_for(b"fg\r\ncat\r\n")
    shell.press(b"again\n")
    shell.wait_for(b"again\r\nagain\r\n")
    shell.press(b"\x03")
    shell.wait_for(PROMPT)
    print("interrupted:", shell.say(b"echo status $?"))
    shell.say(b"sleep 100 & true")
    print("background:", b"Running" in shell.say(b"jobs"))
    print("killed:", shell.say(b"kill %1; wait %1 2>/dev/null; echo status $?")[-12:])
    shell.press(b"exit 5\n")
    _, status = os.waitpid(shell.pid, 0)
    print("exit:", os.waitstatus_to_exitcode(status))


main()
