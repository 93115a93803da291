"""Events and values as lines to read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from order_client.models import Event


def describe(event: Event) -> str:
    """One status, as a line to read."""
    return f"{event.status:<10} {'; '.join(facts(event))}"


def facts(event: Event) -> Iterator[str]:
    """What is worth knowing of an event beside its status."""
    yield event.message
    if event.reason:
        yield event.reason
    if event.signature:
        yield f"signature {event.signature}"
    if event.executed_price is not None:
        yield f"{number(event.amount_out)} for {number(event.amount_in)}, price {number(event.executed_price)}"
    if event.tx_hash:
        yield f"transaction {event.tx_hash}"
    if event.error:
        yield event.error


def clock(at: datetime) -> str:
    """The time of day in UTC, with milliseconds."""
    return at.isoformat(timespec="milliseconds")[11:23]


def since(start: datetime, at: datetime) -> str:
    return f"+{(at - start).total_seconds():.2f} s"


def number(value: Decimal | None) -> str:
    return "" if value is None else format(value, "f")
