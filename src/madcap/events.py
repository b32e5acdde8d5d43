# SPDX-License-Identifier: GPL-3.0-or-later
"""What happened, as data: one JSON object a record, on standard error or `SYD_LOG_FD`.

A record is `id`, `hid`, `syd`, the keys of whoever reports in their order, then what is known about
the process concerned (`cmd`, `cwd`, `tty`, `pid`) and about us (`uid`, `time`), then `msg`, `tip`.
Keys without a value are left out. Text of the guest's making is printed only if every byte is
printable ASCII; otherwise the whole string is replaced by its hex digits, so that nothing a guest
names can move the cursor of who reads the log.

Emitting never raises and never judges: a log that cannot be written must not change what a guest is
allowed. Nor does it wait for ever: where nobody reads the log for a second, records are dropped
until somebody does, who is told how many. Nothing here is imported from the rest of madcap, and
nothing costly from the library (`json` takes 4 ms).
"""

from __future__ import annotations

import _thread
import errno
import fcntl
import os
import select
import stat
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Final

EMERG: Final = 0
ALERT: Final = 1
CRIT: Final = 2
ERROR: Final = 3
WARN: Final = 4
NOTICE: Final = 5
INFO: Final = 6
DEBUG: Final = 7
LEVELS: Final = ("emerg", "alert", "crit", "error", "warn", "notice", "info", "debug")

# The keys that tell two records apart when records are counted against the rate limit.
_COUNTED: Final = (
    "act", "addr", "cap", "ctx", "err", "exe", "lib", "mnt",
    "mode", "msg", "op", "path", "sig", "sys", "tip", "type", "unix",
)  # fmt: skip

_COMMAND_LIMIT: Final = 256  # Bytes of a command line that a record shows.
PATIENCE: Final = 1.0  # Seconds that a record waits for somebody to read the log.
_RWF_NOWAIT: Final = 8  # pwritev2(2)
_ROOM: Final = 256  # Bytes
_CELLS: Final = 4096  # Kinds of record remembered; a guest chooses paths, so there is an end.

level: int = WARN
verbose: int = 1
burst: int = 10
interval: int = 5_000_000_000  # Nanoseconds; 0 lifts the limit.
fd: int = 2  # Negative: no log at all.
pretty: bool = False
identity: str = ""  # 64 hex digits, the value of SYD_ID.
lost: int = 0  # Records that could not be written since the last one that could.
ring: bytearray | None = None  # What syslog(2) shows to guests: records nobody has read there.
ring_size: int = 256 * 1024
bugs: int = 0  # Exceptions of our own that were caught and answered with a refusal.

_lock = _thread.allocate_lock()
_direct = False  # Whether write(2) can't block on the log: a file, or a terminal opened so.
_cut = False  # Whether the last record is not complete.
_alias: tuple[int, str] = (0, "")  # The process that last wrote a record, and its readable name.
_cells: dict[int, list[int]] = {}  # Hash of a record: [end of its window, seen, suppressed].


def _read_proc(pid: int, name: bytes) -> bytes | None:
    """Return the start of /proc/*pid*/*name*, or None if it cannot be read."""
    try:
        file = os.open(b"/proc/%d/%s" % (pid, name), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        return os.read(file, 4096)
    except OSError:
        return None
    finally:
        os.close(file)


def _read_link(pid: int, name: bytes) -> bytes | None:
    """Return where the link /proc/*pid*/*name* points, or None if it cannot be read."""
    try:
        return os.readlink(b"/proc/%d/%s" % (pid, name))
    except OSError:
        return None


# The supervisor puts functions here that its own threads are allowed to use.
read_proc: Callable[[int, bytes], bytes | None] = _read_proc
read_link: Callable[[int, bytes], bytes | None] = _read_link
describe: Callable[[int], dict[str, object]] | None = None


def parse_level(word: str) -> int | None:
    """Return the level called *word*, a name or an integer; None if it is neither."""
    if word in LEVELS:
        return LEVELS.index(word)
    digits = word[1:] if word[:1] in ("+", "-") else word
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
        return None
    return min(max(int(word), EMERG), DEBUG)


def configure(environ: Mapping[bytes, bytes]) -> None:
    """Open the log as the `SYD_LOG*` variables ask.

    Raise OSError with EBADF for a descriptor that is no number or not open, EBADFD for one that
    cannot be written, and EINVAL for a size of the kernel log that is not one.
    """
    global level, fd, pretty, ring, ring_size
    word = environ.get(b"SYD_LOG", b"").decode("ascii", "replace").strip()
    chosen = parse_level(word)
    level = WARN if chosen is None else chosen
    size = environ.get(b"SYD_LOG_BUF_LEN")
    if size is not None:
        ring_size = _size(size)
        if not 0 < ring_size < 1 << 63:
            raise OSError(errno.EINVAL, "SYD_LOG_BUF_LEN is not a size")
    ring = bytearray()
    given = environ.get(b"SYD_LOG_FD")
    if given is not None:
        fd = _writable(given)
    if fd < 0:
        return
    try:
        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_APPEND)
        _prevent_blocking()
        pretty = b"SYD_FORCE_TTY" in environ or (b"SYD_QUIET_TTY" not in environ and os.isatty(fd))
    except OSError:
        if given is not None:
            raise
        fd = -1  # Started without standard error: then there is no log.


def _prevent_blocking() -> None:
    """See to it that writing the log does not block: terminals know no RWF_NOWAIT."""
    global fd, _direct
    mode = os.fstat(fd).st_mode
    _direct = stat.S_ISREG(mode)
    if not stat.S_ISCHR(mode):
        return
    flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_APPEND | os.O_CLOEXEC
    try:
        fd = os.open(f"/proc/self/fd/{fd}", flags)
    except OSError:  # Somebody else's terminal. It is asked for room before.
        return
    _direct = True


def _writable(given: bytes) -> int:
    """Return the descriptor that *given* spells, negative for none."""
    digits = given[1:] if given[:1] in (b"-", b"+") else given
    number = int(given) if digits.isdigit() and len(digits) < 100 else 1 << 31
    if not -(1 << 31) <= number < 1 << 31:
        raise OSError(errno.EBADF, "SYD_LOG_FD is not a descriptor")
    if number < 0:
        return number
    try:
        mode = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE
    except OSError as error:
        raise OSError(error.errno, "SYD_LOG_FD is not an open descriptor") from error
    if mode == os.O_RDONLY:
        raise OSError(errno.EBADFD, "SYD_LOG_FD cannot be written")
    return number


def _size(given: bytes) -> int:
    """Return the bytes that *given* stands for, 0 for anything that is no size.

    As madcap.policy.values takes a size: a number, perhaps with an exponent, and perhaps a unit.
    """
    text = given.replace(b" ", b"").replace(b"_", b"").lower()
    text = text.removesuffix(b"b").removesuffix(b"i")
    unit = b"kmgtpe".find(text[-1:]) + 1 if text[-1:].isalpha() else 0
    number, letter, exponent = (text[:-1] if unit else text).partition(b"e")
    whole, _, fraction = number.partition(b".")
    power = exponent.removeprefix(b"-").removeprefix(b"+")
    digits = whole.isdigit() and (fraction or b"0").isdigit() and len(number) < 100
    if not digits or (letter and not (power.isdigit() and len(power) < 4)):
        return 0
    places = len(fraction) - (int(exponent) if letter else 0)
    value: int = int(whole + fraction) << (10 * unit)
    scale: int = 10 ** abs(places)
    return (value + scale // 2) // scale if places > 0 else value * scale


def close_ring() -> None:
    """Forget what syslog(2) would show, for good."""
    global ring
    with _lock:
        ring = None


def take(limit: int, *, keep: bool = False, rest: bool = False) -> bytes:
    """Return the oldest *limit* bytes nobody has read; they are forgotten, unless *keep*.

    With *rest*, what follows them is forgotten, too.
    """
    with _lock:
        if ring is None:
            return b""
        data = bytes(ring[:limit])
        if not keep:
            del ring[: len(ring) if rest else limit]
        return data


def enabled(wanted: int) -> bool:
    """Return whether a record of level *wanted* would be written; ask before a costly one."""
    return wanted <= level and fd >= 0


def emit(
    wanted: int,
    record: dict[str, object],
    *,
    pid: int = 0,
    msg: str | None = None,
    tip: str | None = None,
    req: dict[str, object] | None = None,
) -> None:
    """Write *record* if *wanted* is within the current level and its kind was not seen too often.

    *pid* is the process it is about. *req*, the request in full, takes the place of that process's
    description at verbosity 3. Never raises.
    """
    if wanted > level or fd < 0:
        return
    try:
        head = _limit(record, msg, tip)
        if head is None:
            return
        pairs = _complete(wanted, record, pid, msg, tip, req)
        _remember(wanted, pairs)
        _write(head + _render(pairs, pretty))
    except Exception:  # noqa: S110 - nobody is left to tell.
        pass


def bug(where: str, error: BaseException, pid: int = 0) -> None:
    """Report an exception of our own making, caught in *where*, and count it in `bugs`.

    The line is found by hand: importing `traceback` costs time and opens source files.
    """
    global bugs
    bugs += 1
    file, line = "?", 0
    step = error.__traceback__
    while step is not None:
        file, line = step.tb_frame.f_code.co_filename, step.tb_lineno
        step = step.tb_next
    _, found, inside = file.rpartition("/madcap/")
    record: dict[str, object] = {
        "ctx": "panic",
        "act": "deny",
        "name": where,
        "msg": f"{type(error).__name__}: {error}",
        "file": inside if found else file,
        "line": line,
    }
    emit(ALERT, record, pid=pid)


def printable(value: bytes | str) -> str:
    """Return *value* if all of it is printable ASCII, else its bytes in hex."""
    data = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
    if data.isascii():
        shown = data.decode("ascii")
        if shown.isprintable():
            return shown
    return data.hex()


def alias(pid: int) -> str:
    """Return the readable name of process number *pid*."""
    first, second = _WORDS[0].split(), _WORDS[1].split()
    return f"{first[pid % len(first)]}_{second[pid // len(first) % len(second)]}"


def encode(value: object) -> str:
    """Return *value* as compact JSON; bytes and strings go through `printable`."""
    if isinstance(value, bytes | str):
        return quote(printable(value))
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(int(value) if isinstance(value, int) else value)
    if isinstance(value, dict):
        pairs = [f"{quote(str(key))}:{encode(item)}" for key, item in value.items()]
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join([encode(item) for item in value]) + "]"
    return quote(printable(str(value)))


def quote(value: str) -> str:
    """Return *value* as a JSON string with the few escapes that are needed."""
    value = value.replace("\\", "\\\\").replace('"', '\\"')
    if value.isascii() and value.isprintable():
        return f'"{value}"'
    value = value.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    shown = [char if char.isprintable() else _escape(ord(char)) for char in value]
    return '"' + "".join(shown) + '"'


def _escape(point: int) -> str:
    """Return what stands for an unprintable character; those that JSON cannot name are replaced."""
    return f"\\u00{point:02x}" if point <= 0xFF else "\N{REPLACEMENT CHARACTER}"


def reset() -> None:
    """Forget which records were seen; for a change of the limit, and for tests."""
    _cells.clear()


def _limit(record: dict[str, object], msg: str | None, tip: str | None) -> str | None:
    """Return what to print before *record*, or None if it is one too many."""
    if interval <= 0:
        return ""
    parts = [repr(record.get(key)) for key in _COUNTED]
    key = hash((*parts, msg, tip))
    now = time.monotonic_ns()
    with _lock:
        cell = _cells.get(key)
        if cell is None:
            if len(_cells) >= _CELLS:
                _forget(now)
            cell = _cells[key] = [now + interval, 0, 0]
        head = ""
        if now >= cell[0]:
            cell[0], cell[1] = now + interval, 0
        if cell[1] >= burst:
            cell[2] += 1
            return None
        cell[1] += 1
        if cell[2]:
            head = f'{{"ctx":"log","op":"rlimit","suppressed":{cell[2]}}}\n'
            cell[2] = 0
        return head


def _forget(now: int) -> None:
    """Make room in the table of seen records; the caller holds the lock."""
    for key in [key for key, cell in _cells.items() if now >= cell[0]]:
        del _cells[key]
    if len(_cells) >= _CELLS:
        _cells.clear()


def _complete(
    wanted: int,
    record: dict[str, object],
    pid: int,
    msg: str | None,
    tip: str | None,
    req: dict[str, object] | None,
) -> list[tuple[str, str]]:
    """Return the keys of *record* and all that is added to them, encoded, in their order."""
    global _alias, identity
    if not identity:
        identity = os.urandom(32).hex()
    if _alias[0] != os.getpid():
        _alias = (os.getpid(), alias(os.getpid()))
    if verbose >= 3 and req is None and describe is not None and pid > 0:
        try:
            req = describe(pid)
        except (OSError, ValueError):
            req = None  # The process is gone.
    full = req is not None and verbose >= 3
    known: dict[str, object] = {"id": identity, "hid": _alias[1], "syd": _thread.get_native_id()}
    known.update(record)
    if pid > 0 and not full:
        known.update(_process(wanted, pid))
    if wanted <= NOTICE:
        known.setdefault("uid", os.getuid())
    known.setdefault("time", _now())
    if full:
        known["req"] = req
    encoded = [(key, _text(key, value)) for key, value in known.items() if value is not None]
    if msg is not None:
        encoded.append(("msg", _text("msg", msg)))
    if tip is not None:
        encoded.append(("tip", _text("tip", tip)))
    return encoded


def _text(key: str, value: object) -> str:
    """Return *value* encoded; our own sentences keep their line ends as escapes."""
    if key in ("msg", "tip") and isinstance(value, str):
        return quote(value)
    return encode(value)


def _process(wanted: int, pid: int) -> dict[str, object]:
    """Return what a record says about the process *pid*."""
    found: dict[str, object] = {}
    if wanted <= NOTICE:
        line = read_proc(pid, b"cmdline")
        found["cmd"] = _command(line) if line else None
    else:
        line = read_proc(pid, b"comm")
        found["cmd"] = line.removesuffix(b"\n") if line else None
    found["cwd"] = read_link(pid, b"cwd")
    if wanted <= NOTICE:
        found["tty"] = _terminal(read_proc(pid, b"stat"))
    found["pid"] = pid
    return found


def _command(line: bytes) -> bytes:
    """Return the command line of /proc/pid/cmdline as words, cut where it gets long."""
    words = line.removesuffix(b"\0").replace(b"\0", b" ")
    return words if len(words) <= _COMMAND_LIMIT else words[:_COMMAND_LIMIT] + b"..."


def _terminal(stat: bytes | None) -> str | None:
    """Return the name of the terminal that the fields of /proc/pid/stat number."""
    fields = stat.rpartition(b") ")[2].split(b" ", 5) if stat else []
    if len(fields) < 5 or not fields[4].isdigit():
        return None
    device = int(fields[4])
    major, minor = (device >> 8) & 0xFFF, (device & 0xFF) | ((device >> 12) & 0xFFF00)
    if 136 <= major <= 143:
        return f"/dev/pts/{minor + ((major - 136) << 20)}"
    if major == 4:
        return f"/dev/tty{minor}" if minor < 64 else f"/dev/ttyS{minor - 64}"
    return None


def _now() -> str | int:
    """Return the time of day in UTC."""
    seconds = int(time.time())
    try:
        year, month, day, hour, minute, second = time.gmtime(seconds)[:6]
    except (OverflowError, OSError, ValueError):
        return seconds
    return f"{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z"


def _remember(wanted: int, pairs: Sequence[tuple[str, str]]) -> None:
    """Keep a record for syslog(2), in the form of the kernel's own log; the oldest make room."""
    if ring is None:
        return
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    line = f"<{wanted}>[{now:12.6f}] {_render(pairs, False)}".encode("utf-8", "backslashreplace")
    with _lock:
        if ring is None or len(line) > ring_size:
            return
        while len(ring) + len(line) > ring_size:
            del ring[: ring.index(b"\n") + 1]
        ring.extend(line)


def _render(pairs: Sequence[tuple[str, str]], indented: bool) -> str:
    """Return one record as text, on one line or *indented* for a terminal."""
    if indented:
        return "{\n" + ",\n".join([f'  "{key}": {value}' for key, value in pairs]) + "\n}\n"
    return "{" + ",".join([f'"{key}":{value}' for key, value in pairs]) + "}\n"


def _write(line: str) -> None:
    """Write all of *line* to the log, one record at a time; or drop it where nobody reads."""
    global lost
    data = line.encode("utf-8", "backslashreplace")
    with _lock:
        patience = PATIENCE
        if lost:  # Waited for in vain before: nobody is kept waiting again.
            data = b'{"ctx":"log","op":"lost","count":%d}\n' % lost + data
            patience = 0.0
        if (patience or _has_room(0)) and _put(data, patience):
            lost = 0
        else:
            lost += 1


def _put(data: bytes, patience: float) -> bool:
    """Write *data* to the log; return False if that could not be done within *patience* seconds.

    What was written of it by then stays; the next record begins on a line of its own.
    """
    global _cut
    view = memoryview(b"\n" + data if _cut else data)
    deadline = time.monotonic() + patience
    while view:
        written = _put_some(view)
        view = view[written:]
        if written:
            _cut = bool(view)
            continue
        left = deadline - time.monotonic()
        if left <= 0 or not _has_room(left):
            return False
    return True


def _put_some(view: memoryview) -> int:
    """Write what the log takes without blocking; return how many bytes that was.

    The guest may share the descriptor, so it is not made non-blocking.
    """
    if _direct:
        try:
            return os.write(fd, view)
        except BlockingIOError:
            return 0
    try:
        return os.pwritev(fd, (view,), -1, _RWF_NOWAIT)
    except BlockingIOError:
        return 0
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
    # An older kernel's pipe: one that has room takes this much without blocking.
    return os.write(fd, view[:_ROOM]) if _has_room(0) else 0


def _has_room(seconds: float) -> bool:
    """Wait until the log can be written, or *seconds* are over; tell whether it can."""
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return bool(poll.poll(seconds * 1000))


_WORDS: Final = (
    "able amber apt arch ash bare blue bold brave brief bright brisk broad calm clean clear "
    "clever cold cool crisp dapper dark deep dry dusky eager early even fair far fast few "
    "fine firm first flat fleet fond free fresh full glad gold good grand gray great green "
    "happy hardy high honest huge humble idle jolly keen kind late lean light little lively "
    "lone long loud low loyal lucky mellow merry mild modest neat new nimble noble old open "
    "pale plain polite prime prompt proud pure quick quiet rapid rare ready red rich ripe "
    "rosy round royal sage sharp short shy silent silver slim slow small smart smooth snug "
    "soft solid sound spare spry still stout sunny sure sweet swift tall tame tidy true vast "
    "warm wary",
    "acorn anchor apple arrow aspen badger barley basin bay beacon beech bell birch bison "
    "blossom boat bramble branch breeze bridge brook candle canoe castle cedar cherry cliff "
    "clover comet copper coral crane creek cricket crow daisy dawn deer delta dove drum dune "
    "eagle elm ember falcon fern field finch fir flame forest fox garden gate glen grove gull "
    "harbor hare harp hawk hazel heron hill holly horizon ibis island ivy jay juniper kestrel "
    "lake lantern lark laurel lily linden loch lotus lynx maple marsh meadow mesa mill mint "
    "moon moss nest oak ocean olive orchid osprey otter owl path peak pear pebble pine plum "
    "pond poplar prairie quail quartz quince rain raven reed ridge river robin rose rowan "
    "sail sea shore",
)
