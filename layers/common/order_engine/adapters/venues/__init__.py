"""The venues that orders are routed to. A new one is a file beside these and a line in the registry."""

from __future__ import annotations

from collections.abc import Callable

from order_engine.adapters.market import Market
from order_engine.adapters.venues.meteora import Meteora
from order_engine.adapters.venues.raydium import Raydium
from order_engine.adapters.venues.simulated import Program, SimulatedVenue
from order_engine.service.ports import Clock, Venue

VENUES: dict[str, Callable[[Market], Program]] = {
    Raydium.name: Raydium,
    Meteora.name: Meteora,
}


def programs(market: Market) -> dict[str, Program]:
    """By venue name, what a transaction runs through when it lands."""
    return {name: program(market) for name, program in VENUES.items()}


def venues(market: Market, clock: Clock, delay_ms: int) -> tuple[Venue, ...]:
    """What the engine asks for quotes; each takes `delay_ms` to answer."""
    return tuple(SimulatedVenue(program, clock, delay_ms) for program in programs(market).values())
