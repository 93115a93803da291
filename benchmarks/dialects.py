"""How the engines of this field are spoken to: the same order, placed and watched in the words of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

Json = dict[str, Any]


class Flow(Enum):
    POST_THEN_WATCH = auto()
    """The answer has the order's id, and `?orderId=` on a socket watches it."""
    WATCH_THEN_POST = auto()
    """`?userId=` on a socket watches all orders of a user, and then one is posted."""
    CONNECT = auto()
    """Connecting places the order, which is in the query string."""
    SEND = auto()
    """The order is the first frame on an open socket."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """`path` is where orders are posted, `id_field` what their id is called in the answer and in frames."""

    flow: Flow
    order: Json
    path: str = ""
    id_field: str = "orderId"
    endings: frozenset[str] = field(default=frozenset({"confirmed", "failed", "expired", "canceled"}))


_SWAP = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": 1.5}

DIALECTS = {
    "connect": Dialect(Flow.CONNECT, _SWAP),
    "base-quote": Dialect(
        Flow.WATCH_THEN_POST,
        {"baseToken": "SOL", "quoteToken": "USDC", "amount": 2.5, "side": "buy"},
        path="/orders/execute",
    ),
    "input-output": Dialect(
        Flow.POST_THEN_WATCH,
        {"inputToken": "SOL", "outputToken": "USDC", "amount": 1.5},
        path="/api/orders/execute",
    ),
    "token-in-out": Dialect(
        Flow.POST_THEN_WATCH,
        {"type": "market", "slippageBps": 100, **_SWAP},
        path="/api/orders/execute",
    ),
    "socket": Dialect(Flow.SEND, {"type": "market", **_SWAP}),
}
