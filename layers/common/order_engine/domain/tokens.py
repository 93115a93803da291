"""Tokens and exact amounts: integers in base units inside, `Decimal` in whole tokens at the edges."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal, Inexact, InvalidOperation

from order_engine.domain.errors import InvalidOrder

_EXACT = Context(prec=100, traps=[Inexact, InvalidOperation])
"""Raises where the default context would quietly round."""

MAX_WHOLE_TOKENS = Decimal(10) ** 12
"""More than any pool holds, and small enough that every product of two amounts stays printable."""


@dataclass(frozen=True, slots=True)
class Token:
    """One base unit is `10 ** -decimals` of a token."""

    symbol: str
    decimals: int

    def units(self, amount: Decimal, field: str) -> int:
        """Base units of `amount` whole tokens; raises `InvalidOrder` naming `field`, never rounds."""
        if not amount.is_finite():
            raise InvalidOrder(field, "must be a finite number")
        if amount <= 0:
            raise InvalidOrder(field, "must be greater than zero")
        if amount > MAX_WHOLE_TOKENS:
            raise InvalidOrder(field, f"must be at most {MAX_WHOLE_TOKENS:f}")
        try:
            return int(amount.scaleb(self.decimals, _EXACT).to_integral_exact(context=_EXACT))
        except Inexact:
            raise InvalidOrder(field, f"{self.symbol} has at most {self.decimals} decimals") from None

    def whole(self, units: int) -> Decimal:
        """Whole tokens of `units` base units: 1500000000 lamports are Decimal('1.500000000')."""
        return Decimal(units).scaleb(-self.decimals)


def decimal_text(value: Decimal) -> str:
    """The number as it goes on the wire: no exponent, no trailing zeros ("1.5", "0.000000001", "100"), one zero."""
    text = format(value, "f") if value else "0"
    return text.rstrip("0").rstrip(".") if "." in text else text


TOKENS = {
    token.symbol: token
    for token in (
        Token("SOL", 9),
        Token("USDC", 6),
        Token("USDT", 6),
        Token("RAY", 6),
        Token("JUP", 6),
        Token("BONK", 5),
    )
}


def token_named(symbol: str, field: str) -> Token:
    """The token called `symbol`; raises `InvalidOrder` naming `field`."""
    token = TOKENS.get(symbol)
    if token is None:
        raise InvalidOrder(field, f"unknown token; one of {', '.join(TOKENS)}")
    return token
