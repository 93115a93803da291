"""Order queue → the execution protocol, one order a message."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from order_engine.runtime.event_loop import make_runner
from order_engine.runtime.execute_order import compose
from order_engine.runtime.snapshot import prepare_for_snapshot

worker = compose()
runner = make_runner()
prepare_for_snapshot()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A batch of the order queue in, the partial batch response out."""
    remaining = timedelta(milliseconds=context.get_remaining_time_in_millis())
    return runner.run(worker.work(event["Records"], deadline=datetime.now(UTC) + remaining))
