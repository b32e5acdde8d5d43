# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases for what a process has of its own: umask, directories, exec, signals, threads."""

from __future__ import annotations

import ctypes
import errno
import os
import select
import signal
import sys
import threading
from typing import TYPE_CHECKING

from cases_open import O_PATH, kind
from rawcalls import AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, call, named, unmapped_page

if TYPE_CHECKING:
    from collections.abc import Callable

    from run_cases import Tree


def in_child(action: Callable[[], object]) -> str:
    """Run *action* in a child; return how it ended, and what it wrote."""
    receive, send = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(send, 1)
        os.dup2(send, 2)
        os.closerange(3, 50)
        try:
            code = action()
        except BaseException as error:
            os.write(1, repr(error).encode())
            code = 99
        os._exit(code if isinstance(code, int) else 98)
    os.close(send)
    text = b""
    while piece := os.read(receive, 4096):
        text += piece
    os.close(receive)
    return f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])} {text.decode()}"


def execve(t: Tree, name: object, *words: bytes) -> str:
    """Execute *name* in a child by a raw call; return its status, or the errno as status 200."""
    argv = (ctypes.c_char_p * (len(words) + 2))(b"zero", *words, None)
    env = (ctypes.c_char_p * 2)(b"PATH=/usr/bin:/bin", None)

    def action() -> int:
        os.write(1, str(named(call("execve", name, argv, env))).encode())
        return 97

    del t
    return in_child(action)


def case_exec_of_every_sort_of_name(t: Tree) -> object:
    t.write(b"data", b"not a program")
    os.chmod(b"data", 0o755)
    os.symlink(b"program", b"plink")
    os.symlink(b"/bin/true", b"tlink")
    names = (
        b"program", b"./program", b"plink", b"tlink", b"file", b"data", b"absent", b"dir", b"dir/",
        b"", b"loop", b"dangling", b"file/x", b"blind/inside", b"/bin/true", b"/bin/false",
        b"/bin/true/", b"n" * 256, b"fifo", b"/dev/null", b"empty", b"program/",
    )  # fmt: skip
    return {name.decode()[:20]: execve(t, name) for name in names}


def case_scripts_and_their_interpreters(t: Tree) -> object:
    scripts = {
        b"plain": b"#!/bin/sh\necho got $0 $1\n",
        b"option": b"#!/bin/sh -x\necho got $1\n",
        b"spaces": b"#!  /bin/sh   -e  \nfalse\necho no\n",
        b"env": b"#!/usr/bin/env sh\necho env $1\n",
        b"nested": b"#!./plain\nx\n",
        b"absent": b"#!/no/such/interpreter\n",
        b"none": b"#!\n",
        b"none-but-spaces": b"#!   \n",
        b"directory": b"#!/bin\n",
        b"no-newline": b"#!/bin/true",
        b"relative": b"#!plain\n",
        b"long": b"#!/" + b"x" * 300 + b"\n",
        b"loop-1": b"#!./loop-1\n",
    }
    for name, text in scripts.items():
        t.write(
            b"s-" + name, text.replace(b"./plain", b"./s-plain").replace(b"./loop", b"./s-loop")
        )
        os.chmod(b"s-" + name, 0o755)
    return {name.decode(): execve(t, b"s-" + name, b"word") for name in scripts}


def case_exec_by_descriptor(t: Tree) -> object:
    argv, env = (ctypes.c_char_p * 2)(b"zero", None), (ctypes.c_char_p * 1)(None)

    def execveat(fd: int, name: object, flags: int) -> str:
        def action() -> int:
            os.write(1, str(named(call("execveat", fd, name, argv, env, flags))).encode())
            return 97

        return in_child(action)

    # The children close what is above 3: keep these low enough to live, and inheritable.
    program, true = os.open("/bin/false", O_PATH), os.open("/bin/true", os.O_RDONLY)
    high = [
        os.dup2(fd, 60 + i, inheritable=True)
        for i, fd in enumerate((program, true, t.fd(b"."), t.fd(b"file")))
    ]
    return [
        execveat(high[0], b"", AT_EMPTY_PATH),
        execveat(high[1], b"", AT_EMPTY_PATH),
        execveat(high[2], b"program", 0),
        execveat(high[2], b"absent", 0),
        execveat(high[3], b"", AT_EMPTY_PATH),
        execveat(high[3], b"x", 0),
        execveat(high[1], b"", 0),
        execveat(99, b"program", 0),
        execveat(AT_FDCWD, b"program", AT_SYMLINK_NOFOLLOW),
        execveat(AT_FDCWD, b"/bin/true", 0x400),
    ]


def case_exec_with_bad_addresses(t: Tree) -> object:
    hole = unmapped_page()
    argv, env = (ctypes.c_char_p * 2)(b"zero", None), (ctypes.c_char_p * 1)(None)
    bad = (ctypes.c_void_p * 2)(hole, None)

    def attempt(*arguments: object) -> str:
        def action() -> int:
            os.write(1, str(named(call("execve", *arguments))).encode())
            return 97

        return in_child(action)

    del t
    return [
        attempt(hole, argv, env),
        attempt(b"/bin/true", hole, env),
        attempt(b"/bin/true", bad, env),
        attempt(b"/bin/true", argv, hole),
        attempt(b"/bin/true", argv, bad),
    ]


def case_what_a_program_inherits(t: Tree) -> object:
    fd = t.fd(b"file")
    kept = os.dup2(fd, 70, inheritable=True)
    os.dup2(fd, 71, inheritable=False)
    text = "import os,sys; print(os.getcwd()==sys.argv[1], oct(os.umask(0)), sorted(os.environ))"
    text += "; print([os.path.exists(f'/proc/self/fd/{n}') for n in (70, 71)])"

    def action() -> int:
        os.umask(0o031)
        words = [sys.executable, "-I", "-S", "-c", text, os.fsdecode(t.root)]
        os.execve(sys.executable, words, {"A": "b", "LC_CTYPE": "C"})  # noqa: S606 - as it says
        return 0

    return [kept, in_child(action)]


def case_exec_from_a_thread_that_is_not_the_first(t: Tree) -> object:
    def action() -> int:
        thread = threading.Thread(target=os.execv, args=("./program", ["program"]))
        thread.start()
        thread.join()
        return 96

    del t
    return in_child(action)


def case_chdir_of_every_sort_of_name(t: Tree) -> object:
    names = (
        b"dir", b"dirlink", b"file", b"absent", b"link", b"loop", b"dangling", b"", b".", b"..",
        b"/",
        b"blind", b"locked", b"dir/sub/..", b"file/x", b"n" * 256, b"/proc/self",
    )  # fmt: skip
    seen = {}
    for name in names:
        answer = t("chdir", name)
        seen[name.decode()[:20]] = [answer, "/proc" if name.startswith(b"/proc") else os.getcwd()]
        os.chdir(t.root)
    return seen


def case_fchdir(t: Tree) -> object:
    removed = t.fd(b"hollow")
    os.rmdir(b"hollow")
    fds = (t.fd(b"dir"), t.fd(b"dir", O_PATH) if False else t.fd(b"file"), 99, -1, removed)
    seen = []
    for fd in fds:
        seen.append(t("fchdir", fd))
        try:
            seen.append(os.getcwd())
        except OSError as error:
            seen.append(error.errno)
        os.chdir(t.root)
    return seen


def case_each_process_has_its_own_umask_and_directory(t: Tree) -> object:
    os.umask(0o022)

    def action() -> int:
        os.umask(0o077)
        os.chdir("dir")
        os.mkdir("child", 0o777)
        return 0

    child = in_child(action)
    os.mkdir("parent", 0o777)
    return [child, t.look(b"dir/child"), t.look(b"parent"), t.names(b"dir")]


def case_threads_share_their_umask_and_directory(t: Tree) -> object:
    def work() -> None:
        os.umask(0o077)
        os.chdir("dir")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    os.mkdir("made", 0o777)
    return [t.look(b"made"), t.names()]


def case_a_thread_may_leave_what_it_shared(t: Tree) -> object:
    """unshare(CLONE_FS) gives the thread a directory of its own, which relative names follow."""
    seen: list[object] = []

    def work() -> None:
        seen.append(named(call("unshare", 0x200)))
        os.chdir("dir")
        seen.append(kind(t("open", b"inner", 0)))
        os.umask(0o077)
        os.mkdir("own", 0o777)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    os.mkdir("made", 0o777)
    return [seen, t.look(b"made"), t.look(b"dir/own"), kind(t("open", b"file", 0))]


def case_many_threads_at_once(t: Tree) -> object:
    wrong: list[object] = []

    def work(number: int) -> None:
        for turn in range(100):
            name = b"t%d-%d" % (number, turn)
            fd = call("open", name, os.O_CREAT | os.O_RDWR | os.O_EXCL, 0o600)
            text = b"%d" % number
            if os.write(fd, text) != len(text) or os.pread(fd, 9, 0) != text:
                wrong.append([number, turn])
            os.close(fd)
            results = [call("rename", name, name + b"x"), call("access", name, 0)]
            results.append(call("unlink", name + b"x"))
            if results != [0, -errno.ENOENT, 0]:
                wrong.append([number, turn, results])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [wrong, [name for name in t.names() if name.startswith("t")]]


def case_many_processes_at_once(t: Tree) -> object:
    def action(number: int) -> Callable[[], int]:
        def work() -> int:
            for turn in range(50):
                name = b"p%d-%d" % (number, turn)
                if call("mkdir", name, 0o700) != 0 or call("rmdir", name) != 0:
                    return 1
            return 0

        return work

    pids = []
    for number in range(8):
        pid = os.fork()
        if pid == 0:
            os._exit(action(number)())
        pids.append(pid)
    return [[os.waitpid(pid, 0)[1] for pid in pids], [n for n in t.names() if n.startswith("p")]]


def interrupted_open(flags: int) -> list[object]:
    """Open a FIFO that nobody writes; a signal comes; then a writer. Return what happened."""
    seen: list[object] = []
    signal.signal(signal.SIGALRM, lambda *_: seen.append("handler"))
    signal.siginterrupt(signal.SIGALRM, not flags)
    pid = os.fork()
    if pid == 0:
        # The reader is asleep in its open when the alarm of 0.2 s comes; this one comes later.
        select.select([], [], [], 0.6)
        os.close(call("open", b"fifo", os.O_WRONLY | os.O_NONBLOCK))
        os._exit(0)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    result = call("open", b"fifo", os.O_RDONLY)
    seen.append("opened" if result >= 0 else named(result))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return seen


def case_a_signal_interrupts_a_blocked_open(t: Tree) -> object:
    del t
    return interrupted_open(0)


def case_a_blocked_open_restarts_when_the_handler_says_so(t: Tree) -> object:
    del t
    return interrupted_open(1)


def case_a_blocked_open_dies_by_a_default_signal(t: Tree) -> object:
    seen = []
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT):
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            call("open", b"fifo", os.O_RDONLY)
            os._exit(1)
        select.select([], [], [], 0.2)  # Time for it to fall asleep; too little makes it no easier.
        os.kill(pid, number)
        seen.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    # No reader may be left behind in the supervisor.
    return [seen, t("open", b"fifo", os.O_WRONLY | os.O_NONBLOCK)]


def case_a_blocked_open_is_stopped_and_goes_on(t: Tree) -> object:
    pid = os.fork()
    if pid == 0:
        os._exit(0 if call("open", b"fifo", os.O_RDONLY) >= 0 else 1)
    select.select([], [], [], 0.2)
    os.kill(pid, signal.SIGSTOP)
    stopped = os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1])
    os.kill(pid, signal.SIGCONT)
    writer = t("open", b"fifo", os.O_WRONLY)
    return [stopped, isinstance(writer, int), os.waitpid(pid, 0)[1]]


def case_many_blocked_opens_do_not_block_others(t: Tree) -> object:
    pids = []
    for number in range(12):
        os.mkfifo(b"f%d" % number)
        pid = os.fork()
        if pid == 0:
            fd = call("open", b"f%d" % number, os.O_RDONLY)
            os._exit(int(os.read(fd, 9) or b"99"))
        pids.append(pid)
    select.select([], [], [], 0.2)
    free = [t("mkdir", b"free", 0o700), kind(t("open", b"file", 0))]
    for number in range(12):
        os.write(os.open(b"f%d" % number, os.O_WRONLY), b"%d" % number)
    return [free, [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]]


def case_a_child_is_reaped_and_orphans_live(t: Tree) -> object:
    receive, send = os.pipe()
    pid = os.fork()
    if pid == 0:
        if os.fork() == 0:
            select.select([], [], [], 0.1)
            os.write(send, b"orphan at work" if os.path.exists("file") else b"lost")
        os._exit(4)
    os.close(send)
    return [
        os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]),
        os.read(receive, 99).decode(),
        t.names(),
    ]


def case_ids_that_change_nothing(t: Tree) -> object:
    uid, gid = os.getuid(), os.getgid()
    same = (1 << 32) - 1
    del t
    return [
        named(call("setresuid", same, same, same)),
        named(call("setresgid", same, same, same)),
        named(call("setresuid", same, uid, same)),
        named(call("setuid", uid)),
        named(call("setgid", gid)),
    ]


def case_a_removed_directory_has_no_name(t: Tree) -> object:
    os.chdir(b"hollow")
    os.rmdir(b"../hollow")
    try:
        return os.getcwd()
    except OSError as error:
        return [error.errno, t("open", b"../file", 0) in range(100)]
