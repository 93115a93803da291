"""The options that commands share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from order_client.cli.completion import order_ids, profile_names, tokens
from order_client.cli.target import URL_VARIABLE, StackName, Target, find_target

if TYPE_CHECKING:
    from order_client.client import Options, OrderClient

_ENGINE = "Which engine"
_OUTPUT = "Output"


def moment(text: str) -> datetime:
    """RFC 3339; without an offset it is local time. Raises `BadParameter`."""
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(f"{text!r} is no time such as 2026-11-21T18:30 or 2026-11-21T17:30:00Z") from error


OrderId = Annotated[str, typer.Argument(metavar="ORDER_ID", autocompletion=order_ids, show_default=False)]
Watching = Annotated[bool, typer.Option("--watch", "-w", help="Watch what becomes of it, up to its end.")]
Timeout = Annotated[float | None, typer.Option(help="Watch for so many seconds at most.", min=0, show_default=False)]


class SwapMode(StrEnum):
    EXACT_IN = "exactIn"
    EXACT_OUT = "exactOut"


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Which one to ask, and for whom the answer is."""

    url: Annotated[
        str | None,
        typer.Option(help=f"Base URL of its HTTP API; {URL_VARIABLE} does the same.", rich_help_panel=_ENGINE),
    ] = None
    profile: Annotated[
        str | None,
        typer.Option(
            help="One of those in the configuration file.", rich_help_panel=_ENGINE, autocompletion=profile_names
        ),
    ] = None
    stack: Annotated[
        str | None,
        typer.Option(
            help="Its CloudFormation stack on AWS. Without any of these, the one of `make run`, here or above.",
            rich_help_panel=_ENGINE,
        ),
    ] = None
    json: Annotated[
        bool, typer.Option("--json", help="For programs: one JSON object a line.", rich_help_panel=_OUTPUT)
    ] = False

    def target(self) -> Target:
        """Raises `NoTarget`."""
        return find_target(self.url, self.stack, self.profile)

    def client(self) -> OrderClient:
        """Raises `NoTarget`, or `BadParameter` for a URL that is none."""
        return client_of(self.target())


def client_of(target: Target) -> OrderClient:
    from order_client.client import OrderClient  # noqa: PLC0415 (not for help and completion, which are waited for)

    try:
        return OrderClient(target.url, web_socket_url=target.web_socket_url)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def stack_of(target: Target) -> StackName:
    if target.stack is None:
        raise typer.BadParameter("dead letters are in a queue of the stack, which --stack or a profile has to name")
    return target.stack


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """The fields of an order. What they may be is the engine's to say."""

    token_in: Annotated[str, typer.Option("--token-in", "--in", help="What to give.", autocompletion=tokens)]
    token_out: Annotated[str, typer.Option("--token-out", "--out", help="What to get.", autocompletion=tokens)]
    amount: Annotated[str, typer.Option(help="Whole tokens, such as 1.5, of the side that the swap mode fixes.")]
    swap_mode: Annotated[
        SwapMode | None, typer.Option(help="Whether the amount is what goes in (the default) or what comes out.")
    ] = None
    slippage_bps: Annotated[int | None, typer.Option(help="Tolerated slippage in basis points.")] = None
    min_amount_out: Annotated[str | None, typer.Option(help="Least to get, instead of a slippage; exact in only.")] = (
        None
    )
    max_amount_in: Annotated[str | None, typer.Option(help="Most to pay, instead of a slippage; exact out only.")] = (
        None
    )
    expires_at: Annotated[
        datetime | None,
        typer.Option(parser=moment, metavar="TIME", help="Not to be submitted to the chain from then on."),
    ] = None
    client_order_id: Annotated[str | None, typer.Option(help="Your own id; a second order of this id is none.")] = None
    user_id: Annotated[str | None, typer.Option(help="Whose order it is.")] = None
    type: Annotated[str | None, typer.Option(help="Such as market.")] = None

    def options(self) -> Options:
        return {
            "swap_mode": None if self.swap_mode is None else self.swap_mode.value,
            "slippage_bps": self.slippage_bps,
            "min_amount_out": self.min_amount_out,
            "max_amount_in": self.max_amount_in,
            "expires_at": self.expires_at,
            "client_order_id": self.client_order_id,
            "user_id": self.user_id,
            "type": self.type,
        }
