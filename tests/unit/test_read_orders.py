"""One order and lists of them, from the table and the history as if they were one."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from order_engine.domain.errors import OrderNotFound
from order_engine.domain.orders import Order, Status
from order_engine.domain.quotes import Swap, SwapMode
from order_engine.service.ports import OrderFilter, Position
from order_engine.service.read_orders import HistoryUnavailable, ReadOrders
from tests.builders import BUY_SOL, a_confirmed_order, a_failed_order, an_order, exhaust
from tests.fakes import NOON, InMemoryHistory, InMemoryOrders

EVERYTHING = OrderFilter()


class World:
    def __init__(self, orders: InMemoryOrders | None = None) -> None:
        self.orders = orders or InMemoryOrders()
        self.history = InMemoryHistory()
        self.read = ReadOrders(orders=self.orders, history=self.history)

    def keep_live(self, *orders: Order) -> None:
        for order in orders:
            self.orders.stored[order.order_id] = order

    def record(self, *orders: Order) -> None:
        """Finished, in the history, and gone from the table."""
        for order in orders:
            asyncio.run(self.history.record(order))
            self.orders.stored.pop(order.order_id, None)

    def ids(self, filter: OrderFilter = EVERYTHING, *, limit: int = 100) -> list[str]:
        page = asyncio.run(self.read.page(filter, before=None, limit=limit))
        return [order.order_id for order in page.orders]

    def pages(self, filter: OrderFilter = EVERYTHING, *, limit: int) -> list[list[str]]:
        pages: list[list[str]] = []
        before: Position | None = None
        while True:
            page = asyncio.run(self.read.page(filter, before=before, limit=limit))
            pages.append([order.order_id for order in page.orders])
            if page.next is None:
                return pages
            before = page.next


def an_id(number: int) -> str:
    return str(UUID(int=number))


def test_a_live_order_is_read_from_the_table_even_with_the_history_away() -> None:
    world = World()
    world.keep_live(an_order(an_id(1)))
    world.history.is_away = True
    order, events = asyncio.run(world.read.one(an_id(1)))
    assert (order.status, len(events)) == (Status.PENDING, 1)


def test_a_finished_order_is_read_from_the_history_once_the_table_has_forgotten_it() -> None:
    world = World()
    world.record(a_confirmed_order(an_id(1)))
    order, events = asyncio.run(world.read.one(an_id(1)))
    assert order.status == Status.CONFIRMED
    assert [event["sequence"] for event in events] == list(range(1, order.sequence + 1))


def test_an_order_id_may_be_written_in_capitals() -> None:
    world = World()
    world.keep_live(an_order(an_id(0xABCDEF)))
    order, _ = asyncio.run(world.read.one(an_id(0xABCDEF).upper()))
    assert order.order_id == an_id(0xABCDEF)


@pytest.mark.parametrize(
    "order_id",
    [an_id(1), "", "execute", "1", "\0", an_id(2).replace("-", ""), f"{{{an_id(2)}}}", f"urn:uuid:{an_id(2)}"],
)
def test_an_order_that_nobody_made_is_not_found(order_id: str) -> None:
    world = World()
    world.keep_live(an_order(an_id(2)))
    with pytest.raises(OrderNotFound):
        asyncio.run(world.read.one(order_id))


def test_with_the_history_away_an_unknown_order_is_not_called_missing() -> None:
    world = World()
    world.history.is_away = True
    with pytest.raises(HistoryUnavailable):
        asyncio.run(world.read.one(an_id(1)))


def test_live_and_finished_orders_are_one_list_newest_first() -> None:
    world = World()
    orders = [an_order(an_id(n), created_at=NOON + timedelta(seconds=n)) for n in range(6)]
    finished = [a_confirmed_order(an_id(n), created_at=NOON + timedelta(seconds=n)) for n in (0, 3, 4)]
    world.keep_live(*(orders[n] for n in (1, 2, 5)))
    world.record(*finished)
    assert world.ids() == [an_id(n) for n in (5, 4, 3, 2, 1, 0)]


def test_an_order_in_the_table_and_in_the_history_is_listed_once_as_the_table_has_it() -> None:
    world = World()
    failed = a_failed_order(an_id(1))
    replayed = failed.replayed("claim", NOON)
    world.record(failed)
    world.keep_live(replayed)
    page = asyncio.run(world.read.page(EVERYTHING, before=None, limit=10))
    assert [order.status for order in page.orders] == [Status.PENDING]
    assert world.ids(OrderFilter(status=Status.PENDING)) == [an_id(1)]
    assert world.ids(OrderFilter(status=Status.FAILED)) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_pages_put_together_are_the_whole_list_each_order_once(limit: int) -> None:
    world = World()
    # Groups of three share their moment; every fifth is live, every seventh in both.
    moments = [NOON + timedelta(milliseconds=n // 3) for n in range(60)]
    failed = [a_failed_order(an_id(n), created_at=at) for n, at in enumerate(moments)]
    world.record(*(order for n, order in enumerate(failed) if n % 5))
    world.keep_live(*(an_order(an_id(n), created_at=at) for n, at in enumerate(moments) if not n % 5))
    world.keep_live(*(failed[n].replayed("claim", NOON) for n in range(60) if not n % 7 and n % 5))
    pages = world.pages(limit=limit)
    assert [order_id for page in pages for order_id in page] == [an_id(n) for n in reversed(range(60))]
    assert all(len(page) == limit for page in pages[:-1])


def test_a_filtered_page_looks_behind_many_orders_that_do_not_match() -> None:
    world = World()
    world.keep_live(*(an_order(an_id(n), created_at=NOON + timedelta(seconds=n)) for n in range(1, 250)))
    world.keep_live(an_order(an_id(0), swap=BUY_SOL))
    failed = [a_failed_order(an_id(1000 + n), created_at=NOON + timedelta(seconds=n)) for n in range(30)]
    world.record(*failed)
    world.keep_live(*(order.replayed("claim", NOON) for order in failed[1:]))
    assert world.ids(OrderFilter(pair=("USDC", "SOL")), limit=5) == [an_id(0)]
    assert world.ids(OrderFilter(status=Status.FAILED), limit=5) == [an_id(1000)]


@pytest.mark.parametrize(
    ("filter", "matching"),
    [
        (OrderFilter(status=Status.PENDING), [1]),
        (OrderFilter(status=Status.FAILED), [3, 2]),
        (OrderFilter(type="market"), [4, 3, 2, 1]),
        (OrderFilter(type="limit"), []),
        (OrderFilter(user_id="u1"), [4, 1]),
        (OrderFilter(pair=("USDC", "SOL")), [3]),
        (OrderFilter(since=NOON + timedelta(seconds=2)), [4, 3, 2]),
        (OrderFilter(until=NOON + timedelta(seconds=2)), [1]),
        (OrderFilter(since=NOON + timedelta(seconds=2), until=NOON + timedelta(seconds=4)), [3, 2]),
        (OrderFilter(user_id="u1", status=Status.CONFIRMED), [4]),
    ],
)
def test_a_filter_means_the_same_for_live_and_for_finished_orders(filter: OrderFilter, matching: list[int]) -> None:
    def at(second: int) -> datetime:
        return NOON + timedelta(seconds=second)

    world = World()
    world.keep_live(
        an_order(an_id(1), user_id="u1", created_at=at(1)),
        exhaust(an_order(an_id(3), swap=BUY_SOL, created_at=at(3))),
    )
    world.record(
        a_failed_order(an_id(2), created_at=at(2)), a_confirmed_order(an_id(4), user_id="u1", created_at=at(4))
    )
    assert world.ids(filter) == [an_id(n) for n in matching]


def test_an_order_that_is_recorded_while_the_list_is_read_is_not_missed() -> None:
    class FinishingOrders(InMemoryOrders):
        """Just before anybody looks, the live order is recorded."""

        async def live(self, *, user_id: str | None, before: Position | None, limit: int) -> list[Order]:
            for order in list(self.stored.values()):
                await world.history.record(order)
                self.stored[order.order_id] = replace(order, recorded_through=order.sequence)
            return await super().live(user_id=user_id, before=before, limit=limit)

    world = World(FinishingOrders())
    world.keep_live(a_confirmed_order(an_id(1)))
    assert world.ids() == [an_id(1)]


def test_a_list_without_the_history_is_refused_rather_than_cut() -> None:
    world = World()
    world.keep_live(an_order(an_id(1)))
    world.history.is_away = True
    with pytest.raises(HistoryUnavailable) as refused:
        world.ids()
    assert refused.value.retryable


def test_the_swap_of_an_order_is_listed_by_its_own_direction() -> None:
    world = World()
    world.keep_live(an_order(an_id(1), swap=Swap("BONK", "JUP", 5, SwapMode.EXACT_IN)))
    assert world.ids(OrderFilter(pair=("JUP", "BONK"))) == []
    assert world.ids(OrderFilter(pair=("BONK", "JUP"))) == [an_id(1)]


class CountingOrders(InMemoryOrders):
    reads = 0

    async def live(self, *, user_id: str | None, before: Position | None, limit: int) -> list[Order]:
        self.reads += 1
        return await super().live(user_id=user_id, before=before, limit=limit)


def test_a_page_of_a_long_backlog_is_cut_short_and_the_cursor_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("order_engine.service.read_orders._LIVE_PAGE", 2)
    orders = CountingOrders()
    world = World(orders)
    for number in range(40):
        world.keep_live(an_order(an_id(number), created_at=NOON + timedelta(seconds=number)))
    world.record(a_confirmed_order(an_id(90), created_at=NOON - timedelta(seconds=1)))
    world.record(a_confirmed_order(an_id(91), created_at=NOON + timedelta(seconds=30, milliseconds=1)))
    first = asyncio.run(world.read.page(OrderFilter(status=Status.CONFIRMED), before=None, limit=5))
    assert orders.reads == 10
    assert [order.order_id for order in first.orders] == [an_id(91)]
    assert first.next is not None
    assert [page for page in world.pages(OrderFilter(status=Status.CONFIRMED), limit=5) if page] == [
        [an_id(91)],
        [an_id(90)],
    ]


@pytest.mark.parametrize(
    "filter", [OrderFilter(since=NOON + timedelta(days=1)), OrderFilter(until=NOON - timedelta(days=1))]
)
def test_a_backlog_outside_the_times_asked_for_is_not_read(filter: OrderFilter) -> None:
    orders = CountingOrders()
    world = World(orders)
    for number in range(500):
        world.keep_live(an_order(an_id(number), created_at=NOON + timedelta(milliseconds=number)))
    assert world.ids(filter) == []
    assert orders.reads == 1
