"""WebSocket API → connect, disconnect, subscribe, unsubscribe, submit, ping."""

from __future__ import annotations

import asyncio
from typing import Any

from order_engine.runtime.ws_connect import compose

api = compose()
runner = asyncio.Runner()


def handler(event: dict[str, Any], _context: object) -> dict[str, int]:
    """One WebSocket event in, the gateway's status out."""
    return runner.run(api.handle(event))
