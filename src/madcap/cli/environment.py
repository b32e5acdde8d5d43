# SPDX-License-Identifier: GPL-3.0-or-later
"""Environment variables: what madcap sets for its configuration, and what the command is given.

The environment is a dict of bytes from start to end. ``SYD_`` is the prefix of the names the
command line and the profiles are documented with, so those names are kept.
"""

from __future__ import annotations

import os

from madcap import events

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

_LAST_SIGNAL: Final = 64
NOWHERE: Final = b"/proc/self/fdinfo"  # A directory nothing can be created or found in.

# Set by us alone: what the caller had under these names is forgotten.
_INTERNAL: Final = (
    *(b"SYD_ID", b"SYD_UID", b"SYD_GID", b"SYD_USER"),
    *(b"SYD_HOME", b"SYD_PWD", b"SYD_PID_PTY", b"SYD_PID_TOR"),
)

# Settings that are commands under another name.
FLAGS: Final = (
    (b"SYD_COMPAT_SOCKET", "trace/allow_unsafe_socketcall:1"),
    (b"SYD_FORCE_NO_SYMLINKS", "trace/force_no_symlinks:1"),
    (b"SYD_FORCE_NO_MAGICLINKS", "trace/force_no_magiclinks:1"),
    (b"SYD_FORCE_NO_XDEV", "trace/force_no_xdev:1"),
    (b"SYD_FORCE_CLOEXEC", "trace/force_cloexec:1"),
    (b"SYD_FORCE_RAND_FD", "trace/force_rand_fd:1"),
    (b"SYD_FORCE_RO_OPEN", "trace/force_ro_open:1"),
    (b"SYD_FORCE_WX_OPEN", "trace/force_wx_open:1"),
    (b"SYD_FORCE_LOCAL_NET", "trace/force_local_net:1"),
    (b"SYD_PROC_PID_MEM_FALLBACK", "trace/memory_access:0"),
    (b"SYD_NO_CROSS_MEMORY_ATTACH", "trace/memory_access:1"),  # Of both, this one counts.
)
VALUES: Final = (
    *(
        (b"SYD_RLIMIT_" + name, f"rlimit/{name.decode().lower()}:")
        for name in (
            *(b"AS", b"CORE", b"DATA", b"FSIZE", b"MEMLOCK", b"NICE"),
            *(b"NOFILE", b"NPROC", b"RTPRIO", b"RTTIME", b"SIGPENDING", b"STACK"),
        )
    ),
    (b"SYD_TMOUT", "timeout:"),
)
PROXY: Final = (
    (b"SYD_PROXY_HOST", "proxy/ext/host:"),
    (b"SYD_PROXY_PORT", "proxy/ext/port:"),
    (b"SYD_PROXY_UNIX", "proxy/ext/unix:"),
)


def parent_death_signal(environ: dict[bytes, bytes]) -> int | None:
    """Return the signal that SYD_PDS names, by name or number; None for anything else."""
    word = environ.get(b"SYD_PDS", b"")
    if word.isdigit():
        number = int(word[:9])
    else:
        import _signal  # type: ignore[import-not-found]  # `signal` imports enum: 4 ms

        name = "SIG" + word.decode("latin-1").upper().removeprefix("SIG")
        number = getattr(_signal, name, 0) if name.isalnum() else 0
    return number if 0 < number <= _LAST_SIGNAL else None


def forget_internal(environ: dict[bytes, bytes]) -> None:
    """Remove from *environ* what only we may set."""
    for name in _INTERNAL:
        environ.pop(name, None)


def announce(environ: dict[bytes, bytes]) -> None:
    """Set in *environ* what configuration may refer to; most names keep a value they have."""
    if not events.identity:
        events.identity = os.urandom(32).hex()
    environ[b"SYD_ID"] = events.identity.encode()
    for name, number in (
        (b"SYD_UID", os.getuid()),
        (b"SYD_GID", os.getgid()),
        (b"SYD_EUID", os.geteuid()),
        (b"SYD_EGID", os.getegid()),
    ):
        environ[name] = b"%d" % number
    environ[b"SYD_USER"] = environ.setdefault(b"USER", b"nobody")
    environ[b"SYD_HOME"] = environ.setdefault(b"HOME", b"/var/empty")
    environ.setdefault(b"GIT_CEILING_DIRECTORIES", environ[b"HOME"])
    try:
        where = os.getcwdb()
    except OSError:
        where = NOWHERE
    environ[b"SYD_PWD"] = environ[b"PWD"] = where
    environ.setdefault(b"SYD_HAVE_FORCE", b"1")
    environ.setdefault(b"SYD_HAVE_SO_PASSRIGHTS", b"1" if kernel_version() >= (6, 16) else b"0")
    environ.setdefault(b"SYD_PAGE_SIZE", b"%d" % os.sysconf("SC_PAGESIZE"))
    if b"SYD_PIPE_MAX" not in environ:
        environ[b"SYD_PIPE_MAX"] = _first_line(b"/proc/sys/fs/pipe-max-size") or b"1048576"
    environ.setdefault(b"SYD_XATTR_MAX", b"65536")


def for_command(
    environ: dict[bytes, bytes], passed: Callable[[bytes], bool], keep_unsafe: bool
) -> dict[bytes, bytes]:
    """Return what of *environ* the sandboxed command is given.

    Our own variables never, and those that carry secrets or steer libraries only if *passed* says
    so of their name, or *keep_unsafe* of all.
    """
    result: dict[bytes, bytes] = {}
    for name, value in environ.items():
        if name.startswith(b"SYD_") and not name.startswith(b"SYD_TEST_"):
            continue
        if name.startswith(b"CARGO_BIN_EXE_syd"):
            continue
        if keep_unsafe or name == b"RUST_BACKTRACE" or not is_unsafe(name) or passed(name):
            result[name] = value
        elif events.enabled(events.INFO):
            _report_removal(events.printable(name))
    return result


def is_unsafe(name: bytes) -> bool:
    """Return whether a variable of this *name* is kept from the command."""
    upper = name.upper()
    if upper in _WHOLE or upper.startswith(_BEGINS) or upper.endswith(_ENDS):
        return True
    for part in _INSIDE:
        if part in upper:
            return True
    return _is_versioned(upper)


def _is_versioned(upper: bytes) -> bool:
    """Return whether *upper* matches ``*_*V[0-9]*``."""
    at = upper.find(b"V", upper.find(b"_") + 1) if b"_" in upper else -1
    while at >= 0:
        if upper[at + 1 : at + 2].isdigit():
            return True
        at = upper.find(b"V", at + 1)
    return False


def _report_removal(shown: str) -> None:
    """Log that a variable was kept from the command."""
    events.emit(
        events.INFO,
        {"ctx": "filter_env", "op": "remove_environment_variable", "var": shown},
        msg=f"removed unsafe variable {shown} from environment",
        tip=f"use `madcap -e{shown}=' or `-mpassenv+{shown}' "
        "to pass-through an unsafe environment variable",
    )


def kernel_version() -> tuple[int, int]:
    """Return the first two numbers of the kernel's version."""
    numbers = os.uname().release.split(".")
    try:
        return int(numbers[0]), int(numbers[1])
    except (IndexError, ValueError):
        return 0, 0


def _first_line(path: bytes) -> bytes | None:
    """Return the start of the file *path*, or None if it cannot be read."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(file, 64).strip()
    finally:
        os.close(file)


# Upper-case names that are unsafe: with one of these anywhere in them, at the start, at the end, or
# as a whole. One more pattern does not fit in: see `_is_versioned`.
# fmt: off
_INSIDE: Final = (
    b"ACCESS", b"ACCOUNT", b"ADMIN", b"AGENT", b"API", b"APP", b"ARTIFACT", b"AUTH", b"BETA",
    b"BROWSER", b"BUCKET", b"CACHE", b"CERT", b"CHANNEL", b"CLIENT", b"CONFIG", b"CONSUMER",
    b"CONTAINER", b"COOKIE", b"CRED", b"CRYPT", b"DATABASE", b"DEBUG", b"DEPLOY", b"DEV",
    b"DIR", b"DISPLAY", b"DOMAIN", b"EDITOR", b"ENDPOINT", b"END_POINT", b"GITHUB", b"GNUPG",
    b"GPG", b"HASH", b"HEROKU", b"HIST", b"HOST", b"ID", b"INTEGRATION", b"JBDC", b"KEY",
    b"LICENSE", b"LOCATION", b"LOG", b"MAIL", b"MANAGE", b"MASTER", b"MONEY", b"MYSQL", b"NAME",
    b"NNTP", b"NVIDIA", b"OPTIONS", b"ORGANIZATION", b"PACKAGE", b"PAGER", b"PARTNER", b"PASS",
    b"PHOTO", b"PREP", b"PRIV", b"PROD", b"PROFILE", b"PROJECT", b"PROXY", b"PUB", b"REDIRECT",
    b"REFRESH", b"RELEASE", b"REPO", b"REST", b"S3", b"SCAN", b"SDK", b"SEC", b"SELENIUM",
    b"SERIAL", b"SERVER", b"SERVICE", b"SESSION", b"SIGN", b"SITE", b"SMTP", b"SONAR", b"SPACE",
    b"SSH", b"SSL", b"SUPER", b"TEMP", b"TMP", b"TOKEN", b"TOPIC", b"TRANSPORT", b"TRAVIS",
    b"TRUNK", b"URI", b"URL", b"USER", b"VERSION", b"VIRTUAL", b"VISUAL", b"WEBDAV", b"ZONE",
    b"_DB", b"_ORG", b"_PW",
)
_BEGINS: Final = (
    b"ACK_", b"AMAZON_", b"AMD", b"ANDROID_", b"ASAN_", b"AWS", b"BASH", b"CARGO_", b"CHROME_",
    b"CI_", b"CVS", b"DBUS_", b"DB_", b"DOCKER_", b"DOTNET_", b"ELASTIC", b"ELECTRON_",
    b"EMACS", b"FIREBASE_", b"FIREFOX_", b"FLASK_", b"FTP_", b"GCLOUD_", b"GCONV_", b"GDK_",
    b"GDM_", b"GETCONF_", b"GH_", b"GIO_", b"GIT_", b"GLIBC_", b"GO", b"GOOGLE_", b"GST_",
    b"GTK_", b"HG", b"IRC_", b"KAFKA_", b"KDE", b"KEYSTORE_", b"KRB5", b"LC_", b"LD_", b"LESS",
    b"LSAN_", b"MAIL_", b"MALLOC_", b"MPD_", b"MSAN_", b"MUSL_", b"NLS", b"NODE_", b"NPM_",
    b"PERL", b"PG", b"PINENTRY_", b"PKG_CONFIG_", b"POSTGRES", b"PULSE_", b"PYENV_", b"PYPI_",
    b"PYTHON", b"QT_", b"RABBITMQ_", b"REDIS", b"ROCM_", b"RUBY", b"RUST_", b"RVM_",
    b"SCCACHE_", b"SVN_", b"TSAN_", b"UBSAN_", b"UNITY_", b"VAULT_", b"VK_", b"XCURSOR_",
    b"XDG_", b"XKB_", b"__EGL_",
)
_ENDS: Final = (
    b"PWD", b"_CHARSET",
)
_WHOLE: Final = frozenset(
    (
        b"CDPATH", b"CLASSPATH", b"ENV", b"FPATH", b"GLOBIGNORE", b"IFS", b"LANG", b"LANGUAGE",
        b"LIBPATH", b"LOCPATH", b"NIS_PATH", b"PRINTER", b"PROMPT_COMMAND", b"PS4",
        b"SHELLOPTS", b"TERMCAP", b"TERMINFO", b"TERMPATH", b"TZ", b"TZDIR", b"XINPUTRC",
        b"XMODIFIERS", b"_",
    )
)
# fmt: on
