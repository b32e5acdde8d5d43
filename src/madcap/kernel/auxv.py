# SPDX-License-Identifier: GPL-3.0-or-later
"""The auxiliary vector of a new image: found on its stack, changed before it runs.

What the kernel leaves at the stack pointer at exec, in words: argc, that many arguments, a null,
the environment, a null, and then pairs of type and value up to the type AT_NULL. The C library
believes what it reads there, so AT_SECURE makes it as careful as in a set-user-ID program: it
ignores the variables that would have the loader run code of someone's choice.
"""

from __future__ import annotations

import errno
from sys import byteorder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    Read = Callable[[int, int], bytes]
    Ids = tuple[int, int, int, int]

AT_NULL: Final = 0
AT_IGNORE: Final = 1
AT_UID: Final = 11
AT_EUID: Final = 12
AT_GID: Final = 13
AT_EGID: Final = 14
AT_SECURE: Final = 23
AT_SYSINFO: Final = 32
AT_SYSINFO_EHDR: Final = 33

_IDS: Final = (AT_UID, AT_EUID, AT_GID, AT_EGID, AT_SECURE)
_VDSO: Final = (AT_SYSINFO, AT_SYSINFO_EHDR)

_PAGE: Final = 4096  # The smallest there is: right for larger pages, too.
_FIRST: Final = 4096  # Arguments, environment and vector of most programs.
_NEXT: Final = 65536
_LIMIT: Final = 6 << 20  # Linux allows arguments and environment three quarters of 8 MiB.
_PAIRS: Final = 128  # Linux has some 40 at most.


class _Stack:
    """The words from the stack pointer on, read forward in large pieces."""

    __slots__ = ("_address", "_data", "_end", "_limit", "_read", "_word")

    def __init__(self, read: Read, address: int, word: int) -> None:
        self._read = read
        self._word = word
        self._address = address
        self._limit = address + _LIMIT
        self._data = b""
        self._end = address
        self._fill(address, _FIRST)

    def word(self, address: int) -> int:
        """Return the word at *address*."""
        start = self._at(address)
        return int.from_bytes(self._data[start : start + self._word], byteorder)

    def after_null(self, address: int) -> int:
        """Return the address that follows the first null word from *address* on."""
        null = bytes(self._word)
        while True:
            start = found = self._at(address)
            while (found := self._data.find(null, found)) >= 0:
                if found % self._word == 0:
                    return self._address + found + self._word
                found += 1  # Part of one word and part of the next.
            address += len(self._data) - start

    def _at(self, address: int) -> int:
        """Return where the word at *address* is in the data, having read it if need be."""
        if not self._address <= address < self._end:
            self._fill(address, _NEXT)
        return address - self._address

    def _fill(self, address: int, size: int) -> None:
        """Read some words from *address*: up to *size* bytes, at least one word."""
        if address > self._limit:
            raise OSError(errno.EPERM, "exec: no auxiliary vector in reach")
        try:
            data = self._read(address, size)
        except OSError as error:
            if error.errno == errno.ESRCH:
                raise
            data = b""
        if len(data) < self._word:  # Perhaps all or nothing, and too near the end of the stack.
            data = self._rest_of_page(address)
        self._data = data[: len(data) - len(data) % self._word]
        self._address = address
        self._end = address + len(self._data)

    def _rest_of_page(self, address: int) -> bytes:
        try:
            data = self._read(address, _PAGE - address % _PAGE)
        except OSError as error:
            if error.errno == errno.ESRCH:
                raise
            data = b""
        if len(data) < self._word:
            raise OSError(errno.EPERM, "exec: unreadable stack")
        return data


def secure(
    read: Read, stack: int, ids: Ids, *, hide_vdso: bool = False, word: int = 8
) -> list[tuple[int, bytes]]:
    """Return what to write where, to put the image whose stack pointer is *stack* in secure mode.

    ``read(address, size)`` returns memory of the image, fewer bytes where not all is readable.
    *ids* are the real and effective user and the real and effective group that the vector has to
    name. With *hide_vdso* the vector no longer tells where the vDSO is. *word* is the size of a
    pointer of the image. Raise OSError: ESRCH where *read* does, otherwise EPERM.
    """
    if stack % word:
        raise OSError(errno.EPERM, "exec: stack pointer out of step")
    memory = _Stack(read, stack, word)
    argc = memory.word(stack)
    if not 0 < argc < _LIMIT // word:
        raise OSError(errno.EPERM, "exec: no arguments")
    null = stack + word * (argc + 1)
    if memory.word(null):
        raise OSError(errno.EPERM, "exec: unterminated arguments")
    vector = memory.after_null(null + word)
    return _writes(_pairs(memory, vector, word), vector, ids, hide_vdso, word)


def _pairs(memory: _Stack, address: int, word: int) -> list[tuple[int, int]]:
    """Return the vector at *address* without its end."""
    pairs: list[tuple[int, int]] = []
    while len(pairs) < _PAIRS:
        kind = memory.word(address)
        if kind == AT_NULL:
            return pairs
        pairs.append((kind, memory.word(address + word)))
        address += 2 * word
    raise OSError(errno.EPERM, "exec: auxiliary vector without end")


def _writes(
    pairs: list[tuple[int, int]], vector: int, ids: Ids, hide_vdso: bool, word: int
) -> list[tuple[int, bytes]]:
    kinds = tuple(kind for kind, _ in pairs)
    if AT_UID not in kinds:
        raise OSError(errno.EPERM, "exec: no ids in the auxiliary vector")
    first = kinds.index(AT_UID)
    if kinds[first : first + len(_IDS)] != _IDS or any(kinds.count(kind) > 1 for kind in _IDS):
        raise OSError(errno.EPERM, "exec: ids out of order in the auxiliary vector")
    if tuple(value for _, value in pairs[first : first + 4]) != tuple(ids):
        raise OSError(errno.EPERM, "exec: foreign ids in the auxiliary vector")
    writes: list[tuple[int, bytes]] = []
    index = first + _IDS.index(AT_SECURE)
    if pairs[index][1] != 1:
        writes.append((vector + word * (2 * index + 1), (1).to_bytes(word, byteorder)))
    if hide_vdso:
        nothing = AT_IGNORE.to_bytes(word, byteorder) + bytes(word)
        writes += [
            (vector + word * 2 * index, nothing)
            for index, kind in enumerate(kinds)
            if kind in _VDSO
        ]
    return writes
