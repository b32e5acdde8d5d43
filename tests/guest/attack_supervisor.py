# SPDX-License-Identifier: GPL-3.0-or-later
"""Attack the parent, which inside a sandbox is the supervisor. Prints what came of each attempt.

Every attempt is one that kills, stops, reads or changes a process of the same user.
"""

import ctypes
import fcntl
import json
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from rawcalls import call, named

target = int(sys.argv[1]) if len(sys.argv) > 1 else os.getppid()
buffer = ctypes.create_string_buffer(64)
iovec = (ctypes.c_uint64 * 2)(ctypes.addressof(buffer), 64)
remote = (ctypes.c_uint64 * 2)(0x400000, 64)
found = {}


def record(name: str, result: int) -> None:
    """Note how an attempt came out."""
    found[name] = named(result)


for number in (0, signal.SIGTERM, signal.SIGSTOP, signal.SIGKILL, signal.SIGALRM, 34, 64):
    record(f"kill {int(number)}", call("kill", target, int(number)))
    record(f"tgkill {int(number)}", call("tgkill", target, target, int(number)))
    # The threads of the supervisor have the next numbers, as a rule.
    for tid in range(target + 1, target + 6):
        if tid != os.getpid():
            record(
                f"tgkill thread {int(number)} +{tid - target}",
                call("tgkill", target, tid, int(number)),
            )
pidfd = call("pidfd_open", target, 0)
record("pidfd_open", pidfd)
if pidfd >= 0:
    record("pidfd_send_signal", call("pidfd_send_signal", pidfd, 9, 0, 0))
    record("pidfd_getfd", call("pidfd_getfd", pidfd, 0, 0))
record("ptrace attach", -1 if call("ptrace", 16, target, 0, 0) else 0)
record("ptrace peek", call("ptrace", 1, target, 0x400000, buffer))
record("process_vm_readv", call("process_vm_readv", target, iovec, 1, remote, 1, 0))
record("process_vm_writev", call("process_vm_writev", target, iovec, 1, remote, 1, 0))
for name in (
    "mem",
    "maps",
    "environ",
    "cmdline",
    "fd/0",
    "cwd/x",
    "root/etc",
    "oom_score_adj",
    "clear_refs",
):
    path = f"/proc/{target}/{name}".encode()
    record(f"open {name}", call("open", path, os.O_RDONLY))
    record(f"write {name}", call("open", path, os.O_WRONLY))
receive, send = os.pipe()
try:
    fcntl.fcntl(receive, fcntl.F_SETOWN, target)
    found["F_SETOWN"] = 0
except OSError as error:
    record("F_SETOWN", -(error.errno or 0))
print(json.dumps(found), flush=True)
# Whoever answers this is alive, and does its work.
print(os.stat("/etc").st_mode != 0, os.path.exists("/etc/passwd"), flush=True)
