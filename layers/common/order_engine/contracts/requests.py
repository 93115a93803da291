"""An order as clients write it, in the three dialects they arrive with.

All values may also be strings, so that the query string of a WebSocket connection is read by the same models.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from order_engine.contracts.fields import Amount, Moment, SlippageBps, Text, Token, detail_of
from order_engine.contracts.problems import FieldError, ValidationProblem, field_errors, pointer
from order_engine.domain.errors import InvalidOrder
from order_engine.domain.orders import SwapRequest
from order_engine.domain.quotes import Swap, SwapMode
from order_engine.domain.tokens import TOKENS

DEFAULT_SLIPPAGE_BPS = 100

OrderType = Literal["market"]
ORDER_TYPES: tuple[str, ...] = get_args(OrderType)


def parse_order(fields: object) -> SwapRequest:
    """The order that `fields` ask for, in whichever dialect. Raises `ValidationProblem`, by the client's own names."""
    if not isinstance(fields, Mapping):
        raise ValidationProblem(FieldError(pointer="#", detail="an order is a JSON object"))
    dialect = next((known for known in DIALECTS if not fields.keys().isdisjoint(known.own_fields)), TokenInTokenOut)
    try:
        return dialect.model_validate(dict(fields)).to_request()
    except ValidationError as invalid:
        errors = (_field_error(error, dialect) for error in invalid.errors(include_url=False, include_input=False))
        raise ValidationProblem(*errors) from None
    except InvalidOrder as invalid:
        raise ValidationProblem(*field_errors(invalid)) from None


class OrderFields(BaseModel):
    """What every dialect has. A null says the same as leaving the field out."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel)

    own_fields: ClassVar[tuple[str, ...]]
    """The names that tell this dialect from the others: two tokens first."""

    type: OrderType | None = Field(None, description="Only market orders for now.")
    amount: Amount = Field(description="Whole tokens of the side that the order fixes.")
    slippage_bps: SlippageBps | None = Field(
        None, description=f"Tolerated slippage in basis points; {DEFAULT_SLIPPAGE_BPS} when left out."
    )
    min_amount_out: Amount | None = Field(None, description="Least to get, instead of slippageBps; exact in only.")
    max_amount_in: Amount | None = Field(None, description="Most to pay, instead of slippageBps; exact out only.")
    expires_at: Moment | None = Field(None, description="Not to be submitted from then on; at most 30 days ahead.")
    client_order_id: Text | None = Field(None, description="Does the same as an Idempotency-Key header.")
    user_id: Text | None = Field(None, description="Whose order it is; `public` when left out.")

    @abstractmethod
    def sides(self) -> tuple[str, str, SwapMode]:
        """Token in, token out, and which of them `amount` fixes."""

    def to_request(self) -> SwapRequest:
        """In exact units. Raises `InvalidOrder`."""
        token_in, token_out, mode = self.sides()
        if token_in == token_out:
            raise InvalidOrder(self.own_fields[1], "must be another token than the first")
        exact_in = mode is SwapMode.EXACT_IN
        fixed = TOKENS[token_in if exact_in else token_out]
        return SwapRequest(
            swap=Swap(token_in, token_out, fixed.units(self.amount, "amount"), mode),
            slippage_bps=DEFAULT_SLIPPAGE_BPS if self.slippage_bps is None else self.slippage_bps,
            limit=self._min_out(token_out) if exact_in else self._max_in(token_in),
            expires_at=self.expires_at,
            user_id=self.user_id,
            client_order_id=self.client_order_id,
            type=self.type or "market",
        )

    def _min_out(self, token_out: str) -> int | None:
        if self.max_amount_in is not None:
            raise InvalidOrder("maxAmountIn", "goes with an exact-out order only; this one is exact in")
        return None if self.min_amount_out is None else TOKENS[token_out].units(self.min_amount_out, "minAmountOut")

    def _max_in(self, token_in: str) -> int | None:
        if self.min_amount_out is not None:
            raise InvalidOrder("minAmountOut", "goes with an exact-in order only; this one is exact out")
        return None if self.max_amount_in is None else TOKENS[token_in].units(self.max_amount_in, "maxAmountIn")


class TokenInTokenOut(OrderFields):
    """The canonical dialect."""

    own_fields = ("tokenIn", "tokenOut")

    token_in: Token
    token_out: Token
    swap_mode: SwapMode | None = Field(None, description="What `amount` fixes; exactIn when left out.")

    def sides(self) -> tuple[str, str, SwapMode]:
        return self.token_in, self.token_out, self.swap_mode or SwapMode.EXACT_IN


class InputTokenOutputToken(OrderFields):
    """The canonical dialect under other names."""

    own_fields = ("inputToken", "outputToken")

    input_token: Token
    output_token: Token
    swap_mode: SwapMode | None = Field(None, description="What `amount` fixes; exactIn when left out.")

    def sides(self) -> tuple[str, str, SwapMode]:
        return self.input_token, self.output_token, self.swap_mode or SwapMode.EXACT_IN


class BaseTokenQuoteToken(OrderFields):
    """`sell` gives `amount` of base for quote (exact in); `buy` wants `amount` of base for quote (exact out)."""

    own_fields = ("baseToken", "quoteToken", "side")

    base_token: Token
    quote_token: Token
    side: Literal["buy", "sell"]

    def sides(self) -> tuple[str, str, SwapMode]:
        if self.side == "sell":
            return self.base_token, self.quote_token, SwapMode.EXACT_IN
        return self.quote_token, self.base_token, SwapMode.EXACT_OUT


DIALECTS: tuple[type[OrderFields], ...] = (TokenInTokenOut, InputTokenOutputToken, BaseTokenQuoteToken)


def _field_error(error: ErrorDetails, dialect: type[OrderFields]) -> FieldError:
    name = str(error["loc"][0])
    detail = detail_of(error)
    if error["type"] == "extra_forbidden" and any(name in known.own_fields for known in DIALECTS):
        detail = f"does not go together with {'/'.join(dialect.own_fields)}"
    return FieldError(pointer=pointer(*error["loc"]), detail=detail)
