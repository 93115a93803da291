"""What goes on chain and what comes back from it."""

from __future__ import annotations

from dataclasses import dataclass

from order_engine.domain.errors import ErrorCode
from order_engine.domain.quotes import Leg, Swap

BLOCKS_TO_LIVE = 150
"""A transaction can land in the 150 blocks after the one it was signed at (Solana's MAX_PROCESSING_AGE)."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An unsigned transaction. `memo` makes two attempts at the same swap two different transactions."""

    memo: str
    swap: Swap
    legs: tuple[Leg, ...]
    limit: int
    """Minimum out (exact in) or maximum in (exact out), enforced by the chain over all legs together."""
    last_valid_block_height: int


@dataclass(frozen=True, slots=True)
class Transaction:
    """A signed transaction. Its signature is known before it is sent, and lands at most once."""

    signature: str
    payload: bytes
    last_valid_block_height: int


@dataclass(frozen=True, slots=True)
class Unknown:
    """Not on chain yet; it still may land."""


@dataclass(frozen=True, slots=True)
class Landed:
    """The swap happened. Amounts and fees in base units; `network_fee` in lamports."""

    amount_in: int
    amount_out: int
    venue_fees: tuple[tuple[str, str, int], ...]
    """(dex, token, base units), one a leg."""
    network_fee: int


@dataclass(frozen=True, slots=True)
class Reverted:
    """On chain, but it moved no tokens. The network fee (lamports) was paid all the same."""

    dex: str
    venue_code: int
    venue_error: str
    reason: ErrorCode
    network_fee: int


@dataclass(frozen=True, slots=True)
class Dead:
    """Past its last valid block without landing: the chain refuses it for good."""


Outcome = Unknown | Landed | Reverted | Dead
