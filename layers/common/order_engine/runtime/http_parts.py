"""What the HTTP API is put together from. Free of FastAPI: a composition root names it before that is loaded."""

from __future__ import annotations

from dataclasses import dataclass

from order_engine.runtime.sites import Site
from order_engine.service.accept_order import AcceptOrder
from order_engine.service.check_health import CheckHealth
from order_engine.service.ports import Clock
from order_engine.service.quote_order import QuoteOrder
from order_engine.service.read_orders import ReadOrders
from order_engine.service.read_stats import ReadStats


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiParts:
    accept: AcceptOrder
    read: ReadOrders
    quote: QuoteOrder
    stats: ReadStats
    health: CheckHealth
    clock: Clock
    dashboard: Site
    documentation: Site
    web_socket_url: str
    """Where clients connect for live statuses."""
