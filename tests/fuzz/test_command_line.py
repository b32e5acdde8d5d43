# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a command line holds, it is refused in words and never by an exception of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from madcap import events
from madcap.cli import main as module
from madcap.explain import check, screen, why

if TYPE_CHECKING:
    from types import ModuleType

WORDS = st.sampled_from(
    [
        *b"""allow/ deny/ read all net/bind + - ^ : ! / @ sandbox/ default/ trace/ lock lock: on off
    block rlimit/ mem/max timeout bind setenv!A= ${A} ~ $ ioctl fs force log/level 10.0.0.0/8!80
    mask *** [ \\ , 1 domain move/ segvguard/ tpe/ ipc: unshare/ setuid 0 .. root: link allow/lock/
    uts/ pid/max: 99999999999999999999999999999999999999999999""".split(),
        *(b"include ", b"include_profile "),
    ]
)
COMMANDS = st.lists(WORDS | st.binary(max_size=3), max_size=6).map(b"".join)
OPTIONS = st.sampled_from([b"-m", b"-p", b"-P", b"-t", b"-e", b"-E", b"-a", b"-v", b"-x", b"-q"])


@given(st.lists(st.tuples(OPTIONS, COMMANDS), max_size=4))
def test_no_command_line_ends_in_an_internal_error(pairs: list[tuple[bytes, bytes]]) -> None:
    said: list[str] = []
    words = [word.replace(b"\0", b"") for pair in pairs for word in pair]
    environ = {b"SYD_LOG_FD": b"-1", b"A": b"x", b"HOME": b"/var/empty"}
    names = ("fd", "level", "pretty", "verbose", "burst", "interval")
    kept = {name: getattr(events, name) for name in names}
    with (
        mock.patch.multiple(events, **kept),
        mock.patch.object(module, "_complain", said.append),
        mock.patch.object(module.Invocation, "start", return_value=0),
        mock.patch.object(module, "_answer", return_value=0),
    ):
        status = module.main([b"madcap", b"-v", *words], environ)
    assert status != module.PANIC, said
    assert not any("internal error" in line for line in said)


ASKED = st.sampled_from(
    [
        *b"""-m -p -P -e -x -t -f -j --json -d --domain --log -h -V --nope read write,exec all fs
        ioctl net/connect raed mem /etc/passwd /a* @x !y !memfd:* 1.2.3.4!80 tcp!::1!99999
        ext4 TIOCSTI TC* 0x5 relative allow/read+/*** deny/all+/a default/read:kill mask+/a
        domain+@d quiet linux - /dev/null d @d X=1 /nope.syd-3 lock:on block+1.2.3.4""".split(),
    ]
)


@given(st.lists(ASKED | st.binary(max_size=4), max_size=6), st.sampled_from([check, why]))
def test_no_question_ends_in_an_internal_error(words: list[bytes], tool: ModuleType) -> None:
    said: list[str] = []

    def write(text: str, _file: int = 1) -> None:
        text.encode("utf-8", "backslashreplace")
        said.append(text)

    words = [word.replace(b"\0", b"") for word in words]
    if b"--log" in words:
        words = [word for word in words if word != b"-"]  # Standard input is not ours.
    with (
        mock.patch.object(events, "fd", -1),
        mock.patch.object(screen, "write", write),
        mock.patch("_signal.signal"),
    ):
        status = tool.main([b"tool", *words], {b"HOME": b"/var/empty"})
    assert status in (0, 1, screen.USAGE), said
    assert said
