"""Commands about orders: place, quote, watch and read them, and how they fare altogether."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Annotated

import typer

from order_client.cli.options import Engine, OrderId, Swap, Timeout, Watching, moment
from order_client.cli.output import out, print_json, say
from order_client.cli.tables import order_view, orders_table, quote_view, stats_view
from order_client.cli.watching import show_events

_MOST_A_PAGE = 100


def submit(
    swap: Swap,
    engine: Engine,
    idempotency_key: Annotated[
        str | None, typer.Option(help="The same order under the same key is placed once, however often it is sent.")
    ] = None,
    watch: Watching = False,
    timeout: Timeout = None,
) -> None:
    """Place an order. With --watch, exit with 0 only if it is confirmed."""
    with engine.client() as client:
        accepted = client.submit(
            swap.token_in, swap.token_out, swap.amount, idempotency_key=idempotency_key, **swap.options()
        )
        if engine.json:
            print_json(accepted.raw)
        elif watch:
            # Known also to who gives up watching.
            say(f"Order {accepted.order_id}")
        else:
            out.print(accepted.order_id)
        if watch and not show_events(client.watch(accepted.order_id, timeout=timeout), as_json=engine.json):
            raise typer.Exit(1)


def quote(swap: Swap, engine: Engine) -> None:
    """What an order would do now: every venue's offer, and the one it would take. Places nothing."""
    with engine.client() as client:
        found = client.quote(swap.token_in, swap.token_out, swap.amount, **swap.options())
    print_json(found.raw) if engine.json else out.print(quote_view(found))


def watch(
    order_id: OrderId,
    engine: Engine,
    after: Annotated[int, typer.Option(help="Only what came after this sequence.", min=0)] = 0,
    timeout: Timeout = None,
) -> None:
    """What happens to an order, as it happens. Exit with 0 only if it is confirmed."""
    with engine.client() as client:
        if not show_events(client.watch(order_id, after=after, timeout=timeout), as_json=engine.json):
            raise typer.Exit(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which orders to list."""

    status: Annotated[str | None, typer.Option(help="pending, routing, …, confirmed, failed or expired.")] = None
    pair: Annotated[str | None, typer.Option(help="Such as SOL/USDC.")] = None
    user_id: Annotated[str | None, typer.Option(help="Submitted with this userId.")] = None
    type: Annotated[str | None, typer.Option(help="Such as market.")] = None
    since: Annotated[
        datetime | None, typer.Option("--from", parser=moment, metavar="TIME", help="Created then or later.")
    ] = None
    until: Annotated[datetime | None, typer.Option("--to", parser=moment, metavar="TIME", help="Created before.")] = (
        None
    )
    limit: Annotated[int, typer.Option(help="So many at most.", min=1)] = 20
    all: Annotated[bool, typer.Option("--all", help="As many as there are.")] = False


def list_orders(wanted: Wanted, engine: Engine) -> None:
    """Live and finished orders, newest first."""
    with engine.client() as client:
        found = client.orders(
            page_size=_MOST_A_PAGE if wanted.all else min(wanted.limit, _MOST_A_PAGE),
            status=wanted.status,
            pair=wanted.pair,
            type=wanted.type,
            user_id=wanted.user_id,
            since=wanted.since,
            until=wanted.until,
        )
        chosen = islice(found, None if wanted.all else wanted.limit)
        if engine.json:
            for order in chosen:
                print_json(order.raw)
        elif orders := list(chosen):
            out.print(orders_table(orders))
        else:
            say("There are no such orders")


def show(order_id: OrderId, engine: Engine) -> None:
    """One order, with everything that has happened to it."""
    with engine.client() as client:
        order = client.order(order_id)
    print_json(order.raw) if engine.json else out.print(order_view(order))


def stats(engine: Engine) -> None:
    """The last hour: how orders ended and how long they took, and what the queues hold."""
    with engine.client() as client:
        found = client.stats()
    print_json(found.raw) if engine.json else out.print(stats_view(found))
