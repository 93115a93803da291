from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import combinations, permutations

import pytest

from order_engine.adapters.market import LISTINGS, SCALE, Market, Pair, pair_of, units_worth
from order_engine.adapters.venues import VENUES, programs, venues
from order_engine.adapters.venues.simulated import price
from order_engine.domain import routes
from order_engine.domain.errors import ErrorCode, QuoteFailed
from order_engine.domain.quotes import Swap, SwapMode
from order_engine.domain.tokens import TOKENS
from tests.fakes import NOON, FrozenClock

MARKET = Market(seed=42)
SOL_USDC = Pair("SOL", "USDC")
SELL_ONE_SOL = Swap("SOL", "USDC", 10**9, SwapMode.EXACT_IN)

POOLLESS = {frozenset(pair) for pair in (("RAY", "JUP"), ("RAY", "BONK"), ("JUP", "BONK"))}


@dataclass
class NappingClock(FrozenClock):
    naps: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        await super().sleep(seconds)


def through_a_day(step: timedelta) -> Iterator[datetime]:
    at = NOON
    while at < NOON + timedelta(days=1):
        yield at
        at += step


def test_every_token_has_a_price() -> None:
    assert LISTINGS.keys() == TOKENS.keys()


@pytest.mark.parametrize(("token", "other"), list(permutations(TOKENS, 2)))
def test_all_pairs_with_a_hub_have_pools_both_ways_and_no_others(token: str, other: str) -> None:
    swap = Swap(token, other, units_worth(100, token), SwapMode.EXACT_IN)
    for program in programs(MARKET).values():
        if {token, other} in POOLLESS:
            with pytest.raises(QuoteFailed) as failure:
                price(program, swap, NOON)
            assert failure.value.reason is ErrorCode.NO_ROUTE_FOUND
            assert not failure.value.may_work
        else:
            quote = routes.check(swap, price(program, swap, NOON))
            assert units_worth(80, other) < quote.amount_out < units_worth(120, other)


@pytest.mark.parametrize(("token", "other"), list(permutations(TOKENS, 2)))
def test_an_exact_amount_out_can_be_bought_wherever_there_is_a_pool(token: str, other: str) -> None:
    swap = Swap(token, other, units_worth(100, other), SwapMode.EXACT_OUT)
    for program in programs(MARKET).values():
        if {token, other} not in POOLLESS:
            quote = routes.check(swap, price(program, swap, NOON))
            assert units_worth(80, token) < quote.amount_in < units_worth(120, token)


def test_an_amount_too_small_to_buy_anything_has_no_route() -> None:
    for program in programs(MARKET).values():
        with pytest.raises(QuoteFailed) as failure:
            price(program, Swap("SOL", "USDC", 1, SwapMode.EXACT_IN), NOON)
        assert failure.value.reason is ErrorCode.NO_ROUTE_FOUND


def test_pools_hold_wrapped_sol() -> None:
    assert SOL_USDC.pool == "wSOL-USDC"
    assert pair_of("USDC", "SOL") == pair_of("SOL", "USDC") == SOL_USDC


def test_the_price_does_not_depend_on_the_process() -> None:
    script = (
        "from datetime import datetime, UTC\n"
        "from order_engine.adapters.market import Market, Pair\n"
        "at = datetime(2026, 11, 21, 12, tzinfo=UTC)\n"
        "print(Market(42).price('raydium', Pair('SOL', 'USDC'), at))"
    )

    def elsewhere(hash_seed: str) -> int:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True, timeout=60
        )
        return int(done.stdout)

    here = MARKET.price("raydium", SOL_USDC, NOON)
    assert {elsewhere("1"), elsewhere("2")} == {here}


def test_the_price_is_what_it_has_always_been() -> None:
    assert MARKET.price("raydium", SOL_USDC, NOON) == 155820303057417259219610835196125000000


def test_another_seed_is_another_market() -> None:
    assert MARKET.price("raydium", SOL_USDC, NOON) != Market(seed=43).price("raydium", SOL_USDC, NOON)


def test_prices_move_but_stay_near_where_they_started() -> None:
    prices = [MARKET.price("raydium", SOL_USDC, at) for at in through_a_day(timedelta(minutes=10))]

    assert all(130 * SCALE < price < 170 * SCALE for price in prices)
    assert max(prices) - min(prices) > 3 * SCALE


@pytest.mark.parametrize("pair", [Pair("SOL", "USDC"), Pair("BONK", "SOL"), Pair("USDT", "USDC")])
def test_the_default_slippage_outlasts_a_landing(pair: Pair) -> None:
    for name in VENUES:
        for at in through_a_day(timedelta(seconds=97)):
            before, after = (MARKET.price(name, pair, at + timedelta(seconds=seconds)) for seconds in (0, 3))
            assert abs(after - before) * 10_000 < 50 * before


def test_a_price_moves_within_a_landing() -> None:
    moved = [
        MARKET.price("raydium", SOL_USDC, at) != MARKET.price("raydium", SOL_USDC, at + timedelta(milliseconds=400))
        for at in through_a_day(timedelta(minutes=10))
    ]
    assert all(moved)


def test_venues_drift_a_few_percent_apart_and_each_wins_its_share() -> None:
    winners: Counter[str] = Counter()
    gains = []
    for at in through_a_day(timedelta(minutes=5)):
        answers = {name: price(program, SELL_ONE_SOL, at) for name, program in programs(MARKET).items()}
        route = routes.choose(SELL_ONE_SOL, answers, max_impact_bps=Decimal(10_000))
        winners[route.dex] += 1
        gains.append(route.improvement_bps)

    assert winners.keys() == VENUES.keys()
    assert min(winners.values()) > winners.total() / 4
    assert 200 < max(gains) < 600


@pytest.mark.parametrize("name", VENUES)
def test_a_venue_thinks_for_its_delay_and_then_quotes_the_pool_of_that_moment(name: str) -> None:
    clock = NappingClock()
    venue = next(venue for venue in venues(MARKET, clock, delay_ms=200) if venue.name == name)

    swap = Swap("SOL", "USDC", 100 * 10**9, SwapMode.EXACT_IN)

    quote = asyncio.run(venue.quote(swap))

    assert clock.naps == [0.2]
    assert quote == price(programs(MARKET)[name], swap, NOON + timedelta(milliseconds=200))
    assert quote != price(programs(MARKET)[name], swap, NOON)
    assert (quote.dex, quote.pool, quote.token_in, quote.token_out) == (name, "wSOL-USDC", "SOL", "USDC")


def test_a_deep_order_finds_too_little_in_bins_but_not_on_the_curve() -> None:
    swap = Swap("SOL", "USDC", 5_000 * 10**9, SwapMode.EXACT_IN)

    assert price(programs(MARKET)["raydium"], swap, NOON).amount_out > 0
    with pytest.raises(QuoteFailed) as failure:
        price(programs(MARKET)["meteora"], swap, NOON)
    assert failure.value.reason is ErrorCode.INSUFFICIENT_LIQUIDITY


def test_a_round_trip_never_earns_anything() -> None:
    for token, other in combinations(("SOL", "USDC", "BONK"), 2):
        for program in programs(MARKET).values():
            there = price(program, Swap(token, other, units_worth(1_000, token), SwapMode.EXACT_IN), NOON)
            back = price(program, Swap(other, token, there.amount_out, SwapMode.EXACT_IN), NOON)
            assert back.amount_out < there.amount_in
