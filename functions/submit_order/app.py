"""HTTP API → submit an order, read orders, health, documentation."""

from __future__ import annotations

from order_engine.runtime.snapshot import prepare_for_snapshot
from order_engine.runtime.submit_order import compose

handler = compose()
prepare_for_snapshot("order_engine.adapters.database")
