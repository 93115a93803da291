"""Ask every venue for a quote at once. What one of them breaks by is its own answer and no trouble of the others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from order_engine.domain import routes
from order_engine.domain.errors import ErrorCode, QuoteFailed, Unavailable
from order_engine.domain.quotes import Swap, VenueAnswer
from order_engine.service.ports import Venue

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RoutingPolicy:
    quote_timeout_seconds: float = 1.0
    max_impact_bps: Decimal = Decimal(1_000)


async def ask_venues(
    venues: Sequence[Venue], swap: Swap, policy: RoutingPolicy, facts: Mapping[str, object]
) -> dict[str, VenueAnswer]:
    """Every venue's answer by its name, in the order of the venues. `facts` go to the log with what broke."""
    answers = await asyncio.gather(*(_ask(venue, swap, policy.quote_timeout_seconds, facts) for venue in venues))
    return {venue.name: answer for venue, answer in zip(venues, answers, strict=True)}


async def _ask(venue: Venue, swap: Swap, patience: float, facts: Mapping[str, object]) -> VenueAnswer:
    try:
        async with asyncio.timeout(patience):
            return routes.check(swap, await venue.quote(swap))
    except QuoteFailed as failure:
        return failure
    except TimeoutError:
        detail = f"{venue.name} did not answer within {patience:g} s"
        return QuoteFailed(ErrorCode.VENUE_TIMEOUT, detail, may_work=True)
    except Unavailable:
        return QuoteFailed(ErrorCode.VENUE_UNAVAILABLE, f"{venue.name} is unavailable", may_work=True)
    except Exception:
        # A venue is somebody else's system: whatever it breaks by, the others can still answer.
        logger.exception("venue broke", extra={**facts, "dex": venue.name})
        return QuoteFailed(ErrorCode.VENUE_UNAVAILABLE, f"{venue.name} gave no usable answer", may_work=True)
