# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration files: opening only what nobody else could have written, and reading it by lines.

Whoever writes a configuration file writes the policy. So no link is followed on the way to one, and
the file and the directory that holds it must belong to root or to the effective user and be
writable by nobody else. Each component is opened by itself and held, and what is checked is what is
read: there is no second look-up by name that could find something else.

A file is read in pieces and each line is complete before it counts, so a line of 1 GiB ends at its
first 4 KiB, and a fifo or a device is refused before anything waits for it.

The first line that fails ends it for the sandbox, but whoever wrote the file wants to know of the
others too. So the rest is tried on a copy, which nothing comes of but its errors.
"""

from __future__ import annotations

import errno
import os
import stat

from madcap import events
from madcap.errors import PolicyError, describe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final, Protocol

    from madcap.errors import Origin

    class Target(Protocol):
        """What the lines of a file are applied to."""

        @property
        def locked(self) -> bool:
            """Whether no more lines are taken."""

        def execute_line(self, line: str, origin: Origin) -> None:
            """Carry out *line*."""

        def block(self, networks: list[str]) -> tuple[int, PolicyError] | None:
            """Block *networks*; return the place, from 0, and the reason of the first refusal."""

        def expand(self, text: str) -> str:
            """Return *text* with its variables replaced."""

        def trial(self) -> Target:
            """Return a copy that leaves no trace of what is done to it."""


LONGEST: Final = 4095  # Bytes of a line, without its end.
DEEPEST: Final = 32  # Levels of include.
ERRORS_MAX: Final = 1000  # Of one file and all it includes: then nobody reads on.
_PIECE: Final = 65536
_MANY: Final = 4096  # Networks of a list that are blocked at once.
_PATH: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class ConfigFile:
    """The configuration file *path* and all it includes, to be applied to *target*.

    *asked* is the place that asks for it.
    """

    __slots__ = ("_asked", "_directory", "_errors", "_mount", "_path", "_seen", "_target")

    def __init__(self, path: bytes, target: Target, asked: Origin) -> None:
        self._path = path
        self._target = target
        self._asked = asked
        self._seen: set[tuple[int, int]] = set()
        self._errors: list[PolicyError] = []
        self._directory = -1
        self._mount = 0

    def apply(self) -> None:
        """Execute the file line by line, up to the first one that fails.

        Raise PolicyError for that one; its `also` has the errors of the lines after it.
        """
        parts = self._path.split(b"/")
        if b".." in parts:
            raise self._error(errno.EPERM, "`..' in a path", "a path without it")
        start = os.open(b"/" if self._path.startswith(b"/") else b".", _PATH | os.O_DIRECTORY)
        try:
            file, self._directory = self._open(start, self._path, self._path)
            self._mount = _mount(self._directory)
        finally:
            os.close(start)
        try:
            self._check(os.fstat(file), "file", self._path)
            self._check(os.fstat(self._directory), "directory of the file", self._path)
            self._check_name(self._path, (b"syd-3",), "parse_config_file")
            log = events.fd
            try:
                self._lines(file, self._path, 0)
            finally:
                events.fd = log
        finally:
            os.close(file)
            os.close(self._directory)
        if self._errors:
            first, *rest = self._errors
            first.also += rest
            raise first

    def _failed(self, error: PolicyError) -> None:
        """Keep *error*; what follows the first one is done to a copy, and without a log.

        That something is full is said once: every line after it has the same fate.
        """
        if not self._errors:
            self._target = self._target.trial()
            events.fd = -1
        for each in (error, *error.also):  # A file that seeds a domain has its own.
            if each.errno != errno.ENOSPC or each.errno not in [e.errno for e in self._errors]:
                self._errors.append(each)
        error.also = []

    def _lines(self, file: int, path: bytes, depth: int) -> None:
        """Execute all lines of the descriptor *file*, which was called *path*."""
        source = events.printable(path)
        try:
            for number, raw in self._split(file, path):
                try:
                    self._line(raw, (source, number), depth)
                except PolicyError as error:
                    self._failed(error)
                    if self._target.locked or len(self._errors) >= ERRORS_MAX:
                        break
        except PolicyError as error:
            self._failed(error)

    def _line(self, raw: bytes, origin: Origin, depth: int) -> None:
        """Execute the line *raw*."""
        try:
            line = raw.decode()
        except UnicodeDecodeError as error:
            raise PolicyError(
                errno.EILSEQ, "line is not UTF-8", origin, error.start, "UTF-8 text"
            ) from None
        if not line.strip() or line.lstrip().startswith("#"):
            return
        if self._target.locked:
            raise PolicyError(errno.EPERM, "sandbox is locked by an earlier line", origin)
        if not line.startswith("include "):
            self._target.execute_line(line, origin)
            return
        try:
            self._include(line.removeprefix("include "), origin, depth + 1)
        except PolicyError as error:
            if error.text is None and error.origin == origin:
                error.text, error.column = line, 8
            raise

    def _include(self, given: str, origin: Origin, depth: int) -> None:
        """Execute the file that an ``include`` line names, as seen from the top-level file."""
        path = self._expand(given, origin)
        if not path or b".." in path.split(b"/"):
            raise PolicyError(
                errno.EINVAL, "path of include is empty or has `..'", origin, 8, "a path below"
            )
        self._check_name(path, (b"syd-3", b"ipset", b"netset"), "include_profile", origin)
        file, directory = self._open(self._directory, path, path, origin)
        os.close(directory)
        try:
            status = os.fstat(file)
            self._check(status, "included file", path, origin)
            identity = (status.st_ino, _mount(file))
            if identity in self._seen or depth > DEEPEST:
                why = "is included again" if identity in self._seen else "is included too deeply"
                shown = events.printable(path)
                raise PolicyError(errno.ELOOP, f"`{shown}' {why}", origin, 8, "each file once")
            self._seen.add(identity)
            if path.endswith(b".syd-3"):
                self._lines(file, path, depth)
            else:
                self._networks(file, path)
        finally:
            os.close(file)

    def _expand(self, given: str, origin: Origin) -> bytes:
        """Return the path of an ``include`` line with its variables replaced."""
        try:
            return self._target.expand(given).encode("utf-8", "surrogateescape")
        except PolicyError as error:
            raise PolicyError(error.errno, error.message, origin, 8, error.expected) from None

    def _networks(self, file: int, path: bytes) -> None:
        """Add each network in *file* to the blocklist."""
        source = events.printable(path)
        numbers: list[int] = []
        texts: list[str] = []
        for number, raw in self._split(file, path):
            line = raw.decode("utf-8", "surrogateescape").strip()
            if line and line[0] != "#":
                numbers.append(number)
                texts.append(line)
                if len(texts) >= _MANY:
                    self._block(source, numbers, texts)
                    numbers, texts = [], []
        self._block(source, numbers, texts)

    def _block(self, source: str, numbers: list[int], texts: list[str]) -> None:
        """Block *texts*, which stand in the lines *numbers* of *source*."""
        while texts and len(self._errors) < ERRORS_MAX:
            refusal = self._target.block(texts)
            if refusal is None:
                return
            place, error = refusal
            number = numbers[place]
            error.origin, error.text, error.column = (source, number), texts[place], 0
            record: dict[str, object] = {"ctx": "parse_netset", "op": "parse_ipnet"}
            record |= {"err": error.errno, "line": number}
            events.emit(events.ERROR, record, msg=f"invalid IP network at line {number}: {error}")
            self._failed(error)
            numbers, texts = numbers[place + 1 :], texts[place + 1 :]

    def _split(self, file: int, path: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield number and text of each line of *file*; raise where one is too long or cut."""
        number = 0
        held = b""
        while True:
            piece = os.read(file, _PIECE)
            lines = (held + piece).split(b"\n")
            held = lines.pop()
            for line in lines:
                number += 1
                if len(line) > LONGEST:
                    raise self._too_long(path, number)
                yield number, line
            if len(held) > LONGEST:
                raise self._too_long(path, number + 1)
            if not piece:
                break
        if held:
            raise PolicyError(
                errno.ENAMETOOLONG,
                "last line does not end",
                (events.printable(path), number + 1),
                len(held),
                "a newline",
            )

    def _too_long(self, path: bytes, number: int) -> PolicyError:
        """Return the complaint about the length of line *number*."""
        return PolicyError(
            errno.ENAMETOOLONG,
            "line is too long",
            (events.printable(path), number),
            LONGEST,
            f"at most {LONGEST} bytes",
        )

    def _open(
        self, start: int, path: bytes, shown: bytes, origin: Origin | None = None
    ) -> tuple[int, int]:
        """Return descriptors of the file *path* below *start* and of the directory it is in."""
        if not path:
            raise self._error(errno.ENOENT, "empty path", "a file name", origin)
        parts = [part for part in path.split(b"/") if part not in (b"", b".")]
        if not parts:
            raise self._error(errno.EBADFD, "path is a directory", "a regular file", origin)
        directory = os.dup(start)
        try:
            for part in parts[:-1]:
                inner = self._step(directory, part, shown, origin)
                os.close(directory)
                directory = inner
            return self._last(directory, parts[-1], path, origin), directory
        except OSError as error:
            os.close(directory)
            number = error.errno or errno.EIO
            raise self._error(
                number, f"cannot open `{events.printable(shown)}'", None, origin
            ) from (error)
        except PolicyError:
            os.close(directory)
            raise

    def _step(self, directory: int, part: bytes, shown: bytes, origin: Origin | None) -> int:
        """Return a descriptor of the directory *part* of *directory*."""
        inner = os.open(part, _PATH, dir_fd=directory)
        mode = os.fstat(inner).st_mode
        crossed = origin is not None and _mount(inner) != self._mount
        if stat.S_ISDIR(mode) and not crossed:
            return inner
        os.close(inner)
        what = f"`{events.printable(part)}' in `{events.printable(shown)}'"
        if crossed:
            raise self._error(errno.EXDEV, f"{what} is another file system", None, origin)
        if stat.S_ISLNK(mode):
            raise self._error(errno.ELOOP, f"{what} is a symbolic link", "no links", origin)
        raise self._error(errno.ENOTDIR, f"{what} is not a directory", "a directory", origin)

    def _last(self, directory: int, name: bytes, path: bytes, origin: Origin | None) -> int:
        """Return a descriptor to read the regular file *name* of *directory* with."""
        found = os.open(name, _PATH, dir_fd=directory)
        try:
            status = os.fstat(found)
            if not stat.S_ISREG(status.st_mode):
                raise self._error(
                    errno.EBADFD,
                    f"`{events.printable(path)}' is {_kind(status.st_mode)}",
                    "a regular file",
                    origin,
                )
            if path.endswith(b"/"):
                raise OSError(errno.ENOTDIR, "a regular file is no directory")
            if origin is not None and _mount(found) != self._mount:
                raise OSError(errno.EXDEV, "the file is mounted there from elsewhere")
            file = os.open(name, _READ, dir_fd=directory)
            if not os.path.samestat(os.fstat(file), status):
                os.close(file)
                raise OSError(errno.EBADFD, "the file was replaced meanwhile")
            return file
        finally:
            os.close(found)

    def _check(
        self, status: os.stat_result, what: str, path: bytes, origin: Origin | None = None
    ) -> None:
        """Raise PolicyError with EPERM if somebody else may write what has this *status*."""
        shown = events.printable(path)
        if status.st_mode & 0o022:
            raise self._error(
                errno.EPERM,
                f"{what} `{shown}' is writable by others",
                "no write permission for group and others",
                origin,
            )
        if status.st_uid not in (0, os.geteuid()):
            raise self._error(
                errno.EPERM,
                f"{what} `{shown}' belongs to user {status.st_uid}",
                "root or the running user",
                origin,
            )

    def _check_name(
        self, path: bytes, allowed: tuple[bytes, ...], context: str, origin: Origin | None = None
    ) -> None:
        """Raise PolicyError with EOPNOTSUPP unless *path* has one of the *allowed* extensions."""
        _, dot, extension = path.rpartition(b"/")[2].rpartition(b".")
        if dot and extension in allowed:
            return
        shown = events.printable(path)
        wrong = "invalid" if dot else "missing"
        events.emit(
            events.ERROR,
            {"ctx": context, "path": path, "uid": os.getuid(), "time": None},
            msg=f"profile load from `{shown}' prevented due to {wrong} file extension",
            tip="use file extension `syd-3' for profiles",
        )
        words = " or ".join([name.decode() for name in allowed])
        raise self._error(
            errno.EOPNOTSUPP, f"`{shown}' has no known extension", f"the extension {words}", origin
        )

    def _error(
        self, number: int, message: str, expected: str | None, origin: Origin | None = None
    ) -> PolicyError:
        """Return a PolicyError about the file itself."""
        if expected is None:
            message, expected = f"{message}: {describe(number)}", None
        return PolicyError(number, message, origin or self._asked, None, expected)


def _kind(mode: int) -> str:
    """Return what a file of this *mode* is."""
    for test, words in (
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISLNK, "a symbolic link"),
        (stat.S_ISFIFO, "a fifo"),
        (stat.S_ISSOCK, "a socket"),
    ):
        if test(mode):
            return words
    return "a device"


def _mount(fd: int) -> int:
    """Return the number of the mount that *fd* is on, that of the device where /proc is missing."""
    try:
        file = os.open(b"/proc/self/fdinfo/%d" % fd, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return os.fstat(fd).st_dev
    try:
        for line in os.read(file, 4096).splitlines():
            if line.startswith(b"mnt_id:"):
                return int(line[7:])
    finally:
        os.close(file)
    return os.fstat(fd).st_dev
