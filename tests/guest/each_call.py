# SPDX-License-Identifier: GPL-3.0-or-later
"""Make one kind of call after the other, as often as standard input says.

The groups of call_loops.py are printed first, each with how often a turn makes the calls that it is
about. A line "TURNS GROUP" is answered with the calls that came out otherwise than they should.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from call_loops import fill, groups, undo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from call_loops import Step

MOST = 9


def repeat(steps: list[Step], turns: int) -> list[str]:
    """Take the steps *turns* times; return those that came out otherwise than they should."""
    wrong = []
    for turn in range(turns):
        for name, succeeds, call, after in steps:
            result = call()
            if (result >= 0) is not succeeds:
                error = os.strerror(ctypes.get_errno()) if result < 0 else "succeeded"
                wrong.append(f"turn {turn}, {name}: {error}")
                if len(wrong) > MOST:
                    return wrong
            elif after is not None:
                after(result)
    return wrong


def main() -> None:
    """Make calls until standard input ends."""
    os.umask(0o022)
    fill()
    known = groups()
    about = {
        title: {name: sum(step[0] == name for step in steps) for name in title.split()}
        for title, steps in known.items()
    }
    print(json.dumps(about), flush=True)
    for line in sys.stdin:
        turns, _, title = line.strip().partition(" ")
        print(json.dumps(repeat(known[title], int(turns))), flush=True)
    for remove in undo:
        remove()


main()
