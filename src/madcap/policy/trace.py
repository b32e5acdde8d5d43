# SPDX-License-Identifier: GPL-3.0-or-later
"""The ``trace/`` settings: flags, which each domain has, and options, which the sandbox has.

The code of a name is F for a flag or O for an option, then what is still possible under
``lock:drop``: ``+`` switching on, ``-`` switching off, ``.`` neither.
"""

from __future__ import annotations

from errno import EINVAL, ENOSYS, EPERM

from madcap.errors import PolicyError
from madcap.policy.blame import nearest
from madcap.policy.values import NAMESPACES, boolean, invalid, namespaces, octal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from madcap.policy.sandbox import Sandbox

NAMES: Final = {
    "allow_unsafe_exec_ldso": "O-",
    "allow_unsafe_exec_libc": "O-",
    "allow_unsafe_exec_memory": "O-",
    "allow_unsafe_exec_nopie": "O-",
    "allow_unsafe_exec_noreg": "O-",
    "allow_unsafe_exec_null": "O-",
    "allow_unsafe_exec_stack": "O-",
    "allow_unsafe_exec_textrel": "O-",
    "allow_unsafe_exec_script": "O-",
    "allow_unsafe_exec_interactive": "O-",
    "allow_unsafe_exec_speculative": "O-",
    "deny_exec_elf32": "O+",
    "deny_exec_elf_dynamic": "O+",
    "deny_exec_elf_static": "O+",
    "deny_exec_elf_norelro": "O+",
    "deny_exec_script": "O+",
    "deny_tsc": "O+",
    "deny_vdso": "F+",
    "exit_wait_all": "O.",
    "allow_safe_setuid": "O.",
    "allow_safe_setgid": "O.",
    "allow_unsafe_setid": "O-",
    "allow_unsafe_caps": "O-",
    "allow_unsafe_cap_fixup": "O-",
    "allow_unsafe_ptrace": "O-",
    "allow_unsafe_sys_ptrace": "O-",
    "allow_unsafe_dumpable": "O-",
    "allow_unsafe_chroot": "O-",
    "allow_unsafe_pivot_root": "O-",
    "allow_unsafe_nice": "O-",
    "allow_unsafe_prlimit": "O-",
    "allow_unsafe_prctl": "O-",
    "allow_unsafe_arch_prctl": "O-",
    "allow_unsafe_personality": "O-",
    "allow_unsafe_proc_dumpable": "O-",
    "allow_unsafe_proc_name": "O-",
    "allow_unsafe_proc_files": "O-",
    "allow_unsafe_env": "O-",
    "allow_unsafe_sud": "O-",
    "allow_unsafe_rseq": "O-",
    "allow_unsafe_kcmp": "O-",
    "allow_unsafe_cbpf": "O-",
    "allow_unsafe_cbpf_speculative": "O-",
    "allow_unsafe_ebpf": "O-",
    "allow_unsafe_cpu": "O-",
    "allow_unsafe_deprecated": "O-",
    "allow_unsafe_keyring": "O-",
    "allow_unsafe_pkey": "O-",
    "allow_unsafe_madvise": "O-",
    "allow_unsafe_numa": "O-",
    "allow_unsafe_page_cache": "O-",
    "allow_unsafe_perf": "O-",
    "allow_unsafe_time": "O-",
    "allow_unsafe_futex": "O-",
    "allow_unsafe_fcntl": "O-",
    "allow_unsafe_kptr": "O-",
    "allow_unsafe_shm": "O-",
    "allow_unsafe_perm_shm": "O-",
    "allow_unsafe_msgqueue": "O-",
    "allow_unsafe_perm_msgqueue": "O-",
    "allow_unsafe_copy": "O-",
    "allow_unsafe_pipe": "O-",
    "allow_unsafe_vmsplice": "O-",
    "allow_unsafe_memfd": "O-",
    "allow_unsafe_syslog": "O-",
    "allow_safe_syslog": "O.",
    "allow_unsafe_sysinfo": "O-",
    "allow_unsafe_uname": "O-",
    "allow_unsafe_create": "F-",
    "allow_unsafe_deleted": "F-",
    "allow_unsafe_filename": "F-",
    "allow_unsafe_hardlinks": "F-",
    "allow_unsafe_symlinks": "F-",
    "allow_unsafe_sticky": "F-",
    "allow_unsafe_magiclinks": "O-",
    "allow_unsafe_machine_id": "F-",
    "allow_unsafe_proc_pid_status": "F-",
    "allow_unsafe_open_kfd": "F-",
    "allow_unsafe_open_path": "F-",
    "allow_unsafe_open_suid": "F-",
    "allow_unsafe_mkbdev": "O-",
    "allow_unsafe_mkcdev": "O-",
    "allow_unsafe_stat_bdev": "O-",
    "allow_unsafe_stat_cdev": "O-",
    "allow_unsafe_notify_bdev": "O-",
    "allow_unsafe_notify_cdev": "O-",
    "allow_unsafe_xattr": "O-",
    "allow_unsafe_chown": "O-",
    "deny_dotdot": "F+",
    "force_cloexec": "F+",
    "force_rand_fd": "F+",
    "force_ro_open": "F+",
    "force_wx_open": "F+",
    "force_no_symlinks": "F+",
    "force_no_magiclinks": "F+",
    "force_no_xdev": "F+",
    "allow_safe_bind": "O.",
    "allow_unsafe_bind": "O-",
    "allow_unsafe_any_addr": "F-",
    "allow_unsafe_ipv6_rthdr": "F-",
    "allow_unsafe_ipv6_scope": "F-",
    "allow_unsafe_ip_pktinfo": "O-",
    "allow_unsafe_ip_retopts": "F-",
    "allow_unsupp_cmsg": "F-",
    "allow_unsafe_socket": "O-",
    "allow_unsupp_socket": "O-",
    "allow_unsafe_kcapi": "O-",
    "allow_unsafe_netlink": "F-",
    "allow_unsafe_setsockopt": "O-",
    "allow_unsafe_socketcall": "O-",
    "allow_unsafe_recvmsg": "O-",
    "allow_unsafe_oob": "O-",
    "allow_unsafe_tcp_devmem": "O-",
    "allow_unsafe_tcp_fastopen": "O-",
    "deny_passrights": "O+",
    "force_local_net": "F+",
    "allow_unsafe_nocookie": "O-",
    "allow_unsafe_nomseal": "O-",
    "allow_unsafe_noxom": "O-",
    "sync_seccomp": "O.",
}

SPECIAL: Final = ("allow_unsafe_namespace", "force_umask", "memory_access")

UMASK_OFF: Final = frozenset(("-1", "off", "f", "fa", "fal", "fals", "false", "✗"))


def command(box: Sandbox, text: str) -> None:
    """Do ``trace/NAME:VALUE``; *text* is what follows the slash."""
    name, colon, value = text.partition(":")
    code = NAMES.get(name)
    if code is None:
        _special(box, name, colon, value)
        return
    if not colon:
        raise PolicyError(EINVAL, f"trace/{name} without a value", expected=":on or :off")
    if code[0] == "O":
        box.require_startup(narrowing=True)
    else:
        box.require_unlocked()
    on = boolean(box.expand(value))
    if on:
        if name == "force_rand_fd" and not box.host.kcmp:
            raise PolicyError(ENOSYS, "force_rand_fd needs kcmp(2), which this kernel lacks")
        if name == "deny_passrights" and not box.host.passrights:
            raise PolicyError(ENOSYS, "deny_passrights needs SO_PASSRIGHTS of Linux 6.16")
    if box.in_drop and code[1] != ("+" if on else "-"):
        raise PolicyError(
            EPERM, f"trace/{name}:{'on' if on else 'off'} loosens what lock:drop keeps"
        )
    if code[0] == "O":
        _switch(box.options, name, on)
    else:
        _switch(box.subject.flags, name, on)
        box.subject.touch()


def _switch(names: set[str], name: str, on: bool) -> None:
    if on:
        names.add(name)
    else:
        names.discard(name)


def _special(box: Sandbox, name: str, colon: str, value: str) -> None:
    if name not in SPECIAL:
        raise PolicyError(
            EINVAL,
            f"unknown setting trace/{name}",
            expected="a name of the trace family" + nearest(name, (*NAMES, *SPECIAL)),
            word=name,
        )
    if not colon:
        raise PolicyError(EINVAL, f"trace/{name} without a value", expected=":VALUE")
    if name == "memory_access":
        value = box.expand(value)
        if value not in ("0", "1", "2"):
            raise invalid("way of memory access", value, "0, 1 or 2")
        box.require_startup()
        box.memory_access = int(value)
    elif name == "force_umask":
        _force_umask(box, value)
    else:
        _allow_namespaces(box, value)


def _force_umask(box: Sandbox, value: str) -> None:
    box.require_unlocked()
    value = box.expand(value)
    umask = None if value in UMASK_OFF else octal(value, 0o7777)
    if box.in_drop:
        present = box.subject.force_umask
        if present is not None and (umask is None or present & ~umask):
            raise PolicyError(EPERM, "lock:drop keeps every bit of trace/force_umask")
    box.subject.force_umask = umask
    box.subject.touch()


def _allow_namespaces(box: Sandbox, value: str) -> None:
    """Replace the set of namespaces guests may make; ``none`` empties it and ends the reading."""
    box.require_startup(narrowing=True, any_domain=True)
    names: set[str] = set()
    for word in value.split(","):
        lower = word.lower()
        if lower in ("none", "off"):
            names = set()
            break
        if lower != "all" and lower not in NAMESPACES:
            expected = "all, none, or " + " ".join(NAMESPACES)
            raise invalid("namespace", word, expected, NAMESPACES)
        names |= namespaces(lower)
    if box.in_drop and names - box.namespaces:
        raise PolicyError(EPERM, "lock:drop allows no new namespaces")
    box.namespaces = names
