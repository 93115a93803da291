"""Bring every change of an order to everyone who watches it, in order, and newcomers up to date first.

All messages of one order come one after the other (its group of the FIFO queue), a replay among them. So a replay and
the live events cannot overtake each other: until its replay has run, a watcher is sent nothing; from then on, all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from order_engine.domain.errors import ConnectionGone, OrderNotFound, Unavailable
from order_engine.domain.events import Event
from order_engine.service.ports import (
    Clock,
    Connection,
    ConnectionRepository,
    Frame,
    Metric,
    Metrics,
    NoMetrics,
    OrderRepository,
    Replay,
    Sockets,
    StatusMessage,
    StatusQueue,
    Subscription,
)

OPENING_SECONDS = 10.0
"""A connection younger than this may still be opening: a post to it answers Gone, and means "not yet"."""

MAX_TRIES = 40
RETRY_PAUSE_SECONDS = 0.05
LONGEST_RETRY_PAUSE_SECONDS = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyClients:
    """The use case: one message of the status queue. Raises `Unavailable` when it must be tried again as a whole."""

    connections: ConnectionRepository
    orders: OrderRepository
    statuses: StatusQueue
    sockets: Sockets
    clock: Clock
    metrics: Metrics = field(default_factory=NoMetrics)

    async def __call__(self, message: StatusMessage | Replay | Frame) -> None:
        match message:
            case StatusMessage():
                await self._tell(message)
            case Replay():
                await self._replay(message)
            case Frame():
                await self._send(message)

    async def _tell(self, message: StatusMessage) -> None:
        last: int = message.events[-1]["sequence"]
        watchers = await self.connections.watchers(message.order_id)
        due = [watcher for watcher in watchers if watcher.through is not None and watcher.through < last]
        known = {watcher.connection_id for watcher in watchers}
        followers = await self.connections.followers(message.user_id) if message.user_id is not None else []
        newcomers = [follower for follower in followers if follower.connection_id not in known]
        # Nobody waits for another one's trouble: all are served before any of it is raised.
        results = await asyncio.gather(
            *(self._push(watcher, message.events) for watcher in due),
            *(self._introduce(newcomer, message.order_id) for newcomer in newcomers),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _push(self, watcher: Subscription, events: Sequence[Event]) -> None:
        through = watcher.through or 0
        try:
            for event in events:
                if event["sequence"] > through:
                    await self._post(watcher.connection_id, event)
                    through = event["sequence"]
        except ConnectionGone:
            await self._gone(Replay(watcher.order_id, watcher.connection_id, after=through))
        except Unavailable:
            # Not live until the replay has filled the gap: a later event must not overtake this one. Requested first:
            # whoever is not live waits for a replay, and must not wait for one that a crash has kept from coming.
            await self._again(Replay(watcher.order_id, watcher.connection_id, after=through))
            await self.connections.advance(watcher.order_id, watcher.connection_id, None)

    async def _introduce(self, follower: Connection, order_id: str) -> None:
        """A follower of the user meets an order for the first time: from its beginning, then live."""
        await self.statuses.request_replay(Replay(order_id, follower.connection_id, after=0))
        await self.connections.subscribe(Subscription(order_id, follower.connection_id, self.clock.now()))

    async def _replay(self, replay: Replay) -> None:
        order = await self.orders.get(replay.order_id)
        if order is None:
            await self.connections.unsubscribe(replay.order_id, replay.connection_id)
            await self._send(Frame(replay.connection_id, order_not_found(replay.order_id)))
            return
        through = replay.after
        try:
            for event in order.events_after(replay.after):
                await self._post(replay.connection_id, event)
                through = event["sequence"]
        except ConnectionGone:
            await self._gone(replace(replay, after=through))
        except Unavailable:
            await self._again(replace(replay, after=through))
        else:
            await self.connections.advance(replay.order_id, replay.connection_id, order.sequence)

    async def _send(self, frame: Frame) -> None:
        try:
            await self._post(frame.connection_id, frame.body)
        except ConnectionGone:
            await self._gone(frame)
        except Unavailable:
            await self._again(frame)

    async def _post(self, connection_id: str, frame: Mapping[str, object]) -> None:
        await self.sockets.post(connection_id, frame)
        self.metrics.add(Metric.FRAMES_PUSHED)

    async def _gone(self, message: Replay | Frame) -> None:
        connection = await self.connections.get(message.connection_id)
        if connection is not None:
            age = (self.clock.now() - connection.connected_at).total_seconds()
            if age < OPENING_SECONDS:
                await self._again(message)
                return
            await self.connections.remove(message.connection_id)
            self.metrics.add(Metric.CONNECTIONS_GONE)
        if isinstance(message, Replay):
            await self.connections.unsubscribe(message.order_id, message.connection_id)

    async def _again(self, message: Replay | Frame) -> None:
        """At its next turn in the queue. What is given up after many tries, the client's ping finds missing."""
        if message.tries >= MAX_TRIES:
            return
        await self.clock.sleep(min(RETRY_PAUSE_SECONDS * 2**message.tries, LONGEST_RETRY_PAUSE_SECONDS))
        again = replace(message, tries=message.tries + 1)
        if isinstance(again, Replay):
            await self.statuses.request_replay(again)
        else:
            await self.statuses.send_frame(again)


def order_not_found(order_id: str) -> dict[str, object]:
    return {
        "type": "error",
        "code": OrderNotFound.code,
        "message": "No live order has this id; GET /api/orders/{orderId} finds it if it ever existed",
        "retryable": OrderNotFound.retryable,
        "errors": [],
        "orderId": order_id,
    }
