# SPDX-License-Identifier: GPL-3.0-or-later
"""Do one thing after the other, and say after each which domain is active.

The steps are the arguments: NAME or NAME=VALUE. Prints one line a step: the domain, then the errno.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import mmap
import os
import socket
import subprocess
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

ADDRESS = "127.0.0.1"


def listener() -> socket.socket:
    """Return a socket that listens on a free port of the loopback."""
    server = socket.socket()
    server.bind((ADDRESS, 0))
    server.listen(5)
    return server


def datagrams(family: int) -> socket.socket:
    return socket.socket(family, socket.SOCK_DGRAM)


def run(path: str) -> None:
    subprocess.run([path], check=False)


def background(path: str) -> None:
    """Start *path*, which never ends, and kill it."""
    child = os.posix_spawn(path, [path, "100"], os.environ)
    os.kill(child, 9)
    os.waitpid(child, 0)


def map_program(path: str) -> None:
    fd = os.open(path, os.O_RDONLY)
    with mmap.mmap(fd, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC):
        os.close(fd)


def exec_check(path: str) -> None:
    """Ask whether *path* could be executed: execveat(2) with AT_EXECVE_CHECK."""
    libc = ctypes.CDLL(None, use_errno=True)
    empty = (ctypes.c_char_p * 1)(None)
    if libc.syscall(322, -100, path.encode(), empty, empty, 0x10000):
        raise OSError(ctypes.get_errno(), "execveat")


def connect(value: str) -> None:
    with listener() as server, socket.socket() as client:
        if value == "nonblocking":
            client.setblocking(False)
        client.connect(server.getsockname())


def refused(_value: str) -> None:
    """Connect to a port where nobody is."""
    with socket.socket() as free, socket.socket() as client:
        free.bind((ADDRESS, 0))
        client.connect(free.getsockname())


def accept(_value: str) -> None:
    with listener() as server, socket.socket() as client:
        client.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            client.connect(server.getsockname())
        server.accept()[0].close()


def many(_value: str) -> None:
    """Send to an address by sendmsg(2)."""
    with datagrams(socket.AF_INET) as sender, datagrams(socket.AF_INET) as receiver:
        receiver.bind((ADDRESS, 0))
        sender.sendmsg([b"x"], [], 0, receiver.getsockname())


def send(_value: str) -> None:
    with datagrams(socket.AF_INET) as sender, datagrams(socket.AF_INET) as receiver:
        receiver.bind((ADDRESS, 0))
        sender.sendto(b"x", receiver.getsockname())


def send_connected(_value: str) -> None:
    """Send without an address, which reaches nobody new."""
    one, other = CONNECTED
    one.send(b"x")
    other.recv(1)


def bind(value: str) -> None:
    with socket.socket() as server:
        server.bind((ADDRESS, int(value)))


def listen(_value: str) -> None:
    with socket.socket() as server:
        server.listen(1)


def bind_unix(value: str) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(value.replace("@", "\0"))


def send_unix(value: str) -> None:
    with datagrams(socket.AF_UNIX) as receiver, datagrams(socket.AF_UNIX) as sender:
        receiver.bind(value.replace("@", "\0"))
        sender.sendto(b"x", receiver.getsockname())


def connect_unix(value: str) -> None:
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(value)
        server.listen(1)
        client.connect(value)


def pair(_value: str) -> None:
    for end in socket.socketpair():
        end.close()


CONNECTED = socket.socketpair()
STEPS: dict[str, Callable[[str], object]] = {
    "accept": accept,
    "background": background,
    "bind": bind,
    "bind_unix": bind_unix,
    "chdir": os.chdir,
    "check": exec_check,
    "command": lambda value: os.stat("/dev/syd/" + value),
    "connect": connect,
    "connect_unix": connect_unix,
    "fchdir": lambda value: os.fchdir(os.open(value, os.O_RDONLY)),
    "listen": listen,
    "map": map_program,
    "open": lambda value: os.close(os.open(value, os.O_RDONLY)),
    "pair": pair,
    "refused": refused,
    "run": run,
    "send": send,
    "send_connected": send_connected,
    "send_unix": send_unix,
    "sendmsg": many,
}


def domain() -> str:
    with open("/dev/syd", encoding="ascii") as state:
        name = json.load(state)["domain"]
    return str(name)


for step in sys.argv[1:]:
    kind, _, argument = step.partition("=")
    result = 0
    try:
        STEPS[kind](argument)
    except OSError as error:
        result = error.errno or -1
    print(domain(), errno.errorcode.get(result, "0"), flush=True)
