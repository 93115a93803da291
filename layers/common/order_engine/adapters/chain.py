"""The simulated chain: part of the outside world, with a ledger of its own.

The market is a pure function of time, so what becomes of a transaction is known and written down when it is sent; it
shows once the clock has reached the moment of landing.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from order_engine.adapters.ledger import Entry, Ledger
from order_engine.adapters.market import draw, epoch_ms, unwrapped, wrapped
from order_engine.adapters.venues.simulated import Program, price
from order_engine.domain.errors import ErrorCode, QuoteFailed
from order_engine.domain.events import NATIVE, timestamp
from order_engine.domain.quotes import Quote, Swap, SwapMode
from order_engine.domain.transactions import Dead, Draft, Landed, Outcome, Reverted, Transaction, Unknown
from order_engine.service.ports import Clock

Message = dict[str, Any]

NETWORK_FEE = 5_000
"""Lamports for one signature, whether the transaction swaps or reverts."""

_SLOT_MS = 400
_MILLION = 1_000_000
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedChain:
    """Rates are probabilities; what happens is drawn by the seed and the signature, and for drops by the instant."""

    ledger: Ledger
    clock: Clock
    programs: Mapping[str, Program]
    seed: int
    landing_min_ms: int = 2_000
    landing_max_ms: int = 3_000
    revert_rate: float = 0
    drop_rate: float = 0

    async def height(self) -> int:
        return _slot(self.clock.now())

    def sign(self, draft: Draft) -> Transaction:
        payload = json.dumps(_message(draft), sort_keys=True, separators=(",", ":")).encode()
        return Transaction(self._signature(payload), payload, draft.last_valid_block_height)

    async def send(self, transaction: Transaction) -> None:
        """Raises `ValueError` where the signature is not of these bytes, and `Unavailable`."""
        signature = transaction.signature
        if signature != self._signature(transaction.payload):
            raise ValueError("the signature is not of these bytes")
        message = json.loads(transaction.payload)
        now = self.clock.now()
        lands_at = now + self._landing_delay(signature)
        if _slot(lands_at) > message["lastValidBlockHeight"]:
            return
        if self._happens(self.drop_rate, "drop", signature, timestamp(now)):
            return
        fate = self._fate(signature, message, lands_at)
        await self.ledger.write_once(Entry(signature, message["memo"], now, lands_at, fate))

    async def look_up(self, transaction: Transaction) -> Outcome:
        now = self.clock.now()
        entry = await self.ledger.read(transaction.signature)
        if entry is None and _slot(now) > transaction.last_valid_block_height:
            memo = json.loads(transaction.payload)["memo"]
            # A late send may have been quicker: what is written stands.
            entry = await self.ledger.write_once(Entry(transaction.signature, memo, now, now, Dead()))
        return entry.fate if entry and entry.lands_at <= now else Unknown()

    def _signature(self, payload: bytes) -> str:
        return base58(hmac.digest(str(self.seed).encode(), payload, "blake2b"))

    def _landing_delay(self, signature: str) -> timedelta:
        spread = self.landing_max_ms - self.landing_min_ms
        return timedelta(milliseconds=self.landing_min_ms + draw(self.seed, "landing", signature) % (spread + 1))

    def _happens(self, rate: float, *facts: str) -> bool:
        return draw(self.seed, *facts) % _MILLION < round(rate * _MILLION)

    def _fate(self, signature: str, message: Message, at: datetime) -> Landed | Reverted:
        """All legs against their pools as they are at that instant, and the limit over all of them together."""
        swaps = _swaps(message)
        last_dex, last_swap = swaps[-1]
        if self._happens(self.revert_rate, "revert", signature):
            return self._reverted(last_dex, ErrorCode.SLIPPAGE_TOLERANCE_EXCEEDED)
        fills: list[Quote] = []
        for dex, swap in swaps:
            try:
                fills.append(price(self.programs[dex], swap, at))
            except QuoteFailed:
                return self._reverted(dex, ErrorCode.INSUFFICIENT_LIQUIDITY)
        amount_in, amount_out = sum(fill.amount_in for fill in fills), sum(fill.amount_out for fill in fills)
        if not last_swap.keeps(message["limit"], amount_in, amount_out):
            return self._reverted(last_dex, ErrorCode.SLIPPAGE_TOLERANCE_EXCEEDED)
        fees = tuple((fill.dex, wrapped(fill.token_in), fill.fee) for fill in fills)
        return Landed(amount_in, amount_out, fees, NETWORK_FEE)

    def _reverted(self, dex: str, reason: ErrorCode) -> Reverted:
        number, name = self.programs[dex].errors[reason]
        return Reverted(dex, number, name, reason, NETWORK_FEE)


def base58(data: bytes) -> str:
    """The text form of signatures, in the alphabet that Bitcoin and Solana use."""
    number, digits = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        digits = _BASE58[digit] + digits
    leading_zeros = len(data) - len(data.lstrip(b"\0"))
    return _BASE58[0] * leading_zeros + digits


def _slot(at: datetime) -> int:
    return epoch_ms(at) // _SLOT_MS


def _message(draft: Draft) -> Message:
    """What is signed, JSON-ready. SOL is wrapped before the swaps, and unwrapped again where any can be left."""
    swap, exact_in = draft.swap, draft.swap.mode is SwapMode.EXACT_IN
    wraps, unwraps = swap.token_in == NATIVE, swap.token_out == NATIVE or (swap.token_in == NATIVE and not exact_in)
    swaps = [
        {
            "do": "swap",
            "dex": leg.dex,
            "pool": leg.pool,
            "tokenIn": leg.token_in,
            "tokenOut": leg.token_out,
            "amount": leg.amount_in if exact_in else leg.amount_out,
        }
        for leg in draft.legs
    ]
    return {
        "memo": draft.memo,
        "mode": swap.mode.value,
        "limit": draft.limit,
        "lastValidBlockHeight": draft.last_valid_block_height,
        "instructions": [
            *([{"do": "wrapSol", "lamports": swap.amount if exact_in else draft.limit}] if wraps else []),
            *swaps,
            *([{"do": "unwrapSol"}] if unwraps else []),
        ],
    }


def _swaps(message: Message) -> list[tuple[str, Swap]]:
    """Each leg's venue, and what is to be swapped there."""
    return [
        (
            step["dex"],
            Swap(unwrapped(step["tokenIn"]), unwrapped(step["tokenOut"]), step["amount"], SwapMode(message["mode"])),
        )
        for step in message["instructions"]
        if step["do"] == "swap"
    ]
