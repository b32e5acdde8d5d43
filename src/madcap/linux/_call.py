# SPDX-License-Identifier: GPL-3.0-or-later
"""Raw system calls through ctypes: the only module that touches the C library.

Blocking calls must not go through `os`, which repeats them on EINTR (PEP 475) where the
guest has to see the interruption. A call here is made exactly once.
"""

from __future__ import annotations

import ctypes
import os
from ctypes import c_char_p, c_int, c_long, c_uint, c_ulong, c_void_p

from madcap.abi.numbers import AUDIT_ARCH, TABLES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    CType = type[ctypes._SimpleCData[Any]]

__all__ = [
    "ARCH",
    "MACHINE",
    "NUMBERS",
    "Buffer",
    "Room",
    "bind",
    "bind_result",
    "c_char_p",
    "c_int",
    "c_long",
    "c_uint",
    "c_ulong",
    "c_void_p",
    "call",
    "direct",
    "failure",
    "get_errno",
    "peek",
    "plain",
]

MACHINE = os.uname().machine
NUMBERS: dict[str, int] = TABLES.get(MACHINE, {})
ARCH: int = AUDIT_ARCH.get(MACHINE, 0)

_libc = ctypes.CDLL(None, use_errno=True)
get_errno = ctypes.get_errno


class Buffer:
    """A bytearray of *size* bytes with a stable *address*, to be filled by the kernel.

    The ctypes view pins the bytearray: it can't be resized while this object lives. It is of one
    char, whatever the size: a type of its own for each size that a guest may choose would never go.
    """

    __slots__ = ("_pin", "address", "data", "pointer", "size")

    def __init__(self, size: int) -> None:
        self.data = bytearray(size or 1)
        self.size = size
        self._pin = ctypes.c_char.from_buffer(self.data)
        self.address = ctypes.addressof(self._pin)
        self.pointer = c_void_p(self.address)

    def at(self, offset: int) -> c_void_p:
        """Return the address of the byte at *offset*, as `plain` functions take it."""
        return c_void_p(self.address + offset)


class Room:
    """*size* bytes, 8 KiB or more, for the kernel to fill; they take memory as they are filled.

    So a call that waits holds nothing, however much it would receive. A bytearray is cleared, and
    takes it all at once; a new bytes object comes from calloc(3). Nobody else has that object to
    see that it changes.
    """

    __slots__ = ("address", "data", "size")

    def __init__(self, size: int) -> None:
        self.data = bytes(size)
        self.size = size
        self.address = int.from_bytes(c_char_p(self.data), "little")


def bind(name: str, *argtypes: CType) -> Callable[..., int]:
    """Return a function that makes the system call *name*.

    It returns the call's result and raises OSError, naming the call, where that is negative.
    Where the kernel's tables have no such call (an older architecture) it raises ENOSYS.
    """
    raw = bind_result(name, *argtypes)

    def invoke(*args: object) -> int:
        result = raw(*args)
        if result < 0:  # Judge by the result: success leaves an older failure's errno behind.
            raise failure(name)
        return result

    return invoke


def bind_result(name: str, *argtypes: CType) -> Callable[..., int]:
    """Return a function that makes the system call *name* and returns -1 on failure.

    `get_errno` then tells why, until this thread's next call. For hot paths only.
    """
    number = NUMBERS.get(name)
    if number is None:
        return _missing
    function = _libc["syscall"]  # Indexing makes a fresh object, so these argtypes are ours alone.
    function.argtypes = (c_long, *argtypes)
    function.restype = c_long

    def invoke(*args: object) -> int:
        result: int = function(number, *args)
        return result

    return invoke


def direct(name: str, *argtypes: CType) -> tuple[Callable[..., int], int]:
    """Return (function, number): call it as ``function(number, ...)``; it returns -1 on failure."""
    number = NUMBERS.get(name, -1)
    function = _libc["syscall"]
    function.argtypes = (c_long, *argtypes)
    function.restype = c_long
    return function, number


def plain(name: str) -> tuple[Callable[..., int], int]:
    """Return (function, number) as `direct` does, without conversion: for the hottest calls.

    Arguments are integers of 32 bits, bytes, or ctypes objects (`Buffer.at`); a sixth one must be
    an object of 64 bits, since it travels on the stack. The result has 32 bits. Converting to
    declared types costs a third of a call.
    """
    return _libc["syscall"], NUMBERS.get(name, -1)


def failure(name: str) -> OSError:
    """Return the OSError of the call that this thread made last."""
    error = get_errno()
    return OSError(error, f"{name}: {os.strerror(error)}")


def call(name: str, *args: object) -> int:
    """Make the system call *name* once; for calls that are not hot.

    Arguments are integers (taken as 64 bits), bytes (passed as pointer to a NUL-terminated copy),
    a `Buffer`, a ctypes object (passed by address) or None. Raises OSError that names the call.
    """
    number = NUMBERS.get(name)
    if number is None:
        raise OSError(38, f"{name}: {os.strerror(38)}")
    converted: list[object] = []
    for arg in args:
        if arg is None:
            converted.append(c_void_p(0))
        elif isinstance(arg, int):
            converted.append(c_ulong(arg & 0xFFFF_FFFF_FFFF_FFFF))
        elif isinstance(arg, bytes):
            converted.append(c_char_p(arg))
        elif isinstance(arg, Buffer):
            converted.append(c_void_p(arg.address))
        elif isinstance(arg, ctypes._SimpleCData | ctypes.Array | ctypes.Structure):
            converted.append(ctypes.byref(arg))
        else:
            converted.append(arg)
    function = _libc["syscall"]
    function.restype = c_long
    result: int = function(c_long(number), *converted)
    if result < 0:
        raise failure(name)
    return result


def _missing(*_args: object) -> int:
    ctypes.set_errno(38)
    return -1


def current_cpu() -> int:
    """Return the CPU that this thread runs on, -1 where that can't be told: sched_getcpu(3)."""
    cpu: int = _libc.sched_getcpu()
    return cpu


def peek(address: int, size: int) -> bytes:
    """Return a copy of *size* bytes of our own memory."""
    return ctypes.string_at(address, size)


def return_blocks_from(size: int) -> None:
    """Have blocks of *size* bytes and more go back to the kernel when they are freed: mallopt(3).

    glibc raises that bound to whatever was freed, and keeps twice as much in each of its arenas,
    of which threads get some sixteen. Now it keeps twice *size*. musl needs no asking.
    """
    mallopt = getattr(_libc, "mallopt", None)
    if mallopt is not None:
        mallopt(-3, size)  # M_MMAP_THRESHOLD
        mallopt(-1, 2 * size)  # M_TRIM_THRESHOLD


def empty_handler(signal: int) -> None:
    """Install a C handler for *signal* that does nothing, without SA_RESTART (sigaction(2))."""
    # struct sigaction of glibc and musl on 64-bit: handler, 128 bytes of mask, flags, restorer.
    action = Buffer(8 + 128 + 8 + 8)
    handler = ctypes.cast(_libc["labs"], c_void_p).value or 0
    action.data[:8] = handler.to_bytes(8, "little")
    if _libc.sigaction(signal, c_void_p(action.address), c_void_p(0)) != 0:
        raise failure("sigaction")
