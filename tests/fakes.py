"""In-memory stand-ins for every port. They pass the same contract tests as the adapters they stand for."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from itertools import count
from math import ceil
from typing import Any, TypeVar

from order_engine.domain.errors import ConnectionGone, ErrorCode, StateChanged, Unavailable
from order_engine.domain.events import Event
from order_engine.domain.orders import Order, Status
from order_engine.domain.quotes import Quote, Swap, SwapMode
from order_engine.domain.statistics import EndedOrders, Percentiles, QueueDepth
from order_engine.domain.summaries import OrderSummary
from order_engine.domain.transactions import Dead, Draft, Landed, Outcome, Reverted, Transaction, Unknown
from order_engine.service.ports import (
    Connection,
    Frame,
    Metric,
    OrderFilter,
    Position,
    Replay,
    StatusMessage,
    Subscription,
)

Value = TypeVar("Value")

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@dataclass
class FrozenClock:
    """Time stands still until somebody sleeps."""

    at: datetime = NOON

    def now(self) -> datetime:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class CountingRandomness:
    """Tokens are token-1, token-2, …; a draw is the middle of its range."""

    def __init__(self) -> None:
        self._counter = count(1)

    def token(self) -> str:
        return f"token-{next(self._counter)}"

    def uniform(self, low: float, high: float) -> float:
        return (low + high) / 2


class InMemoryOrders:
    def __init__(self) -> None:
        self.stored: dict[str, Order] = {}

    async def add(self, order: Order) -> Order | None:
        existing = self.stored.setdefault(order.order_id, order)
        return None if existing is order else existing

    async def get(self, order_id: str) -> Order | None:
        return self.stored.get(order_id)

    async def save(self, before: Order, after: Order) -> None:
        stored = self.stored[before.order_id]
        if all(getattr(stored, name) == getattr(before, name) for name in ("fence", "sequence", "fingerprint")):
            self.stored[before.order_id] = after
        elif (stored.fence, stored.sequence, stored.claim_id) != (after.fence, after.sequence, after.claim_id):
            raise StateChanged(before.order_id)

    async def live(self, *, user_id: str | None, before: Position | None, limit: int) -> list[Order]:
        orders = [
            order
            for order in self.stored.values()
            if not order.is_settled
            and user_id in (None, order.request.user_id)
            and (before is None or Position(order.created_at, order.order_id) < before)
        ]
        return sorted(orders, key=lambda order: (order.created_at, order.order_id), reverse=True)[:limit]

    async def oldest_live(self, *, after: Position | None, until: datetime, limit: int) -> list[Order]:
        orders = [
            order
            for order in self.stored.values()
            if not order.is_settled
            and order.created_at < until
            and (after is None or Position(order.created_at, order.order_id) > after)
        ]
        return sorted(orders, key=lambda order: (order.created_at, order.order_id))[:limit]

    async def sequences(self, order_ids: Iterable[str]) -> dict[str, int]:
        return {order_id: self.stored[order_id].sequence for order_id in order_ids if order_id in self.stored}


@dataclass(frozen=True)
class SentOrder:
    order_id: str
    delay_seconds: int
    deferrals: int
    record_only: bool


class RecordingOrderQueue:
    def __init__(self) -> None:
        self.sent: list[SentOrder] = []

    async def send(
        self,
        order_id: str,
        *,
        accepted: Order | None = None,
        delay_seconds: int = 0,
        deferrals: int = 0,
        record_only: bool = False,
    ) -> None:
        self.sent.append(SentOrder(order_id, delay_seconds, deferrals, record_only))


class RecordingStatusQueue:
    """Drops what it has seen, as deduplication does."""

    def __init__(self) -> None:
        self.messages: list[StatusMessage | Replay | Frame] = []
        self.is_away = False
        self._seen: set[tuple[str, int]] = set()

    async def publish(self, order: Order, events: Sequence[Event]) -> None:
        self._refuse_when_away()
        key = (order.order_id, events[-1]["sequence"])
        if key not in self._seen:
            self._seen.add(key)
            self.messages.append(StatusMessage(order.order_id, order.request.user_id, tuple(events)))

    async def request_replay(self, replay: Replay) -> None:
        self._refuse_when_away()
        self.messages.append(replay)

    async def send_frame(self, frame: Frame) -> None:
        self._refuse_when_away()
        self.messages.append(frame)

    def sequences(self, order_id: str) -> list[int]:
        return [
            event["sequence"]
            for message in self.messages
            if isinstance(message, StatusMessage) and message.order_id == order_id
            for event in message.events
        ]

    def _refuse_when_away(self) -> None:
        if self.is_away:
            raise Unavailable("SQS")


class InMemoryHistory:
    def __init__(self) -> None:
        self.orders: dict[str, OrderSummary] = {}
        self.events: dict[str, dict[int, Event]] = {}
        self.is_away = False

    async def record(self, order: Order) -> None:
        await self.check()
        known = self.orders.get(order.order_id)
        if known is None or known.sequence < order.sequence:
            self.orders[order.order_id] = OrderSummary.of(order)
        history = self.events.setdefault(order.order_id, {})
        for event in order.events:
            history.setdefault(event["sequence"], event)

    async def get(self, order_id: str) -> tuple[OrderSummary, list[Event]] | None:
        await self.check()
        if order_id not in self.orders:
            return None
        history = self.events[order_id]
        return self.orders[order_id], [history[sequence] for sequence in sorted(history)]

    async def find(self, filter: OrderFilter, *, before: Position | None, limit: int) -> list[OrderSummary]:
        await self.check()
        found = [
            order
            for order in self.orders.values()
            if filter.status in (None, order.status)
            and filter.type in (None, order.type)
            and filter.user_id in (None, order.user_id)
            and filter.pair in (None, (order.token_in, order.token_out))
            and (filter.since is None or order.created_at >= filter.since)
            and (filter.until is None or order.created_at < filter.until)
            and (before is None or Position(order.created_at, order.order_id) < before)
        ]
        return sorted(found, key=lambda order: (order.created_at, order.order_id), reverse=True)[:limit]

    async def ended(self, since: datetime, until: datetime) -> EndedOrders:
        await self.check()
        ended = [order for order in self.orders.values() if since <= order.updated_at < until]
        confirmed = [order for order in ended if order.status == Status.CONFIRMED]
        durations = [(order.updated_at - order.created_at) // timedelta(milliseconds=1) for order in confirmed]
        gains = [order.price_improvement_bps for order in confirmed if order.price_improvement_bps is not None]
        minutes = ((order.updated_at.replace(second=0, microsecond=0), Status(order.status)) for order in ended)
        failed = (order for order in ended if order.status == Status.FAILED)
        return EndedOrders(
            by_minute=Counter(minutes),
            by_error=Counter(order.error_code for order in failed if order.error_code is not None),
            time_to_confirm_ms=_percentiles(durations),
            price_improvement_bps=_percentiles(gains),
        )

    async def check(self) -> None:
        if self.is_away:
            raise Unavailable("Postgres")


def _percentiles(values: Iterable[Value]) -> Percentiles[Value] | None:
    ordered: list[Any] = sorted(values)
    if not ordered:
        return None
    return Percentiles(*(ordered[ceil(len(ordered) * percent / 100) - 1] for percent in (50, 95)))


@dataclass
class FixedGauge:
    """Of a queue that always holds the same."""

    holds: QueueDepth = field(default_factory=lambda: QueueDepth(0, 0, 0))
    is_away: bool = False

    async def depth(self) -> QueueDepth:
        if self.is_away:
            raise Unavailable("SQS")
        return self.holds


@dataclass
class FixedPriceVenue:
    """Sells `token_out` at `price` units each, for a fee of `fee_bps`; raises `failure` when it is set."""

    name: str
    price: int = 150
    fee_bps: int = 25
    failure: Exception | None = None
    asked: list[Swap] = field(default_factory=list)

    async def quote(self, swap: Swap) -> Quote:
        self.asked.append(swap)
        if self.failure is not None:
            raise self.failure
        gross = swap.amount * self.price if swap.mode is SwapMode.EXACT_IN else swap.amount
        amount_in = swap.amount if swap.mode is SwapMode.EXACT_IN else -(-swap.amount // self.price)
        fee = amount_in * self.fee_bps // 10_000
        amount_out = gross - fee * self.price if swap.mode is SwapMode.EXACT_IN else swap.amount
        return Quote(
            self.name, f"{self.name}-pool", swap.token_in, swap.token_out, amount_in, amount_out, fee, Decimal(5)
        )


class ScriptedChain:
    """Lands what it is sent, once, unless told otherwise.

    `fate` decides the outcome of a signature when it is first relayed; `is_dropping` loses sends; what was relayed
    lands `landing_seconds` later. `landed` counts the successful swaps: what the invariants are about.
    """

    def __init__(self, clock: FrozenClock, *, landing_seconds: float = 2) -> None:
        self.clock = clock
        self.landing_seconds = landing_seconds
        self.is_dropping = False
        self.is_away = False
        self.fate: Callable[[Draft], Outcome] = lands_at_its_limit
        self.drafts: dict[str, Draft] = {}
        self.relayed: dict[str, tuple[datetime, Outcome]] = {}
        self.dead: set[str] = set()

    @property
    def landed(self) -> list[Draft]:
        return [self.drafts[signature] for signature, (_, fate) in self.relayed.items() if isinstance(fate, Landed)]

    async def height(self) -> int:
        self._refuse_when_away()
        return int(self.clock.now().timestamp() * 1000) // 400

    def sign(self, draft: Draft) -> Transaction:
        payload = repr(draft).encode()
        signature = sha256(payload).hexdigest()
        self.drafts[signature] = draft
        return Transaction(signature, payload, draft.last_valid_block_height)

    async def send(self, transaction: Transaction) -> None:
        self._refuse_when_away()
        signature = transaction.signature
        expired = await self.height() > transaction.last_valid_block_height
        if self.is_dropping or expired or signature in self.dead or signature in self.relayed:
            return
        lands_at = self.clock.now() + timedelta(seconds=self.landing_seconds)
        self.relayed[signature] = (lands_at, self.fate(self.drafts[signature]))

    async def look_up(self, transaction: Transaction) -> Outcome:
        height = await self.height()
        if transaction.signature in self.relayed:
            lands_at, outcome = self.relayed[transaction.signature]
            return outcome if self.clock.now() >= lands_at else Unknown()
        if height > transaction.last_valid_block_height:
            self.dead.add(transaction.signature)
            return Dead()
        return Unknown()

    def _refuse_when_away(self) -> None:
        if self.is_away:
            raise Unavailable("chain")


def lands_at_its_limit(draft: Draft) -> Outcome:
    """The worst fill that the floor allows."""
    exact_in = draft.swap.mode is SwapMode.EXACT_IN
    amount_in, amount_out = (draft.swap.amount, draft.limit) if exact_in else (draft.limit, draft.swap.amount)
    return Landed(amount_in, amount_out, tuple((leg.dex, leg.token_in, leg.fee) for leg in draft.legs), 5_000)


def reverts(draft: Draft) -> Outcome:
    return Reverted(
        draft.legs[0].dex, 6005, "ExceededSlippage", ErrorCode.SLIPPAGE_TOLERANCE_EXCEEDED, network_fee=5_000
    )


class InMemoryConnections:
    def __init__(self) -> None:
        self.connections: dict[str, Connection] = {}
        self.subscriptions: dict[tuple[str, str], Subscription] = {}

    async def add(self, connection: Connection) -> None:
        self.connections[connection.connection_id] = connection

    async def get(self, connection_id: str) -> Connection | None:
        return self.connections.get(connection_id)

    async def remove(self, connection_id: str) -> None:
        self.connections.pop(connection_id, None)

    async def subscribe(self, subscription: Subscription) -> None:
        self.subscriptions[subscription.order_id, subscription.connection_id] = subscription

    async def advance(self, order_id: str, connection_id: str, through: int | None) -> None:
        key = (order_id, connection_id)
        if key in self.subscriptions:
            self.subscriptions[key] = replace(self.subscriptions[key], through=through)

    async def unsubscribe(self, order_id: str, connection_id: str) -> None:
        self.subscriptions.pop((order_id, connection_id), None)

    async def subscribed_orders(self, connection_id: str) -> list[str]:
        return [order_id for order_id, subscriber in self.subscriptions if subscriber == connection_id]

    async def watchers(self, order_id: str) -> list[Subscription]:
        return [subscription for subscription in self.subscriptions.values() if subscription.order_id == order_id]

    async def followers(self, user_id: str) -> list[Connection]:
        return [connection for connection in self.connections.values() if connection.user_id == user_id]


class RecordingSockets:
    """Keeps every frame by connection; `gone` and `throttled` connections refuse."""

    def __init__(self) -> None:
        self.frames: dict[str, list[Mapping[str, object]]] = {}
        self.gone: set[str] = set()
        self.throttled: set[str] = set()

    async def post(self, connection_id: str, frame: Mapping[str, object]) -> None:
        if connection_id in self.gone:
            raise ConnectionGone(connection_id)
        if connection_id in self.throttled:
            raise Unavailable("WebSocket API")
        self.frames.setdefault(connection_id, []).append(frame)


class RecordingMetrics:
    """Everything that was added, by metric; `error_codes` are those of what has one."""

    def __init__(self) -> None:
        self.added: defaultdict[Metric, list[float]] = defaultdict(list)
        self.error_codes: list[str] = []

    def add(self, metric: Metric, value: float = 1, *, error_code: str | None = None) -> None:
        self.added[metric].append(value)
        if error_code is not None:
            self.error_codes.append(error_code)
