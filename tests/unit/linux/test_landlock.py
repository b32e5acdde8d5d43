# SPDX-License-Identifier: GPL-3.0-or-later
"""Landlock domains, each tried out in a child that they bind for good."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.support import host
from tests.support.child import errno_of, in_child

from madcap.linux import landlock
from madcap.linux._call import call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ABI = landlock.abi()
needs_landlock = pytest.mark.skipif(ABI < 2, reason="no Landlock ABI 2")
needs_scopes = pytest.mark.skipif(ABI < 6, reason="no Landlock ABI 6")
needs_ports = pytest.mark.skipif(ABI < 4, reason="no Landlock ABI 4")

READING = ("read", "readdir", "exec")
EMULATED = frozenset(
    {
        *("creat", "open", "truncate", "unlink", "rmdir", "mkdir"),
        *("mknod", "symlink", "rename", "link", "bind", "connect"),
    }
)


@pytest.fixture(
    params=host.identities(), ids=lambda identity: "root" if not identity.uid else "user"
)
def who(request: pytest.FixtureRequest) -> host.Identity:
    """Return somebody to be bound: root, if we are root, and an ordinary user."""
    assert isinstance(request.param, host.Identity)
    return request.param


@pytest.fixture
def place(who: host.Identity) -> Iterator[Path]:
    """Return a directory of theirs with the directories a and b and a file in each."""
    top = Path(tempfile.mkdtemp(prefix="landlock-", dir="/var/tmp"))
    for name in ("a", "b"):
        (top / name).mkdir()
        (top / name / "file").write_text("text")
    for path in (top, *top.rglob("*")):
        if os.geteuid() == 0:
            os.chown(path, who.uid, who.gid)
    yield top
    shutil.rmtree(top)


def without_privileges() -> None:
    call("prctl", 38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS


def reading(*paths: bytes) -> dict[str, list[bytes]]:
    return {name: list(paths) for name in READING}


# What the kernel offers.


def test_abi_is_that_of_the_kernel() -> None:
    lsm = Path("/sys/kernel/security/lsm")
    if lsm.exists():
        assert (ABI > 0) == ("landlock" in lsm.read_text().split(","))
    assert ABI >= 0
    assert landlock.errata() >= 0


def test_supported_rights_grow_with_the_version() -> None:
    known = [landlock.supported(version) for version in range(12)]
    assert not known[0]
    assert known[1].fs == (1 << 13) - 1
    assert known[7].fs == (1 << 16) - 1
    assert known[10].fs == (1 << 17) - 1
    assert (known[3].net, known[4].net, known[10].net) == (0, 3, 15)
    assert (known[5].scoped, known[6].scoped) == (0, 3)
    for older, younger in pairwise(known):
        assert (younger & older).fs == older.fs


def test_rights_are_named_once() -> None:
    assert sorted(landlock.RIGHTS.values()) == [1 << bit for bit in range(17)]


# Scopes.


@needs_scopes
def test_scope_only_keeps_signals_and_abstract_sockets_inside(who: host.Identity) -> None:
    name = f"\0landlock-{os.getpid()}"
    outer = os.getpid()

    def bound() -> list[int]:
        without_privileges()
        assert landlock.scope_only()
        grandchild = os.fork()
        if grandchild == 0:
            signal.pause()
        client = socket.socket(socket.AF_UNIX)
        with client:
            results = [
                errno_of(lambda: os.kill(outer, 0)),
                errno_of(lambda: client.connect(name)),
                errno_of(lambda: os.kill(grandchild, signal.SIGKILL)),
                errno_of(lambda: os.kill(os.getpid(), 0)),
            ]
        os.waitpid(grandchild, 0)
        return results

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(name)
        server.listen()
        assert in_child(bound, who) == [errno.EPERM, errno.EPERM, 0, 0]


@needs_scopes
def test_scope_only_leaves_files_alone(who: host.Identity, place: Path) -> None:
    def bound() -> int:
        without_privileges()
        assert landlock.scope_only(sockets=False)
        return errno_of(lambda: os.rename(place / "a/file", place / "b/other"))

    assert in_child(bound, who) == 0


@needs_scopes
def test_scope_only_binds_the_calling_thread_alone() -> None:
    outer = os.getpid()

    def bound() -> list[int]:
        without_privileges()
        results: list[int] = []

        def thread() -> None:
            landlock.scope_only()
            results.append(errno_of(lambda: os.kill(outer, 0)))

        started = threading.Thread(target=thread)
        started.start()
        started.join()
        return [*results, errno_of(lambda: os.kill(outer, 0))]

    assert in_child(bound) == [errno.EPERM, 0]


@needs_landlock
def test_scope_supervisor_allows_reparenting_and_stacks(who: host.Identity, place: Path) -> None:
    def bound() -> int:
        without_privileges()
        assert landlock.scope_supervisor()
        landlock.apply({name: [b"/"] for name in landlock.RIGHTS})
        return errno_of(lambda: os.rename(place / "a/file", place / "b/other"))

    assert in_child(bound, who) == 0


@needs_landlock
def test_scope_supervisor_keeps_from_tracing_outside(who: host.Identity) -> None:
    sleeper = subprocess.Popen(["sleep", "60"], **who.spawn_options())  # type: ignore[call-overload]

    def trace(*, bound: bool) -> int:
        without_privileges()
        if bound:
            assert landlock.scope_supervisor()
        return errno_of(lambda: call("ptrace", 0x4206, sleeper.pid, 0, 0))  # PTRACE_SEIZE

    try:
        assert in_child(lambda: trace(bound=False), who) == 0
        assert in_child(lambda: trace(bound=True), who) == errno.EPERM
    finally:
        sleeper.kill()
        sleeper.wait()


# The child's domain.


def test_child_access_follows_the_hooked_calls() -> None:
    assert not landlock.child_access((), signals=False)
    access = landlock.child_access({"open", "connect"})
    assert access.fs == landlock.READ_DIR | landlock.WRITE_FILE | landlock.RESOLVE_UNIX
    assert access.net == landlock.CONNECT_TCP | landlock.CONNECT_SEND_UDP
    assert access.scoped == landlock.SCOPE_SIGNAL | landlock.SCOPE_ABSTRACT_UNIX


def test_child_access_never_touches_what_is_continued() -> None:
    everything = landlock.child_access(EMULATED).fs
    continued = landlock.READ_FILE | landlock.EXECUTE | landlock.IOCTL_DEV
    assert everything == (1 << 17) - 1 & ~continued


@needs_landlock
def test_scope_child_refuses_what_slips_past_emulation(who: host.Identity, place: Path) -> None:
    def bound() -> dict[str, int]:
        without_privileges()
        assert landlock.scope_child(EMULATED)
        os.chdir(place)
        return {
            "write": errno_of(lambda: os.open("a/file", os.O_WRONLY)),
            "create": errno_of(lambda: os.open("a/new", os.O_CREAT | os.O_RDONLY)),
            "list": errno_of(lambda: os.listdir("a")),
            "mkdir": errno_of(lambda: os.mkdir("a/c")),
            "fifo": errno_of(lambda: os.mkfifo("a/c")),
            "symlink": errno_of(lambda: os.symlink("x", "a/c")),
            "link": errno_of(lambda: os.link("a/file", "b/other")),
            "unlink": errno_of(lambda: os.unlink("a/file")),
            "rmdir": errno_of(lambda: os.rmdir("a")),
            "signal": errno_of(lambda: os.kill(os.getppid(), 0)),
            "read": errno_of(lambda: os.open("a/file", os.O_RDONLY)),
            "path": errno_of(lambda: os.open("a", os.O_PATH)),
            "stat": errno_of(lambda: os.stat("b")),
            "exec": errno_of(lambda: subprocess.run(["/bin/true"], check=True)),
        }

    expected = dict.fromkeys(
        ("write", "create", "list", "mkdir", "fifo", "symlink", "link", "unlink", "rmdir"),
        errno.EACCES,
    )
    expected |= {"signal": errno.EPERM if ABI >= 6 else 0}
    expected |= {"read": 0, "path": 0, "stat": 0, "exec": 0}
    assert in_child(bound, who) == expected


@needs_landlock
def test_scope_child_lets_descriptors_from_outside_work(who: host.Identity, place: Path) -> None:
    """The supervisor, which this does not bind, opens and hands in."""
    ours, theirs = socket.socketpair()

    def bound() -> list[int]:
        without_privileges()
        assert landlock.scope_child(EMULATED)
        ours.close()
        theirs.send(b"?")
        _, (file, directory), _, _ = socket.recv_fds(theirs, 1, 2)
        theirs.close()
        memory = os.memfd_create("memory")
        return [
            errno_of(lambda: os.write(file, b"x") and 0),
            errno_of(lambda: os.ftruncate(file, 100)),
            errno_of(lambda: os.listdir(directory)),
            errno_of(lambda: os.fchdir(directory)),
            errno_of(lambda: os.ftruncate(memory, 100)),
            errno_of(lambda: os.open("file", os.O_WRONLY, dir_fd=directory)),
        ]

    def supervise() -> None:
        if ours.recv(1) == b"?":
            file = os.open(place / "a/file", os.O_RDWR)
            directory = os.open(place / "a", os.O_RDONLY)
            socket.send_fds(ours, [b"!"], [file, directory])
            os.close(file)
            os.close(directory)

    helper = os.fork()
    if helper == 0:
        try:
            theirs.close()
            supervise()
        finally:
            os._exit(0)
    try:
        assert in_child(bound, who) == [0, 0, 0, 0, 0, errno.EACCES]
    finally:
        ours.close()
        theirs.close()
        os.waitpid(helper, 0)


# The user's policy.


@needs_landlock
def test_apply_refuses_everything_not_listed(who: host.Identity, place: Path) -> None:
    def bound() -> list[int]:
        without_privileges()
        null = os.open("/dev/null", os.O_PATH)
        os.chdir(place)
        outcome = landlock.apply(
            {**reading(b"/usr", b"/lib", b"/lib64", b"a"), "write": [b"b/file"]},
            granted=[(null, landlock.READ_FILE | landlock.WRITE_FILE | landlock.TRUNCATE)],
        )
        assert outcome.enforced
        assert outcome.missing == []
        return [
            errno_of(lambda: os.open("a/file", os.O_RDONLY)),
            errno_of(lambda: os.open("b/file", os.O_WRONLY)),
            errno_of(lambda: os.open("/dev/null", os.O_RDWR)),
            errno_of(lambda: os.open("b/file", os.O_RDONLY)),
            errno_of(lambda: os.open("a/file", os.O_WRONLY)),
            errno_of(lambda: os.open("/etc/passwd", os.O_RDONLY)),
            errno_of(lambda: os.kill(os.getppid(), 0)),
        ]

    refused = [errno.EACCES] * 3 + [errno.EPERM if ABI >= 6 else 0]
    assert in_child(bound, who) == [0, 0, 0, *refused]


@needs_landlock
def test_apply_keeps_links_and_renames_with_their_right(who: host.Identity, place: Path) -> None:
    def bound() -> list[int]:
        without_privileges()
        os.chdir(place)
        rights = {"rename": [b"."], "create": [b"."], "delete": [b"a"]}
        landlock.apply(rights)
        return [
            errno_of(lambda: os.rename("a/file", "b/other")),
            errno_of(lambda: os.rename("b/file", "a/file")),
        ]

    assert in_child(bound, who) == [0, errno.EACCES]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@needs_ports
@pytest.mark.parametrize("ranges", ["one", "all", "all-in-pieces"])
def test_apply_allows_the_ports_it_lists(who: host.Identity, ranges: str) -> None:
    port = free_port()
    other = port - 1 if port > 40_000 else port + 1
    ports = {
        "one": [(port, port)],
        "all": [(0, 65535)],
        "all-in-pieces": [(1024, 65535), (0, 2000)],
    }[ranges]

    def bind_to(number: int) -> None:
        with socket.socket() as made:
            made.bind(("127.0.0.1", number))

    def connect_to(number: int) -> None:
        with socket.socket() as made:
            made.connect(("127.0.0.1", number))

    def bound() -> list[int]:
        without_privileges()
        landlock.apply({}, ports, [(other, other)])
        return [
            errno_of(lambda: bind_to(port)),
            errno_of(lambda: bind_to(other)),
            errno_of(lambda: connect_to(port)),
            errno_of(lambda: connect_to(other)),
        ]

    bind_other = errno.EACCES if ranges == "one" else 0
    assert in_child(bound, who) == [0, bind_other, errno.EACCES, errno.ECONNREFUSED]


def test_grant_ports_adds_one_rule_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    rules: dict[int, int] = {}

    def add(_ruleset: int, port: int, rights: int) -> None:
        assert port not in rules
        rules[port] = rights

    monkeypatch.setattr(landlock, "add_port", add)
    landlock._grant_ports(0, (([(1, 4), (9, 9)], 1), ([(3, 5), (9, 10)], 2), ([(0, 99)], 0)))
    assert rules == {1: 1, 2: 1, 3: 3, 4: 3, 5: 2, 9: 3, 10: 2}


def apply_and_tell(paths: dict[str, list[bytes]], *, best_effort: bool = False) -> list[bytes]:
    """Return the missing paths of a policy that was applied."""
    without_privileges()
    return landlock.apply(paths, best_effort=best_effort).missing


def error_of(function: Callable[[], object]) -> tuple[int | None, str]:
    with pytest.raises(OSError, match="landlock") as caught:
        in_child(function)
    return caught.value.errno, str(caught.value.strerror)


@needs_landlock
@pytest.mark.parametrize("best_effort", [False, True])
@pytest.mark.parametrize(
    ("path", "number"),
    [
        pytest.param(b"/usr/../etc", errno.EACCES, id="parent"),
        pytest.param(b"..", errno.EACCES, id="parent-alone"),
        pytest.param(b"/proc/self/cwd", errno.ELOOP, id="magic-link"),
        pytest.param(b"/proc/self/root/etc", errno.ELOOP, id="magic-link-on-the-way"),
    ],
)
def test_apply_refuses_paths_that_say_more_than_a_name(
    path: bytes, number: int, best_effort: bool
) -> None:
    found, text = error_of(lambda: apply_and_tell(reading(path), best_effort=best_effort))
    assert found == number
    assert path.decode() in text


@needs_landlock
def test_apply_refuses_a_missing_path() -> None:
    found, text = error_of(lambda: apply_and_tell(reading(b"/nonexistent/here")))
    assert found == errno.ENOENT
    assert "/nonexistent/here" in text


@needs_landlock
def test_apply_skips_a_missing_path_when_it_may() -> None:
    rights = reading(b"/nonexistent/here", b"/usr", b"/etc/passwd/below")
    missing = in_child(lambda: apply_and_tell(rights, best_effort=True))
    assert missing == [b"/nonexistent/here", b"/etc/passwd/below"]


@needs_landlock
def test_apply_refuses_rights_of_directories_on_a_file() -> None:
    rights = {"read": [b"/etc/passwd"], "readdir": [b"/etc/passwd"]}
    found, text = error_of(lambda: apply_and_tell(rights))
    assert found == errno.EOPNOTSUPP
    assert "readdir" in text


@needs_landlock
def test_apply_drops_rights_of_directories_on_a_file_when_it_may() -> None:
    def bound() -> list[int]:
        rights = {"read": [b"/etc/passwd"], "readdir": [b"/etc/passwd"], "mkdir": [b"/etc/group"]}
        apply_and_tell(rights, best_effort=True)
        return [
            errno_of(lambda: os.open("/etc/passwd", os.O_RDONLY)),
            errno_of(lambda: os.open("/etc/group", os.O_RDONLY)),
        ]

    assert in_child(bound) == [0, errno.EACCES]


@needs_landlock
def test_apply_follows_ordinary_links(place: Path) -> None:
    (place / "link").symlink_to("a")

    def bound() -> int:
        apply_and_tell(reading(os.fsencode(place / "link")))
        return errno_of(lambda: os.open(place / "a/file", os.O_RDONLY))

    assert in_child(bound) == 0


@needs_landlock
def test_apply_takes_relative_paths_from_the_start_directory(place: Path) -> None:
    def bound() -> list[int]:
        start = os.open(place, os.O_PATH)
        os.chdir("/")
        without_privileges()
        landlock.apply(reading(b"a"), start=start)
        return [
            errno_of(lambda: os.open(place / "a/file", os.O_RDONLY)),
            errno_of(lambda: os.open(place / "b/file", os.O_RDONLY)),
        ]

    assert in_child(bound) == [0, errno.EACCES]


@needs_landlock
def test_apply_accepts_log_flags() -> None:
    def bound() -> bool:
        without_privileges()
        return landlock.apply({}, log={"same_exec_off", "new_exec_on", "subdomains_off"}).enforced

    assert in_child(bound)


@needs_landlock
def test_apply_tells_which_rights_the_kernel_cannot_refuse(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(landlock, "abi", lambda: 3)

    def bound() -> list[str]:
        without_privileges()
        rights = {"ioctl": [b"/"], "read": [b"/"], "connect": [b"/"], "truncate": [b"/"]}
        return landlock.apply(rights, [(80, 80)]).relaxed

    assert in_child(bound) == ["ioctl", "connect", "net"]


@pytest.mark.parametrize("version", [0, 1])
def test_apply_needs_landlock_unless_best_effort(
    monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    monkeypatch.setattr(landlock, "abi", lambda: version)
    with pytest.raises(OSError, match="landlock") as caught:
        landlock.apply({})
    assert caught.value.errno == errno.EOPNOTSUPP
    assert not landlock.apply({}, best_effort=True).enforced
    assert not landlock.scope_only()
    assert not landlock.scope_supervisor()
    assert not landlock.scope_child(EMULATED)


@needs_landlock
def test_a_domain_needs_no_new_privs_of_an_ordinary_user() -> None:
    identity = host.ordinary_user()
    with pytest.raises(PermissionError):
        in_child(lambda: landlock.scope_child(EMULATED), identity)
