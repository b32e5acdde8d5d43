# SPDX-License-Identifier: GPL-3.0-or-later
"""Try what a proc file system at the place given as argument would tell or do. Prints JSON."""

import json
import os
import sys
from collections.abc import Callable

place = sys.argv[1]
parent = f"{place}/{os.getppid()}"
found: dict[str, object] = {}


def attempt(name: str, action: Callable[[], object]) -> None:
    """Note how *action* came out."""
    try:
        found[name] = str(action())
    except OSError as error:
        found[name] = error.errno


attempt("stat", lambda: os.stat(f"{place}/self/exe").st_size)
attempt("parent", lambda: os.lstat(f"{parent}/fd/0").st_mode)
attempt("link", lambda: os.readlink(f"{parent}/exe"))
attempt("self", lambda: os.readlink(f"{place}/self"))
attempt("list", lambda: os.listdir(parent))
attempt("open", lambda: os.open(f"{place}/self/status", os.O_RDONLY))
attempt("attributes", lambda: os.listxattr(f"{place}/self/fd/0"))
attempt("times", lambda: os.utime(f"{place}/self/fd/0"))
attempt("root", lambda: os.open(f"{place}/self/root/etc/passwd", os.O_RDONLY))
try:
    os.chdir(parent)
    attempt("inside", lambda: os.stat("status").st_size)
    attempt("open inside", lambda: os.open("status", os.O_RDONLY))
except OSError:
    pass
print(json.dumps(found))
