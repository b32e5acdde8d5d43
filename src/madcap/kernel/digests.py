# SPDX-License-Identifier: GPL-3.0-or-later
"""Digests that neither hashlib nor every OpenSSL has, in plain Python: 0.1 to 1.7 MB a second.

BLAKE3 (the hash without key of its specification), Keccak with its original padding, MD4
(RFC 1320), the RIPEMD family (Dobbertin, Bosselaers, Preneel 1996), SM3 (GB/T 32905) and Whirlpool
(ISO/IEC 10118-3).
"""

from __future__ import annotations

import struct

_M32 = 0xFFFF_FFFF
_M64 = (1 << 64) - 1


class _Blocks:
    """What takes in data block by block; *block* is the size of one."""

    block = 64

    def __init__(self) -> None:
        self._rest = b""
        self._length = 0

    def update(self, data: bytes) -> None:
        """Take in *data*."""
        self._length += len(data)
        data = self._rest + data
        whole = len(data) // self.block * self.block
        for at in range(0, whole, self.block):
            self._compress(data[at : at + self.block])
        self._rest = data[whole:]

    def _compress(self, block: bytes) -> None:
        """Take in one *block*: what tells the algorithms apart, so each has its own."""
        raise NotImplementedError

    def _pad(self, order: str) -> None:
        """Take in a bit, zeros, and the length in bits as a 64-bit number in *order*."""
        bits = struct.pack(order + "Q", self._length * 8)
        rest = self._rest + b"\x80"
        rest += bytes(-(len(rest) + 8) % 64) + bits
        for at in range(0, len(rest), 64):
            self._compress(rest[at : at + 64])


# Keccak

_ROUNDS = 24
_RHO = (
    (0, 36, 3, 41, 18), (1, 44, 10, 45, 2), (62, 6, 43, 15, 61), (28, 55, 25, 21, 56),
    (27, 20, 39, 8, 14),
)  # fmt: skip


def _round_constants() -> list[int]:
    constants, register = [], 1
    for _ in range(_ROUNDS):
        constant = 0
        for j in range(7):
            if register & 1:
                constant |= 1 << ((1 << j) - 1)
            register <<= 1
            if register & 0x100:
                register ^= 0x171
        constants.append(constant)
    return constants


_IOTA = _round_constants()
#: Where each lane goes and by how much it is turned: rho and pi in one.
_STEPS = [(5 * y + x, x, y, _RHO[x][y]) for x in range(5) for y in range(5)]


class Keccak(_Blocks):
    """Keccak as it was before SHA-3 changed the padding; *size* of the digest in bytes."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size
        self.block = 200 - 2 * size
        self._lanes = [0] * 25

    def _compress(self, block: bytes) -> None:
        lanes = self._lanes
        for at, word in enumerate(struct.unpack(f"<{len(block) // 8}Q", block)):
            lanes[at] ^= word
        for constant in _IOTA:
            c = [
                lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20]
                for x in range(5)
            ]
            d = [c[x - 1] ^ ((c[x - 4] << 1 | c[x - 4] >> 63) & _M64) for x in range(5)]
            b = [0] * 25
            for at, x, y, turn in _STEPS:
                word = lanes[at] ^ d[x]
                b[y + 5 * ((2 * x + 3 * y) % 5)] = (word << turn | word >> (64 - turn)) & _M64
            for y in range(0, 25, 5):
                b0, b1, b2, b3, b4 = b[y : y + 5]
                lanes[y] = b0 ^ (~b1 & b2)
                lanes[y + 1] = b1 ^ (~b2 & b3)
                lanes[y + 2] = b2 ^ (~b3 & b4)
                lanes[y + 3] = b3 ^ (~b4 & b0)
                lanes[y + 4] = b4 ^ (~b0 & b1)
            lanes[0] ^= constant

    def digest(self) -> bytes:
        """Return the digest; nothing can be taken in after that."""
        rest = bytearray(self._rest + bytes(self.block - len(self._rest)))
        rest[len(self._rest)] ^= 0x01
        rest[-1] ^= 0x80
        self._compress(bytes(rest))
        return struct.pack("<25Q", *self._lanes)[: self._size]


# BLAKE3

_IV = (
    0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19,
)  # fmt: skip
_PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
_CHUNK = 1024
_CHUNK_START, _CHUNK_END, _PARENT, _ROOT = 1, 2, 4, 8
_MIXES = (
    (0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
    (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14),
)  # fmt: skip


def _schedule() -> list[list[int]]:
    order, schedule = list(range(16)), []
    for _ in range(7):
        schedule.append(order)
        order = [order[at] for at in _PERMUTATION]
    return schedule


_SCHEDULE = _schedule()


def _blake3(
    chain: tuple[int, ...], block: bytes, counter: int, length: int, flags: int
) -> tuple[int, ...]:
    words = struct.unpack("<16I", block)
    v = [*chain, *_IV[:4], counter & _M32, counter >> 32, length, flags]
    for order in _SCHEDULE:
        at = 0
        for a, b, c, d in _MIXES:
            va, vb = v[a], v[b]
            va = va + vb + words[order[at]] & _M32
            vd = v[d] ^ va
            vd = (vd >> 16 | vd << 16) & _M32
            vc = v[c] + vd & _M32
            vb ^= vc
            vb = (vb >> 12 | vb << 20) & _M32
            va = va + vb + words[order[at + 1]] & _M32
            vd ^= va
            vd = (vd >> 8 | vd << 24) & _M32
            vc = vc + vd & _M32
            vb ^= vc
            v[a], v[b], v[c], v[d] = va, (vb >> 7 | vb << 25) & _M32, vc, vd
            at += 2
    return tuple(v[at] ^ v[at + 8] for at in range(8))


class Blake3:
    """The hash of BLAKE3, 32 bytes."""

    def __init__(self) -> None:
        self._rest = b""
        self._chunks = 0
        self._stack: list[tuple[int, ...]] = []

    def update(self, data: bytes) -> None:
        """Take in *data*."""
        data = self._rest + data
        at = 0
        while len(data) - at > _CHUNK:  # The last chunk may be the root.
            node = _chunk(data[at : at + _CHUNK], self._chunks, 0)
            at += _CHUNK
            self._chunks += 1
            total = self._chunks
            while not total & 1:
                node = _parent(self._stack.pop(), node, 0)
                total >>= 1
            self._stack.append(node)
        self._rest = data[at:]

    def digest(self) -> bytes:
        """Return the digest of what was taken in."""
        left = list(self._stack)
        node = _chunk(self._rest, self._chunks, 0 if left else _ROOT)
        while left:
            node = _parent(left.pop(), node, 0 if left else _ROOT)
        return struct.pack("<8I", *node)


def _chunk(data: bytes, counter: int, root: int) -> tuple[int, ...]:
    chain: tuple[int, ...] = _IV
    last = max(len(data) - 1, 0) // 64 * 64
    for at in range(0, last + 1, 64):
        block = data[at : at + 64]
        flags = (_CHUNK_START if at == 0 else 0) | (_CHUNK_END | root if at == last else 0)
        chain = _blake3(chain, block.ljust(64, b"\0"), counter, len(block), flags)
    return chain


def _parent(left: tuple[int, ...], right: tuple[int, ...], root: int) -> tuple[int, ...]:
    return _blake3(_IV, struct.pack("<16I", *left, *right), 0, 64, _PARENT | root)


# MD4 and RIPEMD


def _turn(value: int, by: int) -> int:
    value &= _M32
    return (value << by | value >> (32 - by)) & _M32


_START = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0)
_MD4_ROUNDS = (
    (0, tuple(range(16)), (3, 7, 11, 19)),
    (0x5A827999, (0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), (3, 5, 9, 13)),
    (0x6ED9EBA1, (0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15), (3, 9, 11, 15)),
)


class Md4(_Blocks):
    """MD4, 16 bytes."""

    def __init__(self) -> None:
        super().__init__()
        self._state: tuple[int, ...] = _START[:4]

    def _compress(self, block: bytes) -> None:
        words = struct.unpack("<16I", block)
        a, b, c, d = self._state
        for number, (constant, order, turns) in enumerate(_MD4_ROUNDS):
            for step, word in enumerate(order):
                if number == 0:
                    mixed = b & c | ~b & d
                elif number == 1:
                    mixed = b & c | b & d | c & d
                else:
                    mixed = b ^ c ^ d
                a = _turn(a + mixed + words[word] + constant, turns[step & 3])
                a, b, c, d = d, a, b, c
        old = self._state
        self._state = tuple(x + y & _M32 for x, y in zip(old, (a, b, c, d), strict=True))

    def digest(self) -> bytes:
        """Return the digest; nothing can be taken in after that."""
        self._pad("<")
        return struct.pack("<4I", *self._state)


_RIPEMD_RHO = (7, 4, 13, 1, 10, 6, 15, 3, 12, 0, 9, 5, 2, 14, 11, 8)
_RIPEMD_TURNS = (
    (11, 14, 15, 12, 5, 8, 7, 9, 11, 13, 14, 15, 6, 7, 9, 8),
    (12, 13, 11, 15, 6, 9, 9, 7, 12, 15, 11, 13, 7, 8, 7, 7),
    (13, 15, 14, 11, 7, 7, 6, 8, 13, 14, 13, 12, 5, 5, 6, 9),
    (14, 11, 12, 14, 8, 6, 5, 5, 15, 12, 15, 14, 9, 9, 8, 6),
    (15, 12, 13, 13, 9, 5, 8, 6, 14, 11, 12, 11, 8, 6, 5, 5),
)
_RIPEMD_LEFT = (0, 0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xA953FD4E)
_RIPEMD_RIGHT = (0x50A28BE6, 0x5C4DD124, 0x6D703EF3, 0x7A6D76E9, 0)
_RIPEMD_START = (0x76543210, 0xFEDCBA98, 0x89ABCDEF, 0x01234567, 0x3C2D1E0F)


def _ripemd_orders() -> tuple[list[list[int]], list[list[int]]]:
    left, right = [list(range(16))], [[(9 * at + 5) % 16 for at in range(16)]]
    for _ in range(4):
        left.append([_RIPEMD_RHO[at] for at in left[-1]])
        right.append([_RIPEMD_RHO[at] for at in right[-1]])
    return left, right


_ORDER_LEFT, _ORDER_RIGHT = _ripemd_orders()


def _mixed(number: int, x: int, y: int, z: int) -> int:
    if number == 0:
        return x ^ y ^ z
    if number == 1:
        return x & y | ~x & z
    if number == 2:
        return (x | ~y & _M32) ^ z
    if number == 3:
        return x & z | y & ~z
    return x ^ (y | ~z & _M32)


class Ripemd(_Blocks):
    """RIPEMD with a digest of *size* bytes: 16 and 20, or 32 and 40 with two lines kept apart."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._double = size in (32, 40)
        self._wide = size in (20, 40)
        words = 5 if self._wide else 4
        self._left = list(_START[:words])
        self._right = list(_RIPEMD_START[:words])

    def _compress(self, block: bytes) -> None:
        words = struct.unpack("<16I", block)
        rounds = 5 if self._wide else 4
        left = list(self._left)
        right = list(self._right if self._double else self._left)
        for number in range(rounds):
            order, constant = _ORDER_LEFT[number], _RIPEMD_LEFT[number]
            left = self._line(left, words, order, number, number, constant)
            constant = _RIPEMD_RIGHT[number] if self._wide or number < 3 else 0
            order = _ORDER_RIGHT[number]
            right = self._line(right, words, order, rounds - 1 - number, number, constant)
            if self._double:
                at = self._exchanged(number)
                left[at], right[at] = right[at], left[at]
        if self._double:
            self._left = [x + y & _M32 for x, y in zip(self._left, left, strict=True)]
            self._right = [x + y & _M32 for x, y in zip(self._right, right, strict=True)]
            return
        count = len(left)
        old = self._left
        self._left = [
            old[(at + 1) % count] + left[(at + 2) % count] + right[(at + 3) % count] & _M32
            for at in range(count)
        ]

    def _exchanged(self, number: int) -> int:
        return (1, 3, 0, 2, 4)[number] if self._wide else number

    def _line(
        self, state: list[int], words: tuple[int, ...], order: list[int], mix: int, turns: int,
        constant: int,
    ) -> list[int]:  # fmt: skip
        by = _RIPEMD_TURNS[turns]
        if self._wide:
            a, b, c, d, e = state
            for word in order:
                a = _turn(a + _mixed(mix, b, c, d) + words[word] + constant, by[word]) + e & _M32
                a, b, c, d, e = e, a, b, _turn(c, 10), d
            return [a, b, c, d, e]
        a, b, c, d = state
        for word in order:
            a = _turn(a + _mixed(mix, b, c, d) + words[word] + constant, by[word])
            a, b, c, d = d, a, b, c
        return [a, b, c, d]

    def digest(self) -> bytes:
        """Return the digest; nothing can be taken in after that."""
        self._pad("<")
        words = self._left + (self._right if self._double else [])
        return struct.pack(f"<{len(words)}I", *words)


# SM3

_SM3_START = (
    0x7380166F, 0x4914B2B9, 0x172442D7, 0xDA8A0600, 0xA96F30BC, 0x163138AA, 0xE38DEE4D, 0xB0FB0E4E,
)  # fmt: skip


class Sm3(_Blocks):
    """SM3, 32 bytes."""

    def __init__(self) -> None:
        super().__init__()
        self._state: tuple[int, ...] = _SM3_START

    def _compress(self, block: bytes) -> None:
        w = list(struct.unpack(">16I", block))
        for at in range(16, 68):
            x = w[at - 16] ^ w[at - 9] ^ _turn(w[at - 3], 15)
            w.append(x ^ _turn(x, 15) ^ _turn(x, 23) ^ _turn(w[at - 13], 7) ^ w[at - 6])
        a, b, c, d, e, f, g, h = self._state
        for at in range(64):
            constant = _turn(0x79CC4519 if at < 16 else 0x7A879D8A, at % 32)
            one = _turn(_turn(a, 12) + e + constant, 7)
            two = one ^ _turn(a, 12)
            first = a ^ b ^ c if at < 16 else a & b | a & c | b & c
            second = e ^ f ^ g if at < 16 else e & f | ~e & g
            new = first + d + two + (w[at] ^ w[at + 4]) & _M32
            other = second + h + one + w[at] & _M32
            a, b, c, d = new, a, _turn(b, 9), c
            e, f, g, h = other ^ _turn(other, 9) ^ _turn(other, 17), e, _turn(f, 19), g
        self._state = tuple(
            x ^ y for x, y in zip(self._state, (a, b, c, d, e, f, g, h), strict=True)
        )

    def digest(self) -> bytes:
        """Return the digest; nothing can be taken in after that."""
        self._pad(">")
        return struct.pack(">8I", *self._state)


# Whirlpool

_MINI = (0x1, 0xB, 0x9, 0xC, 0xD, 0x6, 0xF, 0x3, 0xE, 0x8, 0x7, 0x4, 0xA, 0x2, 0x5, 0x0)
_MIDDLE = (0x7, 0xC, 0xB, 0xD, 0xE, 0x4, 0x9, 0xF, 0x6, 0x3, 0x8, 0xA, 0x2, 0x5, 0x1, 0x0)
_CIRCULANT = (1, 1, 4, 1, 8, 5, 2, 9)


def _whirlpool_tables() -> tuple[list[list[int]], list[int]]:
    """Return, by column, what each byte becomes in a row; and the constants of the rounds."""
    inverse = [_MINI.index(value) for value in range(16)]
    box = []
    for value in range(256):
        high, low = _MINI[value >> 4], inverse[value & 15]
        middle = _MIDDLE[high ^ low]
        box.append(_MINI[high ^ middle] << 4 | inverse[low ^ middle])
    first = []
    for value in box:
        row = 0
        for factor in _CIRCULANT:
            row = row << 8 | _times(value, factor)
        first.append(row)
    tables = [[(row >> 8 * by | row << (64 - 8 * by)) & _M64 for row in first] for by in range(8)]
    constants = [int.from_bytes(bytes(box[8 * at : 8 * at + 8]), "big") for at in range(10)]
    return tables, constants


def _times(value: int, factor: int) -> int:
    product = 0
    while factor:
        if factor & 1:
            product ^= value
        value <<= 1
        if value & 0x100:
            value ^= 0x11D
        factor >>= 1
    return product


class Whirlpool(_Blocks):
    """Whirlpool, 64 bytes; the shorter ones are what it begins with."""

    tables: tuple[list[list[int]], list[int]] | None = None

    def __init__(self) -> None:
        super().__init__()
        if Whirlpool.tables is None:
            Whirlpool.tables = _whirlpool_tables()
        self._tables, self._constants = Whirlpool.tables
        self._state = [0] * 8

    def _round(self, rows: list[int]) -> list[int]:
        tables = self._tables
        made = []
        for at in range(8):
            row = 0
            for column in range(8):
                row ^= tables[column][rows[at - column] >> (56 - 8 * column) & 0xFF]
            made.append(row)
        return made

    def _compress(self, block: bytes) -> None:
        words = struct.unpack(">8Q", block)
        key = self._state
        rows = [word ^ other for word, other in zip(words, key, strict=True)]
        for constant in self._constants:
            key = self._round(key)
            key[0] ^= constant
            rows = [x ^ y for x, y in zip(self._round(rows), key, strict=True)]
        self._state = [
            old ^ word ^ row for old, word, row in zip(self._state, words, rows, strict=True)
        ]

    def digest(self) -> bytes:
        """Return the digest; nothing can be taken in after that."""
        bits = (self._length * 8).to_bytes(32, "big")
        rest = self._rest + b"\x80"
        rest += bytes(-(len(rest) + 32) % 64) + bits
        for at in range(0, len(rest), 64):
            self._compress(rest[at : at + 64])
        return struct.pack(">8Q", *self._state)
