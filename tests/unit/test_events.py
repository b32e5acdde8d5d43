# SPDX-License-Identifier: GPL-3.0-or-later
"""The log: shape of a record, what guests can put into one, levels, limit, descriptors."""

from __future__ import annotations

import errno
import json
import os
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madcap import events

if TYPE_CHECKING:
    from collections.abc import Iterator


class Log:
    """A log that writes into a pipe, and what came out of it."""

    def __init__(self, reader: int, writer: int) -> None:
        self._reader = reader
        self.writer = writer

    def text(self) -> str:
        """Return all that was written since the last call."""
        try:
            return os.read(self._reader, 1 << 20).decode()
        except BlockingIOError:
            return ""

    def record(self) -> dict[str, object]:
        """Return the only record written."""
        (line,) = self.text().splitlines()
        found = json.loads(line)
        assert isinstance(found, dict)
        return found


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    monkeypatch.setattr(events, "fd", writer)
    monkeypatch.setattr(events, "pretty", False)
    monkeypatch.setattr(events, "level", events.WARN)
    monkeypatch.setattr(events, "identity", "ab" * 32)
    monkeypatch.setattr(events, "bugs", 0)
    events.reset()
    yield Log(reader, writer)
    os.close(reader)
    os.close(writer)


def test_record_has_the_keys_of_the_reference_in_its_order(log: Log) -> None:
    events.emit(events.WARN, {"ctx": "access", "cap": "read"}, pid=os.getpid(), tip="do", msg="so")
    keys = list(log.record())
    assert keys == [
        *("id", "hid", "syd", "ctx", "cap", "cmd", "cwd"),
        *(["tty"] if "tty" in keys else []),
        *("pid", "uid", "time", "msg", "tip"),
    ]


def test_record_about_nobody_has_no_process_keys(log: Log) -> None:
    events.emit(events.ERROR, {"ctx": "configure_sandbox", "err": 22, "cfg": "foo"}, msg="no")
    keys = list(log.record())
    assert keys == ["id", "hid", "syd", "ctx", "err", "cfg", "uid", "time", "msg"]


def test_info_record_has_the_short_name_and_no_uid(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "level", events.INFO)
    events.emit(events.INFO, {"ctx": "run"}, pid=os.getpid())
    record = log.record()
    with open("/proc/self/comm") as comm:
        assert record["cmd"] == comm.read().strip()
    assert "uid" not in record
    assert "tty" not in record


def test_full_request_takes_the_place_of_the_process(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "verbose", 3)
    events.emit(events.WARN, {"ctx": "access"}, pid=1, req={"pid": 1, "sys": "mkdir"}, tip="t")
    assert list(log.record()) == ["id", "hid", "syd", "ctx", "uid", "time", "req", "tip"]


def test_full_request_is_left_out_below_verbosity_three(log: Log) -> None:
    events.emit(events.WARN, {"ctx": "access"}, req={"pid": 1})
    assert "req" not in log.record()


def test_record_above_the_level_is_not_written(log: Log) -> None:
    events.emit(events.NOTICE, {"ctx": "run"})
    assert log.text() == ""


def test_pretty_record_has_one_key_a_line_and_compact_values(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "pretty", True)
    events.emit(events.WARN, {"ctx": "x", "args": [1, 2], "m": {"a": True}})
    lines = log.text().splitlines()
    assert lines[0] == "{"
    assert lines[4:7] == ['  "ctx": "x",', '  "args": [1,2],', '  "m": {"a":true},']
    assert lines[-1] == "}"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param(b"/var/a b~", "/var/a b~", id="printable"),
        pytest.param(b'/a"\\b', '/a"\\b', id="escaped-by-json"),
        pytest.param("/var/tmp/é".encode(), "2f7661722f746d702fc3a9", id="utf-8"),
        pytest.param(b"/\xff", "2fff", id="not-utf-8"),
        pytest.param(b"a\x1b[2J", "611b5b324a", id="terminal-escape"),
        pytest.param(b"a\x7fb", "617f62", id="delete"),
        pytest.param("fo\nd", "666f0a64", id="str-follows-the-same-rule"),
        pytest.param("fo\udcff", "666fff", id="surrogate-is-the-byte-it-stood-for"),
    ],
)
def test_guest_text_is_plain_or_hex_as_a_whole(log: Log, value: object, shown: str) -> None:
    events.emit(events.WARN, {"ctx": "access", "path": value})
    assert log.record()["path"] == shown


def test_our_own_message_keeps_line_ends_as_escapes(log: Log) -> None:
    events.emit(events.WARN, {"ctx": "x"}, msg='a\n"b"\t\x1b\x00c')
    assert '"msg":"a\\n\\"b\\"\\t\\u001b\\u0000c"' in log.text()


@given(st.binary(max_size=40))
def test_no_guest_bytes_reach_the_log_unescaped(value: bytes) -> None:
    text = events.encode({"path": value, "list": [value]})
    assert text.isascii()
    assert text.isprintable()
    json.loads(text)


@given(st.text(max_size=40))
def test_quoted_text_is_json_without_control_characters(value: str) -> None:
    quoted = events.quote(value)
    assert quoted.isprintable()
    assert isinstance(json.loads(quoted), str)


def test_null_values_are_left_out(log: Log) -> None:
    events.emit(events.WARN, {"ctx": "x", "err": None, "time": None})
    assert list(log.record()) == ["id", "hid", "syd", "ctx", "uid"]


def test_same_kind_of_record_is_written_ten_times_a_window(log: Log) -> None:
    for number in range(30):
        events.emit(events.WARN, {"ctx": "access", "path": b"/a", "args": [number]})
    assert len(log.text().splitlines()) == 10


def test_another_kind_of_record_has_a_count_of_its_own(log: Log) -> None:
    for _ in range(30):
        events.emit(events.WARN, {"ctx": "access", "path": b"/a"})
    log.text()
    events.emit(events.WARN, {"ctx": "access", "path": b"/b"})
    assert log.record()["path"] == "/b"


def test_first_record_after_the_window_says_how_many_were_dropped(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_000_000_000
    monkeypatch.setattr(events.time, "monotonic_ns", lambda: now)
    for _ in range(13):
        events.emit(events.WARN, {"ctx": "access"})
    log.text()
    now += events.interval
    events.emit(events.WARN, {"ctx": "access"})
    first, second = log.text().splitlines()
    assert first == '{"ctx":"log","op":"rlimit","suppressed":3}'
    assert json.loads(second)["ctx"] == "access"


def test_no_interval_means_no_limit(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "interval", 0)
    for _ in range(20):
        events.emit(events.WARN, {"ctx": "access"})
    assert len(log.text().splitlines()) == 20


def test_burst_of_zero_drops_everything(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "burst", 0)
    events.emit(events.WARN, {"ctx": "access"})
    assert log.text() == ""


def test_memory_of_seen_records_is_bounded(log: Log) -> None:
    del log
    for number in range(6000):
        events._limit({"path": number}, None, None)
    assert len(events._cells) <= 4096


def test_emit_survives_a_closed_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "fd", 1_000_000)
    events.emit(events.WARN, {"ctx": "x"})


def test_emit_survives_a_value_that_cannot_be_shown(log: Log) -> None:
    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError

    events.emit(events.WARN, {"ctx": Odd()})
    assert log.text() == ""


def test_records_of_many_threads_do_not_mix(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "interval", 0)

    def write() -> None:
        for _ in range(20):
            events.emit(events.WARN, {"ctx": "x", "path": b"y" * 100})

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([json.loads(line) for line in log.text().splitlines()]) == 80


def test_bug_is_counted_and_names_the_innermost_line(log: Log) -> None:
    def inner() -> None:
        raise ValueError("no\nno")

    try:
        inner()
    except ValueError as error:
        events.bug("sys_open", error)
    record = log.record()
    assert events.bugs == 1
    assert (record["ctx"], record["act"], record["name"]) == ("panic", "deny", "sys_open")
    assert record["msg"] == "ValueError: no\nno"
    assert str(record["file"]).endswith("test_events.py")
    assert record["line"] == inner.__code__.co_firstlineno + 1


def test_process_files_are_read_through_the_replaceable_reader(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        b"cmdline": b"cat\0a b\0\0",
        b"stat": b"7 (x) y) S 1 7 7 34817 7 4194304 1",
        b"cwd": b"/tmp",
    }
    monkeypatch.setattr(events, "read_proc", lambda _pid, name: files[name])
    monkeypatch.setattr(events, "read_link", lambda _pid, name: files[name])
    events.emit(events.WARN, {"ctx": "x"}, pid=7)
    record = log.record()
    assert record["cmd"] == "cat a b "
    assert record["cwd"] == "/tmp"
    assert record["tty"] == "/dev/pts/1"
    assert record["pid"] == 7


def test_gone_process_leaves_only_its_number(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "read_proc", lambda _pid, _name: None)
    monkeypatch.setattr(events, "read_link", lambda _pid, _name: None)
    events.emit(events.WARN, {"ctx": "x"}, pid=7)
    assert list(log.record())[3:6] == ["ctx", "pid", "uid"]


def test_long_command_line_is_cut(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "read_proc", lambda _pid, _name: b"a" * 4096)
    events.emit(events.WARN, {"ctx": "x"}, pid=7)
    assert log.record()["cmd"] == "a" * 256 + "..."


@pytest.mark.parametrize(
    ("word", "level"),
    [
        pytest.param("error", 3, id="name"),
        pytest.param("99", 7, id="clamped-above"),
        pytest.param("-5", 0, id="clamped-below"),
        pytest.param("+6", 6, id="sign"),
        pytest.param("Info", None, id="names-are-lower-case"),
        pytest.param("0x6", None, id="decimal-only"),
        pytest.param("", None, id="empty"),
        pytest.param("٣", None, id="ascii-digits-only"),
    ],
)
def test_level_is_a_name_or_a_clamped_integer(word: str, level: int | None) -> None:
    assert events.parse_level(word) == level


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("level", "fd", "pretty"):
        monkeypatch.setattr(events, name, getattr(events, name))


@pytest.mark.usefixtures("settings")
class TestConfigure:
    def test_garbage_level_means_warn(self) -> None:
        events.configure({b"SYD_LOG": b"7x", b"SYD_LOG_FD": b"-1"})
        assert events.level == events.WARN

    def test_blanks_around_the_level_are_fine(self) -> None:
        events.configure({b"SYD_LOG": b" info", b"SYD_LOG_FD": b"-1"})
        assert events.level == events.INFO

    @pytest.mark.parametrize("given", [b"foo", b"", b"9999", b"99999999999999999999", b"1.0"])
    def test_bad_descriptor_is_refused(self, given: bytes) -> None:
        with pytest.raises(OSError, match="descriptor") as caught:
            events.configure({b"SYD_LOG_FD": given})
        assert caught.value.errno == errno.EBADF

    def test_descriptor_that_cannot_be_written_is_refused(self) -> None:
        with open("/dev/null", "rb") as null, pytest.raises(OSError, match="written") as caught:
            events.configure({b"SYD_LOG_FD": b"%d" % null.fileno()})
        assert caught.value.errno == errno.EBADFD

    @pytest.mark.parametrize("given", [b"0", b"x", b"", b"-1", b"k"])
    def test_bad_size_of_the_kernel_log_is_refused(self, given: bytes) -> None:
        with pytest.raises(OSError, match="size") as caught:
            events.configure({b"SYD_LOG_BUF_LEN": given, b"SYD_LOG_FD": b"-1"})
        assert caught.value.errno == errno.EINVAL

    def test_size_of_the_kernel_log_takes_a_unit(self) -> None:
        events.configure({b"SYD_LOG_BUF_LEN": b"1.5 MiB", b"SYD_LOG_FD": b"-1"})

    def test_log_is_appended_to_and_layout_can_be_forced(self) -> None:
        reader, writer = os.pipe()
        try:
            where = {b"SYD_LOG_FD": b"%d" % writer}
            events.configure({**where, b"SYD_FORCE_TTY": b"", b"SYD_QUIET_TTY": b""})
            assert (events.fd, events.pretty) == (writer, True)
            events.configure(where)
            assert not events.pretty
        finally:
            os.close(reader)
            os.close(writer)


def test_alias_is_lower_case_words_and_stable() -> None:
    assert events.alias(4242) == events.alias(4242)
    assert events.alias(1).replace("_", "").isalpha()
    assert len({events.alias(pid) for pid in range(5000)}) == 5000


@pytest.mark.parametrize(
    ("text", "size"),
    [
        *((b"1", 1), (b"64k", 65536), (b"1.5 KiB", 1536), (b"1_000", 1000), (b"0.6", 1)),
        *((b"1e3", 1000), (b"1e", 1 << 60)),
        *((text, 0) for text in (b"0.4", b"1e-3", b"", b"k", b"-1", b"1kk", b"x", b"16e")),
    ],
)
def test_room_for_the_kernel_log_is_a_size(
    monkeypatch: pytest.MonkeyPatch, text: bytes, size: int
) -> None:
    for name in ("fd", "level", "ring", "ring_size"):
        monkeypatch.setattr(events, name, getattr(events, name))
    environ = {b"SYD_LOG_BUF_LEN": text, b"SYD_LOG_FD": b"-1"}
    if size:
        events.configure(environ)
        assert events.ring_size == size
    else:
        with pytest.raises(OSError, match="not a size") as caught:
            events.configure(environ)
        assert caught.value.errno == errno.EINVAL
