# SPDX-License-Identifier: GPL-3.0-or-later
"""Random configurations, most of them valid: lists of commands as a command line gives them.

The words come from the grammar of each family of commands; now and then one is spoiled, so that
what is refused, and with which error, is tried as well.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypeVar

from madcap.policy.categories import MASKS
from madcap.policy.fsmagic import MAGIC
from madcap.policy.kernel_lists import NETLINK
from madcap.policy.profile import LETTERS, NAMES
from madcap.policy.trace import NAMES as SWITCHES

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

ACTIONS = ["allow", "warn", "filter", "deny", "panic", "stop", "abort", "kill", "exit"]
NAMESPACES = ["mount", "uts", "ipc", "user", "pid", "net", "cgroup", "time", "all"]
RULES = """
    walk list stat read write exec create delete rename readlink symlink truncate chdir readdir
    mkdir rmdir chown chgrp chmod chattr chroot notify utime mkbdev mkcdev mkfifo mktemp net/bind
    net/connect sendfd recvfd all all-l all-n all-x all-ln all-lx all-nx all-lnx lpath npath rpath
    wpath cpath dpath spath tpath fown fattr net inet bnet cnet passfd
""".split()  # noqa: SIM905 - a list of words
LANDLOCK = """
    read write exec ioctl create delete rename readdir mkdir rmdir mkbdev mkcdev mkfifo symlink
    truncate bind connect all all-x rpath wpath cpath dpath spath tpath bnet cnet net inet
""".split()  # noqa: SIM905 - a list of words
BOOLEANS = (
    "1 on t tr tru true TRUE On ✓ 0 off f fa fal fals false OFF ✗".split()  # noqa: SIM905
)
CHECKSUMS = {"crc32": 8, "md5": 32, "sha1": 40, "sha256": 64, "sha3-512": 128, "blake3": 64}
LEVELS = "emerg alert crit error warn notice info debug 0 7 8 Warn".split()  # noqa: SIM905
DOMAINS = ["a", "b", "lock", "Web_1", "default", "1a", "a" * 17, ""]


class Source:
    """One random configuration; the same *seed* gives the same one."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)  # noqa: S311 - the same configurations in every run
        families = self._families()
        self._commands = [command for command, weight in families for _ in range(weight)]

    def commands(self) -> list[str]:
        """Return the commands."""
        count = self._dice.choice((1, 1, 2, 3, 4, 6, 9))
        wild = self._dice.random() < 0.4
        made = [self._command() for _ in range(count)]
        if wild:
            at = self._dice.randrange(count)
            made[at] = self._spoil(made[at])
        return [command for command in made if "\0" not in command]

    def _command(self) -> str:
        command = self._pick(self._commands)()
        if self._dice.random() < 0.06:
            return f"@{self._pick(DOMAINS)}/{command}"
        return command

    def _spoil(self, text: str) -> str:
        """Return *text* with a small mistake in it."""
        at = self._dice.randrange(len(text) + 1)
        mark: str = self._pick([*",:!+-^/?@*[]{}0x .\\$~aZ", "..", "//", "${HOME}", "$$", "none"])
        how = self._dice.randrange(4)
        if how == 0:
            return text[:at] + mark + text[at:]
        if how == 1:
            return text[:at] + text[at + 1 :]
        if how == 2:
            return text[:at]
        return text[:at] + mark + text[at + 1 :]

    # What commands are made of

    def _pick(self, words: list[T]) -> T:
        return self._dice.choice(words)

    def _list(self, words: list[str], most: int = 4) -> str:
        return ",".join(self._pick(words) for _ in range(self._dice.randint(1, most)))

    def _operator(self) -> str:
        return self._pick(["+", "+", "+", "-", "^"])

    def _boolean(self) -> str:
        return self._pick([*BOOLEANS, "on", "off", "on", "off", "yes", ""])

    def _number(self, most: int = 300) -> str:
        number = self._dice.randint(-2, most)
        return self._pick([str(number), f"+{number}", hex(number), oct(number), "", "x"][:5])

    def _plain(self, most: int = 300) -> str:
        return str(self._dice.randint(0, most))

    def _size(self) -> str:
        return self._plain(5000) + self._pick(
            ["", "K", "m", " MiB", "gb", "1.5e3", ".5k", "z", "E"]
        )

    def _duration(self) -> str:
        return self._pick([
            self._plain(), self._plain() + "s", "1h 30m", "2m3s", "1.5", "0", "1d", "5 min", "-1",
            "1w,2d", "1x", "99999999999999999999", "1 year", "M", "10ms", "3M",
        ])  # fmt: skip

    def _name(self) -> str:
        return self._pick(
            ["usr", "lib*", "a?b", "[a-z]x", "***", "**", "etc", "x.so", "{a,b}", "..", "."]
        )

    def _path(self) -> str:
        return "".join("/" + self._pick(["usr", "lib", "tmp", "x y", "etc", "é", "a.b"])
                       for _ in range(self._dice.randint(1, 3)))  # fmt: skip

    def _glob(self) -> str:
        parts = [self._name() for _ in range(self._dice.randint(1, 3))]
        return self._pick([
            "/" + "/".join(parts), "/" + "/".join(parts), self._path(), self._path() + "/***",
            "/" + "/".join(parts) + "/", "/", "/***", "@" + parts[0], "!memfd:" + parts[0],
            "!unnamed", "/".join(parts), "${HOME}/x", "2f746d70", "//x//y", "/a/./b", "!file",
        ])  # fmt: skip

    def _port(self) -> str:
        low = self._dice.randint(0, 65535)
        return self._pick([str(low), f"{low}-{low + 9}", "80", "1024-65535", "90-80", "99999", "x"])

    def _network(self) -> str:
        return self._pick([
            "127.0.0.1", "10.0.0.0/8", "192.168.1.77/24", "::1", "fe80::/10", "2001:db8::1/64",
            "::ffff:1.2.3.0/120", "1.2.3.4/33", "1.2.3", "0.0.0.0/0", "::/0", "::ffff:0:0/96",
        ])  # fmt: skip

    def _address(self) -> str:
        where = self._pick([
            self._network(), self._network(), "any", "loopback", "linklocal", "local", "multicast",
            "ANY4", "loopback6", "any6", "local4", "nothere",
        ])  # fmt: skip
        return self._pick([
            f"{where}!{self._port()}", f"{where}!{self._port()}", f"{where}@{self._port()}",
            f"inet!{where}!{self._port()}", f"inet6!{where}!{self._port()}", where, self._glob(),
            f"tcp!{where}!{self._port()}", f"net!{where}!{self._port()}",
        ])  # fmt: skip

    # The families, with their weights

    def _families(self) -> list[tuple[Callable[[], str], int]]:
        return [
            (self._switch, 8), (self._default, 6), (self._rule, 16), (self._address_rule, 6),
            (self._mask, 4), (self._block, 5), (self._force, 3), (self._ioctl, 3), (self._fs, 3),
            (self._netlink, 2), (self._uring, 2), (self._landlock, 5), (self._domain, 4),
            (self._unshare, 3), (self._mount, 5), (self._clock, 3), (self._limit, 6),
            (self._tpe, 3), (self._service, 5), (self._log, 3), (self._environment, 4),
            (self._descriptors, 3), (self._identity, 3), (self._trace, 8), (self._lock, 2),
            (self._profile, 2), (self._odd, 2),
        ]  # fmt: skip

    def _switch(self) -> str:
        names = self._list([*MASKS, *RULES, "mkdev"])
        return f"sandbox/{names}{self._pick([':' + self._boolean()] * 9 + ['?'])}"

    def _default(self) -> str:
        return f"default/{self._list([*MASKS, *RULES, 'block', 'segvguard'])}:{self._pick(ACTIONS)}"

    def _rule(self) -> str:
        names = self._list(RULES, self._pick([1, 1, 4]))
        return f"{self._pick(ACTIONS)}/{names}{self._operator()}{self._glob()}"

    def _address_rule(self) -> str:
        names = self._list(["net/bind", "net/connect"], 2)
        return f"{self._pick(ACTIONS)}/{names}{self._operator()}{self._address()}"

    def _mask(self) -> str:
        operator = self._operator()
        if operator == "^":
            return "mask^"
        more = [f":{self._path()}" for _ in range(self._pick([0, 1, 1, 2, 3]))]
        return f"mask{operator}{self._glob()}{''.join(more) if operator == '+' else ''}"

    def _block(self) -> str:
        operator = self._pick(["+", "+", "+", "-", "^", "!"])
        return f"block{operator}{self._network() if operator in '+-' else ''}"

    def _force(self) -> str:
        name, size = self._pick(list(CHECKSUMS.items()))
        digest = "".join(self._pick(list("0123456789abcdefA")) for _ in range(size))
        path = self._path()
        action = self._pick(["", *(":" + action for action in ACTIONS)])
        return self._pick(
            [f"force+{path}:{name}:{digest}{action}"] * 5 + [f"force-{path}", "force^"]
        )

    def _ioctl(self) -> str:
        item = [self._number(70000), "TCGETS", "fionread", "TIOC*", "KVM_[A-C]*", "nope", "nope!"]
        return f"{self._pick(['allow', 'deny'])}/ioctl{self._pick(['+', '+', '-', '^'])}" + (
            self._list(item, 3)
        )

    def _fs(self) -> str:
        names = self._list([*list(MAGIC), "all", "ext4", "0x1021994", "nope"], 3)
        return f"{self._pick(ACTIONS)}/fs{self._operator()}{names}"

    def _netlink(self) -> str:
        operator = self._operator()
        names = self._list([*list(NETLINK), "all", "INET_DIAG", "nope"], 3)
        return f"allow/net/link{operator}{'' if operator == '^' else names}"

    def _uring(self) -> str:
        kind, words = self._pick([
            ("op", ["read", "nop", "openat", "ALL", "x"]),
            ("reg", ["register_probe", "register_files", "all", "register_query"]),
            ("flag", ["async", "io_link", "all", "x"]),
        ])  # fmt: skip
        operator = self._operator()
        return f"allow/uring/{kind}{operator}{'' if operator == '^' else self._list(words, 2)}"

    def _landlock(self) -> str:
        names = self._list(LANDLOCK, self._pick([1, 1, 3]))
        what = self._pick([self._path(), self._path(), self._port(), "80,443,8000-9000", "x/y"])
        return f"allow/lock/{names}{self._operator()}{what}"

    def _domain(self) -> str:
        name, other = self._pick(DOMAINS), self._pick(DOMAINS)
        return self._pick([
            f"domain+@{name}", f"domain+@{name}", f"domain+@{name}:@{other}", f"domain-@{name}",
            f"domain+@{name}:{self._pick(['lib', 'tty', 'noipv4', 'off', 'linux', 'x'])}",
            "domain^", f"cmd/move!{name}", f"move/@{name}/exec+{self._glob()}",
            f"move/@{name}/{self._pick(['exit', 'chdir', 'mmap'])}{self._operator()}{self._glob()}",
            f"move/@{name}/{self._pick(['bind', 'connect', 'accept'])}+{self._address()}",
            f"move/@{name}/exec^",
        ])  # fmt: skip

    def _unshare(self) -> str:
        return self._pick([
            f"unshare/{self._list(NAMESPACES)}:{self._boolean()}", f"root:{self._path()}",
            f"root:{self._pick(['tmpfs', 't', 'ram', 'none', 'off', 'x'])}",
            f"root/{self._pick(['map', 'fake', 'x'])}:{self._boolean()}",
            f"workdir:{self._pick([self._path(), 'none', 'x'])}",
        ])  # fmt: skip

    def _mount(self) -> str:
        one, other = self._path(), self._path()
        kind = self._pick(["mkdir", "mkfile", "mkfifo"]) + self._pick(["", "", "-try"])
        link = self._pick(["link", "symlink", "link-try"])
        return self._pick([
            f"bind{self._operator()}{one}:{other}",
            f"bind+{one}:{other}:{self._list(['ro', 'rw', 'dev', 'noatime', 'exec', 'a=b', ''])}",
            f"bind-try+{self._pick(['tmpfs', 'proc', one])}:{other}", "bind^",
            f"{kind}{self._operator()}{one}",
            f"{kind}+{one}:{self._pick(['755', '0700', '8', ''])}",
            f"{link}+{one}:{other}", f"{link}-{one}",
        ])  # fmt: skip

    def _clock(self) -> str:
        return self._pick([
            f"time:{self._number()}", f"time/boot:{self._number()}", f"time/mono:{self._plain()}",
            "time:none", f"timeout:{self._duration()}",
            f"uts/host:{self._pick(['a', 'a b', '-', ''])}",
            f"uts/domain:{self._pick(['x.y', 'none', '~'])}", "uts/version:", "uts/nope:x",
        ])  # fmt: skip

    def _limit(self) -> str:
        name = self._pick(["as", "data", "fsize", "stack", "core", "memlock", "msgqueue"])
        count = self._pick(["nofile", "nproc", "sigpending", "rtprio", "nice"])
        value = self._pick([self._number(), "none", "inf", "off"])
        return self._pick([
            f"mem/max:{self._size()}", f"mem/vm_max:{self._size()}", f"pid/max:{self._number()}",
            f"pipe/max:{self._dice.randint(4000, 9000)}",
            f"xattr/max:{self._dice.randint(0, 66000)}",
            f"rlimit/{name}:{self._pick([self._size(), 'none', 'inf'])}", f"rlimit/{count}:{value}",
            f"rlimit/{self._pick(['cpu', 'rttime'])}:{self._duration()}",
            f"segvguard/{self._pick(['expiry', 'suspension'])}:{self._duration()}",
            f"segvguard/maxcrashes:{self._number()}",
        ])  # fmt: skip

    def _tpe(self) -> str:
        name = self._pick(["negate", "root_owned", "user_owned", "root_mount", "x"])
        gid = self._pick([self._number(), "none"])
        return self._pick([f"tpe/{name}:{self._boolean()}", f"tpe/gid:{gid}"])

    def _service(self) -> str:
        return self._pick([
            f"proxy/addr:{self._pick(['127.0.0.2', '::1', 'host'])}",
            f"proxy/port:{self._number()}",
            f"proxy/ext/host:{self._pick(['10.0.0.1', '1.2.3'])}", f"proxy/ext/port:{self._port()}",
            f"proxy/ext/unix:{self._pick([self._path(), 'x', ''])}", f"pty/row:{self._number()}",
            f"pty/{self._pick(['x', 'y', 'col'])}:{self._pick([self._plain(), 'none', 'off'])}",
            f"ipc:{self._pick([self._path(), '@x', 'none', '', 'a' * 108])}",
            f"ipc/{self._pick(['uid', 'gid'])}:{self._pick([self._number(), 'off'])}",
            f"ipc/max:{self._number()}", f"ipc/idle:{self._duration()}",
        ])  # fmt: skip

    def _log(self) -> str:
        flag = self._list(["same_exec_off", "log_new_exec_on", "subdomains_off"], 2)
        return self._pick([
            f"log/level:{self._pick(LEVELS)}", f"log/verbose:{self._number()}",
            f"log/rlimit_interval:{self._duration()}", f"log/rlimit_burst:{self._number()}",
            f"log/lock/{flag}:{self._boolean()}",
        ])  # fmt: skip

    def _environment(self) -> str:
        name = self._pick(["A", "LD_X", "SYD_X", "sydney", "", " ", "HOME"])
        return self._pick([
            f"setenv!{name}={self._pick(['1', '', '${HOME}', '$NOPE', '${NOPE:-x}', '$$'])}",
            f"unsetenv!{name}", "clearenv!", f"passenv{self._operator()}{name}*", "passenv+",
        ])  # fmt: skip

    def _descriptors(self) -> str:
        tokens = self._list(["3", "5-9", "stdin", "stdio", "all", "9-5", "0x10", "3000000000", "x"])
        kind = self._pick(["passfd", "nullfd"])
        return self._pick([f"{kind}+{tokens}", f"{kind}-{tokens}", f"{kind}^"])

    def _identity(self) -> str:
        kind = self._pick(["setuid", "setgid"])
        one, other = self._pick(["1000", "1001", "5", "0"]), self._pick(["1002", "2000", "7", "x"])
        return self._pick([
            f"{kind}+{one}:{other}", f"{kind}+{one}:{other}", f"{kind}-{one}:{other}",
            f"{kind}^{one}", f"{kind}^",
        ])  # fmt: skip

    def _trace(self) -> str:
        return self._pick([
            *[f"trace/{self._pick(list(SWITCHES))}:{self._boolean()}"] * 8,
            f"trace/force_umask:{self._pick(['7', '077', '-1', '10000', 'off', 'F', '8'])}",
            f"trace/memory_access:{self._plain(3)}",
            f"trace/allow_unsafe_namespace:{self._list([*NAMESPACES, 'none', 'x'])}",
        ])  # fmt: skip

    def _lock(self) -> str:
        state = self._pick(["off", "exec", "drop", "d", "ipc", "x", "ro", "On"])
        return self._pick(["lock", "l", *[f"lock:{state}"] * 6])

    def _profile(self) -> str:
        letters = "".join(self._pick(list(LETTERS)) for _ in range(2))
        return f"include_profile {self._pick([*sorted(NAMES), letters, 'nope'])}"

    def _odd(self) -> str:
        return self._pick([
            "3", "", "panic", "ghost", "load", "cmd/exec!true", "cmd/nope", "cmd/move!", "4",
            "allow/read", "sandbox/", "x" * 5000, "include /x", "reset", "mask", "block",
        ])  # fmt: skip
