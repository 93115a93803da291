"""A TCP proxy before the emulator: what the functions hear from AWS comes late, in half, or not at all."""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from random import Random
from urllib.parse import urlsplit

from local.process import LOOPBACK
from local.stack import Stack

SQS = b"X-Amz-Target: AmazonSQS."

_CHUNK = 65_536


@dataclass(frozen=True, slots=True)
class Weather:
    """What happens on the way. `cut` and `late` are shares of the answers; a cut one ends in its middle."""

    cut: float = 0
    late: float = 0
    delay_seconds: float = 0
    away: bytes | None = None
    """Requests with this in their head are not passed on: nobody is there."""


FINE = Weather()


class Proxy:
    """Between whoever connects to `url` and the `target`. `weather` may change at any time."""

    def __init__(self, target: str, randomness: Random) -> None:
        self.weather = FINE
        self.troubles = 0
        """How many requests or answers had trouble."""
        self.url = ""
        self._target = urlsplit(target)
        self._randomness = randomness

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        self.url = f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
        try:
            yield
        finally:
            server.close()

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        target_reader, target_writer = await asyncio.open_connection(self._target.hostname, self._target.port)
        ways = [
            asyncio.create_task(self._pass_requests(reader, target_writer)),
            asyncio.create_task(self._pass_answers(target_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for end in (writer, target_writer):
                end.close()

    async def _pass_requests(self, reader: StreamReader, writer: StreamWriter) -> None:
        while chunk := await reader.read(_CHUNK):
            if self.weather.away is not None and self.weather.away in chunk:
                self.troubles += 1
                return
            writer.write(chunk)
            await writer.drain()

    async def _pass_answers(self, reader: StreamReader, writer: StreamWriter) -> None:
        while chunk := await reader.read(_CHUNK):
            weather = self.weather
            if self._randomness.random() < weather.late:
                self.troubles += 1
                await asyncio.sleep(weather.delay_seconds)
            if self._randomness.random() < weather.cut:
                self.troubles += 1
                writer.write(chunk[: len(chunk) // 2])
                with suppress(ConnectionError):
                    await writer.drain()
                return
            writer.write(chunk)
            await writer.drain()


@asynccontextmanager
async def proxied(stack: Stack, randomness: Random) -> AsyncIterator[Proxy]:
    """From here on the functions of the stack reach AWS, and their clients' sockets, through this proxy only."""
    proxy = Proxy(stack.emulator.url, randomness)
    async with proxy.serving():
        sockets = stack.endpoints.ws.replace(stack.emulator.url.replace("http:", "ws:"), proxy.url)
        await asyncio.to_thread(stack.deploy, AwsEndpointUrl=proxy.url, WebSocketEndpoint=sockets)
        yield proxy
