# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel really executed, judged at PTRACE_EVENT_EXEC before any of it runs."""

from __future__ import annotations

import errno
import os

from madcap import events
from madcap.abi import flags as F
from madcap.kernel import auxv, elf, mapping, moves, trust
from madcap.kernel.exec import refusal
from madcap.linux import ptrace
from madcap.linux._call import Buffer
from madcap.linux.fs import open_with, openat2, openat2_how, readlinkat
from madcap.linux.memory import Memory
from madcap.linux.process import read_file
from madcap.policy import actions as A
from madcap.policy import categories as C
from madcap.supervisor.programs import plain_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from madcap.kernel.host import Host
    from madcap.policy.domain import Domain

_PATH_HOW = openat2_how(F.O_PATH, 0)


class ExecVerifier:
    """Judges new images for the tracer; belongs to the main thread."""

    __slots__ = ("_host", "_memory", "_registers", "_scratch")

    def __init__(self, host: Host) -> None:
        self._host = host
        self._memory = Memory(host.proc, host.sandbox.memory_access)
        self._scratch = Buffer(4608)
        self._registers = ptrace.Registers()

    def verify(self, pid: int) -> bytes | None:
        """Return what process *pid*, stopped in its exec, has become; None if it may not run it."""
        try:
            return self._judge(pid)
        except OSError as error:
            if error.errno == errno.ESRCH:
                raise
            return None

    def _judge(self, pid: int) -> bytes:
        host = self._host
        policy = host.sandbox.active  # One for the whole image.
        fds: list[int] = []
        try:
            fd = open_with(host.proc, b"%d/exe" % pid, _PATH_HOW)
            if fd < 0:
                raise OSError(errno.ENOENT, "no program")
            fds.append(fd)
            program = self._name(fd)
            self._check(policy, pid, program, fd, program=True)
            loader = self._loader(pid, self._text(fd))
            if loader is not None:
                path = loader[2]
                fd = openat2(host.root, path, F.O_PATH, F.RESOLVE_NO_SYMLINKS)
                fds.append(fd)
                opened = mapping.identity(fd, os.fstat(fd), self._text(fd), self._scratch)
                if not mapping.same(opened, loader):
                    self._report(pid, "open_elf", path)
                    raise OSError(errno.EACCES, "another loader")
                self._check(policy, pid, path, fd, program=False)
            self._secure(policy, pid)
            moves.after(host, "exec", program)
            return program
        finally:
            for fd in fds:
                os.close(fd)

    def _text(self, fd: int) -> bytes:
        size = readlinkat(self._host.self_fd, b"%d" % fd, self._scratch.address, 4097)
        return bytes(self._scratch.data[:size])

    def _name(self, fd: int) -> bytes:
        """Return the name that rules know the program behind *fd* by, deleted or not."""
        return plain_name(self._text(fd), fd)

    def _loader(self, pid: int, program: bytes) -> mapping.Identity | None:
        """Return the ELF interpreter out of the maps, if there is one.

        It is what doesn't bear the name *program*, under which the program was judged.
        """
        own = mapping.in_maps(program)
        for line in read_file(self._host.proc, b"%d/maps" % pid).split(b"\n"):
            fields = line.split(None, 5)
            if len(fields) < 6 or fields[5][:1] != b"/" or fields[5] == own:
                continue
            major, _, minor = fields[3].partition(b":")
            return os.makedev(int(major, 16), int(minor, 16)), int(fields[4]), fields[5]
        return None

    def _check(self, policy: Domain, pid: int, name: bytes, fd: int, *, program: bool) -> None:
        verdict = policy.check(C.EXEC, name)
        action = verdict[0]
        if action not in (A.ALLOW, A.FILTER):
            events.emit(
                events.WARN,
                {
                    "ctx": "access",
                    "cap": "exec",
                    "act": A.NAMES[A.KILL if action == A.DENY else action],
                    "sys": "execve",
                    "path": name,
                },
                pid=pid,
                tip=f"configure `allow/exec+{name.decode('ascii', 'replace')}'",
            )
        if action == A.EXIT:
            os._exit(errno.EACCES)
        if action not in (A.ALLOW, A.WARN):
            raise OSError(errno.EACCES, "exec")
        if self._host.crashes.forbids(policy, name, pid):
            raise OSError(errno.EACCES, "suspended")
        trust.require(self._host, policy, fd, name, "execve", pid)
        self._check_format(pid, name, fd, program=program)
        if policy.enabled & C.FORCE:
            self._check_sum(policy, pid, name, fd)

    def _check_format(self, pid: int, name: bytes, fd: int, *, program: bool) -> None:
        options = self._host.options
        if not elf.wants_inspection(options):
            return
        reason = refusal(self._host, fd, program=program)
        if reason is not None:
            self._report(pid, "check_elf", name)
            raise OSError(errno.EACCES, reason)

    def _check_sum(self, policy: Domain, pid: int, name: bytes, fd: int) -> None:
        from madcap.kernel import checksum

        action, more = checksum.verdict(self._host, policy, fd, name)
        if action == A.ALLOW:
            return
        if action == A.DENY:
            action = A.KILL  # What it was before is gone.
        checksum.report({"ctx": "exec", "op": "verify_elf"}, action, name, more, pid)
        if action == A.EXIT:
            os._exit(errno.EACCES)
        if action != A.WARN:
            raise OSError(errno.EACCES, "checksum")

    def _report(self, pid: int, op: str, name: bytes) -> None:
        events.emit(
            events.WARN, {"ctx": "exec", "op": op, "err": errno.EACCES, "path": name}, pid=pid
        )

    def _secure(self, policy: Domain, pid: int) -> None:
        """Put the C library of the new image into its secure mode (AT_SECURE)."""
        host = self._host
        if "allow_unsafe_exec_libc" in host.options:
            return
        stack = self._registers.load(pid).stack
        hide_vdso = "deny_vdso" in policy.flags
        patches = auxv.secure(
            lambda address, size: self._memory.read_some(pid, address, size),
            stack,
            (host.euid, host.euid, host.egid, host.egid),
            hide_vdso=hide_vdso,
        )
        for address, data in patches:
            self._memory.write(pid, address, data)
