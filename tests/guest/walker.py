# SPDX-License-Identifier: GPL-3.0-or-later
"""Take walks through file trees: make the calls that are listed, and print what came of each.

Each line of standard input is a walk: a list of steps [call, arguments, slot, who] that begins in a
fresh tree. Arguments are integers; texts (latin-1, with $TREE for the top of the tree); or lists,
see `Walk.argument`. A descriptor that a call returns moves to number SLOTS + slot. *who* is the
thread that makes the call: 0 the first one, 1 one that shares everything with it, 2 one with a
working directory and umask of its own, 3 one with descriptors of its own as well.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import queue
import signal
import socket
import stat
import struct
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import rawcalls
from walk_shows import Snapshot, show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

SLOTS = 100
COUNT = 8
PATIENCE = 20  # Seconds for one step.
#: Directories between the work directory and the tree, so that dot-dot does not lead far.
ABOVE = "u" * 16
OPENS = ("open", "openat", "openat2", "creat")
MAKES = ("memfd_create", "eventfd2", "epoll_create1", "timerfd_create", "signalfd4",
         "inotify_init1", "fanotify_init", "socket")  # fmt: skip
UNSHARE = {2: 0x200, 3: 0x200 | 0x400}  # CLONE_FS, CLONE_FILES
DIRT = 0x7EAD_BEEF_0000_0000
HOLE = rawcalls.guarded_page()


class Thread:
    """A thread that makes the calls it is handed, one at a time."""

    def __init__(self, who: int) -> None:
        self._work: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, args=(who,))
        self._thread.start()

    def _run(self, who: int) -> None:
        if who in UNSHARE and rawcalls.call("unshare", UNSHARE[who]) != 0:
            raise OSError("unshare")
        while (work := self._work.get()) is not None:
            self._done.put(work())
        if who == 3:
            os.closerange(SLOTS, SLOTS + 20)

    def __call__(self, work: Callable[[], object]) -> object:
        """Run *work* in this thread and return its result."""
        self._work.put(work)
        return self._done.get()

    def end(self) -> None:
        """End the thread."""
        self._work.put(None)
        self._thread.join()


class Walk:
    """One walk: its tree, its threads, and the buffers of the call that is being made."""

    def __init__(self) -> None:
        self.above = os.path.join(os.environ["WORK"], "walk")
        parent = os.path.join(self.above, *ABOVE)
        self.tree = os.path.join(parent, "tree")
        self.outs: list[tuple[str, ctypes.Array[ctypes.c_char]]] = []
        self.keep: list[object] = []
        self.over = False
        self.threads: dict[int, Thread] = {}
        self.offsets: dict[int, list[int]] = {}
        os.umask(0o022)
        os.closerange(SLOTS, SLOTS + 20)
        path = ""
        for name in (self.above, *ABOVE, "tree"):
            path = os.path.join(path, name)
            os.mkdir(path)
        os.chdir(self.tree)
        self._fill()
        for above in (parent, os.path.dirname(parent)):
            os.chmod(above, 0o555)

    def _fill(self) -> None:
        for directory in ("a/b", "b", "c", "locked", "blind", "many"):
            os.makedirs(directory, exist_ok=True)
        for name in ("f", "g", "a/f", "a/b/g", "locked/f", "blind/f", "none"):
            with open(name, "w") as file:
                file.write(name)
        for number in range(12):
            os.link("g", f"many/{number}-{'n' * (number * 19)}")
        with open("program", "w") as file:
            file.write("#!/bin/sh\nexit 3\n")
        os.chmod("program", 0o755)
        os.chmod("locked", 0o555)
        os.chmod("blind", 0o600)
        os.chmod("none", 0)
        os.mkfifo("fifo", 0o644)
        for name, to in (
            ("l", "f"), ("m", "a"), ("dangling", "nowhere"), ("loop", "loop"),
            ("absolute", self.tree + "/a"), ("up", "a/../f"), ("slash", "b/"), ("wrong", "f/"),
            ("a/up", "../g"), ("a/l", "b/g"), ("newslash", "nowhere/"), ("dot", "."),
        ):  # fmt: skip
            os.symlink(to, name)

    def argument(self, given: object) -> object:
        """Return one argument of a step as the call takes it.

        ["how", flags, mode, resolve], ["words", [64-bit integers]], ["value", text], ["xattr",
        text, size, flags], ["out", what, size] (a buffer shown as *what*), ["hole"] (no
        memory), ["half"] (memory that ends after 8 bytes), ["edge", text] (text without its NUL at
        the end of memory), ["dirty", n] (an int with garbage above), ["me"] (our user id).
        """
        if isinstance(given, str):
            return given.replace("$TREE", self.tree).encode("latin-1")
        if not isinstance(given, list):
            return given
        kind, *rest = given
        if kind == "value":
            return rest[0].encode("latin-1")
        if kind == "hole":
            return HOLE
        if kind == "half":
            return HOLE - 8
        if kind == "edge":
            text = rest[0].encode("latin-1")
            ctypes.memmove(HOLE - len(text), text, len(text))
            return HOLE - len(text)
        if kind == "dirty":
            return DIRT | rest[0] & 0xFFFF_FFFF
        if kind == "me":
            return os.getuid()
        if kind == "how":
            data = struct.pack("=QQQ", *rest[:3]) + bytes(16)
        elif kind == "words":
            data = struct.pack(f"={len(rest[0])}q", *rest[0])
        elif kind == "xattr":
            value = ctypes.create_string_buffer(rest[0].encode("latin-1"), 600)
            self.keep.append(value)
            self.outs.append(("xattr", value))
            data = struct.pack("=QII", ctypes.addressof(value), *rest[1:])
        else:
            buffer = ctypes.create_string_buffer(max(rest[1], 512))
            self.outs.append((rest[0], buffer))
            return buffer
        return ctypes.create_string_buffer(data)

    def step(self, name: str, given: list[object], slot: int, who: int = 0) -> object:
        """Make one call in thread *who*; return what is to be seen of it."""
        if self.over:
            return "over"
        if who == 0:
            return self._step(name, given, slot)
        if who not in self.threads:
            self.threads[who] = Thread(who)
        return self.threads[who](lambda: self._step(name, given, slot))

    def _step(self, name: str, given: list[object], slot: int) -> object:
        self.outs, self.keep = [], []
        arguments = [self.argument(one) for one in given]
        special = getattr(self, "_step_" + name, None)
        if special is not None:
            return special(*arguments)
        if name == "creat" and self._blocks(arguments[0]):
            return "skipped"
        result = rawcalls.call(name, *arguments)
        shown: list[object] = [rawcalls.named(result)]
        if name in OPENS + MAKES and result >= 0:
            shown += self._opened(result, SLOTS + slot)
            if name in MAKES:  # Else a read may wait for ever.
                fcntl.fcntl(SLOTS + slot, fcntl.F_SETFL, os.O_NONBLOCK)
        elif name in ("chdir", "fchdir") and result == 0:
            shown.append(self._inside(os.getcwd()))
            if shown[-1] == "outside":
                self._return()
        elif result >= 0:
            shown += [show(what, buffer.raw, result) for what, buffer in self.outs]
        if name.startswith("getdents") and result > 0 and self.outs:
            raw = self.outs[0][1].raw
            at, found = 0, self.offsets.setdefault(int(str(given[0])), [0])
            while at < result:
                offset, size = struct.unpack_from("=qH", raw, at + 8)
                found.append(offset)
                at += size
        return shown

    # Steps that are no calls of that name

    def _step_seekdir(self, fd: int, number: int) -> object:
        """Seek to an offset that a listing of *fd* had given."""
        known = self.offsets.get(fd, [0])
        result = rawcalls.call("lseek", fd, known[number % len(known)], 0)
        return rawcalls.named(min(result, 0))

    def _step_events(self, fd: int) -> object:
        """Read what an inotify descriptor holds."""
        buffer = ctypes.create_string_buffer(8192)
        result = rawcalls.call("read", fd, buffer, 8192)
        if result < 0 or "inotify" not in os.readlink(f"/proc/thread-self/fd/{fd}"):
            return rawcalls.named(min(result, 0))
        return show("events", buffer.raw, result)

    def _step_spawn(self, dirfd: int, path: object, flags: int) -> object:
        """Execute a program in a child; return its status, or what execveat said."""
        argv, env = (ctypes.c_char_p * 2)(b"name", None), (ctypes.c_char_p * 1)(None)
        receive, send = os.pipe()
        pid = os.fork()
        if pid == 0:
            answer = rawcalls.named(rawcalls.call("execveat", dirfd, path, argv, env, flags))
            os.write(send, str(answer).encode())
            os._exit(99)
        os.close(send)
        answer = os.read(receive, 99).decode()
        os.close(receive)
        status = os.waitpid(pid, 0)[1]
        # A supervisor reads programs too, before it lets them run.
        for slot in range(SLOTS, SLOTS + COUNT):
            self._drain(slot)
        return [answer, status]

    def _drain(self, fd: int) -> None:
        try:
            if "inotify" in os.readlink(f"/proc/thread-self/fd/{fd}"):
                os.read(fd, 65_536)
        except OSError:
            return

    def _step_bind(self, path: bytes) -> object:
        return self._socket("bind", path)

    def _step_connect(self, path: bytes) -> object:
        return self._socket("connect", path)

    def _socket(self, name: str, path: bytes) -> object:
        """Bind or connect a new socket to *path*."""
        with socket.socket(socket.AF_UNIX) as made:
            data = struct.pack("=H", socket.AF_UNIX) + path[:107] + b"\0"
            return rawcalls.named(rawcalls.call(name, made.fileno(), data, len(data)))

    def _return(self) -> None:
        """Go back to the tree; where its mode forbids that, the walk is over."""
        try:
            os.chdir(self.tree)
        except OSError:
            self.over = True

    def _blocks(self, path: object) -> bool:
        """Tell whether an open of *path* that lacks O_NONBLOCK would wait for a reader."""
        try:
            return isinstance(path, bytes) and stat.S_ISFIFO(os.stat(path).st_mode)
        except (OSError, ValueError):
            return False

    def _opened(self, fd: int, slot: int) -> list[object]:
        """Move *fd* to *slot* and return its number, flags and what it is; it stays in the tree."""
        seen = os.fstat(fd)
        where = self._inside(os.readlink(f"/proc/thread-self/fd/{fd}"))
        # A file that is opened by way of its pin forgets O_NOFOLLOW; it asks nothing of it anymore.
        flags = [fcntl.fcntl(fd, fcntl.F_GETFL) & ~os.O_NOFOLLOW, fcntl.fcntl(fd, fcntl.F_GETFD)]
        if where == "outside":
            os.close(fd)
            return [where]
        os.dup2(fd, slot, inheritable=True)
        os.close(fd)
        self.offsets.pop(slot, None)
        return [where, *flags, oct(seen.st_mode), seen.st_size if stat.S_ISREG(seen.st_mode) else 0]

    def _inside(self, path: str) -> str:
        if "/#" in path:  # What O_TMPFILE makes is called by its inode.
            return "nameless"
        if path.startswith(("anon_inode:", "/memfd:", "socket:")):
            return path.partition("[")[0] if path[0] == "s" else path
        return path[len(self.tree) :] if path.startswith(self.tree) else "outside"

    def end(self) -> list[object]:
        """End the walk; return what has become of the tree, which is for our caller to remove."""
        for thread in self.threads.values():
            thread.end()
        os.chdir(os.environ["WORK"])
        os.umask(0o022)
        return Snapshot(self.above, self.tree).take()


def give_up(doing: list[object]) -> None:
    """Tell which step hangs, and exit."""
    os.write(2, f"step, call that hangs: {json.dumps(doing)}".encode())
    os._exit(98)


def main() -> None:
    """Take the walk of each line of standard input, and print it as a line."""
    if os.getuid() == 0:
        raise SystemExit("not as root: a walk may reach what is outside of its tree")
    doing: list[object] = []
    signal.signal(signal.SIGALRM, lambda *_: give_up(doing))
    for line in sys.stdin:
        walk = Walk()
        shown = []
        for step in json.loads(line):
            doing[:] = [len(shown), step]
            signal.alarm(PATIENCE)
            shown.append(walk.step(*step))
        text = json.dumps([*shown, walk.end()]).replace(walk.tree, "$TREE")
        signal.alarm(0)
        print(text, flush=True)


main()
