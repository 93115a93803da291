"""What may be wrong with a request, and the one table of HTTP statuses. Free of pydantic, for functions without it."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import quote

from order_engine.domain.errors import (
    AttemptFailed,
    EngineError,
    ErrorCode,
    IdempotencyKeyReused,
    InvalidOrder,
    OrderNotFound,
    Unavailable,
)


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing that is wrong with a request, and where."""

    pointer: str = field(
        metadata={
            "description": "JSON pointer into the body, as a URI fragment; or the name of a query parameter or header.",
            "examples": ["#/amount", "limit", "Idempotency-Key"],
        }
    )
    detail: str = field(metadata={"examples": ["must be greater than zero"]})

    def __str__(self) -> str:
        return self.detail if self.pointer == "#" else f"{self.pointer.removeprefix('#/')}: {self.detail}"


class ValidationProblem(EngineError):
    """The request is understood and wrong: `errors` names every field that is."""

    code = "VALIDATION_FAILED"

    def __init__(self, *errors: FieldError) -> None:
        super().__init__("; ".join(map(str, errors)))
        self.errors = errors


class MalformedJson(ValidationProblem):
    """The body is not JSON that says one thing only."""

    code = "MALFORMED_JSON"


class InvalidCursor(ValidationProblem):
    """The cursor is not one that a list of orders gave out."""

    code = "INVALID_CURSOR"


class BodyTooLarge(EngineError):
    code = "BODY_TOO_LARGE"


class UnsupportedMediaType(EngineError):
    code = "UNSUPPORTED_MEDIA_TYPE"


HTTP_STATUS: dict[type[EngineError], HTTPStatus] = {
    MalformedJson: HTTPStatus.BAD_REQUEST,
    InvalidCursor: HTTPStatus.BAD_REQUEST,
    OrderNotFound: HTTPStatus.NOT_FOUND,
    BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    UnsupportedMediaType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    ValidationProblem: HTTPStatus.UNPROCESSABLE_ENTITY,
    InvalidOrder: HTTPStatus.UNPROCESSABLE_ENTITY,
    IdempotencyKeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    AttemptFailed: HTTPStatus.UNPROCESSABLE_ENTITY,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""What a client may be told. Any other error is a bug, and answered as one."""


VENUES_AWAY = frozenset({ErrorCode.VENUE_UNAVAILABLE, ErrorCode.VENUE_TIMEOUT})


def http_status(error: EngineError) -> HTTPStatus:
    """The status of the error's nearest class in the table, unless only the venues are to blame."""
    if error.code in VENUES_AWAY:
        return HTTPStatus.SERVICE_UNAVAILABLE
    return next(HTTP_STATUS[kind] for kind in type(error).__mro__ if kind in HTTP_STATUS)


def field_errors(error: EngineError) -> tuple[FieldError, ...]:
    """The fields that an error names."""
    if isinstance(error, ValidationProblem):
        return error.errors
    if isinstance(error, InvalidOrder):
        return (FieldError(pointer=pointer(error.field), detail=error.detail),)
    return ()


def pointer(*path: str | int) -> str:
    """The JSON pointer of a place in the body, as a URI fragment (RFC 6901 §6): "#/order/amount"."""
    tokens = (quote(str(step).replace("~", "~0").replace("/", "~1"), safe="~") for step in path)
    return "/".join(("#", *tokens))
