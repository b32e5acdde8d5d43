# SPDX-License-Identifier: GPL-3.0-or-later
"""Where madcap answers otherwise than Linux, on purpose: each difference, and its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support import host
from tests.support.guest import Guest
from tests.syscalls.tables import names_of, run

if TYPE_CHECKING:
    from collections.abc import Iterator

TABLE = "cases_by_design"

# fmt: off
ENOSYS = "ENOSYS"
EXPECTED: dict[str, Any] = {
    "case_a_symlink_in_a_directory_of_others_is_not_followed": ["ELOOP", "ELOOP", True],
    "case_only_plain_files_of_mine_are_hard_linked": [0, "EPERM", "EPERM", "EPERM", 0],
    "case_creating_what_others_may_write_is_refused": ["EACCES", "EACCES", True, True, "ELOOP"],
    "case_set_id_bits_never_arrive": ["0o100755", "0o100755", 0, "0o41700"],
    "case_set_id_files_are_not_opened": "EACCES",
    "case_names_with_odd_characters_are_refused": [["EILSEQ"] * 10, [0] * 6, ["EILSEQ"] * 3],
    "case_a_deleted_file_has_no_path": "ENOENT",
    "case_a_path_descriptor_becomes_a_plain_one": [False, "ELOOP"],
    "case_proc_of_others_is_closed": ["EACCES"] * 4,
    "case_the_status_file_shows_no_sandbox": [
        ["TracerPid:", "0"], ["NoNewPrivs:", "0"], ["Seccomp:", "0"], ["Seccomp_filters:", "0"],
    ],
    "case_any_address_becomes_loopback": "127.0.0.1",
    "case_socket_families_that_are_not_known":
        ["EAFNOSUPPORT", "EAFNOSUPPORT", "EPERM", "EPERM", "EPROTONOSUPPORT", "EAFNOSUPPORT"],
    "case_privileged_ports": "EACCES",
    "case_the_log_of_the_kernel_is_closed": ["EPERM"] * 3,
    "case_calls_that_answer_as_if_they_were_not_there": {
        "io_uring_setup": ENOSYS, "bpf": ENOSYS, "perf_event_open": ENOSYS,
        "process_vm_readv": ENOSYS, "process_vm_writev": ENOSYS, "pidfd_getfd": ENOSYS,
        "kcmp": ENOSYS, "userfaultfd": ENOSYS, "mount": ENOSYS, "seccomp": "EINVAL", "ptrace": 0,
        "unknown call": ENOSYS, "unshare user": "EPERM",
    },
}
# fmt: on


@pytest.fixture(scope="module")
def results(installation: host.Installation, target: str) -> Iterator[dict[str, Any]]:
    guest = Guest("madcap", host.ordinary_user(), installation, target)
    yield run(TABLE, guest, profile="defaults.syd-3")[0]
    guest.close()


@pytest.mark.parametrize("name", names_of(TABLE))
def test_the_difference_is_the_one_that_is_meant(results: dict[str, Any], name: str) -> None:
    assert name in results, results[""]
    assert results[name] == EXPECTED[name]
