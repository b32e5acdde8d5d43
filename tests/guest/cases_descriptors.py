# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases for the calls that make descriptors without a name, and for watches."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from typing import TYPE_CHECKING

from cases_open import O_PATH
from cases_order import HOLE, descriptors, every, opened, paths
from rawcalls import AT_FDCWD, call, named

if TYPE_CHECKING:
    from cases_order import Choices
    from run_cases import Tree

FLAGS: Choices = {
    "none": 0, "cloexec": os.O_CLOEXEC, "nonblock": os.O_NONBLOCK, "one": 1, "two": 2,
    "all": os.O_CLOEXEC | os.O_NONBLOCK, "dirty": 1 << 32, "bad": 0x40,
}  # fmt: skip


def flags_of(name: str, *arguments: object) -> object:
    """Make a descriptor; return its status flags, whether it is close-on-exec, and what it is."""
    fd = call(name, *arguments)
    if fd < 0:
        return named(fd)
    seen = [fcntl.fcntl(fd, fcntl.F_GETFL), fcntl.fcntl(fd, fcntl.F_GETFD)]
    text = os.readlink(f"/proc/self/fd/{fd}")
    os.close(fd)
    return [fd, *map(int, seen), text]


def each_flag(name: str, *before: object) -> object:
    """Do as `flags_of` with each of the flags."""
    return {label: flags_of(name, *before, flag) for label, flag in FLAGS.items()}


PLACES: dict[str, int] = {
    "top": 1 << 63, "last": -1, "page": -4096, "mapped": -(0x7780 << 32), "hole": 1 << 62,
}  # fmt: skip


def case_addresses_of_the_kernel(t: Tree) -> object:
    """The filter leaves them to the kernel where it says no itself, in its own order."""
    places: Choices = {**PLACES}
    sorts = descriptors(t)
    for name, path in (("zero", b"/dev/zero"), ("nothing", b"/dev/null")):
        sorts[name] = t.fd(path, os.O_RDWR)
    sorts["socket"], other = (end.detach() for end in socket.socketpair())
    os.write(other, b"there is something to read")
    pollers: Choices = {"epoll": call("epoll_create1", 0), "file": sorts["file"], "bad": 99}
    sizes: Choices = {"none": 0, "some": 8, "most": 1 << 40}
    found = {}
    for name in ("read", "write", "pread64", "pwrite64"):
        found[name] = every(t, name, sorts, places, sizes, {"at": 0})
    for name in ("readv", "writev"):
        found[name] = every(t, name, sorts, places, {"none": 0, "some": 2, "most": 1025})
        lists: Choices = {
            label: struct.pack("=Qq", place % 2**64, 8) for label, place in PLACES.items()
        }
        found[f"{name} from a list"] = every(t, name, sorts, lists, {"one": 1})
    few: Choices = {"none": 0, "one": 1, "most": 1 << 28}
    masks: Choices = {"no mask": 0, **PLACES}
    found["epoll_wait"] = every(t, "epoll_wait", pollers, places, few, {"now": 0})
    found["epoll_pwait"] = every(
        t, "epoll_pwait", pollers, places, {"one": 1}, {"now": 0}, masks, {"its size": 8}
    )
    changes: Choices = {"add": 1, "remove": 2, "change": 3, "bad": 9}
    found["epoll_ctl"] = every(t, "epoll_ctl", pollers, changes, sorts, places)
    return found


def case_epoll_create(t: Tree) -> object:
    del t
    return [flags_of("epoll_create", size) for size in (1, 99, 0, -1, 1 << 32)]


def case_epoll_create1(t: Tree) -> object:
    del t
    return each_flag("epoll_create1")


def case_eventfd(t: Tree) -> object:
    del t
    return [flags_of("eventfd", value) for value in (0, 1, 0xFFFF_FFFF)]


def case_eventfd2(t: Tree) -> object:
    del t
    made = call("eventfd2", 7, os.O_NONBLOCK)
    return [each_flag("eventfd2", 3), struct.unpack("=Q", os.read(made, 8))]


MASKS: Choices = {"ok": struct.pack("=Q", 1 << 9), "null": 0, "hole": HOLE, "half": HOLE - 4}
SIZES: Choices = {"8": 8, "4": 4, "128": 128}


def case_signalfd(t: Tree) -> object:
    return opened(t, "signalfd", {"new": -1, "bad": 99, "file": t.fd(b"file")}, MASKS, SIZES)


def case_signalfd4(t: Tree) -> object:
    fds: Choices = {"new": -1, "-2": -2, "bad": 99, "file": t.fd(b"file")}
    seen = opened(t, "signalfd4", fds, MASKS, SIZES, FLAGS)
    return [seen, each_flag("signalfd4", -1, MASKS["ok"], 8)]


def case_signalfd_again(t: Tree) -> object:
    """An existing signalfd gets another mask."""
    fd = call("signalfd4", -1, MASKS["ok"], 8, 0)
    again = t("signalfd4", fd, struct.pack("=Q", 1 << 10), 8, 0)
    return [again == fd, t("signalfd4", fd, MASKS["ok"], 8, 0x40)]


def case_timerfd_create(t: Tree) -> object:
    clocks: Choices = {str(n): n for n in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, -1, 99)}
    return [opened(t, "timerfd_create", clocks, FLAGS), each_flag("timerfd_create", 1)]


def case_inotify_init(t: Tree) -> object:
    del t
    return flags_of("inotify_init")


def case_inotify_init1(t: Tree) -> object:
    del t
    return each_flag("inotify_init1")


def case_fanotify_init(t: Tree) -> object:
    kinds: Choices = {f"{n:#x}": n for n in (0, 0x200, 0x202, 0xC00, 0x400, 4, 8, 0x10, 1 << 20)}
    return opened(t, "fanotify_init", kinds, {"0": 0, "2": 2, "3": 3, "cloexec": os.O_CLOEXEC})


def ends(name: str, *flags: int) -> object:
    """Make a pipe; return the numbers and flags of its ends."""
    pair = (ctypes.c_int * 2)(-1, -1)
    answer = named(call(name, pair, *flags))
    seen = [[fd, fcntl.fcntl(fd, fcntl.F_GETFL), fcntl.fcntl(fd, fcntl.F_GETFD)] for fd in pair
            if fd >= 0]  # fmt: skip
    for fd in pair:
        if fd >= 0:
            os.close(fd)
    return [answer, seen]


def case_pipe(t: Tree) -> object:
    return [ends("pipe"), t("pipe", 0), t("pipe", HOLE), t("pipe", HOLE - 4), ends("pipe")]


def case_pipe2(t: Tree) -> object:
    seen = {str(n): ends("pipe2", n) for n in (0, os.O_CLOEXEC, os.O_NONBLOCK, 0o40000, 1, 0x40)}
    # One error at a time: a pipe is made before its numbers are written, and of the two ends
    # that are not told nothing stays.
    return [seen, t("pipe2", HOLE, 0), t("pipe2", HOLE, 1), ends("pipe2", 0)]


def case_memfd_create(t: Tree) -> object:
    names: Choices = {
        "m": b"m", "empty": b"", "249": b"n" * 249, "250": b"n" * 250, "null": 0, "hole": HOLE,
    }  # fmt: skip
    return opened(t, "memfd_create", names, {f"{n:#x}": n for n in (0, 1, 2, 3, 0x20, 1 << 20)})


def case_memory_files_behave_like_files(t: Tree) -> object:
    fd = os.memfd_create("name", os.MFD_ALLOW_SEALING)
    os.write(fd, b"text")
    del t
    again = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY)
    return [os.read(again, 9).decode(), os.fstat(fd).st_size, os.readlink(f"/proc/self/fd/{fd}")]


def case_memfd_secret(t: Tree) -> object:
    return opened(t, "memfd_secret", FLAGS)


# Watches

EVENTS: Choices = {
    "all": 0xFFF, "none": 0, "bad": 1 << 20, "onlydir": 0x0100_0002, "dontfollow": 0x0200_0FFF,
    "add": 0x2000_0002, "create": 0x1000_0002, "both": 0x3000_0002, "dirty": 0xFFF | 1 << 32,
}  # fmt: skip


def case_inotify_add_watch(t: Tree) -> object:
    fds = {**descriptors(t), "watch": call("inotify_init1", os.O_NONBLOCK)}
    names = paths(t, "link", "dangling", "unreadable", "locked")
    return every(t, "inotify_add_watch", fds, names, EVENTS)


def case_inotify_tells_what_happens(t: Tree) -> object:
    fd = call("inotify_init1", os.O_NONBLOCK)
    t("inotify_add_watch", fd, b"dir", 0xFFF)
    t.write(b"dir/new", b"text")
    os.chmod(b"dir/new", 0o600)
    os.rename(b"dir/new", b"dir/newer")
    os.listdir(b"dir")
    os.symlink(b"x", b"dir/link")
    os.unlink(b"dir/newer")
    os.rmdir(b"dir/sub")
    data, at, seen = os.read(fd, 65_536), 0, []
    while at < len(data):
        _, mask, _, size = struct.unpack_from("=iIII", data, at)
        seen.append([hex(mask), data[at + 16 : at + 16 + size].rstrip(b"\0").decode()])
        at += 16 + size
    return seen


def case_fanotify_mark(t: Tree) -> object:
    group = call("fanotify_init", 0x200, 0)
    path = t.fd(b"dir", O_PATH)
    fds: Choices = {"group": group, "file": t.fd(b"file"), "path": path, "bad": 99}
    kinds: Choices = {f"{n:#x}": n for n in (1, 2, 3, 0, 5, 9, 0x80, 0x81, 0x11, 0x101, 1 << 20)}
    masks: Choices = {f"{n:#x}": n for n in (0x20, 0, 1 << 40, 0x4000_0100, 0x10000)}
    starts: Choices = {"cwd": AT_FDCWD, "dir": path, "bad": 98}
    names: Choices = {"file": b"file", "absent": b"absent", "null": 0, "hole": HOLE, "empty": b""}
    return every(t, "fanotify_mark", fds, kinds, masks, starts, names)
