"""An order as one answer: the request, where it stands, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

from order_engine.domain.events import Event, parse_timestamp
from order_engine.domain.orders import Order
from order_engine.domain.quotes import SwapMode
from order_engine.domain.tokens import TOKENS


@dataclass(frozen=True, slots=True)
class OrderSummary:
    """The same for live and for finished orders. Amounts and prices in whole tokens."""

    order_id: str
    type: str
    status: str
    owner: str
    user_id: str | None
    client_order_id: str | None
    token_in: str
    token_out: str
    swap_mode: str
    amount: Decimal
    slippage_bps: int
    expires_at: datetime | None
    created_at: datetime
    updated_at: datetime
    sequence: int
    attempts: int
    dex: str | None = None
    reason: str | None = None
    route: list[dict[str, Any]] | None = None
    min_amount_out: Decimal | None = None
    max_amount_in: Decimal | None = None
    amount_in: Decimal | None = None
    amount_out: Decimal | None = None
    executed_price: Decimal | None = None
    price_improvement_bps: Decimal | None = None
    fees: dict[str, Any] | None = None
    transaction_hash: str | None = None
    error: str | None = None
    error_code: str | None = None
    retry_at: datetime | None = None

    @classmethod
    def of(cls, order: Order) -> Self:
        swap, latest = order.request.swap, order.events[-1]
        exact_in = swap.mode is SwapMode.EXACT_IN
        limit = order.limit if order.limit is not None else order.request.limit
        return cls(
            order_id=order.order_id,
            type=order.request.type,
            status=order.status.value,
            owner=order.owner,
            user_id=order.request.user_id,
            client_order_id=order.request.client_order_id,
            token_in=swap.token_in,
            token_out=swap.token_out,
            swap_mode=swap.mode.value,
            amount=TOKENS[swap.token_in if exact_in else swap.token_out].whole(swap.amount),
            slippage_bps=order.request.slippage_bps,
            expires_at=order.request.expires_at,
            created_at=order.created_at,
            updated_at=order.updated_at,
            sequence=order.sequence,
            attempts=latest["attempt"],
            dex=_last(order.events, "dex"),
            reason=_last(order.events, "reason"),
            route=_last(order.events, "route"),
            min_amount_out=TOKENS[swap.token_out].whole(limit) if exact_in and limit is not None else None,
            max_amount_in=TOKENS[swap.token_in].whole(limit) if not exact_in and limit is not None else None,
            amount_in=_decimal(latest.get("amountIn")),
            amount_out=_decimal(latest.get("amountOut")),
            executed_price=_decimal(latest.get("executedPrice")),
            price_improvement_bps=_decimal(latest.get("priceImprovementBps")),
            fees=latest.get("fees"),
            transaction_hash=latest.get("txHash"),
            error=latest.get("error"),
            error_code=latest.get("errorCode"),
            retry_at=parse_timestamp(latest["retryAt"]) if latest.get("retryAt") else None,
        )


def _last(events: Sequence[Event], field: str) -> Any:
    return next((event[field] for event in reversed(events) if field in event), None)


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
