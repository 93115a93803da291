"""Orders as clients write them: what is understood, and what is refused under which name."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from order_engine.contracts.exact_json import MAX_BODY_BYTES, parse_json
from order_engine.contracts.problems import BodyTooLarge, MalformedJson, ValidationProblem, pointer
from order_engine.contracts.requests import parse_order
from order_engine.domain.orders import SwapRequest
from order_engine.domain.quotes import Swap, SwapMode
from order_engine.service.accept_order import fingerprint

SELL = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": "1.5"}
BUY = {"baseToken": "SOL", "quoteToken": "USDC", "side": "buy", "amount": "1.5"}
SELLING = Swap("SOL", "USDC", 1_500_000_000, SwapMode.EXACT_IN)
BUYING = Swap("USDC", "SOL", 1_500_000_000, SwapMode.EXACT_OUT)


def refusal(fields: object) -> dict[str, str]:
    """What is said of each field."""
    with pytest.raises(ValidationProblem) as refused:
        parse_order(fields)
    return {error.pointer: error.detail for error in refused.value.errors}


@pytest.mark.parametrize(
    ("fields", "swap"),
    [
        (SELL, SELLING),
        ({"inputToken": "SOL", "outputToken": "USDC", "amount": "1.5"}, SELLING),
        ({"baseToken": "SOL", "quoteToken": "USDC", "side": "sell", "amount": "1.5"}, SELLING),
        (BUY, BUYING),
        ({"tokenIn": "USDC", "tokenOut": "SOL", "amount": "1.5", "swapMode": "exactOut"}, BUYING),
        ({"inputToken": "USDC", "outputToken": "SOL", "amount": "1.5", "swapMode": "exactOut"}, BUYING),
    ],
)
def test_every_dialect_names_the_same_swaps(fields: dict[str, Any], swap: Swap) -> None:
    assert parse_order(fields).swap == swap


def test_all_values_may_be_strings_as_in_a_query_string() -> None:
    request = parse_order(
        SELL
        | {
            "type": "market",
            "slippageBps": "50",
            "swapMode": "exactIn",
            "minAmountOut": "200.5",
            "expiresAt": "2026-11-21T14:00:00.123456+01:00",
            "clientOrderId": "c-1",
            "userId": "u-1",
        }
    )
    assert request == SwapRequest(
        swap=SELLING,
        slippage_bps=50,
        limit=200_500_000,
        expires_at=datetime(2026, 11, 21, 13, 0, 0, 123_000, tzinfo=UTC),
        user_id="u-1",
        client_order_id="c-1",
    )


def test_null_says_the_same_as_leaving_the_field_out() -> None:
    optional = (
        "type",
        "slippageBps",
        "swapMode",
        "minAmountOut",
        "maxAmountIn",
        "expiresAt",
        "clientOrderId",
        "userId",
    )
    assert parse_order(SELL | dict.fromkeys(optional)) == parse_order(SELL) == SwapRequest(SELLING, slippage_bps=100)


def test_no_slippage_at_all_is_not_the_default() -> None:
    assert parse_order(SELL | {"slippageBps": 0}).slippage_bps == 0


def test_the_limit_of_an_exact_out_order_is_what_it_may_cost() -> None:
    assert parse_order(BUY | {"maxAmountIn": 300}).limit == 300_000_000


@pytest.mark.parametrize(
    ("amount", "units"),
    [
        ("1", 10**9),
        ("1.50", 1_500_000_000),
        ("1.5000000000", 1_500_000_000),
        ("0.000000001", 1),
        ("1e-7", 100),
        ("1E5", 10**14),
        ("1000000000000", 10**21),
        ("123456789012.123456789", 123456789012123456789),
    ],
)
def test_an_amount_is_exact_as_a_number_and_as_a_string(amount: str, units: int) -> None:
    as_number = parse_json(json.dumps(SELL | {"amount": "AMOUNT"}).replace('"AMOUNT"', amount))
    assert parse_order(as_number).swap.amount == units
    assert parse_order(SELL | {"amount": amount}).swap.amount == units


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        (SELL | {"inputToken": "SOL"}, "#/inputToken"),
        (SELL | {"side": "sell"}, "#/side"),
        (BUY | {"swapMode": "exactIn"}, "#/swapMode"),
        ({"inputToken": "SOL", "outputToken": "USDC", "quoteToken": "USDC", "amount": 1}, "#/quoteToken"),
        ({"inputToken": "SOL", "outputToken": "SOL", "amount": 1}, "#/outputToken"),
        (BUY | {"quoteToken": "SOL"}, "#/quoteToken"),
        (BUY | {"baseToken": "DOGE"}, "#/baseToken"),
        (BUY | {"side": "hold"}, "#/side"),
        ({"inputToken": "SOL", "amount": 1}, "#/outputToken"),
        (SELL | {"a/b~c é": 1}, "#/a~1b~0c%20%C3%A9"),
        (SELL | {"maxAmountIn": 1}, "#/maxAmountIn"),
        (BUY | {"minAmountOut": 1}, "#/minAmountOut"),
        (SELL | {"minAmountOut": "0.0000001"}, "#/minAmountOut"),
        (SELL | {"amount": 1.5}, "#/amount"),
        ([], "#"),
        (None, "#"),
    ],
)
def test_a_refusal_names_the_field_that_the_client_sent(fields: object, named: str) -> None:
    assert list(refusal(fields)) == [named]


def test_all_wrong_fields_are_named_at_once() -> None:
    assert refusal({"tokenIn": "sol", "tokenOut": 5, "slippageBps": True, "userId": ""}) == {
        "#/tokenIn": "unknown token; one of SOL, USDC, USDT, RAY, JUP, BONK",
        "#/tokenOut": "must be a string",
        "#/amount": "is required",
        "#/slippageBps": "must be a whole number of basis points from 0 to 5000",
        "#/userId": "must be 1 to 128 printable characters",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1, column 1"),
        ("{", "line 1, column 2"),
        ('{"amount": NaN}', "NaN is not a JSON number"),
        ('{"amount": -Infinity}', "-Infinity is not a JSON number"),
        ('{"userId": "\\ud800"}', "not valid Unicode"),
        ('{"\\udc00": 1}', "not valid Unicode"),
        (b'{"userId": "\xff"}', "UTF-8"),
        ("[" * 10_000, "not valid JSON"),
        ('{"a":' * 3_000, "not valid JSON"),
        ('{"amount": 1, "amount": 2}', "amount: appears more than once"),
        ('{"order": {"amount": 1, "amount": 2}}', "amount: appears more than once"),
    ],
)
def test_a_body_that_is_not_one_clear_json_text_is_refused(text: str | bytes, said: str) -> None:
    with pytest.raises(MalformedJson, match=said):
        parse_json(text)


def test_a_body_may_be_as_large_as_the_limit_and_no_larger() -> None:
    assert parse_json('"' + "é" * (MAX_BODY_BYTES // 2 - 1) + '"')
    with pytest.raises(BodyTooLarge):
        parse_json('"' + "é" * (MAX_BODY_BYTES // 2) + '"')


@pytest.mark.parametrize("number", ["1" * 5_000, "1e999999999999999999999", "1e-999999999999999999999", "1e400"])
def test_a_number_beyond_reason_is_refused_by_its_field(number: str) -> None:
    fields = parse_json(f'{{"tokenIn": "SOL", "tokenOut": "USDC", "amount": {number}, "slippageBps": {number}}}')
    assert "#/amount" in refusal(fields | {"slippageBps": 1})
    assert "#/slippageBps" in refusal(fields | {"amount": 1})


@pytest.mark.parametrize("depth", [100, 500, 900, 950, 980])
@pytest.mark.parametrize("field", ["amount", "slippageBps", "tokenIn", "userId", "type", "expiresAt", "unknown"])
def test_a_deeply_nested_value_is_refused_by_its_field_or_by_the_reader(field: str, depth: int) -> None:
    nested = "[" * depth + "]" * depth
    with pytest.raises(ValidationProblem):
        parse_order(parse_json(f'{{"tokenOut": "USDC", "{field}": {nested}}}'))


@given(st.text())
def test_a_pointer_can_be_read_back(name: str) -> None:
    encoded = pointer(name)
    assert encoded.isascii()
    assert unquote(encoded.removeprefix("#/")).replace("~1", "/").replace("~0", "~") == name


@pytest.mark.parametrize(
    "same",
    [
        {"tokenIn": "SOL", "tokenOut": "USDC", "amount": "1.500"},
        {"tokenIn": "SOL", "tokenOut": "USDC", "amount": "15e-1", "slippageBps": 100, "type": "market"},
        {"inputToken": "SOL", "outputToken": "USDC", "amount": "1.5", "swapMode": "exactIn"},
        {"baseToken": "SOL", "quoteToken": "USDC", "amount": "1.5", "side": "sell"},
        SELL | {"clientOrderId": "the key itself"},
    ],
)
def test_spellings_of_one_order_have_one_fingerprint(same: dict[str, Any]) -> None:
    assert fingerprint(parse_order(same)) == fingerprint(parse_order(SELL))


def test_the_same_moment_in_another_zone_has_the_same_fingerprint() -> None:
    here, there = "2026-11-21T13:00:00Z", "2026-11-21T14:00:00+01:00"
    assert fingerprint(parse_order(SELL | {"expiresAt": here})) == fingerprint(parse_order(SELL | {"expiresAt": there}))


def test_different_orders_have_different_fingerprints() -> None:
    orders = [
        SELL,
        BUY,
        SELL | {"tokenOut": "USDT"},
        SELL | {"amount": "1.500000001"},
        SELL | {"slippageBps": 99},
        SELL | {"minAmountOut": 1},
        SELL | {"minAmountOut": 2},
        SELL | {"expiresAt": "2026-11-21T13:00:00Z"},
        SELL | {"userId": "u1"},
        SELL | {"userId": "public"},
        SELL | {"swapMode": "exactOut"},
    ]
    assert len({fingerprint(parse_order(order)) for order in orders}) == len(orders)


def test_a_fingerprint_stays_what_it_was_when_it_was_stored() -> None:
    """Keys are good for ever: a change here would refuse honest repetitions of older requests."""
    assert fingerprint(parse_order(SELL)) == "251bffddf825ed64633a2900d8c92a38eb16fac480b036e8d936b293f47b0bb6"
