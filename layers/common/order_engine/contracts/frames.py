"""What WebSocket clients say, and the frames that answer them. Events are pushed as they are stored.

Pydantic reads orders and nothing else here: it would be a quarter of the cold start of a function that mostly is asked
to watch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from order_engine.contracts.exact_json import parse_json
from order_engine.contracts.problems import FieldError, ValidationProblem, field_errors, pointer
from order_engine.contracts.text import MAX_TEXT_LENGTH, is_text
from order_engine.domain.errors import EngineError
from order_engine.domain.events import Event
from order_engine.domain.orders import SwapRequest

MAX_ERRORS, MAX_TEXT = 20, 500
"""Of an error frame: what a client has made up may be long, and API Gateway sends at most 128 KB."""

MAX_SEQUENCE = 1_000_000

_UUID = r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}"
_WHOLE_NUMBER = r"[0-9]{1,7}(\.0{1,9})?"


class UnknownAction(ValidationProblem):
    code = "UNKNOWN_ACTION"


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Watch one order: everything after sequence `after`, then everything new."""

    order_id: UUID
    after: int = 0


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    order_id: UUID


@dataclass(frozen=True, slots=True)
class Ping:
    pass


@dataclass(frozen=True, slots=True)
class FollowUser:
    """Watch all orders submitted with this `userId`; said by connecting."""

    user_id: str


@dataclass(frozen=True, slots=True)
class Submit:
    """Place an order and watch it."""

    request: SwapRequest


Action = Subscribe | Unsubscribe | Submit | Ping


def parse_frame(text: str) -> Action:
    """What a frame asks for; an object without `action` is an order. Raises `ValidationProblem` or `BodyTooLarge`."""
    fields = parse_json(text)
    if not isinstance(fields, dict):
        raise ValidationProblem(FieldError(pointer="#", detail="a frame is a JSON object"))
    if "action" not in fields:
        return Submit(_order(fields))
    match fields.pop("action"):
        case "subscribe":
            return Subscribe(*_read(fields, orderId=_order_id, after=_after))
        case "unsubscribe":
            return Unsubscribe(*_read(fields, orderId=_order_id))
        case "submit" | "execute":
            return _submit(fields)
        case "ping":
            return Ping(*_read(fields))
    known = "subscribe, unsubscribe, submit, execute or ping"
    raise UnknownAction(FieldError(pointer=pointer("action"), detail=f"must be {known}"))


def parse_connect(parameters: Mapping[str, str]) -> Subscribe | FollowUser | Submit | None:
    """What the query string of a new connection asks for. Raises `ValidationProblem`."""
    if not parameters:
        return None
    if "orderId" in parameters:
        return Subscribe(*_read(parameters, orderId=_order_id, after=_after))
    if parameters.keys() == {"userId"}:
        return FollowUser(*_read(parameters, userId=_user_id))
    if _names_a_token(parameters):
        return Submit(_order(parameters))
    names = (FieldError(pointer=name, detail="connect with orderId, userId or an order") for name in parameters)
    raise ValidationProblem(*names)


def error_frame(error: EngineError, *, request_id: str) -> dict[str, object]:
    """`message` is a sentence that names the field; `errors` has each field by itself."""
    return {
        "type": "error",
        "code": error.code,
        "message": str(error)[:MAX_TEXT],
        "retryable": error.retryable,
        "errors": [
            {"pointer": field.pointer[:MAX_TEXT], "detail": field.detail[:MAX_TEXT]}
            for field in field_errors(error)[:MAX_ERRORS]
        ],
        "requestId": request_id,
    }


def accepted_frame(accepted: Event) -> dict[str, object]:
    """`OrderAccepted`, of the order's first event."""
    return {name: accepted[name] for name in ("orderId", "status", "message", "timestamp", "sequence")}


def _submit(fields: Mapping[str, object]) -> Submit:
    (order,) = _read(fields, order=_object)
    try:
        return Submit(_order(order))
    except ValidationProblem as problem:
        moved = (FieldError(pointer=f"#/order{error.pointer[1:]}", detail=error.detail) for error in problem.errors)
        raise ValidationProblem(*moved) from None


def _order(fields: Mapping[str, object]) -> SwapRequest:
    from order_engine.contracts.requests import parse_order  # noqa: PLC0415 (see above)

    return parse_order(fields)


def _names_a_token(parameters: Mapping[str, str]) -> bool:
    from order_engine.contracts.requests import DIALECTS  # noqa: PLC0415

    return any(not parameters.keys().isdisjoint(dialect.own_fields) for dialect in DIALECTS)


def _read(fields: Mapping[str, object], **readers: Callable[[object], Any]) -> list[Any]:
    """The value of each field, None where it is left out. Raises `ValidationProblem` for all that is wrong."""
    values, errors = [], []
    for name, reader in readers.items():
        try:
            values.append(reader(fields.get(name)))
        except ValueError as wrong:
            errors.append(FieldError(pointer=pointer(name), detail=str(wrong)))
    errors += (FieldError(pointer=pointer(name), detail="is not known here") for name in fields if name not in readers)
    if errors:
        raise ValidationProblem(*errors)
    return values


def _order_id(value: object) -> UUID:
    if value is None:
        raise ValueError("is required")
    if not isinstance(value, str) or not re.fullmatch(_UUID, value):
        raise ValueError("must be a UUID")
    return UUID(value)


def _after(value: object) -> int:
    if value is None:
        return 0
    is_number = isinstance(value, int | Decimal | str) and not isinstance(value, bool)
    text = str(value) if is_number else ""
    if not re.fullmatch(_WHOLE_NUMBER, text) or Decimal(text) > MAX_SEQUENCE:
        raise ValueError(f"must be a whole number from 0 to {MAX_SEQUENCE}")
    return int(Decimal(text))


def _user_id(value: object) -> str:
    if not isinstance(value, str) or not is_text(value):
        raise ValueError(f"must be 1 to {MAX_TEXT_LENGTH} printable characters")
    return value


def _object(value: object) -> Mapping[str, object]:
    if value is None:
        raise ValueError("is required")
    if not isinstance(value, dict):
        raise ValueError("must be an object")
    return value
