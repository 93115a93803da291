"""A client of the order execution engine.

from order_client import OrderClient

with OrderClient("https://…") as client:
    accepted = client.submit("SOL", "USDC", "1.5")
    for event in client.watch(accepted.order_id):
        print(event.status, event.message)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from order_client.backoff import Backoff
from order_client.errors import (
    ClientError,
    FieldError,
    InvalidRequest,
    KeyReused,
    NoSwap,
    OrderNotFound,
    Problem,
    TimedOut,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
)
from order_client.models import Accepted, Config, Event, Health, Order, Quote, Stats

if TYPE_CHECKING:
    from order_client.client import OrderClient

__all__ = [
    "Accepted",
    "Backoff",
    "ClientError",
    "Config",
    "Event",
    "FieldError",
    "Health",
    "InvalidRequest",
    "KeyReused",
    "NoSwap",
    "Order",
    "OrderClient",
    "OrderNotFound",
    "Problem",
    "Quote",
    "Stats",
    "TimedOut",
    "Unavailable",
    "UnexpectedAnswer",
    "Unreachable",
]


def __getattr__(name: str) -> object:
    # HTTP and WebSockets take a third of a second to load, which the command line's help and completion do not need.
    if name == "OrderClient":
        from order_client.client import OrderClient  # noqa: PLC0415

        return OrderClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
