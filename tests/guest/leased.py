# SPDX-License-Identifier: GPL-3.0-or-later
"""Open a file whose lease somebody holds, which blocks, and see whether others are served.

usage: leased.py hold|OPENERS. The holder runs outside of a sandbox, which has no leases. The other
says in JSON how long the longest of many stat(2) took in seconds, and after a line of input, when
the lease was given up, how the blocked opens ended. The first such open is made when nobody has
called anything for a while, the others in the middle of calls.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import time

LEASED, PLAIN = b"leased", b"plain"


def hold() -> None:
    """Take a lease and keep it until our input ends: nobody else may open the file meanwhile."""
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    fd = os.open(LEASED, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    print("leased", flush=True)
    sys.stdin.readline()


def longest(seconds: float) -> float:
    """Return how long the longest call took of those made in *seconds*."""
    most = 0.0
    end = time.monotonic() + seconds
    while (start := time.monotonic()) < end:
        os.stat(PLAIN)
        most = max(most, time.monotonic() - start)
        time.sleep(0.001)
    return most


def main() -> None:
    """Do as the arguments say."""
    if sys.argv[1] == "hold":
        hold()
        return
    os.close(os.open(PLAIN, os.O_CREAT | os.O_WRONLY, 0o600))
    result, told = os.pipe()
    openers, took = [], []
    for number in range(int(sys.argv[1])):
        if number:
            longest(0.5)
        else:
            time.sleep(1.5)
        openers.append(os.fork())
        if openers[-1] == 0:
            os.close(os.open(LEASED, os.O_RDONLY | os.O_CREAT, 0o600))
            os.write(told, b"o")
            os._exit(0)
        took.append(longest(1.5))
    os.set_blocking(result, False)
    try:
        early = os.read(result, 100).decode()
    except BlockingIOError:
        early = ""
    print(json.dumps({"early": early, "longest": took}), flush=True)
    sys.stdin.readline()
    for pid in openers:
        os.waitpid(pid, 0)
    print(os.read(result, 100).decode(), flush=True)
    sys.stdin.readline()


main()
