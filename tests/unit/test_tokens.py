"""Amounts are exact or refused."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from order_engine.domain.errors import InvalidOrder
from order_engine.domain.tokens import MAX_WHOLE_TOKENS, TOKENS, decimal_text, token_named


@pytest.mark.parametrize(
    ("symbol", "text", "units"),
    [
        ("SOL", "1.5", 1_500_000_000),
        ("SOL", "0.000000001", 1),
        ("SOL", "1e-9", 1),
        ("USDC", "1.50000000000000000000000000000000000000", 1_500_000),
        ("BONK", "12345.6", 1_234_560_000),
        ("SOL", "1000000000000", 10**21),
    ],
)
def test_whole_tokens_become_base_units(symbol: str, text: str, units: int) -> None:
    assert TOKENS[symbol].units(Decimal(text), "amount") == units


@pytest.mark.parametrize(
    "text",
    [
        *("0", "-1", "NaN", "sNaN", "Infinity", "-Infinity", "1e400", "1000000000000.000000001"),
        *("1e-10", "1e-999999999", "0.0000000001", "1.0000000000000000000000000000000000000001"),
    ],
)
def test_what_is_no_exact_amount_is_refused_by_its_field(text: str) -> None:
    with pytest.raises(InvalidOrder) as refused:
        TOKENS["SOL"].units(Decimal(text), "amount")
    assert refused.value.field == "amount"


@given(st.sampled_from(list(TOKENS.values())), st.integers(1, int(MAX_WHOLE_TOKENS)))
def test_units_and_whole_tokens_are_inverse(token: object, units: int) -> None:
    assert token.units(token.whole(units), "amount") == units  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("value", "text"),
    [("1.500", "1.5"), ("100", "100"), ("1E+2", "100"), ("1E-9", "0.000000001"), ("0.00", "0"), ("-0.00", "0")],
)
def test_numbers_go_on_the_wire_plainly(value: str, text: str) -> None:
    assert decimal_text(Decimal(value)) == text


@pytest.mark.parametrize("symbol", ["sol", "", "ETH", "wSOL", "SOL "])
def test_unknown_tokens_are_refused_by_their_field(symbol: str) -> None:
    with pytest.raises(InvalidOrder, match="tokenIn"):
        token_named(symbol, "tokenIn")
