# SPDX-License-Identifier: GPL-3.0-or-later
"""Race with moves to the domain `jail`, where the file `secret` can't be read.

Arguments: what sets a move off (connect, exec, chdir, swap), and how often. Prints counts as JSON:
reads that worked `before` a move, reads that were `refused` after one, and those that `escaped`.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading

COUNTS = {"before": 0, "refused": 0, "escaped": 0}
LOCK = threading.Lock()


def readable() -> bool:
    try:
        os.close(os.open("secret" if TRIGGER != "chdir" else SECRET, os.O_RDONLY))
    except PermissionError:
        return False
    return True


def reset() -> None:
    os.stat("/dev/syd/cmd/move!default")


def move(server: socket.socket) -> None:
    if TRIGGER == "connect":
        with socket.socket(socket.AF_UNIX) as client:
            client.connect("\0moves")
        server.accept()[0].close()
    elif TRIGGER == "exec":
        subprocess.run(["/usr/bin/true"], check=True)
    else:
        os.chdir("/tmp")


class Round:
    """Readers that run while one move is made; `moved` is set once it was."""

    def __init__(self) -> None:
        self.moved = False
        self.over = False

    def count(self, after: bool, worked: bool) -> None:
        with LOCK:
            if after:
                COUNTS["escaped" if worked else "refused"] += 1
            elif worked:
                COUNTS["before"] += 1

    def read(self) -> None:
        while not self.over:
            after = self.moved
            self.count(after, readable())

    def fork(self) -> None:
        while not self.over:
            after = self.moved
            child = os.fork()
            if child == 0:
                os._exit(readable())
            self.count(after, bool(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])))


def race(times: int) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0moves")
        server.listen(8)
        for _ in range(times):
            reset()
            one = Round()
            threads = [threading.Thread(target=job) for job in (one.read, one.read, one.fork)]
            for thread in threads:
                thread.start()
            move(server)
            one.moved = True
            for _ in range(3):
                one.count(True, readable())
            one.over = True
            for thread in threads:
                thread.join()


def swap(times: int) -> None:
    """Run `link`, which leads to one of two copies of a shell in turn; both try to read."""
    for name in ("trigger", "plain"):
        shutil.copy("/bin/sh", name)
    os.symlink("plain", "link")
    over = False

    def flip() -> None:
        names = ("plain", "trigger")
        turn = 0
        while not over:
            turn ^= 1
            os.symlink(names[turn], "new")
            os.rename("new", "link")

    flipper = threading.Thread(target=flip)
    flipper.start()
    script = "{ true <secret; } 2>/dev/null; echo $?; readlink /proc/$$/exe"
    for _ in range(times):
        reset()
        done = subprocess.run(
            ["./link", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
        )
        words = done.stdout.decode().split()
        if not words:
            continue  # Killed at the exec stop, or refused.
        worked, program = words[0] == "0", os.path.basename(words[-1])
        if program == "trigger":
            COUNTS["escaped" if worked else "refused"] += 1
        elif worked:
            COUNTS["before"] += 1
    over = True
    flipper.join()


SECRET = os.path.abspath("secret")
TRIGGER, TIMES = sys.argv[1], int(sys.argv[2])
if TRIGGER == "swap":
    swap(TIMES)
else:
    race(TIMES)
print(json.dumps(COUNTS))
