# SPDX-License-Identifier: GPL-3.0-or-later
"""One sandbox from start to end: confine the command, supervise it, report its status."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` imports enum: 4 ms
import _thread
import errno
import gc
import os
import time

from madcap import events
from madcap.confine.child import GO, Launch
from madcap.confine.child import run as run_child
from madcap.confine.plan import child_limits, ioctl_denials, unbuilt
from madcap.errors import ConfineError, UnsupportedError
from madcap.filter.plan import Plan
from madcap.filter.rules import guest_programs
from madcap.kernel.host import Host
from madcap.kernel.table import Conditions, plan, stops
from madcap.linux import capability, landlock, prctl, process, ptrace, seccomp, securebits
from madcap.linux._call import MACHINE, NUMBERS, call, return_blocks_from
from madcap.policy import actions, categories, lock
from madcap.policy.landlock import Landlock
from madcap.supervisor import lockdown
from madcap.supervisor.alarm import catch_quietly
from madcap.supervisor.interrupts import SIGALRM, Interrupter
from madcap.supervisor.pool import CORE, STACK, Pool
from madcap.supervisor.tracer import Tracer, options_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.policy.sandbox import Sandbox
    from madcap.supervisor.terminal import Terminal

_PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS, _PR_SET_MDWE = 4, 36, 38, 65
_PR_SET_PDEATHSIG = 1
_SCHED_IDLE = 5
_RLIMIT_NOFILE, _RLIMIT_CORE = 7, 4
_OLDEST = (5, 19)
#: Blocks of memory that are not kept. The pieces of a stream are smaller: they come one after
#: another, and fresh pages for each would cost as much as copying it.
_LARGE = 272 << 10
_EXIT_TIMEOUT = 124
_EXIT_CONFINE = 101
_SCOPED_SIGNALS = (6, 12)


class Preparation:
    """What follows from all commands given: the handlers, and the filters of the command.

    Making it settles *sandbox* and marks it as running. Raises as `run` does.
    """

    __slots__ = ("conditions", "handlers", "notify", "programs", "scoped")

    def __init__(self, sandbox: Sandbox) -> None:
        _check_kernel()
        sandbox.derive()
        missing = unbuilt(sandbox)
        if missing:
            raise UnsupportedError(missing)
        sandbox.start()
        sandbox.host.landlock_abi = landlock.abi()
        self.scoped = sandbox.host.landlock_abi >= 6 and _assumed_kernel() >= _SCOPED_SIGNALS
        self.conditions = Conditions(sandbox, self.scoped)
        self.handlers, self.notify, refuse = plan(self.conditions)
        ids = os.getresuid(), os.getresgid()
        self.programs = guest_programs(
            Plan(
                machine=MACHINE,
                options=frozenset(sandbox.options),
                namespaces=frozenset(sandbox.namespaces),
                notify=self.notify,
                trace=stops(self.conditions),
                refuse=refuse,
                ioctls=ioctl_denials(sandbox),
                uid=ids[0],
                gid=ids[1],
                mmap_min_addr=_number(b"/proc/sys/vm/mmap_min_addr", 4096),
                pipe_max=sandbox.pipe_max,
                scoped_signals=self.scoped,
                fake_root=sandbox.root_fake,
                memory=self.conditions.memory,
                unasked=self.conditions.unasked & self.notify,
                io_uring=not any(
                    one.enabled & categories.URING for one in sandbox.domains.values()
                ),
            )
        )


def run(
    sandbox: Sandbox, argv: list[bytes], arg0: bytes | None, environ: dict[bytes, bytes]
) -> int:
    """Run *argv* in *sandbox* and return its exit status (128 + signal where one ended it).

    *arg0* replaces the command's own name, *environ* is its whole environment. Raises
    PolicyError (the commands don't fit together), UnsupportedError (a kernel feature is missing)
    or ConfineError (a step failed): nothing has been run then.
    """
    made = Preparation(sandbox)
    _preload(sandbox, made.conditions)
    control = -1
    _limit_ring(sandbox)
    try:
        if sandbox.ipc_address is not None and (sandbox.lock or 0) < lock.DROP:
            from madcap.supervisor.control import open_listener

            control = open_listener(sandbox)
        _prepare(sandbox, environ)
        host = Host(sandbox)
        terminal = _own_terminal(sandbox)
        _apply_landlock(host)
    except OSError as error:
        raise ConfineError(str(error.strerror), error.errno or errno.EPERM) from error
    launch = Launch(
        argv=argv,
        arg0=arg0,
        environ=environ,
        programs=made.programs,
        limits=child_limits(sandbox),
        keep=[*sandbox.passfd, *((number, number) for number in sandbox.nullfd)],
        nullfd=sorted(sandbox.nullfd),
        null=host.null,
        hooked=made.notify,
        scope=made.scoped,
        terminal=-1 if terminal is None else terminal.slave,
    )
    return _supervise(host, launch, made, control, terminal)


def _limit_ring(sandbox: Sandbox) -> None:
    """Keep records for syslog(2) only as long as somebody may see them."""
    if "allow_safe_syslog" in sandbox.options:
        return
    if sandbox.locked:
        events.close_ring()
    else:
        sandbox.sealed.append(events.close_ring)


def _preload(sandbox: Sandbox, conditions: Conditions) -> None:
    """Load what a thread may need later: their filters let no file be opened by name."""
    names = ["kernel.slots", "policy.fsmagic"]
    if conditions.on(categories.IOCTL):
        names.append("abi.requests")  # Names for the log.
    if conditions.on(categories.PID):
        names.append("supervisor.tasks")
    if conditions.on(categories.FORCE):
        names.append("kernel.checksum")
    if conditions.moves:
        names += ["policy.address", "policy.domains", "policy.report"]
    if conditions.unlocked:
        names.append("kernel.loading")
    for name in names:
        __import__(f"madcap.{name}")
    if conditions.readable:
        sandbox.preload()


def _check_kernel() -> None:
    if not NUMBERS:
        raise UnsupportedError(f"the machine {MACHINE}")
    if _version(os.uname().release) < _OLDEST:
        raise UnsupportedError("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", "5.19")


def _version(text: str) -> tuple[int, ...]:
    """Return (major, minor) out of the *text* of a kernel release."""
    parts = [part for part in text.split("-")[0].split(".")[:2] if part.isdigit()]
    return tuple(map(int, parts))


def _assumed_kernel() -> tuple[int, ...]:
    """Return the kernel that SYD_ASSUME_KERNEL names, or else the real one."""
    assumed = os.environ.get("SYD_ASSUME_KERNEL", "")
    return _version(assumed) or _version(os.uname().release)


def _number(path: bytes, default: int) -> int:
    try:
        with open(path, "rb") as file:
            return int(file.read())
    except (OSError, ValueError):
        return default


def _prepare(sandbox: Sandbox, environ: dict[bytes, bytes]) -> None:
    """Give up what the supervisor never needs, and what its children would inherit."""
    options = sandbox.options
    if "allow_unsafe_dumpable" not in options:
        call("prctl", _PR_SET_DUMPABLE, 0, 0, 0, 0)
    call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    securebits.enforce(securebits.wanted(options, uid_transitions=False, keeps_capabilities=False))
    capability.drop_all()
    if (sandbox.lock or 0) < lock.DROP:  # It is set by now.
        from madcap.confine import outside

        outside.start(sandbox, environ)
    call("prctl", _PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if "allow_unsafe_exec_memory" not in options:
        _optional("prctl", _PR_SET_MDWE, 1, 0, 0, 0)
    if "allow_unsafe_exec_speculative" not in options:
        prctl.force_speculation_off()
    if "allow_unsafe_nice" not in options:
        _optional("setpriority", 0, 0, 19)
        _optional("sched_setscheduler", 0, _SCHED_IDLE, bytes(4))
        _optional("ioprio_set", 1, 0, 3 << 13)
    if "allow_unsafe_keyring" not in options:
        _optional("keyctl", 1, 0)
    for number in range(1, 65):
        if number not in (9, 14, 17, 19, 32, 33):
            _signal.signal(number, _signal.SIG_IGN)


def _apply_landlock(host: Host) -> None:
    """Put ourselves, and all that we start, under the user's own Landlock rules (sandbox/lock)."""
    sandbox = host.sandbox
    domain = sandbox.domains["default"]
    if not domain.enabled & categories.LOCK:
        return
    rules = sandbox.landlock or Landlock()
    landlock.apply(
        rules.paths,
        rules.bind_ports,
        rules.connect_ports,
        best_effort=domain.defaults[0] == actions.WARN,
        granted=(
            (host.proc, landlock.READ_FILE | landlock.READ_DIR),
            (host.null, landlock.READ_FILE | landlock.WRITE_FILE | landlock.TRUNCATE),
        ),
        log=rules.silent,
    )


def _optional(name: str, *args: object) -> None:
    """Make a call whose failure takes nothing from the sandbox."""
    try:
        call(name, *args)
    except OSError as error:
        events.emit(events.INFO, {"ctx": "run", "op": name, "err": error.errno})


def _supervise(
    host: Host, launch: Launch, made: Preparation, control: int, terminal: Terminal | None
) -> int:
    if terminal is not None:
        host.terminal = terminal.start()
    go_read, go_write = os.pipe()
    report_read, report_write = os.pipe()
    gc.disable()
    child = os.fork()
    if child == 0:
        os.close(go_write)
        os.close(report_read)
        run_child(launch, go_read, report_write)
        os._exit(_EXIT_CONFINE)
    os.close(go_read)
    os.close(report_write)
    if terminal is not None:
        terminal.started()
    host.eldest = host.sandbox.eldest = child
    try:
        status = _greet(host, child, go_write, report_read)
        if status is not None:
            return status
    except OSError as error:
        os.kill(child, 9)
        raise ConfineError(str(error.strerror), error.errno or errno.EPERM) from error
    _raise_limits()
    events.read_proc = lambda pid, name: _read_proc(host, pid, name)
    events.read_link = lambda pid, name: _read_link(host, pid, name)
    if host.sandbox.verbose >= 3 or not host.sandbox.locked:
        from madcap.kernel.describe import describe

        events.describe = lambda pid: describe(host.proc, pid)
    seccomp.set_sync_wake_up(host.listener)
    catch_quietly(SIGALRM)
    _signal.pthread_sigmask(_signal.SIG_BLOCK, (SIGALRM,))
    _thread.stack_size(STACK)
    _start_threads(host, made.handlers)
    if control >= 0:
        _start_control(host, control, trapped="connect" in made.notify)
    tracer = Tracer(host, made.notify)
    os.umask(0o777)
    os.fchdir(host.self_fd)
    _confined(lockdown.confine_main)
    os.write(go_write, bytes((GO,)))
    os.close(go_write)
    status = tracer.run()
    if terminal is not None:
        terminal.end(host.terminal)
    return status


def _own_terminal(sandbox: Sandbox) -> Terminal | None:
    """Make a terminal for the guest where it would have the user's otherwise."""
    if not sandbox.domains["default"].enabled & categories.PTY or not os.isatty(0):
        return None
    from madcap.supervisor import terminal

    return terminal.Terminal(sandbox) if terminal.wanted(sandbox) else None


def _read_proc(host: Host, pid: int, name: bytes) -> bytes | None:
    """Return the start of /proc/*pid*/*name* for the log, by a call that a thread may make."""
    try:
        return process.read_file(host.proc, b"%d/%s" % (pid, name), 4096)
    except OSError:
        return None


def _read_link(host: Host, pid: int, name: bytes) -> bytes | None:
    try:
        return os.readlink(b"%d/%s" % (pid, name), dir_fd=host.proc)
    except OSError:
        return None


def _greet(host: Host, child: int, go: int, report: int) -> int | None:
    """Seize the child and fetch its listener; its exit status where it ended instead."""
    if os.read(report, 1) != b"*":
        return _reap(child)
    if host.traced:
        ptrace.seize(child, options_for(host))
    os.write(go, bytes((GO,)))
    number = os.read(report, 4)
    if len(number) != 4:
        return _reap(child)
    host.eldest_fd = process.pidfd_open(child)  # For good: the number may be another's later.
    host.listener = process.pidfd_getfd(host.eldest_fd, int.from_bytes(number, "little"))
    os.close(report)
    return None


def _reap(child: int) -> int:
    _, status = os.waitpid(child, 0)
    signal = status & 0x7F
    return 128 + signal if signal else status >> 8


def _raise_limits() -> None:
    from madcap.linux.rlimit import get_limit, set_limit

    _, hard = get_limit(_RLIMIT_NOFILE)
    set_limit(_RLIMIT_NOFILE, hard, hard)


def _start_threads(host: Host, handlers: object) -> None:
    return_blocks_from(_LARGE)
    interrupter = Interrupter(host)
    if host.by_status:
        from madcap.supervisor.watch_status import StatusWatch

        watch = StatusWatch(interrupter)
        interrupter.watch = watch
        host.action, host.forget = watch.action, watch.forget
    environ = host.sandbox.environ
    pool = Pool(
        host,
        handlers,  # type: ignore[arg-type]
        interrupter,
        lambda: _confined(lockdown.confine_emulator),
        _count(environ.get(b"SYD_NPROC")) or CORE,
        _count(environ.get(b"SYD_NPROC_MAX")),
    )
    host.blocking, host.end_calls = pool.blocking, interrupter.end_all

    def confine() -> None:
        interrupter.isolate()
        lockdown.confine_interrupter(host.pid, host.listener, host.proc, events.fd)

    _guarded(confine, interrupter.run)
    if host.sandbox.timeout is not None:
        _guarded(lockdown.confine_timer, lambda: _expire((host.sandbox.timeout or 0) / 1e9))
    host.known.forget(opened=host.may_know())
    pool.start()


def _start_control(host: Host, listener: int, *, trapped: bool) -> None:
    """Serve the control socket *listener*; *trapped* tells that guests' connects are judged."""
    from madcap.supervisor.control import Control

    _guarded(lockdown.confine_control, Control(host, listener, trapped=trapped).run, lasting=False)


def _count(text: bytes | None) -> int | None:
    """Return the number of threads that *text* names, None where it names none."""
    return int(text) if text is not None and text.isdigit() and int(text) > 0 else None


def _confined(confine: object) -> None:
    """Run *confine*; a thread that can't be confined ends the supervisor."""
    try:
        confine()  # type: ignore[operator]
    except OSError as error:
        events.emit(events.ALERT, {"ctx": "confine", "err": error.errno})
        os._exit(_EXIT_CONFINE)


def _guarded(confine: object, body: object, *, lasting: bool = True) -> None:
    """Start a thread that confines itself and runs *body*; its failure ends the supervisor.

    So does its end, where it is *lasting*.
    """
    ready = _thread.allocate_lock()
    ready.acquire()

    def thread() -> None:
        try:
            _confined(confine)
            ready.release()
            body()  # type: ignore[operator]
            if not lasting:
                return
        except BaseException as error:
            events.bug("thread", error)
        os._exit(_EXIT_CONFINE)

    _thread.start_new_thread(thread, ())
    ready.acquire()


def _expire(seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(left)
    events.emit(
        events.ALERT,
        {"ctx": "out", "op": "timeout_exceeded", "dur": int(seconds)},
        msg=f"sandbox timeout `{int(seconds)}s' exceeded",
    )
    os._exit(_EXIT_TIMEOUT)
