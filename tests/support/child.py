# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a function in a child process: for what confines a process for good."""

from __future__ import annotations

import os
import pickle
import traceback
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.host import Identity

Result = TypeVar("Result")


def in_child(function: Callable[[], Result], identity: Identity | None = None) -> Result:
    """Return what *function* returns in a forked child, run as *identity*; raise what it raises."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reader)
            answer: tuple[bool, object]
            try:
                if identity is not None and identity.uid != os.geteuid():
                    os.setgroups([])
                    os.setresgid(identity.gid, identity.gid, identity.gid)
                    os.setresuid(identity.uid, identity.uid, identity.uid)
                answer = (True, function())
            except OSError as error:
                answer = (False, error)
            except BaseException:
                answer = (False, AssertionError(traceback.format_exc()))
            with os.fdopen(writer, "wb") as out:
                pickle.dump(answer, out)
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as source:
        data = source.read()
    _, status = os.waitpid(child, 0)
    if not data:
        raise AssertionError(f"the child ended with status {status:#x} and said nothing")
    good, value = pickle.loads(data)  # noqa: S301 - our own child wrote it
    if not good:
        raise value
    return cast("Result", value)


def errno_of(function: Callable[[], object]) -> int:
    """Return the errno of the OSError that *function* raises, 0 where it raises none."""
    try:
        result = function()
    except OSError as error:
        return error.errno or -1
    if isinstance(result, int) and result > 2:
        os.close(result)
    return 0
