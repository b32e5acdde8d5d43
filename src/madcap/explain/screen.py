# SPDX-License-Identifier: GPL-3.0-or-later
"""What the side tools share: their options and help, their output, and how they fail."""

from __future__ import annotations

import os

from madcap.cli import complaint
from madcap.cli.usage import rows
from madcap.cli.version import heading, version
from madcap.errors import MadcapError, PolicyError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Final

    from madcap.cli.usage import Option
    from madcap.errors import Origin

USAGE: Final = 128  # A command line, or a configuration, that cannot be understood.
BROKEN: Final = 101  # A mistake of ours.
INTERRUPTED: Final = 130


def tables(options: Sequence[Option]) -> tuple[frozenset[str], dict[str, str]]:
    """Return the letters and the long names of *options*, as a Scanner wants them."""
    letters = frozenset(option.letter for option in options if option.letter)
    return letters, {option.word: option.name for option in options if option.word}


def help_lines(
    usage: str,
    purpose: str,
    options: Sequence[Option],
    statuses: Sequence[tuple[int, str]],
    *,
    bold: bool = False,
) -> Iterator[str]:
    """Yield the help of a side tool."""
    name, _, rest = usage.partition(" ")
    on, off = ("\x1b[1m", "\x1b[0m") if bold else ("", "")
    yield heading()
    yield f"$ {on}{name}{off} {rest}"
    yield f"  {purpose}"
    yield ""
    yield from rows(options)
    yield ""
    yield "Exit status:"
    for number, meaning in statuses:
        yield f"  {number:<4} {meaning}"


def answer(
    report: str,
    usage: str,
    purpose: str,
    options: Sequence[Option],
    statuses: Sequence[tuple[int, str]],
) -> int:
    """Print the help (*report* is ``h``) or the version (``V``) and return the status."""
    if report == "V":
        write(version())
    else:
        write("\n".join(help_lines(usage, purpose, options, statuses, bold=os.isatty(1))) + "\n")
    return 0


def write(text: str, file: int = 1) -> None:
    """Write *text* to the descriptor *file*."""
    data = text.encode("utf-8", "backslashreplace")
    while data:
        data = data[os.write(file, data) :]


def say(line: str) -> None:
    """Print *line*; what cannot be printed is escaped."""
    write(complaint.shown(line) + "\n")


def write_json(value: object) -> None:
    """Print *value* as JSON; names that are no UTF-8 keep their bytes as lone surrogates."""
    import json

    write(json.dumps(value, indent=2) + "\n")


def place(origin: Origin | None) -> str:
    """Return *origin* as messages show it."""
    return "built in" if origin is None else f"{origin[0]}:{origin[1]}"


def place_as_json(origin: Origin | None) -> dict[str, object]:
    """Return *origin* as keys of an object."""
    return (
        {"file": None, "line": None} if origin is None else {"file": origin[0], "line": origin[1]}
    )


def guarded(name: str, run: Callable[[], int]) -> int:
    """Return the status that *run* returns; what it raises is one message and a status."""
    import _signal  # type: ignore[import-not-found]  # `signal` imports enum: 4 ms

    _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)
    try:
        return run()
    except UsageError as error:
        _complain(f"{name}: {error} (try -h)")
        return USAGE
    except PolicyError as error:
        for line in complaint.lines(error, name):
            _complain(line)
        return USAGE
    except MadcapError as error:
        _complain(f"{name}: {error}")
        return USAGE
    except OSError as error:
        subject = f" `{os.fsdecode(error.filename)}'" if error.filename else ""
        _complain(f"{name}:{subject} {error.strerror}")
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    except MemoryError:
        _complain(f"{name}: out of memory")
        return BROKEN
    except Exception as error:  # Our mistake: one line and no traceback.
        _complain(f"{name}: internal error: {type(error).__name__}: {error}")
        return BROKEN


def _complain(line: str) -> None:
    """Print *line* on standard error, if anyone listens."""
    try:
        write(complaint.shown(line) + "\n", 2)
    except OSError:
        return
