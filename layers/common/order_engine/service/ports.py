"""What the use cases need from the world, named by role.

Every method that reaches a network raises `Unavailable` when the outcome is not known, and only then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from order_engine.domain.events import Event
from order_engine.domain.orders import Order, Status
from order_engine.domain.quotes import Quote, Swap
from order_engine.domain.statistics import EndedOrders, QueueDepth
from order_engine.domain.summaries import OrderSummary
from order_engine.domain.transactions import Draft, Outcome, Transaction


class Clock(Protocol):
    def now(self) -> datetime:
        """UTC, cut to milliseconds."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class Randomness(Protocol):
    def token(self) -> str:
        """A fresh unguessable identifier."""
        ...

    def uniform(self, low: float, high: float) -> float: ...


class OrderRepository(Protocol):
    """The live orders: state machine, claim, fence and idempotency record in one."""

    async def add(self, order: Order) -> Order | None:
        """Store a new order; returns None, or the order that already has this id, unchanged."""
        ...

    async def get(self, order_id: str) -> Order | None:
        """The order as of every write that has returned (a consistent read)."""
        ...

    async def save(self, before: Order, after: Order) -> None:
        """Replace `before` by `after`, or raise `StateChanged` when `before` is not the stored state any more.

        Two states are the same when fence, sequence and the request's fingerprint are. Finding `after` itself stored is
        success: the write had succeeded and its answer was lost, so saving again after `Unavailable` is safe.
        """
        ...

    async def live(self, *, user_id: str | None, before: Position | None, limit: int) -> list[Order]:
        """Orders that are not in the history yet, newest first; eventually consistent.

        Fewer than `limit` only when there are no more.
        """
        ...

    async def oldest_live(self, *, after: Position | None, until: datetime, limit: int) -> list[Order]:
        """Orders accepted before `until` that are not settled, oldest first, from `after` on; eventually consistent."""
        ...

    async def sequences(self, order_ids: Iterable[str]) -> dict[str, int]:
        """The last sequence of each order that is known."""
        ...


@dataclass(frozen=True, slots=True)
class OrderMessage:
    """One delivery of a message. A redriven message keeps its `token` but is a new message with a new `sent_at`."""

    order_id: str
    token: str
    message_id: str
    sent_at: datetime
    receive_count: int
    deferrals: int = 0
    """How often it was put off for reasons that were not the order's fault."""
    record_only: bool = False
    """Sent only to bring a finished order into the history."""
    accepted: Order | None = None
    """The order as it was accepted. It may have moved on since, which its first claim finds out."""


class OrderQueue(Protocol):
    async def send(
        self,
        order_id: str,
        *,
        accepted: Order | None = None,
        delay_seconds: int = 0,
        deferrals: int = 0,
        record_only: bool = False,
    ) -> None:
        """Say "look at this order", under a fresh token.

        `accepted` is the order as it was accepted, which saves its first worker from reading it.
        """
        ...


@dataclass(frozen=True, slots=True)
class Replay:
    """A request to bring one connection up to date with one order and then keep it so."""

    order_id: str
    connection_id: str
    after: int
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame for one connection, to be sent when its turn comes."""

    connection_id: str
    body: Mapping[str, object]
    tries: int = 0


@dataclass(frozen=True, slots=True)
class StatusMessage:
    """Successive events of an order, for everyone who watches the order or its user."""

    order_id: str
    user_id: str | None
    events: tuple[Event, ...]
    """At least one."""


class StatusQueue(Protocol):
    """First in, first out for each order."""

    async def publish(self, order: Order, events: Sequence[Event]) -> None:
        """Put successive events on the queue as one message; one that is there already is not doubled."""
        ...

    async def request_replay(self, replay: Replay) -> None: ...

    async def send_frame(self, frame: Frame) -> None: ...


class Venue(Protocol):
    """Where a swap can be priced. Implementations answer within their own time or raise `QuoteFailed`."""

    @property
    def name(self) -> str: ...

    async def quote(self, swap: Swap) -> Quote: ...


class Chain(Protocol):
    async def height(self) -> int:
        """The newest block's height."""
        ...

    def sign(self, draft: Draft) -> Transaction:
        """Build and sign; pure: the same draft gives the same signature."""
        ...

    async def send(self, transaction: Transaction) -> None:
        """Relay the signed bytes. Returning means relayed, not landed; sending the same bytes again is harmless."""
        ...

    async def look_up(self, transaction: Transaction) -> Outcome:
        """What became of it. Reads the height first and the signature second, so `Dead` is final."""
        ...


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the list of all orders by age; the order's id breaks ties."""

    created_at: datetime
    order_id: str


@dataclass(frozen=True, slots=True)
class OrderFilter:
    status: Status | None = None
    type: str | None = None
    user_id: str | None = None
    pair: tuple[str, str] | None = None
    """(token in, token out)"""
    since: datetime | None = None
    until: datetime | None = None
    """Half open: since <= created_at < until."""


class History(Protocol):
    """Finished orders with all their events."""

    async def record(self, order: Order) -> None:
        """Store the finished order and its events in one transaction. Idempotent; a higher sequence wins."""
        ...

    async def get(self, order_id: str) -> tuple[OrderSummary, list[Event]] | None: ...

    async def find(self, filter: OrderFilter, *, before: Position | None, limit: int) -> list[OrderSummary]:
        """Newest first, strictly older than `before`."""
        ...

    async def ended(self, since: datetime, until: datetime) -> EndedOrders:
        """Statistics of the orders whose last event was at since <= time < until."""
        ...

    async def check(self) -> None:
        """Raises `Unavailable` unless the database answers."""
        ...


class QueueGauge(Protocol):
    async def depth(self) -> QueueDepth: ...


@dataclass(frozen=True, slots=True)
class Connection:
    """An open WebSocket. `user_id` follows all orders submitted with that `userId`."""

    connection_id: str
    connected_at: datetime
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class Subscription:
    """One connection watches one order. `through` is the last sequence sent to it; None until its replay has run."""

    order_id: str
    connection_id: str
    since: datetime
    through: int | None = None


class ConnectionRepository(Protocol):
    async def add(self, connection: Connection) -> None: ...

    async def get(self, connection_id: str) -> Connection | None: ...

    async def remove(self, connection_id: str) -> None:
        """Forget this connection. What it watched is found out by the next event, or goes by its time to live."""
        ...

    async def subscribe(self, subscription: Subscription) -> None:
        """Store the subscription, replacing an earlier one of the same connection to the same order."""
        ...

    async def advance(self, order_id: str, connection_id: str, through: int | None) -> None:
        """Note what was sent; with None, that a replay must run. Does nothing when there is no such subscription."""
        ...

    async def unsubscribe(self, order_id: str, connection_id: str) -> None: ...

    async def subscribed_orders(self, connection_id: str) -> list[str]:
        """Ids of the orders that this connection watches; eventually consistent."""
        ...

    async def watchers(self, order_id: str) -> list[Subscription]:
        """Everyone who watches this order."""
        ...

    async def followers(self, user_id: str) -> list[Connection]:
        """Everyone who follows this user's orders."""
        ...


class Sockets(Protocol):
    """The way back to the clients."""

    async def post(self, connection_id: str, frame: Mapping[str, object]) -> None:
        """Send one frame. Raises `ConnectionGone` when nobody is there, `Unavailable` when it may be tried again."""
        ...


class Metric(StrEnum):
    """What operators watch, under the names that alarms and the dashboard know."""

    ORDERS_ACCEPTED = "OrdersAccepted"
    ORDERS_CONFIRMED = "OrdersConfirmed"
    ORDERS_FAILED = "OrdersFailed"
    """In all, and by error code."""
    ORDERS_EXPIRED = "OrdersExpired"
    ORDER_ATTEMPTS = "OrderAttempts"
    """That an order took until it was confirmed or failed; since its replay, if it was replayed."""
    TIME_TO_CONFIRM = "TimeToConfirm"
    """From acceptance."""
    QUEUE_DELAY = "QueueDelay"
    """From acceptance to the first claim."""
    PRICE_IMPROVEMENT = "PriceImprovement"
    """Basis points by which the chosen route was better than the next best, of orders that were confirmed."""
    FRAMES_PUSHED = "FramesPushed"
    CONNECTIONS_GONE = "ConnectionsGone"
    """Clients that were found to have left without a word."""
    OLDEST_LIVE_ORDER_AGE = "OldestLiveOrderAge"
    """Of the orders that are not settled; 0 when none is older than it takes to call one overdue."""


class Metrics(Protocol):
    """Where numbers for operators go. Never raises and never waits: no order depends on them."""

    def add(self, metric: Metric, value: float = 1, *, error_code: str | None = None) -> None:
        """One more of what is counted, or one value of what is measured."""
        ...


class NoMetrics:
    """Where nobody watches."""

    def add(self, metric: Metric, value: float = 1, *, error_code: str | None = None) -> None:
        pass
