# SPDX-License-Identifier: GPL-3.0-or-later
"""The spelling of UNIX socket paths: programs get back what they bound, not what we bound.

Some facts about the names of UNIX sockets
------------------------------------------
The kernel keeps the text that was given to bind(2), and shows it in getsockname(2), getpeername(2)
and with each datagram. We bind below a pinned directory, so that text is ours. It resolves to the
same file however many ``./`` and slashes stand in front of it: there is room for a number, thirteen
times ``./`` or ``.//``. The number leads to the spelling, whoever asks, also about a peer, and
nothing has to be known about sockets that are closed meanwhile. Numbers are used again after 8,192
binds; a name whose number has moved on is shown without the prefix.
"""

from __future__ import annotations

from madcap.kernel.net.address import UNIX_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Device and inode of a socket file, or an abstract name: where connections arrive.
    Place = tuple[int, int] | bytes

_BITS = 13
_COUNT = 1 << _BITS
_ZERO, _ONE = b"./", b".//"


class Names:
    """The paths that were bound last.

    *bound*: there are, or were, any. *connected*: a socket that has such a name connected, so that
    the one who accepts it may see it.
    """

    __slots__ = ("_next", "_table", "bound", "connected")

    def __init__(self) -> None:
        self.bound = self.connected = False
        # By number, and by base for names so long that there is no room for a number.
        self._table: dict[int | bytes, tuple[bytes, bytes, Place]] = {}
        self._next = 0

    def reserve(self) -> int:
        """Return the number for the next name."""
        self.bound = True
        number = self._next
        self._next = (number + 1) % _COUNT
        return number

    def remember(self, number: int, base: bytes, spelling: bytes, place: Place) -> None:
        """Note that the socket named *number* and *base* was bound as *spelling*."""
        table = self._table
        if encode(number, base) != base:
            table[number] = (base, spelling, place)
        elif base in table or len(table) < 2 * _COUNT:
            table[base] = (base, spelling, place)

    def _find(self, path: bytes) -> tuple[bytes, bytes, Place] | None:
        number, base = decode(path)
        known = self._table.get(base if number < 0 else number)
        return known if known is not None and known[0] == base else None

    def spelling(self, path: bytes) -> bytes:
        """Return what was bound, given the *path* that the kernel knows."""
        known = self._find(path)
        return known[1] if known is not None else decode(path)[1]

    def place(self, path: bytes) -> Place | None:
        """Return where connections to the *path* that the kernel knows arrive, if that is known."""
        known = self._find(path)
        return known[2] if known is not None else None

    def connects(self, name: bytes) -> None:
        """Note that a socket connects whose own UNIX address is *name*."""
        if name[2:3] not in (b"", b"\0"):
            self.connected = True

    def original(self, raw: bytes) -> bytes:
        """Return the UNIX address *raw* from the kernel with the caller's own spelling in it."""
        if len(raw) < 3 or raw[2] == 0:
            return raw
        path = raw[2:].partition(b"\0")[0]
        spelled = self.spelling(path)
        if spelled == path:
            return raw
        return raw[:2] + spelled + (b"\0" if len(spelled) < UNIX_SIZE - 2 else b"")


def encode(number: int, base: bytes) -> bytes:
    """Return a path to *base* that tells *number*; just *base* where there is no room."""
    bits = [_ONE if number >> bit & 1 else _ZERO for bit in range(_BITS)]
    path = b"".join(bits) + base
    return path if len(path) <= UNIX_SIZE - 2 else base


def decode(path: bytes) -> tuple[int, bytes]:
    """Return (number, base) of what `encode` returned, (-1, *path*) of anything else."""
    number = at = 0
    for bit in range(_BITS):
        if path[at : at + 2] != _ZERO:
            return -1, path
        at += 2
        if path[at : at + 1] == b"/":
            number |= 1 << bit
            at += 1
    base = path[at:]
    if not base or b"/" in base:
        return -1, path
    return number, base


#: There is one supervisor in a process.
NAMES = Names()
