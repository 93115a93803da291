"""Every error the engine raises on purpose, drawn as one tree.

EngineError
├── InvalidOrder            the request is wrong; names the field
├── IdempotencyKeyReused    the key belongs to another request
├── OrderNotFound
├── TooManySubscriptions    one connection watches too many orders
├── IllegalTransition       a bug: the state machine has no such arrow
├── StateChanged            another worker wrote the order first
├── ConnectionGone          the client has left
├── Unavailable             a dependency is away; nothing is known about the order
└── AttemptFailed           this attempt at swapping is over
    └── QuoteFailed         one venue has no answer
"""

from __future__ import annotations

from enum import StrEnum


class ErrorCode(StrEnum):
    """The `errorCode` of an order, as clients see it."""

    SLIPPAGE_TOLERANCE_EXCEEDED = "SLIPPAGE_TOLERANCE_EXCEEDED"
    INSUFFICIENT_LIQUIDITY = "INSUFFICIENT_LIQUIDITY"
    NO_ROUTE_FOUND = "NO_ROUTE_FOUND"
    PRICE_IMPACT_TOO_HIGH = "PRICE_IMPACT_TOO_HIGH"
    VENUE_UNAVAILABLE = "VENUE_UNAVAILABLE"
    VENUE_TIMEOUT = "VENUE_TIMEOUT"
    TRANSACTION_EXPIRED = "TRANSACTION_EXPIRED"
    ATTEMPTS_EXHAUSTED = "ATTEMPTS_EXHAUSTED"
    ORDER_EXPIRED = "ORDER_EXPIRED"
    INTERNAL = "INTERNAL"


class EngineError(Exception):
    """Base of all errors raised on purpose. `code` is stable; `retryable` says whether trying again may help."""

    code: str = ErrorCode.INTERNAL
    retryable: bool = False


class InvalidOrder(EngineError):
    """The request names something impossible. `field` is the name the client sent."""

    code = "VALIDATION_FAILED"

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field
        self.detail = detail


class IdempotencyKeyReused(EngineError):
    """The same key came with another request."""

    code = "IDEMPOTENCY_KEY_REUSED"


class OrderNotFound(EngineError):
    code = "ORDER_NOT_FOUND"


class TooManySubscriptions(EngineError):
    code = "TOO_MANY_SUBSCRIPTIONS"


class IllegalTransition(EngineError):
    code = ErrorCode.INTERNAL


class StateChanged(EngineError):
    """The order is no longer what it was when it was read, so the write was refused."""

    code = ErrorCode.INTERNAL
    retryable = True


class ConnectionGone(EngineError):
    """Nobody is at the other end of this connection, or not yet."""

    code = "CONNECTION_GONE"


class Unavailable(EngineError):
    """`dependency` did not answer, or its answer was lost: the request may or may not have taken effect."""

    code = "SERVICE_UNAVAILABLE"
    retryable = True

    def __init__(self, dependency: str) -> None:
        super().__init__(f"{dependency} is unavailable")
        self.dependency = dependency


class AttemptFailed(EngineError):
    """This attempt moved no tokens and cannot any more. `may_work` says whether another attempt makes sense."""

    def __init__(self, reason: ErrorCode, detail: str, *, may_work: bool) -> None:
        super().__init__(detail)
        self.code = reason
        self.retryable = may_work
        self.reason = reason
        self.detail = detail
        self.may_work = may_work


class QuoteFailed(AttemptFailed):
    """One venue cannot quote this swap."""
