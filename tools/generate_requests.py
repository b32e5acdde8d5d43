#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write src/madcap/abi/requests.py from the kernel headers of this machine.

    tools/generate_requests.py > src/madcap/abi/requests.py

A request is a macro that is made with _IO() and its kin, or, in headers older than those, a number
of the device's own range. A compiler says what it is worth. Headers that do not compile, and
requests that are newer than the headers or not in any of them, are made up for by hand below.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

INCLUDE = Path("/usr/include")
FOLDERS = ("linux", "asm-generic", "sound", "mtd", "rdma", "misc", "scsi", "video")
COMPILER = ("/usr/bin/gcc", "-x", "c", "-w", "-")
PRELUDE = "".join(
    f"#include <{header}>\n"
    for header in (
        *("stddef.h", "stdint.h", "stdio.h", "time.h", "sys/socket.h", "linux/types.h"),
        *("linux/ioctl.h", "linux/sockios.h", "linux/fiemap.h", "linux/blktrace_api.h"),
    )
)
MADE = re.compile(r"\b[A-Z0-9_]*_?IO(C|R|W|WR|RW)?(32|64|V)?\s*\(|_IO(R|W|WR|C)?\b")
NOT_REQUESTS = re.compile(
    r"^(_|IOC_)|_(BASE|MAX|MASK|SHIFT|SIZE|MAGIC|NUM|NR|TYPE|MIN|LAST|FIRST|SUPP)$|^BLK_TA_"
)
# Header: names, and the range (request >> 8) they are in.
NUMBERS = {
    "asm-generic/ioctls.h": (r"(TC|TIOC|FIO)\w+", 0x54),
    "linux/cdrom.h": (r"(CDROM|DVD_)\w+", 0x53),
    "linux/cyclades.h": (r"CY\w+", 0x4359),
    "linux/fb.h": (r"FBIO\w+", 0x46),
    "linux/hdreg.h": (r"HDIO_\w+", 0x03),
    "linux/kd.h": (r"(K|PIO|GIO)\w+", 0x4B),
    "linux/loop.h": (r"LOOP_\w+", 0x4C),
    "linux/lp.h": (r"LP\w+", 0x06),
    "linux/mroute.h": (r"SIOC\w+", 0x89),
    "linux/mroute6.h": (r"SIOC\w+", 0x89),
    "linux/sockios.h": (r"(SIOC|FIO)\w+", 0x89),
    "linux/vt.h": (r"VT_\w+", 0x56),
    "linux/wireless.h": (r"SIOC[GS]IW\w+", 0x8B),
    "scsi/scsi.h": (r"SCSI_IOCTL\w+", 0x53),
    "scsi/sg.h": (r"SG_\w+", 0x22),
}
BY_HAND = {
    # Numbers without a range.
    "FIBMAP": 0x1,
    "FIGETBSZ": 0x2,
    "IOCTL_VM_SOCKETS_GET_LOCAL_CID": 0x7B9,
    # The same name in the headers of many architectures.
    "FIOSETOWN": 0x8901,
    "FIOGETOWN": 0x8903,
    "SIOCATMARK": 0x8905,
    "SIOCGPGRP": 0x8904,
    "SIOCSPGRP": 0x8902,
    "SIOCINQ": 0x541B,
    "SIOCOUTQ": 0x5411,
    "SIOCADDTUNNEL": 0x89F1,
    "SIOCCHGTUNNEL": 0x89F3,
    "SIOCDELTUNNEL": 0x89F2,
    "SIOCGETTUNNEL": 0x89F0,
    # Newer than the headers.
    "FS_IOC_GETFSSYSFSPATH": 0x80811501,
    "FS_IOC_GETFSUUID": 0x80111500,
    "PIDFD_GET_CGROUP_NAMESPACE": 0xFF01,
    "PIDFD_GET_INFO": 0xC000FF0B,
    "PIDFD_GET_IPC_NAMESPACE": 0xFF02,
    "PIDFD_GET_MNT_NAMESPACE": 0xFF03,
    "PIDFD_GET_NET_NAMESPACE": 0xFF04,
    "PIDFD_GET_PID_FOR_CHILDREN_NAMESPACE": 0xFF06,
    "PIDFD_GET_PID_NAMESPACE": 0xFF05,
    "PIDFD_GET_TIME_FOR_CHILDREN_NAMESPACE": 0xFF08,
    "PIDFD_GET_TIME_NAMESPACE": 0xFF07,
    "PIDFD_GET_USER_NAMESPACE": 0xFF09,
    "PIDFD_GET_UTS_NAMESPACE": 0xFF0A,
    "PROCMAP_QUERY": 0xC0686611,
    "SECCOMP_IOCTL_NOTIF_SET_FLAGS": 0x40082104,
    # Headers of other packages, or at odds with them.
    "HCIBLOCKADDR": 0x400448E6,
    "HCIDEVDOWN": 0x400448CA,
    "HCIDEVRESET": 0x400448CB,
    "HCIDEVRESTAT": 0x400448CC,
    "HCIDEVUP": 0x400448C9,
    "HCIGETAUTHINFO": 0x800448D7,
    "HCIGETCONNINFO": 0x800448D5,
    "HCIGETCONNLIST": 0x800448D4,
    "HCIGETDEVINFO": 0x800448D3,
    "HCIGETDEVLIST": 0x800448D2,
    "HCIINQUIRY": 0x800448F0,
    "HCISETACLMTU": 0x400448E3,
    "HCISETAUTH": 0x400448DE,
    "HCISETENCRYPT": 0x400448DF,
    "HCISETLINKMODE": 0x400448E2,
    "HCISETLINKPOL": 0x400448E1,
    "HCISETPTYPE": 0x400448E0,
    "HCISETRAW": 0x400448DC,
    "HCISETSCAN": 0x400448DD,
    "HCISETSCOMTU": 0x400448E4,
    "HCIUNBLOCKADDR": 0x400448E7,
    "TCGETS2": 0x802C542A,
    "TCSETS2": 0x402C542B,
    "TCSETSF2": 0x402C542D,
    "TCSETSW2": 0x402C542C,
    # Of any size, and compared by command only.
    "DRM_IOCTL_GEM_CHANGE_HANDLE": 0x64D2,
    "SECCOMP_IOCTL_NOTIF_ADDFD": 0x2103,
    # With the length left out.
    "EVIOCGABS": 0x80184540,
    "EVIOCGBIT": 0x80004520,
    "EVIOCGKEY": 0x80004518,
    "EVIOCGLED": 0x80004519,
    "EVIOCGMTSLOTS": 0x8000450A,
    "EVIOCGNAME": 0x80004506,
    "EVIOCGPHYS": 0x80004507,
    "EVIOCGPROP": 0x80004509,
    "EVIOCGSND": 0x8000451A,
    "EVIOCGSW": 0x8000451B,
    "EVIOCGUNIQ": 0x80004508,
    "EVIOCSABS": 0x401845C0,
    "HIDIOCGFEATURE": 0xC0004807,
    "HIDIOCGINPUT": 0xC000480A,
    "HIDIOCGNAME": 0x80004806,
    "HIDIOCGOUTPUT": 0xC000480C,
    "HIDIOCGPHYS": 0x80004812,
    "HIDIOCGRAWNAME": 0x80004804,
    "HIDIOCGRAWPHYS": 0x80004805,
    "HIDIOCGRAWUNIQ": 0x80004808,
    "HIDIOCSFEATURE": 0xC0004806,
    "HIDIOCSINPUT": 0xC0004809,
    "HIDIOCSOUTPUT": 0xC000480B,
    "JSIOCGNAME": 0x80006A13,
    "LPIOC_GET_DEVICE_ID": 0x80005001,
    "SPI_IOC_MESSAGE": 0x40006B00,
    "UI_GET_SYSNAME": 0x8000552C,
    # File systems that keep their requests out of the headers for programs.
    "EXT4_IOC_MOVE_EXT": 0xC028660F,
    "EXT4_IOC_SWAP_BOOT": 0x6611,
    "F2FS_IOC_START_ATOMIC_REPLACE": 0xF519,
    "FS_IOC_RESVSP": 0x40305828,
    "FS_IOC_RESVSP64": 0x4030582A,
    "FS_IOC_RESVSP64_32": 0x402C582A,
    "FS_IOC_RESVSP_32": 0x402C5828,
    "FS_IOC_SHUTDOWN": 0x8004587D,
    "FS_IOC_UNRESVSP": 0x40305829,
    "FS_IOC_UNRESVSP64": 0x4030582B,
    "FS_IOC_UNRESVSP64_32": 0x402C582B,
    "FS_IOC_UNRESVSP_32": 0x402C5829,
    "FS_IOC_ZERO_RANGE": 0x40305839,
    "FS_IOC_ZERO_RANGE_32": 0x402C5839,
    "KCOV_RESET_TRACE": 0x6368,
    "OCFS2_IOC_REFLINK": 0x40186F04,
    "XFS_IOC_AG_GEOMETRY": 0xC080583D,
    "XFS_IOC_COMMIT_RANGE": 0x40585883,
    "XFS_IOC_EXCHANGE_RANGE": 0x40285881,
    "XFS_IOC_FD_TO_HANDLE": 0xC038586A,
    "XFS_IOC_FSGEOMETRY": 0x8100587E,
    "XFS_IOC_FSGEOMETRY_V1": 0x80705864,
    "XFS_IOC_FSGEOMETRY_V4": 0x8070587C,
    "XFS_IOC_GETBMAP": 0xC0205826,
    "XFS_IOC_GETBMAPA": 0xC020582C,
    "XFS_IOC_GETBMAPX": 0xC0205838,
    "XFS_IOC_GETPARENTS": 0xC028583E,
    "XFS_IOC_GETPARENTS_BY_HANDLE": 0xC040583F,
    "XFS_IOC_PATH_TO_FSHANDLE": 0xC0385868,
    "XFS_IOC_PATH_TO_HANDLE": 0xC0385869,
    "XFS_IOC_START_COMMIT": 0x80585882,
    "XFS_IOC_SWAPEXT": 0xC0C0586D,
}

HEAD = '''\
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers of ioctl(2) requests, by name.

Generated by tools/generate_requests.py: do not edit. From the kernel headers {version} of x86_64.
Requests whose arguments have the same size there have the same numbers on aarch64.
"""

from __future__ import annotations

REQUESTS: dict[str, int] = {{
'''


def compiled(source: str, *flags: str) -> subprocess.CompletedProcess[str]:
    """Give *source* to the compiler."""
    return subprocess.run(  # noqa: S603 - a fixed command on the machine's own headers
        [*COMPILER, *flags], input=PRELUDE + source, capture_output=True, text=True, check=False
    )


def candidates(header: str, *flags: str) -> list[str]:
    """Return the macros *header* itself defines that look like requests."""
    found: dict[str, None] = {}
    source = ""
    pattern, _ = NUMBERS.get(header, ("", 0))
    for line in compiled(f"#include <{header}>\n", "-E", "-dD", *flags).stdout.splitlines():
        if place := re.match(r'# \d+ "([^"]+)"', line):
            source = place[1]
            continue
        macro = re.match(r"#define (\w+) (.+)$", line)
        if macro is None or not source.endswith(f"/{header}"):
            continue
        name, value = macro.groups()
        listed = bool(pattern) and re.fullmatch(pattern, name) is not None
        if NOT_REQUESTS.search(name) and not listed:
            continue
        if listed or MADE.search(value) or value.strip("() ") in found:
            found[name] = None
    return list(found)


def evaluated(header: str, names: list[str], folder: str, *flags: str) -> dict[str, int]:
    """Return what *names* are worth, without those the compiler cannot tell."""
    lines = [f'printf("{name} %llx\\n", (unsigned long long)({name}));\n' for name in names]
    program = f"{folder}/program"
    source = f"#include <{header}>\nint main(void) {{\n{''.join(lines)}return 0; }}\n"
    if compiled(source, "-o", program, *flags).returncode == 0:
        output = subprocess.run(  # noqa: S603 - what was compiled just now
            [program], capture_output=True, text=True, check=True
        ).stdout
        return {name: int(value, 16) for name, value in map(str.split, output.splitlines())}
    if len(names) == 1:
        return {}
    middle = len(names) // 2
    return {
        **evaluated(header, names[:middle], folder, *flags),
        **evaluated(header, names[middle:], folder, *flags),
    }


def wanted(header: str, value: int, made: bool) -> bool:
    """Tell whether *value* can be a request."""
    if made and 0xFF < value < 1 << 32:
        return True
    return value >> 8 == NUMBERS.get(header, ("", -1))[1]


def version() -> str:
    """Return the kernel version of the headers."""
    code = int(re.findall(r"CODE (\d+)", (INCLUDE / "linux/version.h").read_text())[0])
    return f"{code >> 16}.{code >> 8 & 0xFF}.{code & 0xFF}"


def main() -> None:
    """Print the module."""
    found: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        # kfd_ioctl.h wants a header of another package for its types.
        Path(folder, "drm").mkdir()
        Path(folder, "drm/drm.h").write_text("#include <linux/types.h>\n")
        for top in FOLDERS:
            for path in sorted((INCLUDE / top).rglob("*.h")):
                header = os.fspath(path.relative_to(INCLUDE))
                names = candidates(header, f"-I{folder}")
                numbers, _ = NUMBERS.get(header, ("$", 0))
                if not names:
                    continue
                for name, value in evaluated(header, names, folder, f"-I{folder}").items():
                    made = re.fullmatch(numbers, name) is None
                    if wanted(header, value, made) or (not made and 0 < value >> 30 < 4):
                        found.setdefault(name, value)
    found.update(BY_HAND)
    sys.stdout.write(HEAD.format(version=version()))
    for name in sorted(found):
        sys.stdout.write(f'    "{name}": 0x{found[name]:X},\n')
    sys.stdout.write("}\n")


if __name__ == "__main__":
    main()
