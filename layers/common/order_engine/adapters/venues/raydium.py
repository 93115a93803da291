"""Raydium's constant-product pools, with the arithmetic of raydium-cp-swap.

Source: `programs/cp-swap/src/curve/{fees,constant_product,calculator}.rs`. Every rounding favours the pool.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isqrt
from typing import ClassVar

from order_engine.adapters.market import Market, Pair, units_worth
from order_engine.adapters.venues.simulated import Trade, cdiv, impact_bps, insufficient_liquidity
from order_engine.domain.errors import ErrorCode

_RATE = 1_000_000


@dataclass(frozen=True, slots=True)
class ConstantProduct:
    """Reserves in base units; `fee_rate` in millionths of the amount in."""

    reserve_in: int
    reserve_out: int
    fee_rate: int = 2500

    def exact_in(self, amount: int) -> Trade:
        fee = cdiv(amount * self.fee_rate, _RATE)
        taken = amount - fee
        given = taken * self.reserve_out // (self.reserve_in + taken)
        return self._trade(taken, given, fee)

    def exact_out(self, amount: int) -> Trade:
        if amount >= self.reserve_out:
            raise insufficient_liquidity()
        taken = cdiv(self.reserve_in * amount, self.reserve_out - amount)
        fee = cdiv(taken * _RATE, _RATE - self.fee_rate) - taken
        return self._trade(taken, amount, fee)

    def _trade(self, taken: int, given: int, fee: int) -> Trade:
        return Trade(taken + fee, given, fee, impact_bps(taken, given, self.reserve_out, self.reserve_in))


@dataclass(frozen=True, slots=True)
class Raydium:
    """One pool a pair, worth `depth_usd` a side when it was opened: 20,000 SOL against 3,000,000 USDC."""

    name: ClassVar[str] = "raydium"
    errors: ClassVar[Mapping[ErrorCode, tuple[int, str]]] = {
        ErrorCode.SLIPPAGE_TOLERANCE_EXCEEDED: (6005, "ExceededSlippage"),
        ErrorCode.INSUFFICIENT_LIQUIDITY: (6012, "InsufficientVault"),
    }

    market: Market
    depth_usd: int = 3_000_000

    def pool(self, pair: Pair, token_in: str, at: datetime) -> ConstantProduct:
        """Trading has moved the reserves along their constant product to the price of the moment."""
        product = units_worth(self.depth_usd, pair.base) * units_worth(self.depth_usd, pair.quote)
        up, down = pair.unit_price
        base = isqrt(product * down // (self.market.price(self.name, pair, at) * up))
        quote = product // base
        return ConstantProduct(base, quote) if token_in == pair.base else ConstantProduct(quote, base)
