from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from order_engine.adapters.venues.raydium import ConstantProduct
from order_engine.domain.errors import ErrorCode, QuoteFailed

SOL, USDC = 10**9, 10**6

SELLING_SOL = ConstantProduct(20_000 * SOL, 3_000_000 * USDC)

reserves = st.integers(1, 10**18)
pools = st.builds(ConstantProduct, reserves, reserves)
amounts = st.integers(1, 10**21)


def test_500_sol_sell_for_what_the_real_program_gives() -> None:
    trade = SELLING_SOL.exact_in(500 * SOL)

    assert trade.amount_out == 72_992_255_625
    assert trade.fee == 1_250_000_000
    assert trade.impact_bps == Decimal("243.3075")


def test_buying_that_amount_costs_the_same_500_sol() -> None:
    trade = SELLING_SOL.exact_out(72_992_255_625)

    assert trade.amount_in == 500 * SOL - 2, "the least lamports that still round to the same micro-dollar"
    assert trade.amount_out == 72_992_255_625
    assert trade.fee == 1_250_000_000


def test_a_fee_is_rounded_up() -> None:
    assert SELLING_SOL.exact_in(401).fee == 2
    assert SELLING_SOL.exact_in(1).fee == 1


def test_dust_buys_nothing() -> None:
    assert SELLING_SOL.exact_in(1).amount_out == 0


@pytest.mark.parametrize("amount", [3_000_000 * USDC, 3_000_001 * USDC])
def test_the_whole_reserve_cannot_be_bought(amount: int) -> None:
    with pytest.raises(QuoteFailed) as failure:
        SELLING_SOL.exact_out(amount)

    assert failure.value.reason is ErrorCode.INSUFFICIENT_LIQUIDITY
    assert not failure.value.may_work


@given(pools, amounts)
def test_a_sale_never_empties_the_pool_or_lowers_its_product(pool: ConstantProduct, amount: int) -> None:
    trade = pool.exact_in(amount)

    assert 0 <= trade.amount_out < pool.reserve_out
    kept = (pool.reserve_in + amount - trade.fee) * (pool.reserve_out - trade.amount_out)
    assert kept >= pool.reserve_in * pool.reserve_out
    assert trade.impact_bps >= 0


@given(pools, amounts, amounts)
def test_more_in_never_gives_less_out(pool: ConstantProduct, amount: int, more: int) -> None:
    assert pool.exact_in(amount + more).amount_out >= pool.exact_in(amount).amount_out


@given(pools, amounts)
def test_the_price_of_an_exact_amount_out_is_the_least_that_buys_it(pool: ConstantProduct, amount: int) -> None:
    assume(amount < pool.reserve_out)
    trade = pool.exact_out(amount)

    assert pool.exact_in(trade.amount_in).amount_out >= amount
    assert pool.exact_in(trade.amount_in - 1).amount_out < amount
    assert trade.impact_bps >= 0
