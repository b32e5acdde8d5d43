# SPDX-License-Identifier: GPL-3.0-or-later
"""Random signals, kills, forks and blocked calls for a while; says what cannot be explained.

usage: soak.py SECONDS SEED traced|untraced

Workers block in opens of FIFOs, accepts, receives, sends and connects, under timers and signals
with and without SA_RESTART; now and then one is stopped or killed, and another takes its place. A
call that fails with EINTR must be explained by a handler that ran and does not restart; with a
tracer, one that cannot block must not fail so; whoever is killed must end. The last line is JSON:
the faults, and how much was done.
"""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import rawcalls

WORKERS, FIFOS = 16, 8
PATIENCE = 8.0  # Seconds that a killed worker has to end, on a machine that is busy.
_MSGHDR = struct.Struct("=QIxxxxQQQQixxxx")


class Worker:
    """The life of one worker: it blocks, again and again."""

    def __init__(self, number: int, seed: int, faults: int) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - a walk.
        self.number = number
        self.faults = faults
        self.handled = 0
        self.done = 0
        for name, restart in (("SIGUSR1", False), ("SIGALRM", False), ("SIGUSR2", True)):
            number_ = getattr(signal, name)
            signal.signal(number_, self.note if not restart else self.pass_over)
            signal.siginterrupt(number_, not restart)
        signal.signal(signal.SIGCONT, self.pass_over)
        signal.siginterrupt(signal.SIGCONT, False)
        self.address = struct.pack("=H", 1) + b"s%d-%d" % (number, os.getpid())
        self.listener = rawcalls.call("socket", 1, 1, 0)
        self.tell("bind", rawcalls.call("bind", self.listener, self.address, len(self.address)))
        self.tell("listen", rawcalls.call("listen", self.listener, 0))
        self.quiet, self.other = socket.socketpair()
        self.full, self.drain = socket.socketpair()
        self.full.setblocking(False)
        try:
            while True:
                self.full.send(bytes(65536))
        except BlockingIOError:
            self.full.setblocking(True)

    def note(self, *_: object) -> None:
        """Count a signal whose handler does not restart calls."""
        self.handled += 1

    def pass_over(self, *_: object) -> None:
        """Do nothing about a signal whose handler restarts calls."""

    def tell(self, what: str, value: int) -> None:
        """Report the result of a call that can't block, if it is EINTR."""
        if value == -errno.EINTR and sys.argv[3] == "traced":
            os.write(self.faults, f"{what} failed with EINTR\n".encode())

    def block(self, what: str, *arguments: object) -> int:
        """Make a call that may block under a timer; report an EINTR that nothing explains."""
        before = self.handled
        signal.setitimer(signal.ITIMER_REAL, self.rng.uniform(0.001, 0.05), 0.01)
        value = rawcalls.call(what, *arguments)
        after = self.handled  # Handlers ran as soon as the call was over.
        signal.setitimer(signal.ITIMER_REAL, 0, 0)
        if value == -errno.EINTR and after == before:
            os.write(self.faults, f"{what}: nothing explains EINTR\n".encode())
        elif value in (-512, -513, -514, -516):
            os.write(self.faults, f"{what}: the kernel's own {value} came through\n".encode())
        return value

    def close(self, fd: int) -> None:
        if fd >= 0:
            os.close(fd)

    def live(self) -> None:
        """Act at random for ever."""
        path = b"f%d" % self.rng.randrange(FIFOS)
        data = rawcalls.ctypes.create_string_buffer(64)
        pieces = rawcalls.ctypes.create_string_buffer(
            struct.pack("=QQ", rawcalls.ctypes.addressof(data), 64), 16
        )
        header = rawcalls.ctypes.create_string_buffer(
            _MSGHDR.pack(0, 0, rawcalls.ctypes.addressof(pieces), 1, 0, 0, 0), 56
        )
        acts = (self.read, self.write, self.accept, self.connect, self.quick, self.spawn)
        while True:
            self.done += 1
            choice = self.rng.randrange(8)
            path = b"f%d" % self.rng.randrange(FIFOS)
            if choice < len(acts):
                acts[choice](path)
            elif choice == 6:
                self.block("recvmsg", self.quiet.fileno(), header, 0)
            else:
                self.block("sendmsg", self.full.fileno(), header, 0)

    def read(self, path: bytes) -> None:
        self.close(self.block("open", path, os.O_RDONLY))

    def write(self, path: bytes) -> None:
        self.close(self.block("open", path, os.O_WRONLY))

    def accept(self, _path: bytes) -> None:
        self.close(self.block("accept4", self.listener, 0, 0, 0))

    def connect(self, _path: bytes) -> None:
        """Connect to ourselves: the second one that does finds the queue full."""
        fd = rawcalls.call("socket", 1, 1, 0)
        self.tell("socket", fd)
        if fd >= 0:
            self.block("connect", fd, self.address, len(self.address))
            os.close(fd)

    def quick(self, _path: bytes) -> None:
        """Make calls that don't block, under the timer."""
        name = b"d%d-%d" % (self.number, os.getpid())
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        for _ in range(5):
            self.tell("mkdir", rawcalls.call("mkdir", name, 0o755))
            self.tell("access", rawcalls.call("access", name, 0))
            self.tell("rmdir", rawcalls.call("rmdir", name))
        signal.setitimer(signal.ITIMER_REAL, 0, 0)

    def spawn(self, path: bytes) -> None:
        """Fork a child that blocks and dies of its timer, or is killed."""
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGUSR2])
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, self.rng.uniform(0.001, 0.05))
            rawcalls.call("open", path, os.O_RDONLY)
            os._exit(0)
        if self.rng.random() < 0.3:
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1, signal.SIGUSR2])


class Soak:
    """The population, and what is done to it."""

    def __init__(self, seconds: float, seed: int) -> None:
        self.end = time.monotonic() + seconds
        self.rng = random.Random(seed)  # noqa: S311 - a walk.
        self.reports, self.faults = os.pipe()
        os.set_blocking(self.reports, False)
        self.workers: dict[int, int] = {}
        self.did = {"signals": 0, "kills": 0, "stops": 0}
        self.own: list[str] = []
        for number in range(FIFOS):
            os.mkfifo(b"f%d" % number)

    def start(self, number: int) -> None:
        pid = os.fork()
        if pid == 0:
            os.close(self.reports)
            try:
                Worker(number, self.rng.randrange(1 << 30), self.faults).live()
            except BaseException as error:
                os.write(self.faults, f"worker: {error!r}\n".encode())
            os._exit(1)
        self.rng.random()
        self.workers[pid] = number

    def run(self) -> None:
        """Do things to the workers until the time is over; then end them all."""
        for number in range(WORKERS):
            self.start(number)
        while time.monotonic() < self.end:
            time.sleep(self.rng.uniform(0.0005, 0.01))
            pid = self.rng.choice(list(self.workers))
            kind = self.rng.random()
            if kind < 0.7:
                self.did["signals"] += 1
                os.kill(pid, self.rng.choice((10, 12, 18, 28)))
            elif kind < 0.9:
                self.did["stops"] += 1
                os.kill(pid, signal.SIGSTOP)
                time.sleep(self.rng.uniform(0, 0.003))
                os.kill(pid, signal.SIGCONT)
            else:
                self.did["kills"] += 1
                os.kill(pid, self.rng.choice((signal.SIGKILL, signal.SIGTERM)))
                self.start(self.reap(pid))
        for pid in list(self.workers):
            os.kill(pid, signal.SIGKILL)
            self.reap(pid)

    def reap(self, pid: int) -> int:
        """Wait for a worker that was killed; return its number."""
        deadline = time.monotonic() + PATIENCE
        while os.waitpid(pid, os.WNOHANG)[0] == 0:
            if time.monotonic() > deadline:
                self.own.append("a killed worker does not end")
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                break
            time.sleep(0.001)
        return self.workers.pop(pid)

    def phantoms(self) -> None:
        """Nobody is left: no FIFO has a reader."""
        deadline = time.monotonic() + PATIENCE
        while True:
            left = [
                number
                for number in range(FIFOS)
                if rawcalls.call("open", b"f%d" % number, os.O_WRONLY | os.O_NONBLOCK)
                != -errno.ENXIO
            ]
            if not left:
                return
            if time.monotonic() > deadline:
                self.own.append(f"somebody still reads the FIFOs {left}")
                return
            time.sleep(0.05)

    def report(self) -> None:
        try:
            told = os.read(self.reports, 1 << 16).decode().splitlines()
        except BlockingIOError:
            told = []
        print(json.dumps({"faults": sorted(set(told + self.own)), **self.did}), flush=True)


def main() -> None:
    """Run, say what was found, and stay until our input ends."""
    soak = Soak(float(sys.argv[1]), int(sys.argv[2]))
    print("started", flush=True)
    sys.stdin.readline()
    soak.run()
    soak.phantoms()
    soak.report()
    sys.stdin.readline()


main()
