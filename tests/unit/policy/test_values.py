# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of commands: numbers, sizes, durations, paths, escapes and variables."""

from __future__ import annotations

import errno

import pytest

from madcap.errors import PolicyError
from madcap.policy import values

SECOND = 1_000_000_000
ENVIRON = {b"A": b"/foo", b"B": b"", b"HOME": b"/root", b"T": b"~/x", b"R": b"\xff", b"V": b"$A"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("1.5", 2),
        ("1.5k", 1536),
        ("1.5e3", 1500),
        ("1.5e3k", 1_536_000),
        ("1 K", 1024),
        ("1_0K", 10240),
        ("1KiB", 1024),
        ("1iB", 1),
        ("1b", 1),
        ("1e", 1 << 60),
        ("1e2", 100),
        ("1e-", 1),
        ("1eK", 1024),
        ("1eEB", 1 << 60),
        ("15.9999E", 18446628781559090931),
        ("0.5", 1),
        ("0.4", 0),
        ("1.", 1),
        ("25e-1", 3),
        ("1e-400", 0),
        ("18446744073709551615", values.U64),
        *[(text, None) for text in ("", "-1", "+1", "0x10", ".5k", "k", "1KK", "1EEE", "1ie")],
        *[(text, None) for text in ("16E", "1.2.3", "1e400", "0e400", "1e2E", "1 k i x", "1\t")],
    ],
)
def test_size(text: str, value: int | None) -> None:
    if value is None:
        with pytest.raises(PolicyError) as caught:
            values.size(text)
        assert caught.value.errno == errno.EINVAL
    else:
        assert values.size(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5 * SECOND),
        ("0x10", 16 * SECOND),
        ("+5", 5 * SECOND),
        ("1.5", 1_500_000),
        ("5.", 5_000_000),
        ("1e3", SECOND),
        ("1_000", SECOND),
        ("1.5s", 3 * SECOND // 2),
        ("1h 30m", 5400 * SECOND),
        ("1h,30m", 5400 * SECOND),
        ("1h,  30m", 5400 * SECOND),
        ("1h, ", 3600 * SECOND),
        ("1M", 60 * SECOND),
        ("5 minutes 3 seconds", 303 * SECOND),
        ("1µs", 1000),
        ("1y", 31_557_600 * SECOND),
        ("1h ", 3600 * SECOND),
        (".5s", SECOND // 2),
        ("+1s", SECOND),
        ("18446744073709551616", int(18446744073709551616.0 * 1_000_000)),
        ("584942417356y", errno.EOVERFLOW),
        *[(text, -errno.EINVAL) for text in ("", "-1", " 1h", "5 ", "1.5 ", "1h30", "1h ,30m")],
        *[(text, -errno.EINVAL) for text in ("1e3s", "1,s", "1h,,2s", "1_0s", "1.5.5s", "nan")],
        ("99999999999999999999s", -errno.EINVAL),
        ("99999999999999999999.5", 99999999999999999999_500_000),
        ("2000.0000000001", 2 * SECOND),
        ("1_.0_5", 1_050_000),
        *[(text, -errno.EINVAL) for text in ("_1", "1e1_0", "1e-29", "79228162514264337593544")],
        ("79228162514264337593543", errno.EOVERFLOW),
        *[(text, -errno.EINVAL) for text in ("2510588971097y", "79228162514264337593544ms")],
        ("infinity", -errno.EINVAL),
    ],
)
def test_duration(text: str, value: int) -> None:
    if value < 1000:
        with pytest.raises(PolicyError) as caught:
            values.duration(text)
        assert caught.value.errno == abs(value)
    else:
        assert values.duration(text) == value


def test_integer_duration_counts_the_unit_of_its_command() -> None:
    assert values.duration("7", 1) == 7
    assert values.duration("7", 1000) == 7000
    assert values.duration("1.5", 1) == 1_500_000


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        ("+7", 7),
        ("0x1F", 31),
        ("0X1f", 31),
        ("0o17", 15),
        ("-0", 0),
        ("0x+1F", 31),
        ("0o-0", 0),
        ("0x-1", errno.EOVERFLOW),
        ("-0x1", errno.EINVAL),
        ("+0o1", errno.EINVAL),
        ("0x", errno.EINVAL),
        ("0x-", errno.EINVAL),
        ("+-1", errno.EINVAL),
        ("", errno.EINVAL),
        ("x", errno.EINVAL),
        ("1_0", errno.EINVAL),
        (" 1", errno.EINVAL),
        ("٣", errno.EINVAL),
        ("-1", errno.EOVERFLOW),
        ("18446744073709551616", errno.EOVERFLOW),
        ("9" * 5000, errno.EOVERFLOW),
    ],
)
def test_number(text: str, value: int) -> None:
    if value in (errno.EINVAL, errno.EOVERFLOW):
        with pytest.raises(PolicyError) as caught:
            values.number(text)
        assert caught.value.errno == value
    else:
        assert values.number(text) == value


@pytest.mark.parametrize("text", ["9" * 5000, "x", "", "0x1", "-1", "256", "1 "])
def test_decimal_number_is_decimal_and_in_range_or_einval(text: str) -> None:
    with pytest.raises(PolicyError) as caught:
        values.decimal(text, 0, 255)
    assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize("text", ["✓", "TRUE", "Tru", "on", "1", "t"])
def test_true_word_is_true(text: str) -> None:
    assert values.boolean(text)


@pytest.mark.parametrize("text", ["✗", "FALSE", "Off", "fal", "0"])
def test_false_word_is_false(text: str) -> None:
    assert not values.boolean(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$A", "/foo"),
        ("${A}x", "/foox"),
        ("$A/x", "/foo/x"),
        ("x$A$A", "x/foo/foo"),
        ("$$A", "$A"),
        ("$", "$"),
        ("$/x", "$/x"),
        ("${A", "${A"),
        ("${B:-d}", "d"),
        ("${NOPE:-}", ""),
        ("${NOPE:-${A}}", "${A}"),
        ("${A:-d}", "/foo"),
        ("${NO PE:-d}", "d"),
        ("$V", "$A"),
        ("~", "/root"),
        ("~/x", "/root/x"),
        ("~$A", "/root/foo"),
        ("~bob/x", "~bob/x"),
        ("/~", "/~"),
        ("$T", "~/x"),
        ("${NOPE:-~}", "~"),
        ("$NOPE", errno.EINVAL),
        ("$B", errno.EINVAL),
        ("${}", errno.EINVAL),
        ("${:-x}", errno.EINVAL),
        ("$1x", errno.EINVAL),
        ("$R", errno.EILSEQ),
    ],
)
def test_variables_are_replaced_once(text: str, value: str | int) -> None:
    if isinstance(value, int):
        with pytest.raises(PolicyError) as caught:
            values.expand(text, ENVIRON)
        assert caught.value.errno == value
    else:
        assert values.expand(text, ENVIRON) == value


def test_tilde_stays_without_a_home() -> None:
    assert values.expand("~/x", {}) == "~/x"


@pytest.mark.parametrize(
    ("text", "fields"),
    [("a:b", ["a", "b"]), (r"a\:b:c", ["a:b", "c"]), (r"\\:", ["\\", ""]), ("", [""])],
)
def test_backslash_keeps_a_colon_in_a_field(text: str, fields: list[str]) -> None:
    assert values.unescape(text) == fields


@pytest.mark.parametrize("text", ["\\", "a\\b", "\\\\\\"])
def test_other_use_of_a_backslash_is_refused(text: str) -> None:
    with pytest.raises(PolicyError) as caught:
        values.unescape(text)
    assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize(
    ("path", "plain"),
    [
        (b"/a//b/./c", b"/a/b/c"),
        (b"/a/", b"/a/"),
        (b"/a/.", b"/a/"),
        (b"//", b"/"),
        (b"/./", b"/"),
        (b"a//b", b"a/b"),
        (b"", errno.EINVAL),
        (b"/a/../b", errno.EINVAL),
        (b"/a\0", errno.EILSEQ),
        (b"/" + b"a" * 4095, errno.ENAMETOOLONG),
    ],
)
def test_plain_path_has_no_empty_components(path: bytes, plain: bytes | int) -> None:
    if isinstance(plain, int):
        with pytest.raises(PolicyError) as caught:
            values.plain_path(path)
        assert caught.value.errno == plain
    else:
        assert values.plain_path(path) == plain
