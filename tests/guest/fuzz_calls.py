# SPDX-License-Identifier: GPL-3.0-or-later
"""Make random system calls with random arguments, from a seed, in one child after the other.

Arguments: SEED, BATCHES, CALLS (of each batch), and the numbers of the calls to choose from. A
batch that is killed, or hangs, is no matter: the next one goes on. Prints how many batches came to
their end, and whether the system still answers.
"""

import ctypes
import os
import random
import select
import signal
import socket
import struct
import sys

SEED, BATCHES, CALLS = map(int, sys.argv[1:4])
NUMBERS = list(map(int, sys.argv[4].split(",")))
PATIENCE = 1500  # Milliseconds of one batch.
TICK = 0.02  # Seconds after which a call that blocks is interrupted.

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long

NAMES = [
    b"", b".", b"..", b"/", b"//", b"a", b"a/", b"b", b"b/../a", b"d", b"d/", b"d/.", b"d/..",
    b"d/x", b"link", b"link/", b"dlink/x", b"loop", b"hidden", b"d/" + b"y" * 300, b"z" * 4095,
    b"z" * 4096, b"/proc", b"/proc/", b"/proc/self", b"/proc/self/", b"/proc/thread-self/fd",
    b"/proc/1", b"/proc/1x", b"/proc/1x/y", b"/proc/0", b"/proc/99999999999999999999",
    b"/proc/self/fd/0", b"/proc/self/fd/3", b"/proc/self/fd/x", b"/proc/self/exe",
    b"/proc/self/cwd/a", b"/proc/self/root/etc/passwd", b"/proc/self/ns/mnt", b"/proc/self/mem",
    b"/proc/self/status", b"/proc/self/task/1/status", b"/proc/self/task/1_0",
    b"/proc/self/attr/current", b"/proc/self/net/unix", b"/proc/version",
    b"/proc/sys/kernel/osrelease", b"/proc/self/map_files", b"/proc/self/fdinfo/0",
    b"/etc/machine-id", b"/dev/null", b"/dev/tty", b"/dev/full", b"/dev/fd/0", b"/dev/syd",
    b"/dev/syd/", b"/dev/syd/\xff", b"/dev/syd/allow/read+/***", b"/dev/syd/load/3",
    b"/dev/syd.sh", b"//dev/syd", b"/etc/passwd", b"/etc/shadow", b"/etc/passwd/",
    b"/usr/bin/true", b"/nowhere/at/all", b"\xff\xfe", b"a\nb", b"-x", b"fifo", b"socket",
    b"/tmp/x", b"user.x", b"security.x", b"system.posix_acl_access", b"/../../a",
]  # fmt: skip
PLAIN = [0, 1, 2, 3, 4, 5, 7, 8, 16, 24, 32, 64, 100, 128, 255, 256, 4096, 65536, 1 << 20]
WIDE = [
    0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFF9C, (1 << 32) | 0xFFFFFF9C, (1 << 63) - 1, 1 << 63,
    (1 << 64) - 1, (1 << 64) - 100, 1 << 47, (1 << 47) - 1, (1 << 47) - 4096, 4095, 4096, 0x1000,
]  # fmt: skip
FLAGS = [*PLAIN, 0o101, 0o302, 0o2000000, 0o20200000]
TIMES = [0, 1, 999_999_999, 10**9, -1, 1 << 62]

area = ctypes.create_string_buffer(1 << 16)
BASE = ctypes.addressof(area)


class Filler:
    """Fills the area with things that calls take by address, and remembers where they are."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.places: list[int] = []
        self._at = 0
        names = [self._put(name + b"\0") for name in rng.sample(NAMES, 24)]
        buffers = [self._put(rng.randbytes(64)) for _ in range(4)]
        self._put(bytes(512))
        self._put(struct.pack("=QQQ", *(rng.choice(FLAGS) for _ in range(3))))
        self._put(struct.pack("=qqqq", *(rng.choice(TIMES) for _ in range(4))))
        pieces = [(rng.choice(names + buffers + WIDE), rng.choice(PLAIN + WIDE)) for _ in range(4)]
        vector = self._put(b"".join(struct.pack("=QQ", *piece) for piece in pieces))
        self._messages(vector)

    def _put(self, data: bytes) -> int:
        if self._at + len(data) + 16 > len(area):
            self._at = 0
        place = self._at
        area[place : place + len(data)] = data
        self._at += len(data) + 8 & ~7
        self.places.append(BASE + place)
        return BASE + place

    def _messages(self, vector: int) -> None:
        rng = self.rng
        port = rng.randrange(65536)
        address = self._put(rng.choice([
            struct.pack("=HH", 2, port) + b"\x7f\0\0\1" + bytes(8),
            struct.pack("=HHI", 10, port, 0) + bytes(15) + b"\1" + bytes(4),
            b"\1\0" + rng.choice(NAMES)[:100] + b"\0", b"\1\0\0abstract", b"\0\0" + bytes(14),
            struct.pack("=HHII", 16, 0, rng.randrange(9), 0), rng.randbytes(28),
        ]))  # fmt: skip
        size = rng.choice([20, 16, 24, 1 << 40])
        control = struct.pack("=QiiI", size, 1, rng.randrange(5), rng.randrange(9)) + bytes(40)
        header = struct.pack(
            "=QI4xQQQQI4x",
            *(rng.choice([0, address]), rng.choice([0, 2, 16, 28, 110, 128, 1 << 31])),
            *(rng.choice([vector, 0]), rng.choice([0, 1, 4, 2000])),
            *(rng.choice([0, self._put(control)]), rng.choice([0, 20, 24, 64, 1 << 33]), 0),
        )
        self._put(header)
        self._put(header * 3)

    def argument(self) -> int:
        """Return what a call may take for a number, a descriptor, flags or an address."""
        rng = self.rng
        turn = rng.random()
        if turn < 0.45:
            return rng.choice(self.places)
        if turn < 0.75:
            return rng.choice(FLAGS)
        if turn < 0.85:
            return rng.randrange(12)
        if turn < 0.92:
            return (1 << 64) - 100
        if turn < 0.96:
            return rng.choice(WIDE)
        return rng.getrandbits(rng.choice([8, 16, 32, 64]))


def prepare(place: bytes) -> None:
    """Make files, and open descriptors that calls can take."""
    null = os.open("/dev/null", os.O_RDWR)
    os.mkdir(place)
    os.chdir(place)
    for name, text in ((b"a", b"text"), (b"b", b"")):
        with open(name, "wb") as file:
            file.write(text)
    os.mkdir("d")
    for text_, link in (("a", "link"), ("d", "dlink"), ("loop", "loop")):
        os.symlink(text_, link)
    os.mkfifo("fifo")
    os.open("a", os.O_RDWR)
    os.open(".", os.O_RDONLY)
    os.pipe()
    datagram = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    kept.extend([socket.socket(), *socket.socketpair(), datagram])
    for number in (0, 1, 2):
        os.dup2(null, number)


def batch(seed: int) -> None:
    """Make the calls of one batch: few different ones, so that one that kills ends few batches."""
    rng = random.Random(seed)  # noqa: S311 - to be the same each time
    filler = Filler(rng)
    some = rng.sample(NUMBERS, min(12, len(NUMBERS)))
    for turn in range(CALLS):
        if turn % 40 == 39:
            filler = Filler(rng)
        words = [ctypes.c_ulong(filler.argument()) for _ in range(6)]
        libc.syscall(ctypes.c_long(rng.choice(some)), *words)


kept: list[socket.socket] = []
ended = 0
here = os.getcwd()
for index in range(BATCHES):
    os.chmod(here, 0o700)  # An earlier batch may have changed it.
    child = os.fork()
    if child == 0:
        os.setsid()
        signal.signal(signal.SIGALRM, lambda *_: None)
        prepare(b"batch%d" % index)
        signal.setitimer(signal.ITIMER_REAL, TICK, TICK)
        batch(SEED * 1_000_003 + index)
        os._exit(0)
    watch = select.poll()
    pidfd = os.pidfd_open(child)
    watch.register(pidfd, select.POLLIN)
    if not watch.poll(PATIENCE):
        os.kill(child, signal.SIGKILL)
    os.close(pidfd)
    ended += os.waitpid(child, 0)[1] == 0
print(ended, os.path.exists("/etc/passwd"))
