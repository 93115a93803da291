"""The values that fields of a request may hold: how each is written, checked and documented."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, PlainValidator, WithJsonSchema
from pydantic_core import ErrorDetails, PydanticCustomError

from order_engine.contracts.text import MAX_TEXT_LENGTH, is_text
from order_engine.domain.errors import InvalidOrder
from order_engine.domain.tokens import TOKENS, token_named

MAX_SLIPPAGE_BPS = 5000
MAX_NUMBER_LENGTH = 40

_NUMBER = r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?"
_WHOLE_NUMBER = r"[0-9]{1,9}(\.0{1,9})?"
_MOMENT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
_PAIR = "({0})[/-]({0})".format("|".join(TOKENS))
_VISIBLE = r"[!-~]{1,255}"
_DETAILS = {
    "missing": "is required",
    "extra_forbidden": "is not known here",
    "string_type": "must be a string",
    "uuid_type": "must be a UUID in a string",
    "uuid_parsing": "must be a UUID",
}


def detail_of(error: ErrorDetails) -> str:
    """What is wrong with a field, to be read after the field's name."""
    return _DETAILS.get(error["type"]) or error["msg"].replace("Input should be", "must be", 1)


def _wrong(detail: str) -> PydanticCustomError:
    # Braces would be read as a template.
    return PydanticCustomError("wrong", "{detail}", {"detail": detail})


def _token(value: object) -> str:
    if not isinstance(value, str):
        raise _wrong("must be a string")
    try:
        return token_named(value, "").symbol
    except InvalidOrder as error:
        raise _wrong(error.detail) from None


def _amount(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise _wrong("must be a decimal number, as a JSON number or in a string")
    text = str(value)
    if len(text) > MAX_NUMBER_LENGTH:
        raise _wrong(f"must have at most {MAX_NUMBER_LENGTH} characters")
    if isinstance(value, str) and not re.fullmatch(_NUMBER, text):
        raise _wrong("must be a decimal number such as 1.5")
    try:
        return Decimal(text)
    except InvalidOperation:
        raise _wrong("must be a finite number") from None


def _slippage_bps(value: object) -> int:
    is_number = isinstance(value, int | Decimal | str) and not isinstance(value, bool)
    text = str(value) if is_number else ""
    if not re.fullmatch(_WHOLE_NUMBER, text) or Decimal(text) > MAX_SLIPPAGE_BPS:
        raise _wrong(f"must be a whole number of basis points from 0 to {MAX_SLIPPAGE_BPS}")
    return int(Decimal(text))


def _digits(value: object) -> object:
    """Narrower than pydantic, which also reads " 5 " and "1_0"."""
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{1,9}", value):
        raise _wrong("must be a whole number")
    return value


def _moment(value: object) -> datetime:
    if isinstance(value, str) and re.fullmatch(_MOMENT, value):
        try:
            at = datetime.fromisoformat(value.upper()).astimezone(UTC)
            return at.replace(microsecond=at.microsecond // 1000 * 1000)
        except (ValueError, OverflowError):
            pass
    raise _wrong("must be an RFC 3339 time with an offset, such as 2026-11-21T03:04:05Z")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _wrong("must be a string")
    if not is_text(value):
        raise _wrong(f"must be 1 to {MAX_TEXT_LENGTH} printable characters")
    return value


def _idempotency_key(value: str) -> str:
    if not re.fullmatch(_VISIBLE, value):
        raise _wrong("must be 1 to 255 visible ASCII characters")
    return value


def _pair(value: str) -> str:
    if not re.fullmatch(_PAIR, value):
        raise _wrong(f"must be two tokens such as SOL/USDC; one of {', '.join(TOKENS)} each")
    return value


Token = Annotated[str, PlainValidator(_token), WithJsonSchema({"type": "string", "enum": list(TOKENS)})]

Amount = Annotated[
    Decimal,
    PlainValidator(_amount),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0},
                {"type": "string", "pattern": f"^{_NUMBER}$", "maxLength": MAX_NUMBER_LENGTH},
            ],
            "examples": ["1.5", 1.5],
        }
    ),
]
"""Whole tokens, exactly as written: a JSON number, or a string in the same notation."""

SlippageBps = Annotated[
    int,
    PlainValidator(_slippage_bps),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": MAX_SLIPPAGE_BPS},
                {"type": "string", "pattern": f"^{_WHOLE_NUMBER}$"},
            ]
        }
    ),
]

Moment = Annotated[datetime, PlainValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})]
"""In UTC, cut to milliseconds."""

Text = Annotated[
    str, PlainValidator(_text), WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MAX_TEXT_LENGTH})
]

WholeNumber = Annotated[int, BeforeValidator(_digits)]

Pair = Annotated[str, AfterValidator(_pair), WithJsonSchema({"type": "string", "pattern": f"^{_PAIR}$"})]
"""Token in, then token out: "SOL/USDC" or "SOL-USDC"."""

IdempotencyKey = Annotated[
    str, AfterValidator(_idempotency_key), WithJsonSchema({"type": "string", "pattern": f"^{_VISIBLE}$"})
]
