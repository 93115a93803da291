"""`python -m cli dlq …`: list, show and replay failed orders."""

from __future__ import annotations

import sys
from typing import Annotated

import httpx
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from cli.dead_letters import DeadLetter, chosen, dead_letters, replay
from cli.target import NoTarget, Target, find_target

app = typer.Typer(no_args_is_help=True, add_completion=False)
dlq = typer.Typer(no_args_is_help=True, help="Failed orders, in the dead-letter queue of the order queue.")
app.add_typer(dlq, name="dlq")
# What is shown was written by others: brackets and colons in it mean nothing.
out, err = (Console(stderr=is_error, markup=False, emoji=False) for is_error in (False, True))

Stack = Annotated[str | None, typer.Option(help="The stack's name on AWS; without it, the one of `make run`.")]


@app.callback()
def commands() -> None:
    """Operate an order engine."""


@dlq.command("list")
def list_letters(stack: Stack = None) -> None:
    """All dead letters, oldest first, and where their orders stand."""
    target = find_target(stack)
    table = Table("order", "sent (UTC)", "status", "reason")
    with dead_letters(target) as letters:
        for letter in letters:
            name = letter.order_id or repr(letter.body[:40])
            table.add_row(name, f"{letter.sent_at:%Y-%m-%d %H:%M:%S}", *_state(target, letter))
    out.print(table if letters else "There are no dead letters")


@dlq.command()
def show(order_id: str, stack: Stack = None) -> None:
    """One order's dead letters, and the order with all its events."""
    target = find_target(stack)
    with dead_letters(target) as letters:
        found = chosen(letters, [order_id])
    if not found:
        raise NoTarget(f"No dead letter is of order {order_id}")
    for letter in found:
        out.print(f"sent {letter.sent_at:%Y-%m-%d %H:%M:%S} UTC: {letter.body}")
    out.print_json(_order(target, order_id).text)


@dlq.command("replay")
def replay_letters(
    order_ids: Annotated[list[str] | None, typer.Argument(help="Only these orders; all without any.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be replayed, and leave it.")] = False,
    stack: Stack = None,
) -> None:
    """Give failed orders a fresh set of attempts. Twice is harmless; a confirmed order stays as it is."""
    target = find_target(stack)
    with dead_letters(target) as letters:
        wanted = chosen(letters, order_ids or [])
        for letter in track(wanted, "Replaying", console=err, disable=dry_run or not wanted):
            if not dry_run:
                replay(target, letter)
            out.print(letter.order_id)
    missing = set(order_ids or []) - {letter.order_id for letter in wanted}
    if missing:
        raise NoTarget(f"No dead letter is of order {', '.join(sorted(missing))}")
    err.print(f"{len(wanted)} of {len(letters)} dead letters {'would be ' if dry_run else ''}replayed")


def _state(target: Target, letter: DeadLetter) -> tuple[str, str]:
    if letter.order_id is None:
        return "", "not an order message"
    answer = _order(target, letter.order_id)
    if answer.status_code != httpx.codes.OK:
        return "", answer.json()["detail"]
    order = answer.json()
    return order["status"], order["error"] or ""


def _order(target: Target, order_id: str) -> httpx.Response:
    return httpx.get(f"{target.http}/api/orders/{order_id}", timeout=30)


def main() -> None:
    """Exits with 0, with 1 and a sentence, or with 2 when the command line makes no sense."""
    try:
        app()
    except NoTarget as error:
        err.print(str(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
