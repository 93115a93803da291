"""The one flat form in which every visible change of an order is stored, pushed, replayed and recorded.

An event is JSON-ready: amounts and prices are decimal strings in whole tokens, times are RFC 3339 in UTC with
milliseconds. The fields every event has are set by `Order`; the functions here make the rest, by status.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from order_engine.domain.errors import AttemptFailed, ErrorCode
from order_engine.domain.quotes import Leg, Quote, Route, Swap, SwapMode, VenueAnswer
from order_engine.domain.tokens import TOKENS, decimal_text
from order_engine.domain.transactions import Landed, Transaction

Event = dict[str, Any]

NATIVE, WRAPPED = "SOL", "wSOL"


def timestamp(at: datetime) -> str:
    """2026-11-21T03:04:05.678Z: fixed width, so that text order is time order."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_timestamp(text: str) -> datetime:
    return datetime.fromisoformat(text)


def amount(units: int, token: str) -> str:
    """Whole tokens of `units` base units, as text."""
    return decimal_text(TOKENS[NATIVE if token == WRAPPED else token].whole(units))


def bps(value: Decimal) -> str:
    return decimal_text(value.quantize(Decimal("0.01")))


def price(swap: Swap, amount_in: int, amount_out: int) -> str:
    """`token_out` per `token_in`, to 12 significant digits."""
    whole_in = TOKENS[swap.token_in].whole(amount_in)
    whole_out = TOKENS[swap.token_out].whole(amount_out)
    ratio = whole_out / whole_in
    return decimal_text(ratio.quantize(Decimal(1).scaleb(ratio.adjusted() - 11)))


def limit_fact(swap: Swap, limit: int) -> Event:
    """The price floor under the name that its swap mode gives it."""
    if swap.mode is SwapMode.EXACT_IN:
        return {"minAmountOut": amount(limit, swap.token_out)}
    return {"maxAmountIn": amount(limit, swap.token_in)}


def building(answers: Mapping[str, VenueAnswer], route: Route) -> Event:
    """`quote` is the chosen venue's entry of `quotes`, where clients of other engines look for it."""
    quotes = [_answer(dex, answer) for dex, answer in answers.items()]
    return {
        "message": f"Route chosen: {route.dex}",
        "dex": route.dex,
        "reason": route.reason,
        "route": [_leg(leg) for leg in route.legs],
        "quotes": quotes,
        "quote": next((quote for quote in quotes if quote["dex"] == route.dex), None),
        "priceImpactBps": bps(route.impact_bps),
    }


def submitted(swap: Swap, transaction: Transaction, limit: int, dex: str) -> Event:
    return {
        "message": f"Transaction submitted to {dex}",
        "dex": dex,
        "signature": transaction.signature,
        "lastValidBlockHeight": transaction.last_valid_block_height,
        **limit_fact(swap, limit),
    }


def confirmed(swap: Swap, route: Route, signature: str, fill: Landed) -> Event:
    """`finalPrice` is `executedPrice` under the name that clients of other engines look for."""
    executed_price = price(swap, fill.amount_in, fill.amount_out)
    return {
        "message": f"Swapped on {route.dex}",
        "dex": route.dex,
        "txHash": signature,
        "amountIn": amount(fill.amount_in, swap.token_in),
        "amountOut": amount(fill.amount_out, swap.token_out),
        "executedPrice": executed_price,
        "finalPrice": executed_price,
        "fees": {
            "venues": [
                {"dex": dex, "token": token, "amount": amount(units, token)} for dex, token, units in fill.venue_fees
            ],
            "network": {"token": NATIVE, "amount": amount(fill.network_fee, NATIVE)},
        },
        "route": [_leg(leg) for leg in route.legs],
        "priceImprovementBps": bps(route.improvement_bps),
        "slippageBps": bps(_slippage_bps(swap, route, fill)),
    }


def failure(
    error: AttemptFailed,
    *,
    code: ErrorCode,
    retry_at: datetime | None = None,
    answers: Mapping[str, VenueAnswer] | None = None,
) -> Event:
    """Facts of a failed order, and of a pending one whose attempt failed (then with `retryAt`)."""
    facts: Event = {"error": error.detail, "errorCode": code.value, "retryable": retry_at is not None}
    if code != error.reason:
        facts["lastErrorCode"] = error.reason.value
    if retry_at is not None:
        facts["retryAt"] = timestamp(retry_at)
    if answers:
        facts["quotes"] = [_answer(dex, answer) for dex, answer in answers.items()]
    return facts


def _slippage_bps(swap: Swap, route: Route, fill: Landed) -> Decimal:
    """Realised against quoted, positive when the fill was worse than the quote."""
    if swap.mode is SwapMode.EXACT_IN:
        return Decimal(route.amount_out - fill.amount_out) * 10_000 / route.amount_out
    return Decimal(fill.amount_in - route.amount_in) * 10_000 / route.amount_in


def _leg(leg: Leg) -> Event:
    return {
        "dex": leg.dex,
        "pool": leg.pool,
        "tokenIn": leg.token_in,
        "tokenOut": leg.token_out,
        "amountIn": amount(leg.amount_in, leg.token_in),
        "amountOut": amount(leg.amount_out, leg.token_out),
        "fee": amount(leg.fee, leg.token_in),
    }


def _answer(dex: str, answer: VenueAnswer) -> Event:
    if not isinstance(answer, Quote):
        return {"dex": dex, "error": answer.detail, "errorCode": answer.reason.value}
    return {
        "dex": dex,
        "pool": answer.pool,
        "amountIn": amount(answer.amount_in, answer.token_in),
        "amountOut": amount(answer.amount_out, answer.token_out),
        "fee": amount(answer.fee, answer.token_in),
        "feeToken": answer.token_in,
        "priceImpactBps": bps(answer.impact_bps),
    }
