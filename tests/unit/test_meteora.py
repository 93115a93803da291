from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from order_engine.adapters.market import SCALE, Pair
from order_engine.adapters.venues.meteora import Bin, Dlmm, asks, bids, bin_price, fee_rate
from order_engine.domain.errors import ErrorCode, QuoteFailed

SOL, USDC = 10**9, 10**6

PAIR = Pair("SOL", "USDC")
ACTIVE = 5013
FULL = 3_000 * USDC

SELLING_SOL = Dlmm(bids(PAIR, ACTIVE, FULL, FULL, depth=70))
BUYING_SOL = Dlmm(asks(PAIR, ACTIVE, FULL, FULL, depth=70))

bins = st.builds(Bin, reserve=st.integers(0, 10**15), out=st.integers(1, 10**20), per=st.integers(1, 10**20))
pools = st.builds(Dlmm, st.lists(bins, min_size=1, max_size=40).map(tuple))
amounts = st.integers(1, 10**17)


def test_500_sol_sell_for_what_the_real_program_gives() -> None:
    trade = SELLING_SOL.exact_in(500 * SOL)

    assert trade.amount_out == 73_974_843_182
    assert trade.amount_out // FULL == 24, "bins crossed"
    assert trade.amount_in == 500 * SOL


def test_buying_that_amount_costs_the_same_500_sol() -> None:
    trade = SELLING_SOL.exact_out(73_974_843_182)

    assert trade.amount_in == 500 * SOL - 2
    assert trade.amount_out == 73_974_843_182


@pytest.mark.parametrize(
    ("crossed", "bps"), [(0, "10"), (1, "10.04"), (5, "11"), (10, "14"), (20, "26"), (35, "59"), (36, "59")]
)
def test_the_fee_rises_with_every_bin_crossed_up_to_a_maximum(crossed: int, bps: str) -> None:
    assert Decimal(fee_rate(crossed)) / 100_000 == Decimal(bps)


@pytest.mark.parametrize("bin_id", [ACTIVE, 0, 1, -1, -15_850])
def test_a_bins_price_is_exact_to_the_last_digit_kept(bin_id: int) -> None:
    exact = Fraction(1001, 1000) ** bin_id * SCALE

    assert bin_price(bin_id) == exact.numerator // exact.denominator


def test_inside_the_active_bin_the_price_does_not_move() -> None:
    small, large = SELLING_SOL.exact_in(1 * SOL), SELLING_SOL.exact_in(19 * SOL)

    assert small.impact_bps < Decimal("0.001")
    assert large.impact_bps < Decimal("0.001")
    assert large.amount_out == pytest.approx(19 * small.amount_out, abs=19)


def test_buying_walks_up_where_selling_walks_down() -> None:
    sold = SELLING_SOL.exact_in(100 * SOL)
    bought = BUYING_SOL.exact_out(100 * SOL)

    fair = 100 * bin_price(ACTIVE) * USDC // SCALE
    assert sold.amount_out < fair < bought.amount_in
    assert bought.amount_in - bought.fee > fair
    assert BUYING_SOL.exact_in(bought.amount_in).amount_out >= 100 * SOL


def test_a_bin_taken_exactly_is_taken_whole() -> None:
    price_of_a_bin = SELLING_SOL.exact_out(FULL)

    assert SELLING_SOL.exact_in(price_of_a_bin.amount_in) == price_of_a_bin
    assert SELLING_SOL.exact_in(price_of_a_bin.amount_in - 1).amount_out < FULL


def test_an_empty_active_bin_is_passed_without_charge() -> None:
    pool = Dlmm(bids(PAIR, ACTIVE, 0, FULL, depth=2))

    assert pool.exact_in(10 * SOL).amount_out == pytest.approx(
        SELLING_SOL.exact_in(10 * SOL).amount_out * 1000 / 1001, rel=1e-5
    )


def test_all_of_the_liquidity_can_be_bought_and_no_more() -> None:
    everything = SELLING_SOL.exact_out(71 * FULL)

    assert SELLING_SOL.exact_in(everything.amount_in).amount_out == 71 * FULL
    with pytest.raises(QuoteFailed) as too_much_in:
        SELLING_SOL.exact_in(everything.amount_in + 1)
    with pytest.raises(QuoteFailed) as too_much_out:
        SELLING_SOL.exact_out(71 * FULL + 1)
    for failure in (too_much_in.value, too_much_out.value):
        assert failure.reason is ErrorCode.INSUFFICIENT_LIQUIDITY
        assert not failure.may_work


@given(pools, amounts, amounts)
def test_more_in_never_gives_less_out_and_never_more_than_there_is(pool: Dlmm, amount: int, more: int) -> None:
    less_out, more_out = _out(pool, amount), _out(pool, amount + more)
    assume(more_out is not None)

    assert less_out is not None
    assert more_out is not None
    assert less_out <= more_out <= sum(bin.reserve for bin in pool.bins)


@given(pools, st.integers(1, 10**15))
def test_the_price_of_an_exact_amount_out_is_the_least_that_buys_it(pool: Dlmm, amount: int) -> None:
    assume(amount <= sum(bin.reserve for bin in pool.bins))
    trade = pool.exact_out(amount)
    given_for_it = _out(pool, trade.amount_in)
    given_for_less = _out(pool, trade.amount_in - 1)

    assert given_for_it is not None
    assert given_for_it >= amount
    assert given_for_less is not None
    assert given_for_less < amount
    assert 0 <= trade.fee < trade.amount_in


@given(st.integers(1, 200_000 * USDC))
def test_where_units_in_are_finer_than_units_out_an_exact_amount_out_comes_out_exactly(amount: int) -> None:
    trade = SELLING_SOL.exact_out(amount)
    again = SELLING_SOL.exact_in(trade.amount_in)

    assert again.amount_out == amount
    assert trade.impact_bps >= 0


def _out(pool: Dlmm, amount: int) -> int | None:
    try:
        return pool.exact_in(amount).amount_out
    except QuoteFailed:
        return None
