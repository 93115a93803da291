"""Find live orders that stand still, whatever the reason, and remind the engine of them.

A reminder is an order message like any other: execute_order sees what is left to do, be it an attempt, a transaction
of unknown fate, an expiry, an event that was not told or a record that is missing. So nothing here knows how.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from order_engine.domain.errors import StateChanged, Unavailable
from order_engine.domain.orders import PATIENCE, Order
from order_engine.service.ports import Clock, Metric, Metrics, NoMetrics, OrderQueue, OrderRepository, Position

logger = logging.getLogger(__name__)

PAGE = 100


@dataclass(frozen=True, slots=True)
class Sweep:
    """What one run has seen and done."""

    looked_at: int = 0
    reminded: int = 0
    is_complete: bool = True
    """Whether all orders were looked at. The next run passes over those that were reminded of, and comes further."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOrders:
    orders: OrderRepository
    queue: OrderQueue
    clock: Clock
    metrics: Metrics = field(default_factory=NoMetrics)
    most_reminders: int = 1_000

    async def __call__(self, deadline: datetime) -> Sweep:
        """One run, oldest orders first, until all are seen, the deadline is near or it has reminded of enough.

        Two runs at once do no harm: a reminder too many finds nothing to do. Raises `Unavailable`.
        """
        until = self.clock.now() - PATIENCE
        after: Position | None = None
        looked_at = reminded = 0
        while self.clock.now() < deadline and reminded < self.most_reminders:
            page = await self.orders.oldest_live(after=after, until=until, limit=PAGE)
            if after is None:
                self._measure(page)
            overdue = [order for order in page if order.is_overdue(self.clock.now())]
            reminded += sum(await asyncio.gather(*(self._remind(order) for order in overdue)))
            looked_at += len(page)
            if len(page) < PAGE:
                return Sweep(looked_at, reminded)
            after = Position(page[-1].created_at, page[-1].order_id)
        return Sweep(looked_at, reminded, is_complete=False)

    def _measure(self, oldest: Sequence[Order]) -> None:
        """Every run, also when there is none: no value at all says that nobody watches."""
        age = (self.clock.now() - oldest[0].created_at).total_seconds() if oldest else 0
        self.metrics.add(Metric.OLDEST_LIVE_ORDER_AGE, age)

    async def _remind(self, order: Order) -> bool:
        try:
            # Noted first: should the send fail, the next reminder is late, but never one a run.
            await self.orders.save(order, order.reminded(self.clock.now()))
            await self.queue.send(order.order_id)
        except (StateChanged, Unavailable) as error:
            logger.warning("order not reminded of", extra={"order_id": order.order_id, "error": str(error)})
            return False
        logger.info("order reminded of", extra={"order_id": order.order_id, "status": order.status})
        return True
