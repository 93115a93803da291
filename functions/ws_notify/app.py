"""Status queue → frames to everyone who watches."""

from __future__ import annotations

from typing import Any

from order_engine.runtime.event_loop import make_runner
from order_engine.runtime.snapshot import prepare_for_snapshot
from order_engine.runtime.ws_notify import compose

notifier = compose()
runner = make_runner()
prepare_for_snapshot()


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """A batch of the FIFO queue in, the partial batch response out."""
    return runner.run(notifier.work(event["Records"]))
