# SPDX-License-Identifier: GPL-3.0-or-later
"""Try what the hardening of files is to prevent, each try in a child and a directory of its own.

    attack_files.py TRY...

Prints a line of JSON for each: what came of it, or the name of the errno.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import pty
import stat
import sys
import termios

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from rawcalls import call, named

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def _write(name: str, mode: int = 0o644) -> str:
    with open(name, "w") as file:
        file.write("text")
    os.chmod(name, mode)
    return name


def try_link_in_a_sticky_directory() -> object:
    os.mkdir("shared")
    os.chmod("shared", 0o1777)
    os.symlink("../file", "shared/link")
    return _read("shared/link")


def _read(name: str | int) -> str:
    with open(name) as file:
        return file.read(20)


def try_hard_link_to_what_is_only_readable() -> object:
    _write("readonly", 0o444)
    return os.link("readonly", "new")


def try_hard_link_to_a_fifo() -> object:
    os.mkfifo("fifo")
    return os.link("fifo", "new")


def try_creating_what_others_can_write() -> object:
    _write("open", 0o666)
    return os.close(os.open("open", os.O_CREAT | os.O_WRONLY, 0o600))


def try_creating_through_a_link() -> object:
    os.symlink("target", "link")
    os.close(os.open("link", os.O_CREAT | os.O_WRONLY, 0o600))
    return os.listdir(".")


def try_opening_a_set_id_file() -> object:
    return os.close(os.open("/usr/bin/su", os.O_RDONLY))


def try_making_a_set_id_program() -> object:
    os.chmod("file", 0o6755)
    made = os.open("new", os.O_CREAT | os.O_WRONLY, 0o4755)
    os.mknod("node", 0o104755)
    return [oct(os.fstat(made).st_mode), oct(os.stat("file").st_mode), oct(os.stat("node").st_mode)]


def try_taking_the_sticky_bit_off() -> object:
    os.mkdir("d")
    os.chmod("d", 0o1777)
    os.chmod("d", 0o777)
    return oct(os.stat("d").st_mode)


def try_a_deleted_file_by_its_link() -> object:
    fd = os.open("file", os.O_RDONLY)
    os.unlink("file")
    return _read(f"/proc/self/fd/{fd}")


def try_a_name_for_the_shell() -> object:
    return os.mkdir("$(reboot)")


def try_a_name_for_the_terminal() -> object:
    return os.mkdir("\x1b[2J")


def try_the_memory_of_another_process() -> object:
    return os.close(os.open(f"/proc/{os.getppid()}/mem", os.O_RDONLY))


def try_the_directory_of_another_process() -> object:
    return bool(os.listdir(f"/proc/{os.getppid()}/cwd"))


def try_dot_dot() -> object:
    return bool(os.stat("../" + os.path.basename(os.getcwd())))


def _command(text: str) -> None:
    """Give the sandbox a command: with this switch from the start nothing could be run."""
    with contextlib.suppress(OSError):
        os.stat(f"/dev/syd/{text}")


def try_a_link() -> object:
    _command("trace/force_no_symlinks:1")
    os.symlink("file", "link")
    return _read("link")


def try_a_magic_link() -> object:
    fd = os.open("file", os.O_RDONLY)
    return _read(f"/proc/self/fd/{fd}")


def try_another_file_system() -> object:
    return bool(os.stat("/proc/version"))


def try_writing() -> object:
    _command("trace/force_ro_open:1")
    return os.close(os.open("file", os.O_WRONLY))


def try_writing_a_program() -> object:
    return os.close(os.open(_write("program", 0o755), os.O_WRONLY))


def try_making_a_program_open_for_writing() -> object:
    return os.close(os.open("made", os.O_CREAT | os.O_WRONLY, 0o755))


def try_a_descriptor_that_only_names() -> object:
    fd = os.open("file", os.O_PATH)
    return bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_PATH)


def try_inheriting() -> object:
    fds = [call("open", b"file", 0), call("eventfd2", 0, 0), call("memfd_create", b"m", 0)]
    pair = (ctypes.c_int * 2)()
    call("pipe2", pair, 0)
    return [fcntl.fcntl(fd, fcntl.F_GETFD) for fd in (*fds, *pair)]


def try_guessing_a_descriptor() -> object:
    fds = [os.open("file", os.O_RDONLY) for _ in range(8)]
    return fds == list(range(fds[0], fds[0] + 8))


def try_a_terminal_of_its_own() -> object:
    leader, follower = pty.openpty()
    name = os.ttyname(follower)
    os.setsid()
    os.close(follower)
    os.close(os.open(name, os.O_RDWR))
    os.close(leader)
    return os.close(os.open("/dev/tty", os.O_RDWR))


def try_typing_for_others() -> object:
    return fcntl.ioctl(pty.openpty()[1], termios.TIOCSTI, b"x") and None


def try_a_device_node() -> object:
    pid = os.fork()
    if pid == 0:
        call("mknod", b"null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        os._exit(1)  # Natively it fails; inside not even that is told.
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def try_watching_a_device() -> object:
    fd = call("inotify_init1", 0)
    return named(call("inotify_add_watch", fd, b"/dev/null", 3))


def try_when_a_device_was_used() -> object:
    seen = os.stat("/dev/ptmx")
    return seen.st_atime_ns == seen.st_mtime_ns == seen.st_ctime_ns


def try_the_kernel_log() -> object:
    return os.close(os.open("/dev/kmsg", os.O_RDONLY))


def try_an_attribute_of_the_system() -> object:
    return os.setxattr("file", "security.x", b"y")


def try_a_great_attribute() -> object:
    return os.setxattr("file", "user.x", b"y" * 513)


def try_giving_a_file_away() -> object:
    return os.chown("file", 12_345, -1)


def try_files_after_chroot() -> object:
    os.chroot(".")
    return [_attempt(lambda: os.stat("/")), _attempt(lambda: os.open("file", 0) > 0)]


def try_another_root() -> object:
    return named(call("pivot_root", b".", b"."))


def try_sharing_blocks() -> object:
    _write("clone")
    one, two = os.open("clone", os.O_WRONLY), os.open("file", os.O_RDONLY)
    return fcntl.ioctl(one, 0x40049409, two)


def try_an_unknown_ioctl() -> object:
    return fcntl.ioctl(os.open("file", os.O_RDONLY), 0x12345678)


def try_a_great_pipe() -> object:
    receive, send = os.pipe()
    return [fcntl.fcntl(send, 1032), _attempt(lambda: fcntl.fcntl(receive, 1031, 1 << 20))]


def try_a_pipe_for_notifications() -> object:
    return named(call("pipe2", (ctypes.c_int * 2)(), 0x80))


def try_running_memory() -> object:
    fd = os.memfd_create("m")
    os.write(fd, b"#!/bin/sh\n")
    return bool(fcntl.fcntl(fd, fcntl.F_GET_SEALS) & 0x20)


def try_a_file_by_its_handle() -> object:
    buffer = ctypes.create_string_buffer(200)
    return named(call("name_to_handle_at", -100, b"file", buffer, buffer, 0))


def try_removing_below_proc() -> object:
    return os.rmdir("/proc/self/task")


def _attempt(what: Callable[[], object]) -> object:
    try:
        return what()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error.errno))


def main() -> None:
    """Make the tries that the arguments name."""
    work = os.getcwd()
    for name in sys.argv[1:]:
        receive, send = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.mkdir(f"{work}/{name}")
            os.chdir(f"{work}/{name}")
            os.umask(0o022)
            _write("file")
            os.write(send, json.dumps(_attempt(globals()["try_" + name])).encode())
            os._exit(0)
        os.close(send)
        answer = b""
        while piece := os.read(receive, 4096):
            answer += piece
        os.close(receive)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        print(answer.decode() or json.dumps(f"died: {status}"), flush=True)


main()
