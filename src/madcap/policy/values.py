# SPDX-License-Identifier: GPL-3.0-or-later
"""The values commands take: booleans, numbers, sizes, durations, modes, text with variables."""

from __future__ import annotations

from errno import EILSEQ, EINVAL, ENAMETOOLONG, ENOENT, EOVERFLOW

from madcap.errors import PolicyError
from madcap.policy.blame import nearest
from madcap.policy.glob import HEX, PATH_MAX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Final

BOOLEANS: Final = {
    "1": True,
    "on": True,
    "t": True,
    "tr": True,
    "tru": True,
    "true": True,
    "✓": True,
    "0": False,
    "off": False,
    "f": False,
    "fa": False,
    "fal": False,
    "fals": False,
    "false": False,
    "✗": False,
}

NAMESPACES: Final = ("mount", "uts", "ipc", "user", "pid", "net", "cgroup", "time")

U64: Final = (1 << 64) - 1

DIGITS: Final = {10: frozenset("0123456789"), 16: HEX, 8: frozenset("01234567")}

DECIMAL_MAX: Final = (1 << 96) - 1  # Of nanoseconds, on the way to a duration.

UNITS: Final = {
    "ns": ("ns", "nanos", "nanosecond", "nanoseconds"),
    "us": ("us", "µs", "micros", "microsecond", "microseconds"),
    "ms": ("ms", "millis", "millisecond", "milliseconds"),
    "s": ("s", "sec", "secs", "second", "seconds"),
    "m": ("m", "min", "mins", "minute", "minutes"),
    "h": ("h", "hr", "hrs", "hour", "hours"),
    "d": ("d", "day", "days"),
    "w": ("w", "week", "weeks"),
    "y": ("y", "yr", "yrs", "year", "years"),
}

NANOSECONDS: Final = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
    "w": 604_800_000_000_000,
    "y": 31_557_600_000_000_000,
}


def invalid(what: str, text: str, expected: str, known: Iterable[str] = ()) -> PolicyError:
    """Return the error for *text*, which is no *what*; *known* are words that may be meant."""
    hint = nearest(text, known)
    return PolicyError(EINVAL, f"{text!r} is no {what}", expected=expected + hint, word=text)


def boolean(text: str) -> bool:
    """Return the boolean *text* names; the empty text is ENOENT, another word EINVAL."""
    value = BOOLEANS.get(text)
    if value is None:
        if not text:
            raise PolicyError(ENOENT, "empty value", expected="on or off")
        value = BOOLEANS.get(text.lower()) if text.isascii() else None
        if value is None:
            raise invalid("boolean", text, "on, off, true, false, 1 or 0", ("true", "false"))
    return value


def number(text: str, low: int = 0, high: int = U64) -> int:
    """Return the decimal, 0x or 0o number *text* between *low* and *high*; a sign follows both."""
    base, signed = 10, text
    if text[:2] in ("0x", "0X"):
        base, signed = 16, text[2:]
    elif text[:2] in ("0o", "0O"):
        base, signed = 8, text[2:]
    digits = signed[1:] if signed[:1] in ("+", "-") else signed
    if not digits or not DIGITS[base].issuperset(digits):
        raise invalid("number", text, "decimal digits, 0x and hex or 0o and octal digits")
    if len(digits) > 100:
        raise PolicyError(EOVERFLOW, "number too large")
    value = -int(digits, base) if signed[0] == "-" else int(digits, base)
    if not low <= value <= high:
        raise PolicyError(EOVERFLOW, f"{text} is out of range", expected=f"{low} to {high}")
    return value


def decimal(text: str, low: int, high: int) -> int:
    """Return the decimal number *text* between *low* and *high*; all else is EINVAL."""
    digits = text[1:] if text[:1] == "+" or (low < 0 and text[:1] == "-") else text
    if digits and len(digits) <= 40 and DIGITS[10].issuperset(digits):
        value = -int(digits) if text[0] == "-" else int(digits)
        if low <= value <= high:
            return value
    raise invalid("number", text, f"{low} to {high}")


def octal(text: str, high: int) -> int:
    """Return the octal number *text*, at most *high*."""
    if text and len(text) <= 40 and DIGITS[8].issuperset(text):
        value = int(text, 8)
        if value <= high:
            return value
    raise invalid("mode", text, f"octal digits, at most {high:o}")


def _mantissa(text: str, index: int) -> tuple[int, int, int]:
    """Return the digits, how many follow the point, and the index after the number at *index*.

    The digits are -1 when there are none.
    """
    digits = DIGITS[10]
    start = index
    while index < len(text) and text[index] in digits:
        index += 1
    whole = text[start:index]
    places = 0
    if text[index : index + 1] == ".":
        point = index = index + 1
        while index < len(text) and text[index] in digits:
            index += 1
        places = index - point
        whole += text[point:index]
    if not whole or len(whole) > 1000:
        return -1, 0, index
    return int(whole), places, index


def power_of_ten(exponent: int) -> int:
    """Return ten to the power *exponent*, which is not negative."""
    return int("1" + "0" * exponent)


def size(text: str) -> int:
    """Return the number of bytes *text* means, such as 64k or 1.5GiB.

    An E after the number begins an exponent, unless nothing that could be one follows: then it is
    the unit.
    """
    plain = text.replace(" ", "").replace("_", "").lower()
    mantissa, places, index = _mantissa(plain, 0)
    rest = plain[index:]
    if plain[:1] == "." or mantissa < 0:
        raise invalid("size", text, "a number and perhaps a unit: K, M, G, T, P or E")
    if rest[:1] == "e" and rest[1:] not in ("", "b", "i", "ib"):
        end = 2 if rest[1] in "+-" else 1
        first = end
        while end < len(rest) and rest[end] in DIGITS[10]:
            end += 1
        exponent = int(rest[first:end][-4:] or "0") if end - first < 1000 else 9999
        places += exponent if rest[1] == "-" else -exponent
        rest = rest[end:]
    unit = rest.removesuffix("b").removesuffix("i")
    power = "kmgtpe".find(unit) + 1 if unit else 0
    if len(unit) > 1 or (unit and not power) or places < -19:
        raise invalid("size", text, "a number and perhaps a unit: K, M, G, T, P or E")
    total = mantissa << (10 * power)
    if places > 0:
        scale = power_of_ten(places)
        total = (total + scale // 2) // scale
    else:
        total *= power_of_ten(-places)
    if total > U64:
        raise PolicyError(EINVAL, f"{text} bytes do not fit in 64 bits")
    return total


def duration(text: str, unit: int = 1_000_000_000) -> int:
    """Return the nanoseconds *text* means; a plain integer counts units of *unit* nanoseconds."""
    try:
        return number(text) * unit
    except PolicyError:
        total = _milliseconds(text)
    if total is None:
        total = _units(text)
    if total is None:
        raise invalid("duration", text, "seconds, or numbers with units such as 1h 30m")
    if total // 1_000_000_000 > U64:
        raise PolicyError(EOVERFLOW, f"duration {text} is too long")
    return total


def _milliseconds(text: str) -> int | None:
    """Return what a number that is no integer means: it counts milliseconds, for every command.

    It is a decimal number, perhaps with an exponent, whose nanoseconds have 96 bits; underscores
    may stand between its digits.
    """
    plain = text.removeprefix("+").lower()
    number_, letter, exponent_ = plain.partition("e")
    sign = exponent_[:1] if exponent_[:1] in ("+", "-") else ""
    exponent = exponent_.removeprefix(sign)
    if letter and (not exponent or len(exponent) > 9 or not DIGITS[10].issuperset(exponent)):
        return None
    if number_[:1] == "-":
        number_ = number_[1:]
        if number_.strip("0._"):
            return None
    if number_[:1] == "_":
        return None
    mantissa, places, end = _mantissa(number_.replace("_", ""), 0)
    power = int(exponent or "0") * (-1 if sign == "-" else 1)
    if mantissa < 0 or end != len(number_.replace("_", "")) or not -29 < power < 29:
        return None
    shift = power - places
    value = (
        mantissa * power_of_ten(shift + 6) if shift > -6 else mantissa // power_of_ten(-6 - shift)
    )
    return value if value <= DECIMAL_MAX else None


def _units(text: str) -> int | None:
    """Return the sum of the numbers with units in *text*."""
    total = 0
    plain = text.rstrip(" ")
    index = 1 if plain[:1] == "+" else 0
    while True:
        mantissa, places, end = _mantissa(plain, index)
        if mantissa < 0:
            return None
        while plain[end : end + 1] == " ":
            end += 1
        start = end
        while end < len(plain) and plain[end].isalpha():
            end += 1
        word = plain[start:end].lower()
        names = [short for short, long in UNITS.items() if word in long]
        if not names:
            return None
        total += mantissa * NANOSECONDS[names[0]] // power_of_ten(places)
        if total > DECIMAL_MAX:
            return None
        index = end
        if plain[index : index + 1] == ",":
            index += 1
        if index == len(plain):
            return total
        while plain[index : index + 1] == " ":
            index += 1


def namespaces(text: str) -> set[str]:
    """Return the namespace types a comma list names, in any case."""
    found: set[str] = set()
    for word in text.split(","):
        name = word.lower()
        if name == "all":
            found.update(NAMESPACES)
        elif name in NAMESPACES:
            found.add(name)
        else:
            raise invalid("namespace", word, "all, or " + " ".join(NAMESPACES), NAMESPACES)
    return found


def expand(text: str, environ: Mapping[bytes, bytes]) -> str:
    """Return *text* with its variables and its leading tilde replaced, once."""
    if "$" not in text and text[:1] != "~":
        return text
    result = _variables(text, environ)
    if text[:1] == "~" and (len(result) == 1 or result[1] == "/"):
        home = environ.get(b"HOME")
        if home is not None:
            return _decode(b"HOME", home) + result[1:]
    return result


def _variables(text: str, environ: Mapping[bytes, bytes]) -> str:
    parts = []
    while True:
        before, dollar, text = text.partition("$")
        parts.append(before)
        if not dollar:
            return "".join(parts)
        first = text[:1]
        if first == "$":
            parts.append("$")
            text = text[1:]
        elif first == "{" and "}" in text:
            inside, _, text = text[1:].partition("}")
            name, colon, default = inside.partition(":-")
            parts.append(_value(name, default if colon else None, environ))
        else:
            end = 0
            while end < len(text) and (text[end].isalnum() or text[end] == "_"):
                end += 1
            parts.append(_value(text[:end], None, environ) if end else "$")
            text = text[end:]


def _value(name: str, default: str | None, environ: Mapping[bytes, bytes]) -> str:
    """Return the variable *name*; it must be set and not empty unless there is a *default*."""
    if not name:
        raise PolicyError(EINVAL, "variable without a name")
    key = name.encode("utf-8", "surrogateescape")
    value = environ.get(key)
    if value:
        return _decode(key, value)
    if default is None:
        raise PolicyError(
            EINVAL,
            f"variable {name} is not set, or empty",
            expected=f"${{{name}:-…}}",
            word=name,
        )
    return default


def _decode(name: bytes, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise PolicyError(EILSEQ, f"variable {name.decode('latin-1')} is not UTF-8") from None


def unescape(text: str) -> list[str]:
    r"""Return the fields between the colons of *text*; ``\:`` is a colon, ``\\`` a backslash."""
    if "\\" not in text:
        return text.split(":")
    fields = [""]
    index = 0
    while index < len(text):
        letter = text[index]
        if letter == "\\":
            index += 1
            letter = text[index : index + 1]
            if letter not in (":", "\\"):
                raise PolicyError(
                    EINVAL, f"\\{letter} is no escape", expected=r"\: or \\", word="\\" + letter
                )
            fields[-1] += letter
        elif letter == ":":
            fields.append("")
        else:
            fields[-1] += letter
        index += 1
    return fields


def first_field(text: str) -> tuple[str, str | None]:
    """Return the first field of *text*, unescaped, and what follows its colon, left as it is."""
    index = 0
    while index < len(text) and text[index] != ":":
        index += 2 if text[index] == "\\" else 1
    head = unescape(text[:index])[0]
    return head, text[index + 1 :] if index < len(text) else None


def field(text: str) -> str:
    """Return *text* unless it is longer than any field may be."""
    if len(text) >= PATH_MAX or len(text.encode("utf-8", "surrogateescape")) >= PATH_MAX:
        raise PolicyError(ENAMETOOLONG, "field too long: 4095 bytes are the limit")
    return text


def absolute_path(path: bytes) -> bytes:
    """Return the *path* as `plain_path` does; it must begin with a slash."""
    plain = plain_path(path)
    if not plain.startswith(b"/"):
        raise PolicyError(EINVAL, f"{path.decode('utf-8', 'replace')!r} is not absolute")
    return plain


def plain_path(path: bytes) -> bytes:
    """Return the *path* without empty and ``.`` components, slash at the end apart.

    It may not go up.
    """
    if not path:
        raise PolicyError(EINVAL, "empty path")
    if len(path) >= PATH_MAX:
        raise PolicyError(ENAMETOOLONG, "path too long: 4095 bytes are the limit")
    if b"\0" in path:
        raise PolicyError(EILSEQ, "NUL byte in a path", word="\0")
    parts = path.split(b"/")
    if b".." in parts:
        raise PolicyError(EINVAL, "'..' component in a path", word="..")
    kept = b"/".join([part for part in parts if part not in (b"", b".")])
    if kept and parts[-1] in (b"", b"."):
        kept += b"/"
    return b"/" + kept if path.startswith(b"/") else kept
