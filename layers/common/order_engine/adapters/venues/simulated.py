"""What every venue of the simulated world shares: a program on chain, its pools, and quotes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from order_engine.adapters.market import Pair, pair_of
from order_engine.domain.errors import ErrorCode, QuoteFailed
from order_engine.domain.quotes import Quote, Swap, SwapMode
from order_engine.service.ports import Clock


@dataclass(frozen=True, slots=True)
class Trade:
    """What a pool takes and gives, in base units. `fee` is part of `amount_in`."""

    amount_in: int
    amount_out: int
    fee: int
    impact_bps: Decimal


class Pool(Protocol):
    """One pool at one instant, seen by a trader who gives one of its tokens for the other.

    Both methods raise `QuoteFailed` when the pool holds too little.
    """

    def exact_in(self, amount: int) -> Trade:
        """The most that `amount` buys."""
        ...

    def exact_out(self, amount: int) -> Trade:
        """The least that buys `amount`."""
        ...


class Program(Protocol):
    """A venue's program on the simulated chain."""

    @property
    def name(self) -> str: ...

    @property
    def errors(self) -> Mapping[ErrorCode, tuple[int, str]]:
        """The number and name under which the program reports slippage and too little liquidity."""
        ...

    def pool(self, pair: Pair, token_in: str, at: datetime) -> Pool: ...


@dataclass(frozen=True, slots=True)
class SimulatedVenue:
    """Quotes from the pool as it is `delay_ms` after the question."""

    program: Program
    clock: Clock
    delay_ms: int

    @property
    def name(self) -> str:
        return self.program.name

    async def quote(self, swap: Swap) -> Quote:
        await self.clock.sleep(self.delay_ms / 1000)
        return price(self.program, swap, self.clock.now())


def price(program: Program, swap: Swap, at: datetime) -> Quote:
    """The swap at that instant, which is what a quote says and what a landing transaction gets."""
    pair = pair_of(swap.token_in, swap.token_out)
    pool = program.pool(pair, swap.token_in, at)
    trade = pool.exact_in(swap.amount) if swap.mode is SwapMode.EXACT_IN else pool.exact_out(swap.amount)
    if trade.amount_out == 0:
        detail = f"the amount is too small to buy any {swap.token_out}"
        raise QuoteFailed(ErrorCode.NO_ROUTE_FOUND, detail, may_work=False)
    return Quote(
        program.name,
        pair.pool,
        swap.token_in,
        swap.token_out,
        trade.amount_in,
        trade.amount_out,
        trade.fee,
        trade.impact_bps,
    )


def impact_bps(taken: int, given: int, out: int, per: int) -> Decimal:
    """(P0 - given/taken) / P0 with P0 = out/per, the pool's price before the swap; `taken` excludes the fee."""
    fair = taken * out
    return (Decimal((fair - given * per) * 10_000) / fair).quantize(Decimal("0.0001")) if fair else Decimal(0)


def cdiv(numerator: int, denominator: int) -> int:
    """Division rounded up."""
    return -(-numerator // denominator)


def insufficient_liquidity() -> QuoteFailed:
    return QuoteFailed(ErrorCode.INSUFFICIENT_LIQUIDITY, "the pool holds too little for this amount", may_work=False)
