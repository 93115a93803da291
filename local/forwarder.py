"""Lets containers reach a service that listens on loopback only."""

from __future__ import annotations

import socket
from contextlib import suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from types import TracebackType
from typing import Self

from local.process import LOOPBACK

_CHUNK = 65536


class Forwarder:
    """Inside a `with`, who connects to `port` at `address` is talking to the same port on loopback.

    Raises `OSError` when this machine does not have the address, or the port is taken there.
    """

    def __init__(self, address: str, port: int) -> None:
        self._server = _Server((address, port), _Connection)

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    # Functions connect in bursts.
    request_queue_size = 100


class _Connection(BaseRequestHandler):
    def handle(self) -> None:
        # Nobody there: the caller sees a connection that ends, as it would of a server that stops.
        _, port = self.request.getsockname()
        with suppress(OSError), socket.create_connection((LOOPBACK, port)) as service:
            answers = Thread(target=_pass_on, args=(service, self.request), daemon=True)
            answers.start()
            _pass_on(self.request, service)
            answers.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    """Until the source has no more to say, which the target is told."""
    with suppress(OSError):
        while data := source.recv(_CHUNK):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
