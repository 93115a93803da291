"""Events as they come: a table that grows on a terminal, lines elsewhere, JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group
from rich.live import Live
from rich.spinner import Spinner

from order_client.cli.lines import clock, describe, since
from order_client.cli.output import out, print_json
from order_client.cli.tables import events_table
from order_client.models import CONFIRMED, Event


def show_events(events: Iterable[Event], *, as_json: bool) -> bool:
    """Whether the order was confirmed in the end."""
    show = _as_json if as_json else _growing if out.is_terminal else _lines
    latest = show(events)
    return latest is not None and latest.status == CONFIRMED


def _as_json(events: Iterable[Event]) -> Event | None:
    latest = None
    for latest in events:
        print_json(latest.raw)
    return latest


def _lines(events: Iterable[Event]) -> Event | None:
    first = latest = None
    for latest in events:
        first = first or latest
        out.print(f"{clock(latest.timestamp)}  {since(first.timestamp, latest.timestamp):>9}  {describe(latest)}")
    return latest


def _growing(events: Iterable[Event]) -> Event | None:
    shown: list[Event] = []
    waiting = Spinner("dots", "waiting")
    with Live(waiting, console=out) as live:
        for event in events:
            shown.append(event)
            table = events_table(shown)
            live.update(table if event.has_ended else Group(table, waiting), refresh=True)
        live.update(events_table(shown))
    return shown[-1] if shown else None
