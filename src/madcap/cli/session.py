# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox as a command line configures it: every way in, with its log records and refusals."""

from __future__ import annotations

import errno
import os

from madcap import events
from madcap.cli import environment
from madcap.cli.files import ConfigFile
from madcap.errors import MadcapError, PolicyError, describe
from madcap.policy.sandbox import Host, Sandbox

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from madcap.errors import Origin

_NAME_MAX = 4096
_PR_SET_PDEATHSIG = 1
_USER_FILES = (b"/etc/user.syd-3", b".user.syd-3")  # The second one below the home directory.


class Locked(PolicyError):
    """An option came after the sandbox was locked; *notice* is printed before the error."""

    def __init__(self, notice: str | None) -> None:
        super().__init__(errno.EPERM, "")
        self.notice = notice


class BadSetting(MadcapError):
    """A variable of the environment that stands for a command has a value it cannot have."""


class Configuration(Sandbox):
    """A sandbox that logs which commands it took, and that can read files."""

    def __init__(self, environ: dict[bytes, bytes]) -> None:
        super().__init__(environ, _host(), _profile_text)
        self.client = client_text
        self.user_parsed = False
        self._announced = False
        self._real = True  # False for a copy: what is done to it shows nowhere.

    def execute(self, command: str, origin: Origin | None = None) -> None:
        """Carry out *command* and log what became of it; raise PolicyError if it is refused."""
        self._announce()
        try:
            if command in ("dump", "stat"):
                self._print(command, origin)
            else:
                super().execute(command, origin)
        except PolicyError as error:
            log_refusal(command, error.errno)
            raise
        if "log/" in command and self._real:
            self.configure_log()
        if events.level >= events.DEBUG:
            events.emit(
                events.DEBUG,
                {"ctx": "configure_sandbox", "cfg": command},
                msg=f"configured sandbox with command {events.printable(command)}",
            )

    def execute_line(self, line: str, origin: Origin) -> None:
        """Carry out a line of a file; of a profile in it, only what failed inside is logged."""
        if line.startswith("include_profile "):
            try:
                self.include_profile(line.removeprefix("include_profile "))
            except PolicyError as error:
                self.place(error, line, origin)
                raise
        else:
            self.execute(line, origin)

    def execute_quietly(self, command: str, origin: Origin) -> None:
        """Carry out *command* without a record of it."""
        super().execute(command, origin)

    def block(self, networks: list[str]) -> tuple[int, PolicyError] | None:
        """Block *networks*; return the place, from 0, and the reason of the first refusal."""
        from madcap.policy import blocklist

        return blocklist.add_all(self, networks)

    def expand(self, text: str) -> str:
        """Return *text* with its variables replaced, and log that."""
        self._announce()
        try:
            value = super().expand(text)
        except PolicyError as error:
            record: dict[str, object] = {"ctx": "configure_expand", "op": "shellexpand"}
            events.emit(
                events.ERROR,
                {**record, "err": error.errno, "var": text},
                msg=f"expand variable `{events.printable(text)}' failed: {describe(error.errno)}",
            )
            raise
        if value != text and events.level >= events.DEBUG:
            record = {"ctx": "configure_expand", "op": "shellexpand", "var": text, "val": value}
            shown = events.printable(text), events.printable(value)
            message = f"expanded variable `{shown[0]}' to `{shown[1]}'"
            events.emit(events.DEBUG, record, msg=message)
        return value

    def _announce(self) -> None:
        """Set the variables configuration may refer to, once, before the first command."""
        if not self._announced:
            self._announced = True
            environment.announce(self.environ)

    def _print(self, form: str, origin: Origin | None) -> None:
        """Write the state to standard error, as JSON (*form* is `dump`) or for people (`stat`)."""
        if self.locked or self.in_drop:
            raise PolicyError(errno.EPERM, f"the lock forbids {form}", origin)
        if self.running:
            raise PolicyError(errno.EBUSY, "possible only before the sandbox starts", origin)
        if not self._real:
            return
        from madcap.linux import landlock
        from madcap.policy import report

        self.host.landlock_abi = landlock.abi()
        text = report.dump_text(self) if form == "dump" else report.stat_text(self)
        data = text.encode("utf-8", "backslashreplace")
        if not data.endswith(b"\n"):
            data += b"\n"
        while data:
            data = data[os.write(2, data) :]

    def trial(self) -> Configuration:
        """Return a copy to try the rest of a file on that has an error."""
        import copy

        other = copy.deepcopy(self)
        other._real = False
        return other

    def configure_log(self) -> None:
        """Make the log what the commands of the family ``log/`` say."""
        if self.log_level is not None:
            events.level = self.log_level
        events.verbose = self.verbose
        events.interval, events.burst = self.log_interval, self.log_burst

    def load_file(self, path: str) -> None:
        """Apply the configuration file *path*."""
        self.read_file(os.fsencode(path), self.origin or ("-P", 1))

    def read_file(self, path: bytes, origin: Origin) -> None:
        """Apply the configuration file *path*, which *origin* asks for."""
        ConfigFile(path, self, origin).apply()

    def _apply_profile(self, name: str) -> None:
        """Apply one built-in profile; `user` goes on with the files of the machine and the user."""
        if name == "user":
            self.user_parsed = True
        super()._apply_profile(name)
        if name == "user" and not self.running:
            home = self.environ.get(b"HOME") or b"/var/empty"
            for file in _USER_FILES:
                self._user_file(os.path.join(home, file))

    def _user_file(self, path: bytes) -> None:
        """Apply a file that may be missing, and that is left out when it is not safe to read."""
        shown = events.printable(path)
        if self.locked:
            _log_user_file(
                events.WARN, path, errno.EPERM, f"parsing `{shown}' prevented by the sandbox lock"
            )
            return
        try:
            self.read_file(path, ("profile user", 0))
        except PolicyError as error:
            if error.errno == errno.ENOENT and not os.path.lexists(path):
                _log_user_file(events.INFO, path, error.errno, f"file `{shown}' does not exist")
            elif error.errno in (errno.EACCES, errno.EPERM):
                _log_user_file(events.WARN, path, error.errno, f"parsing `{shown}' failed: {error}")
            else:
                _log_user_file(
                    events.ERROR, path, error.errno, f"parsing `{shown}' failed: {error}"
                )
                raise


class Session:
    """What the options of one command line build up."""

    __slots__ = ("environ", "sandbox")

    def __init__(
        self, environ: dict[bytes, bytes], kind: type[Configuration] = Configuration
    ) -> None:
        self.environ = environ
        self.sandbox = kind(environ)

    def setting(self, name: bytes, command: str, value: bytes = b"") -> None:
        """Carry out the command that the variable *name* stands for."""
        text = command + value.decode("utf-8", "surrogateescape")
        origin = (name.decode(), 1)
        try:
            if name.startswith(b"SYD_PROXY_"):
                self.sandbox.execute(text, origin)  # A refusal of these is logged.
            else:
                self.sandbox.execute_quietly(text, origin)
        except PolicyError as error:
            raise BadSetting(f"{name.decode()}: {describe(error.errno)}: {error.message}") from None

    def refuse_if_locked(self, action: str | None) -> None:
        """Raise Locked if the sandbox takes no more configuration; *action* is what was wanted."""
        if self.sandbox.locked:
            raise Locked(action and f"Failed to {action}: sandbox locked!")

    def magic(self, value: bytes, origin: Origin) -> None:
        """Carry out the command of an option ``-m``."""
        shown = events.printable(value)
        self.refuse_if_locked(f"execute magic command `{shown}'")
        if not (value.isascii() and shown == value.decode()):
            log_refusal(shown, errno.EINVAL)
            raise PolicyError(
                errno.EINVAL,
                "command has a byte that is not printable ASCII",
                origin,
                None,
                "it in a file (-P), or the path in hex",
            )
        self.sandbox.execute(shown, origin)

    def timeout(self, value: bytes, origin: Origin) -> None:
        """Set the time after which the sandbox ends."""
        try:
            text = value.decode()
        except UnicodeDecodeError:
            raise PolicyError(
                errno.EINVAL, "duration is not UTF-8", origin, None, "seconds, or 1h 30m"
            ) from None
        self.refuse_if_locked("set sandbox timeout")
        self.sandbox.execute(f"timeout:{text}", origin)

    def profile(self, name: str, source: str) -> None:
        """Apply the built-in profile *name*."""
        try:
            self.sandbox.include_profile(name)
        except PolicyError as error:
            self.sandbox.place(error, name, (source, 1))
            raise

    def variable(self, text: str, origin: Origin) -> None:
        """Change the environment as an option ``-e`` asks: ``var=val``, ``var=`` or ``var``."""
        self.refuse_if_locked(None)
        if self.sandbox.in_drop:
            raise PolicyError(errno.EPERM, "lock:drop permits no change of the environment", origin)
        name, equals, value = text.partition("=")
        key = name.encode()
        if not name.strip():
            raise PolicyError(errno.EINVAL, "variable without a name", origin, 0, "NAME=VALUE")
        if len(key) > _NAME_MAX:
            raise PolicyError(errno.ENAMETOOLONG, "name of a variable over 4096 bytes", origin)
        passed = self.sandbox.passenv
        if not equals:
            if name in passed:
                passed.remove(name)
            self.environ.pop(key, None)
            return
        if key[:3].upper() == b"SYD":
            raise PolicyError(errno.EPERM, f"{name} belongs to the sandbox itself", origin, 0)
        if name not in passed:
            passed.append(name)
        if value:
            self.environ[key] = value.encode()

    def run(self, argv: list[bytes], alias: bytes | None, nowhere: bool) -> int:
        """Start *argv* in the sandbox and return its status; *nowhere* is where it may be put."""
        sandbox = self.sandbox
        self._check_threads()
        keep_unsafe = "allow_unsafe_env" in sandbox.options
        environ = environment.for_command(self.environ, _matcher(sandbox.passenv), keep_unsafe)
        if nowhere:
            os.chdir(environment.NOWHERE)
        _set_parent_death_signal(self.environ)
        from madcap.sandbox import run

        return run(sandbox, argv, alias, environ)

    def _check_threads(self) -> None:
        """Raise BadSetting if SYD_NPROC is no number of threads, or SYD_INTERRUPT no way."""
        way = self.environ.get(b"SYD_INTERRUPT", b"state")
        if way not in (b"state", b"status"):
            raise BadSetting("SYD_INTERRUPT must be state or status")
        given = self.environ.get(b"SYD_NPROC")
        if given is None or (given.isdigit() and int(given) > 0):
            return
        message = "SYD_NPROC must be a number from 1"
        record: dict[str, object] = {"ctx": "panic", "act": "exit", "name": "main", "msg": message}
        events.emit(events.ALERT, record)
        raise BadSetting(message)


def _set_parent_death_signal(environ: dict[bytes, bytes]) -> None:
    """Have the kernel send us the signal that SYD_PDS names when who started us ends."""
    number = environment.parent_death_signal(environ)
    if number is not None:
        from madcap.linux._call import call

        call("prctl", _PR_SET_PDEATHSIG, number, 0, 0, 0)


def log_refusal(command: str, number: int) -> None:
    """Log that *command* was refused; a question that is answered no is nothing but detail."""
    if number == errno.ENOENT:
        events.emit(
            events.DEBUG,
            {"ctx": "query_sandbox", "err": number, "cfg": command},
            msg="sandbox query returned false",
        )
        return
    events.emit(
        events.ERROR,
        {"ctx": "configure_sandbox", "err": number, "cfg": command},
        msg=f"sandbox configure error for `{events.printable(command)}': {describe(number)}",
    )


def _log_user_file(level: int, path: bytes, number: int, message: str) -> None:
    """Log what became of one of the files that belong to the profile `user`."""
    record: dict[str, object] = {"ctx": "configure_user", "path": path, "err": number}
    events.emit(level, record, msg=message)


def _matcher(globs: list[str]) -> Callable[[bytes], bool]:
    """Return a function that says whether one of *globs* matches the name of a variable."""
    if not globs:
        return lambda _name: False
    from madcap.policy.glob import Glob

    compiled = [Glob(glob.encode("utf-8", "surrogateescape")) for glob in globs]
    return lambda name: any(glob.match(name) for glob in compiled)


def _profile_text(name: str) -> str | None:
    """Return the text of the built-in profile *name*."""
    here = os.path.dirname(os.path.dirname(__file__))
    try:
        with open(f"{here}/policy/profiles/{name}.rules", encoding="utf-8") as file:
            return file.read()
    except OSError:
        return None


def client_text(name: str) -> str:
    """Return the library that gives commands from another language: *name* is ``sh`` or ``el``."""
    here = os.path.dirname(os.path.dirname(__file__))
    file_name = {"sh": "esyd.sh", "el": "syd.el"}[name]
    with open(f"{here}/policy/clients/{file_name}", encoding="utf-8") as file:
        return file.read()


def _host() -> Host:
    """Return what commands need to know of this machine, found without a costly probe."""
    kernel = os.uname()
    return Host(
        uid=os.getuid(),
        gid=os.getgid(),
        machine=kernel.machine,
        page_size=os.sysconf("SC_PAGESIZE"),
        passrights=environment.kernel_version() >= (6, 16),
    )
