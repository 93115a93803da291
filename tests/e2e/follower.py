"""A client that follows its orders through thick and thin, with no more than the protocol gives it."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from urllib.parse import urlencode

import websockets
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, WebSocketException

from local.stack import Stack
from tests.e2e.clients import ENDINGS, Json

PATIENT_PINGS = 3
"""So many without any frame after them, and the connection counts as lost."""


class Follower:
    """One WebSocket for any number of orders, opened again whenever it is lost.

    Repeats are dropped. After a gap, or two pongs with a higher sequence and no event between them, something was
    missed: then it subscribes again after the last event it has. So `events` are in order and without gaps, always.
    It pings when it has heard nothing for `quiet_seconds`.
    """

    def __init__(self, stack: Stack, user_id: str | None = None, *, quiet_seconds: float = 5) -> None:
        self.events: dict[str, list[Json]] = {}
        self.repeats = 0
        self.gaps = 0
        self.connections = 0
        self.is_connected = asyncio.Event()
        """For the first time."""
        self._url = stack.endpoints.ws + (f"?{urlencode({'userId': user_id})}" if user_id else "")
        self._user_id = user_id
        self._socket: ClientConnection | None = None
        self._ended: dict[str, asyncio.Event] = {}
        self._quiet_seconds = quiet_seconds
        self._behind: dict[str, int] = {}
        self._unanswered = 0
        self._has_vanished = False

    async def follow(self, order_id: str) -> None:
        self._know(order_id)
        if self._socket is not None:
            with suppress(ConnectionClosed):
                await self._subscribe(self._socket, order_id)

    async def end(self, order_id: str, seconds: float) -> list[Json]:
        """All events of the order, the last one too."""
        try:
            async with asyncio.timeout(seconds):
                await self._ended[order_id].wait()
        except TimeoutError:
            seen = [event["status"] for event in self.events[order_id]]
            raise AssertionError(f"no end of {order_id} after {seconds:g} s; seen: {seen}") from None
        return self.events[order_id]

    async def run(self) -> None:
        """Until it vanishes or is cancelled."""
        while not self._has_vanished:
            # The emulator refuses a connection whose $connect failed, as API Gateway does.
            with suppress(OSError, WebSocketException, TimeoutError):
                async with websockets.connect(self._url, open_timeout=30, max_size=None, proxy=None) as socket:
                    await self._listen(socket)
            self._socket = None
            await asyncio.sleep(0.5)

    def vanish(self) -> None:
        """For good."""
        self._has_vanished = True
        self.lose_connection()

    def lose_connection(self) -> None:
        """Without a close frame, as a phone in a tunnel."""
        if self._socket is not None:
            self._socket.transport.abort()

    async def _listen(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.connections += 1
        self.is_connected.set()
        self._unanswered = 0
        for order_id in self._unfinished():
            await self._subscribe(socket, order_id)
        while self._unanswered <= PATIENT_PINGS:
            try:
                # Not wait_for, which until Python 3.12 may swallow a cancellation.
                async with asyncio.timeout(self._quiet_seconds):
                    text = await socket.recv()
            except TimeoutError:
                self._unanswered += 1
                await socket.send(json.dumps({"action": "ping"}))
            else:
                await self._take(socket, text)

    async def _take(self, socket: ClientConnection, text: str | bytes) -> None:
        self._unanswered = 0
        try:
            frame: Json = json.loads(text)
        except ValueError:
            # What the emulator says when the function behind the socket was killed.
            return
        if "progress" in frame:
            await self._take_event(socket, frame)
        elif frame.get("type") == "pong":
            await self._compare(socket, frame["sequences"])

    async def _compare(self, socket: ClientConnection, sequences: dict[str, int]) -> None:
        """What is on its way when the pong is written comes by itself; what is still missing at the next one does not.

        An order that the pong does not know is not subscribed to any more.
        """
        seen = {order_id: len(self.events[order_id]) for order_id in self._unfinished()}
        behind = {order_id: count for order_id, count in seen.items() if sequences.get(order_id) != count}
        for order_id, count in behind.items():
            if order_id not in sequences or self._behind.get(order_id) == count:
                await self._subscribe(socket, order_id)
        self._behind = behind

    async def _take_event(self, socket: ClientConnection, event: Json) -> None:
        order_id, sequence = event["orderId"], event["sequence"]
        self._know(order_id)
        seen = self.events[order_id]
        if sequence <= len(seen):
            self.repeats += 1
        elif sequence > len(seen) + 1:
            self.gaps += 1
            await self._subscribe(socket, order_id)
        else:
            seen.append(event)
            if event["status"] in ENDINGS:
                self._ended[order_id].set()

    def _know(self, order_id: str) -> None:
        self.events.setdefault(order_id, [])
        self._ended.setdefault(order_id, asyncio.Event())

    def _unfinished(self) -> list[str]:
        return [order_id for order_id, ended in self._ended.items() if not ended.is_set()]

    async def _subscribe(self, socket: ClientConnection, order_id: str) -> None:
        after = len(self.events[order_id])
        await socket.send(json.dumps({"action": "subscribe", "orderId": order_id, "after": after}))
