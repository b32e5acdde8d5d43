# SPDX-License-Identifier: GPL-3.0-or-later
"""A caller for handlers: the test process itself, so that memory and descriptors are real."""

from __future__ import annotations

import _thread
import ctypes
import os
from typing import TYPE_CHECKING, Any

import pytest

from madcap import events
from madcap.kernel.host import Host
from madcap.kernel.request import Request
from madcap.linux.memory import CROSS_ONLY
from madcap.policy.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from madcap.kernel.reply import Reply

    Handler = Callable[[Request], Reply]


class SelfRequest(Request):
    """A request of this very thread, whose notification never ends."""

    def alive(self) -> None:
        """Return always."""


class Caller:
    """Makes calls through handlers on behalf of this process. Buffers live as long as it does."""

    def __init__(self, *commands: str) -> None:
        self.sandbox = Sandbox({})
        for command in commands:
            self.sandbox.execute(command)
        self.host = Host(self.sandbox)
        self.host.blocking = lambda _req, call, _restartable, **_how: call()
        self.req = SelfRequest(self.host, CROSS_ONLY)
        self._kept: list[Any] = []

    def at(self, data: bytes) -> int:
        """Return the address of a copy of *data*."""
        buffer = ctypes.create_string_buffer(data, len(data) or 1)
        self._kept.append(buffer)
        return ctypes.addressof(buffer)

    def seen(self, address: int, size: int) -> bytes:
        """Return the bytes at *address*."""
        return ctypes.string_at(address, size)

    def __call__(self, handler: Handler, *args: int) -> Reply:
        """Run *handler* with *args*; descriptors of the request are closed afterwards."""
        words = [arg & 0xFFFF_FFFF_FFFF_FFFF for arg in args] + [0] * (6 - len(args))
        header = (1, _thread.get_native_id(), 0, 0, 0, 0)
        self.req.begin((*header, *words), handler.__name__.removeprefix("sys_"))
        try:
            return handler(self.req)
        finally:
            self.req.finish()
            self.req.close()

    def close(self) -> None:
        """Close the host's descriptors."""
        host = self.host
        for fd in (host.root, host.proc, host.self_fd, host.null):
            os.close(fd)


@pytest.fixture
def caller(request: pytest.FixtureRequest) -> Iterator[Caller]:
    """A caller under the commands of the mark ``policy``."""
    mark = request.node.get_closest_marker("policy")
    made = Caller(*(mark.args if mark else ()))
    here, umask = os.open(".", os.O_RDONLY), os.umask(0o022)
    yield made
    os.umask(umask)
    os.fchdir(here)
    os.close(here)
    made.close()


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """What is logged."""
    seen: list[dict[str, object]] = []

    def emit(_level: int, record: dict[str, object], **more: object) -> None:
        seen.append({**record, **{key: more[key] for key in ("msg", "tip") if more.get(key)}})

    monkeypatch.setattr(events, "emit", emit)
    return seen


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", "policy(*commands): the policy of the caller")
