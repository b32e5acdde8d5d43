# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rule or a default answers, ordered by severity: of two answers the larger number holds."""

from __future__ import annotations

ALLOW = 0
WARN = 1
ABORT = 2
FILTER = 3
DENY = 4
PANIC = 5
STOP = 6
KILL = 7
EXIT = 8

NAMES = ("allow", "warn", "abort", "filter", "deny", "panic", "stop", "kill", "exit")

BY_NAME = {
    "allow": 0,
    "warn": 1,
    "abort": 2,
    "filter": 3,
    "deny": 4,
    "panic": 5,
    "stop": 6,
    "kill": 7,
    "exit": 8,
}
