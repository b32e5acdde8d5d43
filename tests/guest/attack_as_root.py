# SPDX-License-Identifier: GPL-3.0-or-later
"""Try what root could do and a guest of root may not. Prints what came of each attempt."""

import ctypes
import json
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from rawcalls import call, named

foreign, victim = sys.argv[1], int(sys.argv[2])
found: dict[str, object] = {}


def attempt(name: str, *arguments: object) -> None:
    """Make a call in a child, which the filter may kill; note how it came out."""
    receive, send = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(send, str(named(call(*arguments))).encode())  # type: ignore[arg-type]
        os._exit(0)
    os.close(send)
    text = os.read(receive, 99).decode()
    os.close(receive)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    found[name] = text if status == 0 else f"killed by {-status}"


header = (ctypes.c_uint32 * 2)(0x20080522, 0)
data = (ctypes.c_uint32 * 6)()
call("capget", header, data)
found["capabilities"] = [data[0], data[1], data[2], data[3], data[4], data[5]]
data[0] = data[1] = 0xFFFFFFFF
attempt("capset", "capset", header, data)
with open("/proc/self/status") as status:
    found["sets"] = [
        line.split()[1] for line in status if line.startswith(("CapPrm", "CapEff", "CapAmb"))
    ]
path = foreign.encode()
attempt("read of another's file", "open", path, os.O_RDONLY)
attempt("write of another's file", "open", path, os.O_WRONLY)
attempt("chmod of another's file", "chmod", path, 0o666)
attempt("truncate of another's file", "truncate", path, 0)
attempt("unlink in another's directory", "unlink", path)
attempt("create in another's directory", "open", os.path.dirname(path) + b"/new", 0o101, 0o600)
attempt("signal 0 to another's process", "kill", victim, 0)
attempt("kill another's process", "kill", victim, int(signal.SIGTERM))
attempt("device node", "mknod", b"node", 0o020600, 0x103)
attempt("block node", "mknod", b"block", 0o060600, 0x801)
attempt("chroot", "chroot", b"/usr")
attempt("mount", "mount", b"none", b"/", b"tmpfs", 0, 0)
attempt("unshare mount", "unshare", 0x20000)
attempt("unshare user", "unshare", 0x10000000)
attempt("setuid to a user", "setuid", 1000)
attempt("setgid to a user", "setgid", 1000)
attempt("setgroups", "setgroups", 1, (ctypes.c_uint32 * 1)(1000))
attempt("setuid to what I am", "setuid", 0)
attempt("setresuid that keeps all", "setresuid", 0xFFFFFFFF, 0, 0xFFFFFFFF)
attempt("open_by_handle_at", "open_by_handle_at", -100, ctypes.create_string_buffer(64), 0)
for helper in (
    b"/proc/sys/kernel/core_pattern", b"/proc/sys/kernel/modprobe", b"/proc/sysrq-trigger",
    b"/proc/sys/fs/binfmt_misc/register", b"/sys/fs/cgroup/cpu/release_agent",
    b"/sys/module/firmware_class/parameters/path",
):  # fmt: skip
    attempt(f"helper {helper.decode()}", "open", helper, os.O_WRONLY)
attempt("bpf", "bpf", 0, ctypes.create_string_buffer(64), 64)
print(json.dumps(found))
