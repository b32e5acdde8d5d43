# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration files: what is refused, and that refusing takes neither time nor memory."""

from __future__ import annotations

import errno
import fcntl
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madcap import events
from madcap.cli import files
from madcap.errors import PolicyError

if TYPE_CHECKING:
    from pathlib import Path

    from madcap.errors import Origin


class Taken:
    """What a file is applied to here: it writes down the lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    @property
    def locked(self) -> bool:
        return "lock:on" in self.lines

    def execute_line(self, line: str, origin: Origin) -> None:
        if line.startswith("bad"):
            raise PolicyError(errno.EINVAL, "bad line", origin)
        self.lines.append(line)

    def block(self, networks: list[str]) -> None:
        self.lines += [f"block+{network}" for network in networks]

    def trial(self) -> Taken:
        other = Taken()
        other.lines = list(self.lines)
        return other

    def expand(self, text: str) -> str:
        return text


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "fd", -1)


def apply(path: Path | bytes) -> list[str]:
    """Return the lines of the configuration file *path*."""
    taken = Taken()
    files.ConfigFile(os.fsencode(path), taken, ("-P", 1)).apply()
    return taken.lines


def refusal(path: Path | bytes) -> PolicyError:
    """Return the error that the configuration file *path* gives."""
    with pytest.raises(PolicyError) as caught:
        apply(path)
    assert "\n" not in str(caught.value)
    return caught.value


def write(folder: Path, text: bytes, name: str = "a.syd-3") -> Path:
    """Return a new file of *folder*."""
    file = folder / name
    file.write_bytes(text)
    return file


def test_lines_are_taken_as_they_are_but_for_comments_and_blank_ones(tmp_path: Path) -> None:
    assert apply(write(tmp_path, b"one\n\n # no\n two \n#\nthree\r\n")) == [
        "one",
        " two ",
        "three\r",
    ]


def test_lines_before_the_first_bad_one_stay_applied(tmp_path: Path) -> None:
    taken = Taken()
    file = write(tmp_path, b"one\nbad\ntwo\n")
    with pytest.raises(PolicyError) as caught:
        files.ConfigFile(os.fsencode(file), taken, ("-P", 1)).apply()
    assert taken.lines == ["one"]
    assert caught.value.origin == (str(file), 2)
    assert caught.value.also == []


@given(st.lists(st.integers(0, 4200), max_size=40), st.integers(1, 5000))
def test_lines_are_split_wherever_the_pieces_end(sizes: list[int], piece: int) -> None:
    text = b"".join([b"x" * size + b"\n" for size in sizes])
    reader, writer = os.pipe2(os.O_CLOEXEC)
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 1 << 20)
    os.write(writer, text)
    os.close(writer)
    before, files._PIECE = files._PIECE, piece  # type: ignore[misc]
    file = files.ConfigFile(b"x", Taken(), ("-P", 1))
    found: list[int] = []
    refused = 0
    try:
        for _, line in file._split(reader, b"x"):
            found.append(len(line))
    except PolicyError as error:
        refused = error.errno
    finally:
        files._PIECE = before  # type: ignore[misc]
        os.close(reader)
    long = [index for index, size in enumerate(sizes) if size > files.LONGEST]
    assert refused == (errno.ENAMETOOLONG if long else 0)
    assert found == sizes[: long[0] if long else None]


def test_line_of_a_gigabyte_is_refused_at_its_start(tmp_path: Path) -> None:
    file = write(tmp_path, b"one\n")
    os.truncate(file, 1 << 30)
    error = refusal(file)
    assert (error.errno, error.origin) == (errno.ENAMETOOLONG, (str(file), 2))


def test_fifo_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.syd-3")
    assert refusal(tmp_path / "a.syd-3").errno == errno.EBADFD
    assert refusal(write(tmp_path, b"include a.syd-3\n", "b.syd-3")).errno == errno.EBADFD


def test_device_is_refused_without_being_opened() -> None:
    assert refusal(b"/dev/zero").errno == errno.EBADFD


def test_link_is_not_followed_anywhere(tmp_path: Path) -> None:
    write(tmp_path, b"one\n")
    (tmp_path / "link.syd-3").symlink_to("a.syd-3")
    (tmp_path / "folder").symlink_to(".")
    assert refusal(tmp_path / "link.syd-3").errno == errno.EBADFD
    assert refusal(tmp_path / "folder" / "a.syd-3").errno == errno.ELOOP
    assert refusal(b"/proc/self/root" + os.fsencode(tmp_path / "a.syd-3")).errno == errno.ELOOP
    include = write(tmp_path, b"include folder/a.syd-3\n", "b.syd-3")
    assert refusal(include).errno == errno.ELOOP


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_file_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    file = write(tmp_path, b"one\n")
    file.chmod(mode)
    assert refusal(file).errno == errno.EPERM


def test_file_in_a_folder_that_others_may_write_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, b"one\n")
    tmp_path.chmod(0o1777)
    assert "directory of the file" in refusal(file).message


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_file_of_another_user_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, b"one\n")
    os.chown(file, 12345, 0)
    assert refusal(file).errno == errno.EPERM
    os.chown(file, 0, 0)
    os.chown(tmp_path, 12345, 0)
    assert refusal(file).errno == errno.EPERM


def test_file_that_is_replaced_while_it_is_opened_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was checked must be what is read."""
    file = write(tmp_path, b"one\n")
    other = write(tmp_path, b"two\n", "b.syd-3")
    real = os.open

    def swapping(path: bytes, flags: int, *, dir_fd: int | None = None) -> int:
        if path == b"a.syd-3" and not flags & os.O_PATH:
            other.rename(file)
        return real(path, flags, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", swapping)
    assert refusal(file).errno == errno.EBADFD


def test_include_starts_in_the_folder_of_the_first_file(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    write(tmp_path, b"include sub/b.syd-3\nthree\n")
    write(tmp_path / "sub", b"one\ninclude /c.syd-3\n", "b.syd-3")
    write(tmp_path, b"two\n", "c.syd-3")
    assert apply(tmp_path / "a.syd-3") == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("line", "number"),
    [
        pytest.param(b"include ../a.syd-3\n", errno.EINVAL, id="above"),
        pytest.param(b"include \n", errno.EINVAL, id="empty"),
        pytest.param(b"include a.conf\n", errno.EOPNOTSUPP, id="extension"),
        pytest.param(b"include none.syd-3\n", errno.ENOENT, id="missing"),
        pytest.param(b"include /proc/self/status.syd-3\n", errno.ENOENT, id="never-outside"),
        pytest.param(b"include b.syd-3\n" * 2, errno.ELOOP, id="twice"),
        pytest.param(b"include a.syd-3\n", errno.ELOOP, id="cycle"),
        pytest.param(b"lock:on\none\n", errno.EPERM, id="after-the-lock"),
        pytest.param(b"\xff\n", errno.EILSEQ, id="not-utf-8"),
        pytest.param(b"one", errno.ENAMETOOLONG, id="unfinished"),
    ],
)
def test_bad_line_is_refused(tmp_path: Path, line: bytes, number: int) -> None:
    write(tmp_path, b"two\n", "b.syd-3")
    assert refusal(write(tmp_path, line)).errno == number


def test_include_is_refused_beyond_32_levels(tmp_path: Path) -> None:
    for level in range(40):
        write(tmp_path, b"include %d.syd-3\n" % (level + 1), f"{level}.syd-3")
    assert refusal(tmp_path / "0.syd-3").errno == errno.ELOOP


def test_networks_of_a_list_are_blocked(tmp_path: Path) -> None:
    write(tmp_path, b"# x\n 192.0.2.1 \n\n2001:db8::/32\n", "x.netset")
    lines = apply(write(tmp_path, b"include x.netset\n"))
    assert lines == ["block+192.0.2.1", "block+2001:db8::/32"]


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    write(tmp_path, b"bad\n", "b.syd-3")
    before = os.listdir("/proc/self/fd")
    refusal(write(tmp_path, b"include b.syd-3\n"))
    refusal(tmp_path / "none.syd-3")
    refusal(tmp_path / "none" / "b.syd-3")
    assert os.listdir("/proc/self/fd") == before
