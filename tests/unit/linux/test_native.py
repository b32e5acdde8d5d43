# SPDX-License-Identifier: GPL-3.0-or-later
"""The native part: when it is used, and that it looks as Python looks."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from madcap.abi.flags import AT_FDCWD, O_PATH
from madcap.abi.paths import first_paths
from madcap.kernel.target import DIRECTORY_HOW, FOLLOW_HOW, NOFOLLOW_HOW
from madcap.linux import native
from madcap.linux._call import NUMBERS, Buffer
from madcap.linux.listener import NO_WAY, Looker

SOURCE = Path(native.__file__).with_name("native.c")

pytestmark = pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler")


def build(path: Path, *words: str) -> Path:
    """Compile native.c, with every warning an error."""
    command = ["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread", *words]
    subprocess.run([*command, "-o", str(path), str(SOURCE)], check=True)
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("native") / "libnative.so")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "file").write_text("x")
    (tmp_path / "d" / "closed").mkdir(mode=0)
    (tmp_path / "link").symlink_to("d")
    (tmp_path / "d" / "link").symlink_to("file")
    os.mkfifo(tmp_path / "fifo")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_library_is_used(library: Path) -> None:
    assert native.load(str(library)) is not None


@pytest.mark.parametrize("mode", [0o775, 0o757])
def test_what_others_may_write_is_not(library: Path, tmp_path: Path, mode: int) -> None:
    copy = tmp_path / "libnative.so"
    shutil.copy(library, copy)
    copy.chmod(mode)
    assert native.load(str(copy)) is None


def test_what_is_older_than_its_source_is_not(library: Path, tmp_path: Path) -> None:
    copy = tmp_path / "libnative.so"
    shutil.copy2(library, copy)
    source = tmp_path / "native.c"
    shutil.copy2(SOURCE, source)
    assert native.load(str(copy)) is not None
    later = copy.stat().st_mtime_ns + 1
    os.utime(source, ns=(later, later))
    assert native.load(str(copy)) is None


def test_another_interface_is_not(tmp_path: Path) -> None:
    source = SOURCE.read_text()
    assert "#define INTERFACE" in source
    other = tmp_path / "native.c"
    other.write_text(source.replace("return INTERFACE;", "return INTERFACE + 1;"))
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-pthread", "-o", str(tmp_path / "l.so"), str(other)], check=True
    )
    assert native.load(str(tmp_path / "l.so")) is None


@pytest.mark.parametrize("text", [b"", b"no library"])
def test_neither_is_what_is_none(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "libnative.so"
    path.write_bytes(text)
    assert native.load(str(path)) is None
    assert native.load(str(tmp_path / "missing")) is None


@pytest.mark.parametrize("how", [FOLLOW_HOW, NOFOLLOW_HOW, DIRECTORY_HOW])
@pytest.mark.parametrize(
    "path",
    [b".", b"d", b"d/file", b"d/file/", b"d/missing", b"missing/x", b"d/file/x", b"link", b"d/link",
     b"link/file", b"fifo", b"d/../d/file", b"x" * 300, b"d/" * 2100, b"/", b"/etc/passwd", b"",
     b"/proc/self", b"d/closed/x"],
)  # fmt: skip
@pytest.mark.parametrize("place", ["cwd", "descriptor", "ours", "no directory", "closed"])
def test_both_look_alike(library: Path, tree: Path, path: bytes, how: bytes, place: str) -> None:
    one = native.load(str(library))
    assert one is not None
    st = Buffer(512)
    looker = one.looker(st, 64)
    fds = {
        "cwd": AT_FDCWD,
        "descriptor": os.open(tree, O_PATH),
        "ours": os.open(tree, O_PATH),
        "no directory": os.open(tree / "d" / "file", os.O_RDONLY),
        "closed": 999,
    }
    tid = 0 if place == "ours" else os.getpid()
    outcomes = []
    for each in (Looker(), looker):
        os.chdir(tree)
        fd = each.look(tid, fds[place], path, how, named=bool(tid))
        if fd >= 0:
            found = os.fstat(fd)
            if each is looker:
                assert each.mode == found.st_mode
                assert int.from_bytes(st.data[64:72], "little") == found.st_dev
            os.close(fd)
            outcomes.append((found.st_ino, each.cwd, os.getcwdb()))
        else:
            outcomes.append((fd, b"", os.getcwdb()))
    assert outcomes[0] == outcomes[1]
    for fd in list(fds.values())[1:4]:
        os.close(fd)


def test_a_deleted_directory_has_no_name(library: Path, tree: Path) -> None:
    one = native.load(str(library))
    assert one is not None
    (tree / "gone").mkdir()
    fd = os.open(tree / "gone", O_PATH)
    (tree / "gone").rmdir()
    before = len(os.listdir("/proc/self/fd"))
    for looker in (Looker(), one.looker(Buffer(512), 0)):
        assert looker.look(os.getpid(), fd, b".", NOFOLLOW_HOW, named=True) == NO_WAY
        assert looker.look(os.getpid(), fd, b"x", NOFOLLOW_HOW, named=True) == -errno.ENOENT
    assert len(os.listdir("/proc/self/fd")) == before
    os.close(fd)


def test_calls_are_known_by_number() -> None:
    table = first_paths(NUMBERS)
    assert table[NUMBERS["newfstatat"]] == 2
    assert table[NUMBERS["symlinkat"]] == 0  # Its first text is not a path to anything.
    assert table[NUMBERS["read"]] == 0
    if "stat" in NUMBERS:
        assert table[NUMBERS["stat"]] == 1
