# SPDX-License-Identifier: GPL-3.0-or-later
"""ptrace(2), as far as the tracer needs it: seized tracees, their stops and their registers."""

from __future__ import annotations

import errno
import struct

from madcap.linux._call import MACHINE, Buffer, bind, c_long, c_ulong

PTRACE_SETOPTIONS = 0x4200
PTRACE_GETEVENTMSG = 0x4201
PTRACE_GETSIGINFO = 0x4202
PTRACE_GETREGSET = 0x4204
PTRACE_SETREGSET = 0x4205
PTRACE_SEIZE = 0x4206
PTRACE_INTERRUPT = 0x4207
PTRACE_LISTEN = 0x4208
PTRACE_CONT = 7
PTRACE_SYSCALL = 24

PTRACE_O_TRACESYSGOOD = 1
PTRACE_O_TRACEFORK = 2
PTRACE_O_TRACEVFORK = 4
PTRACE_O_TRACECLONE = 8
PTRACE_O_TRACEEXEC = 0x10
PTRACE_O_TRACEEXIT = 0x40
PTRACE_O_TRACESECCOMP = 0x80
PTRACE_O_EXITKILL = 0x100000

EVENT_FORK, EVENT_VFORK, EVENT_CLONE, EVENT_EXEC, EVENT_VFORK_DONE, EVENT_EXIT = 1, 2, 3, 4, 5, 6
EVENT_SECCOMP = 7
EVENT_STOP = 128

NT_PRSTATUS = 1
NT_ARM_SYSTEM_CALL = 0x404

#: Byte offsets of rdi, rsi, rdx, r10, r8, r9 in struct user_regs_struct.
_X86_ARGUMENTS = (112, 104, 96, 56, 72, 64)

_ptrace = bind("ptrace", c_long, c_long, c_ulong, c_ulong)


def seize(tid: int, options: int) -> None:
    """Attach to *tid* without stopping it."""
    _ptrace(PTRACE_SEIZE, tid, 0, options)


def set_options(tid: int, options: int) -> None:
    """Choose what *tid*, which is stopped, stops at besides, and the tasks that it makes."""
    _ptrace(PTRACE_SETOPTIONS, tid, 0, options)


def resume(tid: int, signal: int = 0) -> None:
    """Let *tid* run on, delivering *signal* if not 0."""
    _ptrace(PTRACE_CONT, tid, 0, signal)


def resume_to_exit(tid: int) -> None:
    """Let *tid* run to the exit of the system call it is in."""
    _ptrace(PTRACE_SYSCALL, tid, 0, 0)


def interrupt(tid: int) -> None:
    """Make *tid* stop before it runs its program again; EVENT_STOP is reported."""
    _ptrace(PTRACE_INTERRUPT, tid, 0, 0)


def listen(tid: int) -> None:
    """Leave *tid* in its group stop until the group is continued.

    Raises ProcessLookupError where it was killed: it is gone, or has stopped once more at its end.
    """
    try:
        _ptrace(PTRACE_LISTEN, tid, 0, 0)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        raise ProcessLookupError(errno.ESRCH, "not in a group stop any more") from error


def event_message(tid: int, event: int) -> int:
    """Return the message of the stop for *event* that *tid* is in.

    Raises ProcessLookupError where it was killed: it is gone, or has stopped once more at its end,
    with a message that means something else.
    """
    buffer = Buffer(128)
    _ptrace(PTRACE_GETEVENTMSG, tid, 0, buffer.address)
    message: int = struct.unpack_from("=Q", buffer.data)[0]
    _ptrace(PTRACE_GETSIGINFO, tid, 0, buffer.address)  # Afterwards: what it says was so before.
    if struct.unpack_from("=i", buffer.data, 8)[0] >> 8 != event:  # si_code
        raise ProcessLookupError(errno.ESRCH, "in another stop")
    return message


_ERESTARTNOINTR = 513


class Registers:
    """The general registers of a stopped tracee: system call number, arguments, result, stack."""

    __slots__ = ("_buffer", "_iov", "tid")

    def __init__(self) -> None:
        self.tid = 0
        self._buffer = Buffer(272)
        self._iov = Buffer(16)

    def load(self, tid: int) -> Registers:
        """Read the registers of *tid*; the object serves one tracee after the other."""
        self.tid = tid
        self._transfer(PTRACE_GETREGSET)
        return self

    def _transfer(self, request: int) -> None:
        size = 272 if MACHINE == "aarch64" else 216
        struct.pack_into("=QQ", self._iov.data, 0, self._buffer.address, size)
        _ptrace(request, self.tid, NT_PRSTATUS, self._iov.address)

    def _get(self, offset: int) -> int:
        value: int = struct.unpack_from("=Q", self._buffer.data, offset)[0]
        return value

    @property
    def stack(self) -> int:
        """The stack pointer."""
        return self._get(248 if MACHINE == "aarch64" else 152)

    @property
    def result(self) -> int:
        """The return register, signed."""
        offset = 0 if MACHINE == "aarch64" else 80
        value: int = struct.unpack_from("=q", self._buffer.data, offset)[0]
        return value

    @property
    def number(self) -> int:
        """The number of the system call that the tracee is in."""
        return self._get(64 if MACHINE == "aarch64" else 120) & 0xFFFF_FFFF

    def argument(self, index: int) -> int:
        """Argument *index* (0 to 5) of the system call that the tracee is in."""
        if MACHINE == "aarch64":
            return self._get(8 * index)
        return self._get(_X86_ARGUMENTS[index])

    def arguments(self) -> tuple[int, ...]:
        """All six arguments."""
        return tuple(self.argument(index) for index in range(6))

    def restart_anyway(self) -> bool:
        """Let the call that a signal ended start again, whatever the handler's SA_RESTART says.

        For a signal-delivery stop. False where the machine has decided that already (aarch64).
        """
        if MACHINE != "x86_64":
            return False
        struct.pack_into("=q", self._buffer.data, 80, -_ERESTARTNOINTR)
        self._transfer(PTRACE_SETREGSET)
        return True

    def skip_with(self, result: int) -> None:
        """Make the tracee skip its system call and find *result* (negative errno) instead."""
        if MACHINE == "aarch64":
            struct.pack_into("=q", self._buffer.data, 0, result)
            self._transfer(PTRACE_SETREGSET)
            number = Buffer(4)
            struct.pack_into("=i", number.data, 0, -1)
            struct.pack_into("=QQ", self._iov.data, 0, number.address, 4)
            _ptrace(PTRACE_SETREGSET, self.tid, NT_ARM_SYSTEM_CALL, self._iov.address)
            return
        struct.pack_into("=q", self._buffer.data, 120, -1)
        struct.pack_into("=q", self._buffer.data, 80, result)
        self._transfer(PTRACE_SETREGSET)
