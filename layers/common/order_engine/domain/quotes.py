"""What venues answer and what the engine decides from it: quotes, legs and the route."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from order_engine.domain.errors import QuoteFailed


class SwapMode(StrEnum):
    """Which side of the swap the client fixed."""

    EXACT_IN = "exactIn"
    EXACT_OUT = "exactOut"


@dataclass(frozen=True, slots=True)
class Swap:
    """A swap to be priced: `amount` base units of `token_in` (exact in) or of `token_out` (exact out)."""

    token_in: str
    token_out: str
    amount: int
    mode: SwapMode

    def keeps(self, limit: int, amount_in: int, amount_out: int) -> bool:
        """Whether a fill respects the floor: at least `limit` out (exact in), at most `limit` in (exact out)."""
        return amount_out >= limit if self.mode is SwapMode.EXACT_IN else amount_in <= limit

    def limit(self, amount_in: int, amount_out: int, slippage_bps: int) -> int:
        """The worst acceptable other side of a quote: minimum out rounds down, maximum in rounds up."""
        if self.mode is SwapMode.EXACT_IN:
            return amount_out * (10_000 - slippage_bps) // 10_000
        return -(-amount_in * (10_000 + slippage_bps) // 10_000)


@dataclass(frozen=True, slots=True)
class Quote:
    """One venue's answer, all amounts in base units. `fee` is in `token_in` and part of `amount_in`.

    `impact_bps` is the price impact without the fee, against the pool's price before the swap.
    """

    dex: str
    pool: str
    token_in: str
    token_out: str
    amount_in: int
    amount_out: int
    fee: int
    impact_bps: Decimal


@dataclass(frozen=True, slots=True)
class Leg:
    """One swap of a route, through one pool. Pools hold wrapped SOL: a leg says `wSOL` where the order says `SOL`."""

    dex: str
    pool: str
    token_in: str
    token_out: str
    amount_in: int
    amount_out: int
    fee: int


@dataclass(frozen=True, slots=True)
class Route:
    """The chosen way to swap. `reason` is a sentence for the client: why this route and not another."""

    legs: tuple[Leg, ...]
    amount_in: int
    amount_out: int
    impact_bps: Decimal
    improvement_bps: Decimal
    """Net gain over the best venue that was not chosen; 0 when only one answered."""
    reason: str

    @property
    def dex(self) -> str:
        """The venue's name, or all of them joined by a plus sign."""
        return "+".join(dict.fromkeys(leg.dex for leg in self.legs))


VenueAnswer = Quote | QuoteFailed
"""By venue name, in `dict[str, VenueAnswer]`: losers and failures are kept with the order."""


@dataclass(frozen=True, slots=True)
class Quotation:
    """What an order would get if it were executed at that moment."""

    swap: Swap
    slippage_bps: int
    answers: Mapping[str, VenueAnswer]
    route: Route
    limit: int
    """The floor that the order would keep."""
    at: datetime
