# SPDX-License-Identifier: GPL-3.0-or-later
"""All modules that are otherwise imported by what first needs them: importing this loads them."""

from __future__ import annotations

from madcap.abi import requests
from madcap.policy import (
    address,
    blocklist,
    domains,
    force,
    fsmagic,
    identity,
    interface,
    ioctls,
    json_text,
    kernel_lists,
    landlock,
    limits,
    lock,
    masks,
    mounts,
    overlap,
    process,
    profile,
    report,
    services,
)

__all__ = (
    "address",
    "blocklist",
    "domains",
    "force",
    "fsmagic",
    "identity",
    "interface",
    "ioctls",
    "json_text",
    "kernel_lists",
    "landlock",
    "limits",
    "lock",
    "masks",
    "mounts",
    "overlap",
    "process",
    "profile",
    "report",
    "requests",
    "services",
)
