# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases where madcap is to answer otherwise than Linux does, with every switch at its default."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
from typing import TYPE_CHECKING

from cases_open import O_PATH
from rawcalls import named

if TYPE_CHECKING:
    from run_cases import Tree


def case_a_symlink_in_a_directory_of_others_is_not_followed(t: Tree) -> object:
    os.mkdir(b"shared")
    os.chmod(b"shared", 0o1777)
    os.symlink(b"../file", b"shared/link")
    return [t("open", b"shared/link", 0), t("open", b"shared/link/", 0), t("open", b"link", 0) > 0]


def case_only_plain_files_of_mine_are_hard_linked(t: Tree) -> object:
    os.chmod(b"other", 0o444)
    os.chmod(b"program", 0o4755)
    names = (b"file", b"fifo", b"other", b"unreadable", b"link")
    return [t("link", name, b"new-" + name) for name in names]


def case_creating_what_others_may_write_is_refused(t: Tree) -> object:
    os.chmod(b"file", 0o666)
    os.chmod(b"fifo", 0o620)
    return [
        t("open", b"file", os.O_CREAT | os.O_WRONLY, 0o600),
        t("open", b"fifo", os.O_CREAT | os.O_RDWR, 0o600),
        t("open", b"file", os.O_WRONLY) > 0,
        t("open", b"other", os.O_CREAT | os.O_WRONLY, 0o600) > 0,
        t("open", b"dangling", os.O_CREAT | os.O_WRONLY, 0o600),
    ]


def case_set_id_bits_never_arrive(t: Tree) -> object:
    os.chmod(b"file", 0o7755)
    made = t("open", b"new", os.O_CREAT | os.O_WRONLY, 0o4755)
    os.chmod(b"hollow", 0o1777)
    kept = t("chmod", b"hollow", 0o700)
    return [
        t.look(b"file")[0],
        made if isinstance(made, str) else t.look(b"new")[0],
        kept,
        t.look(b"hollow")[0],
    ]


def case_set_id_files_are_not_opened(t: Tree) -> object:
    return t("open", b"/usr/bin/su", 0)


def case_names_with_odd_characters_are_refused(t: Tree) -> object:
    names = (b"a*b", b"-x", b"x ", b" x", b"~x", b"a\nb", b"\xff", b"a;b", b"a$b", b"a\xc2\xa0")
    fine = (b"a:b", b"{c}", b"a b", b"a%b", b"\xe2\x82\xac", b"a+b=c,d@e#f^g_h.i")
    return [
        [t("mkdir", name, 0o700) for name in names],
        [t("mkdir", name, 0o700) for name in fine],
        [t("open", name, os.O_CREAT | os.O_WRONLY, 0o600) for name in names[:3]],
    ]


def case_a_deleted_file_has_no_path(t: Tree) -> object:
    fd = t.fd(b"file")
    os.unlink(b"file")
    return t("open", b"/proc/self/fd/%d" % fd, 0)


def case_a_path_descriptor_becomes_a_plain_one(t: Tree) -> object:
    fd = t("open", b"file", O_PATH)
    link = t("open", b"link", O_PATH | os.O_NOFOLLOW)
    return [bool(fcntl.fcntl(fd, fcntl.F_GETFL) & O_PATH), link]


def case_proc_of_others_is_closed(t: Tree) -> object:
    # The parent of this case is the runner, and so a process of the same sandbox.
    parent = b"/proc/%d" % os.getppid()
    names = (parent, parent + b"/status", b"/proc/1/status", b"/proc/1")
    return [t("access", name, 0) for name in names]


def case_the_status_file_shows_no_sandbox(t: Tree) -> object:
    lines = t.read(b"/proc/self/status").splitlines()
    wanted = ("TracerPid", "NoNewPrivs", "Seccomp", "Seccomp_filters")
    return [line.split() for line in lines if line.partition(":")[0] in wanted]


def case_any_address_becomes_loopback(t: Tree) -> object:
    with socket.socket() as server:
        server.bind(("", 0))
        name = server.getsockname()[0]
    del t
    return name


def case_socket_families_that_are_not_known(t: Tree) -> object:
    wanted = ((40, 1, 0), (38, 5, 0), (17, 3, 0), (2, 3, 1), (16, 3, 99), (29, 3, 1))
    return [t("socket", *words) for words in wanted]


def case_privileged_ports(t: Tree) -> object:
    with socket.socket() as server:
        try:
            server.bind(("127.0.0.1", 80))
        except OSError as error:
            return named(-(error.errno or 0))
    del t
    return "bound"


def case_the_log_of_the_kernel_is_closed(t: Tree) -> object:
    buffer = ctypes.create_string_buffer(64)
    return [t("syslog", 10, 0, 0), t("syslog", 3, buffer, 64), t("syslog", 99, 0, 0)]


def case_calls_that_answer_as_if_they_were_not_there(t: Tree) -> object:
    buffer = ctypes.create_string_buffer(256)
    return {
        "io_uring_setup": t("io_uring_setup", 1, buffer),
        "bpf": t("bpf", 0, buffer, 0),
        "perf_event_open": t("perf_event_open", buffer, 0, -1, -1, 0),
        "process_vm_readv": t("process_vm_readv", os.getpid(), 0, 0, 0, 0, 0),
        "process_vm_writev": t("process_vm_writev", os.getpid(), 0, 0, 0, 0, 0),
        "pidfd_getfd": t("pidfd_getfd", 0, 0, 0),
        "kcmp": t("kcmp", 1, 1, 0, 0, 0),
        "userfaultfd": t("userfaultfd", 0),
        "mount": t("mount", 0, 0, 0, 0, 0),
        "seccomp": t("seccomp", 1, 0, buffer),
        "ptrace": t("ptrace", 16, 1, 0, 0),
        "unknown call": named(call_number(9999)),
        "unshare user": t("unshare", 0x10000000),
    }


def call_number(number: int) -> int:
    """Make a call that has no name."""
    libc = ctypes.CDLL(None, use_errno=True)
    return 0 if libc.syscall(number) >= 0 else -ctypes.get_errno()
