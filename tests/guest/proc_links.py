# SPDX-License-Identifier: GPL-3.0-or-later
"""Try to reach a denied file by other names for it. Prints what each way gave.

The arguments are the file and the directory it lies in. "denied" in the output means it was read.
"""

import json
import os
import sys

secret, home = os.fsencode(sys.argv[1]), os.fsencode(sys.argv[2])
me, parent = os.getpid(), os.getppid()


def read(path: bytes | str, dirfd: int | None = None) -> str:
    """Return what *path* holds, or the name of the error."""
    try:
        fd = os.open(path, os.O_RDONLY, dir_fd=dirfd)
    except OSError as error:
        return os.strerror(error.errno or 0)
    try:
        return os.read(fd, 99).decode(errors="replace")
    except OSError as error:
        return f"opened; {os.strerror(error.errno or 0)}"
    finally:
        os.close(fd)


found = {}
for process in ("self", "thread-self", str(me), str(parent), "1", f"self/task/{me}"):
    for link in ("root", "cwd"):
        text = read(f"/proc/{process}/{link}".encode() + secret)
        found[f"{process}/{link}"] = text
for up in (b"..", b"../..", b"../../../../../../../../../.."):
    found[f"cwd/{up.decode()}"] = read(b"/proc/self/cwd/" + up + secret)
for number in range(30):
    found[f"parent fd {number}"] = read(f"/proc/{parent}/fd/{number}")
    found[f"parent fd {number} below"] = read(f"/proc/{parent}/fd/{number}".encode() + secret)
    found[f"own fd {number} below"] = read(b"/proc/self/fd/%d" % number + secret)
    found[f"dirfd {number}"] = read(secret[1:], number) if number < 20 else ""
for name in ("mem", "environ", "maps", "exe", "stack", "syscall"):
    found[f"parent {name}"] = read(f"/proc/{parent}/{name}")
root = os.open("/", os.O_RDONLY | os.O_DIRECTORY) if os.access("/", os.R_OK) else None
if root is not None:
    found["dirfd of /"] = read(secret[1:], root)
try:
    os.chdir(home)
    found["relative after chdir"] = read(os.path.basename(secret))
    found["dot after chdir"] = read(b"./" + os.path.basename(secret))
except OSError as error:
    found["chdir"] = os.strerror(error.errno or 0)
os.chdir(os.environ["WORK"])
os.symlink(secret, "direct")
os.symlink(home, "around")
os.symlink(b"/proc/self/root" + secret, "magic")
os.symlink(b"around/" + os.path.basename(secret), "chain")
for name in ("direct", "magic", "chain"):
    found[f"symlink {name}"] = read(name)
found["symlink around"] = read(b"around/" + os.path.basename(secret))
found["dots"] = read(os.environb[b"WORK"] + b"/.." * 20 + secret)
found["slashes"] = read(secret.replace(b"/", b"//./"))
for how in ("link", "rename"):
    try:
        getattr(os, how)(secret, f"taken-{how}")
        found[how] = read(f"taken-{how}")
    except OSError as error:
        found[how] = os.strerror(error.errno or 0)
print(json.dumps(found))
