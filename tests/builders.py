"""Orders at every stage of their life, made by the domain's own steps; ten milliseconds pass between two of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from order_engine.domain.errors import AttemptFailed, ErrorCode, QuoteFailed
from order_engine.domain.orders import MAX_ATTEMPTS, Lease, Order, SwapRequest
from order_engine.domain.quotes import Leg, Quote, Route, Swap, SwapMode, VenueAnswer
from order_engine.domain.transactions import Landed, Transaction
from tests.fakes import NOON

SELL_SOL = Swap("SOL", "USDC", 1_500_000_000, SwapMode.EXACT_IN)
BUY_SOL = Swap("USDC", "SOL", 1_500_000_000, SwapMode.EXACT_OUT)

SLIPPED = AttemptFailed(ErrorCode.SLIPPAGE_TOLERANCE_EXCEEDED, "The price moved too far", may_work=True)


def an_order(
    order_id: str = "order-1",
    *,
    created_at: datetime = NOON,
    owner: str = "public",
    keyed: bool = False,
    swap: Swap = SELL_SOL,
    slippage_bps: int = 100,
    **request: Any,
) -> Order:
    """Accepted and pending. `request` are further fields of `SwapRequest`."""
    wanted = SwapRequest(swap, slippage_bps, **request)
    return Order(order_id, owner, wanted, fingerprint="digest", keyed=keyed, created_at=created_at).accepted(created_at)


def a_confirmed_order(order_id: str = "order-1", **overrides: Any) -> Order:
    return confirm(an_order(order_id, **overrides))


def a_failed_order(order_id: str = "order-1", **overrides: Any) -> Order:
    """All its attempts used up."""
    return exhaust(an_order(order_id, **overrides))


def an_expired_order(order_id: str = "order-1", **overrides: Any) -> Order:
    order = an_order(order_id, **overrides)
    return order.expired("claim", _after(order))


def confirm(order: Order) -> Order:
    """From pending through one whole attempt."""
    order = submit(order)
    assert order.route is not None
    return order.confirmed(a_fill(order.route), _after(order))


def submit(order: Order) -> Order:
    order = claim(order)
    swap = order.request.swap
    order = order.routed(answers(swap), a_route(swap), _after(order))
    return order.submitted(Transaction(f"signature-of-{order.order_id}", b"signed", 150), _after(order))


def exhaust(order: Order) -> Order:
    """From pending through all its attempts, each failing."""
    for _ in range(MAX_ATTEMPTS - 1):
        order = claim(order)
        order = order.retrying(SLIPPED, _after(order), _after(order))
    order = claim(order)
    return order.failed(SLIPPED, _after(order))


def claim(order: Order, *, token: str = "token", message_id: str = "message") -> Order:
    at = _after(order)
    return order.claimed(Lease(f"claim-{order.fence + 1}", message_id, token, at + timedelta(seconds=20)), at)


def a_quote(swap: Swap = SELL_SOL, dex: str = "meteora") -> Quote:
    exact_in = swap.mode is SwapMode.EXACT_IN
    amount_in, amount_out = (swap.amount, 225_123_456) if exact_in else (226_123_456, swap.amount)
    return Quote(dex, f"{dex}-pool", swap.token_in, swap.token_out, amount_in, amount_out, 3_750, Decimal("4.2"))


def answers(swap: Swap = SELL_SOL) -> dict[str, VenueAnswer]:
    away = QuoteFailed(ErrorCode.VENUE_TIMEOUT, "raydium did not answer in time", may_work=True)
    return {"raydium": away, "meteora": a_quote(swap)}


def a_route(swap: Swap = SELL_SOL, dex: str = "meteora") -> Route:
    quote = a_quote(swap, dex)
    leg = Leg(dex, quote.pool, quote.token_in, quote.token_out, quote.amount_in, quote.amount_out, quote.fee)
    reason = f"{dex} gives the best net output"
    return Route((leg,), quote.amount_in, quote.amount_out, quote.impact_bps, Decimal("12.34"), reason)


def a_fill(route: Route) -> Landed:
    """As quoted."""
    return Landed(
        route.amount_in, route.amount_out, tuple((leg.dex, leg.token_in, leg.fee) for leg in route.legs), 5_000
    )


def _after(order: Order) -> datetime:
    return order.updated_at + timedelta(milliseconds=10)
