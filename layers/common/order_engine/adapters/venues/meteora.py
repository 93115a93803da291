"""Meteora's DLMM pools: liquidity in bins of constant price, and a fee that rises with every bin crossed.

Source: MeteoraAg/dlmm-sdk, `commons/src/{quote.rs,constants.rs,extensions/{lb_pair,bin}.rs,math/price_math.rs}`.
Every rounding favours the pool.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Context, Decimal
from functools import cache
from typing import ClassVar

from order_engine.adapters.market import SCALE, Market, Pair, units_worth
from order_engine.adapters.venues.simulated import Trade, cdiv, impact_bps, insufficient_liquidity
from order_engine.domain.errors import ErrorCode

BIN_STEP = 10
"""Two neighbouring bins are 10 bps apart. This and the next three are one of Meteora's presets."""
BASE_FACTOR = 10_000
VARIABLE_FEE_CONTROL = 40_000
MAX_VOLATILITY = 350_000

_RATE = 10**9
_MAX_FEE_RATE = 10**8

_BIN_IDS = range(-20_000, 20_001)
"""Prices from 2e-9 to 5e8: far beyond any pair listed."""

_PRECISE = Context(prec=60)


@cache
def bin_price(bin_id: int) -> int:
    """(1 + bin step) ** id, in whole quote tokens per whole base token over `SCALE`: the bin's price by definition."""
    ratio = 1 + Decimal(BIN_STEP) / 10_000
    return int(_PRECISE.power(ratio, bin_id).scaleb(len(str(SCALE)) - 1, _PRECISE))


@cache
def fee_rate(crossed: int) -> int:
    """Billionths of the amount in, after `crossed` bins in a pool that has been quiet."""
    base = BASE_FACTOR * BIN_STEP * 10
    volatility = min(crossed * 10_000, MAX_VOLATILITY)
    variable = cdiv(VARIABLE_FEE_CONTROL * (volatility * BIN_STEP) ** 2, 10**11)
    return min(base + variable, _MAX_FEE_RATE)


@dataclass(frozen=True, slots=True)
class Bin:
    """Holds `reserve` units of the token out, and gives `out` of them for every `per` units in."""

    reserve: int
    out: int
    per: int


@dataclass(frozen=True, slots=True)
class Dlmm:
    """Bins in the order in which a swap crosses them, the active one first."""

    bins: tuple[Bin, ...]

    def exact_in(self, amount: int) -> Trade:
        left, given, fees = amount, 0, 0
        for crossed, bin in enumerate(self.bins):
            taken, fee = _cost(bin, bin.reserve, crossed)
            if left < taken + fee:
                fee = cdiv(left * fee_rate(crossed), _RATE)
                bought = min(bin.reserve, (left - fee) * bin.out // bin.per)
                return self._trade(amount, given + bought, fees + fee)
            left, given, fees = left - taken - fee, given + bin.reserve, fees + fee
        if left:
            raise insufficient_liquidity()
        return self._trade(amount, given, fees)

    def exact_out(self, amount: int) -> Trade:
        left, taken, fees = amount, 0, 0
        for crossed, bin in enumerate(self.bins):
            bought = min(left, bin.reserve)
            cost, fee = _cost(bin, bought, crossed)
            left, taken, fees = left - bought, taken + cost, fees + fee
            if not left:
                return self._trade(taken + fees, amount, fees)
        raise insufficient_liquidity()

    def _trade(self, amount: int, given: int, fees: int) -> Trade:
        return Trade(amount, given, fees, impact_bps(amount - fees, given, self.bins[0].out, self.bins[0].per))


def _cost(bin: Bin, bought: int, crossed: int) -> tuple[int, int]:
    """The least that buys so much of one bin, and the fee on top."""
    taken = cdiv(bought * bin.per, bin.out)
    rate = fee_rate(crossed)
    return taken, cdiv(taken * rate, _RATE - rate)


@dataclass(frozen=True, slots=True)
class Meteora:
    """One pool a pair, with `bin_usd` dollars (when opened) in each of `depth` bins to either side of the active one.

    A bin is 30 SOL: three times what moves Raydium's pool as far, so that the two compete.
    """

    name: ClassVar[str] = "meteora"
    errors: ClassVar[Mapping[ErrorCode, tuple[int, str]]] = {
        ErrorCode.SLIPPAGE_TOLERANCE_EXCEEDED: (6003, "ExceededAmountSlippageTolerance"),
        ErrorCode.INSUFFICIENT_LIQUIDITY: (6012, "PairInsufficientLiquidity"),
    }

    market: Market
    bin_usd: int = 4_500
    depth: int = 70

    def pool(self, pair: Pair, token_in: str, at: datetime) -> Dlmm:
        """The active bin holds the more quote tokens the higher the price stands inside it."""
        price = self.market.price(self.name, pair, at)
        active = _BIN_IDS[bisect_right(_BIN_IDS, price, key=bin_price) - 1]
        floor, ceiling = bin_price(active), bin_price(active + 1)
        full = units_worth(self.bin_usd, pair.quote)
        sold = full * (price - floor) // (ceiling - floor)
        if token_in == pair.base:
            return Dlmm(bids(pair, active, sold, full, self.depth))
        return Dlmm(asks(pair, active, full - sold, full, self.depth))


def bids(pair: Pair, active: int, first: int, full: int, depth: int) -> tuple[Bin, ...]:
    """What a seller of the base token walks down: `first` quote units in the active bin, `full` in each below."""
    up, down = pair.unit_price
    reserves = (first, *[full] * depth)
    return tuple(Bin(reserve, bin_price(active - i) * up, down) for i, reserve in enumerate(reserves))


def asks(pair: Pair, active: int, first: int, full: int, depth: int) -> tuple[Bin, ...]:
    """What a buyer of the base token walks up: base tokens worth `first`, then `full` quote units a bin."""
    up, down = pair.unit_price
    prices = [bin_price(active + i) * up for i in range(depth + 1)]
    values = (first, *[full] * depth)
    return tuple(Bin(value * down // price, down, price) for value, price in zip(values, prices, strict=True))
