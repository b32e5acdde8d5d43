# SPDX-License-Identifier: GPL-3.0-or-later
"""Open a file beneath a directory over and over, while somebody moves what is on the way.

Argument: RESOLVE_ flags. Prints how often the file inside, one outside, and nothing was opened.
"""

import ctypes
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from rawcalls import call

how = (ctypes.c_uint64 * 3)(os.O_RDONLY, 0, int(sys.argv[1]))
top = os.open("top", os.O_PATH | os.O_DIRECTORY)
found = {"in": 0, "out": 0, "": 0}
end = time.monotonic() + 4
while time.monotonic() < end:
    fd = call("openat2", top, b"a/b/c/../../../key", how, 24)
    text = ""
    if fd >= 0:
        text = os.read(fd, 9).decode()
        os.close(fd)
    found[text] += 1
print(found["in"], found["out"], found[""])
