# SPDX-License-Identifier: GPL-3.0-or-later
"""Random descriptor numbers for trace/force_rand_fd."""

from __future__ import annotations

import errno
import os

from madcap.linux.fs import openat2

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.request import Request

_MAX = 0x10000
_TRIES = 64


def random_slot(req: Request) -> int:
    """Return a number that the caller has no descriptor at; raises EMFILE where none is found."""
    soft = req.limit(b"Max open files")
    limit = _MAX if soft is None else min(_MAX, soft)
    for _ in range(_TRIES):
        number = int.from_bytes(os.urandom(4), "little") % max(limit, 1)
        if number < 3:
            continue
        try:
            os.close(openat2(req.host.proc, b"%d/fd/%d" % (req.tid, number), os.O_PATH))
        except OSError as error:
            if error.errno == errno.ENOENT:
                req.alive()
                return number
            raise
    raise OSError(errno.EMFILE, "no free descriptor number")
