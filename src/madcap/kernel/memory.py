# SPDX-License-Identifier: GPL-3.0-or-later
"""brk(2), mmap(2) and mremap(2): how much memory a process may come to (`mem/max`, `mem/vm_max`).

The limits are asked before the kernel makes the call, and compare what the process has by then. So
they hold call by call: threads that ask at the same moment may together get more than is left, and
memory counts for `mem/max` only once it is touched.
"""

from __future__ import annotations

import errno

from madcap import events
from madcap.kernel import mapping, moves
from madcap.kernel.judge import carry_out
from madcap.kernel.reply import Continue
from madcap.linux.process import read_file
from madcap.policy import actions as A
from madcap.policy import categories as C

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.reply import Reply
    from madcap.kernel.request import Request

_ROOM = Continue("only the caller's own memory changes, and the arguments are values")
_UNVERIFIED = Continue("trace/allow_unsafe_ptrace gives up the check at the call's stop")
_PAGE = 4096
_MEM = C.MEM.bit_length() - 1
_START_BRK = 44  # Field 47 of proc_pid_stat(5), counted from the state, which is field 3.
_COUNTED = (b"Pss:", b"Private_Dirty:", b"Shared_Dirty:")
_MAYMOVE, _FIXED, _DONTUNMAP = 1, 2, 4
_MAPS_LIMIT = 16 << 20


def require_room(req: Request, size: int) -> None:
    """Raise ENOMEM unless the caller may come to *size* bytes more than it has."""
    policy = req.policy
    if not policy.enabled & C.MEM:
        return
    if policy.mem_vm_max:
        _compare(req, "mem_vm_max", policy.mem_vm_max, "mem_vm_cur", virtual_size(req), size)
    if policy.mem_max:
        _compare(req, "mem_max", policy.mem_max, "mem_cur", resident_size(req), size)


def _compare(req: Request, name: str, limit: int, current_name: str, has: int, size: int) -> None:
    if has + size < limit:
        return
    action = req.policy.defaults[_MEM]
    record: dict[str, object] = {
        "ctx": "access",
        "cap": "mem",
        "act": A.NAMES[action],
        "sys": req.name,
        name: limit,
        current_name: has,
        "mem_size": size,
    }
    tip = f"increase `{name.replace('_', '/', 1)}'"
    if action != A.FILTER:
        events.emit(events.WARN, record, pid=req.tid, tip=tip)
    carry_out(req, action, errno.ENOMEM)


def virtual_size(req: Request) -> int:
    """Return how many bytes of address space the caller has."""
    text = read_file(req.host.proc, b"%d/statm" % req.tid)
    req.alive()
    return int(text.split(None, 1)[0]) * _PAGE


def resident_size(req: Request) -> int:
    """Return how many bytes of memory the caller uses: its share, and what it made dirty."""
    text = read_file(req.host.proc, b"%d/smaps_rollup" % req.tid)
    req.alive()
    total = 0
    for line in text.split(b"\n"):
        fields = line.split()
        if fields and fields[0] in _COUNTED:
            total += int(fields[1]) * 1024
    return total


def sys_brk(req: Request) -> Reply:
    """brk(2): what it returns where there is no room is the present end, as the kernel does."""
    stat = read_file(req.host.proc, b"%d/stat" % req.tid)
    req.alive()
    start = int(stat[stat.rfind(b")") + 2 :].split()[_START_BRK])
    if req.args[0] > start:
        try:
            require_room(req, req.args[0] - start)
        except OSError as error:
            if error.errno != errno.ENOMEM:
                raise
            return _end_of_heap(req, start)
    return _ROOM


def _end_of_heap(req: Request, start: int) -> int:
    end = start
    for line in read_file(req.host.proc, b"%d/maps" % req.tid, _MAPS_LIMIT).split(b"\n"):
        if line.endswith(b"[heap]"):
            end = max(end, int(line[line.find(b"-") + 1 :].split(None, 1)[0], 16))
    req.alive()
    return end


def sys_mremap(req: Request) -> Reply:
    """mremap(2)."""
    address, old, new, flags = req.args[:4]
    if (
        flags & ~(_MAYMOVE | _FIXED | _DONTUNMAP)
        or (flags & (_FIXED | _DONTUNMAP) and not flags & _MAYMOVE)
        or (flags & _DONTUNMAP and old != new)
        or address % _PAGE
        or not new
    ):
        raise OSError(errno.EINVAL, "arguments")
    growth = new if flags & _DONTUNMAP else new - old
    if growth > 0:
        require_room(req, growth)
    return _ROOM


def sys_mmap(req: Request) -> Reply:
    """mmap(2), except what the tracer sees; with trace/allow_unsafe_ptrace that is nothing."""
    if req.host.traced or not mapping.concerned(req):
        require_room(req, req.args[1])
        return _ROOM
    _, name = mapping.judge(req)
    require_room(req, req.args[1])
    moves.after(req.host, "mmap", name)
    return _UNVERIFIED
