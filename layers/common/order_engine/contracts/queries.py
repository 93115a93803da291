"""How a list of orders is asked for, and the cursor that continues it."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from order_engine.contracts.fields import Moment, Pair, Text, WholeNumber
from order_engine.contracts.problems import FieldError, InvalidCursor
from order_engine.domain.events import parse_timestamp, timestamp
from order_engine.domain.orders import Status

_SEPARATOR = " "


class ListOrders(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    status: Status | None = None
    pair: Pair | None = Field(None, description="Token in and token out: SOL/USDC or SOL-USDC.", examples=["SOL/USDC"])
    type: Literal["market"] | None = None
    user_id: Text | None = Field(None, alias="userId")
    since: Moment | None = Field(None, alias="from", description="Created at that time or later.")
    until: Moment | None = Field(None, alias="to", description="Created before that time.")
    limit: WholeNumber = Field(20, ge=1, le=100)
    cursor: str | None = Field(None, description="`nextCursor` of the page before.")

    @property
    def tokens(self) -> tuple[str, str] | None:
        if self.pair is None:
            return None
        token_in, token_out = self.pair.replace("-", "/").split("/")
        return token_in, token_out


def cursor_after(created_at: datetime, order_id: str) -> str:
    """An opaque, URL-safe name of an order's place in the list."""
    return urlsafe_b64encode(f"{timestamp(created_at)}{_SEPARATOR}{order_id}".encode()).decode().rstrip("=")


def place_of(cursor: str) -> tuple[datetime, str]:
    """The place that `cursor_after` named. Raises `InvalidCursor` for anything it cannot have made."""
    try:
        text = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)).decode("ascii")
        moment, _, order_id = text.partition(_SEPARATOR)
        created_at = parse_timestamp(moment)
        if cursor_after(created_at, str(UUID(order_id))) == cursor:
            return created_at, order_id
    except (ValueError, OverflowError):
        pass
    raise InvalidCursor(FieldError(pointer="cursor", detail="is not a cursor of this list"))
