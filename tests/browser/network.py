"""A SOCKS proxy between a browser and everything else, which can be silent: packets go in, and nothing comes out.

Playwright's own offline mode refuses requests, but leaves an open WebSocket as it is.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer

from local.process import LOOPBACK

_CHUNK = 65_536


class Network:
    """At `url`, as a browser context takes it."""

    def __init__(self) -> None:
        network = self
        self._connections: set[Connection] = set()
        self._is_away = False

        class Handler(BaseRequestHandler):
            def handle(self) -> None:
                network._serve(self.request)

        self._server = _Server((LOOPBACK, 0), Handler)
        self.url = f"socks5://{LOOPBACK}:{self._server.server_address[1]}"

    @contextmanager
    def serving(self) -> Iterator[None]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._server.shutdown()
            self._server.server_close()
            self.leave()
            self.come_back()

    def leave(self) -> None:
        """What is open stays open and says nothing ever again; what is new gets no answer."""
        self._is_away = True
        for connection in list(self._connections):
            connection.is_dead = True

    def come_back(self) -> None:
        """What was open is found to be closed."""
        self._is_away = False
        for connection in list(self._connections):
            if connection.is_dead:
                self._connections.discard(connection)
                connection.close()

    def _serve(self, client: socket.socket) -> None:
        target = _greeted(client)
        # Chromium has errands of its own, elsewhere.
        if target is None or target[0] != LOOPBACK:
            return
        connection = Connection(client, socket.create_connection(target))
        connection.is_dead = self._is_away
        self._connections.add(connection)
        connection.relay()


class Connection:
    def __init__(self, client: socket.socket, target: socket.socket) -> None:
        self.is_dead = False
        self._ends = (client, target)

    def relay(self) -> None:
        client, target = self._ends
        back = threading.Thread(target=self._pass, args=(target, client), daemon=True)
        back.start()
        self._pass(client, target)
        back.join()

    def close(self) -> None:
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while chunk := source.recv(_CHUNK):
                if not self.is_dead:
                    sink.sendall(chunk)
        if not self.is_dead:
            self.close()


class _Server(ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    block_on_close = False


def _greeted(client: socket.socket) -> tuple[str, int] | None:
    """Where the client wants to be connected to (RFC 1928, without a password); None when it has gone."""
    file = client.makefile("rb")
    head = file.read(2)
    if len(head) < 2:
        return None
    file.read(head[1])
    client.sendall(b"\x05\x00")
    _, _, _, kind = file.read(4)
    host = socket.inet_ntoa(file.read(4)) if kind == 1 else file.read(file.read(1)[0]).decode()
    port = int.from_bytes(file.read(2), "big")
    client.sendall(b"\x05\x00\x00\x01" + bytes(6))
    return host, port
