"""`orders dlq …`: list, show and replay failed orders."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import track
from rich.table import Table

from order_client.cli.groups import with_groups
from order_client.cli.options import Engine, OrderId, Watching, client_of, stack_of
from order_client.cli.output import err, out, print_json, say
from order_client.cli.tables import order_view, status_text
from order_client.errors import OrderNotFound, Problem
from order_client.models import CONFIRMED, Order

if TYPE_CHECKING:
    from order_client.cli.dead_letters import DeadLetter
    from order_client.client import OrderClient

app = typer.Typer(no_args_is_help=True, help="Failed orders, in the dead-letter queue of the order queue.")

_RESUMES_WITHIN_S = 60
"""A replayed order waits its turn in the queue, but no longer than this on an engine that is well."""


def list_letters(engine: Engine) -> None:
    """All dead letters, oldest first, and where their orders stand."""
    from order_client.cli.dead_letters import dead_letters  # noqa: PLC0415 (it loads the AWS SDK)

    target = engine.target()
    table = Table("order", "sent (UTC)", "status", "reason", box=None, pad_edge=False)
    with client_of(target) as client, dead_letters(stack_of(target).find()) as letters:
        for letter in letters:
            status, reason = _state(client, letter)
            if engine.json:
                print_json({**_fields(letter), "status": status or None, "error": reason or None})
            name = letter.order_id or repr(letter.body[:40])
            table.add_row(name, f"{letter.sent_at:%Y-%m-%d %H:%M:%S}", status_text(status), reason)
    if not engine.json:
        out.print(table) if letters else say("There are no dead letters")


def show(order_id: OrderId, engine: Engine) -> None:
    """One order's dead letters, and the order with all its events."""
    from order_client.cli.dead_letters import chosen, dead_letters  # noqa: PLC0415

    target = engine.target()
    with client_of(target) as client:
        with dead_letters(stack_of(target).find()) as letters:
            found = chosen(letters, [order_id])
        if not found:
            raise NoDeadLetter([order_id])
        order = client.order(order_id)
    if engine.json:
        print_json({"deadLetters": [_fields(letter) for letter in found], "order": order.raw})
        return
    for letter in found:
        out.print(f"sent {letter.sent_at:%Y-%m-%d %H:%M:%S} UTC: {letter.body}", soft_wrap=True)
    out.print(order_view(order))


def replay(
    engine: Engine,
    order_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ORDER_ID]...", help="Only these orders; all without any.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be replayed, and leave it.")] = False,
    watch: Watching = False,
) -> None:
    """Give failed orders a fresh set of attempts. Twice is harmless; a confirmed order stays as it is."""
    from order_client.cli import dead_letters  # noqa: PLC0415

    target = engine.target()
    with client_of(target) as client:
        with dead_letters.dead_letters(aws := stack_of(target).find()) as letters:
            wanted = dead_letters.chosen(letters, order_ids or [])
            before = list(_orders(client, wanted)) if watch and not dry_run else []
            for letter in track(wanted, "Replaying", console=err, disable=dry_run or not (wanted and err.is_terminal)):
                if not dry_run:
                    dead_letters.replay(aws, letter)
                if engine.json:
                    print_json({"orderId": letter.order_id, "replayed": not dry_run})
                else:
                    out.print(letter.order_id, "would be replayed" if dry_run else "replayed")
        missing = set(order_ids or []) - {letter.order_id for letter in wanted}
        if wanted or not missing:
            say(f"{len(wanted)} of {len(letters)} dead letters {'would be ' if dry_run else ''}replayed")
        confirmed = [_is_confirmed_again(client, order, as_json=engine.json) for order in before]
    if missing:
        raise NoDeadLetter(sorted(missing))
    if not all(confirmed):
        raise typer.Exit(1)


class NoDeadLetter(Exception):
    def __init__(self, order_ids: list[str]) -> None:
        super().__init__(f"No dead letter is of order {', '.join(order_ids)}")


def _state(client: OrderClient, letter: DeadLetter) -> tuple[str, str]:
    if letter.order_id is None:
        return "", "not an order message"
    try:
        order = client.order(letter.order_id)
    except Problem as problem:
        return "", problem.detail
    return order.status, order.error or ""


def _fields(letter: DeadLetter) -> dict[str, object]:
    return {"orderId": letter.order_id, "sentAt": f"{letter.sent_at:%Y-%m-%dT%H:%M:%SZ}", "body": letter.body}


def _orders(client: OrderClient, letters: list[DeadLetter]) -> Iterator[Order]:
    """Each once, as it stands; a letter may also name an order that there is not."""
    for order_id in dict.fromkeys(letter.order_id for letter in letters):
        with suppress(OrderNotFound):
            if order_id is not None:
                yield client.order(order_id)


def _is_confirmed_again(client: OrderClient, before: Order, *, as_json: bool) -> bool:
    order = _end(client, before)
    if as_json:
        print_json(order.raw)
    else:
        out.print(order.order_id, status_text(order.status), order.error or "")
    return order.status == CONFIRMED


def _end(client: OrderClient, before: Order) -> Order:
    """The order when it has come to its end again; as it was, when nothing has moved it in time."""
    deadline = time.monotonic() + _RESUMES_WITHIN_S
    while (order := client.order(before.order_id)).sequence == before.sequence:
        if order.status == CONFIRMED or time.monotonic() > deadline:
            return order
        time.sleep(0.2)
    for _ in client.watch(order.order_id, after=before.sequence):
        pass
    return client.order(order.order_id)


app.command("list")(with_groups(list_letters))
app.command("show")(with_groups(show))
app.command("replay")(with_groups(replay))
