# SPDX-License-Identifier: GPL-3.0-or-later
"""Start madcap in an interpreter that trusts nothing but its own installation.

``bin/madcap`` and the console scripts of an installed package all end here, and so do the side
tools ``madcap-check`` and ``madcap-why``, which read the same files. What runs is always
CPython with ``-I -S -X utf8``: no PYTHON* variable, no current directory, no user or site packages,
no ``.pth`` file can put code into the supervisor, and arguments are bytes whatever the locale.

Some facts about bytecode. Python runs ``__pycache__/*.pyc`` without reading the source again when
time and size agree, and one kind of such file without any check. Whoever can write there writes the
supervisor. So a cache, like the source beside it, must not be writable by what is sandboxed: a rule
such as ``allow/write+/***`` is an escape, at the next start at the latest, if the tree belongs to
the user who runs madcap. Install madcap as another user (root), or keep its tree out of what the
policy lets be written. From our side, caches are written only into a tree that the running user
owns and nobody else may write.
"""

from __future__ import annotations

import gc
import os
import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final, NoReturn


# What the isolated interpreter runs: the name we were called by, then the arguments, follow it.
_START: Final = """
import sys
sys.argv.pop(0)
sys.dont_write_bytecode = True
sys.path.append({tree!r})
from madcap import launch
launch.{entry}()
"""


def main() -> NoReturn:
    """Run the command line of this process in an isolated interpreter and end with its status."""
    gc.disable()  # Start-up makes no garbage worth looking for: 2 ms.
    _prepare("main")
    from madcap.cli.main import main as command_line

    # Nothing is left to tidy up, and taking the interpreter apart costs a millisecond.
    os._exit(command_line([os.fsencode(argument) for argument in sys.argv], environment()))


def check() -> NoReturn:
    """Run ``madcap-check`` likewise."""
    _prepare("check")
    from madcap.explain.check import main as command_line

    os._exit(command_line([os.fsencode(argument) for argument in sys.argv], environment()))


def why() -> NoReturn:
    """Run ``madcap-why`` likewise."""
    _prepare("why")
    from madcap.explain.why import main as command_line

    os._exit(command_line([os.fsencode(argument) for argument in sys.argv], environment()))


def _prepare(entry: str) -> None:
    """Come back to *entry* in an isolated interpreter, unless this is one."""
    package = os.path.dirname(os.path.realpath(__file__))
    if not (sys.flags.isolated and sys.flags.no_site):
        _isolate(os.path.dirname(package), entry)
    sys.dont_write_bytecode = not _is_ours(package)


def environment() -> dict[bytes, bytes]:
    """Return the environment this program was started with.

    It is not quite what Python shows: in the C locale, CPython adds LC_CTYPE to it (PEP 538).
    """
    found = dict(posix.environ)
    if found.get(b"LC_CTYPE") in (b"C.UTF-8", b"C.utf8", b"UTF-8"):
        try:
            with open("/proc/self/environ", "rb") as file:
                given = file.read()
        except OSError:
            return found
        if not given.startswith(b"LC_CTYPE=") and b"\0LC_CTYPE=" not in given:
            del found[b"LC_CTYPE"]
    return found


def _is_ours(package: str) -> bool:
    """Return whether *package* belongs to the running user and only that user may write it."""
    try:
        status = os.stat(package)
    except OSError:
        return False
    return status.st_uid == os.geteuid() and not status.st_mode & 0o022


def _isolate(tree: str, entry: str) -> NoReturn:
    """Replace this process by the same interpreter, isolated, with the package found in *tree*."""
    options = ("-I", "-S", "-X", "utf8", "-c", _START.format(tree=tree, entry=entry))
    try:
        os.execve(sys.executable, [sys.executable, *options, *sys.argv], environment())  # noqa: S606
    except (OSError, ValueError) as error:
        os.write(2, os.fsencode(f"madcap: cannot start {sys.executable!r}: {error}\n"))
        os._exit(127)
