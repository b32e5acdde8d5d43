# SPDX-License-Identifier: GPL-3.0-or-later
"""The same as listener.py through native.c, where bin/build-native compiled that.

A library of another interface, one older than its source, one that others may write to, or
MADCAP_NATIVE=0 in the environment means that it isn't used.
"""

from __future__ import annotations

import ctypes
import os
import struct
from ctypes import c_ulong, c_void_p

from madcap.abi.paths import first_paths
from madcap.linux._call import NUMBERS, Buffer
from madcap.linux.listener import Crowd, Known, Listener, Looker
from madcap.linux.seccomp import NOTIF, RESP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.linux.memory import Memory

_INTERFACE = 5
_CROWD = -10001
_CALLS = 512
_TEXT = 256
_PAGE = 4096
_MODE = struct.Struct("=I")
_NOTHING = c_ulong(0)
_MODE_AT = 16 if os.uname().machine == "aarch64" else 24  # st_mode in struct stat.


def load(path: str) -> Native | None:
    """Return the native part from the file *path*, None where that may not be used."""
    try:
        st = os.stat(path)
        if st.st_mode & 0o022 or st.st_uid not in (0, os.stat(__file__).st_uid):
            return None
        if _is_stale(path, st):
            return None
        library = ctypes.CDLL(path)
        if library.madcap_interface() != _INTERFACE:
            return None
    except (OSError, AttributeError):
        return None
    return Native(library)


def _is_stale(path: str, st: os.stat_result) -> bool:
    """Tell whether the source beside the library *path* was changed after it was built."""
    try:
        return os.stat(f"{os.path.dirname(path)}/native.c").st_mtime_ns > st.st_mtime_ns
    except FileNotFoundError:
        return False


class Native:
    """Makes what threads need of the loaded *library*."""

    __slots__ = ("_library", "known")

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self.known = NativeKnown(library)

    def listener(
        self,
        fd: int,
        memory: Memory,
        shown: tuple[Buffer, Buffer],
        places: tuple[int, int],
        *,
        ahead: bool,
    ) -> Listener:
        """Return a Listener; it reads the first path of a call *ahead*, with what it receives.

        *shown* are what others see of it, `Host.last` and one of `Host.writers`; *places* are
        descriptors of the root directory and of /proc/self/fd.
        """
        return NativeListener(fd, memory, shown, self._library, places, ahead=ahead)

    def looker(self, st: Buffer, offset: int) -> Looker:
        """Return a Looker that leaves struct stat at *offset* of *st*."""
        return NativeLooker(self._library, st, offset)


class NativeKnown(Known):
    """Kept natively, one set in a process; a stat of what is in them is answered at once."""

    __slots__ = ("_allow", "_forget")

    def __init__(self, library: ctypes.CDLL) -> None:
        self._allow = library.madcap_allow
        self._forget = library.madcap_forget

    def allow(self, name: bytes) -> None:
        """See `Known.allow`."""
        self._allow(name, c_ulong(len(name)))

    def forget(self, *, opened: bool) -> None:
        """See `Known.forget`."""
        self._forget(opened)


class NativeListener(Listener):
    """As `Listener`, in two calls a notification.

    What is `Known` is answered while it receives, where it reads *ahead*.
    """

    __slots__ = (
        "_answer", "_answer_at", "_call", "_help", "_last_at", "_receive", "_root", "_self_fd",
        "_text", "_which", "_writer_at",
    )  # fmt: skip

    def __init__(
        self,
        fd: int,
        memory: Memory,
        shown: tuple[Buffer, Buffer],
        library: ctypes.CDLL,
        places: tuple[int, int],
        *,
        ahead: bool,
    ) -> None:
        last, writer = shown
        super().__init__(fd, memory, last)
        self._last_at = last.pointer
        self._writer_at = writer.pointer
        self._root, self._self_fd = places if ahead else (-1, -1)
        self._receive = library.madcap_receive
        self._help = library.madcap_help
        self._answer = library.madcap_answer
        self._call = Buffer(NOTIF.size)
        self._text = Buffer(_TEXT)
        self._which = Buffer(_CALLS)
        if ahead:
            self._which.data[:] = first_paths(NUMBERS)
        self._answer_at = Buffer(RESP.size)

    def receive(self) -> tuple[int, ...]:
        """See `Listener.receive`; a path is read with it."""
        return self._received(
            self._receive(
                self.fd, self._call.pointer, self._which.pointer, self._text.pointer,
                self._root, self._self_fd, self._writer_at, self._last_at,
            )
        )  # fmt: skip

    def help(self) -> tuple[int, ...]:
        """See `Listener.help`."""
        return self._received(
            self._help(
                self.fd, self._call.pointer, self._which.pointer, self._text.pointer,
                self._root, self._self_fd, self._writer_at,
            )
        )  # fmt: skip

    def _received(self, got: int) -> tuple[int, ...]:
        self.ahead = None
        if got < 0:
            if got == _CROWD:
                raise Crowd
            raise OSError(-got, os.strerror(-got))
        call = NOTIF.unpack(self._call.data)
        if got:
            data = self._text.data
            end = data.find(0, 0, got)
            if end >= 0:
                self.ahead = (self._which.data[call[3]] - 1, bytes(data[:end]))
        return call

    def answer(self, ident: int, value: int, error: int, flags: int) -> None:
        """See `Listener.answer`."""
        RESP.pack_into(self._answer_at.data, 0, ident, value, -error, flags)
        self._answer(self.fd, self._answer_at.pointer, 0, None, _NOTHING, _NOTHING, -1)

    def answer_with(
        self, ident: int, tid: int, local: c_void_p, remote: int, size: int, fd: int
    ) -> None:
        """See `Listener.answer_with`."""
        RESP.pack_into(self._answer_at.data, 0, ident, 0, 0, 0)
        self._answer(
            self.fd, self._answer_at.pointer, tid, local, c_ulong(remote), c_ulong(size), fd
        )


class NativeLooker(Looker):
    """As `Looker`, in one call; *st* is the address of the struct stat that is filled with it."""

    __slots__ = ("_cwd", "_look", "_st_at", "_st_data", "_st_mode")

    def __init__(self, library: ctypes.CDLL, st: Buffer, offset: int) -> None:
        super().__init__()
        self._look = library.madcap_look
        self._cwd = Buffer(_PAGE)
        self._st_data = st.data
        self._st_at = st.at(offset)
        self._st_mode = offset + _MODE_AT

    def look(self, tid: int, dirfd: int, path: bytes, how: bytes, *, named: bool) -> int:
        """See `Looker.look`; `mode` is set where it succeeds."""
        cwd = self._cwd
        fd: int = self._look(tid, dirfd, path, how, cwd.pointer if named else None, self._st_at)
        if fd >= 0:
            self.mode = _MODE.unpack_from(self._st_data, self._st_mode)[0]
            if named:
                data = cwd.data
                self.cwd = bytes(data[: data.find(0)])
        return fd
