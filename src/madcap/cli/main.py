# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: options act from left to right, then the command is started.

What is printed, and with which status it ends, follows the command line madcap is compatible with;
after its ``Error:`` line comes one of ours that names the place, the thing and what was expected.
Modules are imported where they are needed: ``-V`` should not pay for the policy.
"""

from __future__ import annotations

import errno
import os

from madcap import events
from madcap.cli.options import Scanner
from madcap.errors import MadcapError, PolicyError, UsageError, describe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from madcap.cli.session import Session

USAGE: Final = 128  # A command line that cannot be understood, or an error without an errno.
PANIC: Final = 101  # A bad setting in the environment, or a mistake of ours.
NO_MEMORY: Final = 102
INTERRUPTED: Final = 130

_SHELL: Final = (
    *(b"/usr/bin/env", b"HISTFILE=", b"/usr/bin/bash"),
    *(b"--login", b"--noprofile", b"--norc", b"--restricted"),
)
_REPORTS: Final = {
    b"-h": "h",
    b"--help": "h",
    b"-V": "V",
    b"--version": "V",
    b"-C": "C",
    b"--check": "C",
    b"--api": "api",
    b"--el": "el",
    b"--sh": "sh",
}


class Done(Exception):
    """An option has answered and nothing is to be run: *status* ends the program."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def main(argv: list[bytes], environ: dict[bytes, bytes]) -> int:
    """Run the command line *argv* and return the exit status. Never raises."""
    try:
        return _main(argv, environ)
    except Done as done:
        return done.status
    except UsageError as error:
        _complain(f"Error: ArgsParseError: {error}")
        return USAGE
    except MadcapError as error:
        return _report(error)
    except OSError as error:
        return _report(PolicyError(error.errno or errno.EIO, error.strerror or str(error)))
    except KeyboardInterrupt:
        return INTERRUPTED
    except MemoryError:
        _complain("madcap: out of memory")
        return NO_MEMORY
    except Exception as error:  # Our mistake: one line and no traceback.
        events.bug("main", error)
        _complain(f"madcap: internal error: {type(error).__name__}: {error}")
        return PANIC


def _complain(line: str) -> None:
    """Print *line* on standard error; what cannot be printed there is escaped."""
    shown = "".join([char if char.isprintable() else f"\\x{ord(char):02x}" for char in line])
    try:
        os.write(2, shown.encode("utf-8", "backslashreplace") + b"\n")
    except OSError:
        return  # Nobody listens; the exit status still tells.


def _report(error: MadcapError) -> int:
    """Print the lines for *error* and return the exit status."""
    from madcap.cli.session import BadSetting, Locked

    if isinstance(error, BadSetting):
        _complain(f"madcap: {error}")
        return PANIC
    if isinstance(error, Locked):
        if error.notice is not None:
            _complain(error.notice)
        _complain(f"Error: LinuxError: {describe(error.errno)}")
        return error.errno
    detail = str(error)
    if not error.errno:
        _complain(f"madcap: {detail}")
        return USAGE
    _complain(f"Error: LinuxError: {describe(error.errno)}")
    if isinstance(error, PolicyError):
        from madcap.cli import complaint

        for line in complaint.lines(error):
            _complain(line)
    elif detail:
        _complain(f"madcap: {detail}")
    return error.errno if error.errno <= 255 else 1


def _main(argv: list[bytes], environ: dict[bytes, bytes]) -> int:
    """Run the command line; every failure is an exception."""
    from madcap.cli import environment

    name = os.path.basename(argv[0]) if argv else b"madcap"
    login = name.startswith(b"-")
    words = argv[1:]
    events.configure(environ)
    environment.forget_internal(environ)
    if not login and words:
        report = _REPORTS.get(words[0])
        if report is not None:
            return _answer(report)
    _write_pid_file(environ)

    from madcap.cli.session import Session

    session = Session(environ)
    apply_settings(session)
    if login or not words:
        session.profile("user", "login")
    invocation = Invocation(session, Scanner(words))
    invocation.options()
    sandbox = session.sandbox
    if invocation.wants_user and not sandbox.user_parsed and not sandbox.locked:
        session.profile("user", "login")
    return invocation.start()


def _answer(report: str) -> int:
    """Print what one of the options asks that run nothing, and return the status."""
    if report in ("h", "V"):
        from madcap.cli import version

        text = version.help_text() if report == "h" else version.version()
    elif report == "C":
        from madcap.cli import check

        text = check.report()
    elif report == "api":
        from madcap.policy import interface, json_text

        text = json_text.pretty(interface.api())
    else:
        from madcap.cli import session

        text = session.client_text(report)
    _print(text)
    return 0


def _print(text: str) -> None:
    """Write *text* to standard output; a reader who left ends us."""
    import _signal  # type: ignore[import-not-found]  # `signal` imports enum: 4 ms

    _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)
    data = text.encode("utf-8", "backslashreplace")
    while data:
        data = data[os.write(1, data) :]


def _write_pid_file(environ: dict[bytes, bytes]) -> None:
    """Leave our number in the file that SYD_PID_FN names; it must not exist."""
    path = environ.get(b"SYD_PID_FN")
    if path is None:
        return
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(path, flags, 0o400)
        try:
            os.write(file, b"%d" % os.getpid())
        finally:
            os.close(file)
    except (OSError, ValueError) as error:
        number = error.errno if isinstance(error, OSError) and error.errno else errno.EINVAL
        shown = events.printable(path)
        events.emit(
            events.ERROR,
            {"ctx": "write_pid_file", "pid_file": path, "err": number},
            msg=f"pid file create error: {os.strerror(number)} (os error {number})",
            tip=f"remove file `{shown}' or unset SYD_PID_FN",
        )
        raise OSError(number, f"SYD_PID_FN: cannot create `{shown}'") from None


def apply_settings(session: Session) -> None:
    """Carry out the environment variables that stand for commands."""
    from madcap.cli import environment

    for name, command in environment.FLAGS:
        if name in session.environ:
            session.setting(name, command)
    for name, command in environment.VALUES:
        if name in session.environ:
            session.setting(name, command, session.environ[name])
    address = session.environ.get(b"SYD_IPC")
    if address:
        session.setting(b"SYD_IPC", "ipc:", address)
    for name, command in environment.PROXY:
        if name in session.environ:
            session.setting(name, command, session.environ[name])


class Invocation:
    """One pass over the options, and the start of the command."""

    __slots__ = (
        "alias", "counts", "export", "scanner", "script", "session", "wants_user",
    )  # fmt: skip

    def __init__(self, session: Session, scanner: Scanner) -> None:
        self.session = session
        self.scanner = scanner
        self.alias: bytes | None = None
        self.script: bytes | None = None
        self.export: str | None = None
        self.wants_user = False
        self.counts: dict[str, int] = {}  # How often -m and the like were given, for messages.
        mode = session.environ.get(b"SYD_DUMP_SCMP", b"").lower()
        if mode in (b"bpf", b"pfc"):
            self.export = mode.decode()

    def options(self) -> None:
        """Carry out all options, in their order."""
        while True:
            option = self.scanner.next()
            if option is None:
                return
            self.counts[option] = self.counts.get(option, 0) + 1
            if option in ("m", "p", "P", "t", "x", "e"):
                self._configure(option)
            elif option == "v":
                sandbox = self.session.sandbox
                sandbox.verbose = min(sandbox.verbose + 1, 3)
                sandbox.configure_log()
            elif option in ("f", "l"):
                self.wants_user = True
            elif option == "c":
                if self.script is None:
                    self.script = self.scanner.value()
                self.wants_user = True
            elif option == "a":
                self.alias = self.scanner.value()
            elif option == "E":
                self._export()
            elif option != "q":
                raise Done(_answer(option))

    def _configure(self, option: str) -> None:
        """Carry out an option that changes the sandbox."""
        session = self.session
        origin = (f"-{option}", self.counts[option])
        if option == "m":
            session.magic(self.scanner.value(), origin)
        elif option == "p":
            name = self.scanner.text()
            session.refuse_if_locked(f"parse profile `{events.printable(name)}'")
            session.profile(name, origin[0])
        elif option == "P":
            path = self.scanner.value()
            session.refuse_if_locked(f"parse config file `{events.printable(path)}'")
            session.sandbox.read_file(path, origin)
        elif option == "t":
            session.timeout(self._duration(), origin)
        elif option == "x":
            session.refuse_if_locked(None)
            session.profile("trace", origin[0])
        else:
            session.variable(self.scanner.text(), origin)

    def _duration(self) -> bytes:
        """Return the value of ``-t``; that it is missing is the same error as a bad one."""
        try:
            return self.scanner.value()
        except UsageError as error:
            origin = ("-t", self.counts["t"])
            raise PolicyError(errno.EINVAL, str(error), origin, None, "a duration") from None

    def _export(self) -> None:
        """Remember which form the filters are to be printed in."""
        mode = self.scanner.text().lower()
        if mode not in ("bpf", "pfc"):
            raise PolicyError(
                errno.EINVAL, f"unknown mode `{mode}'", ("-E", self.counts["E"]), 0, "bpf or pfc"
            )
        self.export = mode

    def start(self) -> int:
        """Choose the command, start it in the sandbox and return its status."""
        words = self.scanner.rest()
        environ = self.session.environ
        shell = environ.get(b"SYD_SHELL")
        alias = self.alias
        nowhere = b"SYD_CHDIR" in environ
        if self.script is not None:
            argv = [*((shell,) if shell else _SHELL), b"-c", self.script, *words]
        elif words:
            argv = words
        else:
            argv = [shell] if shell else list(_SHELL)
            alias = b"-" if alias is None else alias
            nowhere = nowhere or (not shell and self.export is None)
        if self.export is not None:
            from madcap.cli.export import export

            _print(export(self.session.sandbox, self.export, environ))
            return 0
        return self.session.run(argv, alias, nowhere)
