# SPDX-License-Identifier: GPL-3.0-or-later
"""Nobody listens at an address that no rule lets him bind: listen(2) binds what has no address."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.guest import Guest

_PROGRAM = """
import errno, json, socket
found = {}
for name, family, protocol in (("tcp", 2, 0), ("tcp6", 10, 0), ("mptcp", 2, 262)):
    try:
        made = socket.socket(family, socket.SOCK_STREAM, protocol)
        made.listen(1)
        address = made.getsockname()
        made.listen(2)
        found[name] = [address[0], address[1] > 0, made.getsockname() == address]
    except OSError as error:
        found[name] = errno.errorcode[error.errno]
try:
    socket.socket(2, socket.SOCK_DGRAM).listen(1)
except OSError as error:
    found["udp"] = errno.errorcode[error.errno]
print(json.dumps(found))
"""


def _found(guest: Guest, *rules: str) -> dict[str, object]:
    outcome = guest.run("/usr/bin/python3", "-c", _PROGRAM, profile="attacks.syd-3", rules=rules)
    assert outcome.status == 0, outcome
    found: dict[str, object] = json.loads(outcome.out)
    if found.pop("mptcp", None) == "EPROTONOSUPPORT":
        pytest.skip("this kernel has no MPTCP")
    return found


def test_a_socket_without_an_address_does_not_listen_where_binding_is_denied(guest: Guest) -> None:
    found = _found(guest, "deny/net/bind+any!0-65535")
    if guest.kind == "native":
        tcp, tcp6 = ["0.0.0.0", True, True], ["::", True, True]  # noqa: S104 - it is compared
        assert found == {"tcp": tcp, "tcp6": tcp6, "udp": "ENOTSUP"}
    else:
        assert found == {"tcp": "EADDRINUSE", "tcp6": "EADDRINUSE", "udp": "ENOTSUP"}


def test_a_socket_without_an_address_listens_on_the_loopback_only(sandbox: Guest) -> None:
    found = _found(sandbox)
    tcp, tcp6 = ["127.0.0.1", True, True], ["::1", True, True]
    assert found == {"tcp": tcp, "tcp6": tcp6, "udp": "ENOTSUP"}
