# SPDX-License-Identifier: GPL-3.0-or-later
"""Each hardening of files holds against who tries, under rules that allow everything.

What a try gives natively is compared too: where that is the same, it would prove nothing.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from tests.support.guest import Guest

ALL = ("allow/all+/***", "allow/all+!**", "sandbox/tpe:off")


class Try(NamedTuple):
    """What is tried, what is to come of it, and the rules beyond those that allow everything."""

    name: str
    answer: Any
    rules: tuple[str, ...] = ()


#: Tries that an ordinary user could not do natively either: only the answer is compared.
POWERLESS = {
    "giving_a_file_away", "an_attribute_of_the_system", "the_kernel_log", "another_root",
    "an_unknown_ioctl", "a_pipe_for_notifications", "sharing_blocks",
}  # fmt: skip
TRIES = [
    Try("link_in_a_sticky_directory", "ELOOP"),
    Try("hard_link_to_what_is_only_readable", "EPERM"),
    Try("hard_link_to_a_fifo", "EPERM"),
    Try("creating_what_others_can_write", "EACCES"),
    Try("creating_through_a_link", "ELOOP"),
    Try("opening_a_set_id_file", "EACCES"),
    Try("making_a_set_id_program", ["0o100755"] * 3),
    Try("taking_the_sticky_bit_off", "0o41777"),
    Try("a_deleted_file_by_its_link", "ENOENT"),
    Try("a_name_for_the_shell", "EILSEQ"),
    Try("a_name_for_the_terminal", "EILSEQ"),
    Try("the_memory_of_another_process", "EACCES"),
    Try("the_directory_of_another_process", "EACCES"),
    Try("dot_dot", "EPERM", ("trace/deny_dotdot:1",)),
    Try("a_link", "ELOOP", ("lock:off",)),
    Try("a_magic_link", "ELOOP", ("trace/force_no_magiclinks:1",)),
    Try("another_file_system", "EXDEV", ("trace/force_no_xdev:1",)),
    Try("writing", "EPERM", ("lock:off",)),
    Try("writing_a_program", "EPERM", ("trace/force_wx_open:1",)),
    Try("making_a_program_open_for_writing", "EPERM", ("trace/force_wx_open:1",)),
    Try("a_descriptor_that_only_names", False),
    Try("inheriting", [1] * 5, ("trace/force_cloexec:1",)),
    Try("guessing_a_descriptor", False, ("trace/force_rand_fd:1",)),
    Try("a_terminal_of_its_own", "ENXIO", ("sandbox/ioctl:off",)),
    Try("typing_for_others", "ENOTTY", ("sandbox/ioctl:off",)),
    Try("a_device_node", -31),
    Try("watching_a_device", "EINVAL"),
    Try("when_a_device_was_used", True),
    Try("the_kernel_log", "EPERM"),
    Try("an_attribute_of_the_system", "EPERM"),
    Try("a_great_attribute", "E2BIG"),
    Try("giving_a_file_away", "EPERM"),
    Try("files_after_chroot", ["ENOENT", "ENOENT"]),
    Try("another_root", "EPERM"),
    Try("sharing_blocks", "ENOTSUP", ("sandbox/ioctl:off",)),
    Try("an_unknown_ioctl", "ENOTTY", ("sandbox/ioctl:on",)),
    Try("a_great_pipe", [4096, "EPERM"]),
    Try("a_pipe_for_notifications", "ENOPKG"),
    Try("running_memory", True),
    Try("a_file_by_its_handle", "ENOSYS"),
    Try("removing_below_proc", "EACCES"),
]


def made(guest: Guest, attempt: Try) -> Any:
    """Return what comes of *attempt*."""
    outcome = guest.python(
        "attack_files.py", attempt.name, profile="defaults.syd-3", rules=(*ALL, *attempt.rules)
    )
    assert outcome.status == 0, outcome
    return json.loads(outcome.out)


@pytest.mark.parametrize("attempt", TRIES, ids=[each.name for each in TRIES])
def test_it_comes_to_nothing(sandbox: Guest, attempt: Try) -> None:
    assert made(sandbox, attempt) == attempt.answer
    if attempt.name not in POWERLESS:
        assert made(sandbox.sibling("native"), attempt) != attempt.answer
