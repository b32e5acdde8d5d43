# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``-C`` prints: what this system offers a sandbox, one line each, in a fixed order.

Everything is asked directly, never concluded from the kernel's version where there is a way to
ask. A question that cannot be asked shows why and does not keep the others from being answered.
"""

from __future__ import annotations

import errno
import os
import sys

from madcap.cli import probe
from madcap.cli.version import version
from madcap.errors import describe
from madcap.linux.listener import LIBRARY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

_LANDLOCK_KNOWN: Final = 7  # The newest ABI whose rights madcap handles.
_SHOWN_DEVICES: Final = ("mem", "kmem", "cpu/msr", "cpu/cpuid", "kfd", "ntsync")
_SPECULATION: Final = (("Store Bypass", 0), ("Indirect Branch", 1), ("L1D Flush", 2))


def report() -> str:
    """Return the system report."""
    lines: list[Callable[[], str]] = [
        lambda: "Allocator: Libc",
        lambda: "LibSeccomp: not used, madcap compiles filters itself",
        _native,
        _taint,
        _aslr,
        _jit,
        lambda: f"YAMA ptrace(2) scope is {_asked(_yama)}.",
        _landlock,
        lambda: f"User namespaces are {_supported(probe.user_namespaces)}.",
        lambda: f"Cross memory attach is {_supported(probe.cross_memory_attach)}.",
        lambda: f"kcmp(2) is {_supported(probe.kcmp)}.",
        lambda: f"Memory sealing is {_supported(probe.mseal)}.",
        lambda: f"Secret memory is {_supported(probe.memfd_secret)}.",
        lambda: f"Memory tagging is {_supported(probe.memory_tagging)}.",
        lambda: f"Core scheduling is {_supported(probe.core_scheduling)}.",
        lambda: f"UNIX socket diagnostics are {_supported(probe.unix_diag)}.",
        lambda: f"LSMs: {_asked(lambda: ', '.join(probe.security_modules()))}",
        _selinux,
        _apparmor,
        _open_files,
        lambda: f"Host (build): {_host()}",
        lambda: f"Host (target): {_host()}",
        _linux,
        _environment,
        lambda: f"Architectures: {os.uname().machine}",
        lambda: f"CPU: {os.cpu_count()}, {sys.byteorder}-endian",
        _cpu_flags,
        *[lambda name=name, which=which: _speculation(name, which) for name, which in _SPECULATION],
        _unbuilt,
    ]
    texts = [_line(line) for line in lines]
    return version() + "".join([text + "\n" for text in texts if text])


def _line(make: Callable[[], str]) -> str:
    """Return the line that *make* makes, or why there is none."""
    try:
        return make()
    except OSError as error:
        name = getattr(make, "__name__", "?").strip("_<>").replace("_", " ")
        return f"{name}: ? (error: {describe(error.errno or errno.EIO)})"


def _asked(question: Callable[[], str]) -> str:
    """Return the answer to *question*, or why there is none."""
    try:
        return question()
    except OSError as error:
        return f"? (error: {describe(error.errno or errno.EIO)})"


def _supported(question: Callable[[], bool]) -> str:
    """Return what *question* found, in words."""
    return _asked(lambda: "supported" if question() else "not supported")


def _native() -> str:
    """Whether `bin/build-native` was run, and what came of it is used."""
    if not os.path.exists(LIBRARY):
        return "Native part is not built."
    from madcap.linux.native import load

    used = os.environ.get("MADCAP_NATIVE") != "0" and load(LIBRARY) is not None
    return f"Native part is {'used' if used else 'built but not used'}."


def _taint() -> str:
    value = _asked(lambda: probe.read("/proc/sys/kernel/tainted"))
    return f"Kernel is {'not ' if value == '0' else ''}tainted ({value})."


def _aslr() -> str:
    value = _asked(lambda: probe.read("/proc/sys/kernel/randomize_va_space"))
    words = {
        "0": "disabled",
        "1": "enabled (stack, mmap, VDSO; PIE text randomized)",
        "2": "enabled (heap + stack, mmap, VDSO; PIE text randomized)",
    }
    return f"ASLR is {words.get(value, value)}."


def _jit() -> str:
    value = _asked(lambda: probe.read("/proc/sys/net/core/bpf_jit_enable"))
    words = {"0": "disabled", "1": "enabled", "2": "enabled, with debugging"}
    return f"BPF JIT compiler is {words.get(value, value)}."


def _yama() -> str:
    return probe.read("/proc/sys/kernel/yama/ptrace_scope")


def _landlock() -> str:
    try:
        abi = probe.landlock_abi()
    except OSError:
        return "Landlock is not supported."
    state = "fully" if abi >= _LANDLOCK_KNOWN else "partially"
    return f"Landlock ABI {abi} is {state} enforced."


def _selinux() -> str:
    if not os.path.exists("/sys/fs/selinux/enforce"):
        return "SELinux is disabled."
    enforcing = _asked(lambda: probe.read("/sys/fs/selinux/enforce"))
    return f"SELinux is {'enforcing' if enforcing == '1' else 'permissive'}."


def _apparmor() -> str:
    try:
        enabled = probe.read("/sys/module/apparmor/parameters/enabled") == "Y"
    except OSError:
        enabled = False
    return f"AppArmor is {'enabled' if enabled else 'disabled'}."


def _open_files() -> str:
    soft, hard = _asked(probe.open_file_limits).split() if os.path.exists("/proc") else ("?", "?")
    most = _asked(lambda: probe.read("/proc/sys/fs/nr_open"))
    system = _asked(lambda: probe.read("/proc/sys/fs/file-max"))
    return f"Open file limits: {soft} soft, {hard} hard, {most} nr_open, {system} file-max"


def _host() -> str:
    kernel = os.uname()
    return f"{kernel.release} {kernel.machine}"


def _linux() -> str:
    numbers = ".".join(os.uname().release.split("-")[0].split(".")[:2])
    facts = [
        f"mmap_min_addr={_asked(lambda: probe.read('/proc/sys/vm/mmap_min_addr'))}",
        f"page_size={os.sysconf('SC_PAGESIZE')}",
    ]
    for name, question in probe.FEATURES:
        try:
            has = question()
        except OSError:
            has = False
        facts.append(("+" if has else "-") + name)
    facts.append(f"tcp_fastopen={_asked(_tcp_fastopen)}")
    devices = probe.char_devices()
    facts.append(f"char_devices={len(devices)}")
    majors = dict(reversed(devices))
    facts += [f"{name}={majors[name]}" for name in _SHOWN_DEVICES if name in majors]
    return f"Host Linux: {numbers} with {', '.join(facts)}"


def _tcp_fastopen() -> str:
    return hex(int(probe.read("/proc/sys/net/ipv4/tcp_fastopen")))


def _environment() -> str:
    try:
        library = "gnu" if (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc") else "musl"
    except ValueError:
        library = "musl"
    return f"Environment: {library}-linux-{64 if sys.maxsize > 1 << 32 else 32}"


def _cpu_flags() -> str:
    for line in probe.read("/proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return f"CPUFLAGS: {','.join(value.split())}"
    return "CPUFLAGS: "


def _speculation(name: str, which: int) -> str:
    try:
        status = probe.speculation(which)
    except OSError as error:
        return f"{name} status: ? (error: {describe(error.errno or errno.EIO)})"
    if status == 0:
        return f"{name} status: CPU is not affected, no mitigation is needed."
    for bit, words in (
        (16, "disabled until the next exec, mitigation is enabled"),
        (8, "force-disabled, mitigation is enabled"),
        (4, "disabled, mitigation is enabled"),
        (2, "enabled, mitigation is disabled"),
    ):
        if status & bit:
            return f"{name} status: Speculation feature is {words}."
    return f"{name} status: {status:#x}."


def _unbuilt() -> str:
    """Return the line that warns of what has no effect yet."""
    try:
        from madcap.kernel.table import unbuilt_categories
    except ImportError:
        return ""
    names = unbuilt_categories()
    return f"On by default but not enforced yet: {', '.join(names)}" if names else ""
