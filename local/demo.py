"""A sample order: sent over HTTP, and its statuses as they arrive over the WebSocket."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from local.process import StackError
from local.stack import Endpoints

SAMPLE_ORDER = {"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": "1.5", "slippageBps": 100}

# Three attempts and the pauses between them take about half of this.
_PATIENCE_S = 60

_WHERE_TO_LOOK = "emulator.log in .local has what the functions said"

Event = Mapping[str, Any]


def show_sample_order(endpoints: Endpoints, report: Callable[[str], None]) -> None:
    """Returns when the order has come to its end. Raises `StackError` when it does not."""
    started = time.monotonic()
    order_id = _submit(endpoints)
    report(f"Sample order {order_id}: {json.dumps(SAMPLE_ORDER)}")
    for event in _events(endpoints, order_id):
        report(f"  +{time.monotonic() - started:.2f} s  {describe(event)}")


def describe(event: Event) -> str:
    """One status, as a line to read."""
    return f"{event['status']:<10} {'; '.join(_facts(event))}"


def _facts(event: Event) -> Iterator[str]:
    yield event["message"]
    match event:
        case {"status": "building"}:
            yield event["reason"]
        case {"status": "submitted"}:
            yield f"signature {event['signature']}"
        case {"status": "confirmed"}:
            yield f"{event['amountOut']} for {event['amountIn']}, price {event['executedPrice']}"
            yield f"transaction {event['txHash']}"
        case {"error": error}:
            yield error


def _submit(endpoints: Endpoints) -> str:
    try:
        # A proxy in the environment is not for this machine itself.
        answer = httpx.post(f"{endpoints.http}/api/orders", json=SAMPLE_ORDER, timeout=30, trust_env=False)
    except httpx.HTTPError as error:
        raise StackError(f"The sample order got no answer ({error}); {_WHERE_TO_LOOK}") from error
    if answer.status_code != 202:
        raise StackError(f"The sample order was answered with {answer.status_code}: {answer.text}; {_WHERE_TO_LOOK}")
    return str(answer.json()["orderId"])


def _events(endpoints: Endpoints, order_id: str) -> Iterator[Event]:
    deadline = time.monotonic() + _PATIENCE_S
    try:
        with connect(f"{endpoints.ws}?orderId={order_id}", open_timeout=30, proxy=None) as socket:
            while True:
                event = json.loads(socket.recv(timeout=max(0, deadline - time.monotonic())))
                if "status" not in event:
                    raise StackError(f"The WebSocket answered: {event}")
                yield event
                if event["progress"] == 100:
                    return
    except TimeoutError:
        raise StackError(f"The sample order did not come to its end within {_PATIENCE_S} s; {_WHERE_TO_LOOK}") from None
    except WebSocketException as error:
        raise StackError(f"The WebSocket failed before the sample order's end ({error}); {_WHERE_TO_LOOK}") from error
