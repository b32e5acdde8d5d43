# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the one raw system call that the argument describes, and print its result or -errno."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from rawcalls import call

request = json.loads(sys.argv[1])
if request["cwd"] is not None:
    os.chdir(request["cwd"])
arguments = [
    word[1].encode("latin-1") if isinstance(word, list) else word for word in request["arguments"]
]
print(call(request["name"], *arguments))
