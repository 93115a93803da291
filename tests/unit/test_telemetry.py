"""A log line is one JSON object, whatever is in it."""

from __future__ import annotations

import json
import logging
import sys
from decimal import Decimal
from typing import Any

from order_engine.runtime.telemetry import JsonLines


def line_of(message: str, *args: object, exc_info: Any = None, **extra: object) -> dict[str, Any]:
    logger = logging.Logger("order_engine.test")
    record = logger.makeRecord(
        logger.name, logging.WARNING, "somewhere/orders.py", 7, message, args, exc_info, "save", extra
    )
    record.created = 1_795_230_245.006
    text = JsonLines("order-engine").format(record)
    assert "\n" not in text
    line: dict[str, Any] = json.loads(text)
    return line


def test_a_line_says_what_happened_where_and_when_with_its_facts() -> None:
    assert line_of("call %s", "refused", order_id="o1", receives=2, amount=Decimal("1.5")) == {
        "level": "WARNING",
        "location": "orders.save:7",
        "message": "call refused",
        "timestamp": "2026-11-21T03:04:05.006+00:00",
        "service": "order-engine",
        "order_id": "o1",
        "receives": 2,
        "amount": "1.5",
    }


def test_an_exception_is_one_field_of_its_line() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        line = line_of("failed", exc_info=sys.exc_info())
    assert line["exception_name"] == "ValueError"
    assert line["exception"].endswith("ValueError: two\nlines")
