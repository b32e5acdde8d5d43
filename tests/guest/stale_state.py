# SPDX-License-Identifier: GPL-3.0-or-later
"""Let tasks share, change and recycle what a supervisor might remember of them.

    stale_state.py ATTACK ALLOWED DENIED COUNT

ALLOWED and DENIED are directories, each with a file `key` that says which one it is in. Prints how
often which text was read, how often nothing was, and what came out wrong.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import threading
from collections import Counter

CLONE_FS, CLONE_FILES, CLONE_VM, CLONE_THREAD = 0x200, 0x400, 0x100, 0x10000
SLOT = 200
_libc = ctypes.CDLL(None, use_errno=True)
seen: Counter[str] = Counter()


def read(name: str = "key", dirfd: int | None = None) -> str:
    """Return the text of the file *name*, "refused" where that cannot be opened."""
    try:
        fd = os.open(name, os.O_RDONLY, dir_fd=dirfd)
    except OSError:
        return "refused"
    try:
        return os.read(fd, 20).decode().strip()
    finally:
        os.close(fd)


def turn(places: list[str], stop: threading.Event) -> None:
    """Change the working directory to and fro."""
    while not stop.is_set():
        for place in places:
            os.chdir(place)


def shared_directory(places: list[str], count: int) -> None:
    """A thread changes the directory that another looks names up in."""
    stop = threading.Event()
    turner = threading.Thread(target=turn, args=(places, stop))
    turner.start()
    for _ in range(count):
        seen[read()] += 1
        seen[read("./key")] += 1
    stop.set()
    turner.join()


def directory_shared_by_processes(places: list[str], count: int) -> None:
    """So does a process that was made with CLONE_FS; it has no memory in common."""
    receive, send = os.pipe()
    pid = clone(CLONE_FS)
    if pid == 0:
        os.write(send, b"x")
        for _ in range(1_000_000):
            os.chdir(places[1])
            os.chdir(places[0])
        os._exit(0)
    os.read(receive, 1)
    for _ in range(count):
        seen[read()] += 1
    os.kill(pid, 9)
    os.waitpid(pid, 0)


def clone(flags: int) -> int:
    """Fork, with what *flags* name in common."""
    pid: int = _libc.syscall(56, flags | 17, 0, 0, 0, 0)
    if pid < 0:
        raise OSError(ctypes.get_errno(), "clone")
    return pid


def recycled_processes(places: list[str], count: int) -> None:
    """Processes come and go, each in a directory of its own choice, until numbers come again."""
    receive, send = os.pipe()
    known: set[int] = set()
    for number in range(count):
        mine = places[number % 2]
        pid = os.fork()
        if pid == 0:
            os.chdir(mine)
            os.write(send, (read() + "\n").encode())
            os._exit(0)
        if pid in known:
            seen["again"] += 1
        known.add(pid)
        os.waitpid(pid, 0)
        text = os.read(receive, 99).decode().strip()
        seen[text if text in ("refused", os.path.basename(mine)) else f"wrong: {text}"] += 1


def recycled_threads(places: list[str], count: int) -> None:
    """So do threads with a directory of their own; their numbers are of the same store."""

    def look(number: int) -> None:
        mine = places[number % 2]
        if _libc.unshare(CLONE_FS) != 0:
            raise OSError("unshare")
        os.chdir(mine)
        text = read()
        seen[text if text in ("refused", os.path.basename(mine)) else f"wrong: {text}"] += 1

    for number in range(0, count, 4):
        threads = [threading.Thread(target=look, args=(number + i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def own_descriptors(places: list[str], count: int) -> None:
    """In a thread with descriptors of its own a number means another directory than elsewhere."""
    barrier = threading.Barrier(2)
    fds = [os.open(place, os.O_PATH if place == places[1] else 0) for place in places]
    os.dup2(fds[0], SLOT)

    def look() -> None:
        if _libc.unshare(CLONE_FILES) != 0:
            raise OSError("unshare")
        os.dup2(fds[1], SLOT)
        barrier.wait()
        for _ in range(count):
            text = read("key", SLOT)
            seen[text if text != os.path.basename(places[0]) else f"wrong: {text}"] += 1

    thread = threading.Thread(target=look)
    thread.start()
    barrier.wait()
    for _ in range(count):
        text = read("key", SLOT)
        seen[text if text != os.path.basename(places[1]) else f"wrong: {text}"] += 1
    thread.join()


def churn_of_programs(places: list[str], count: int) -> None:
    """Programs are executed in directories of both kinds, many at once."""
    pids: list[int] = []
    receive, send = os.pipe()
    for number in range(count):
        pid = os.fork()
        if pid == 0:
            os.chdir(places[number % 2])
            os.dup2(send, 1)
            os.execv("/bin/sh", ["sh", "-c", "read t < key && echo $t || echo refused"])  # noqa: S606
        pids.append(pid)
        if len(pids) >= 8:
            os.waitpid(pids.pop(0), 0)
    for pid in pids:
        os.waitpid(pid, 0)
    os.close(send)
    with os.fdopen(receive) as answers:
        for line in answers:
            seen[line.strip()] += 1


def main() -> None:
    """Make the attack that the first argument names."""
    attack, allowed, denied, count = sys.argv[1:]
    os.chdir(allowed)
    globals()[attack]([allowed, denied], int(count))
    print(json.dumps(seen))


main()
