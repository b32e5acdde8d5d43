# SPDX-License-Identifier: GPL-3.0-or-later
"""What the exceptions say, and what errnos are called."""

from __future__ import annotations

import errno

import pytest

from madcap import errors


@pytest.mark.parametrize(
    ("number", "words"),
    [
        pytest.param(errno.EINVAL, "EINVAL: Invalid argument", id="same-as-libc"),
        pytest.param(errno.EBADF, "EBADF: Bad file number", id="kernel-wording"),
        pytest.param(errno.EWOULDBLOCK, "EAGAIN: Try again", id="two-names-eagain"),
        pytest.param(errno.EDEADLOCK, "EDEADLK: Resource deadlock would occur", id="edeadlk"),
        pytest.param(
            errno.ENOTSUP,
            "EOPNOTSUPP: Operation not supported on transport endpoint",
            id="two-names-eopnotsupp",
        ),
        pytest.param(errno.ELOOP, "ELOOP: Too many symbolic links encountered", id="eloop"),
    ],
)
def test_describe_gives_name_and_kernel_text(number: int, words: str) -> None:
    assert errors.describe(number) == words


def test_describe_does_not_fail_for_a_number_nobody_named() -> None:
    assert errors.describe(9999).startswith("E9999: ")


def test_policy_error_names_place_thing_and_expectation() -> None:
    error = errors.PolicyError(errno.EINVAL, "unknown category `foo'", ("-m", 3), 6, "a category")
    assert str(error) == "-m:3: column 7: unknown category `foo' (expected a category)"
    assert error.errno == errno.EINVAL


def test_policy_error_needs_no_more_than_errno_and_message() -> None:
    assert str(errors.PolicyError(errno.EPERM, "sandbox locked")) == "sandbox locked"


def test_unsupported_error_names_the_kernel_that_has_it() -> None:
    error = errors.UnsupportedError("landlock scopes", since="6.12")
    assert str(error) == "landlock scopes is not supported: needs Linux 6.12"
    assert error.errno == errno.ENOSYS


def test_confine_error_names_the_step() -> None:
    assert str(errors.ConfineError("landlock", errno.EPERM)) == (
        "landlock: EPERM: Operation not permitted"
    )


@pytest.mark.parametrize("kind", ["UsageError", "PolicyError", "UnsupportedError", "ConfineError"])
def test_every_error_is_a_madcap_error(kind: str) -> None:
    assert issubclass(getattr(errors, kind), errors.MadcapError)
