# SPDX-License-Identifier: GPL-3.0-or-later
"""``force``: the checksums that executed files must have."""

from __future__ import annotations

from errno import EEXIST, EILSEQ, EINVAL, ENOSPC, ENOSYS, EOPNOTSUPP, EPERM

from madcap.errors import PolicyError
from madcap.policy import actions
from madcap.policy.blame import nearest
from madcap.policy.domain import LIST_MAX
from madcap.policy.glob import HEX, unhex
from madcap.policy.values import absolute_path, field, first_field, invalid, unescape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from madcap.policy.sandbox import Sandbox

# Each algorithm, and the digest of nothing it must not be set to: that of a file not yet written.
# fmt: off
EMPTY: Final = {
    "blake2b-160": "3345524abf6bbe1809449224b5972c41790b6cf2",
    "blake2b-256": "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8",
    "blake2b-384":
        "b32811423377f52d7862286ee1a72ee540524380fda1724a6f25d7978c6fd324"
        "4a6caf0498812673c5e05ef583825100",
    "blake2b-512":
        "786a02f742015903c6c6fd852552d272912f4740e15847618a86e217f71f5419"
        "d25e1031afee585313896444934eb04b903a685b1448b755d56f701afe9be2ce",
    "blake2s-128": "64550d6ffe2c0a01a14aba1eade0200c",
    "blake2s-256": "69217a3079908094e11121d042354a7c1f55b6482ca1a51e1b250dfd1ed0eef9",
    "blake3": "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
    "crc32": "00000000",
    "crc32c": "00000000",
    "crc64": "0000000000000000",
    "gost94": "981e5f3ca30c841487830f84fb433e13ac1101569b9c13584ac483234cd656c0",
    "keccak256": "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470",
    "keccak512":
        "0eab42de4c3ceb9235fc91acffe746b29c29a8c366b7c60e4e67c466f36a4304"
        "c00fa9caf9d87976ba469bcbe06713b435f091ef2769fb160cdab33d3670680e",
    "md4": "31d6cfe0d16ae931b73c59d7e0c089c0",
    "md5": "d41d8cd98f00b204e9800998ecf8427e",
    "rmd128": "cdf26213a150dc3ecb610f18f6b38b46",
    "rmd160": "9c1185a5c5e9fc54612808977ee8f548b2258d31",
    "rmd256": "02ba4c4e5f8ecd1877fc52d64d30e37a2d9774fb1e5d026380ae0168e3c5522d",
    "rmd320":
        "22d65d5661536cdc75c1fdf5c6de7b41b9f27325ebc61e8557177d705a0ec880"
        "151c3a32a00899b8",
    "sha1": "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "sha224": "d14a028c2a3a2bc9476102bb288234c415a2b01f828ea62ac5b3e42f",
    "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "sha3-224": "6b4e03423667dbb73b6e15454f0eb1abd4597f9a1b078e3f5b5a6bc7",
    "sha3-256": "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a",
    "sha3-384":
        "0c63a75b845e4f7d01107d852e4c2485c51a50aaaa94fc61995e71bbee983a2a"
        "c3713831264adb47fb6bd1e058d5f004",
    "sha3-512":
        "a69f73cca23a9ac5c8b567dc185a756e97c982164fe25859e0d1dcc1475c80a6"
        "15b2123af1f5f94c11e3e9402c3ac558f500199d95b6d3e301758586281dcd26",
    "sha384":
        "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da"
        "274edebfe76f65fbd51ad2f14898b95b",
    "sha512":
        "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
        "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
    "sm3": "1ab21d8355cfa17f8e61194831e81a8f22bec8c728fefb747ed035eb5082aa2b",
    "streebog256": "3f539a213e97c802cc229d474c6aa32a825a360b2a933a949fd925208d9ce1bb",
    "streebog512":
        "8e945da209aa869f0455928529bcae4679e9873ab707b55315f56ceb98bef0a7"
        "362f715528356ee83cda5f2aac4c6ad2ba3a715c1bcd81cb8e9f90bf4c1c1a8a",
    "tiger": "3293ac630c13f0245f92bbb1766e16167a4e58492dde73f3",
    "tiger2": "4441be75f6018773c206c22745374b924aa8313fef919f41",
    "wp256": "19fa61d75522a4669b44e39c1d2e1726c530232130d407f89afee0964997f7a7",
    "wp384":
        "19fa61d75522a4669b44e39c1d2e1726c530232130d407f89afee0964997f7a7"
        "3e83be698b288febcf88e3e03c4f0757",
    "wp512":
        "19fa61d75522a4669b44e39c1d2e1726c530232130d407f89afee0964997f7a7"
        "3e83be698b288febcf88e3e03c4f0757ea8964e59b63d93708b138cc42a66eb3",
}
# fmt: on


def command(box: Sandbox, rest: str) -> None:
    """Do ``force+PATH:ALGORITHM:HEX[:ACTION]``, ``force-PATH`` or ``force^``."""
    operator = rest[:1]
    if operator == "^" and len(rest) == 1:
        _require_built(box)
        box.require_free()
        box.subject.force = {}
        box.subject.touch()
        return
    fields: list[str] = []
    if operator == "-":
        fields = [":".join(unescape(rest[1:]))]
    elif operator == "+":
        path_text, more = first_field(rest[1:])
        fields = [path_text, *(() if more is None else more.split(":"))]
    if not all(fields) or len(fields) not in ((3, 4) if operator == "+" else (1,)):
        raise PolicyError(
            EINVAL,
            f"malformed force{rest}",
            expected="force+PATH:ALGORITHM:HEX[:ACTION], force-PATH",
        )
    for each in fields:
        field(each)
    _require_built(box)
    if operator == "-":
        box.require_free()
    path = absolute_path(unhex(box.expand(fields[0])))
    if operator == "-":
        box.subject.force = {old: value for old, value in box.subject.force.items() if old != path}
    else:
        _add(box, path, fields[1:])
    box.subject.touch()


def _require_built(box: Sandbox) -> None:
    if not box.host.force:
        raise PolicyError(ENOSYS, "checksums are not built in")


def _add(box: Sandbox, path: bytes, fields: list[str]) -> None:
    word = box.expand(fields[2]) if len(fields) > 2 else "deny"
    action = actions.BY_NAME.get(word)
    if not action:
        raise invalid("action of force", word, " ".join(actions.NAMES[1:]), actions.NAMES)
    digest = box.expand(fields[1])
    if len(digest) & 1:
        raise invalid("checksum", digest, "an even number of hex digits")
    if not HEX.issuperset(digest):
        raise PolicyError(EILSEQ, f"{digest!r} is not hex", word=digest)
    algorithm = fields[0]
    empty = EMPTY.get(algorithm)
    if empty is None:
        raise PolicyError(
            EOPNOTSUPP,
            f"unknown algorithm {algorithm!r}",
            expected="the name of a checksum" + nearest(algorithm, EMPTY),
            word=algorithm,
        )
    if len(digest) != len(empty) or digest.lower() == empty:
        raise invalid(f"checksum of {algorithm}", digest, f"{len(empty)} digits, of some content")
    box.require_unlocked()
    force = box.subject.force
    if box.in_drop:
        if action < actions.DENY:
            raise PolicyError(EPERM, "lock:drop adds only checksums that deny")
        if path in force:
            raise PolicyError(EEXIST, "the path has a checksum already")
    if path not in force and len(force) >= LIST_MAX:
        raise PolicyError(ENOSPC, f"more than {LIST_MAX} checksums")
    box.subject.force = {**force, path: (algorithm, bytes.fromhex(digest), action)}
