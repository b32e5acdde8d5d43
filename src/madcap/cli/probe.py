# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to the running kernel, each asked by trying. Only the system report comes here."""

from __future__ import annotations

import errno
import os
import struct

from madcap.linux._call import MACHINE, Buffer, call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

_CLONE_NEWUSER = 0x1000_0000
_PR_GET_SPECULATION_CTRL, _PR_SCHED_CORE = 52, 62
_AT_EMPTY_PATH, _AT_EXECVE_CHECK = 0x1000, 0x1_0000
_STATX_MNT_ID_UNIQUE = 0x4000
_MADV_GUARD_INSTALL = 102
_PIDFD_THREAD = os.O_EXCL
_PIDFD_GET_INFO = 0xC040_FF0B
_PROCMAP_QUERY = 0xC068_6611
_IORING_REGISTER_RESTRICTIONS = 11
_MODULES: Final = {
    100: "capability", 101: "selinux", 102: "smack", 103: "tomoyo", 104: "apparmor", 105: "yama",
    106: "loadpin", 107: "safesetid", 108: "lockdown", 109: "bpf", 110: "landlock", 111: "ima",
    112: "evm", 113: "ipe",
}  # fmt: skip


def read(path: str) -> str:
    """Return the contents of the small file *path* without blanks around them."""
    with open(path, "rb") as file:
        return file.read(1 << 20).decode("ascii", "replace").strip()


def landlock_abi() -> int:
    """Return the version of Landlock's interface."""
    return call("landlock_create_ruleset", 0, 0, 1)


def user_namespaces() -> bool:
    """Try to make a user namespace, in a child."""
    child = os.fork()
    if child == 0:
        try:
            call("unshare", _CLONE_NEWUSER)
            os._exit(0)
        except OSError:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def cross_memory_attach() -> bool:
    """Read our own memory the way other processes' memory is read."""
    target, copy, vectors = Buffer(8), Buffer(8), Buffer(32)
    target.data[:] = b"madcap!!"
    vectors.data[:] = struct.pack("=QQQQ", copy.address, 8, target.address, 8)
    return _works(
        "process_vm_readv", os.getpid(), vectors.address, 1, vectors.address + 16, 1, 0
    ) and bytes(copy.data) == bytes(target.data)


def _works(name: str, *args: object) -> bool:
    """Return whether the system call *name* succeeds with *args*."""
    try:
        call(name, *args)
    except OSError:
        return False
    return True


def kcmp() -> bool:
    """Compare our own memory with itself."""
    return _works("kcmp", os.getpid(), os.getpid(), 1, 0, 0)


def mseal() -> bool:
    """Seal nothing at all."""
    return _works("mseal", 0, 0, 0)


def memfd_secret() -> bool:
    """Make secret memory."""
    try:
        os.close(call("memfd_secret", os.O_CLOEXEC))
    except OSError as error:
        if error.errno == errno.ENOSYS:
            return False
        raise
    return True


def memory_tagging() -> bool:
    """Look for the hardware capability MTE, which only this architecture has."""
    if MACHINE != "aarch64":
        return False
    with open("/proc/self/auxv", "rb") as file:
        entries = dict(struct.iter_unpack("=QQ", file.read()))
    return bool(entries.get(26, 0) & 1 << 18)  # AT_HWCAP2, HWCAP2_MTE


def core_scheduling() -> bool:
    """Ask for our scheduling cookie."""
    return _works("prctl", _PR_SCHED_CORE, 0, 0, 0, Buffer(8).address)


def unix_diag() -> bool:
    """Ask netlink for a list of UNIX sockets."""
    import _socket

    request = struct.pack("=IHHII", 40, 20, 0x301, 1, 0)  # SOCK_DIAG_BY_FAMILY, REQUEST | DUMP
    request += struct.pack("=BBHIIIII", 1, 0, 0, 0, 0, 0, 0, 0)
    try:
        query = _socket.socket(16, 3 | os.O_CLOEXEC, 4)  # AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG
    except OSError:
        return False
    try:
        query.settimeout(1)
        query.sendto(request, (0, 0))
        answer = query.recv(4096)
    except OSError:
        return False
    finally:
        query.close()
    kind = struct.unpack_from("=H", answer, 4)[0]
    return bool(kind != 2 or struct.unpack_from("=i", answer, 16)[0] == 0)  # NLMSG_ERROR


def security_modules() -> list[str]:
    """Return the names of the active security modules."""
    size, found = Buffer(4), Buffer(8 * 64)
    size.data[:] = struct.pack("=I", found.size)
    try:
        count = call("lsm_list_modules", found.address, size.address, 0)
    except OSError:
        try:
            return read("/sys/kernel/security/lsm").split(",")
        except OSError:
            pass
        raise
    numbers = struct.unpack_from(f"={count}Q", found.data)
    return [_MODULES.get(number, str(number)) for number in numbers]


def open_file_limits() -> str:
    """Return the soft and the hard limit of open files."""
    for line in read("/proc/self/limits").splitlines():
        if line.startswith("Max open files"):
            return " ".join(line.split()[3:5])
    raise OSError(errno.ENODATA, "no limit of open files")


def char_devices() -> list[tuple[str, int]]:
    """Return name and major number of all character devices."""
    found: list[tuple[str, int]] = []
    try:
        lines = read("/proc/devices").splitlines()
    except OSError:
        return found
    for line in lines:
        major, _, name = line.strip().partition(" ")
        if major == "Block":
            break
        if major.isdigit():
            found.append((name.strip(), int(major)))
    return found


def speculation(which: int) -> int:
    """Return the state of the mitigation number *which*."""
    return call("prctl", _PR_GET_SPECULATION_CTRL, which, 0, 0, 0)


def kernel_at_least(major: int, minor: int) -> bool:
    """Return whether the kernel has this version; only where nothing can be asked."""
    numbers = os.uname().release.split("-")[0].split(".")
    return (int(numbers[0]), int(numbers[1])) >= (major, minor)


def _execve_check() -> bool:
    fd = os.open("/proc/self/exe", os.O_PATH | os.O_CLOEXEC)
    try:
        return _works("execveat", fd, b"", 0, 0, _AT_EMPTY_PATH | _AT_EXECVE_CHECK)
    finally:
        os.close(fd)


def _pidfd_info() -> bool:
    info = Buffer(64)
    info.data[:8] = struct.pack("=Q", 1)
    fd = call("pidfd_open", os.getpid(), 0)
    try:
        return _works("ioctl", fd, _PIDFD_GET_INFO, info.address)
    finally:
        os.close(fd)


def _pidfd_thread() -> bool:
    try:
        os.close(call("pidfd_open", os.getpid(), _PIDFD_THREAD))
    except OSError:
        return False
    return True


def _procmap_query() -> bool:
    query = Buffer(104)
    query.data[:24] = struct.pack("=QQQ", 104, 16, query.address)
    fd = os.open("/proc/self/maps", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _works("ioctl", fd, _PROCMAP_QUERY, query.address)
    finally:
        os.close(fd)


def _unique_mount() -> bool:
    result = Buffer(256)
    call("statx", -100, b"/", 0, _STATX_MNT_ID_UNIQUE, result.address)
    return bool(struct.unpack_from("=I", result.data)[0] & _STATX_MNT_ID_UNIQUE)


def _ring_restrictions() -> bool:
    """Give restrictions for a task but no memory to read them from."""
    try:
        call("io_uring_register", -1, _IORING_REGISTER_RESTRICTIONS, 0, 1)
    except OSError as error:
        return error.errno == errno.EFAULT
    return True


FEATURES: Final[tuple[tuple[str, Callable[[], bool]], ...]] = (
    ("at_execve_check", _execve_check),
    ("landlock_scoped_signals", lambda: landlock_abi() >= 6),
    ("madv_guard_install", lambda: _works("madvise", 0, 0, _MADV_GUARD_INSTALL)),
    ("namespaced_pid_max", lambda: kernel_at_least(6, 14)),
    ("pidfd_thread", _pidfd_thread),
    ("pidfd_get_info", _pidfd_info),
    ("procmap_query", _procmap_query),
    ("proc_pid_fd_stat_size", lambda: os.stat("/proc/self/fd").st_size > 0),
    ("seccomp_user_notif_fd_sync_wake_up", lambda: kernel_at_least(6, 6)),
    ("statx_mnt_id_unique", _unique_mount),
    ("uring_restrictions_task", _ring_restrictions),
)
