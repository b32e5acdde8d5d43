# SPDX-License-Identifier: GPL-3.0-or-later
"""Make raw system calls: what the C library would add, check or retry is left out."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os

NUMBERS = {
    "x86_64": {
        "read": 0, "write": 1, "open": 2, "close": 3, "stat": 4, "fstat": 5, "lstat": 6, "mmap": 9,
        "mprotect": 10, "mremap": 25, "brk": 12, "munmap": 11,
        "access": 21, "socket": 41, "connect": 42, "sendto": 44, "bind": 49,
        "listen": 50, "getsockname": 51, "truncate": 76, "ftruncate": 77, "chdir": 80,
        "fchdir": 81, "rename": 82, "mkdir": 83, "rmdir": 84, "creat": 85, "link": 86,
        "unlink": 87, "symlink": 88, "readlink": 89, "chmod": 90, "fchmod": 91, "umask": 95,
        "getdents": 78, "utime": 132, "getdents64": 217, "utimes": 235, "openat": 257,
        "mkdirat": 258, "futimesat": 261, "newfstatat": 262, "unlinkat": 263, "renameat": 264,
        "linkat": 265, "symlinkat": 266, "readlinkat": 267, "fchmodat": 268, "faccessat": 269,
        "utimensat": 280, "renameat2": 316, "execve": 59, "execveat": 322, "statx": 332,
        "openat2": 437, "faccessat2": 439, "fchmodat2": 452, "ptrace": 101, "pidfd_open": 434,
        "pidfd_getfd": 438, "process_vm_readv": 310, "process_vm_writev": 311, "setuid": 105,
        "setgid": 106, "setresuid": 117, "setresgid": 119, "setgroups": 116, "capget": 125,
        "capset": 126, "mknod": 133, "chroot": 161, "mount": 165, "pivot_root": 155,
        "unshare": 272, "kill": 62,
        "tgkill": 234, "pidfd_send_signal": 424, "fcntl": 72, "ioctl": 16, "io_uring_setup": 425,
        "bpf": 321, "perf_event_open": 298, "seccomp": 317, "prctl": 157, "process_madvise": 440,
        "open_by_handle_at": 304, "name_to_handle_at": 303, "kcmp": 312, "userfaultfd": 323,
        "lseek": 8, "dup2": 33, "chown": 92, "fchown": 93, "lchown": 94, "statfs": 137,
        "fstatfs": 138, "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190, "getxattr": 191,
        "lgetxattr": 192, "fgetxattr": 193, "listxattr": 194, "llistxattr": 195,
        "flistxattr": 196, "removexattr": 197, "lremovexattr": 198, "fremovexattr": 199,
        "prlimit64": 302, "setpriority": 141, "ioprio_set": 251, "sched_setaffinity": 203,
        "sched_setattr": 314, "sched_setparam": 142, "sched_setscheduler": 144,
        "mknodat": 259, "fchownat": 260, "fallocate": 285, "setxattrat": 463, "getxattrat": 464,
        "listxattrat": 465, "removexattrat": 466, "inotify_init1": 294, "inotify_init": 253,
        "inotify_add_watch": 254, "inotify_rm_watch": 255, "fanotify_init": 300,
        "fanotify_mark": 301, "memfd_create": 319, "memfd_secret": 447, "eventfd": 284,
        "eventfd2": 290, "epoll_create": 213, "epoll_create1": 291, "timerfd_create": 283,
        "signalfd": 282, "signalfd4": 289, "pipe": 22, "pipe2": 293, "shmget": 29, "shmat": 30,
        "shmctl": 31, "msgget": 68, "msgctl": 71, "msgrcv": 70, "msgsnd": 69,
        "semget": 64, "semctl": 66,
        "mq_open": 240, "mq_unlink": 241, "rt_sigaction": 13, "socketpair": 53, "accept": 43,
        "accept4": 288, "sendmsg": 46,
        "sendmmsg": 307, "recvfrom": 45, "recvmsg": 47, "recvmmsg": 299, "getpeername": 52,
        "getsockopt": 55, "setsockopt": 54, "uname": 63, "sysinfo": 99, "syslog": 103,
        "tkill": 200, "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297,
        "pread64": 17, "pwrite64": 18, "readv": 19, "writev": 20, "epoll_wait": 232,
        "epoll_ctl": 233, "epoll_pwait": 281,
    },
}  # fmt: skip

AT_FDCWD = -100
AT_SYMLINK_NOFOLLOW = 0x100
AT_REMOVEDIR = 0x200
AT_EACCESS = 0x200
AT_SYMLINK_FOLLOW = 0x400
AT_EMPTY_PATH = 0x1000

_table = NUMBERS[os.uname().machine]
_libc = ctypes.CDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long


#: How many calls were made, by this process and its children.
made = memoryview(mmap.mmap(-1, 8)).cast("Q")
#: Where calls are noted that are made, and how they ended: a descriptor, or -1.
notes = -1


def call(name: str, *arguments: object) -> int:
    """Return the result of the call *name*, or -errno."""
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in arguments]
    made[0] += 1
    if notes >= 0 and name.startswith("exec"):  # It does not come back to tell.
        os.write(notes, f"{name} 0\n".encode())
    result: int = _syscall(ctypes.c_long(_table[name]), *words)
    answer = result if result >= 0 else -ctypes.get_errno()
    if notes >= 0:
        os.write(notes, f"{name} {errno.errorcode.get(-answer, '0')}\n".encode())
    return answer


def named(result: int) -> int | str:
    """Return a result as a person reads it: the name of the errno, or the number."""
    return errno.errorcode.get(-result, str(result)) if result < 0 else result


def unmapped_page() -> int:
    """Return the address of a page that is not there."""
    area = mmap.mmap(-1, 3 * mmap.PAGESIZE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(area))
    _gone.append(area)  # Else it would be unmapped twice.
    if call("munmap", address + mmap.PAGESIZE, mmap.PAGESIZE) != 0:
        raise OSError("munmap")
    return address + mmap.PAGESIZE


def at_end_of_page(text: bytes) -> int:
    """Return the address of a copy of *text* whose last byte is the last before a hole."""
    address = unmapped_page() - len(text)
    ctypes.memmove(address, text, len(text))
    return address


def guarded_page() -> int:
    """Return the address of a page that may not be touched, after one that may."""
    start = call("mmap", 0, 2 * mmap.PAGESIZE, 3, 0x22, -1, 0)
    if start < 0 or call("mprotect", start + mmap.PAGESIZE, mmap.PAGESIZE, 0) != 0:
        raise OSError("mprotect")
    return start + mmap.PAGESIZE


def drop_capabilities() -> None:
    """Give up what root could do beyond its id: inside, the guest has no capability either."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    nothing = (ctypes.c_uint32 * 6)()
    if call("capset", header, nothing) != 0:
        raise OSError("capset")


_gone: list[mmap.mmap] = []
