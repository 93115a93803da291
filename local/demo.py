"""A sample order: placed, and its statuses as they arrive."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from local.process import StackError
from local.stack import Endpoints
from order_client import ClientError, OrderClient
from order_client.cli.lines import describe

SAMPLE_ORDER = {"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": "1.5", "slippageBps": 100}

# Three attempts and the pauses between them take about half of this.
_PATIENCE_S = 60


def show_sample_order(endpoints: Endpoints, report: Callable[[str], None]) -> None:
    """Returns when the order has come to its end. Raises `StackError` when it does not."""
    started = time.monotonic()
    try:
        with OrderClient(endpoints.http, web_socket_url=endpoints.ws) as client:
            order_id = client.submit("SOL", "USDC", "1.5", type="market", slippage_bps=100).order_id
            report(f"Sample order {order_id}: {json.dumps(SAMPLE_ORDER)}")
            for event in client.watch(order_id, timeout=_PATIENCE_S):
                report(f"  +{time.monotonic() - started:.2f} s  {describe(event)}")
    except ClientError as error:
        raise StackError(f"The sample order: {error}; emulator.log in .local has what the functions said") from error
