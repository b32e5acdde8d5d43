# SPDX-License-Identifier: GPL-3.0-or-later
"""The seccomp filters of the supervisor's own threads.

Each thread may make only the calls that it needs; anything else kills the whole process, and with
it the sandbox. The interpreter decides some of them: memory, locks, the start of another thread
(rseq and set_robust_list, without which glibc aborts). Opens that aren't openat2 answer ENOSYS,
so that a stray import raises ImportError instead of killing.
"""

from __future__ import annotations

from madcap.abi import flags as F
from madcap.filter.threads import thread_program
from madcap.linux._call import MACHINE, NUMBERS
from madcap.linux.seccomp import install

#: What the interpreter itself does in any thread.
_INTERPRETER = (
    "brk", "clock_gettime", "clock_nanosleep", "close", "exit", "exit_group", "futex",
    "futex_wait", "futex_wake", "getpid", "getrandom", "gettid", "getuid", "geteuid", "getgid",
    "getegid", "gettimeofday", "madvise", "mmap", "mprotect", "mremap", "munmap", "nanosleep",
    "poll", "ppoll", "prctl", "restart_syscall", "rseq", "rt_sigprocmask", "rt_sigreturn",
    "sched_yield", "select", "pselect6", "set_robust_list", "sigaltstack", "time", "write", "uname",
    "sched_getaffinity", "membarrier", "pwritev2",
)  # fmt: skip

#: Opening files: the road of imports and tracebacks, which nobody needs any more.
_REFUSED = ("open", "openat", "stat", "lstat", "access", "readlink", "clone3", "getcwd", "chdir")

_LOG = ("fcntl", "openat2", "read", "pread64", "readlinkat", "fstat", "lseek")

_EMULATOR = (
    *_LOG, "bind", "chdir", "clone", "connect", "dup", "faccessat2", "fallocate", "fchdir",
    "fchmod", "fchmodat", "fchmodat2", "fchown", "fchownat", "fstatfs", "fsync", "ftruncate",
    "getcwd", "getdents", "getdents64", "getpgid", "getpgrp", "getpeername", "getsockname",
    "getsockopt", "ioctl", "linkat", "memfd_create", "mkdirat", "mknodat", "newfstatat",
    "pidfd_getfd", "pidfd_open", "pidfd_send_signal", "process_vm_readv", "process_vm_writev",
    "pwrite64", "recvmsg", "renameat2", "rt_sigtimedwait", "sendmsg", "sendto", "setsockopt",
    "socket", "socketpair", "statx", "symlinkat", "tgkill", "truncate", "umask", "unlinkat",
    "unshare", "utimensat", "accept4", "recvfrom", "sendmmsg", "listen", "kcmp",
    "sched_setaffinity", "getcpu", "getxattr", "listxattr", "setxattr", "removexattr",
    "inotify_add_watch", "fanotify_mark", "pipe2", "epoll_create1", "eventfd2", "signalfd4",
    "timerfd_create", "inotify_init1", "memfd_secret",
)  # fmt: skip

#: What the interrupter does beyond that, with the arguments it does it with.
_INTERRUPTER = ("fcntl", "read", "pread64", "fstat", "lseek")

_MAIN = (
    *_LOG, "fstatfs", "getpgid", "getpgrp", "ioctl", "kill", "newfstatat", "pidfd_open",
    "pidfd_send_signal", "process_vm_readv", "process_vm_writev", "ptrace", "statx", "chdir",
    "fchdir", "getcwd", "wait4", "waitid", "faccessat2", "getsid", "rt_sigaction", "tgkill",
    "getppid", "pidfd_getfd", "pwrite64", "kcmp", "getdents64",
)  # fmt: skip

_TIMER = (*_LOG,)

_CONTROL = (*_LOG, "accept4", "getsockopt", "newfstatat", "recvmsg", "sendto")

_TERMINAL = ("fcntl", "ioctl", "read", "fstat", "lseek")

_THREAD_FLAGS = 0x3D0F00  # What pthread_create asks clone(2) for.
_CLONE_FS = 0x200
_EXECVE_CHECK = 0x11000  # AT_EMPTY_PATH and AT_EXECVE_CHECK: nothing is executed.


def emulator_program() -> bytes:
    """Return the filter of a thread that runs handlers, and of all that it starts."""
    arguments: dict[str, tuple[tuple[int, int], ...]] = {
        "clone": ((0, _THREAD_FLAGS),),
        "unshare": ((0, _CLONE_FS),),
        "execveat": ((4, _EXECVE_CHECK),),
    }
    return _program(_EMULATOR, arguments)


def interrupter_program(pid: int, listener: int, proc: int, log: int) -> bytes:
    """Return the filter of a thread that looks below *proc* and signals our own threads.

    Its ioctl is the question whether a notification of *listener* is valid, its tgkill sends
    SIGALRM to a thread of process *pid*, and it writes to *log* alone.
    """
    arguments: dict[str, tuple[tuple[int, int], ...]] = {
        "tgkill": ((0, pid), (2, 14)),
        "ioctl": ((0, listener), (1, F.SECCOMP_IOCTL_NOTIF_ID_VALID)),
        "openat2": ((0, proc),),
        "readlinkat": ((0, proc),),
    }
    if log >= 0:
        arguments["write"] = arguments["pwritev2"] = ((0, log),)
    return _program(_INTERRUPTER, arguments)


def timer_program() -> bytes:
    """Return the filter of a thread that sleeps, writes the log and ends the process."""
    return _program(_TIMER, {})


def control_program() -> bytes:
    """Return the filter of the thread that serves the control socket."""
    return _program(_CONTROL, {})


def main_program() -> bytes:
    """Return the filter of the thread that waits, traces and ends."""
    return _program(_MAIN, {})


def _program(names: tuple[str, ...], arguments: dict[str, tuple[tuple[int, int], ...]]) -> bytes:
    allow = [name for name in (*_INTERPRETER, *names) if name in NUMBERS]
    enosys = [name for name in _REFUSED if name in NUMBERS and name not in allow]
    return thread_program(MACHINE, allow, enosys, arguments)


def confine_emulator() -> None:
    """Confine this thread, and all that it will start, to what handlers do."""
    install(emulator_program())


def confine_interrupter(pid: int, listener: int, proc: int, log: int) -> None:
    """Confine this thread to looking below *proc* and signalling our own threads."""
    install(interrupter_program(pid, listener, proc, log))


def confine_timer() -> None:
    """Confine this thread to sleeping, writing the log and ending the process."""
    install(timer_program())


def terminal_program() -> bytes:
    """Return the filter of the helper that copies bytes between two terminals."""
    return _program(_TERMINAL, {})


def confine_terminal() -> None:
    """Confine this process to copying bytes between two terminals."""
    install(terminal_program())


def confine_control() -> None:
    """Confine this thread to serving the control socket."""
    install(control_program())


def confine_main() -> None:
    """Confine this thread to waiting, tracing and ending."""
    install(main_program())
