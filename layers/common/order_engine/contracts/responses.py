"""What the API answers with. Amounts and prices are decimal strings in whole tokens, times RFC 3339 in UTC."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import AliasGenerator, BaseModel, ConfigDict, Field, PlainSerializer, computed_field
from pydantic.alias_generators import to_camel

from order_engine.contracts.problems import FieldError
from order_engine.contracts.requests import DEFAULT_SLIPPAGE_BPS, ORDER_TYPES
from order_engine.domain import events
from order_engine.domain.events import Event, timestamp
from order_engine.domain.orders import MAX_ATTEMPTS, PROGRESS, TERMINAL, Order, Status
from order_engine.domain.quotes import Quotation, SwapMode
from order_engine.domain.statistics import Stats
from order_engine.domain.summaries import OrderSummary
from order_engine.domain.tokens import TOKENS, decimal_text

PROBLEM_JSON = "application/problem+json"
"""RFC 9457. `type` is about:blank, so the title is the HTTP status's own phrase, and `code` says what went wrong."""

DecimalText = Annotated[Decimal, PlainSerializer(decimal_text, return_type=str)]
Timestamp = Annotated[datetime, PlainSerializer(timestamp, return_type=str)]


class Response(BaseModel):
    """Fields are always there; what is not known (yet) is null."""

    model_config = ConfigDict(
        frozen=True,
        from_attributes=True,
        alias_generator=AliasGenerator(serialization_alias=to_camel),
        # When it is first answered with: a cold start is for one answer and not for all of them.
        defer_build=True,
    )


class OrderAccepted(Response):
    """The order is on record and will be executed."""

    order_id: str
    status: Status
    message: str
    timestamp: str
    sequence: int

    @classmethod
    def of(cls, accepted: Event) -> Self:
        """From the order's first event, so that every repetition of the request gets the same answer."""
        return cls(
            order_id=accepted["orderId"],
            status=accepted["status"],
            message=accepted["message"],
            timestamp=accepted["timestamp"],
            sequence=accepted["sequence"],
        )


class OrderResource(Response):
    order_id: str
    type: str
    status: Status
    user_id: str | None
    client_order_id: str | None
    token_in: str
    token_out: str
    swap_mode: str
    amount: DecimalText
    slippage_bps: int
    expires_at: Timestamp | None
    created_at: Timestamp
    updated_at: Timestamp
    sequence: int
    attempts: int
    dex: str | None
    reason: str | None
    route: list[dict[str, Any]] | None
    min_amount_out: DecimalText | None
    max_amount_in: DecimalText | None
    amount_in: DecimalText | None
    amount_out: DecimalText | None
    executed_price: DecimalText | None
    price_improvement_bps: DecimalText | None
    fees: dict[str, Any] | None
    transaction_hash: str | None = Field(serialization_alias="txHash")
    error: str | None
    error_code: str | None
    retry_at: Timestamp | None

    @computed_field
    def progress(self) -> int:
        return PROGRESS[self.status]

    @classmethod
    def of(cls, order: OrderSummary) -> Self:
        return cls.model_validate(order)


class OrderEvent(BaseModel):
    """One visible change of an order, with more fields by status:

    building: dex, reason, route, quotes, quote, priceImpactBps, minAmountOut or maxAmountIn. submitted: dex, signature,
    lastValidBlockHeight, minAmountOut or maxAmountIn. confirmed: dex, txHash, amountIn, amountOut, executedPrice,
    finalPrice, fees, route, priceImprovementBps, slippageBps. failed, expired, and pending after a failed attempt:
    error, errorCode, retryable, and retryAt, lastErrorCode, quotes, dex, signature where there is one.
    """

    model_config = ConfigDict(extra="allow", frozen=True, alias_generator=to_camel)

    order_id: str
    sequence: int
    status: Status
    progress: int
    attempt: int
    timestamp: str
    message: str


class OrderWithEvents(OrderResource):
    events: list[OrderEvent]

    @classmethod
    def with_events(cls, order: OrderSummary, events: Sequence[Event]) -> Self:
        """The same object as in a list, and everything that has happened, oldest first."""
        fields = {name: getattr(order, name) for name in OrderResource.model_fields}
        return cls.model_validate({**fields, "events": list(events)})


class OrderPage(Response):
    """Newest first. `nextCursor` gets the next page; null on the last one."""

    orders: list[OrderResource]
    next_cursor: str | None


class QuotedOrder(Response):
    """What the order would get now: `route`, `quotes` and `quote` are those of its `building` event."""

    token_in: str
    token_out: str
    swap_mode: str
    amount: DecimalText
    slippage_bps: int
    dex: str
    reason: str
    route: list[dict[str, Any]]
    quotes: list[dict[str, Any]] = Field(description="Every venue's, losers and errors too.")
    quote: dict[str, Any] | None = Field(description="The chosen one.")
    amount_in: DecimalText
    amount_out: DecimalText
    price: str = Field(description="Token out per token in, all fees of the venue included.")
    price_impact_bps: str
    price_improvement_bps: str = Field(description="Gained over the best venue that was not chosen.")
    min_amount_out: DecimalText | None = Field(description="The floor of an order that is exact in.")
    max_amount_in: DecimalText | None = Field(description="The floor of an order that is exact out.")
    timestamp: Timestamp

    @classmethod
    def of(cls, quotation: Quotation) -> Self:
        swap, route = quotation.swap, quotation.route
        token_in, token_out = TOKENS[swap.token_in], TOKENS[swap.token_out]
        is_exact_in = swap.mode is SwapMode.EXACT_IN
        building = events.building(quotation.answers, route)
        return cls(
            token_in=swap.token_in,
            token_out=swap.token_out,
            swap_mode=swap.mode.value,
            amount=(token_in if is_exact_in else token_out).whole(swap.amount),
            slippage_bps=quotation.slippage_bps,
            **{name: building[name] for name in ("dex", "reason", "route", "quotes", "quote")},
            amount_in=token_in.whole(route.amount_in),
            amount_out=token_out.whole(route.amount_out),
            price=events.price(swap, route.amount_in, route.amount_out),
            price_impact_bps=events.bps(route.impact_bps),
            price_improvement_bps=events.bps(route.improvement_bps),
            min_amount_out=token_out.whole(quotation.limit) if is_exact_in else None,
            max_amount_in=None if is_exact_in else token_in.whole(quotation.limit),
            timestamp=quotation.at,
        )


class TokenListed(Response):
    symbol: str = Field(examples=["SOL"])
    decimals: int = Field(examples=[9])


class ClientConfig(Response):
    web_socket_url: str = Field(description="Where to connect for live statuses.", examples=["wss://…/live"])
    tokens: list[TokenListed]
    venues: list[str] = Field(examples=[["meteora", "raydium"]])
    order_types: list[str] = Field(examples=[["market"]])
    default_slippage_bps: int = Field(examples=[DEFAULT_SLIPPAGE_BPS])
    max_attempts: int = Field(examples=[MAX_ATTEMPTS])

    @classmethod
    def of(cls, web_socket_url: str, *, venues: Sequence[str]) -> Self:
        return cls(
            web_socket_url=web_socket_url,
            tokens=[TokenListed(symbol=token.symbol, decimals=token.decimals) for token in TOKENS.values()],
            venues=sorted(venues),
            order_types=list(ORDER_TYPES),
            default_slippage_bps=DEFAULT_SLIPPAGE_BPS,
            max_attempts=MAX_ATTEMPTS,
        )


class Minute(Response):
    minute: Timestamp = Field(description="Its start.")
    confirmed: int
    failed: int
    expired: int


class Durations(Response):
    p50: int
    p95: int


class Gains(Response):
    p50: DecimalText
    p95: DecimalText


class Failures(Response):
    error_code: str
    count: int


class Depth(Response):
    """About how many messages there are."""

    waiting: int
    in_flight: int = Field(description="Being handled.")
    delayed: int


class Queues(Response):
    orders: Depth
    statuses: Depth
    dead_letters: Depth = Field(description="Orders that failed three times and can be replayed.")


class LiveOrder(Response):
    order_id: str
    created_at: Timestamp
    age_seconds: int

    @classmethod
    def of(cls, order: Order, at: datetime) -> Self:
        # Never negative: its time is of another worker's clock.
        age_seconds = max((at - order.created_at) // timedelta(seconds=1), 0)
        return cls(order_id=order.order_id, created_at=order.created_at, age_seconds=age_seconds)


class Statistics(Response):
    """Of the last 60 minutes, by the time when an order ended. What hangs on a part that is away is null."""

    timestamp: Timestamp
    since: Timestamp = Field(serialization_alias="from")
    until: Timestamp = Field(serialization_alias="to", description="The end of the minute that is still running.")
    confirmed: int | None
    failed: int | None
    expired: int | None
    success_rate: str | None = Field(description="Share of confirmed orders; null also when none ended.")
    per_minute: list[Minute] | None = Field(description="60 of them, oldest first, without gaps.")
    time_to_confirm_ms: Durations | None = Field(description="From acceptance; null also when none was confirmed.")
    price_improvement_bps: Gains | None = Field(description="Over the best venue that was not chosen.")
    failures: list[Failures] | None = Field(description="Failed orders by code, the most frequent first.")
    queues: Queues | None
    oldest_live_order: LiveOrder | None = Field(description="Not in the history yet; null also when there is none.")
    unavailable: list[str] = Field(description="Parts that are away.", examples=[["postgres"]])

    @classmethod
    def of(cls, stats: Stats) -> Self:
        return cls(
            timestamp=stats.at,
            since=stats.since,
            until=stats.until,
            **_in_numbers(stats),
            queues=None if stats.queues is None else Queues.model_validate(stats.queues),
            oldest_live_order=None if stats.oldest_live is None else LiveOrder.of(stats.oldest_live, stats.at),
            unavailable=list(stats.unavailable),
        )


def _in_numbers(stats: Stats) -> dict[str, Any]:
    ended = stats.ended
    if ended is None:
        names = ("confirmed", "failed", "expired", "success_rate", "per_minute")
        return dict.fromkeys((*names, "time_to_confirm_ms", "price_improvement_bps", "failures"))
    rate = ended.success_rate
    length = (stats.until - stats.since) // timedelta(minutes=1)
    minutes = [stats.since + timedelta(minutes=number) for number in range(length)]
    counts = Counter(ended.by_error).most_common()
    return {
        **{status.value: ended.count(status) for status in TERMINAL},
        "success_rate": None if rate is None else decimal_text(rate.quantize(Decimal("0.0001"))),
        "per_minute": [
            Minute(minute=minute, **{status.value: ended.by_minute.get((minute, status), 0) for status in TERMINAL})
            for minute in minutes
        ],
        "time_to_confirm_ms": ended.time_to_confirm_ms,
        "price_improvement_bps": ended.price_improvement_bps,
        "failures": [Failures(error_code=code, count=count) for code, count in counts],
    }


PartState = Literal["ok", "unavailable"]


class Health(Response):
    """`ok` when every part is. Orders are accepted and executed with `postgres` away; only finished ones wait."""

    status: Literal["ok", "degraded"]
    timestamp: Timestamp
    parts: dict[str, PartState]


class Problem(BaseModel):
    """An error answer (RFC 9457)."""

    type: str = Field(default="about:blank", examples=["about:blank"])
    title: str = Field(description="The HTTP status in words.", examples=["Unprocessable Entity"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["amount: must be greater than zero"])
    instance: str = Field(description="The path that was asked for.", examples=["/api/orders"])
    code: str = Field(description="What went wrong, for programs; it never changes.", examples=["VALIDATION_FAILED"])
    retryable: bool = Field(description="Whether the same request may succeed later.")
    request_id: str = Field(alias="requestId", description="Also in the x-request-id header; finds the log lines.")
    errors: list[FieldError] = Field(description="Every field that is wrong; empty when no field is.")
