"""JSON read without losing or guessing anything, of bounded size."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from order_engine.contracts.problems import BodyTooLarge, FieldError, MalformedJson, pointer

MAX_BODY_BYTES = 16 * 1024

_MAX_INT_DIGITS = 40
"""Longer integers stay `Decimal`, which every field refuses by its own rules: Python would not print them back."""


def parse_json(body: bytes | str) -> Any:
    """The value of a JSON text; numbers are `int` or `Decimal`, exactly as they were written.

    Refuses what JSON readers disagree about: a name used twice in one object, NaN and Infinity, text that is not
    Unicode. Raises `BodyTooLarge` or `MalformedJson`.
    """
    try:
        raw = body.encode() if isinstance(body, str) else body
        if len(raw) > MAX_BODY_BYTES:
            raise BodyTooLarge(f"The body is larger than {MAX_BODY_BYTES} bytes")
        value = json.loads(
            raw.decode(),
            parse_int=_integer,
            parse_float=_decimal,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object,
        )
        # A lone surrogate ("\ud800") is valid JSON syntax, but no Unicode text: nothing could store or send it.
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except json.JSONDecodeError as error:
        raise _malformed(f"{error.msg} at line {error.lineno}, column {error.colno}") from None
    except UnicodeError:
        raise _malformed("the text is not valid Unicode in UTF-8") from None
    except RecursionError:
        raise _malformed("it is nested too deeply") from None
    return value


def _integer(digits: str) -> int | Decimal:
    return int(digits) if len(digits) <= _MAX_INT_DIGITS else Decimal(digits)


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:  # An exponent beyond even Decimal's. No field takes NaN, and each says so by its name.
        return Decimal("NaN")


def _refuse_constant(name: str) -> NoReturn:
    raise _malformed(f"{name} is not a JSON number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise MalformedJson(FieldError(pointer=pointer(name), detail="appears more than once"))
        members[name] = value
    return members


def _malformed(detail: str) -> MalformedJson:
    return MalformedJson(FieldError(pointer="#", detail=f"the body is not valid JSON: {detail}"))
