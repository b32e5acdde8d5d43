# SPDX-License-Identifier: GPL-3.0-or-later
"""Swap what was checked for something else before it is used; thousands of times.

Each attack runs natively too, where nothing stands in its way: there it has to reach what is denied
inside, or it would prove nothing.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.support import host

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.guest import Guest

pytestmark = [
    pytest.mark.skipif(shutil.which("gcc", path=host.BASE_PATH) is None, reason="needs gcc"),
    pytest.mark.timeout(300),
]
TRIES = 5000
NATIVE_TRIES = 200_000  # They are so much faster that the swaps have to be given a chance.
EXEC_TRIES = 1500
TURNS = 8


class Count(NamedTuple):
    """How often an attack reached what is allowed, what is denied, and nothing."""

    allowed: int
    denied: int
    refused: int


def build(guest: Guest, program: str, directory: Path, *more: str) -> Path:
    """Compile the guest program *program* into *directory*: *more* flags, position independent."""
    made = directory / program
    source = guest.installation.guest / f"{program}.c"
    flags = ["-O2", "-pie", "-fPIE", "-pthread", "-Wall", "-Wextra", "-Werror"]
    subprocess.run(["gcc", *flags, *more, "-o", str(made), str(source)], check=True)
    made.chmod(0o755)
    return made


def lay_out(guest: Guest) -> None:
    """Make a file that is allowed and one that is denied, the user's own, and programs likewise."""
    guest.fresh_work()
    for directory, text in ((guest.work, "allowed"), (guest.home, "denied")):
        (directory / "key").write_text(text)
        (directory / "key").chmod(0o600)
    build(guest, "race", guest.work)
    evil = build(guest, "evil", guest.home)
    shutil.copy("/bin/true", guest.work / "good")
    for path in (guest.work / "key", guest.home / "key", guest.work / "good", evil):
        os.chown(path, guest.identity.uid, guest.identity.gid)


def race(guest: Guest, kind: str, allowed: object, denied: object, port: int = 1) -> Count:
    """Run the race *kind* and return its count.

    On a busy machine the two sides may hardly meet: then they get another turn, and another.
    """
    tries = NATIVE_TRIES if guest.kind == "native" and kind.endswith(("open", "stat")) else TRIES
    if "exec" in kind:
        tries = EXEC_TRIES
    total = Count(0, 0, 0)
    for _ in range(TURNS):
        outcome = guest.run(
            "./race", kind, str(tries), str(allowed), str(denied),
            profile="attacks.syd-3", rules=[f"allow/net/connect+loopback!{port}"],
            fresh=False, timeout=240,
        )  # fmt: skip
        assert outcome.status == 0, outcome._replace(log=[])
        counts = map(int, outcome.out.split())
        total = Count(*(before + now for before, now in zip(total, counts, strict=True)))
        if total.allowed and (total.denied or (guest.kind != "native" and total.refused)):
            break
    return total


def judge(guest: Guest, count: Count) -> None:
    """Require that the attack worked natively, and inside never did though it went on."""
    if guest.kind == "native":
        assert count.denied > 0, f"the attack is too slow to prove anything: {count}"
        assert count.allowed > 0, count
    else:
        assert count.denied == 0, f"{count.denied} of {sum(count)} tries reached what is denied"
        assert count.allowed > 0, f"nothing at all was allowed: {count}"
        assert count.refused > 0, f"no try met the denied object: {count}"


@pytest.mark.parametrize("kind", ["open", "stat"])
def test_a_path_swapped_in_memory_reaches_nothing_denied(guest: Guest, kind: str) -> None:
    lay_out(guest)
    judge(guest, race(guest, kind, guest.work / "key", guest.home / "key"))


def test_a_path_swapped_in_memory_changes_nothing_denied(sandbox: Guest) -> None:
    lay_out(sandbox)
    before = os.stat(sandbox.home / "key")
    count = race(sandbox, "truncate", sandbox.work / "key", sandbox.home / "key")
    after = os.stat(sandbox.home / "key")
    assert count.allowed > 0
    assert count.refused > 0
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def test_a_program_path_swapped_in_memory_runs_nothing_denied(guest: Guest) -> None:
    lay_out(guest)
    judge(guest, race(guest, "exec", guest.work / "good", guest.home / "evil"))


@pytest.mark.parametrize("kind", ["names-open", "names-stat"])
def test_a_symlink_swapped_by_rename_reaches_nothing_denied(guest: Guest, kind: str) -> None:
    lay_out(guest)
    (guest.work / "now").symlink_to("key")
    (guest.work / "later").symlink_to(guest.home / "key")
    judge(guest, race(guest, kind, "now", "-"))


@pytest.mark.parametrize("kind", ["names-open", "names-stat"])
def test_a_directory_swapped_for_a_symlink_reaches_nothing_denied(guest: Guest, kind: str) -> None:
    lay_out(guest)
    (guest.work / "now").mkdir()
    (guest.work / "now" / "key").write_text("allowed")
    (guest.work / "later").symlink_to(guest.home)
    for path in (guest.work / "now", guest.work / "now" / "key"):
        os.chown(path, guest.identity.uid, guest.identity.gid)
    judge(guest, race(guest, kind, "now/key", "-"))


def test_a_directory_moved_during_the_walk_reaches_nothing_denied(guest: Guest) -> None:
    """From c/, ../../x/key is work/x/key while c lies in a/, and beside the work directory else."""
    lay_out(guest)
    for directory, text in ((guest.work, "allowed"), (guest.top, "denied")):
        (directory / "x").mkdir()
        (directory / "x" / "key").write_text(text)
    (guest.work / "a" / "c").mkdir(parents=True)
    for path in (guest.work / "a", guest.work / "a" / "c"):
        os.chown(path, guest.identity.uid, guest.identity.gid)
    judge(guest, race(guest, "dotdot", "../../x/key", "-"))


def test_a_symlink_to_a_program_swapped_by_rename_runs_nothing_denied(guest: Guest) -> None:
    lay_out(guest)
    (guest.work / "now").symlink_to("good")
    (guest.work / "later").symlink_to(guest.home / "evil")
    judge(guest, race(guest, "names-exec", "./now", "-"))


class Listener:
    """A port of the loopback network that counts who connects."""

    def __init__(self) -> None:
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(512)
        self.port = self.socket.getsockname()[1]
        self.count = 0
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            peer.close()
            self.count += 1

    def close(self) -> None:
        """Stop counting."""
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.socket.close()


@pytest.fixture
def listeners() -> Iterator[tuple[Listener, Listener]]:
    made = (Listener(), Listener())
    yield made
    for listener in made:
        listener.close()


def test_a_port_swapped_in_memory_reaches_nobody_denied(
    guest: Guest, listeners: tuple[Listener, Listener]
) -> None:
    lay_out(guest)
    good, bad = listeners
    judge(guest, race(guest, "connect", good.port, bad.port, port=good.port))
    assert good.count > 0
    assert (bad.count > 0) == (guest.kind == "native")
