"""What WebSocket clients say, and the frames that answer them. Events are pushed as they are stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from order_engine.contracts.exact_json import parse_json
from order_engine.contracts.fields import Text, detail_of
from order_engine.contracts.problems import FieldError, ValidationProblem, field_errors, pointer
from order_engine.contracts.requests import DIALECTS, parse_order
from order_engine.domain.errors import EngineError
from order_engine.domain.orders import SwapRequest

MAX_ERRORS, MAX_TEXT = 20, 500
"""Of an error frame: what a client has made up may be long, and API Gateway sends at most 128 KB."""


class UnknownAction(ValidationProblem):
    code = "UNKNOWN_ACTION"


class _Fields(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel)


class Subscribe(_Fields):
    """Watch one order: everything after sequence `after`, then everything new."""

    order_id: UUID
    after: Annotated[int, Field(ge=0, le=1_000_000)] = 0


class Unsubscribe(_Fields):
    order_id: UUID


class Ping(_Fields):
    pass


class FollowUser(_Fields):
    """Watch all orders submitted with this `userId`; said by connecting."""

    user_id: Text


class _SubmitFields(_Fields):
    order: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Submit:
    """Place an order and watch it."""

    request: SwapRequest


Fields = TypeVar("Fields", bound=_Fields)

Action = Subscribe | Unsubscribe | Submit | Ping


def parse_frame(text: str) -> Action:
    """What a frame asks for; an object without `action` is an order. Raises `ValidationProblem` or `BodyTooLarge`."""
    fields = parse_json(text)
    if not isinstance(fields, dict):
        raise ValidationProblem(FieldError(pointer="#", detail="a frame is a JSON object"))
    if "action" not in fields:
        return Submit(parse_order(fields))
    match fields.pop("action"):
        case "subscribe":
            return _parse(Subscribe, fields)
        case "unsubscribe":
            return _parse(Unsubscribe, fields)
        case "submit" | "execute":
            return _submit(fields)
        case "ping":
            return _parse(Ping, fields)
    known = "subscribe, unsubscribe, submit, execute or ping"
    raise UnknownAction(FieldError(pointer=pointer("action"), detail=f"must be {known}"))


def parse_connect(parameters: Mapping[str, str]) -> Subscribe | FollowUser | Submit | None:
    """What the query string of a new connection asks for. Raises `ValidationProblem`."""
    if not parameters:
        return None
    if "orderId" in parameters:
        return _parse(Subscribe, parameters)
    if parameters.keys() == {"userId"}:
        return _parse(FollowUser, parameters)
    if any(not parameters.keys().isdisjoint(dialect.own_fields) for dialect in DIALECTS):
        return Submit(parse_order(parameters))
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


def _submit(fields: Mapping[str, object]) -> Submit:
    order = _parse(_SubmitFields, fields).order
    try:
        return Submit(parse_order(order))
    except ValidationProblem as problem:
        moved = (FieldError(pointer=f"#/order{error.pointer[1:]}", detail=error.detail) for error in problem.errors)
        raise ValidationProblem(*moved) from None


def _parse(kind: type[Fields], fields: Mapping[str, object]) -> Fields:
    try:
        return kind.model_validate(dict(fields))
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False, include_input=False)
        found = (FieldError(pointer=pointer(*error["loc"]), detail=detail_of(error)) for error in errors)
        raise ValidationProblem(*found) from None
