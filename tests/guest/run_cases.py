# SPDX-License-Identifier: GPL-3.0-or-later
"""Run every case of a table of cases, and print each result as a line of JSON.

Where $NOTES names a file, every raw call that a case makes is noted there, and how it ended.

A case is a function `case_<what it shows>` that takes a Tree. Each one runs in a child of its own,
in a fresh copy of the tree: it may close descriptors, change directory or die as it likes.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import stat
import sys
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import rawcalls

SECONDS = 30
NOTES = 1000  # A descriptor that no case closes.


class Tree:
    """The files a case starts with, below its current directory; and calls to try on them."""

    def __init__(self) -> None:
        self.root = os.getcwdb()
        os.umask(0o022)
        for name, text in ((b"file", b"contents\n"), (b"empty", b""), (b"other", b"other\n")):
            self.write(name, text)
        self.write(b"unreadable", b"hidden\n")
        os.chmod(b"unreadable", 0)
        self.write(b"program", b"#!/bin/sh\nexit 3\n")
        os.chmod(b"program", 0o755)
        os.makedirs(b"dir/sub")
        self.write(b"dir/inner", b"inner\n")
        os.mkdir(b"hollow")
        os.mkdir(b"locked")
        self.write(b"locked/inside", b"x")
        os.chmod(b"locked", 0o555)
        os.mkdir(b"blind")
        self.write(b"blind/inside", b"x")
        os.chmod(b"blind", 0o600)
        for name, to in (
            (b"link", b"file"),
            (b"dirlink", b"dir"),
            (b"dangling", b"nowhere"),
            (b"loop", b"loop"),
            (b"absolute", self.root + b"/file"),
            (b"up", b"dir/../file"),
            (b"slashlink", b"dir/"),
            (b"fileslash", b"file/"),
        ):
            os.symlink(to, name)
        os.mkfifo(b"fifo", 0o644)

    def __call__(self, name: str, *arguments: object) -> int | str:
        """Make the raw call *name*; return its result, an error as the name of the errno."""
        return rawcalls.named(rawcalls.call(name, *arguments))

    @staticmethod
    def write(name: bytes, text: bytes) -> None:
        """Create a file."""
        with open(name, "wb") as file:
            file.write(text)

    @staticmethod
    def read(name: bytes) -> str:
        """Return what a file holds."""
        with open(name, "rb") as file:
            return file.read().decode()

    def fd(self, name: bytes, flags: int = os.O_RDONLY) -> int:
        """Open a file of the tree; the case fails where it cannot be opened."""
        return os.open(name, flags)

    @staticmethod
    def look(name: bytes | int) -> list[object]:
        """Return type and mode, links and size of an object, following no link."""
        seen = os.stat(name) if isinstance(name, int) else os.lstat(name)
        size = -1 if stat.S_ISDIR(seen.st_mode) else seen.st_size
        return [oct(seen.st_mode), seen.st_nlink if size >= 0 else -1, size]

    @staticmethod
    def names(directory: bytes = b".") -> list[str]:
        """Return the sorted names in a directory."""
        return sorted(os.fsdecode(name) for name in os.listdir(directory))


def run_case(case: object, name: str, job: int = 0) -> str:
    """Run one case in a child and in its own directory; return its result as JSON."""
    directory = os.path.join(os.environ["WORK"], f"case{job or ''}")
    os.mkdir(directory)
    receive, send = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        try:
            os.chdir(directory)
            answer = case(Tree())  # type: ignore[operator]
        except OSError as error:
            answer = f"raised {type(error).__name__} {error.errno} in {where(error)}"
        except Exception as error:
            answer = f"raised {error!r} in {where(error)}"
        os.write(send, json.dumps(answer).encode())
        os._exit(0)
    os.close(send)
    answer = b""
    while True:
        if not select.select([receive], [], [], SECONDS)[0]:
            answer = b'"hung"'
            break
        piece = os.read(receive, 65_536)
        if not piece:
            break
        answer += piece
    os.close(receive)
    try:
        os.kill(-pid, 9)
    except OSError:
        os.kill(pid, 9)
    _, status = os.waitpid(pid, 0)
    remove_directory(directory)
    text = answer.decode().replace(os.environ["WORK"], "$WORK")
    return f'{{"name": "{name}", "result": {text or status}}}'


def where(error: BaseException) -> str:
    """Return the line an exception came from."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{os.path.basename(frame.filename)}:{frame.lineno}"


def remove_directory(directory: str) -> None:
    """Remove the directory of a case, whatever its modes."""
    os.chmod(directory, 0o700)
    for entry in os.scandir(directory):
        if entry.is_dir(follow_symlinks=False):
            remove_directory(entry.path)
        else:
            os.unlink(entry.path)
    os.rmdir(directory)


def main() -> None:
    """Run the cases of the module that the first argument names; more arguments select some.

    With `-jN` as the second argument, N at a time, each in a directory of its own.
    """
    if os.getuid() == 0:
        rawcalls.drop_capabilities()
    if "NOTES" in os.environ:
        file = os.open(os.environ["NOTES"], os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
        rawcalls.notes = os.dup2(file, NOTES, inheritable=False)
        os.close(file)
    chosen = sys.argv[2:]
    jobs = int(chosen.pop(0)[2:]) if chosen and chosen[0].startswith("-j") else 1
    module = importlib.import_module(sys.argv[1])
    names = [
        name
        for name in sorted(vars(module))
        if name.startswith("case_") and (not chosen or name in chosen)
    ]
    if jobs == 1:
        run_all(module, names)
        return
    pids = []
    for job in range(jobs):
        pid = os.fork()
        if pid == 0:
            run_all(module, names[job::jobs], job + 1)
            os._exit(0)
        pids.append(pid)
    for pid in pids:
        os.waitpid(pid, 0)


def run_all(module: object, names: list[str], job: int = 0) -> None:
    """Run the cases *names* one after the other; each result is written in one piece."""
    for name in names:
        os.write(1, f"{run_case(getattr(module, name), name, job)}\n".encode())


if __name__ == "__main__":
    main()
