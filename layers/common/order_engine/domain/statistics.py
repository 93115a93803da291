"""How the engine is doing, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Generic, TypeVar

from order_engine.domain.orders import Order, Status

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Percentiles(Generic[Value]):
    """Each is a value that was there: as many percent are at most as large."""

    p50: Value
    p95: Value


@dataclass(frozen=True, slots=True)
class EndedOrders:
    """An order ends when its last event says so; one that was replayed counts by its last end only."""

    by_minute: Mapping[tuple[datetime, Status], int]
    """By the start of the minute and the status; none where there are none."""
    by_error: Mapping[str, int]
    """Failed orders by their error's code."""
    time_to_confirm_ms: Percentiles[int] | None
    """From acceptance to the last event; None when nothing was confirmed."""
    price_improvement_bps: Percentiles[Decimal] | None

    def count(self, status: Status) -> int:
        return sum(number for (_, ended), number in self.by_minute.items() if ended is status)

    @property
    def success_rate(self) -> Decimal | None:
        """The share that was confirmed; None when no order ended."""
        total = sum(self.by_minute.values())
        return Decimal(self.count(Status.CONFIRMED)) / total if total else None


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """How many messages there are, about: SQS counts them on many machines."""

    waiting: int
    in_flight: int
    """Received, and neither deleted nor visible again."""
    delayed: int


@dataclass(frozen=True, slots=True)
class Stats:
    """As of `at`, for whole minutes, the last of which is still running. What could not be read is None."""

    at: datetime
    since: datetime
    until: datetime
    ended: EndedOrders | None
    queues: Mapping[str, QueueDepth] | None
    oldest_live: Order | None
    unavailable: tuple[str, ...]
    """The parts that did not answer."""
