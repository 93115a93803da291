"""HTTP API → submit an order, read orders, health, documentation, the dashboard."""

from __future__ import annotations

from pathlib import Path

from order_engine.runtime.snapshot import prepare_for_snapshot
from order_engine.runtime.submit_order import compose

handler = compose(Path(__file__).parent)
prepare_for_snapshot("order_engine.adapters.database", "order_engine.adapters.venues")
