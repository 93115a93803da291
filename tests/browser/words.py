"""What the page should say of an order, made from the API's own answer; and what a card does say."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from playwright.sync_api import Locator

from tests.browser.api import Json

MINUS = "\N{MINUS SIGN}"
STEPS = ("pending", "routing", "building", "submitted")

_READ_CARD = """card => ({
  title: card.querySelector("h3").textContent,
  status: card.querySelector(".status").textContent,
  steps: [...card.querySelectorAll(".steps li")].map((step) => [
    step.dataset.step, step.dataset.state, step.querySelector(".took").textContent,
  ]),
  reason: card.querySelector(".reason").textContent,
  quotes: Object.fromEntries([...card.querySelectorAll(".quotes tbody tr")].map((row) => [
    row.firstChild.textContent.replace(" (chosen)", ""), row.children[1].textContent,
  ])),
  chosen: card.querySelector(".chosen th")?.firstChild.textContent ?? null,
  attempts: [...card.querySelectorAll(".attempts li")].map((attempt) => attempt.textContent),
  facts: Object.fromEntries([...card.querySelectorAll(".facts > div")].map((fact) => [
    fact.querySelector("dt").textContent, fact.querySelector("dd").textContent,
  ])),
  transaction: card.querySelector(".transaction code")?.title ?? null,
})"""


def words_on(card: Locator) -> Json:
    words: Json = card.evaluate(_READ_CARD)
    return words


def words_for(order: Json) -> Json:
    """For an order to sell that has ended, with its events: the card of one that was followed from its beginning."""
    events = order["events"]
    failures = [event for event in events if event.get("errorCode")]
    building = next((event for event in reversed(events) if event["status"] == "building"), None)
    quotes = building["quotes"] if building else []
    return {
        "title": f"Sell {amount(order['amount'])} {order['tokenIn']} for {order['tokenOut']}",
        "status": order["status"],
        "steps": steps(events),
        "reason": building["reason"] if building else "",
        "quotes": {quote["dex"]: amount(quote["amountOut"]) for quote in quotes},
        "chosen": building["dex"] if building else None,
        "attempts": len(failures),
        "transaction": order.get("txHash"),
    }


def facts_for(order: Json) -> Json:
    """Of an order to sell that was confirmed."""
    building, confirmed = (
        next(event for event in reversed(order["events"]) if event["status"] == status)
        for status in ("building", "confirmed")
    )
    quoted = next(quote for quote in building["quotes"] if quote["dex"] == building["dex"])
    return {
        "Quoted": f"{amount(quoted['amountOut'])} {order['tokenOut']}",
        "Realised": f"{amount(confirmed['amountOut'])} {order['tokenOut']}",
        "Paid": f"{amount(order['amount'])} {order['tokenIn']}",
        "Least to receive": f"{amount(order['minAmountOut'])} {order['tokenOut']}",
        "Slippage": f"{confirmed['slippageBps'].replace('-', MINUS)} bps",
    }


def steps(events: list[Json]) -> list[list[str]]:
    """Those of the last attempt, each with the time until the next."""
    begin = max(index for index, event in enumerate(events) if event["status"] == "pending")
    run = events[begin:]
    shown = []
    for name in STEPS:
        at = next((index for index, event in enumerate(run) if event["status"] == name), None)
        following = None if at is None else next((event for event in run[at + 1 :] if event["status"] != name), None)
        shown.append(
            [name, "done" if following else "todo", "" if following is None else took(run[at or 0], following)]
        )
    end = events[-1]["status"]
    return [*shown, [end, "done" if end == "confirmed" else "failed", ""]]


def took(before: Json, after: Json) -> str:
    return duration(milliseconds(after["timestamp"]) - milliseconds(before["timestamp"]))


def duration(ms: int) -> str:
    if ms < 1000:
        return f"{ms} ms"
    assert ms < 60_000
    places = Decimal("0.01") if ms < 10_000 else Decimal("0.1")
    return f"{Decimal(ms / 1000).quantize(places, ROUND_HALF_UP)} s"


def amount(text: str) -> str:
    """With thousands apart."""
    whole, point, fraction = text.partition(".")
    return f"{int(whole):,}".replace(",", "\N{THIN SPACE}") + point + fraction


def milliseconds(timestamp: str) -> int:
    return round(datetime.fromisoformat(timestamp).timestamp() * 1000)


def sequences_in(frames: list[str], order_id: str) -> list[int]:
    """Of the order's events among what came over a WebSocket."""
    found = (re.search(r'"sequence": ?(\d+)', frame) for frame in frames if order_id in frame and '"progress"' in frame)
    return [int(match[1]) for match in found if match]
