"""What a WebSocket client may do: come, go, watch an order or a user's orders, and ask what it may have missed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sized
from dataclasses import dataclass

from order_engine.domain.errors import OrderNotFound, TooManySubscriptions, Unavailable
from order_engine.service.ports import (
    Clock,
    Connection,
    ConnectionRepository,
    OrderRepository,
    Replay,
    StatusQueue,
    Subscription,
)

logger = logging.getLogger(__name__)

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
        await self.connections.add(Connection(connection_id, self.clock.now(), user_id))
        if user_id is not None:
            # Orders that the index does not show yet are introduced by their next event.
            live = await self.orders.live(user_id=user_id, before=None, limit=MAX_SUBSCRIPTIONS)
            await asyncio.gather(*(self.watch(connection_id, order.order_id, after=0) for order in live))

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
            raise OrderNotFound(f"No live order has the id {order_id}")
        if order_id not in watched:
            _check_room(watched)
        await self.watch(connection_id, order_id, after=after)

    async def watch(self, connection_id: str, order_id: str, *, after: int = 0) -> None:
        """The same without a look at what there is: should there be no such order, its replay will say so."""
        # Not live until its replay has had its turn among the order's messages.
        await self.connections.subscribe(Subscription(order_id, connection_id, self.clock.now()))
        await self.statuses.request_replay(Replay(order_id, connection_id, after))

    async def check_room(self, connection_id: str) -> None:
        """Raises `TooManySubscriptions` when the connection may not watch another order."""
        _check_room(await self.connections.subscribed_orders(connection_id))

    async def watch_accepted(self, connection_id: str, order_id: str) -> None:
        """The same for an order that has just been accepted, which no trouble with watching it may put in doubt."""
        try:
            await self.watch(connection_id, order_id, after=0)
        except Unavailable as error:
            logger.warning("accepted order not watched", extra={"order_id": order_id, "error": str(error)})

    async def unsubscribe(self, connection_id: str, order_id: str) -> None:
        await self.connections.unsubscribe(order_id, connection_id)

    async def high_water(self, connection_id: str) -> dict[str, int]:
        """The last sequence of every order that the connection watches."""
        watched = await self.connections.subscribed_orders(connection_id)
        return await self.orders.sequences(watched)


def _check_room(watched: Sized) -> None:
    if len(watched) >= MAX_SUBSCRIPTIONS:
        limit = f"A connection watches at most {MAX_SUBSCRIPTIONS} orders"
        raise TooManySubscriptions(f"{limit}: unsubscribe from some, or connect with userId")
