# SPDX-License-Identifier: GPL-3.0-or-later
"""seccomp(2) and seccomp_unotify(2): install filters, receive and answer notifications.

Some facts about notifications
------------------------------
A trapped thread sleeps until it is answered. The listener is installed with WAIT_KILLABLE_RECV
(Linux 5.19): before a notification is received any signal ends the call natively; afterwards only
a fatal signal does. The 64-bit id is never used twice, while the thread id in a notification may
be reused as soon as its thread is gone: what was read through that number counts only if the id
was still valid *after* the read. The kernel wants the receive buffer zeroed.
"""

from __future__ import annotations

import errno
import fcntl
import struct

from madcap.abi import flags as F
from madcap.linux._call import Buffer, bind, c_uint, c_void_p

NOTIF = struct.Struct("=QIIiIQ6Q")  # struct seccomp_notif: 80 bytes
RESP = struct.Struct("=QqiI")  # struct seccomp_notif_resp: 24 bytes
ADDFD = struct.Struct("=QIIII")  # struct seccomp_notif_addfd: 24 bytes
NOTIF_ZERO = bytes(NOTIF.size)

_seccomp = bind("seccomp", c_uint, c_uint, c_void_p)


def install(program: bytes, flags: int = 0) -> int:
    """Attach the BPF *program* to this thread; with NEW_LISTENER return its descriptor.

    Raises OSError: EINVAL (malformed program or unknown flag), EBUSY (a listener is there
    already: an outer sandbox), EACCES (no_new_privs is not set), ENOSYS (no seccomp).
    """
    code = Buffer(max(len(program), 1))
    code.data[: len(program)] = program
    fprog = Buffer(16)  # struct sock_fprog: u16 len, padding, pointer
    struct.pack_into("=HxxxxxxQ", fprog.data, 0, len(program) // 8, code.address)
    return _seccomp(F.SECCOMP_SET_MODE_FILTER, flags, fprog.address)


def install_listener(program: bytes) -> int:
    """Attach *program* and return the notification descriptor of it (close-on-exec)."""
    return install(
        program, F.SECCOMP_FILTER_FLAG_NEW_LISTENER | F.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
    )


def id_valid(listener: int, buffer: bytearray) -> bool:
    """Tell whether the notification whose id is packed in *buffer* still waits for us."""
    try:
        fcntl.ioctl(listener, F.SECCOMP_IOCTL_NOTIF_ID_VALID, buffer, True)
    except InterruptedError:  # We were stopped while another thread asked.
        return id_valid(listener, buffer)
    except OSError as error:
        if error.errno == errno.ENOENT:
            return False
        raise
    return True


def set_sync_wake_up(listener: int) -> bool:
    """Ask for wake-ups that stay on this CPU (Linux 6.6); return False where unsupported."""
    try:
        fcntl.ioctl(listener, F.SECCOMP_IOCTL_NOTIF_SET_FLAGS, F.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP)
    except OSError:
        return False
    return True
