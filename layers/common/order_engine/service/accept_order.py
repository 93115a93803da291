"""Accept an order: one conditional put is acceptance and idempotency at once; the sends after it may fail."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import UUID, uuid5

from order_engine.domain.errors import IdempotencyKeyReused, InvalidOrder, Unavailable
from order_engine.domain.orders import Order, Status, SwapRequest
from order_engine.service.ports import (
    Clock,
    Metric,
    Metrics,
    NoMetrics,
    OrderQueue,
    OrderRepository,
    Randomness,
    StatusQueue,
)

logger = logging.getLogger(__name__)

PUBLIC = "public"
"""The owner of orders that name no user."""

MAX_LIFETIME = timedelta(days=30)

ANNOUNCING_SECONDS = 2.0
"""The order is durable by then: its client is not kept waiting for a queue that says nothing."""

_ORDER_IDS = UUID("6f2a1c9e-8f0e-5b5e-9d0b-2f6f4b1f7a61")


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptOrder:
    orders: OrderRepository
    queue: OrderQueue
    statuses: StatusQueue
    clock: Clock
    randomness: Randomness
    metrics: Metrics = field(default_factory=NoMetrics)

    async def __call__(self, request: SwapRequest, *, key: str | None = None) -> Order:
        """The stored order: a new one, or the one that an earlier request with this key has made.

        The key is the client's idempotency key; the request's `client_order_id` is another way to give it. Once this
        returns, the order is durable, even when nobody could be told yet.
        Raises `InvalidOrder`, `IdempotencyKeyReused`, or `Unavailable` (then nothing is known: try again with a key).
        """
        order = self._order(request, _one_key(key, request.client_order_id))
        known = await self._known(order) if is_untimely(request, order.created_at) else await self.orders.add(order)
        if known is None:
            logger.info("order accepted", extra={"order_id": order.order_id})
            self.metrics.add(Metric.ORDERS_ACCEPTED)
            await self._announce(order)
            return order
        if known.fingerprint != order.fingerprint:
            raise IdempotencyKeyReused("The idempotency key was used for another order")
        if known.status is Status.PENDING and known.fence == 0:
            # The first request may have died before it could send; a message too many does no harm.
            await self._announce(known)
        return known

    def _order(self, request: SwapRequest, key: str | None) -> Order:
        now, owner = self.clock.now(), request.user_id or PUBLIC
        order = Order(
            order_id=_order_id(owner, "token", self.randomness.token()) if key is None else order_id_under(owner, key),
            owner=owner,
            request=request,
            fingerprint=fingerprint(request),
            keyed=key is not None,
            created_at=now,
        )
        return order.accepted(now)

    async def _known(self, order: Order) -> Order:
        """An untimely request is only the repetition of a timely one."""
        known = await self.orders.get(order.order_id)
        if known is None:
            raise untimely()
        return known

    async def _announce(self, order: Order) -> None:
        """To a worker, and to those who follow its user: nobody can be watching the order itself yet."""
        sends = [self.queue.send(order.order_id, accepted=order)]
        if order.request.user_id is not None:
            sends.append(self.statuses.publish(order, order.events))
        await asyncio.gather(*(_if_possible(send, order.order_id) for send in sends))


def order_id_under(owner: str, key: str) -> str:
    """The id of the one order that this owner may place under this key."""
    return _order_id(owner, "key", key)


def is_untimely(request: SwapRequest, now: datetime) -> bool:
    return request.expires_at is not None and not now < request.expires_at <= now + MAX_LIFETIME


def untimely() -> InvalidOrder:
    return InvalidOrder("expiresAt", f"must be in the future and at most {MAX_LIFETIME.days} days ahead")


def fingerprint(request: SwapRequest) -> str:
    """The same for every spelling of a request, in any dialect, and different for any other request.

    Fields that are not given count as absent, so that a field added later does not change old fingerprints.
    """
    swap, expires_at = request.swap, request.expires_at
    fields = {
        "type": request.type,
        "tokenIn": swap.token_in,
        "tokenOut": swap.token_out,
        "amount": swap.amount,
        "mode": swap.mode,
        "slippageBps": request.slippage_bps,
        "limit": request.limit,
        "expiresAt": expires_at and expires_at.astimezone(UTC).isoformat(),
        "userId": request.user_id,
    }
    given = {name: value for name, value in fields.items() if value is not None}
    return sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()


def _order_id(*names: str) -> str:
    return str(uuid5(_ORDER_IDS, json.dumps(names)))


def _one_key(key: str | None, client_order_id: str | None) -> str | None:
    if key is not None and client_order_id is not None and key != client_order_id:
        raise InvalidOrder("clientOrderId", "differs from the Idempotency-Key header; give one of them")
    return key if key is not None else client_order_id


async def _if_possible(sending: Awaitable[None], order_id: str) -> None:
    try:
        async with asyncio.timeout(ANNOUNCING_SECONDS):
            await sending
    except (Unavailable, TimeoutError) as error:
        logger.warning("accepted order not announced", extra={"order_id": order_id, "error": str(error)})
