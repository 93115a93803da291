"""Quote an order without placing it: what its first worker would do with it now, up to the signature."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from order_engine.domain import routes
from order_engine.domain.orders import SwapRequest
from order_engine.domain.quotes import Quotation
from order_engine.service.accept_order import is_untimely, untimely
from order_engine.service.ask_venues import RoutingPolicy, ask_venues
from order_engine.service.ports import Clock, Venue


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteOrder:
    venues: Callable[[], Sequence[Venue]]
    """Made when they are first asked: most requests are not about them."""
    clock: Clock
    policy: RoutingPolicy = field(default_factory=RoutingPolicy)

    async def __call__(self, request: SwapRequest) -> Quotation:
        """The route that the order would take, and the floor that it would keep. Nothing is stored or promised.

        Raises `InvalidOrder` for what would not be accepted, `AttemptFailed` for what could not be executed.
        """
        if is_untimely(request, self.clock.now()):
            raise untimely()
        answers = await ask_venues(self.venues(), request.swap, self.policy, {})
        route = routes.choose(request.swap, answers, self.policy.max_impact_bps)
        limit = request.limit_for(route)
        routes.hold(request.swap, route, limit)
        return Quotation(request.swap, request.slippage_bps, answers, route, limit, self.clock.now())
