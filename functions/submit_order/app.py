"""HTTP API → submit an order, read orders, health, documentation."""

from __future__ import annotations

from order_engine.runtime.submit_order import compose

handler = compose()
