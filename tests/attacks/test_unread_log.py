# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest fills the log's pipe, which nobody reads: calls are still answered, and still denied."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.support import host

if TYPE_CHECKING:
    from tests.support.guest import Guest

GUEST = """
import os
for number in range(200):
    try:
        os.open(f"/root/absent{number}", os.O_RDONLY)
    except PermissionError:
        continue
    raise SystemExit(f"opened {number}")
print("all denied")
"""


def test_a_full_pipe_for_the_log_holds_up_nobody(sandbox: Guest) -> None:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    sandbox.fresh_work()
    try:
        done = subprocess.run(
            sandbox.command([host.PYTHON, "-I", "-S", "-c", GUEST]),
            env=sandbox.environment({"SYD_LOG_FD": str(writer)}),
            cwd=sandbox.work,
            stdout=subprocess.PIPE,
            stderr=sys.stderr,
            pass_fds=(writer,),
            timeout=20,
            check=False,
            **sandbox.identity.spawn_options(),  # type: ignore[call-overload]
        )
        os.set_blocking(reader, False)
        log = os.read(reader, 65536)
    finally:
        os.close(reader)
        os.close(writer)
    assert (done.returncode, done.stdout) == (0, b"all denied\n")
    assert log.startswith(b'{"id"')
