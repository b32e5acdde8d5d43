# SPDX-License-Identifier: GPL-3.0-or-later
"""What of netlink and io_uring guests may use: ``allow/net/link`` and ``allow/uring/…``."""

from __future__ import annotations

from errno import EINVAL, EPERM

from madcap.errors import PolicyError
from madcap.policy.blame import nearest
from madcap.policy.values import field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from madcap.policy.sandbox import Sandbox

# fmt: off
NETLINK: Final = {
    "route": 0, "usersock": 2, "firewall": 3, "sock_diag": 4, "nflog": 5, "xfrm": 6, "selinux": 7,
    "iscsi": 8, "audit": 9, "fib_lookup": 10, "connector": 11, "netfilter": 12, "ip6_fw": 13,
    "dnrtmsg": 14, "kobject_uevent": 15, "generic": 16, "scsitransport": 18, "ecryptfs": 19,
    "rdma": 20, "crypto": 21, "smc": 22,
}

# The position of a name is the kernel's number.
URING_OPS: Final = (
    "nop", "readv", "writev", "fsync", "read_fixed", "write_fixed", "poll_add", "poll_remove",
    "sync_file_range", "sendmsg", "recvmsg", "timeout", "timeout_remove", "accept", "async_cancel",
    "link_timeout", "connect", "fallocate", "openat", "close", "files_update", "statx", "read",
    "write", "fadvise", "madvise", "send", "recv", "openat2", "epoll_ctl", "splice",
    "provide_buffers", "remove_buffers", "tee", "shutdown", "renameat", "unlinkat", "mkdirat",
    "symlinkat", "linkat", "msg_ring", "fsetxattr", "setxattr", "fgetxattr", "getxattr", "socket",
    "uring_cmd", "send_zc", "sendmsg_zc", "read_multishot", "waitid", "futex_wait", "futex_wake",
    "futex_waitv", "fixed_fd_install", "ftruncate", "bind", "listen", "recv_zc", "epoll_wait",
    "readv_fixed", "writev_fixed", "pipe", "nop128", "uring_cmd128",
)

# The same; the empty places are registrations that are always possible.
URING_REGS: Final = (
    "register_buffers", "unregister_buffers", "register_files", "unregister_files",
    "register_eventfd", "unregister_eventfd", "register_files_update", "register_eventfd_async",
    "register_probe", "register_personality", "unregister_personality", "",
    "register_enable_rings", "register_files2", "register_files_update2", "register_buffers2",
    "register_buffers_update", "register_iowq_aff", "unregister_iowq_aff",
    "register_iowq_max_workers", "register_ring_fds", "unregister_ring_fds",
    "register_pbuf_ring", "unregister_pbuf_ring", "register_sync_cancel",
    "register_file_alloc_range", "register_pbuf_status", "register_napi", "unregister_napi",
    "register_clock", "register_clone_buffers", "", "register_zcrx_ifq", "register_resize_rings",
    "register_mem_region", "", "register_zcrx_ctrl", "",
)

URING_FLAGS: Final = (
    "fixed_file", "io_drain", "io_link", "io_hardlink", "async", "buffer_select",
    "cqe_skip_success",
)
# fmt: on


def command(box: Sandbox, text: str) -> bool:
    """Add or remove items of the list *text* begins with; tell whether it begins with one."""
    for head, chosen, numbers in (
        ("net/link", box.netlink, NETLINK),
        ("uring/op", box.uring_ops, _numbers(URING_OPS)),
        ("uring/reg", box.uring_regs, _numbers(URING_REGS)),
        ("uring/flag", box.uring_flags, _numbers(URING_FLAGS)),
    ):
        rest = text.removeprefix(head)
        if rest != text and rest[:1] in ("+", "-", "^"):
            _change(box, head, chosen, numbers, rest[0], field(rest[1:]))
            return True
    return False


def _numbers(names: tuple[str, ...]) -> dict[str, int]:
    return {name: number for number, name in enumerate(names) if name}


def _change(
    box: Sandbox, head: str, chosen: set[int], numbers: dict[str, int], operator: str, text: str
) -> None:
    if (operator == "^") == bool(text):
        raise PolicyError(EINVAL, f"malformed allow/{head}{operator}{text}", expected="+LIST, ^")
    box.require_startup(narrowing=True)
    if box.in_drop and operator == "+":
        raise PolicyError(EPERM, "lock:drop only takes items away")
    items: set[int] = set()
    if operator == "^":
        chosen.clear()
        return
    for word in text.split(","):
        name = word.lower()
        if name == "inet_diag" and head == "net/link":
            name = "sock_diag"
        if name == "all":
            items.update(numbers.values())
        elif name in numbers:
            items.add(numbers[name])
        else:
            raise PolicyError(
                EINVAL,
                f"unknown item {word!r}",
                expected=f"a name of {head}{nearest(name, numbers)}",
                word=word,
            )
    if operator == "+":
        chosen |= items
    else:
        chosen -= items
