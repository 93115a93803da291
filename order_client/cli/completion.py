"""What the shell offers at a Tab: asked of the engine, quickly or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

import typer

from order_client.backoff import Backoff
from order_client.cli.target import NoTarget, find_target, profiles
from order_client.errors import ClientError

if TYPE_CHECKING:
    from order_client.client import OrderClient

_TIMEOUT_S = 1
_OFFERED = 20


def order_ids(context: typer.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    """The latest, with what they are."""
    try:
        with _client(context) as client:
            for order in islice(client.orders(page_size=_OFFERED), _OFFERED):
                if order.order_id.startswith(incomplete):
                    yield order.order_id, f"{order.token_in}/{order.token_out} {order.status}"
    except (NoTarget, ClientError, ValueError):
        return


def tokens(context: typer.Context, incomplete: str) -> list[str]:
    try:
        with _client(context) as client:
            symbols = [token.symbol for token in client.config().tokens]
    except (NoTarget, ClientError, ValueError):
        return []
    return [symbol for symbol in symbols if symbol.startswith(incomplete.upper())]


def profile_names(incomplete: str) -> list[str]:
    try:
        return [name for name in profiles() if name.startswith(incomplete)]
    except NoTarget:
        return []


def _client(context: typer.Context) -> OrderClient:
    """Of an engine that can be found without asking AWS, which takes too long."""
    from order_client.client import OrderClient  # noqa: PLC0415 (not for what completes without asking)

    if context.params.get("stack"):
        raise NoTarget("What a stack has is not offered")
    target = find_target(url=context.params.get("url"), profile=context.params.get("profile"))
    return OrderClient(target.url, timeout=_TIMEOUT_S, backoff=Backoff(attempts=1))
