# SPDX-License-Identifier: GPL-3.0-or-later
"""Cross mounts in every way, and print what came of it.

mounted.py cross            `there` is mounted from `here`, `memory` is a tmpfs
mounted.py open PATH ...    open each path for reading
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from typing import TYPE_CHECKING

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from rawcalls import call, named  # noqa: E402 - from beside this file

if TYPE_CHECKING:
    from collections.abc import Callable

NO_XDEV, BENEATH, IN_ROOT = 1, 8, 16
HERE = -100


def opened(dirfd: int, path: bytes, resolve: int) -> object:
    """Tell what openat2(2) says to *path*."""
    how = (ctypes.c_uint64 * 3)(os.O_RDONLY | os.O_CLOEXEC, 0, resolve)
    fd = call("openat2", dirfd, path, how, 24)
    if fd < 0:
        return named(fd)
    os.close(fd)
    return "opened"


def outcome(act: Callable[[], object]) -> object:
    """Tell what *act* returns, or its errno."""
    try:
        return act()
    except OSError as error:
        return named(-(error.errno or 0))


def cross() -> dict[str, object]:
    """Go from mount to mount."""
    top = os.open(b".", os.O_PATH)
    there = os.open(b"there", os.O_PATH)
    device = os.stat(b"here").st_dev
    found: dict[str, object] = {}
    for path in (
        b"here/file", b"there/file", b"there", b"there/.", b"there/sub/../file", b"there/..",
        b"here/../there/file", b"here/into", b"there/back", b"memory", b"memory/..", b".",
        b"/etc", b"/etc/hostname", b"there/sub/into", b"/proc/self/cwd/here/file", b"there/missing",
    ):  # fmt: skip
        for name, resolve in (("no_xdev", NO_XDEV), ("beneath", NO_XDEV | BENEATH)):
            found[f"{name} {path.decode()}"] = opened(HERE, path, resolve)
        found[f"in_root {path.decode()}"] = opened(top, path, NO_XDEV | IN_ROOT)
    for path in (b"file", b"sub/../file", b"..", b"../here/file", b"back", b"/etc/hostname"):
        found[f"from there {path.decode()}"] = opened(there, path, NO_XDEV)
    for name, source, target in (
        ("the same file", "here/file", "there/new"),
        ("to the tmpfs", "here/file", "memory/new"),
        ("within", "there/file", "there/sub/new"),
    ):
        found[f"link {name}"] = outcome(lambda s=source, t=target: os.link(s, t))  # type: ignore[misc]
        found[f"rename {name}"] = outcome(lambda s=source, t=target: os.rename(s, t))  # type: ignore[misc]
        found[f"back {name}"] = outcome(lambda s=source, t=target: os.rename(t, s))  # type: ignore[misc]
    found["remove a mount"] = [
        outcome(lambda: os.rmdir("there")),
        outcome(lambda: os.rmdir("memory")),
    ]
    found["rename a mount"] = outcome(lambda: os.rename("there", "elsewhere"))
    os.chdir("there/sub")
    found["above"] = os.path.basename(os.path.dirname(os.getcwd()))
    found["same device"] = [os.stat(".").st_dev == device, os.stat("../../memory").st_dev == device]
    os.chdir("../..")
    found["seen"] = sorted(os.listdir("there")) == sorted(os.listdir("here"))
    found["through"] = os.readlink(f"/proc/self/fd/{there}").rsplit("/", 1)[1]
    return found


if sys.argv[1] == "cross":
    print(json.dumps(cross(), indent=1))
else:
    print(json.dumps([opened(HERE, path.encode(), 0) for path in sys.argv[2:]]))
