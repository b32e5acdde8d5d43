# SPDX-License-Identifier: GPL-3.0-or-later
"""The same command lines, given to madcap and to the program it can stand in for.

What must agree is the exit status, the log records but for what names a process or a moment, and
the ``Error:`` line. Our own lines that explain more are left out of the comparison.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import MADCAP, ROOT, Result, run

_PATH = os.environ.get("MADCAP_REFERENCE", ROOT.parent / "shared" / "reference" / "bin" / "syd")
REFERENCE = Path(_PATH)
_PASSING = ("id", "hid", "syd", "time", "pid", "cmd")

pytestmark = pytest.mark.skipif(
    not os.access(REFERENCE, os.X_OK), reason="no reference program to compare with"
)

LONG = "a" * 4097
USAGE = [
    ("-Z",), ("-vZ", "true"), ("--nope",), ("--verb", "true"), ("--verbose=3",), ("--verbose=",),
    ("-v=3", "true"), ("-v=",), ("-=",), ("-=x",), ("--=x",), ("---",), ("-f=1",), ("-l1",),
    ("-m",), ("-p",), ("-P",), ("-c",), ("-a",), ("-e",), ("-E",), ("-t",), ("-vm",),
    ("--profile",), (b"-\xff",), (b"--\xff",), (b"--n\xc3\xa9",), (b"-\xc3\xa9",),
    (b"-v\xe2\x82",), (b"--verbose=\xff\n\"\\\x1b\xc3\xa9'\t\x00"[:-1], "true"), ("--login=a b",),
    (b"-p\xff",), (b"-e\xff=1",), (b"-E\xff",), (b"-t\xff",), ("-E", "nope"), ("-E=",),
    ("-c", "a", "-cfoo"), ("-c", "a", "-c=foo"), ("-q", "-Z"), ("-qq", "--nope"), ("--version=1",),
]  # fmt: skip
COMMANDS = [
    ("-m", "foo"), ("-mfoo",), ("-m=foo",), ("-m==foo",), ("-vm=foo",), ("-m", "-h"), ("-m", "--"),
    ("-m", 'fo"\\'), ("-m", "fo\tx"), ("-m", "fo\nx"), (b"-mfo\xff",), (b"-mfo\xc3\xa9",),
    ("-m", "a\x7f"), ("-m", " sandbox/all:off"), ("-m", "include /etc/x.syd-3"),
    ("-m", b"setenv!A=\xc3\xa9"), ("-m", "sandbox/all:"), ("-m", "sandbox/nope:on"),
    ("-m", "@nope/lock:on"), ("-m", "include_profile nope"), ("-m", "include_profile "),
    ("-m", "allow/read+${NOPE}/x"), ("-m", "passenv+SYD_UID"), ("-m", "setenv!SYD_X=1"),
    ("-m", "lock:nope"), ("-m", "lock:on", "-m", "lock:off"), ("-m", "4"), ("-m", "trace/nope:1"),
    ("-m", "cmd/exec!x"), ("-m", "cmd/nope"), ("-m", "allow/read+x"), ("-m", "allow/read+/.."),
    ("-m", "x" * 5000), ("-m", "log/level:8"), ("-m", "log/verbose:x"), ("-m", "log/level:Info"),
    ("-pnope",), ("--profile=nope",), ("--profile", "nope"), ("-p", ""), ("-plX",), ("-pq4Z",),
    ("-plinuxu",), ("-mlock:drop", "-poff"), ("-mlock:drop", "-m", "include_profile off"),
    ("-t", "abc"), ("-t=0",), ("-t", "1x"), ("-mlock:drop", "-t", "5"),
]  # fmt: skip
LOCKED = [
    ("-m", "foo"), ("-m", "3"), ("-m", ""), (b"-mfo\xffo",), ("-t", "5"), ("-t", "bad"),
    ("-P", "foo"), (b"-Pf\xff",), ("-p", "foo"), ("-p", "off"), ("-x",), ("-e", "a=b"),
    ("-e", "a="), ("-e", "a"), ("-e", ""), ("-e", "syd_a=1"), ("-f", "-l", "-v", "-Z"),
]  # fmt: skip
VARIABLES = [
    ("-e", ""), ("-e", " "), ("-e", "=x"), ("-e", "SYD_FOO=1"), ("-e", "sYd="), ("-e", "sydney=1"),
    ("-e", LONG), ("-e", LONG + "="), ("-e", "A=1", "-mfoo"), ("-mlock:drop", "-e", "a=b"),
    ("-e", "A=x", "-m", "allow/read+${A}"), ("-e", "HOME", "-m", "allow/read+${HOME}"),
    ("-e", "SYD_UID", "-m", "allow/read+${SYD_UID}"),
]  # fmt: skip
ENVIRONS: list[tuple[dict[str, str], tuple[str, ...]]] = [
    ({"SYD_LOG_FD": "foo"}, ("-V",)), ({"SYD_LOG_FD": ""}, ("-V",)),
    ({"SYD_LOG_FD": "77"}, ("-Z",)), ({"SYD_LOG_FD": "0"}, ("-Z",)),
    *(({"SYD_LOG_FD": text}, ("-Z",)) for text in ("-2147483648", "+2", "+", "-0", "2147483648")),
    ({"SYD_LOG_FD": "-1"}, ("-mfoo",)), ({"SYD_LOG_FD": "1"}, ("-mfoo",)),
    ({"SYD_LOG_BUF_LEN": "0"}, ("-V",)), ({"SYD_LOG_BUF_LEN": "x"}, ("-V",)),
    ({"SYD_LOG_BUF_LEN": "64k"}, ("-Z",)), ({"SYD_LOG": "crit"}, ("-mfoo",)),
    ({"SYD_LOG": "error"}, ("-mfoo",)), ({"SYD_LOG": "-5"}, ("-mfoo",)),
    ({"SYD_LOG": "7x"}, ("-mfoo",)), ({"SYD_LOG": "3"}, ("-mfoo",)),
    ({"SYD_LOG": " 2"}, ("-mfoo",)), ({"SYD_LOG": "CRIT"}, ("-mfoo",)),
    ({"SYD_LOG": "+2"}, ("-mfoo",)), ({"SYD_FORCE_TTY": "", "SYD_QUIET_TTY": ""}, ("-mfoo",)),
    ({"SYD_QUIET_TTY": "1"}, ("-mfoo",)), ({"SYD_PID_FN": "/nowhere/at/all"}, ("-Z",)),
    ({"SYD_PID_FN": "/etc/passwd"}, ("-Z",)), ({"SYD_ID": "7"}, ("-m", "allow/read+${SYD_ID}x")),
    ({"HOME": ""}, ("-m", "allow/read+${SYD_HOME}")), ({"SYD_DUMP_SCMP": "zz"}, ("-Z",)),
    ({"SYD_FORCE_CLOEXEC": "", "SYD_COMPAT_SOCKET": "", "SYD_FORCE_NO_XDEV": "0"}, ("-Z",)),
]  # fmt: skip
PANICS: list[tuple[dict[str, str], tuple[str, ...]]] = [
    ({"SYD_TMOUT": "x"}, ("-Z",)), ({"SYD_TMOUT": "0"}, ("-Z",)),
    ({"SYD_RLIMIT_AS": "x"}, ("-Z",)), ({"SYD_PROXY_HOST": "x"}, ("-Z",)),
    ({"SYD_PROXY_PORT": "x"}, ("-Z",)), ({"SYD_PROXY_UNIX": ""}, ("-Z",)),
]  # fmt: skip

FILES = {
    "good": b"sandbox/all:off\n",
    "comments": b"\n  \t\n# c\n   # d\nsandbox/all:off\n",
    "empty": b"",
    "unfinished": b"sandbox/all:off",
    "second": b"bad\nsandbox/all:off",
    "indented": b" sandbox/all:off\n",
    "dos": b"sandbox/all:off\r\n",
    "latin": b"foo\xff\n",
    "nul": b"foo\0bar\n",
    "long": b"#" * 5000 + b"\n",
    "full": b"sandbox/all:off\n#" + b"b" * 4094 + b"\n",
    "mark": b"\xef\xbb\xbfsandbox/all:off\n",
    "twice": b"include good.syd-3\ninclude good.syd-3\n",
    "itself": b"include itself.syd-3\n",
    "absolute": b"include /good.syd-3\nbad\n",
    "above": b"include ../good.syd-3\n",
    "extension": b"include good.conf\n",
    "noextension": b"include good\n",
    "blank": b"include  good.syd-3\n",
    "nothing": b"include \n",
    "missing": b"include none.syd-3\n",
    "locks": b"lock:on\n\n# fine\n",
    "lockedline": b"lock:on\nsandbox/all:off\n",
    "vialink": b"include link.syd-3\n",
    "viashared": b"include shared.syd-3\n",
    "viafifo": b"include good.syd-3\ninclude fifo.syd-3\n",
    "viadirectory": b"include folder.syd-3\n",
    "below": b"include sub/inner.syd-3\nbad\n",
    "variable": b"include ${NAME}.syd-3\nbad\n",
    "unset": b"include ${NOPE}.syd-3\n",
    "networks": b"include list.ipset\n",
    "profile": b"include_profile nope\n",
    "profiles": b"lock:drop\ninclude_profile off\n",
    "shared": b"sandbox/all:off\n",
    "sub/inner": b"include good.syd-3\ninclude sub/more.syd-3\n",
    "sub/more": b"# more\n",
}
ODD = [
    "fifo.syd-3", "link.syd-3", "folder.syd-3", "folder.syd-3/", "good.syd-3/", "good.syd-3/x", "",
    "/", "none.syd-3", "../good.syd-3", "sub/../good.syd-3", "linked/good.syd-3", "open/good.syd-3",
    "./good.syd-3", "sub//inner.syd-3", "plain", "good.conf", ".syd-3", "sharedplain",
    "/proc/self/cwd/good.syd-3", "/dev/null", "list.ipset",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("files")
    for name in ("sub", "open", "folder.syd-3"):
        (made / name).mkdir()
        (made / name).chmod(0o777 if name == "open" else 0o755)
    for name, text in FILES.items():
        (made / f"{name}.syd-3").write_bytes(text)
        (made / f"{name}.syd-3").chmod(0o664 if name == "shared" else 0o644)
    for name in ("plain", "good.conf", ".syd-3", "open/good.syd-3"):
        (made / name).write_bytes(b"sandbox/all:off\n")
    (made / "sharedplain").write_bytes(b"")
    (made / "sharedplain").chmod(0o666)
    (made / "list.ipset").write_bytes(b"192.0.2.1\n  # x\n\n 2001:db8::/32 \n bad\n")
    (made / "link.syd-3").symlink_to("good.syd-3")
    (made / "linked").symlink_to(".")
    os.mkfifo(made / "fifo.syd-3", 0o644)
    return made


def _comparable(result: Result) -> list[object]:
    """Return what is left of the output when what may differ is gone."""
    kept: list[object] = []
    text = re.sub(r"^\{\n(.*?)^\}$", _flat, result.err, flags=re.MULTILINE | re.DOTALL)
    for line in (result.out + text).splitlines():
        if line.startswith("{"):
            record: dict[str, Any] = json.loads(line)
            if record.get("ctx") == "parse_netset":  # Says what is wrong in the parser's words.
                record.pop("msg")
            kept.append([(k, v) for k, v in record.items() if k not in _PASSING and k != "tip"])
        elif line and not line.startswith(("madcap: ", "thread 'main'", "note: ", "SYD_", "  ")):
            kept.append(line)
    return kept


def _flat(match: re.Match[str]) -> str:
    """Return a record laid out for a terminal as one line, marked as such."""
    return '{"pretty":true,' + match[1].replace("\n", "") + "}"


def _compare(
    *args: str | bytes, environ: dict[str, str] | None = None, cwd: Path | str = "/"
) -> None:
    theirs = run(*args, program=REFERENCE, environ=environ, cwd=cwd)
    ours = run(*args, program=MADCAP, environ=environ, cwd=cwd)
    assert (ours.status, _comparable(ours)) == (theirs.status, _comparable(theirs)), ours.err


@pytest.mark.parametrize("args", USAGE, ids=repr)
def test_usage_error_is_the_same(args: tuple[str | bytes, ...]) -> None:
    if args == ("--version=1",):
        assert run(*args).status == run(*args, program=REFERENCE).status == 0
        return
    _compare(*args)


@pytest.mark.parametrize("args", COMMANDS, ids=lambda args: repr(args)[:60])
def test_refused_command_is_the_same(args: tuple[str | bytes, ...]) -> None:
    _compare(*args, "-Z")


@pytest.mark.parametrize("state", ["on", "read"])
@pytest.mark.parametrize("args", LOCKED, ids=repr)
def test_option_after_the_lock_is_the_same(args: tuple[str | bytes, ...], state: str) -> None:
    _compare(f"-mlock:{state}", *args, "-Z")


@pytest.mark.parametrize("args", VARIABLES, ids=lambda args: repr(args)[:60])
def test_variable_option_is_the_same(args: tuple[str, ...]) -> None:
    _compare(*args, "-mfoo")


@pytest.mark.parametrize(("environ", "args"), ENVIRONS, ids=repr)
def test_variable_read_at_start_is_the_same(environ: dict[str, str], args: tuple[str, ...]) -> None:
    _compare(*args, environ=environ)


@pytest.mark.parametrize(("environ", "args"), PANICS, ids=repr)
def test_bad_setting_ends_with_the_same_status(
    environ: dict[str, str], args: tuple[str, ...]
) -> None:
    """The reference prints a message of its language there; ours is one line."""
    theirs = run(*args, program=REFERENCE, environ=environ)
    ours = run(*args, environ=environ)
    assert ours.status == theirs.status == 101
    assert ours.lines[-1].startswith(f"madcap: {next(iter(environ))}: EINVAL: Invalid argument")
    assert len([line for line in ours.lines if not line.startswith("{")]) == 1


@pytest.mark.parametrize("name", FILES)
def test_configuration_file_is_taken_or_refused_the_same(folder: Path, name: str) -> None:
    _compare("-P", f"{name}.syd-3", "-mfoo", cwd=folder, environ={"NAME": "good"})


@pytest.mark.parametrize("name", ODD, ids=repr)
def test_name_of_a_configuration_file_is_taken_or_refused_the_same(folder: Path, name: str) -> None:
    _compare("-P", name, "-Z", cwd=folder)


def test_pid_file_is_the_same(tmp_path: Path) -> None:
    for program in (MADCAP, REFERENCE):
        file = tmp_path / "pid"
        run("-Z", program=program, environ={"SYD_PID_FN": str(file)})
        assert file.read_bytes().isdigit()
        assert file.stat().st_mode & 0o7777 == 0o400
        file.unlink()
