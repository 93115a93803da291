"""`POST /api/quotes`: the numbers that an order would get, and the errors that it would fail with."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from order_engine.domain.errors import ErrorCode, QuoteFailed, Unavailable
from order_engine.domain.quotes import Quote, Swap
from tests.functions.api import Api

SELL = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": "1.5", "slippageBps": 50}
BUY = {"baseToken": "SOL", "quoteToken": "USDC", "amount": "1.5", "side": "buy"}


@dataclass(frozen=True)
class OddVenue:
    """Does what it is told to instead of quoting."""

    name: str
    trouble: Exception | None = None
    amount_out: int = 200_000_000
    impact_bps: Decimal = Decimal(3)

    async def quote(self, swap: Swap) -> Quote:
        if self.trouble is not None:
            raise self.trouble
        return Quote(self.name, "pool", "SOL", "USDC", swap.amount, self.amount_out, 1, self.impact_bps)


def quote(api: Api, order: dict[str, Any]) -> Any:
    answer = api.post(order, path="/api/quotes")
    assert answer.status == 200, answer.text
    return answer.json


def refusal(order: dict[str, Any], *odd: OddVenue) -> tuple[int, str, bool]:
    answer = Api(venues=odd or None).post(order, path="/api/quotes")
    return answer.status, answer.json["code"], answer.json["retryable"]


def test_a_quote_says_what_the_order_would_get_and_what_it_would_keep_to() -> None:
    api = Api()
    answer = quote(api, SELL)
    best, other = sorted(answer["quotes"], key=lambda one: Decimal(one["amountOut"]), reverse=True)
    assert {venue["dex"] for venue in (best, other)} == {"raydium", "meteora"}
    assert (answer["dex"], answer["quote"]) == (best["dex"], best)
    assert (answer["amountIn"], answer["amountOut"]) == ("1.5", best["amountOut"])
    assert answer["priceImpactBps"] == best["priceImpactBps"]
    assert answer["timestamp"] == "2026-11-21T12:00:00.000Z"
    [leg] = answer["route"]
    assert (leg["dex"], leg["tokenIn"], leg["amountOut"]) == (best["dex"], "wSOL", best["amountOut"])
    given, floor = Decimal(answer["amountOut"]), Decimal(answer["minAmountOut"])
    assert 0 <= given * Decimal("0.995") - floor < Decimal("0.000001")
    assert answer["maxAmountIn"] is None
    assert Decimal(answer["price"]) == (given / Decimal("1.5")).quantize(Decimal("0.000000001"))
    gain = (given / Decimal(other["amountOut"]) - 1) * 10_000
    assert Decimal(answer["priceImprovementBps"]) == gain.quantize(Decimal("0.01"))


def test_a_quote_for_what_comes_out_says_the_most_that_may_go_in() -> None:
    answer = quote(Api(), BUY)
    assert (answer["tokenIn"], answer["tokenOut"], answer["swapMode"]) == ("USDC", "SOL", "exactOut")
    assert (answer["amount"], answer["amountOut"], answer["minAmountOut"]) == ("1.5", "1.5", None)
    assert Decimal(answer["maxAmountIn"]) >= Decimal(answer["amountIn"]) * Decimal("1.01")


def test_a_quote_leaves_nothing_behind() -> None:
    api = Api()
    quote(api, SELL | {"userId": "u1", "clientOrderId": "c1"})
    assert api.traces == (0, 0, 0)


def test_every_dialect_is_quoted_the_same() -> None:
    api = Api()
    same = [
        quote(api, {"tokenIn": "SOL", "tokenOut": "USDC", "amount": "1.5"}),
        quote(api, {"inputToken": "SOL", "outputToken": "USDC", "amount": 1.5}),
        quote(api, {"baseToken": "SOL", "quoteToken": "USDC", "amount": 1.5, "side": "sell"}),
    ]
    assert same[0] == same[1] == same[2]


def test_the_venue_that_has_no_answer_is_named_beside_the_one_that_has() -> None:
    api = Api(venues=[OddVenue("good"), OddVenue("broken", ZeroDivisionError()), OddVenue("away", Unavailable("away"))])
    answer = quote(api, SELL)
    assert answer["dex"] == "good"
    assert answer["reason"] == "only good answered"
    assert {one["dex"]: one.get("errorCode") for one in answer["quotes"]} == {
        "good": None,
        "broken": "VENUE_UNAVAILABLE",
        "away": "VENUE_UNAVAILABLE",
    }


def test_what_could_not_be_executed_is_refused_with_the_code_that_the_order_would_fail_with() -> None:
    no_pool = {"tokenIn": "BONK", "tokenOut": "JUP", "amount": "1000"}
    assert refusal(no_pool) == (422, "NO_ROUTE_FOUND", False)
    assert refusal(SELL | {"amount": "1000000"}) == (422, "PRICE_IMPACT_TOO_HIGH", False)
    assert refusal(SELL, OddVenue("steep", impact_bps=Decimal(1_001))) == (422, "PRICE_IMPACT_TOO_HIGH", False)
    empty = QuoteFailed(ErrorCode.INSUFFICIENT_LIQUIDITY, "the pool holds too little", may_work=False)
    assert refusal(SELL, OddVenue("empty", empty)) == (422, "INSUFFICIENT_LIQUIDITY", False)
    too_much = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": "1.5", "minAmountOut": "9999"}
    assert refusal(too_much) == (422, "SLIPPAGE_TOLERANCE_EXCEEDED", True)


def test_venues_that_are_away_are_not_the_clients_fault() -> None:
    away = OddVenue("one", Unavailable("one"))
    assert refusal(SELL, away) == (503, "VENUE_UNAVAILABLE", True)
    assert refusal(SELL, away, OddVenue("mad", amount_out=-1)) == (503, "VENUE_UNAVAILABLE", True)
    late = QuoteFailed(ErrorCode.VENUE_TIMEOUT, "one did not answer within 1 s", may_work=True)
    answer = Api(venues=[OddVenue("one", late)]).post(SELL, path="/api/quotes")
    assert (answer.status, answer.json["code"], answer.headers["retry-after"]) == (503, "VENUE_TIMEOUT", "1")
    assert answer.json["detail"] == "no venue has a quote; one: one did not answer within 1 s"


def test_what_would_not_be_accepted_is_not_quoted() -> None:
    api = Api()
    late = SELL | {"expiresAt": "2026-11-21T11:59:59Z"}
    assert api.post(late, path="/api/quotes").pointers == ["#/expiresAt"]
    assert api.post(SELL | {"amount": "-1"}, path="/api/quotes").pointers == ["#/amount"]
    assert api.post(SELL | {"tokenOut": "SOL"}, path="/api/quotes").pointers == ["#/tokenOut"]
    assert api.post("{", path="/api/quotes").json["code"] == "MALFORMED_JSON"
    assert api.request("POST", "/api/quotes", body=SELL).status == 415
