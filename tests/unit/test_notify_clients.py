"""Who is sent what, and when: pushes, replays, newcomers and connections that are gone, slow or still opening."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from order_engine.domain.errors import OrderNotFound, TooManySubscriptions, Unavailable
from order_engine.domain.orders import Order
from order_engine.service.follow_orders import MAX_SUBSCRIPTIONS, FollowOrders
from order_engine.service.notify_clients import MAX_TRIES, NotifyClients
from order_engine.service.ports import Frame, Metric, Replay, StatusMessage, Subscription
from tests.builders import a_confirmed_order, an_order, claim
from tests.fakes import (
    FrozenClock,
    InMemoryConnections,
    InMemoryOrders,
    RecordingMetrics,
    RecordingSockets,
    RecordingStatusQueue,
)

HAPPY_PATH = [1, 2, 3, 4, 5]


@dataclass
class Desk:
    """Clients on one side, orders on the other, and the status queue between them."""

    clock: FrozenClock = field(default_factory=FrozenClock)
    orders: InMemoryOrders = field(default_factory=InMemoryOrders)
    connections: InMemoryConnections = field(default_factory=InMemoryConnections)
    statuses: RecordingStatusQueue = field(default_factory=RecordingStatusQueue)
    sockets: RecordingSockets = field(default_factory=RecordingSockets)
    metrics: RecordingMetrics = field(default_factory=RecordingMetrics)

    def __post_init__(self) -> None:
        everything = {
            "connections": self.connections,
            "orders": self.orders,
            "statuses": self.statuses,
            "clock": self.clock,
        }
        self.notify = NotifyClients(sockets=self.sockets, metrics=self.metrics, **everything)  # type: ignore[arg-type]
        self.follow = FollowOrders(**everything)  # type: ignore[arg-type]

    def connect(self, connection_id: str = "socket", user_id: str | None = None) -> None:
        asyncio.run(self.follow.connect(connection_id, user_id=user_id))

    def subscribe(self, connection_id: str = "socket", order_id: str = "order-1", after: int = 0) -> None:
        asyncio.run(self.follow.subscribe(connection_id, order_id, after=after))

    def store(self, order: Order) -> None:
        self.orders.stored[order.order_id] = order

    def publish(self, order: Order, *sequences: int) -> None:
        """The order's change is stored and told."""
        self.store(order)
        asyncio.run(self.statuses.publish(order, [order.events[sequence - 1] for sequence in sequences]))

    def work(self) -> None:
        """Serve everything that is on the queue, in order, and what that puts there."""
        while self.statuses.messages:
            asyncio.run(self.notify(self.statuses.messages.pop(0)))

    def work_in_spite_of_failures(self, before_each_retry: Callable[[], None] = lambda: None) -> None:
        """A message that fails stays the first of its group."""
        while self.statuses.messages:
            message = self.statuses.messages[0]
            try:
                asyncio.run(self.notify(message))
            except Unavailable:
                before_each_retry()
            else:
                self.statuses.messages.remove(message)

    def received(self, connection_id: str = "socket") -> list[object]:
        return [frame.get("sequence", frame.get("code")) for frame in self.sockets.frames.get(connection_id, [])]


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize("known", range(6))
def test_a_late_subscriber_gets_everything_after_what_it_knows(desk: Desk, known: int) -> None:
    desk.store(a_confirmed_order())
    desk.connect()
    desk.subscribe(after=known)
    desk.work()
    assert desk.received() == HAPPY_PATH[known:]


def test_a_subscriber_gets_the_replay_first_and_then_what_is_new(desk: Desk) -> None:
    order = claim(an_order())
    desk.store(order)
    desk.connect()
    desk.subscribe()
    desk.publish(a_confirmed_order(), 3, 4, 5)
    desk.work()
    assert desk.received() == HAPPY_PATH


def test_an_event_before_the_replays_turn_waits_for_it(desk: Desk) -> None:
    order = an_order()
    desk.store(order)
    desk.connect()
    desk.publish(claim(order), 1, 2)
    desk.subscribe()
    desk.work()
    assert desk.received() == [1, 2]


def test_what_the_replay_has_sent_is_not_pushed_again(desk: Desk) -> None:
    desk.store(a_confirmed_order())
    desk.connect()
    desk.subscribe()
    desk.publish(a_confirmed_order(), *HAPPY_PATH)
    desk.work()
    assert desk.received() == HAPPY_PATH


def test_nobody_else_is_told(desk: Desk) -> None:
    desk.store(an_order("order-2"))
    desk.connect()
    desk.subscribe(order_id="order-2")
    desk.publish(a_confirmed_order(), *HAPPY_PATH)
    desk.work()
    assert desk.received() == [1]


def test_a_users_connection_gets_their_live_orders_and_then_all_new_ones(desk: Desk) -> None:
    desk.store(claim(an_order("order-1", user_id="u1")))
    desk.connect(user_id="u1")
    desk.publish(an_order("order-2", user_id="u1"), 1)
    desk.publish(an_order("order-3", user_id="somebody else"), 1)
    desk.work()
    received = [(frame["orderId"], frame["sequence"]) for frame in desk.sockets.frames["socket"]]
    assert received == [("order-1", 1), ("order-1", 2), ("order-2", 1)]


def test_a_follower_who_first_meets_an_order_midway_gets_it_from_the_beginning(desk: Desk) -> None:
    desk.connect(user_id="u1")
    desk.publish(a_confirmed_order(user_id="u1"), 3, 4, 5)
    desk.work()
    assert desk.received() == HAPPY_PATH


def test_a_connection_that_is_gone_is_forgotten_with_its_subscriptions_and_no_other(desk: Desk) -> None:
    for connection_id in ("leaver", "stayer"):
        desk.connect(connection_id)
        desk.store(an_order())
        desk.subscribe(connection_id)
    desk.work()
    desk.clock.at += timedelta(minutes=1)
    desk.sockets.gone.add("leaver")
    desk.publish(claim(an_order()), 2)
    desk.work()
    assert desk.received("stayer") == [1, 2]
    assert list(desk.connections.connections) == ["stayer"]
    assert [watcher.connection_id for watcher in desk.connections.subscriptions.values()] == ["stayer"]


def test_gone_means_not_yet_for_a_connection_that_is_still_opening(desk: Desk) -> None:
    desk.store(an_order())
    desk.connect()
    desk.subscribe()
    desk.sockets.gone.add("socket")
    asyncio.run(desk.notify(desk.statuses.messages.pop(0)))
    desk.sockets.gone.clear()
    desk.work()
    assert desk.received() == [1]


def test_a_connection_that_never_opened_is_given_up_after_a_while(desk: Desk) -> None:
    desk.store(an_order())
    desk.connect()
    desk.subscribe()
    desk.sockets.gone.add("socket")
    desk.work()
    assert not desk.connections.connections
    assert not desk.statuses.messages


def test_a_throttled_connection_is_made_whole_later_without_holding_up_the_others(desk: Desk) -> None:
    for connection_id in ("slow", "quick"):
        desk.store(an_order())
        desk.connect(connection_id)
        desk.subscribe(connection_id)
    desk.work()
    desk.sockets.throttled.add("slow")
    desk.publish(a_confirmed_order(), 2, 3)
    asyncio.run(desk.notify(desk.statuses.messages.pop(0)))
    asyncio.run(desk.notify(desk.statuses.messages.pop(0)))
    assert desk.received("quick") == [1, 2, 3]
    desk.sockets.throttled.clear()
    desk.publish(a_confirmed_order(), 4, 5)
    desk.work()
    assert desk.received("quick") == HAPPY_PATH
    assert desk.received("slow") == HAPPY_PATH


def test_a_post_that_keeps_failing_is_given_up(desk: Desk) -> None:
    desk.connect()
    desk.sockets.throttled.add("socket")
    asyncio.run(desk.notify(Frame("socket", {"type": "error"}, tries=MAX_TRIES)))
    assert not desk.statuses.messages


def test_a_replay_of_an_order_that_is_no_more_says_so(desk: Desk) -> None:
    desk.connect()
    desk.connections.subscriptions["order-1", "socket"] = Subscription("order-1", "socket", desk.clock.now())
    asyncio.run(desk.notify(Replay("order-1", "socket", after=0)))
    assert desk.received() == ["ORDER_NOT_FOUND"]
    assert not desk.connections.subscriptions


def test_subscribing_to_an_unknown_order_is_refused(desk: Desk) -> None:
    desk.connect()
    with pytest.raises(OrderNotFound):
        desk.subscribe(order_id="unknown")


def test_a_connection_watches_a_bounded_number_of_orders(desk: Desk) -> None:
    desk.connect()
    for number in range(MAX_SUBSCRIPTIONS + 1):
        desk.store(an_order(f"order-{number}"))
    for number in range(MAX_SUBSCRIPTIONS):
        desk.subscribe(order_id=f"order-{number}")
    with pytest.raises(TooManySubscriptions, match="at most 200"):
        desk.subscribe(order_id=f"order-{MAX_SUBSCRIPTIONS}")
    desk.subscribe(order_id="order-0")


def test_a_ping_answers_the_last_sequence_of_everything_watched(desk: Desk) -> None:
    desk.store(a_confirmed_order("order-1"))
    desk.store(an_order("order-2"))
    desk.connect()
    desk.subscribe(order_id="order-1")
    desk.subscribe(order_id="order-2")
    assert asyncio.run(desk.follow.high_water("socket")) == {"order-1": 5, "order-2": 1}


def test_after_unsubscribing_nothing_more_comes(desk: Desk) -> None:
    desk.store(an_order())
    desk.connect()
    desk.subscribe()
    desk.work()
    asyncio.run(desk.follow.unsubscribe("socket", "order-1"))
    desk.publish(claim(an_order()), 2)
    desk.work()
    assert desk.received() == [1]


def test_a_status_message_of_an_order_without_watchers_is_no_trouble(desk: Desk) -> None:
    order = an_order()
    asyncio.run(desk.notify(StatusMessage(order.order_id, None, order.events)))
    assert not desk.sockets.frames


def test_what_is_written_for_a_connection_that_has_left_does_not_stay(desk: Desk) -> None:
    desk.store(an_order())
    desk.connections.subscriptions["order-1", "socket"] = Subscription("order-1", "socket", desk.clock.now(), through=0)
    desk.sockets.gone.add("socket")
    desk.publish(an_order(), 1)
    desk.work()
    assert not desk.connections.subscriptions


def test_a_newcomer_whose_introduction_was_cut_short_is_introduced_again(desk: Desk) -> None:
    desk.connect(user_id="u1")
    desk.publish(an_order(user_id="u1"), 1)
    lose_one_answer(desk, "subscribe")
    desk.work_in_spite_of_failures()
    assert desk.received()[-1] == 1


def test_a_watcher_whose_push_failed_is_caught_up_even_when_the_notifier_fails_next(desk: Desk) -> None:
    desk.store(an_order())
    desk.connect()
    desk.subscribe()
    desk.work()
    desk.publish(claim(an_order()), 2)
    lose_one_answer(desk, "advance")
    desk.sockets.throttled.add("socket")
    desk.work_in_spite_of_failures(before_each_retry=desk.sockets.throttled.clear)
    assert 2 in desk.received()


def lose_one_answer(desk: Desk, method: str) -> None:
    take_effect = getattr(desk.connections, method)

    async def lose(*arguments: object) -> None:
        await take_effect(*arguments)
        setattr(desk.connections, method, take_effect)
        raise Unavailable("DynamoDB")

    setattr(desk.connections, method, lose)


def test_frames_are_counted_when_they_have_gone_out_and_clients_that_have_left_once(desk: Desk) -> None:
    for connection_id in ("leaver", "stayer"):
        desk.connect(connection_id)
        desk.store(an_order())
        desk.subscribe(connection_id)
    desk.work()
    desk.clock.at += timedelta(minutes=1)
    desk.sockets.gone.add("leaver")
    desk.publish(claim(an_order()), 2)
    desk.work()
    assert sum(desk.metrics.added[Metric.FRAMES_PUSHED]) == len(desk.received("leaver")) + len(desk.received("stayer"))
    assert desk.metrics.added[Metric.CONNECTIONS_GONE] == [1]
