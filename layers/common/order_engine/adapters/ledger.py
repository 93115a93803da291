"""The simulated chain's ledger: one DynamoDB item a signature, written once.

| attribute | signature | orderMemo | sentAt, landsAt | outcome                  | ttl     |
|-----------|-----------|-----------|-----------------|--------------------------|---------|
| holds     | the key   | the memo  | RFC 3339        | landed, reverted or dead | 30 days |

and by outcome: amountIn, amountOut, venueFees, networkFee; or dex, venueCode, venueError, reason, networkFee.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from order_engine.adapters.aws import call, error_code
from order_engine.domain.errors import ErrorCode
from order_engine.domain.events import parse_timestamp, timestamp
from order_engine.domain.transactions import Dead, Landed, Reverted

DEPENDENCY = "chain"

LIFE = timedelta(days=30)

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


@dataclass(frozen=True, slots=True)
class Ledger:
    """`client` is boto3's for DynamoDB. Both methods raise `Unavailable`."""

    client: Any
    table: str

    async def read(self, signature: str) -> Entry | None:
        """The entry as of every write that has returned."""
        key = {"signature": {"S": signature}}
        answer = await call(DEPENDENCY, self.client.get_item, TableName=self.table, Key=key, ConsistentRead=True)
        return _entry(answer["Item"]) if "Item" in answer else None

    async def write_once(self, entry: Entry) -> Entry | None:
        """The first to write a signature decides, and later writes change nothing. Returns what stands."""
        try:
            await call(
                DEPENDENCY,
                self.client.put_item,
                TableName=self.table,
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
