"""Every minute → remind the engine of orders that stand still."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from order_engine.runtime.event_loop import make_runner
from order_engine.runtime.watch_orders import compose

watch = compose()
runner = make_runner()

# Enough to finish a page that has been begun.
RESERVE = timedelta(seconds=10)


def handler(_event: dict[str, Any], context: Any) -> dict[str, Any]:
    """What the run has seen and done. The event says nothing: any invocation is a run."""
    remaining = timedelta(milliseconds=context.get_remaining_time_in_millis())
    return asdict(runner.run(watch.run(deadline=datetime.now(UTC) + remaining - RESERVE)))
