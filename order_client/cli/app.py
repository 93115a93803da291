"""The command line `orders`, for those who trade and for those who operate the engine.

It exits with 0 when it is done; with 1 when the answer is no: the order failed, there is none of this id, the engine
refused; with 2 when the command line makes no sense; with 3 when nothing is known, as the engine did not answer, or the
order did not end in the time given. Then the same command may be tried again.
"""

from __future__ import annotations

import sys

import typer

from order_client.cli import dlq
from order_client.cli.bench import bench
from order_client.cli.groups import with_groups
from order_client.cli.orders import list_orders, quote, show, stats, submit, watch
from order_client.cli.output import say
from order_client.cli.target import NoTarget
from order_client.errors import ClientError, NoSwap, UnexpectedAnswer

NO, UNKNOWN = 1, 3

app = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Place, watch and look after orders.\n\n"
    "Exits with 0 when it is done, 1 when the order failed, was refused or is not there, 2 when the command line makes "
    "no sense, 3 when the engine did not answer, so that nothing is known.",
)
app.command("submit")(with_groups(submit))
app.command("quote")(with_groups(quote))
app.command("watch")(with_groups(watch))
app.command("list")(with_groups(list_orders))
app.command("show")(with_groups(show))
app.command("stats")(with_groups(stats))
app.add_typer(dlq.app, name="dlq")
app.command("bench")(with_groups(bench))


def main() -> None:
    try:
        app()
    except (ClientError, NoTarget, dlq.NoDeadLetter) as error:
        say(_sentence(error))
        sys.exit(_exit_code(error))


def _sentence(error: Exception) -> str:
    key = error.idempotency_key if isinstance(error, ClientError) else None
    if key is None:
        return str(error)
    return (
        f"{error}\nThe order may have been placed. To find out, and not to place it twice, add --idempotency-key {key}"
    )


def _exit_code(error: Exception) -> int:
    match error:
        case NoSwap():
            return NO
        case NoTarget() | UnexpectedAnswer() | ClientError(retryable=True):
            return UNKNOWN
    return NO
