"""Answers as tables and lines to read."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from order_client.cli.lines import clock, facts, number, since
from order_client.models import Event, Minute, Order, Percentiles, QueueDepth, Quote, Stats, VenueQuote

_STYLES = {"confirmed": "green", "failed": "red", "expired": "yellow", "canceled": "yellow"}
_UNDER_WAY = "cyan"
_BARS = " ▁▂▃▄▅▆▇█"


def status_text(status: str) -> Text:
    return Text(status, _STYLES.get(status, _UNDER_WAY))


def events_table(events: Iterable[Event]) -> Table:
    """With the time that has passed since the first one."""
    shown = list(events)
    table = _table("UTC", "", "status", "what", whole=("UTC", "", "status"))
    for event in shown:
        row = (clock(event.timestamp), since(shown[0].timestamp, event.timestamp))
        table.add_row(*row, status_text(event.status), "; ".join(facts(event)))
    return table


def orders_table(orders: Iterable[Order]) -> Table:
    names = ("created (UTC)", "order", "status", "in", "out", "price", "venue", "attempts", "error")
    table = _table(*names, whole=("order", "status"))
    for order in orders:
        table.add_row(
            f"{order.created_at:%Y-%m-%d %H:%M:%S}",
            order.order_id,
            status_text(order.status),
            _side(order, "exactIn", order.amount_in, order.token_in),
            _side(order, "exactOut", order.amount_out, order.token_out),
            number(order.executed_price),
            order.dex,
            str(order.attempts),
            order.error_code,
        )
    return table


def order_view(order: Order) -> RenderableType:
    """One order with its events."""
    table = _facts_table()
    table.add_row("order", order.order_id)
    table.add_row("status", status_text(order.status))
    table.add_row("created", f"{order.created_at:%Y-%m-%d %H:%M:%S} UTC")
    table.add_row("in", _side(order, "exactIn", order.amount_in, order.token_in))
    table.add_row("out", _side(order, "exactOut", order.amount_out, order.token_out))
    for name, value in (
        ("price", number(order.executed_price)),
        ("at least", _with_token(order.min_amount_out, order.token_out)),
        ("at most", _with_token(order.max_amount_in, order.token_in)),
        ("venue", order.dex),
        ("reason", order.reason),
        ("attempts", str(order.attempts)),
        ("transaction", order.tx_hash),
        ("error", order.error and f"{order.error} ({order.error_code})"),
        ("user", order.user_id),
        ("your id", order.client_order_id),
    ):
        if value:
            table.add_row(name, value)
    return Group(table, "", events_table(order.events))


def quote_view(quote: Quote) -> RenderableType:
    table = _facts_table()
    table.add_row("in", _with_token(quote.amount_in, quote.token_in))
    table.add_row("out", _with_token(quote.amount_out, quote.token_out))
    table.add_row("price", f"{number(quote.price)} {quote.token_out} per {quote.token_in}")
    table.add_row("impact", f"{number(quote.price_impact_bps)} bps")
    if quote.min_amount_out is not None:
        table.add_row("at least", _with_token(quote.min_amount_out, quote.token_out))
    if quote.max_amount_in is not None:
        table.add_row("at most", _with_token(quote.max_amount_in, quote.token_in))
    table.add_row("because", quote.reason)
    return Group(table, "", _venues_table(quote))


def stats_view(stats: Stats) -> RenderableType:
    table = _facts_table()
    table.add_row("from", f"{stats.since:%Y-%m-%d %H:%M} to {stats.until:%H:%M} UTC")
    table.add_row("orders", _counts(stats))
    table.add_row("a minute", bars(stats.per_minute))
    table.add_row("to confirm", _percentiles(stats.time_to_confirm_ms, "ms"))
    table.add_row("better by", _percentiles(stats.price_improvement_bps, "bps"))
    for failure in stats.failures:
        table.add_row("failed", f"{failure.count} {failure.error_code}")
    if (queues := stats.queues) is not None:
        table.add_row("orders queue", _depth(queues.orders))
        table.add_row("status queue", _depth(queues.statuses))
        table.add_row("dead letters", _depth(queues.dead_letters))
    if (oldest := stats.oldest_live_order) is not None:
        table.add_row("oldest live", f"{oldest.order_id}, {number(oldest.age_seconds)} s old")
    if stats.unavailable:
        table.add_row("unavailable", Text(", ".join(stats.unavailable), "red"))
    return table


def bars(minutes: Iterable[Minute]) -> str:
    """The orders that ended in each minute, the fullest minute as the whole bar."""
    counts = [each.confirmed + each.failed + each.expired for each in minutes]
    most = max(counts, default=0)
    if not most:
        return ""
    # A minute with any order at all is not shown as an empty one.
    bars = "".join(_BARS[-(-count * (len(_BARS) - 1) // most)] for count in counts)
    return f"{bars} up to {most}"


def _table(*names: str, whole: tuple[str, ...] = ()) -> Table:
    """Columns named in `whole` are not broken on a narrow terminal; the others give way."""
    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(name, no_wrap=name in whole, overflow="fold")
    return table


def _facts_table() -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    return table


def _side(order: Order, fixing: str, amount: Decimal | None, token: str) -> str:
    """What was swapped or, before that, what was asked for."""
    if amount is None and order.swap_mode == fixing:
        amount = order.amount
    return _with_token(amount, token) or token


def _with_token(amount: Decimal | None, token: str) -> str:
    return "" if amount is None else f"{number(amount)} {token}"


def _venues_table(quote: Quote) -> Table:
    table = _table("venue", "in", "out", "fee", "impact", "")
    for offer in quote.quotes:
        chosen = "chosen" if offer.dex == quote.dex else offer.error or ""
        table.add_row(offer.dex, *_offer(offer, quote), chosen)
    return table


def _offer(offer: VenueQuote, quote: Quote) -> tuple[str, ...]:
    return (
        _with_token(offer.amount_in, quote.token_in),
        _with_token(offer.amount_out, quote.token_out),
        _with_token(offer.fee, offer.fee_token or ""),
        "" if offer.price_impact_bps is None else f"{number(offer.price_impact_bps)} bps",
    )


def _counts(stats: Stats) -> str:
    if stats.confirmed is None:
        return "unknown"
    rate = "" if stats.success_rate is None else f"; {number(stats.success_rate * 100)} % succeeded"
    return f"{stats.confirmed} confirmed, {stats.failed} failed, {stats.expired} expired{rate}"


def _percentiles(known: Percentiles | None, unit: str) -> str:
    return "" if known is None else f"p50 {number(known.p50)} {unit}, p95 {number(known.p95)} {unit}"


def _depth(depth: QueueDepth | None) -> str:
    if depth is None:
        return "unknown"
    return f"{depth.waiting} waiting, {depth.in_flight} in flight, {depth.delayed} delayed"
