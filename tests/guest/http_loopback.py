# SPDX-License-Identifier: GPL-3.0-or-later
"""Serve a page on the loopback addresses of IPv4 and IPv6, and fetch it."""

import functools
import http.server
import os
import socket
import socketserver
import threading
import urllib.error
import urllib.request


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A file server that keeps its thoughts to itself."""

    def log_message(self, *_arguments: object) -> None:
        """Log nothing."""


class Server(http.server.ThreadingHTTPServer):
    """IPv4."""

    def server_bind(self) -> None:
        """Bind, without the question to a name server that the base class asks."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]


class Server6(Server):
    """IPv6."""

    address_family = socket.AF_INET6


os.mkdir("site")
with open("site/page", "w") as page:
    page.write("hello\n")
handler = functools.partial(Quiet, directory="site")
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
for kind, address, host in ((Server, "127.0.0.1", "127.0.0.1"), (Server6, "::1", "[::1]")):
    server = kind((address, 0), handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
    base = f"http://{host}:{server.server_address[1]}"
    for _ in range(5):
        print(opener.open(base + "/page").read())
    try:
        opener.open(base + "/absent")
    except urllib.error.HTTPError as error:
        print(error.code)
        error.close()
    server.shutdown()
    server.server_close()
