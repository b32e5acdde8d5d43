# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a small wheel in the current directory, without any tool or network."""

import zipfile

INFO = "madcap_demo-1.0.dist-info/"
MEMBERS = {
    "madcap_demo/__init__.py": "def main():\n    print('demo works')\n",
    INFO + "METADATA": "Metadata-Version: 2.1\nName: madcap-demo\nVersion: 1.0\n",
    INFO + "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    INFO + "entry_points.txt": "[console_scripts]\nmadcap-demo = madcap_demo:main\n",
    INFO + "RECORD": "",
}

with zipfile.ZipFile("madcap_demo-1.0-py3-none-any.whl", "w") as wheel:
    for name, text in MEMBERS.items():
        wheel.writestr(name, text)
