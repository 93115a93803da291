"""Read how the engine is doing: what ended lately, what waits, and what has waited longest."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from order_engine.domain.errors import Unavailable
from order_engine.domain.statistics import QueueDepth, Stats
from order_engine.service.ports import Clock, History, OrderRepository, QueueGauge

logger = logging.getLogger(__name__)

MINUTES = 60

SHARED_FOR = timedelta(seconds=2)
"""Whoever watches asks every few seconds: all of them together cost a worker no more than this."""

_PATIENCE_SECONDS = 4
"""Longer than the history takes to give up, which then rests for a while."""

_FIRST_FEW = 5
"""The index is read a moment behind: the first of its orders may have settled by now."""

Answer = TypeVar("Answer")


@dataclass(slots=True, kw_only=True)
class ReadStats:
    orders: OrderRepository
    history: History
    queues: Mapping[str, QueueGauge]
    clock: Clock
    _last: Stats | None = field(default=None, init=False)

    async def __call__(self) -> Stats:
        """At most `SHARED_FOR` old. Never raises `Unavailable`, and takes a few seconds at most."""
        now = self.clock.now()
        if self._last is None or not timedelta(0) <= now - self._last.at < SHARED_FOR:
            self._last = await self._read(now)
        return self._last

    async def _read(self, now: datetime) -> Stats:
        until = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
        since = until - timedelta(minutes=MINUTES)
        away: list[str] = []
        ended, queues, oldest = await asyncio.gather(
            _if_there("postgres", self.history.ended(since, until), away),
            _if_there("sqs", self._depths(), away),
            _if_there("dynamodb", self.orders.oldest_live(after=None, until=now, limit=_FIRST_FEW), away),
        )
        oldest_live = next((order for order in oldest or () if not order.is_settled), None)
        return Stats(now, since, until, ended, queues, oldest_live, tuple(sorted(away)))

    async def _depths(self) -> dict[str, QueueDepth]:
        depths = await asyncio.gather(*(queue.depth() for queue in self.queues.values()))
        return dict(zip(self.queues, depths, strict=True))


async def _if_there(part: str, question: Awaitable[Answer], away: list[str]) -> Answer | None:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await question
    except (Unavailable, TimeoutError) as error:
        logger.warning("part unavailable", extra={"part": part, "error": str(error)})
        away.append(part)
        return None
