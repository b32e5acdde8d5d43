# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``-V`` and ``-h`` print."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

VERSION: Final = "0.1.0"

# Names and order are fixed: other programs read this line. A plus is a promise, so what is not
# built yet has none.
FEATURES: Final = (
    ("debug", False),
    ("force", True),
    ("kcov", False),
    ("log", True),
    ("oci", False),
    ("trusted", True),  # The variables and switches that only such a build knows are honoured.
)

_POEM: Final = (
    "Come in, strange program, take a chair,",
    "the doors you see are mostly air;",
    "ask what you like, I'll fetch the key,",
    "or tell you where it ought to be.",
)
_HUES: Final = (95, 91, 93, 92, 96, 94)


def heading() -> str:
    """Return the four lines that open all reports."""
    return (
        f"madcap {VERSION} (First Light)\n"
        "An unprivileged application kernel\n"
        "Author: the madcap contributors <madcap@madcap.invalid>\n"
        "License: GPL-3.0-or-later\n"
    )


def version() -> str:
    """Return the version block."""
    features = ", ".join([("+" if built else "-") + name for name, built in FEATURES])
    return f"{heading()}Features: {features}\n"


def help_text() -> str:
    """Return the help, coloured where a terminal shows it."""
    from madcap.cli import usage

    bold, plain = ("\x1b[1m", "\x1b[0m") if os.isatty(1) else ("", "")
    usages = (
        (" [-acefhlmpqtvxCEPV] [--] {command [arg...]}", "Run a program under madcap."),
        (" --api", "Print the specification of the command interface."),
        (" --check", "Print what this system supports."),
        (" --el", "Print the command interface as an Emacs Lisp library."),
        (" --sh", "Print the command interface as a shell function."),
    )
    blocks = [f"$ {bold}madcap{plain}{form}\n  {what}\n" for form, what in usages]
    verses = [_coloured(line, index) + "\n" for index, line in enumerate(_POEM)]
    return (
        heading()
        + "\n"
        + "".join(blocks)
        + "\n"
        + "".join([row + "\n" for row in usage.rows(usage.MADCAP)])
        + "\n"
        + "".join(verses)
        + "\n"
        "Report bugs with the command line, the output of madcap --check,\n"
        "and the log that SYD_LOG=debug writes.\n"
    )


def _coloured(line: str, start: int) -> str:
    """Return *line* with a new colour every other character."""
    pieces = [line[at : at + 2] for at in range(0, len(line), 2)]
    hues = [_HUES[(start + index) % len(_HUES)] for index in range(len(pieces))]
    return "".join([f"\x1b[1;{hue}m{piece}" for hue, piece in zip(hues, pieces, strict=True)]) + (
        "\x1b[0m"
    )
