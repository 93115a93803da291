"""What the simulated world took of each order's time: delays that were configured, and drawn for this order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from local.stack import TEMPLATE, Stack
from local.template import read

SLOT_MS = 400
"""How often the engine looks the chain up, at whole multiples of it."""


@dataclass(frozen=True, slots=True)
class Delays:
    """Seconds. The order is confirmed at the first slot (a look-up of the chain) at or after the landing."""

    quotes: float
    sent_at: float
    landed_at: float
    slot_wait: float

    @property
    def configured(self) -> float:
        return self.quotes + self.landed_at - self.sent_at


def delays(stack: Stack, parameters: dict[str, str]) -> dict[str, Delays]:
    """By order id, from the chain's ledger. With retries, of the transaction that was sent last."""
    quotes = int(parameters.get("QuoteDelayMs", read(TEMPLATE)["Parameters"]["QuoteDelayMs"]["Default"])) / 1000
    pages = stack.client("dynamodb").get_paginator("scan").paginate(TableName=stack.outputs["LedgerTableName"])
    found = [(item["orderMemo"]["S"].split(":")[0], _delays(item, quotes)) for page in pages for item in page["Items"]]
    return dict(sorted(found, key=lambda each: each[1].sent_at))


def _delays(item: dict[str, Any], quotes: float) -> Delays:
    sent_at, landed_at = (epoch(item[name]["S"]) for name in ("sentAt", "landsAt"))
    # What lands at once is seen by the look-up that follows its sending, and waits for no slot.
    slot_wait = -round(landed_at * 1000) % SLOT_MS / 1000 if landed_at > sent_at else 0.0
    return Delays(quotes, sent_at, landed_at, slot_wait)


def epoch(timestamp: str) -> float:
    """Seconds of the Unix clock, from RFC 3339."""
    return datetime.fromisoformat(timestamp).timestamp()
