"""What the engine answers. Amounts and prices are `Decimal`, in whole tokens; times are in UTC.

`raw` is the JSON object as it came, with whatever this version has no name for. Text such as `status` and `error_code`
is no closed set, for the same reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

Json = Mapping[str, Any]

CONFIRMED = "confirmed"

_ENDED = 100
"""The progress of every order that has come to its end, however."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The order is on record and will be executed."""

    order_id: str
    status: str
    message: str
    timestamp: datetime
    sequence: int
    raw: Json = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One swap of a route, in one pool."""

    dex: str
    pool: str
    token_in: str
    token_out: str
    amount_in: Decimal
    amount_out: Decimal
    fee: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueQuote:
    """One venue's offer, or the reason why it has none: then there is an `error`, and no amounts."""

    dex: str
    pool: str | None = None
    amount_in: Decimal | None = None
    amount_out: Decimal | None = None
    fee: Decimal | None = None
    fee_token: str | None = None
    price_impact_bps: Decimal | None = None
    error: str | None = None
    error_code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One visible change of an order. Sequences start at 1 and have no gaps."""

    order_id: str
    sequence: int
    status: str
    progress: int
    attempt: int
    timestamp: datetime
    message: str
    dex: str | None = None
    reason: str | None = None
    route: tuple[Leg, ...] = ()
    quotes: tuple[VenueQuote, ...] = ()
    price_impact_bps: Decimal | None = None
    signature: str | None = None
    min_amount_out: Decimal | None = None
    max_amount_in: Decimal | None = None
    tx_hash: str | None = None
    amount_in: Decimal | None = None
    amount_out: Decimal | None = None
    executed_price: Decimal | None = None
    price_improvement_bps: Decimal | None = None
    slippage_bps: Decimal | None = None
    fees: Json | None = None
    error: str | None = None
    error_code: str | None = None
    retry_at: datetime | None = None
    raw: Json = field(repr=False, compare=False)

    @property
    def has_ended(self) -> bool:
        """Nothing comes after it, unless an operator replays a failed order."""
        return self.progress == _ENDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order as of now. In a list, it comes without its `events`."""

    order_id: str
    type: str
    status: str
    progress: int
    token_in: str
    token_out: str
    swap_mode: str
    amount: Decimal
    slippage_bps: int
    created_at: datetime
    updated_at: datetime
    sequence: int
    attempts: int
    user_id: str | None = None
    client_order_id: str | None = None
    expires_at: datetime | None = None
    dex: str | None = None
    reason: str | None = None
    route: tuple[Leg, ...] = ()
    min_amount_out: Decimal | None = None
    max_amount_in: Decimal | None = None
    amount_in: Decimal | None = None
    amount_out: Decimal | None = None
    executed_price: Decimal | None = None
    price_improvement_bps: Decimal | None = None
    fees: Json | None = None
    tx_hash: str | None = None
    error: str | None = None
    error_code: str | None = None
    retry_at: datetime | None = None
    events: tuple[Event, ...] = ()
    raw: Json = field(repr=False, compare=False)

    @property
    def has_ended(self) -> bool:
        return self.progress == _ENDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some orders of a list, and the cursor that gets the next ones."""

    orders: tuple[Order, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What an order would do now. Nothing is reserved: the market moves on."""

    token_in: str
    token_out: str
    swap_mode: str
    amount: Decimal
    slippage_bps: int
    dex: str
    reason: str
    route: tuple[Leg, ...]
    quotes: tuple[VenueQuote, ...]
    quote: VenueQuote | None = None
    amount_in: Decimal
    amount_out: Decimal
    price: Decimal
    price_impact_bps: Decimal
    price_improvement_bps: Decimal
    min_amount_out: Decimal | None = None
    max_amount_in: Decimal | None = None
    timestamp: datetime
    raw: Json = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Minute:
    minute: datetime
    confirmed: int
    failed: int
    expired: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    p50: Decimal
    p95: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureCount:
    error_code: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDepth:
    """Messages that wait for a worker, that one is busy with, and that are to come back later."""

    waiting: int
    in_flight: int
    delayed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Queues:
    orders: QueueDepth | None = None
    statuses: QueueDepth | None = None
    dead_letters: QueueDepth | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OldestOrder:
    order_id: str
    created_at: datetime
    age_seconds: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """The last sixty minutes. What hangs on a part that is away is None or empty, and `unavailable` names the part."""

    timestamp: datetime
    since: datetime = field(metadata={"json": "from"})
    until: datetime = field(metadata={"json": "to"})
    confirmed: int | None = None
    failed: int | None = None
    expired: int | None = None
    success_rate: Decimal | None = None
    per_minute: tuple[Minute, ...] = ()
    time_to_confirm_ms: Percentiles | None = None
    price_improvement_bps: Percentiles | None = None
    failures: tuple[FailureCount, ...] = ()
    queues: Queues | None = None
    oldest_live_order: OldestOrder | None = None
    unavailable: tuple[str, ...] = ()
    raw: Json = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    symbol: str
    decimals: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What the engine trades, by which rules, and where its WebSocket is."""

    web_socket_url: str
    tokens: tuple[Token, ...]
    venues: tuple[str, ...]
    order_types: tuple[str, ...]
    default_slippage_bps: int
    max_attempts: int
    raw: Json = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """`ok`, or `degraded` when one of the parts is away."""

    status: str
    timestamp: datetime
    parts: Mapping[str, str]
    raw: Json = field(repr=False, compare=False)
