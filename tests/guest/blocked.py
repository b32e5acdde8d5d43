# SPDX-License-Identifier: GPL-3.0-or-later
"""Block many threads, each in the open of a FIFO of its own; then let them go, or be killed.

usage: blocked.py COUNT [threads|processes]. Says "blocked", waits for a line, then opens the other
ends ("open"), and says how the readers' calls ended, or kills the readers ("kill"). "look" says who
reads the FIFOs yet; "try" asks for one open of a plain file.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
import threading
from collections import Counter

_libc = ctypes.CDLL(None, use_errno=True)


def raw_open(path: bytes, flags: int) -> str:
    """open(2) once; say how it ended."""
    fd = _libc.open(path, flags)
    if fd < 0:
        return errno.errorcode[ctypes.get_errno()]
    os.close(fd)
    return "opened"


def main() -> None:
    """Do as the arguments say."""
    count = int(sys.argv[1])
    paths = [b"fifo%d" % number for number in range(count)]
    for path in paths:
        os.mkfifo(path)
    threading.stack_size(65536)
    ended: list[str] = []
    lock = threading.Lock()

    def read(path: bytes) -> None:
        answer = raw_open(path, os.O_RDONLY)
        with lock:
            ended.append(answer)

    pids, threads = [], []
    for path in paths:
        if sys.argv[2] == "threads":
            threads.append(threading.Thread(target=read, args=(path,)))
            threads[-1].start()
            continue
        pid = os.fork()
        if pid == 0:
            raw_open(path, os.O_RDONLY)
            os._exit(0)
        pids.append(pid)
    print("blocked", flush=True)
    for line in sys.stdin:
        if line == "try\n":
            print(raw_open(b"/etc/hostname", os.O_RDONLY), flush=True)
            continue
        if line == "look\n":
            left = [raw_open(path, os.O_WRONLY | os.O_NONBLOCK) for path in paths]
            print(sorted(Counter(left).items()), flush=True)
            continue
        if line == "open\n":
            for path in paths:
                raw_open(path, os.O_WRONLY | os.O_NONBLOCK)
        elif line == "kill\n":
            for pid in pids:
                os.kill(pid, 9)
        for pid in pids:
            os.waitpid(pid, 0)
        for thread in threads:
            thread.join()
        print("killed" if line == "kill\n" else sorted(Counter(ended).items()), flush=True)
        pids, threads = [], []


main()
