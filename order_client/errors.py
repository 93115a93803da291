"""Every error that the client raises on purpose, drawn as one tree.

ClientError
├── Unreachable            no answer: nothing is known about what was asked
├── UnexpectedAnswer       an answer, but not of an order engine
├── TimedOut               an order did not come to its end in the time given
└── Problem                what the engine answered instead (RFC 9457): `code`, `errors`, `request_id`, …
    ├── OrderNotFound
    ├── InvalidRequest     `errors` names every field that is wrong
    ├── KeyReused          the idempotency key belongs to another order
    ├── NoSwap             a quote that cannot be had, with the code that an order would fail with
    └── Unavailable        not now; the same request may succeed later
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any


class ClientError(Exception):
    """Base of all. `retryable` says whether the same call may succeed later."""

    retryable: bool = False
    pause_s: float = 0
    """Not to be tried again before, as the engine has said."""
    idempotency_key: str | None = None
    """Of an order that may have been placed: to submit it again under this key finds out, and places it once."""


class Unreachable(ClientError):
    """The engine gave no answer. What was asked for may have been done."""

    retryable = True


class UnexpectedAnswer(ClientError):
    pass


class TimedOut(ClientError):
    """The order goes on; watch it again."""

    retryable = True


@dataclass(frozen=True, slots=True)
class FieldError:
    """`pointer` is a JSON pointer into what was sent ("#/amount"), or the name of a parameter or header."""

    pointer: str
    detail: str


class Problem(ClientError):
    """`code` never changes, `detail` is a sentence that names the field, `request_id` finds the engine's log lines.

    `status` is the HTTP status, None for one that came over the WebSocket.
    """

    def __init__(  # noqa: PLR0913
        self,
        code: str,
        detail: str,
        *,
        status: int | None = None,
        retryable: bool = False,
        errors: tuple[FieldError, ...] = (),
        request_id: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.status = status
        self.retryable = retryable
        self.errors = errors
        self.request_id = request_id


class OrderNotFound(Problem):
    pass


class InvalidRequest(Problem):
    pass


class KeyReused(Problem):
    pass


class NoSwap(Problem):
    pass


class Unavailable(Problem):
    pass


_KINDS: dict[str, type[Problem]] = {
    "ORDER_NOT_FOUND": OrderNotFound,
    "VALIDATION_FAILED": InvalidRequest,
    "MALFORMED_JSON": InvalidRequest,
    "INVALID_CURSOR": InvalidRequest,
    "IDEMPOTENCY_KEY_REUSED": KeyReused,
    "NO_ROUTE_FOUND": NoSwap,
    "PRICE_IMPACT_TOO_HIGH": NoSwap,
    "INSUFFICIENT_LIQUIDITY": NoSwap,
    "SLIPPAGE_TOLERANCE_EXCEEDED": NoSwap,
}

# What a gateway answers by itself, when the engine behind it was not asked or did not answer.
_PASSING = {
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}


def problem(fields: Mapping[str, Any], status: int | None = None) -> Problem:
    """From a problem+json body, from an error frame, or from a gateway's answer, which has a `message` at most."""
    code = str(fields.get("code") or _phrase(status).upper().replace(" ", "_"))
    retryable = bool(fields.get("retryable", status in _PASSING))
    kind = _KINDS.get(code, Unavailable if retryable else Problem)
    return kind(
        code,
        str(fields.get("detail") or fields.get("message") or _phrase(status)),
        status=status,
        retryable=retryable,
        errors=tuple(_field_errors(fields.get("errors"))),
        request_id=fields.get("requestId"),
    )


def _field_errors(errors: object) -> Iterator[FieldError]:
    """Those in our own form; somebody else's problem may have others."""
    for error in errors if isinstance(errors, list) else ():
        match error:
            case {"pointer": str(pointer), "detail": str(detail)}:
                yield FieldError(pointer, detail)


def _phrase(status: int | None) -> str:
    try:
        return HTTPStatus(status or 0).phrase
    except ValueError:
        return f"Status {status}"
