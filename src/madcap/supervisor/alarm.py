# SPDX-License-Identifier: GPL-3.0-or-later
"""A signal handler that the interpreter does not know of."""

from __future__ import annotations

from madcap.linux._call import empty_handler


def catch_quietly(signal: int) -> None:
    """Let *signal* interrupt system calls (no SA_RESTART) and do nothing else.

    A handler of Python's own would set a flag that every other thread trips over until the main
    thread, which sleeps in wait4, looks at it.
    """
    empty_handler(signal)
