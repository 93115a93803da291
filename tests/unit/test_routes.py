from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from order_engine.domain.errors import AttemptFailed, ErrorCode, QuoteFailed
from order_engine.domain.quotes import Leg, Quote, Swap, SwapMode, VenueAnswer
from order_engine.domain.routes import check, choose

SELL = Swap("SOL", "USDC", 1_000_000_000, SwapMode.EXACT_IN)
BUY = Swap("USDC", "SOL", 1_000_000_000, SwapMode.EXACT_OUT)

LIMIT = Decimal(1_000)

TIMED_OUT = QuoteFailed(ErrorCode.VENUE_TIMEOUT, "no answer within 1 s", may_work=True)
TOO_LITTLE = QuoteFailed(ErrorCode.INSUFFICIENT_LIQUIDITY, "the pool holds too little", may_work=False)
NO_POOL = QuoteFailed(ErrorCode.NO_ROUTE_FOUND, "there is no pool", may_work=False)


def selling(dex: str, amount_out: int, impact: str = "5") -> Quote:
    return Quote(dex, "wSOL-USDC", "SOL", "USDC", SELL.amount, amount_out, 2_500_000, Decimal(impact))


def buying(dex: str, amount_in: int) -> Quote:
    return Quote(dex, "wSOL-USDC", "USDC", "SOL", amount_in, BUY.amount, 375_000, Decimal(5))


def test_the_most_net_output_wins() -> None:
    answers: dict[str, VenueAnswer] = {
        "raydium": selling("raydium", 149_785_700),
        "meteora": selling("meteora", 149_970_000),
    }
    route = choose(SELL, answers, LIMIT)

    assert route.legs == (Leg("meteora", "wSOL-USDC", "wSOL", "USDC", SELL.amount, 149_970_000, 2_500_000),)
    assert (route.dex, route.amount_in, route.amount_out) == ("meteora", SELL.amount, 149_970_000)
    assert round(route.improvement_bps, 2) == Decimal("12.30")
    assert route.reason == "meteora gives 149.97 USDC, 12.3 bps more than raydium"


def test_of_exact_outputs_the_least_input_wins() -> None:
    answers: dict[str, VenueAnswer] = {
        "raydium": buying("raydium", 150_000_000),
        "meteora": buying("meteora", 151_500_000),
    }
    route = choose(BUY, answers, LIMIT)

    assert route.legs[0].token_out == "wSOL"
    assert route.amount_in == 150_000_000
    assert route.reason == "raydium takes 150 USDC, 99.01 bps less than meteora"


def test_a_gain_is_over_the_best_of_the_losers() -> None:
    answers: dict[str, VenueAnswer] = {"a": selling("a", 100), "b": selling("b", 400), "c": selling("c", 200)}

    assert choose(SELL, answers, LIMIT).improvement_bps == 10_000


def test_a_tie_goes_to_the_same_venue_whoever_answered_first() -> None:
    raydium, meteora = selling("raydium", 150_000_000), selling("meteora", 150_000_000)

    for answers in ({"raydium": raydium, "meteora": meteora}, {"meteora": meteora, "raydium": raydium}):
        route = choose(SELL, answers, LIMIT)
        assert route.dex == "meteora"
        assert route.improvement_bps == 0
        assert route.reason == "meteora gives 150 USDC, the same as raydium"


@pytest.mark.parametrize("failure", [TIMED_OUT, TOO_LITTLE, NO_POOL])
def test_one_answer_is_enough(failure: QuoteFailed) -> None:
    route = choose(SELL, {"raydium": failure, "meteora": selling("meteora", 150_000_000)}, LIMIT)

    assert route.dex == "meteora"
    assert route.improvement_bps == 0
    assert route.reason == "only meteora answered"


def test_a_leg_goes_through_the_venue_that_was_asked_whatever_name_it_gave_itself() -> None:
    assert choose(SELL, {"meteora": selling("somebody else", 150_000_000)}, LIMIT).dex == "meteora"


def test_a_quote_beyond_the_impact_limit_loses_to_one_within_it() -> None:
    answers: dict[str, VenueAnswer] = {
        "raydium": selling("raydium", 150_000_000, impact="1000.01"),
        "meteora": selling("meteora", 140_000_000, impact="1000"),
    }
    route = choose(SELL, answers, LIMIT)

    assert route.dex == "meteora"
    assert route.improvement_bps == 0
    assert route.reason == "only meteora is within the price impact limit"


def test_an_impact_too_high_everywhere_never_works() -> None:
    answers: dict[str, VenueAnswer] = {
        "raydium": selling("raydium", 150_000_000, impact="1500"),
        "meteora": selling("meteora", 140_000_000, impact="1200.5"),
    }
    with pytest.raises(AttemptFailed) as failure:
        choose(SELL, answers, LIMIT)

    assert failure.value.reason is ErrorCode.PRICE_IMPACT_TOO_HIGH
    assert not failure.value.may_work
    assert failure.value.detail == "the price impact would be 1200.5 bps, more than the 1000 bps allowed"


@pytest.mark.parametrize(
    ("failures", "reason", "may_work"),
    [
        ((TIMED_OUT, TIMED_OUT), ErrorCode.VENUE_TIMEOUT, True),
        ((TOO_LITTLE, TIMED_OUT), ErrorCode.VENUE_TIMEOUT, True),
        ((TIMED_OUT, NO_POOL), ErrorCode.VENUE_TIMEOUT, True),
        ((NO_POOL, NO_POOL), ErrorCode.NO_ROUTE_FOUND, False),
        ((NO_POOL, TOO_LITTLE), ErrorCode.INSUFFICIENT_LIQUIDITY, False),
        ((TOO_LITTLE, TOO_LITTLE), ErrorCode.INSUFFICIENT_LIQUIDITY, False),
    ],
)
def test_without_any_quote_the_failures_decide_whether_to_try_again(
    failures: tuple[QuoteFailed, QuoteFailed], reason: ErrorCode, may_work: bool
) -> None:
    with pytest.raises(AttemptFailed) as failure:
        choose(SELL, dict(zip(("raydium", "meteora"), failures, strict=True)), LIMIT)

    assert failure.value.reason is reason
    assert failure.value.may_work is may_work
    assert f"raydium: {failures[0].detail}; meteora: {failures[1].detail}" in failure.value.detail


def test_no_venues_at_all_are_no_route() -> None:
    with pytest.raises(AttemptFailed) as failure:
        choose(SELL, {}, LIMIT)

    assert failure.value.reason is ErrorCode.NO_ROUTE_FOUND


@pytest.mark.parametrize(("swap", "quote"), [(SELL, selling("raydium", 1)), (BUY, buying("raydium", 375_001))])
def test_a_sound_quote_is_believed(swap: Swap, quote: Quote) -> None:
    assert check(swap, quote) is quote


@pytest.mark.parametrize(
    "nonsense",
    [
        {"token_in": "USDC"},
        {"token_out": "RAY"},
        {"token_in": "wSOL"},
        {"amount_in": SELL.amount - 1},
        {"amount_in": float(SELL.amount)},
        {"amount_in": str(SELL.amount)},
        {"amount_out": 0},
        {"amount_out": -150_000_000},
        {"amount_out": 149.9},
        {"amount_out": True},
        {"amount_out": None},
        {"fee": -1},
        {"fee": SELL.amount},
        {"fee": Decimal(1)},
        {"impact_bps": Decimal(-1)},
        {"impact_bps": Decimal("NaN")},
        {"impact_bps": Decimal("Infinity")},
        {"impact_bps": 5.0},
        {"pool": None},
    ],
    ids=str,
)
def test_a_nonsense_quote_is_a_venue_out_of_order(nonsense: dict[str, Any]) -> None:
    with pytest.raises(QuoteFailed) as failure:
        check(SELL, replace(selling("raydium", 150_000_000), **nonsense))

    assert failure.value.reason is ErrorCode.VENUE_UNAVAILABLE
    assert failure.value.may_work


@pytest.mark.parametrize("nonsense", [{"amount_out": BUY.amount + 1}, {"amount_out": BUY.amount - 1}, {"amount_in": 0}])
def test_a_nonsense_quote_of_an_exact_output_is_refused_too(nonsense: dict[str, Any]) -> None:
    with pytest.raises(QuoteFailed):
        check(BUY, replace(buying("raydium", 150_000_000), **nonsense))


@pytest.mark.parametrize("answer", [None, {}, "150", 150])
def test_what_is_no_quote_is_refused(answer: object) -> None:
    with pytest.raises(QuoteFailed):
        check(SELL, answer)
