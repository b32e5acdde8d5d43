# SPDX-License-Identifier: GPL-3.0-or-later
"""The checksums that executed and executably mapped files must have (`sandbox/force`).

A file is read through the descriptor that was judged, never by its name. Digests are remembered for
files that the guest can't change, keyed by all that a change of the file would change; imported and
tried once before the threads are confined, as they could not load a library.
"""

from __future__ import annotations

import errno
import hashlib
import os
import zlib

from madcap import events
from madcap.kernel import digests
from madcap.kernel.judge import carry_out
from madcap.linux.fs import openat2
from madcap.policy import actions as A
from madcap.policy import categories as C
from madcap.policy.force import EMPTY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from madcap.kernel.host import Host
    from madcap.kernel.request import Request
    from madcap.policy.domain import Domain

    class Hasher(Protocol):
        """What hashlib makes."""

        def update(self, data: bytes, /) -> None: ...
        def digest(self) -> bytes: ...

    Key = tuple[int, int, int, int, int, str]

_FORCE = C.FORCE.bit_length() - 1
_MEMO_MAX = 1024
_PIECE = 1 << 20
_memo: dict[Key, bytes] = {}


class Crc:
    """A cyclic redundancy check of *width* bits, made a byte at a time; digests are big-endian."""

    def __init__(self, width: int, polynomial: int, start: int, *, reflected: bool) -> None:
        self._bytes = width // 8
        self._shift = width - 8
        self._mask = (1 << width) - 1
        self._value = self._start = start
        self._reflected = reflected
        self._table = [self._row(byte, polynomial) for byte in range(256)]

    def _row(self, value: int, polynomial: int) -> int:
        if self._reflected:
            for _ in range(8):
                value = value >> 1 ^ (polynomial if value & 1 else 0)
            return value
        top = 1 << (self._shift + 7)
        value <<= self._shift
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value & top else 0)) & self._mask
        return value

    def update(self, data: bytes) -> None:
        """Take in *data*."""
        value, table = self._value, self._table
        if self._reflected:
            for byte in data:
                value = value >> 8 ^ table[(value ^ byte) & 0xFF]
        else:
            shift, mask = self._shift, self._mask
            for byte in data:
                value = (value << 8 & mask) ^ table[value >> shift ^ byte]
        self._value = value

    def digest(self) -> bytes:
        """Return the check of all that was taken in."""
        return (self._value ^ self._start).to_bytes(self._bytes, "big")


class Crc32:
    """The check of ISO-HDLC, as zlib makes it."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes) -> None:
        """Take in *data*."""
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        """Return the check of all that was taken in."""
        return self._value.to_bytes(4, "big")


def _named(name: str) -> Callable[[], Hasher]:
    return lambda: hashlib.new(name, usedforsecurity=False)


def _blake2(name: str, size: int) -> Callable[[], Hasher]:
    return lambda: getattr(hashlib, name)(digest_size=size)


def _quickest(name: str, slow: Callable[[], Hasher]) -> Callable[[], Hasher]:
    """Return what makes the digest that OpenSSL calls *name*, in Python where it has it not."""
    try:
        hashlib.new(name, usedforsecurity=False)
    except ValueError:
        return slow
    return _named(name)


#: By the name of rules, what makes a digest.
_MAKERS: dict[str, Callable[[], Hasher]] = {
    **{f"blake2b-{bits}": _blake2("blake2b", bits // 8) for bits in (160, 256, 384, 512)},
    **{f"blake2s-{bits}": _blake2("blake2s", bits // 8) for bits in (128, 256)},
    **{f"sha3-{bits}": _named(f"sha3_{bits}") for bits in (224, 256, 384, 512)},
    **{name: _named(name) for name in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")},
    "crc32": Crc32,
    "crc32c": lambda: Crc(32, 0x82F63B78, 0xFFFF_FFFF, reflected=True),
    "crc64": lambda: Crc(64, 0x42F0E1EBA9EA3693, 0, reflected=False),
    "blake3": digests.Blake3,
    "keccak256": lambda: digests.Keccak(32),
    "keccak512": lambda: digests.Keccak(64),
    "md4": _quickest("md4", digests.Md4),
    "rmd128": lambda: digests.Ripemd(16),
    "rmd160": _quickest("ripemd160", lambda: digests.Ripemd(20)),
    "rmd256": lambda: digests.Ripemd(32),
    "rmd320": lambda: digests.Ripemd(40),
    "sm3": _quickest("sm3", digests.Sm3),
    **dict.fromkeys(("wp256", "wp384", "wp512"), _quickest("whirlpool", digests.Whirlpool)),
}


def _works(name: str) -> bool:
    """Tell whether *name* is computed right here, by trying."""
    return _MAKERS[name]().digest()[: len(EMPTY[name]) // 2].hex() == EMPTY[name]


AVAILABLE = frozenset(name for name in _MAKERS if _works(name))


def digest(host: Host, fd: int, algorithm: str) -> bytes:
    """Return the digest of the file behind *fd*, which may be O_PATH.

    Raises OSError: EACCES (unreadable), EBADFD (no regular file), EBADMSG (it shrank meanwhile),
    EOPNOTSUPP (an algorithm that is not there).
    """
    st = os.fstat(fd)
    if st.st_mode & 0o170000 != 0o100000:
        raise OSError(errno.EBADFD, "not a regular file")
    if algorithm not in AVAILABLE:
        raise OSError(errno.EOPNOTSUPP, algorithm)
    key = (st.st_dev, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns, algorithm)
    known = _memo.get(key)
    if known is not None:
        return known
    found = _read(host, fd, st.st_size, _MAKERS[algorithm]())[: len(EMPTY[algorithm]) // 2]
    if st.st_uid != host.euid and not st.st_mode & 0o022:
        if len(_memo) >= _MEMO_MAX:
            _memo.clear()
        _memo[key] = found
    return found


def _read(host: Host, fd: int, size: int, hasher: Hasher) -> bytes:
    readable = openat2(host.self_fd, b"%d" % fd, os.O_RDONLY)
    try:
        at = 0
        while at < size:
            piece = os.pread(readable, min(_PIECE, size - at), at)
            if not piece:
                raise OSError(errno.EBADMSG, "the file shrank")
            hasher.update(piece)
            at += len(piece)
    finally:
        os.close(readable)
    return hasher.digest()


def verdict(host: Host, policy: Domain, fd: int, name: bytes) -> tuple[int, dict[str, object]]:
    """Return what to do about the file behind *fd* called *name*, and what a record says of it.

    A checksum that can't be computed kills.
    """
    rule = policy.force.get(name)
    if rule is None:
        return policy.defaults[_FORCE], {}
    algorithm, wanted, action = rule
    try:
        found = digest(host, fd, algorithm)
    except OSError as error:
        return A.KILL, {"err": error.errno}
    if found == wanted:
        return A.ALLOW, {}
    return action, {"msg": f"ELF checksum mismatch: {found.hex()} is not {wanted.hex()}"}


def require(req: Request, fd: int, name: bytes, record: dict[str, object], hint: str) -> None:
    """Raise EACCES unless the file behind *fd* called *name* is as the caller's policy wants it.

    *record* says where it was found out otherwise, *hint* what the tip has before the checksum.
    """
    if not req.policy.enabled & C.FORCE:
        return
    action, more = verdict(req.host, req.policy, fd, name)
    if action == A.ALLOW:
        return
    report(record, action, name, more, req.tid, hint)
    carry_out(req, action, errno.EACCES)


def report(
    record: dict[str, object],
    action: int,
    name: bytes,
    more: dict[str, object],
    pid: int,
    hint: str = "",
) -> None:
    """Log *record* about *action* on the file *name*, with what `verdict` said *more*."""
    if action == A.FILTER:
        return
    record = {
        "ctx": record["ctx"],
        "op": record.get("op"),
        "act": A.NAMES[action],
        "sys": record.get("sys"),
        "err": more.get("err"),
        "path": name,
    }
    message = more.get("msg")
    events.emit(
        events.WARN,
        record,
        pid=pid,
        msg=str(message) if message else None,
        tip=f"configure `force+{events.printable(name)}:{hint}<checksum>'",
    )
