# SPDX-License-Identifier: GPL-3.0-or-later
"""Descriptors that reach a guest inside something else than a call's result."""

from __future__ import annotations

import errno
import fcntl

from madcap.abi import flags as F
from madcap.kernel.reply import Gone
from madcap.kernel.slots import random_slot
from madcap.linux.seccomp import ADDFD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.request import Request

#: Flags of which a descriptor that the kernel makes on its own would know nothing.
MARKS = frozenset(("force_cloexec", "force_rand_fd"))


def give(req: Request, fd: int, *, cloexec: bool) -> int:
    """Give the caller a duplicate of our descriptor *fd*; return its number there.

    Raises EMFILE, and Gone where the caller is.
    """
    req.shares = True
    flags = req.policy.flags
    slot = random_slot(req) if "force_rand_fd" in flags else -1
    at = F.SECCOMP_ADDFD_FLAG_SETFD if slot >= 0 else 0
    mode = F.O_CLOEXEC if cloexec or "force_cloexec" in flags else 0
    request = bytearray(ADDFD.pack(req.id, at, fd, max(slot, 0), mode))
    while True:
        try:
            number: int = fcntl.ioctl(req.host.listener, F.SECCOMP_IOCTL_NOTIF_ADDFD, request, True)
        except InterruptedError:
            continue
        except OSError as error:
            if error.errno == errno.ENOENT:
                raise Gone from error
            raise
        else:
            return number
