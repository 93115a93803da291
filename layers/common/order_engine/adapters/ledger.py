"""The simulated chain's ledger: one DynamoDB item a signature, written once.

| attribute | signature | orderMemo | sentAt, landsAt | outcome                  | ttl     |
|-----------|-----------|-----------|-----------------|--------------------------|---------|
| holds     | the key   | the memo  | RFC 3339        | landed, reverted or dead | 30 days |

and by outcome: amountIn, amountOut, venueFees, networkFee; or dex, venueCode, venueError, reason, networkFee.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from order_engine.adapters.aws import call, error_code
from order_engine.domain.errors import ErrorCode, Unavailable
from order_engine.domain.events import parse_timestamp, timestamp
from order_engine.domain.transactions import Dead, Landed, Reverted

DEPENDENCY = "chain"

LIFE = timedelta(days=30)

GATHERING_SECONDS = 0.002
"""Clocks tick in milliseconds, so orders that wait for the same moment wake up this far apart."""

Item = dict[str, Any]
Fate = Landed | Reverted | Dead


@dataclass(frozen=True, slots=True)
class Entry:
    """What becomes of a signature, and when it shows."""

    signature: str
    memo: str
    sent_at: datetime
    lands_at: datetime
    fate: Fate


class Ledger:
    """`client` is boto3's for DynamoDB. Both methods raise `Unavailable`."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table
        self._wanted: dict[str, asyncio.Future[Entry | None]] = {}

    async def read(self, signature: str) -> Entry | None:
        """The entry as of every write that has returned.

        What is asked for at about the same moment is one call, as it is for a chain (getSignatureStatuses).
        """
        if signature not in self._wanted:
            loop = asyncio.get_running_loop()
            if not self._wanted:
                loop.call_later(GATHERING_SECONDS, lambda: loop.create_task(self._read_wanted()))
            self._wanted[signature] = loop.create_future()
        return await asyncio.shield(self._wanted[signature])

    async def _read_wanted(self) -> None:
        wanted, self._wanted = self._wanted, {}
        try:
            entries = await self._read_all(list(wanted))
        except Exception as error:
            for future in wanted.values():
                future.set_exception(error)
        else:
            for signature, future in wanted.items():
                future.set_result(entries.get(signature))

    async def _read_all(self, signatures: list[str]) -> dict[str, Entry]:
        keys = [{"signature": {"S": signature}} for signature in signatures]
        request = {self._table: {"Keys": keys, "ConsistentRead": True}}
        answer = await call(DEPENDENCY, self._client.batch_get_item, RequestItems=request)
        if answer.get("UnprocessedKeys"):
            raise Unavailable(DEPENDENCY)
        entries = [_entry(item) for item in answer["Responses"].get(self._table, [])]
        return {entry.signature: entry for entry in entries}

    async def write_once(self, entry: Entry) -> Entry | None:
        """The first to write a signature decides, and later writes change nothing. Returns what stands."""
        try:
            await call(
                DEPENDENCY,
                self._client.put_item,
                TableName=self._table,
                Item=_item(entry),
                ConditionExpression="attribute_not_exists(signature)",
            )
        except ClientError as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise
            return await self.read(entry.signature)
        return entry


def _item(entry: Entry) -> Item:
    return {
        "signature": {"S": entry.signature},
        "orderMemo": {"S": entry.memo},
        "sentAt": {"S": timestamp(entry.sent_at)},
        "landsAt": {"S": timestamp(entry.lands_at)},
        "ttl": {"N": str(int((entry.sent_at + LIFE).timestamp()))},
        **_fate_attributes(entry.fate),
    }


def _entry(item: Item) -> Entry:
    return Entry(
        signature=item["signature"]["S"],
        memo=item["orderMemo"]["S"],
        sent_at=parse_timestamp(item["sentAt"]["S"]),
        lands_at=parse_timestamp(item["landsAt"]["S"]),
        fate=_fate(item),
    )


def _fate_attributes(fate: Fate) -> Item:
    match fate:
        case Landed():
            return {
                "outcome": {"S": "landed"},
                "amountIn": {"N": str(fate.amount_in)},
                "amountOut": {"N": str(fate.amount_out)},
                "venueFees": {"S": json.dumps(fate.venue_fees)},
                "networkFee": {"N": str(fate.network_fee)},
            }
        case Reverted():
            return {
                "outcome": {"S": "reverted"},
                "dex": {"S": fate.dex},
                "venueCode": {"N": str(fate.venue_code)},
                "venueError": {"S": fate.venue_error},
                "reason": {"S": fate.reason.value},
                "networkFee": {"N": str(fate.network_fee)},
            }
        case Dead():
            return {"outcome": {"S": "dead"}}


def _fate(item: Item) -> Fate:
    outcome = item["outcome"]["S"]
    if outcome == "dead":
        return Dead()
    if outcome == "reverted":
        return Reverted(
            dex=item["dex"]["S"],
            venue_code=int(item["venueCode"]["N"]),
            venue_error=item["venueError"]["S"],
            reason=ErrorCode(item["reason"]["S"]),
            network_fee=int(item["networkFee"]["N"]),
        )
    return Landed(
        amount_in=int(item["amountIn"]["N"]),
        amount_out=int(item["amountOut"]["N"]),
        venue_fees=tuple((dex, token, units) for dex, token, units in json.loads(item["venueFees"]["S"])),
        network_fee=int(item["networkFee"]["N"]),
    )
