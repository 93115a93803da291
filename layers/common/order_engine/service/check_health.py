"""Ask every part that the API leans on whether it is there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import dataclass

from order_engine.service.ports import History, OrderRepository

logger = logging.getLogger(__name__)

NO_ORDER = "00000000-0000-0000-0000-000000000000"
_PATIENCE_SECONDS = 4
"""Longer than the history takes to give up, which then rests for a while."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckHealth:
    orders: OrderRepository
    history: History

    async def __call__(self) -> dict[str, bool]:
        """Whether each part answers, by its name. Never raises, and takes a few seconds at most."""
        dynamodb, postgres = await asyncio.gather(
            _answers("dynamodb", self.orders.get(NO_ORDER)), _answers("postgres", self.history.check())
        )
        return {"dynamodb": dynamodb, "postgres": postgres}


async def _answers(part: str, question: Awaitable[object]) -> bool:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await question
    except Exception:  # whatever is wrong with a part, the answer is that it is not well
        logger.warning("part unavailable", exc_info=True, extra={"part": part})
        return False
    return True
