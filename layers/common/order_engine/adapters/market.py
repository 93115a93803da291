"""The simulated market: every price is a pure function of (seed, instant), so all processes see one market.

Prices are integers over `SCALE`, in whole quote tokens per whole base token. Nothing is stored and nothing iterates:
a token's price is its listing price moved by hashed noise on a few time scales, and each venue sits a little off it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

from order_engine.domain.errors import ErrorCode, QuoteFailed
from order_engine.domain.events import NATIVE, WRAPPED
from order_engine.domain.tokens import TOKENS

SCALE = 10**36
"""Keeps 28 digits of the cheapest pair's price."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

_PPM = 1_000_000
_NOISE = 10**12

_SWINGS = ((86_400_000, 60_000), (3_600_000, 15_000), (300_000, 4_000), (30_000, 1_000), (2_000, 300))
"""(period in ms, largest swing to either side in ppm). At most 9 bps in 3 s, so a slippage of 100 bps holds."""

_VENUE_SWING = (600_000, 25_000)
"""Two venues drift up to 5 % apart, over minutes."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Where a token's price starts, in millionths of a cent, and how much of the usual swings it makes, in percent."""

    price: int
    volatility: int = 100

    @property
    def usd(self) -> int:
        """US dollars a whole token, over `SCALE`."""
        return self.price * SCALE // 10**8


LISTINGS = {
    "BONK": Listing(2_000),
    "JUP": Listing(50_000_000),
    "RAY": Listing(240_000_000),
    "SOL": Listing(15_000_000_000),
    "USDT": Listing(100_000_000, volatility=2),
    "USDC": Listing(100_000_000, volatility=0),
}
"""In the order in which tokens are priced: of two tokens, the first is the base and the second the quote."""

HUBS = frozenset({"SOL", "USDT", "USDC"})
"""Every pool has one of these."""


@dataclass(frozen=True, slots=True)
class Pair:
    base: str
    quote: str

    @property
    def pool(self) -> str:
        """The pool's name, the same on every venue: "wSOL-USDC"."""
        return f"{wrapped(self.base)}-{wrapped(self.quote)}"

    @property
    def unit_price(self) -> tuple[int, int]:
        """What turns a price over `SCALE` into quote units per base unit: price * numerator / denominator."""
        return _units(self.quote), SCALE * _units(self.base)


def pair_of(token: str, other: str) -> Pair:
    """The pair that these two tokens trade in; raises `QuoteFailed` when no venue has a pool of them."""
    if token == other or not HUBS & {token, other} or not {token, other} <= LISTINGS.keys():
        raise QuoteFailed(ErrorCode.NO_ROUTE_FOUND, f"there is no pool of {token} and {other}", may_work=False)
    base, quote = sorted((token, other), key=list(LISTINGS).index)
    return Pair(base, quote)


def wrapped(token: str) -> str:
    """The name under which pools hold the token."""
    return WRAPPED if token == NATIVE else token


def unwrapped(token: str) -> str:
    return NATIVE if token == WRAPPED else token


def draw(seed: int, *facts: object) -> int:
    """64 bits that depend on nothing but the seed and the facts, in any process and any version of Python."""
    text = ":".join(map(str, (seed, *facts)))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def units_worth(usd: int, token: str) -> int:
    """Base units of the token that were worth `usd` dollars when it was listed."""
    return usd * SCALE * _units(token) // LISTINGS[token].usd


def epoch_ms(at: datetime) -> int:
    return (at - _EPOCH) // _MILLISECOND


@dataclass(frozen=True, slots=True)
class Market:
    seed: int

    def price(self, venue: str, pair: Pair, at: datetime) -> int:
        """Quote per base at the venue, over `SCALE`: the reference, and the venue's own distance from it."""
        ms = epoch_ms(at)
        reference = self._usd(pair.base, ms) * SCALE // self._usd(pair.quote, ms)
        volatility = max(LISTINGS[pair.base].volatility, LISTINGS[pair.quote].volatility)
        return _moved(reference, self._swing(f"{venue}/{pair.pool}", *_VENUE_SWING, ms) * volatility)

    def _usd(self, token: str, ms: int) -> int:
        listing = LISTINGS[token]
        swings = sum(self._swing(token, period_ms, ppm, ms) for period_ms, ppm in _SWINGS)
        return _moved(listing.usd, swings * listing.volatility)

    def _swing(self, name: str, period_ms: int, ppm: int, ms: int) -> int:
        """Noise that is hashed at whole periods and linear between them, in [-ppm, ppm] over `_NOISE`."""
        step, into = divmod(ms, period_ms)
        here, there = (ppm * self._noise(name, period_ms, point) for point in (step, step + 1))
        return here + (there - here) * into // period_ms

    def _noise(self, name: str, period_ms: int, step: int) -> int:
        return draw(self.seed, name, period_ms, step) % (2 * _NOISE + 1) - _NOISE


def _units(token: str) -> int:
    """Base units of one whole token."""
    return int(10 ** TOKENS[token].decimals)


def _moved(price: int, swing: int) -> int:
    """`swing` is in ppm over `_NOISE`, times a volatility in percent."""
    whole = _PPM * _NOISE * 100
    return price * (whole + swing) // whole
