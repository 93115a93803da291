"""What a WebSocket client may do: come, go, watch an order or a user's orders, and ask what it may have missed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from order_engine.domain.errors import OrderNotFound, TooManySubscriptions
from order_engine.service.notify_clients import order_not_found
from order_engine.service.ports import (
    Clock,
    Connection,
    ConnectionRepository,
    Frame,
    OrderRepository,
    Replay,
    StatusQueue,
    Subscription,
)

MAX_SUBSCRIPTIONS = 200
"""By one connection. Whoever wants more follows a user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowOrders:
    connections: ConnectionRepository
    orders: OrderRepository
    statuses: StatusQueue
    clock: Clock

    async def connect(self, connection_id: str, *, user_id: str | None = None) -> None:
        """Remember the connection; with a user, bring it up to date with that user's live orders."""
        connection = Connection(connection_id, self.clock.now(), user_id)
        await self.connections.add(connection)
        if user_id is not None:
            # Orders that the index does not show yet are introduced by their next event.
            live = await self.orders.live(user_id=user_id, before=None, limit=MAX_SUBSCRIPTIONS)
            await asyncio.gather(*(self._watch(connection, order.order_id, after=0) for order in live))

    async def disconnect(self, connection_id: str) -> None:
        await self.connections.remove(connection_id)

    async def subscribe(self, connection_id: str, order_id: str, *, after: int = 0) -> None:
        """Everything of the order after sequence `after`, then everything new.

        Raises `OrderNotFound`, and `TooManySubscriptions` at the limit.
        """
        known, watched = await asyncio.gather(
            self.orders.sequences([order_id]), self.connections.subscribed_orders(connection_id)
        )
        if order_id not in known:
            raise OrderNotFound(order_id)
        if order_id not in watched and len(watched) >= MAX_SUBSCRIPTIONS:
            raise TooManySubscriptions(f"a connection watches at most {MAX_SUBSCRIPTIONS} orders")
        connection = await self.connections.get(connection_id) or Connection(connection_id, self.clock.now())
        await self._watch(connection, order_id, after=after)

    async def subscribe_while_connecting(self, connection_id: str, order_id: str, *, after: int = 0) -> None:
        """The same for a connection that cannot be answered yet: an error comes as its first frame."""
        try:
            await self.subscribe(connection_id, order_id, after=after)
        except OrderNotFound:
            await self.statuses.send_frame(Frame(connection_id, order_not_found(order_id)))

    async def unsubscribe(self, connection_id: str, order_id: str) -> None:
        await self.connections.unsubscribe(order_id, connection_id)

    async def high_water(self, connection_id: str) -> dict[str, int]:
        """The last sequence of every order that the connection watches."""
        watched = await self.connections.subscribed_orders(connection_id)
        return await self.orders.sequences(watched)

    async def _watch(self, connection: Connection, order_id: str, *, after: int) -> None:
        """Not live until its replay has had its turn among the order's messages."""
        await self.connections.subscribe(Subscription(order_id, connection.connection_id, connection.connected_at))
        await self.statuses.request_replay(Replay(order_id, connection.connection_id, after))
