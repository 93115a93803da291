"""Read orders: live ones from the table, finished ones from the history, as one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from order_engine.domain.errors import OrderNotFound, Unavailable
from order_engine.domain.events import Event
from order_engine.domain.summaries import OrderSummary
from order_engine.service.ports import History, OrderFilter, OrderRepository, Position

_LIVE_PAGE = 100
_MOST_LIVE_PAGES = 10
"""A page may come out short, with a cursor to go on from, rather than read a whole backlog for it."""


class HistoryUnavailable(Unavailable):
    """The history is away, and with it the finished orders."""

    code = "HISTORY_UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class Page:
    orders: list[OrderSummary]
    next: Position | None
    """Where the next page goes on; None on the last one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOrders:
    orders: OrderRepository
    history: History

    async def one(self, order_id: str) -> tuple[OrderSummary, Sequence[Event]]:
        """The order as of now, with its events. Raises `OrderNotFound`, `Unavailable`.

        The history is only asked for what the table no longer has.
        """
        canonical_id = _canonical(order_id)
        live = await self.orders.get(canonical_id)
        if live is not None:
            return OrderSummary.of(live), live.events
        try:
            finished = await self.history.get(canonical_id)
        except Unavailable as error:
            raise HistoryUnavailable(error.dependency) from error
        if finished is None:
            raise OrderNotFound(f"No order has the id {canonical_id}")
        return finished

    async def page(self, filter: OrderFilter, *, before: Position | None, limit: int) -> Page:
        """Live and finished orders, newest first, each once. Raises `Unavailable` rather than leave any out.

        An order moves from live to finished only, so reading in that order misses none. One that is in both (a
        replayed one) is what the table says, also when that makes it fall outside the filter.
        """
        live, reached = await self._live(filter, before, limit)
        matching = [order for order in live if _matches(filter, order)]
        finished = await self._finished(filter, before, limit, hidden={order.order_id for order in live})
        orders = sorted((*matching, *finished), key=_position, reverse=True)
        # Below what was reached there may be live orders that were not looked at.
        orders = [order for order in orders if reached is None or _position(order) >= reached]
        return Page(orders[:limit], _position(orders[limit - 1]) if len(orders) > limit else reached)

    async def _live(
        self, filter: OrderFilter, before: Position | None, limit: int
    ) -> tuple[list[OrderSummary], Position | None]:
        """All live orders down to the one that makes the page more than full, or to where looking ended early."""
        found: list[OrderSummary] = []
        if filter.until is not None:
            latest = Position(filter.until, "")
            before = latest if before is None else min(before, latest)
        for _ in range(_MOST_LIVE_PAGES):
            orders = await self.orders.live(user_id=filter.user_id, before=before, limit=_LIVE_PAGE)
            found += map(OrderSummary.of, orders)
            is_past = filter.since is not None and bool(orders) and orders[-1].created_at < filter.since
            if len(orders) < _LIVE_PAGE or is_past or sum(_matches(filter, order) for order in found) > limit:
                return found, None
            before = _position(found[-1])
        return found, before

    async def _finished(
        self, filter: OrderFilter, before: Position | None, limit: int, *, hidden: Iterable[str]
    ) -> list[OrderSummary]:
        """Enough finished orders to make the page more than full, without the hidden ones."""
        found: list[OrderSummary] = []
        while True:
            try:
                orders = await self.history.find(filter, before=before, limit=limit + 1)
            except Unavailable as error:
                raise HistoryUnavailable(error.dependency) from error
            found += [order for order in orders if order.order_id not in hidden]
            if len(orders) <= limit or len(found) > limit:
                return found
            before = _position(orders[-1])


def _canonical(order_id: str) -> str:
    """Raises `OrderNotFound` for what is no order id: nothing can be stored under it."""
    try:
        canonical = str(UUID(order_id))
    except ValueError:
        canonical = ""
    if canonical != order_id.lower():
        raise OrderNotFound("No order has this id; order ids are UUIDs")
    return canonical


def _position(order: OrderSummary) -> Position:
    return Position(order.created_at, order.order_id)


def _matches(filter: OrderFilter, order: OrderSummary) -> bool:
    return (
        filter.status in (None, order.status)
        and filter.type in (None, order.type)
        and filter.user_id in (None, order.user_id)
        and filter.pair in (None, (order.token_in, order.token_out))
        and (filter.since is None or order.created_at >= filter.since)
        and (filter.until is None or order.created_at < filter.until)
    )
