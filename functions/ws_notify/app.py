"""Status queue → frames to everyone who watches."""

from __future__ import annotations

import asyncio
from typing import Any

from order_engine.runtime.ws_notify import compose

notifier = compose()
runner = asyncio.Runner()


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """A batch of the FIFO queue in, the partial batch response out."""
    return runner.run(notifier.work(event["Records"]))
