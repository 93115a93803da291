"""Execute one order: at most one swap, whatever crashes, comes twice or gets lost.

A queue message only says "look at this order"; the stored order says what there is to do. The protocol, in order:

1. claim      a lease and a higher fence; every later write is refused once somebody else has claimed
2. look       a transaction on record is looked up before anything new is made
3. route      all venues at once; best net output; the floor of the first accepted quote stands for good
4. sign       the signature is known before anything is sent
5. write      route, floor, signature and bytes are on record, in one write, before anything is sent
6. send       the same bytes, again and again, until the chain says landed, reverted or dead
7. finish     confirmed, or the attempt is over: the next one waits, or the order has failed
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from order_engine.domain import routes
from order_engine.domain.errors import (
    AttemptFailed,
    ErrorCode,
    OrderNotFound,
    StateChanged,
    Unavailable,
)
from order_engine.domain.orders import Lease, Order, Status
from order_engine.domain.quotes import VenueAnswer
from order_engine.domain.transactions import (
    BLOCKS_TO_LIVE,
    Dead,
    Draft,
    Landed,
    Outcome,
    Reverted,
    Transaction,
    Unknown,
)
from order_engine.service.accept_order import fingerprint
from order_engine.service.ask_venues import RoutingPolicy, ask_venues
from order_engine.service.ports import (
    Chain,
    Clock,
    History,
    Metric,
    Metrics,
    NoMetrics,
    OrderMessage,
    OrderQueue,
    OrderRepository,
    Randomness,
    StatusQueue,
    Venue,
)

logger = logging.getLogger(__name__)

MOST_EVENTS_A_MESSAGE = 50
"""Of some 2 KB each; a message may have 256 KB."""


@dataclass(frozen=True, slots=True)
class Done:
    """The message has served and may be deleted."""


@dataclass(frozen=True, slots=True)
class Back:
    """The message must come back after so many seconds, or move to the dead-letter queue if it may not any more."""

    after_seconds: int


Verdict = Done | Back


@dataclass(frozen=True, slots=True)
class ExecutionPolicy(RoutingPolicy):
    backoff_base_seconds: float = 2.0
    backoff_cap_seconds: float = 120.0
    look_up_every_seconds: float = 0.4
    """One slot: the chain has nothing new more often than that."""
    resend_every_seconds: float = 4.0
    """Longer than a landing takes: what was relayed need not be sent again."""
    reserve_seconds: float = 3.0
    """Kept at the end of an invocation for giving the order back in order."""
    clock_skew_seconds: float = 5.0
    """How far apart the clocks of two workers may be."""
    max_receives: int = 3
    """The queue's `maxReceiveCount`: at the last receive only a copy of the message can come back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecuteOrder:
    """The use case: one message in, one verdict out. Raises `OrderNotFound` for a message of no order."""

    orders: OrderRepository
    queue: OrderQueue
    statuses: StatusQueue
    history: History
    venues: Sequence[Venue]
    chain: Chain
    clock: Clock
    randomness: Randomness
    metrics: Metrics = field(default_factory=NoMetrics)
    policy: ExecutionPolicy = field(default_factory=ExecutionPolicy)

    async def __call__(self, message: OrderMessage, deadline: datetime) -> Verdict:
        """`deadline` is when the invocation ends: the lease lasts until then, and no longer."""
        return await _Visit(self, message, deadline).run()


class _OutcomeUnknown(Exception):
    """The invocation ends before the chain has said what became of the transaction."""


class _Visit:
    """One message meets its order."""

    def __init__(self, engine: ExecuteOrder, message: OrderMessage, deadline: datetime) -> None:
        self._engine = engine
        self._message = message
        self._deadline = deadline
        self._order: Order
        self._attempt: int | None = None
        self._held_until: datetime | None = None
        self._answers: dict[str, VenueAnswer] = {}
        self._sent_through = 0
        self._telling: asyncio.Task[None] | None = None

    async def run(self) -> Verdict:
        try:
            return await self._until_settled()
        except (Unavailable, _OutcomeUnknown) as error:
            logger.warning("order deferred", extra=self._facts(reason=str(error) or "outcome unknown"))
            return await self._defer()
        finally:
            await self._told()

    async def _until_settled(self) -> Verdict:
        order = self._as_accepted()
        while True:
            order = order or await self._engine.orders.get(self._message.order_id)
            if order is None:
                raise OrderNotFound(self._message.order_id)
            try:
                return await self._look(order)
            except StateChanged:
                # Somebody else wrote the order first. What is stored now decides; it has moved on, so this ends.
                logger.info("order changed under this worker", extra=self._facts())
                await self._told()
                order = None

    def _as_accepted(self) -> Order | None:
        """What a new order's message says of it, to be claimed unread. The claim finds out whether it is so: it is
        refused where the stored order has moved on, or was asked for something else.
        """
        order = self._message.accepted
        is_first = self._message.receive_count == 1
        return order if order and is_first and order.fingerprint == fingerprint(order.request) else None

    async def _look(self, order: Order) -> Verdict:
        self._order, self._held_until, self._sent_through = order, None, order.sent_through
        self._attempt = order.attempt
        now = self._engine.clock.now()
        if order.status.is_terminal:
            return await self._replay() if self._is_replay() else await self._settle()
        lease = order.lease if order.is_leased(now) else None
        is_anothers = lease is not None and lease.message_id != self._message.message_id
        if is_anothers or self._message.record_only:
            # Whoever holds or has replayed the order sees to it. A message for the record could not be replayed again.
            return Done()
        if lease is not None:
            return await self._come_back(lease.until)
        if order.retry_at is not None and order.retry_at > now:
            return await self._come_back(order.retry_at)
        return await self._take_turn(order, now)

    async def _take_turn(self, order: Order, now: datetime) -> Verdict:
        if order.is_expired(now):
            return await self._expire()
        if order.is_too_long and order.transaction is None:
            return await self._give_up()
        return await self._execute()

    async def _give_up(self) -> Verdict:
        """Every worker that took it died of it: better failed, which is true, than tried for ever."""
        await self._claim()
        error = AttemptFailed(ErrorCode.INTERNAL, "The order could not be executed; it was given up", may_work=False)
        await self._move(self._order.failed(error, self._engine.clock.now()))
        return await self._settle()

    async def _replay(self) -> Verdict:
        await self._move(self._order.replayed(self._engine.randomness.token(), self._engine.clock.now()))
        return await self._execute()

    def _is_replay(self) -> bool:
        """An operator's: a body that had its turn before, in another message, sent after the order failed."""
        order, message = self._order, self._message
        return (
            order.is_exhausted
            and not message.record_only
            and message.token in order.claimants
            # By id as well: the clock of the worker that failed the order may be slow.
            and message.message_id not in order.claimants
            and message.sent_at > order.updated_at
        )

    # Steps 1 to 7

    async def _execute(self) -> Verdict:
        await self._claim()
        try:
            if self._order.transaction is None:
                routed = await self._route()
                if routed.is_expired(self._engine.clock.now()):
                    return await self._expire()
                await self._write_ahead(routed)
            await self._confirm()
        except AttemptFailed as error:
            return await self._end_attempt(error)
        return await self._settle()

    async def _claim(self) -> None:
        order, now = self._order, self._engine.clock.now()
        # Before the write: should its answer be lost, the lease counts as taken.
        self._held_until = self._deadline
        lease = Lease(
            claim_id=self._engine.randomness.token(),
            message_id=self._message.message_id,
            token=self._message.token,
            until=self._deadline,
        )
        await self._move(order.claimed(lease, now))
        if order.fence == 0:
            self._engine.metrics.add(Metric.QUEUE_DELAY, _milliseconds(now - order.created_at))

    async def _route(self) -> Order:
        swap = self._order.request.swap
        self._answers = await ask_venues(self._engine.venues, swap, self._engine.policy, self._facts())
        route = routes.choose(swap, self._answers, self._engine.policy.max_impact_bps)
        routed = self._order.routed(self._answers, route, self._engine.clock.now())
        assert routed.limit is not None
        routes.hold(swap, route, routed.limit)
        logger.info("route chosen", extra=self._facts(dex=route.dex, reason=route.reason))
        return routed

    async def _write_ahead(self, routed: Order) -> None:
        chain = self._engine.chain
        assert routed.route is not None
        assert routed.limit is not None
        draft = Draft(
            memo=f"{routed.order_id}:{routed.fence}",
            swap=routed.request.swap,
            legs=routed.route.legs,
            limit=routed.limit,
            last_valid_block_height=await chain.height() + BLOCKS_TO_LIVE,
        )
        transaction = chain.sign(draft)
        await self._move(routed.submitted(transaction, self._engine.clock.now()))
        logger.info("transaction on record", extra=self._facts(signature=transaction.signature))

    async def _confirm(self) -> None:
        """Send and look until the chain has decided. Silence of the chain decides nothing."""
        transaction, clock, policy = self._order.transaction, self._engine.clock, self._engine.policy
        assert transaction is not None
        send_at = clock.now()
        while True:
            if clock.now() >= send_at:
                await self._send(transaction)
                send_at = clock.now() + timedelta(seconds=policy.resend_every_seconds)
                # Nothing lands in the slot that it is sent in.
                await self._wait_for_the_chain()
            match await self._look_up(transaction):
                case Landed() as fill:
                    return await self._move(self._order.confirmed(fill, clock.now()))
                case Reverted(dex=dex, venue_error=name, venue_code=number, reason=reason):
                    raise AttemptFailed(reason, f"Reverted by {dex}: {name} ({number})", may_work=True)
                case Dead():
                    raise AttemptFailed(
                        ErrorCode.TRANSACTION_EXPIRED, "The transaction did not land in its time", may_work=True
                    )
                case Unknown():
                    await self._wait_for_the_chain()

    async def _send(self, transaction: Transaction) -> None:
        try:
            await self._engine.chain.send(transaction)
        except Unavailable:
            logger.warning("send unanswered; may be on chain", extra=self._facts())

    async def _look_up(self, transaction: Transaction) -> Outcome:
        try:
            return await self._engine.chain.look_up(transaction)
        except Unavailable:
            return Unknown()

    async def _wait_for_the_chain(self) -> None:
        policy = self._engine.policy
        last_look = self._deadline - timedelta(seconds=policy.reserve_seconds + policy.look_up_every_seconds)
        if self._engine.clock.now() >= last_look:
            await self._move(self._order.released())
            self._held_until = None
            raise _OutcomeUnknown
        # On a common grid, so that the orders of one worker look at the same moment, which is one call.
        every_ms = round(policy.look_up_every_seconds * 1000)
        now_ms = round(self._engine.clock.now().timestamp() * 1000)
        await self._engine.clock.sleep((every_ms - now_ms % every_ms) / 1000)

    async def _end_attempt(self, error: AttemptFailed) -> Verdict:
        """Retry later, under backoff with full jitter, or fail the order: nothing of it landed or can land."""
        order, now, policy = self._order, self._engine.clock.now(), self._engine.policy
        logger.warning("attempt failed", extra=self._facts(code=error.reason, error=error.detail))
        answers = self._answers if order.status is Status.ROUTING else None
        longest = policy.backoff_base_seconds * 2**order.failed_attempts
        retry_at = now + timedelta(seconds=self._engine.randomness.uniform(0, longest))
        expires_at = order.request.expires_at
        is_too_late = expires_at is not None and retry_at >= expires_at
        if order.is_last_attempt or is_too_late or not error.may_work:
            await self._move(order.failed(error, now, answers=answers))
            return await self._settle()
        await self._move(order.retrying(error, retry_at, now, answers=answers))
        return await self._come_back(retry_at)

    async def _expire(self) -> Verdict:
        expired = self._order.expired(self._engine.randomness.token(), self._engine.clock.now())
        await self._move(expired.visited(self._message.token, self._message.message_id))
        return await self._settle()

    async def _settle(self) -> Verdict:
        """A finished order: send what is unsent, record what is unrecorded, and let go of it."""
        order = self._order
        self._tell()
        is_recorded = order.is_recorded or await self._record()
        await self._told()
        recorded_through = order.sequence if is_recorded else order.recorded_through
        settled = replace(order, sent_through=self._sent_through, recorded_through=recorded_through)
        if is_dead_letter := self._is_dead_letter():
            settled = settled.visited(self._message.token, self._message.message_id)
        is_stored = settled == order or await self._let_go(order, settled)
        is_settled = is_stored and settled.is_recorded and settled.sent_through == settled.sequence
        verdict = Done() if is_settled or not self._sees_to_the_record() else await self._defer(record_only=True)
        # Reported as failed until the queue has moved it, so that there is always one to replay.
        return Back(0) if is_dead_letter else verdict

    def _is_dead_letter(self) -> bool:
        """Also a message that was put off: what it stood for, when the order could not be read, may have been one."""
        order, message = self._order, self._message
        had_its_turn = message.token in order.claimants or message.deferrals > 0
        return order.is_exhausted and had_its_turn and not message.record_only

    def _sees_to_the_record(self) -> bool:
        """Not every message that comes by: in a long outage of the history, each would start another line of copies."""
        return self._message.record_only or self._message.token in self._order.claimants

    async def _let_go(self, order: Order, settled: Order) -> bool:
        try:
            await self._save(order, settled)
        except Unavailable:
            return False
        return True

    async def _record(self) -> bool:
        try:
            await self._engine.history.record(self._order)
        except Unavailable:
            logger.warning("history unavailable", extra=self._facts())
            return False
        return True

    # Writing, telling, coming back

    async def _move(self, after: Order) -> None:
        """Store one step, then tell it. The telling overlaps with whatever comes next."""
        after = replace(after, sent_through=self._sent_through)
        await self._save(self._order, after)
        self._order, self._attempt = after, after.events[-1]["attempt"]
        if after.status.is_terminal:
            self._count_end()
        self._tell()

    def _count_end(self) -> None:
        """Once an order: whoever stores its end counts it. After a replay it may end once more."""
        order, metrics, event = self._order, self._engine.metrics, self._order.events[-1]
        code, duration_ms = event.get("errorCode"), _milliseconds(order.updated_at - order.created_at)
        facts = {"status": order.status, "code": code, "dex": event.get("dex"), "duration_ms": duration_ms}
        logger.info("order ended", extra=self._facts(**facts))
        metrics.add(_ENDS[order.status], error_code=code if order.status is Status.FAILED else None)
        if order.status is not Status.EXPIRED:
            metrics.add(Metric.ORDER_ATTEMPTS, event["attempt"])
        if order.status is Status.CONFIRMED:
            assert order.route is not None
            metrics.add(Metric.TIME_TO_CONFIRM, duration_ms)
            metrics.add(Metric.PRICE_IMPROVEMENT, float(order.route.improvement_bps))

    async def _save(self, before: Order, after: Order) -> None:
        for pause in (0.1, 0.4):
            try:
                return await self._engine.orders.save(before, after)
            except Unavailable:
                await self._engine.clock.sleep(pause)
        return await self._engine.orders.save(before, after)

    def _tell(self) -> None:
        """What is untold. What is stored while a message is on its way goes with the next."""
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell_all())

    async def _tell_all(self) -> None:
        while self._sent_through < self._order.sequence:
            events = self._order.events_after(self._sent_through)[:MOST_EVENTS_A_MESSAGE]
            try:
                await self._engine.statuses.publish(self._order, events)
            except Unavailable:
                # With the next step, or by whoever finishes the order.
                return
            self._sent_through = events[-1]["sequence"]

    async def _told(self) -> None:
        """Wait for the telling under way."""
        if self._telling is not None:
            await self._telling

    async def _come_back(self, at: datetime) -> Verdict:
        await self._told()
        delay = math.ceil((at - self._engine.clock.now()).total_seconds())
        if self._message.receive_count < self._engine.policy.max_receives:
            return Back(max(delay, 0))
        return await self._send_copy(delay, self._message.deferrals)

    async def _defer(self, *, record_only: bool = False) -> Verdict:
        """Not the order's fault: spend neither its attempts nor the message's receives."""
        clock, policy = self._engine.clock, self._engine.policy
        # Far more doublings than it takes to the cap would be more than a float holds.
        longest = min(policy.backoff_cap_seconds, policy.backoff_base_seconds * 2 ** min(self._message.deferrals, 10))
        delay = self._engine.randomness.uniform(0, longest)
        if self._held_until is not None and not record_only:
            # A copy that met this very lease would take the order for somebody else's and end.
            left = (self._held_until - clock.now()).total_seconds()
            delay = max(delay, left + policy.clock_skew_seconds)
        return await self._send_copy(math.ceil(delay), self._message.deferrals + 1, record_only=record_only)

    async def _send_copy(self, delay_seconds: int, deferrals: int, *, record_only: bool = False) -> Verdict:
        delay_seconds = max(delay_seconds, 1)
        try:
            await self._engine.queue.send(
                self._message.order_id,
                delay_seconds=delay_seconds,
                deferrals=deferrals,
                record_only=record_only or self._message.record_only,
            )
        except Unavailable:
            return Back(delay_seconds)
        return Done()

    def _facts(self, **facts: object) -> dict[str, object]:
        message = self._message
        return {"order_id": message.order_id, "message_id": message.message_id, "attempt": self._attempt, **facts}


_ENDS = {
    Status.CONFIRMED: Metric.ORDERS_CONFIRMED,
    Status.FAILED: Metric.ORDERS_FAILED,
    Status.EXPIRED: Metric.ORDERS_EXPIRED,
}


def _milliseconds(duration: timedelta) -> int:
    return round(duration / timedelta(milliseconds=1))
