"""What the HTTP API is put together from. Free of FastAPI: a composition root names it before that is loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from order_engine.runtime.dashboard import Dashboard
from order_engine.service.accept_order import AcceptOrder
from order_engine.service.check_health import CheckHealth
from order_engine.service.ports import Clock, Venue
from order_engine.service.read_orders import ReadOrders


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiParts:
    accept: AcceptOrder
    read: ReadOrders
    health: CheckHealth
    clock: Clock
    venues: Callable[[], Sequence[Venue]]
    """Made when they are first asked for: most requests are not about them."""
    dashboard: Dashboard
    web_socket_url: str
    """Where clients connect for live statuses."""
