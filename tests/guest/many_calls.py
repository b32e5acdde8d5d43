# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the cases of some tables over and over, a round for each line of standard input.

    many_calls.py TABLE...

After each round the number of raw calls so far is printed.
"""

from __future__ import annotations

import importlib
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import rawcalls
from run_cases import run_case


def main() -> None:
    """Make rounds until standard input ends."""
    if os.getuid() == 0:
        rawcalls.drop_capabilities()
    modules = [importlib.import_module(name) for name in sys.argv[1:]]
    cases = [getattr(m, name) for m in modules for name in sorted(vars(m)) if name[:5] == "case_"]
    print("ready", flush=True)
    while sys.stdin.readline():
        for case in cases:
            run_case(case, case.__name__)
        print(rawcalls.made[0], flush=True)


main()
