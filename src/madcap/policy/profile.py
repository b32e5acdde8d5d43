# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of the built-in profiles; their texts are ``profiles/NAME.rules``."""

from __future__ import annotations

from errno import EINVAL

from madcap.errors import PolicyError
from madcap.policy.blame import nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

# fmt: off
NAMES: Final = frozenset((
    "chrome", "container", "core", "cwd", "debug", "enforce", "ff", "firefox", "fs", "gui",
    "hide", "immutable", "kcov", "kvm", "kvm_native", "landlock", "lang", "ldd", "lib", "linux",
    "local", "ltp", "nix", "nixstore", "noipv4", "noipv6", "nomagic", "nomem", "nopie", "noscm",
    "noxdev", "oci", "off", "paludis", "privileged", "pwd", "quiet", "rand", "readonly", "ro",
    "silent", "trace", "tty", "tty_native", "user", "wx", "xdg",
))

LETTERS: Final = {
    "4": "noipv6", "6": "noipv4", "C": "core", "D": "debug", "E": "enforce", "M": "nomem",
    "P": "nopie", "S": "nomagic", "X": "noxdev", "c": "container", "d": "cwd", "f": "fs",
    "g": "gui", "h": "hide", "i": "immutable", "l": "landlock", "L": "linux", "p": "privileged",
    "q": "quiet", "r": "rand", "t": "tty", "u": "user", "@": "local",
}
# fmt: on

ALIASES: Final = {"ff": "firefox", "pwd": "cwd", "ro": "readonly", "silent": "quiet"}


def is_name(text: str) -> bool:
    """Tell whether *text* is the full name of a profile."""
    return text in NAMES


def file_of(name: str, machine: str) -> str:
    """Return the name of the file that holds the profile *name* for a *machine*."""
    if name == "kvm_native":
        if machine in ("x86_64", "i386", "i486", "i586", "i686"):
            return "kvm_native-x86"
        return "kvm_native-arm" if machine.startswith(("arm", "aarch64")) else "kvm_native-other"
    return ALIASES.get(name, name)


def unknown(name: str) -> PolicyError:
    """Return the error for *name*, which is neither a profile nor made of letters of profiles."""
    return PolicyError(
        EINVAL,
        f"unknown profile {name!r}",
        expected="the name of a built-in profile, or letters of profiles" + nearest(name, NAMES),
        word=name,
    )
