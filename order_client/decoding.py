"""From the engine's JSON to frozen dataclasses. What they do not know is no error: a newer engine can be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from types import UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from order_client.errors import UnexpectedAnswer

Shape = TypeVar("Shape")
Reader = Callable[[Any], Any]

RAW = "raw"
"""A field of this name gets the whole JSON object, what is unknown here too."""


def decode(shape: type[Shape], value: object) -> Shape:
    """Raises `UnexpectedAnswer` naming the field that is missing or not what it should be."""
    if not isinstance(value, Mapping):
        raise _unexpected(shape, f"it is {value!r}")
    known: dict[str, Any] = {}
    for name, wire_name, reader, is_needed in _readers(cast(Any, shape)):
        if name == RAW:
            known[name] = value
        elif value.get(wire_name) is not None:
            known[name] = _read(shape, wire_name, reader, value[wire_name])
        elif is_needed:
            raise _unexpected(shape, f"{wire_name} is missing")
    return shape(**known)


def camel(name: str) -> str:
    """The name in JSON of a field that is called `name` here."""
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


def _read(shape: type, wire_name: str, reader: Reader, value: object) -> Any:
    try:
        return reader(value)
    except (ValueError, TypeError, InvalidOperation) as error:
        raise _unexpected(shape, f"{wire_name} is {value!r}") from error


def _unexpected(shape: type, reason: str) -> UnexpectedAnswer:
    return UnexpectedAnswer(f"The answer is no {shape.__name__} of an order engine: {reason}"[:200])


@cache
def _readers(shape: Any) -> list[tuple[str, str, Reader, bool]]:
    """Of each field: its name, its name in JSON, what reads it, and whether it has to be there."""
    hints = get_type_hints(shape)
    return [
        (
            field.name,
            field.metadata.get("json", camel(field.name)),
            _reader(hints[field.name]),
            field.default is MISSING and field.default_factory is MISSING,
        )
        for field in fields(shape)
    ]


def _reader(hint: Any) -> Reader:
    origin = get_origin(hint)
    if origin is UnionType:
        (kind,) = (each for each in get_args(hint) if each is not type(None))
        return _reader(kind)
    if origin is tuple:
        read_one = _reader(get_args(hint)[0])
        return lambda values: tuple(map(read_one, values))
    if hasattr(hint, "__dataclass_fields__"):
        return lambda value: decode(hint, value)
    return _SIMPLE.get(hint, _as_it_is)


def _as_it_is(value: Any) -> Any:
    return value


def _decimal(value: object) -> Decimal:
    # Through text: a JSON number was a float for a moment, and its text is what was written.
    return Decimal(str(value))


_SIMPLE: dict[Any, Reader] = {str: str, int: int, Decimal: _decimal, datetime: datetime.fromisoformat}
