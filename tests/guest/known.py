# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask for attributes of files that were seen before, while the policy on them changes.

    known.py toggle DIRECTORY COUNT     forbid and allow it in turn; what is seen must follow
    known.py many DIRECTORY COUNT       so many directories; then one is forbidden
    known.py race DIRECTORY COUNT       one thread asks all the time, another forbids and allows
    known.py spin FILE SECONDS OTHERS   ask for nothing but the attributes of one file, also from
                                        OTHERS processes; end with the input
    known.py root DIRECTORY COUNT       the root, what is in DIRECTORY, and that itself

    known.py crowd DIRECTORY COUNT      as toggle, while four processes ask all the time
    known.py wait DIRECTORY COUNT       meanwhile, wait for who opens the other end of a FIFO

Prints JSON: how often each outcome came.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
import threading
import time
from collections import Counter

COUNT: Counter[str] = Counter()


def tell(command: str) -> None:
    """Change the policy."""
    os.stat(f"/dev/syd/{command}")


def seen(path: str) -> bool:
    """Return whether *path* can be seen."""
    try:
        os.lstat(path)
    except OSError:
        return False
    return True


def forbid(directory: str) -> None:
    """Hide what is in *directory*."""
    tell(f"deny/stat+{directory}/***")


def allow(directory: str) -> None:
    """Show it again."""
    tell(f"deny/stat-{directory}/***")


def toggle(directory: str, count: int) -> None:
    """Ask after each change, by every kind of name."""
    os.chdir(os.path.dirname(directory))
    base = os.path.basename(directory)
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    file = os.open(f"{directory}/file", os.O_RDONLY)
    for _ in range(count):
        for expected, change in ((False, forbid), (True, allow)):
            change(directory)
            for _again in range(2):
                now = {seen(f"{directory}/file"), seen(f"{base}/file")}
                for ask in (
                    lambda: os.stat("file", dir_fd=fd, follow_symlinks=False),
                    lambda: os.fstat(file),
                ):
                    try:
                        ask()
                        now.add(True)
                    except OSError:
                        now.add(False)
                COUNT[f"{'allowed' if expected else 'denied'}: {sorted(now)}"] += 1


def many(directory: str, count: int) -> None:
    """See more directories than can be remembered."""
    for number in range(count):
        place = f"{directory}/n{number}"
        os.mkdir(place)
        with open(f"{place}/file", "w"):
            pass
    for _ in range(2):
        for number in range(count):
            COUNT["seen" if seen(f"{directory}/n{number}/file") else "not seen"] += 1
    forbid(f"{directory}/n7")
    COUNT["forbidden seen" if seen(f"{directory}/n7/file") else "forbidden not seen"] += 1
    COUNT["beside it seen" if seen(f"{directory}/n8/file") else "beside it not seen"] += 1


def race(directory: str, count: int) -> None:
    """Whatever other threads ask meanwhile: after a change it holds."""
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            seen(f"{directory}/file")

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(count):
        forbid(directory)
        COUNT["denied: seen" if seen(f"{directory}/file") else "denied: not seen"] += 1
        allow(directory)
        COUNT["allowed: seen" if seen(f"{directory}/file") else "allowed: not seen"] += 1
    stop.set()
    for thread in threads:
        thread.join()


def spin(file: str, seconds: int) -> None:
    """Ask, and ask again, from several processes."""
    print("started", flush=True)
    children = []
    for _ in range(int(sys.argv[4])):
        child = os.fork()
        if not child:
            ask_until(time.monotonic() + seconds, file)
            os._exit("not seen" in COUNT)
        children.append(child)
    ask_until(time.monotonic() + seconds, file)
    for child in children:
        COUNT[f"ended with {os.waitpid(child, 0)[1]}"] += 1
    print(json.dumps(COUNT), flush=True)
    sys.stdin.readline()
    sys.exit()


def wait(directory: str, count: int) -> None:
    """Open a FIFO in a crowd, that the first of its processes opens a moment later."""
    libc = ctypes.CDLL(None, use_errno=True)
    fifo = f"{directory}/fifo"
    os.mkfifo(fifo)
    children = []
    for number in range(4):
        child = os.fork()
        if not child:
            while True:
                for _ in range(100):
                    seen("/etc/hostname")
                if not number:
                    with contextlib.suppress(OSError):  # ENXIO: nobody waits.
                        os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
        children.append(child)
    for _ in range(count):
        fd = libc.open(os.fsencode(fifo), os.O_RDONLY)  # os.open tries again after EINTR.
        COUNT["opened" if fd >= 0 else os.strerror(ctypes.get_errno())] += 1
        if fd >= 0:
            os.close(fd)
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def crowd(directory: str, count: int) -> None:
    """Toggle in a crowd."""
    children = []
    for number in range(4):
        child = os.fork()
        if not child:
            if number:
                os.chdir(os.path.dirname(directory))
            path = f"{os.path.basename(directory) if number else directory}/file"
            while True:
                for _ in range(200):
                    seen("/etc/hostname" if number > 1 else path)
                os.listdir("/etc/ld.so.conf.d")
        children.append(child)
    toggle(directory, count)
    for child in children:
        os.kill(child, signal.SIGKILL)
        COUNT[f"ended with {os.waitpid(child, 0)[1]}"] += 1


def ask_until(end: float, file: str) -> None:
    """Count what comes until the time *end*."""
    while time.monotonic() < end:
        COUNT["seen" if seen(file) else "not seen"] += 1


def root(directory: str, count: int) -> None:
    """Ask for the root, a program in *directory*, which is in the root, and itself."""
    for _ in range(count):
        for path in ("/", f"{directory}/bin", directory):
            COUNT[f"{path}: {'seen' if seen(path) else 'not seen'}"] += 1


KINDS = {
    "crowd": crowd, "many": many, "race": race, "root": root, "spin": spin, "toggle": toggle,
    "wait": wait,
}  # fmt: skip
KINDS[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
print(json.dumps(COUNT))
