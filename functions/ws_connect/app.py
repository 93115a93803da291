"""WebSocket API → connect, disconnect, subscribe, unsubscribe, submit, ping."""

from __future__ import annotations

from typing import Any

from order_engine.runtime.event_loop import make_runner
from order_engine.runtime.snapshot import prepare_for_snapshot
from order_engine.runtime.ws_connect import compose

api = compose()
runner = make_runner()
prepare_for_snapshot("order_engine.contracts.requests")


def handler(event: dict[str, Any], _context: object) -> dict[str, int]:
    """One WebSocket event in, the gateway's status out."""
    return runner.run(api.handle(event))
