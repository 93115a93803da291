"""Whatever goes wrong, in whatever order: at most one swap an order, and every accepted order comes to its end.

Hypothesis plays the world: clients, SQS, chain, venues, outages, clocks, workers that die or sleep at any call, and an
operator who replays dead letters. After every step the invariants hold; at the end all is well again, and then nothing
may be stuck, untold or unrecorded. HYPOTHESIS_PROFILE=soak searches much longer, and elsewhere each time.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from order_engine.domain.events import Event, limit_fact
from order_engine.domain.orders import Order, Status, SwapRequest
from order_engine.domain.transactions import Landed
from tests.builders import BUY_SOL, SELL_SOL
from tests.documents.documents import message_of_server
from tests.fakes import NOON, lands_at_its_limit, reverts
from tests.simulation import CLIENT, USER, Fault, World

PAUSES = (Fault.PAUSED_BEFORE, Fault.PAUSED_AFTER)
PORTS = ["orders", "queue", "statuses", "history", "chain", "raydium", "meteora", "connections", "sockets"]


def plans(faults: list[Fault], *, calls: int) -> st.SearchStrategy[dict[int, Fault]]:
    return st.dictionaries(st.integers(0, calls), st.sampled_from(faults), max_size=3)


pauses = st.integers(0, 15).map(lambda call: {call: Fault.PAUSED_BEFORE})
worker_plans: st.SearchStrategy[dict[int, Fault]] = st.just({}) | pauses | plans(list(Fault), calls=30)
other_plans: st.SearchStrategy[dict[int, Fault]] = st.just({}) | plans(
    [fault for fault in Fault if fault not in PAUSES], calls=6
)
picks = st.integers(0, 5)
skews = st.integers(-2_000, 2_000).map(lambda milliseconds: timedelta(milliseconds=milliseconds))
LARGEST_SKEW = timedelta(seconds=2)
moods = st.sampled_from(["landing", "reverting", "dropping", "slow"])
requests = st.builds(
    SwapRequest,
    swap=st.sampled_from([SELL_SOL, BUY_SOL]),
    slippage_bps=st.just(100),
    limit=st.none() | st.just(220_000_000_000),
    expires_at=st.none() | st.integers(1, 90).map(lambda seconds: NOON + timedelta(seconds=seconds)),
    user_id=st.none() | st.just(USER),
    client_order_id=st.none() | st.just("order"),
)


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """pytest keeps what is logged: of all these examples, more than a gigabyte."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


class Engine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.keyed: list[SwapRequest] = []
        self.known: dict[str, Order] = {}
        self.redriven: dict[str, int] = {}
        self.watched: set[str] = set()
        self.unsure: set[str] = set()

    # An order or two is there from the start: rules that are left out by chance must not leave out everything.
    @initialize(requests=st.lists(requests, min_size=1, max_size=2), mood=moods)
    def begin(self, requests: list[SwapRequest], mood: str) -> None:
        assert self.world.follow(lambda follow: follow.connect(CLIENT, user_id=USER), {})
        self.change_the_chains_mood(mood)
        for request in requests:
            self.submit(request, {})

    # Clients

    @precondition(lambda self: len(self.world.orders.stored) < 3)
    @rule(request=requests, plan=other_plans)
    def submit(self, request: SwapRequest, plan: dict[int, Fault]) -> None:
        """A lifetime begins now; a client's own id for its order is what it may send again."""
        if request.expires_at is not None:
            request = replace(request, expires_at=request.expires_at + (self.world.clock.now() - NOON))
        if request.client_order_id is not None:
            request = replace(request, client_order_id=f"order-{len(self.keyed)}")
            self.keyed.append(request)
        self.world.accept(request, plan)

    @precondition(lambda self: self.keyed)
    @rule(pick=picks, plan=other_plans)
    def submit_again(self, pick: int, plan: dict[int, Fault]) -> None:
        self.world.accept(self.keyed[pick % len(self.keyed)], plan)

    @precondition(lambda self: self.world.orders.stored)
    @rule(pick=picks, plan=other_plans)
    def subscribe(self, pick: int, plan: dict[int, Fault]) -> None:
        self.subscribe_to(list(self.world.orders.stored)[pick % len(self.world.orders.stored)], plan)

    def subscribe_to(self, order_id: str, plan: dict[int, Fault]) -> None:
        """Whom the request fails is told so and subscribes again: at the end, at the latest."""
        after = len(self.seen(order_id))
        if self.world.follow(lambda follow: follow.subscribe(CLIENT, order_id, after=after), plan):
            self.watched.add(order_id)
        else:
            self.watched.discard(order_id)
            self.unsure.add(order_id)

    # The queues

    @precondition(lambda self: self.world.queue.visible())
    @rule(pick=picks, plan=worker_plans, skew=skews)
    def deliver(self, pick: int, plan: dict[int, Fault], skew: timedelta) -> None:
        visible = self.world.queue.visible()
        self.world.deliver(visible[pick % len(visible)], plan, skew)

    @precondition(lambda self: self.world.queue.messages)
    @rule(deliveries=st.lists(st.tuples(worker_plans, skews), min_size=1, max_size=4))
    def wait_for_messages(self, deliveries: list[tuple[dict[int, Fault], timedelta]]) -> None:
        for plan, skew in deliveries:
            if self.world.queue.messages:
                first = min(self.world.queue.messages, key=lambda queued: queued.visible_at)
                self.world.clock.at = max(self.world.clock.at, first.visible_at)
                self.world.deliver(first, plan, skew)

    @precondition(lambda self: self.world.queue.ever_sent)
    @rule(pick=picks)
    def duplicate(self, pick: int) -> None:
        sent = self.world.queue.ever_sent
        self.world.queue.duplicate(sent[-1 - pick % len(sent)])

    @precondition(lambda self: self.world.queue.dead_letters)
    @rule(pick=picks)
    def redrive(self, pick: int) -> None:
        letters = self.world.queue.dead_letters
        letter = letters[pick % len(letters)]
        self.redriven[letter.order_id] = self.redriven.get(letter.order_id, 0) + 1
        self.world.queue.redrive(letter)

    @precondition(lambda self: any(self.world.statuses.groups.values()))
    @rule(pick=picks, plan=other_plans)
    def notify(self, pick: int, plan: dict[int, Fault]) -> None:
        waiting = [group for group, line in self.world.statuses.groups.items() if line]
        self.world.notify(waiting[pick % len(waiting)], plan)

    @rule(plan=other_plans)
    def sweep(self, plan: dict[int, Fault]) -> None:
        self.world.sweep(plan)

    # Workers

    @precondition(lambda self: self.world.paused)
    @rule(pick=picks)
    def resume(self, pick: int) -> None:
        self.world.resume(self.world.paused[pick % len(self.world.paused)])

    @precondition(lambda self: self.world.paused)
    @rule(pick=picks)
    def kill(self, pick: int) -> None:
        self.world.kill(self.world.paused[pick % len(self.world.paused)])

    # The world

    @rule(seconds=st.sampled_from([1, 5, 20, 30, 70, 400]))
    def let_time_pass(self, seconds: int) -> None:
        self.world.clock.at += timedelta(seconds=seconds)

    @precondition(lambda self: not self.world.outages)
    @rule(ports=st.sets(st.sampled_from(PORTS), min_size=1, max_size=3))
    def begin_outage(self, ports: set[str]) -> None:
        self.world.outages |= ports

    @precondition(lambda self: self.world.outages)
    @rule()
    def end_outage(self) -> None:
        self.world.outages.clear()

    @rule(mood=moods)
    def change_the_chains_mood(self, mood: str) -> None:
        chain = self.world.chain
        chain.fate = reverts if mood == "reverting" else lands_at_its_limit
        chain.is_dropping = mood == "dropping"
        chain.landing_seconds = 45 if mood == "slow" else 0.8

    @rule(price=st.sampled_from([100, 150, 200]))
    def move_the_price(self, price: int) -> None:
        for venue in self.world.venues:
            venue.price = price

    # What must hold at every moment

    @invariant()
    def everything_holds(self) -> None:
        self.at_most_one_swap_lands()
        self.a_finished_order_tells_the_truth()
        self.what_was_said_stands()
        self.a_finished_order_stays_so_unless_an_operator_replays_it()
        self.only_what_is_stored_is_told_and_recorded()
        self.the_client_sees_no_gap()

    def at_most_one_swap_lands(self) -> None:
        for order in self.world.orders.stored.values():
            assert len(self.landed(order)) <= 1, order.order_id

    def a_finished_order_tells_the_truth(self) -> None:
        for order in self.world.orders.stored.values():
            if order.status is Status.CONFIRMED:
                assert self.landed(order) == [order.events[-1]["txHash"]]
            elif order.status.is_terminal:
                assert self.landed(order) == []

    def what_was_said_stands(self) -> None:
        for order in self.world.orders.stored.values():
            known = self.known.get(order.order_id)
            self.known[order.order_id] = order
            assert [event["sequence"] for event in order.events] == list(range(1, order.sequence + 1))
            if known is not None:
                assert order.events[: known.sequence] == known.events
                assert known.limit in (None, order.limit)
                assert known.fence <= order.fence
                # By the clock of the fastest worker.
                assert known.fence == order.fence or not known.is_leased(self.world.clock.at + LARGEST_SKEW)
            if order.limit is not None:
                assert order.request.limit in (None, order.limit)
                facts = limit_fact(order.request.swap, order.limit)
                assert all(facts.items() <= event.items() for event in order.events if event["status"] == "submitted")

    def a_finished_order_stays_so_unless_an_operator_replays_it(self) -> None:
        for order in self.world.orders.stored.values():
            finished = [event for event in order.events[:-1] if Status(event["status"]).is_terminal]
            assert all(event.get("errorCode") == "ATTEMPTS_EXHAUSTED" for event in finished)
            assert len(finished) <= self.redriven.get(order.order_id, 0)

    def only_what_is_stored_is_told_and_recorded(self) -> None:
        world = self.world
        # The first event is told to those only who follow its user.
        for told, first in ((world.statuses.published, (1, 2)), (world.history.events, (1,))):
            for order_id, events in told.items():
                stored = world.orders.stored[order_id].events
                assert min(events) in first
                assert sorted(events) == list(range(min(events), max(events) + 1))
                assert all(stored[sequence - 1] == event for sequence, event in events.items())
        for order in world.orders.stored.values():
            assert max(world.statuses.published.get(order.order_id, {1})) >= order.sent_through
            assert len(world.history.events.get(order.order_id, ())) >= order.recorded_through

    def the_client_sees_no_gap(self) -> None:
        for order in self.world.orders.stored.values():
            seen = self.seen(order.order_id)
            assert seen == list(order.events[: len(seen)])

    # How it must end

    def teardown(self) -> None:
        try:
            self.end_well()
        finally:
            self.world.close()

    def end_well(self) -> None:
        """Everything works again, and everything is delivered; lost is only what never was on the queue."""
        world = self.world
        world.outages.clear()
        self.change_the_chains_mood("landing")
        self.move_the_price(200)
        while world.paused:
            self.resume(0)
            self.everything_holds()
        self.deliver_all()
        self.undisturbed_orders_need_no_operator()
        self.an_exhausted_order_can_be_replayed()
        self.redrive_all()
        self.everything_has_ended({message.order_id for message in world.queue.ever_sent})
        world.clock.at += timedelta(hours=1)
        world.sweep({})
        self.deliver_all()
        self.everything_has_ended(set(world.orders.stored))
        self.notify_all()
        self.everything_holds()
        self.everyone_knows_everything()
        self.every_frame_is_documented()

    def deliver_all(self) -> None:
        for _ in range(300):
            if not self.world.queue.messages:
                return
            self.wait_for_messages([({}, timedelta(0))])
            self.everything_holds()
        raise AssertionError("messages go round for ever")

    def redrive_all(self) -> None:
        for _ in range(3):
            self.world.clock.at += timedelta(seconds=10)
            for _ in list(self.world.queue.dead_letters):
                self.redrive(0)
            self.deliver_all()
        assert not self.world.queue.dead_letters

    def notify_all(self) -> None:
        line = self.world.statuses.groups
        for order_id in self.world.orders.stored:
            is_followed = self.world.orders.stored[order_id].request.user_id == USER
            if order_id not in self.watched and (order_id in self.unsure or not is_followed):
                self.subscribe_to(order_id, {})
        for _ in range(1_000):
            waiting = [group for group, messages in line.items() if messages]
            if not waiting:
                return
            self.world.notify(waiting[0], {})
        raise AssertionError("status messages go round for ever")

    def undisturbed_orders_need_no_operator(self) -> None:
        for message in self.world.queue.ever_sent:
            if message.order_id not in self.world.disturbed:
                assert self.world.orders.stored[message.order_id].status.is_terminal

    def an_exhausted_order_can_be_replayed(self) -> None:
        letters = {(letter.order_id, letter.token) for letter in self.world.queue.dead_letters}
        for order in self.world.orders.stored.values():
            if order.is_exhausted:
                assert any((order.order_id, token) in letters for token in order.claimants)

    def everything_has_ended(self, order_ids: set[str]) -> None:
        for order_id in order_ids:
            order = self.world.orders.stored[order_id]
            assert order.status.is_terminal
            assert not order.is_exhausted
            assert order.is_settled
            assert list(self.world.history.events[order_id].values()) == list(order.events)
            assert self.world.history.orders[order_id].status == order.status

    def every_frame_is_documented(self) -> None:
        for frames in self.world.sockets.frames.values():
            for frame in frames:
                assert message_of_server(frame) == frame.get("status", "error")

    def everyone_knows_everything(self) -> None:
        for order in self.world.orders.stored.values():
            assert max(self.world.statuses.published[order.order_id]) == order.sequence
            assert self.seen(order.order_id) == list(order.events)

    # What the machine sees of its world

    def landed(self, order: Order) -> list[str]:
        """Signatures of the swaps of an order that have landed or will."""
        chain = self.world.chain
        return [
            signature
            for signature, (_, fate) in chain.relayed.items()
            if isinstance(fate, Landed) and chain.drafts[signature].memo.startswith(f"{order.order_id}:")
        ]

    def seen(self, order_id: str) -> list[Event]:
        """What the client has kept of its frames, dropping repeats."""
        seen: list[Event] = []
        for frame in self.world.sockets.frames.get(CLIENT, ()):
            event: Event = dict(frame)
            if event["orderId"] == order_id and event["sequence"] > len(seen):
                seen.append(event)
        return seen


SETTINGS = {
    "ci": settings(max_examples=2_000, stateful_step_count=50, derandomize=True),
    "soak": settings(max_examples=20_000, stateful_step_count=80, database=None),
}

TestInvariants = Engine.TestCase
TestInvariants.settings = settings(
    SETTINGS[os.environ.get("HYPOTHESIS_PROFILE", "ci")], deadline=None, suppress_health_check=list(HealthCheck)
)
