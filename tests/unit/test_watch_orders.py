"""The sweep: what stands still is reminded of, what moves is left alone, and nothing is asked for twice in a row."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from order_engine.domain.errors import Unavailable
from order_engine.domain.orders import Order
from order_engine.service.ports import Metric
from order_engine.service.watch_orders import PAGE, Sweep, WatchOrders
from tests.builders import SLIPPED, a_confirmed_order, a_failed_order, an_order, claim, submit
from tests.fakes import NOON, FrozenClock, InMemoryOrders, RecordingMetrics, RecordingOrderQueue

MINUTE = timedelta(minutes=1)
DONE = replace(a_confirmed_order(), sent_through=5, recorded_through=5)


class Watch:
    def __init__(self, *orders: Order, most_reminders: int = 1_000) -> None:
        self.clock = FrozenClock(NOON + MINUTE)
        self.orders = InMemoryOrders()
        self.orders.stored = {order.order_id: order for order in orders}
        self.queue = RecordingOrderQueue()
        self.metrics = RecordingMetrics()
        self.watch = WatchOrders(
            orders=self.orders,
            queue=self.queue,
            clock=self.clock,
            metrics=self.metrics,
            most_reminders=most_reminders,
        )

    def run(self, *, after: timedelta = timedelta(0)) -> Sweep:
        self.clock.at += after
        return asyncio.run(self.watch(self.clock.now() + MINUTE))

    @property
    def reminded(self) -> list[str]:
        return [sent.order_id for sent in self.queue.sent]


@pytest.mark.parametrize(
    "order",
    [
        an_order(),
        claim(an_order()),
        submit(an_order()),
        claim(an_order()).retrying(SLIPPED, NOON + timedelta(seconds=1), NOON),
        an_order(expires_at=NOON + timedelta(seconds=1)),
        a_confirmed_order(),
        a_failed_order(),
        replace(a_confirmed_order(), recorded_through=5),
        replace(a_confirmed_order(), sent_through=5),
    ],
    ids=[
        *("never claimed", "claimed by a worker that is gone", "of unknown outcome", "whose retry got lost", "expired"),
        *("confirmed but not settled", "failed but not settled", "not told", "not recorded"),
    ],
)
def test_an_order_that_stands_still_is_reminded_of(order: Order) -> None:
    watch = Watch(order)
    assert watch.run(after=MINUTE) == Sweep(looked_at=1, reminded=1)
    assert watch.reminded == [order.order_id]


def test_what_is_settled_costs_nothing() -> None:
    watch = Watch(DONE)
    assert watch.run(after=MINUTE) == Sweep(looked_at=0, reminded=0)


def moving(at: datetime) -> Order:
    return replace(claim(an_order()), retry_at=at)


@pytest.mark.parametrize(
    "order",
    [
        an_order(created_at=NOON + timedelta(seconds=45)),
        replace(claim(an_order()), lease=replace(claim(an_order()).lease, until=NOON + timedelta(minutes=2))),  # type: ignore[type-var]
        moving(NOON + timedelta(seconds=59)),
        an_order().reminded(NOON + timedelta(seconds=10)),
    ],
    ids=["new", "leased", "about to be retried", "reminded of"],
)
def test_an_order_that_moves_is_left_alone(order: Order) -> None:
    watch = Watch(order)
    assert watch.run().reminded == 0


def test_reminders_of_an_order_come_at_growing_intervals_up_to_a_quarter_of_an_hour() -> None:
    watch = Watch(an_order())
    times: list[int] = []
    for minute in range(1, 61):
        if watch.run(after=MINUTE).reminded:
            times.append(minute)
    assert times == [1, 2, 4, 8, 16, 32, 48]


def test_a_claim_makes_the_reminders_prompt_again() -> None:
    reminded = an_order()
    for _ in range(6):
        reminded = reminded.reminded(NOON)
    watch = Watch(claim(reminded))
    assert watch.run(after=MINUTE).reminded == 1


def test_a_run_takes_the_oldest_first_and_leaves_the_rest_for_the_next() -> None:
    orders = [an_order(f"order-{number:03}", created_at=NOON + timedelta(milliseconds=number)) for number in range(250)]
    watch = Watch(*orders, most_reminders=150)
    first = watch.run()
    assert not first.is_complete
    assert watch.reminded[0] == "order-000"
    assert first.reminded >= 150
    second = watch.run(after=timedelta(seconds=1))
    assert second.is_complete
    assert sorted(watch.reminded) == [order.order_id for order in orders]


def test_a_run_ends_at_its_deadline() -> None:
    orders = [an_order(f"order-{number:03}") for number in range(PAGE * 3)]
    watch = Watch(*orders)
    assert asyncio.run(watch.watch(watch.clock.now())) == Sweep(is_complete=False)


def test_two_runs_at_once_do_no_harm() -> None:
    watch = Watch(an_order())

    async def both() -> None:
        deadline = watch.clock.now() + MINUTE
        await asyncio.gather(watch.watch(deadline), watch.watch(deadline))

    asyncio.run(both())
    assert set(watch.reminded) == {"order-1"}


def test_an_order_that_cannot_be_reminded_of_does_not_hold_up_the_others() -> None:
    watch = Watch(an_order("order-1"), an_order("order-2"))
    send = watch.queue.send

    async def reluctant(order_id: str, **options: object) -> None:
        if order_id == "order-1":
            raise Unavailable("SQS")
        await send(order_id)

    watch.queue.send = reluctant  # type: ignore[method-assign]
    assert watch.run() == Sweep(looked_at=2, reminded=1)
    assert watch.reminded == ["order-2"]


def test_a_run_says_how_old_the_oldest_live_order_is_whatever_page_it_is_on() -> None:
    orders = [an_order(f"order-{number:03}", created_at=NOON + timedelta(milliseconds=number)) for number in range(250)]
    watch = Watch(DONE, *orders)
    watch.run(after=MINUTE)
    assert watch.metrics.added == {Metric.OLDEST_LIVE_ORDER_AGE: [120]}


def test_a_run_that_finds_nothing_says_so() -> None:
    watch = Watch(DONE, an_order(created_at=NOON + MINUTE))
    watch.run()
    assert watch.metrics.added == {Metric.OLDEST_LIVE_ORDER_AGE: [0]}
