"""The execution protocol against fakes: every branch, every fault, with the clock standing still."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from order_engine.domain.errors import ErrorCode, OrderNotFound, QuoteFailed, Unavailable
from order_engine.domain.events import Event
from order_engine.domain.orders import Lease, Order, Status, SwapRequest
from order_engine.domain.quotes import Swap, SwapMode
from order_engine.domain.transactions import Outcome, Transaction
from order_engine.service.accept_order import fingerprint
from order_engine.service.execute_order import Back, Done, ExecuteOrder, Verdict
from order_engine.service.ports import Metric, OrderMessage, StatusMessage
from tests.fakes import (
    CountingRandomness,
    FixedPriceVenue,
    FrozenClock,
    InMemoryHistory,
    InMemoryOrders,
    RecordingMetrics,
    RecordingOrderQueue,
    RecordingStatusQueue,
    ScriptedChain,
    reverts,
)

ORDER_ID = "5f1b0e3c-0000-4000-8000-00000000000a"
HAPPY_PATH = ["pending", "routing", "building", "submitted", "confirmed"]


@dataclass
class Bench:
    """The engine with everything around it in memory, and one order accepted."""

    clock: FrozenClock = field(default_factory=FrozenClock)
    orders: InMemoryOrders = field(default_factory=InMemoryOrders)
    queue: RecordingOrderQueue = field(default_factory=RecordingOrderQueue)
    statuses: RecordingStatusQueue = field(default_factory=RecordingStatusQueue)
    history: InMemoryHistory = field(default_factory=InMemoryHistory)
    metrics: RecordingMetrics = field(default_factory=RecordingMetrics)
    raydium: FixedPriceVenue = field(default_factory=lambda: FixedPriceVenue("raydium", price=150))
    meteora: FixedPriceVenue = field(default_factory=lambda: FixedPriceVenue("meteora", price=151))

    def __post_init__(self) -> None:
        self.chain = ScriptedChain(self.clock)
        self.engine = ExecuteOrder(
            orders=self.orders,
            queue=self.queue,
            statuses=self.statuses,
            history=self.history,
            venues=[self.raydium, self.meteora],
            chain=self.chain,
            clock=self.clock,
            randomness=CountingRandomness(),
            metrics=self.metrics,
        )
        self.accept()

    def accept(self, **request: object) -> None:
        swap = Swap("SOL", "USDC", 2_000_000_000, SwapMode.EXACT_IN)
        wanted = SwapRequest(swap=swap, slippage_bps=100, **request)  # type: ignore[arg-type]
        order = Order(
            order_id=ORDER_ID,
            owner="public",
            request=wanted,
            fingerprint=fingerprint(wanted),
            keyed=False,
            created_at=self.clock.now(),
        )
        self.orders.stored[ORDER_ID] = order.accepted(self.clock.now())

    @property
    def order(self) -> Order:
        return self.orders.stored[ORDER_ID]

    @property
    def statuses_seen(self) -> list[str]:
        return [event["status"] for event in self.order.events]

    def message(self, **changes: object) -> OrderMessage:
        message = OrderMessage(ORDER_ID, "token", "message", self.clock.now(), receive_count=1)
        return replace(message, **changes)  # type: ignore[arg-type]

    def execute(self, message: OrderMessage | None = None, *, seconds: float = 20) -> Verdict:
        deadline = self.clock.now() + timedelta(seconds=seconds)
        return asyncio.run(self.engine(message or self.message(), deadline))

    def execute_until_settled(self) -> list[Verdict]:
        """Deliver the message as the queue would, until it is done or its receives are used up."""
        message, verdicts = self.message(), []
        for receive_count in (1, 2, 3):
            verdict = self.execute(replace(message, receive_count=receive_count))
            verdicts.append(verdict)
            if isinstance(verdict, Done):
                break
            self.clock.at += timedelta(seconds=verdict.after_seconds)
        return verdicts


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_an_order_is_routed_to_the_better_venue_and_confirmed(bench: Bench) -> None:
    assert bench.execute() == Done()
    assert bench.statuses_seen == HAPPY_PATH
    assert bench.order.events[-1]["dex"] == "meteora"
    assert len(bench.chain.landed) == 1


def test_both_quotes_and_the_reason_are_kept_with_the_order(bench: Bench) -> None:
    bench.execute()
    building = bench.order.events[2]
    assert [quote["dex"] for quote in building["quotes"]] == ["raydium", "meteora"]
    assert building["quote"]["dex"] == "meteora"
    assert "meteora" in building["reason"]


def test_every_event_is_told_in_order_and_the_finished_order_is_recorded(bench: Bench) -> None:
    bench.execute()
    assert bench.statuses.sequences(ORDER_ID) == [2, 3, 4, 5]
    assert bench.order.sent_through == bench.order.recorded_through == 5
    assert list(bench.history.events[ORDER_ID].values()) == list(bench.order.events)


def test_the_floor_is_the_first_accepted_quote_less_slippage(bench: Bench) -> None:
    bench.execute()
    assert bench.order.limit == bench.order.route.amount_out * 99 // 100  # type: ignore[union-attr]
    assert bench.order.events[3]["minAmountOut"] == bench.order.events[2]["minAmountOut"]


def test_the_clients_own_floor_counts_instead(bench: Bench) -> None:
    bench.accept(limit=300_000_000_000)
    bench.execute()
    assert bench.order.limit == 300_000_000_000


def test_a_retry_never_lowers_the_floor(bench: Bench) -> None:
    bench.chain.fate = reverts
    bench.execute()
    floor = bench.order.limit
    bench.raydium.price = bench.meteora.price = 100
    bench.clock.at += timedelta(seconds=30)
    bench.execute(bench.message(receive_count=2))
    assert bench.order.limit == floor
    assert bench.order.events[-1]["errorCode"] == "SLIPPAGE_TOLERANCE_EXCEEDED"
    assert "below the minimum" in bench.order.events[-1]["error"]
    assert len(bench.chain.drafts) == 1


def test_nothing_is_sent_before_it_is_on_record(bench: Bench) -> None:
    on_record: list[object] = []
    send = bench.chain.send

    async def spy(transaction: object) -> None:
        on_record.append(bench.order.transaction)
        await send(transaction)  # type: ignore[arg-type]

    bench.chain.send = spy  # type: ignore[method-assign]
    bench.execute()
    assert on_record
    assert None not in on_record


def test_a_transaction_on_record_is_followed_up_before_anything_new_is_made(bench: Bench) -> None:
    bench.chain.landing_seconds = 1000
    bench.execute()
    assert bench.statuses_seen[-1] == "submitted"
    bench.clock.at += timedelta(seconds=1000)
    assert bench.execute(bench.message(token="copy", message_id="copy")) == Done()
    assert bench.order.status is Status.CONFIRMED
    assert len(bench.chain.drafts) == 1


def test_an_outcome_unknown_at_the_end_leaves_the_order_submitted_and_defers_it(bench: Bench) -> None:
    bench.chain.landing_seconds = 1000
    assert bench.execute() == Done()
    assert bench.order.status is Status.SUBMITTED
    assert bench.order.lease is None
    assert bench.order.failed_attempts == 0
    assert [sent.deferrals for sent in bench.queue.sent] == [1]


def test_a_dropped_send_is_sent_again(bench: Bench) -> None:
    bench.chain.is_dropping = True
    look_up = bench.chain.look_up

    async def recover(transaction: object) -> object:
        bench.chain.is_dropping = bench.clock.now() < bench.order.updated_at + timedelta(seconds=3)
        return await look_up(transaction)  # type: ignore[arg-type]

    bench.chain.look_up = recover  # type: ignore[method-assign,assignment]
    bench.execute()
    assert bench.order.status is Status.CONFIRMED
    assert len(bench.chain.landed) == 1


def test_a_transaction_that_died_is_replaced_by_another_attempt(bench: Bench) -> None:
    bench.chain.is_dropping = True
    assert bench.execute(seconds=100) == Back(1)
    assert bench.order.events[-1]["errorCode"] == "TRANSACTION_EXPIRED"
    bench.chain.is_dropping = False
    bench.clock.at += timedelta(seconds=1)
    bench.execute(bench.message(receive_count=2))
    assert bench.order.status is Status.CONFIRMED
    assert len(bench.chain.drafts) == 2
    assert len(bench.chain.landed) == 1


def test_a_revert_goes_back_to_pending_with_the_reason_and_the_time_of_the_next_attempt(bench: Bench) -> None:
    bench.chain.fate = reverts
    assert bench.execute() == Back(1)
    event = bench.order.events[-1]
    assert event["status"] == "pending"
    assert event["attempt"] == 1
    assert event["error"] == "Reverted by meteora: ExceededSlippage (6005)"
    assert event["retryAt"] > event["timestamp"]
    assert bench.order.lease is None


def test_backoff_doubles_with_full_jitter(bench: Bench) -> None:
    bench.chain.fate = reverts
    first, second, third = bench.execute_until_settled()
    # The middle of 0..2 s and of 0..4 s.
    assert (first, second) == (Back(1), Back(2))
    assert third == Back(0)


def test_the_third_failure_is_final_and_the_message_goes_to_the_dead_letter_queue(bench: Bench) -> None:
    bench.chain.fate = reverts
    verdicts = bench.execute_until_settled()
    assert verdicts[-1] == Back(0)
    assert bench.order.status is Status.FAILED
    event = bench.order.events[-1]
    assert event["errorCode"] == "ATTEMPTS_EXHAUSTED"
    assert event["lastErrorCode"] == "SLIPPAGE_TOLERANCE_EXCEEDED"
    assert bench.history.orders[ORDER_ID].status == "failed"
    assert bench.execute(bench.message(receive_count=3, sent_at=bench.order.created_at)) == Back(0)
    assert bench.order.status is Status.FAILED


def test_a_replayed_message_gives_an_exhausted_order_a_fresh_set_of_attempts_under_the_old_floor(bench: Bench) -> None:
    bench.chain.fate = reverts
    bench.execute_until_settled()
    floor = bench.order.limit
    bench.chain.fate = ScriptedChain(bench.clock).fate
    bench.clock.at += timedelta(minutes=5)
    assert bench.execute(bench.message(message_id="redriven")) == Done()
    assert bench.order.status is Status.CONFIRMED
    assert bench.order.limit == floor
    assert [event["sequence"] for event in bench.order.events] == list(range(1, bench.order.sequence + 1))
    assert bench.history.orders[ORDER_ID].status == "confirmed"
    assert list(bench.history.events[ORDER_ID].values()) == list(bench.order.events)


def test_replaying_a_confirmed_order_does_nothing(bench: Bench) -> None:
    bench.execute()
    bench.clock.at += timedelta(minutes=5)
    before = bench.order
    assert bench.execute(bench.message(message_id="redriven")) == Done()
    assert bench.order == before
    assert len(bench.chain.landed) == 1


def test_a_leftover_message_that_was_never_claimed_starts_nothing(bench: Bench) -> None:
    bench.chain.fate = reverts
    bench.execute_until_settled()
    bench.clock.at += timedelta(minutes=5)
    assert bench.execute(bench.message(token="never claimed", message_id="other")) == Done()
    assert bench.order.status is Status.FAILED


def test_an_outage_while_a_dead_letter_is_replayed_leaves_one_to_replay_again(bench: Bench) -> None:
    bench.chain.fate = reverts
    bench.execute_until_settled()
    bench.clock.at += timedelta(minutes=5)
    get = bench.orders.get

    async def away(_: str) -> None:
        raise Unavailable("DynamoDB")

    bench.orders.get = away  # type: ignore[method-assign,assignment]
    assert bench.execute(bench.message(message_id="redriven")) == Done()
    bench.orders.get = get  # type: ignore[method-assign]
    copy = bench.message(token="copy", message_id="copy", deferrals=1)
    assert [bench.execute(replace(copy, receive_count=count)) for count in (1, 2, 3)] == [Back(0)] * 3
    assert bench.statuses_seen[-1] == "failed"
    bench.chain.fate = ScriptedChain(bench.clock).fate
    bench.clock.at += timedelta(minutes=5)
    assert bench.execute(replace(copy, message_id="redriven again", sent_at=bench.clock.now())) == Done()
    assert bench.order.status is Status.CONFIRMED


def test_a_dead_letter_replayed_in_an_outage_still_sees_to_the_record(bench: Bench) -> None:
    bench.execute()
    bench.orders.stored[ORDER_ID] = replace(bench.order, sent_through=4)
    bench.statuses.is_away = True
    assert bench.execute(bench.message(message_id="redriven")) == Done()
    assert [copy.record_only for copy in bench.queue.sent] == [True]


def test_a_message_does_not_replay_the_order_that_it_failed_itself_by_a_slow_clock(bench: Bench) -> None:
    bench.chain.fate = reverts
    message = bench.message(sent_at=bench.clock.now() + timedelta(minutes=1))
    for receive_count in (1, 2, 3, 3):
        assert isinstance(bench.execute(replace(message, receive_count=receive_count)), Back)
        bench.clock.at += timedelta(seconds=3)
    assert bench.order.updated_at < message.sent_at
    assert bench.statuses_seen.count("failed") == 1
    assert bench.order.status is Status.FAILED


def test_a_message_sent_for_the_record_only_leaves_a_replayed_order_to_its_replay(bench: Bench) -> None:
    """As a dead letter it could not be replayed."""
    assert bench.execute(bench.message(record_only=True)) == Done()
    assert bench.statuses_seen == ["pending"]


def test_a_message_that_meets_anothers_live_lease_is_done(bench: Bench) -> None:
    held = bench.order.claimed(
        Lease("claim", "other", "other", bench.clock.now() + timedelta(seconds=9)), bench.clock.at
    )
    bench.orders.stored[ORDER_ID] = held
    assert bench.execute() == Done()
    assert bench.order == held


def test_a_message_that_meets_its_own_live_lease_comes_back_at_the_leases_end(bench: Bench) -> None:
    lease = Lease("claim", "message", "token", bench.clock.now() + timedelta(seconds=9))
    bench.orders.stored[ORDER_ID] = bench.order.claimed(lease, bench.clock.now())
    assert bench.execute() == Back(9)


def test_at_its_last_receive_a_message_comes_back_as_a_copy(bench: Bench) -> None:
    bench.chain.fate = reverts
    assert bench.execute(bench.message(receive_count=3)) == Done()
    assert bench.order.status is Status.PENDING
    assert [(sent.order_id, sent.delay_seconds) for sent in bench.queue.sent] == [(ORDER_ID, 1)]


def test_an_early_message_waits_for_the_time_of_the_next_attempt(bench: Bench) -> None:
    bench.chain.fate = reverts
    bench.execute()
    assert bench.execute(bench.message(receive_count=2)) == Back(1)
    assert len(bench.chain.drafts) == 1


def test_a_later_claim_after_a_crash_routes_again(bench: Bench) -> None:
    crashed_at(bench, Status.ROUTING)
    bench.clock.at += timedelta(seconds=21)
    assert bench.execute(bench.message(receive_count=2)) == Done()
    assert bench.order.status is Status.CONFIRMED
    assert len(bench.chain.landed) == 1
    assert bench.order.fence == 2


def crashed_at(bench: Bench, status: Status) -> None:
    """Run until the step is stored, and no further."""
    save = bench.orders.save

    async def die(before: Order, after: Order) -> None:
        await save(before, after)
        if after.status is status:
            raise KeyboardInterrupt

    bench.orders.save = die  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        bench.execute()
    bench.orders.save = save  # type: ignore[method-assign]


def test_a_crash_between_a_write_and_its_message_loses_no_event(bench: Bench) -> None:
    crashed_at(bench, Status.CONFIRMED)
    assert bench.statuses.sequences(ORDER_ID) == [2, 3, 4]
    assert bench.execute(bench.message(receive_count=2)) == Done()
    # What the next worker cannot know to be told is told again.
    assert list(dict.fromkeys(bench.statuses.sequences(ORDER_ID))) == [2, 3, 4, 5]
    assert bench.history.orders[ORDER_ID].status == "confirmed"


def test_a_zombie_whose_lease_has_lapsed_cannot_write(bench: Bench) -> None:
    """Somebody claims while the venues are being asked: the sleeper's next write is refused, and it ends."""

    async def claim_meanwhile(swap: Swap) -> object:
        if bench.order.fence == 1:
            lease = Lease("usurper", "other", "other", bench.clock.now() + timedelta(seconds=9))
            await bench.orders.save(bench.order, bench.order.claimed(lease, bench.clock.now()))
        return await FixedPriceVenue.quote(bench.raydium, swap)

    bench.raydium.quote = claim_meanwhile  # type: ignore[method-assign,assignment]
    assert bench.execute() == Done()
    assert bench.order.status is Status.ROUTING
    assert bench.order.claim_id == "usurper"
    assert not bench.chain.relayed


def test_a_new_order_is_claimed_without_being_read(bench: Bench) -> None:
    async def unreadable(_: str) -> None:
        raise AssertionError("read")

    bench.orders.get = unreadable  # type: ignore[method-assign,assignment]
    assert bench.execute(bench.message(accepted=bench.order)) == Done()
    assert bench.statuses_seen == HAPPY_PATH


@pytest.mark.parametrize("is_signed_for", [True, False])
def test_a_message_that_tells_another_order_is_not_believed(bench: Bench, is_signed_for: bool) -> None:
    """Whether or not the fingerprint goes with what is told, the order that is stored is executed."""
    accepted = bench.order
    other = replace(accepted.request, swap=replace(accepted.request.swap, amount=9))
    told = replace(accepted, request=other, fingerprint=fingerprint(other) if is_signed_for else accepted.fingerprint)
    assert bench.execute(bench.message(accepted=told)) == Done()
    assert [draft.swap for draft in bench.chain.landed] == [accepted.request.swap]


def test_an_order_that_has_moved_on_since_its_message_was_sent_is_read(bench: Bench) -> None:
    accepted = bench.order
    bench.execute()
    confirmed = bench.order
    assert bench.execute(bench.message(accepted=accepted, token="late", message_id="late")) == Done()
    assert bench.order == confirmed
    assert len(bench.chain.landed) == 1


def test_a_slow_status_queue_holds_up_nothing_and_is_sent_what_has_gathered(bench: Bench) -> None:
    publish, released = bench.statuses.publish, asyncio.Event()

    async def slowly(order: Order, events: Sequence[Event]) -> None:
        if bench.order.status is not Status.CONFIRMED:
            await released.wait()
        await publish(order, events)

    record = bench.history.record

    async def release(order: Order) -> None:
        released.set()
        await record(order)

    bench.statuses.publish, bench.history.record = slowly, release  # type: ignore[method-assign]
    assert bench.execute() == Done()
    assert [len(message.events) for message in bench.statuses.messages if isinstance(message, StatusMessage)] == [1, 3]
    assert bench.order.is_settled


def test_the_orders_of_a_worker_look_at_the_chain_at_the_same_moments(bench: Bench) -> None:
    looks: list[datetime] = []
    look_up = bench.chain.look_up

    async def note(transaction: Transaction) -> Outcome:
        looks.append(bench.clock.now())
        return await look_up(transaction)

    bench.chain.look_up = note  # type: ignore[method-assign]
    bench.clock.at += timedelta(milliseconds=123)
    bench.execute()
    assert len(looks) > 2
    assert all(at.timestamp() * 1000 % 400 == 0 for at in looks[1:])


def test_one_venue_down_is_no_failure_while_another_answers(bench: Bench) -> None:
    bench.meteora.failure = Unavailable("meteora")
    bench.execute()
    assert bench.order.status is Status.CONFIRMED
    assert bench.order.events[2]["dex"] == "raydium"
    assert bench.order.events[2]["quotes"][1]["errorCode"] == "VENUE_UNAVAILABLE"


def test_a_silent_venue_is_not_waited_for(bench: Bench) -> None:
    async def hang(_: Swap) -> None:
        await asyncio.Event().wait()

    bench.meteora.quote = hang  # type: ignore[method-assign,assignment]
    bench.engine = replace(bench.engine, policy=replace(bench.engine.policy, quote_timeout_seconds=0.01))
    bench.execute()
    assert bench.order.status is Status.CONFIRMED
    assert bench.order.events[2]["quotes"][1]["errorCode"] == "VENUE_TIMEOUT"


def test_nonsense_from_a_venue_is_not_believed(bench: Bench) -> None:
    bench.meteora.price = -1
    bench.execute()
    assert bench.order.events[2]["dex"] == "raydium"
    assert bench.order.events[2]["quotes"][1]["errorCode"] == "VENUE_UNAVAILABLE"


def test_with_all_venues_down_the_attempt_fails_and_may_be_retried(bench: Bench) -> None:
    bench.raydium.failure = bench.meteora.failure = Unavailable("venue")
    assert bench.execute() == Back(1)
    assert bench.order.events[-1]["errorCode"] == "VENUE_UNAVAILABLE"
    assert len(bench.order.events[-1]["quotes"]) == 2


def test_what_will_never_work_fails_at_once_and_needs_no_replay(bench: Bench) -> None:
    no_pool = QuoteFailed(ErrorCode.NO_ROUTE_FOUND, "no pool", may_work=False)
    bench.raydium.failure = bench.meteora.failure = no_pool
    assert bench.execute() == Done()
    assert bench.order.status is Status.FAILED
    assert bench.order.events[-1]["errorCode"] == "NO_ROUTE_FOUND"
    assert bench.history.orders[ORDER_ID].status == "failed"


def test_an_order_past_its_time_expires_before_anything_is_submitted(bench: Bench) -> None:
    bench.accept(expires_at=bench.clock.now() + timedelta(seconds=5))
    bench.clock.at += timedelta(seconds=5)
    assert bench.execute() == Done()
    assert bench.statuses_seen == ["pending", "expired"]
    assert bench.history.orders[ORDER_ID].status == "expired"


def test_an_attempt_that_would_come_too_late_is_not_waited_for(bench: Bench) -> None:
    bench.accept(expires_at=bench.clock.now() + timedelta(seconds=3))
    bench.chain.fate = reverts
    bench.execute()
    assert bench.order.status is Status.FAILED
    assert bench.order.events[-1]["errorCode"] == "SLIPPAGE_TOLERANCE_EXCEEDED"


def test_an_expired_order_with_a_transaction_on_record_is_still_followed_up(bench: Bench) -> None:
    bench.accept(expires_at=bench.clock.now() + timedelta(seconds=10))
    crashed_at(bench, Status.SUBMITTED)
    bench.clock.at += timedelta(seconds=30)
    bench.execute(bench.message(receive_count=2))
    assert bench.order.status is Status.CONFIRMED


def test_with_postgres_down_the_order_is_confirmed_and_its_record_follows(bench: Bench) -> None:
    bench.history.is_away = True
    assert bench.execute() == Done()
    assert bench.order.status is Status.CONFIRMED
    assert bench.statuses.sequences(ORDER_ID) == [2, 3, 4, 5]
    [copy] = bench.queue.sent
    assert copy.record_only
    bench.history.is_away = False
    assert bench.execute(bench.message(token="copy", message_id="copy", record_only=True)) == Done()
    assert bench.history.orders[ORDER_ID].status == "confirmed"
    assert bench.order.is_recorded


def test_with_postgres_down_an_exhausted_orders_message_still_becomes_a_dead_letter(bench: Bench) -> None:
    bench.chain.fate, bench.history.is_away = reverts, True
    assert bench.execute_until_settled()[-1] == Back(0)
    assert [copy.record_only for copy in bench.queue.sent] == [True]
    bench.history.is_away = False
    assert bench.execute(bench.message(token="copy", message_id="copy", record_only=True)) == Done()
    assert bench.history.orders[ORDER_ID].status == "failed"


def test_with_the_status_queue_down_the_order_is_confirmed_and_told_later(bench: Bench) -> None:
    bench.statuses.is_away = True
    bench.execute()
    assert bench.order.status is Status.CONFIRMED
    bench.statuses.is_away = False
    bench.execute(bench.message(token="copy", message_id="copy", record_only=True))
    assert bench.statuses.sequences(ORDER_ID) == [2, 3, 4, 5]


def test_with_the_table_down_neither_attempts_nor_receives_are_spent(bench: Bench) -> None:
    async def away(_: str) -> None:
        raise Unavailable("DynamoDB")

    bench.orders.get = away  # type: ignore[method-assign,assignment]
    assert bench.execute(bench.message(deferrals=2)) == Done()
    assert [sent.deferrals for sent in bench.queue.sent] == [3]


@pytest.mark.parametrize("status", ["routing", "submitted", "confirmed"])
def test_a_write_whose_answer_was_lost_is_found_to_have_succeeded(bench: Bench, status: str) -> None:
    save = bench.orders.save
    lost: list[Order] = []

    async def lose_once(before: Order, after: Order) -> None:
        await save(before, after)
        if after.status == status and after.sequence > before.sequence and not lost:
            lost.append(after)
            raise Unavailable("DynamoDB")

    bench.orders.save = lose_once  # type: ignore[method-assign]
    assert bench.execute() == Done()
    assert lost
    assert bench.statuses_seen == HAPPY_PATH
    assert len(bench.chain.landed) == len(bench.metrics.added[Metric.ORDERS_CONFIRMED]) == 1


def test_a_claim_of_unknown_outcome_is_deferred_past_its_lease(bench: Bench) -> None:
    async def away(before: Order, after: Order) -> None:
        raise Unavailable("DynamoDB")

    bench.orders.save = away  # type: ignore[method-assign]
    assert bench.execute(seconds=20) == Done()
    assert bench.queue.sent[0].delay_seconds > 19


def test_a_copy_comes_so_late_that_even_a_slow_clock_sees_the_lease_ended(bench: Bench) -> None:
    bench.chain.is_away = True
    deadline = bench.clock.now() + timedelta(seconds=20)
    assert bench.execute() == Done()
    [copy] = bench.queue.sent
    assert bench.order.is_leased(deadline - timedelta(milliseconds=1))
    assert bench.clock.now() + timedelta(seconds=copy.delay_seconds) >= deadline + timedelta(seconds=4)


def test_a_message_of_no_order_is_refused(bench: Bench) -> None:
    with pytest.raises(OrderNotFound):
        bench.execute(bench.message(order_id="unknown"))


def test_a_venue_that_breaks_in_an_unheard_of_way_is_left_out(bench: Bench) -> None:
    bench.meteora.failure = KeyError("price")
    assert bench.execute() == Done()
    assert bench.order.status is Status.CONFIRMED
    assert bench.order.events[2]["quotes"][1]["errorCode"] == "VENUE_UNAVAILABLE"


def test_a_visitor_of_an_unrecorded_order_starts_no_further_line_of_copies(bench: Bench) -> None:
    bench.history.is_away = True
    bench.execute()
    assert len(bench.queue.sent) == 1
    assert bench.execute(bench.message(token="reminder", message_id="reminder")) == Done()
    assert len(bench.queue.sent) == 1


def test_a_message_can_be_put_off_any_number_of_times(bench: Bench) -> None:
    bench.history.is_away = True
    bench.execute()
    bench.execute(bench.message(token="copy", message_id="copy", deferrals=2_000, record_only=True))
    assert bench.queue.sent[-1].delay_seconds <= 120


def test_an_order_that_kills_every_worker_is_given_up_in_the_end(bench: Bench) -> None:
    worn = bench.order
    while not worn.is_too_long:
        worn = worn.claimed(Lease("claim", "message", f"token-{worn.sequence}", bench.clock.now()), bench.clock.now())
    bench.orders.stored[ORDER_ID] = worn
    assert len(worn.claimants) == 100
    assert bench.execute() == Done()
    assert bench.order.events[-1]["errorCode"] == "INTERNAL"
    assert not bench.chain.drafts


def test_an_order_that_was_replayed_too_often_is_left_failed(bench: Bench) -> None:
    bench.chain.fate = reverts
    for _ in range(30):
        bench.execute_until_settled()
        bench.clock.at += timedelta(minutes=5)
    assert bench.order.status is Status.FAILED
    assert bench.order.sequence < 220


def test_a_confirmed_order_is_counted_once_with_its_times_attempts_and_gain(bench: Bench) -> None:
    bench.clock.at += timedelta(seconds=7)
    bench.execute()
    bench.execute(bench.message(token="again", message_id="again"))
    improvement = bench.order.route.improvement_bps  # type: ignore[union-attr]
    assert bench.metrics.added == {
        Metric.QUEUE_DELAY: [7_000],
        Metric.ORDERS_CONFIRMED: [1],
        Metric.ORDER_ATTEMPTS: [1],
        Metric.TIME_TO_CONFIRM: [(bench.order.updated_at - bench.order.created_at).total_seconds() * 1000],
        Metric.PRICE_IMPROVEMENT: [float(improvement)],
    }
    assert improvement > 0


def test_a_failed_order_is_counted_by_its_reason_and_once_more_after_a_replay(bench: Bench) -> None:
    bench.chain.fate = reverts
    bench.execute_until_settled()
    assert bench.metrics.error_codes == ["ATTEMPTS_EXHAUSTED"]
    bench.chain.fate = ScriptedChain(bench.clock).fate
    bench.clock.at += timedelta(minutes=5)
    bench.execute(bench.message(message_id="redriven"))
    added = bench.metrics.added
    assert (added[Metric.ORDERS_FAILED], added[Metric.ORDERS_CONFIRMED]) == ([1], [1])
    assert added[Metric.ORDER_ATTEMPTS] == [3, 1]
    assert added[Metric.QUEUE_DELAY] == [0]


def test_an_expired_order_is_counted_as_such_and_as_no_failure(bench: Bench) -> None:
    bench.accept(expires_at=bench.clock.now())
    bench.execute()
    assert bench.metrics.added == {Metric.ORDERS_EXPIRED: [1]}


def test_every_line_about_an_order_names_it_its_message_and_the_attempt(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.chain.fate = reverts
    with caplog.at_level("INFO", "order_engine"):
        bench.execute_until_settled()
    told = [(record.message, record.attempt) for record in caplog.records]  # type: ignore[attr-defined]
    an_attempt = ["route chosen", "transaction on record", "attempt failed"]
    attempts = [(message, attempt) for attempt in (1, 2, 3) for message in an_attempt]
    assert told == [*attempts, ("order ended", 3)]
    named = {(record.order_id, record.message_id) for record in caplog.records}  # type: ignore[attr-defined]
    assert named == {(ORDER_ID, "message")}
