"""Live orders, connections and subscriptions in one DynamoDB table. Its keys are explained in `keys`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from itertools import islice
from typing import Any

from botocore.exceptions import ClientError

from order_engine.adapters import items, keys
from order_engine.adapters.aws import call, error_code
from order_engine.adapters.items import Item
from order_engine.domain.errors import StateChanged
from order_engine.domain.events import timestamp
from order_engine.domain.orders import Order
from order_engine.service.ports import Connection, Position, Subscription

DEPENDENCY = "DynamoDB"

_REFUSED = "ConditionalCheckFailedException"
_KEYS_PER_BATCH = 100


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A part of the live orders by age."""

    condition: str
    values: dict[str, str]
    limit: int
    newest_first: bool


@dataclass(frozen=True, slots=True)
class DynamoOrders:
    """`OrderRepository` on DynamoDB."""

    client: Any
    table: str

    async def add(self, order: Order) -> Order | None:
        try:
            await call(
                DEPENDENCY,
                self.client.put_item,
                TableName=self.table,
                Item=items.new_order(order),
                ConditionExpression="attribute_not_exists(pk)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            return items.order(_stored(error))
        return None

    async def get(self, order_id: str) -> Order | None:
        answer = await call(
            DEPENDENCY, self.client.get_item, TableName=self.table, Key=keys.order(order_id), ConsistentRead=True
        )
        return items.order(answer["Item"]) if "Item" in answer else None

    async def save(self, before: Order, after: Order) -> None:
        try:
            await call(DEPENDENCY, self.client.update_item, **self._update(before, after))
        except ClientError as error:
            item = _stored(error)
            stored = items.order(item) if item else before
            # The write under this very claim is there: it had succeeded, and only its answer was lost.
            if (stored.fence, stored.sequence, stored.claim_id) != (after.fence, after.sequence, after.claim_id):
                raise StateChanged(after.order_id) from error

    def _update(self, before: Order, after: Order) -> Item:
        state = items.order_state(after)
        assignments = [f"#{name} = :{name}" for name, value in state.items() if value is not None]
        removals = [f"#{name}" for name, value in state.items() if value is None]
        new_events = items.order_events(after, after=before.sequence)
        values = {f":{name}": value for name, value in state.items() if value is not None}
        values |= {
            ":knownFence": {"N": str(before.fence)},
            ":knownSequence": {"N": str(before.sequence)},
            ":fingerprint": {"S": before.fingerprint},
        }
        names = {f"#{name}": name for name in (*state, "fingerprint")}
        if new_events:
            assignments.append("#events = list_append(#events, :newEvents)")
            values[":newEvents"] = {"L": new_events}
            names["#events"] = "events"
        return {
            "TableName": self.table,
            "Key": keys.order(after.order_id),
            "UpdateExpression": f"SET {', '.join(assignments)}"
            + (f" REMOVE {', '.join(removals)}" if removals else ""),
            "ConditionExpression": (
                "#fence = :knownFence AND #sequence = :knownSequence AND #fingerprint = :fingerprint"
            ),
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    async def live(self, *, user_id: str | None, before: Position | None, limit: int) -> list[Order]:
        values = {} if before is None else {":before": keys.position(before.created_at, before.order_id)}
        stretch = _Stretch("#position < :before" if values else "", values, limit, newest_first=True)
        if user_id is None:
            return await self._orders(stretch, await self._in_shards(stretch))
        return await self._orders(stretch, [await self._in_partition("liveByUser", "liveUser", user_id, stretch)])

    async def oldest_live(self, *, after: Position | None, until: datetime, limit: int) -> list[Order]:
        # A position is a time and an id: it sorts behind its time alone, and "~" sorts behind every id.
        first = "" if after is None else keys.position(after.created_at, after.order_id) + "~"
        values = {":first": first or "0", ":last": timestamp(until)}
        stretch = _Stretch("#position BETWEEN :first AND :last", values, limit, newest_first=False)
        return await self._orders(stretch, await self._in_shards(stretch))

    async def _in_shards(self, stretch: _Stretch) -> list[list[Item]]:
        shards = (f"LIVE#{shard}" for shard in range(keys.LIVE_SHARDS))
        return await asyncio.gather(*(self._in_partition("live", "live", shard, stretch) for shard in shards))

    async def _in_partition(self, index: str, partition: str, value: str, stretch: _Stretch) -> list[Item]:
        """Keys and positions, in order."""
        answer = await call(
            DEPENDENCY,
            self.client.query,
            TableName=self.table,
            IndexName=index,
            KeyConditionExpression=" AND ".join(filter(None, ("#partition = :partition", stretch.condition))),
            ExpressionAttributeNames={"#partition": partition}
            | ({"#position": "position"} if stretch.condition else {}),
            ExpressionAttributeValues={
                name: {"S": text} for name, text in {":partition": value, **stretch.values}.items()
            },
            ScanIndexForward=not stretch.newest_first,
            Limit=stretch.limit,
        )
        found: list[Item] = answer["Items"]
        return found

    async def _orders(self, stretch: _Stretch, found: list[list[Item]]) -> list[Order]:
        """The whole orders of the first keys of all partitions together."""
        merged = merge(*found, key=lambda item: str(item["position"]["S"]), reverse=stretch.newest_first)
        wanted = [{"pk": item["pk"], "sk": item["sk"]} for item in islice(merged, stretch.limit)]
        orders = [items.order(item) for item in await self._read_all(wanted)]
        return sorted(orders, key=lambda order: (order.created_at, order.order_id), reverse=stretch.newest_first)

    async def sequences(self, order_ids: Iterable[str]) -> dict[str, int]:
        wanted = [keys.order(order_id) for order_id in order_ids]
        found = await self._read_all(
            wanted, ProjectionExpression="orderId, #n", ExpressionAttributeNames={"#n": "sequence"}
        )
        return {item["orderId"]["S"]: int(item["sequence"]["N"]) for item in found}

    async def _read_all(self, wanted: list[keys.Key], **projection: Any) -> list[Item]:
        found: list[Item] = []
        while wanted:
            request = {"Keys": wanted[:_KEYS_PER_BATCH], "ConsistentRead": True, **projection}
            answer = await call(DEPENDENCY, self.client.batch_get_item, RequestItems={self.table: request})
            found += answer["Responses"].get(self.table, [])
            unprocessed = answer.get("UnprocessedKeys", {}).get(self.table, {}).get("Keys", [])
            wanted = unprocessed + wanted[_KEYS_PER_BATCH:]
        return found


@dataclass(frozen=True, slots=True)
class DynamoConnections:
    """`ConnectionRepository` on DynamoDB."""

    client: Any
    table: str

    async def add(self, connection: Connection) -> None:
        await self._put(items.new_connection(connection))
        if connection.user_id is not None:
            await self._put(items.new_follower(connection.user_id, connection))

    async def get(self, connection_id: str) -> Connection | None:
        answer = await call(
            DEPENDENCY,
            self.client.get_item,
            TableName=self.table,
            Key=keys.connection(connection_id),
            ConsistentRead=True,
        )
        return items.connection(connection_id, answer["Item"]) if "Item" in answer else None

    async def remove(self, connection_id: str) -> None:
        user_id = (await self._delete(keys.connection(connection_id))).get("userId")
        if user_id is not None:
            await self._delete(keys.follower(user_id["S"], connection_id))

    async def subscribe(self, subscription: Subscription) -> None:
        await self._put(items.new_subscription(subscription))

    async def advance(self, order_id: str, connection_id: str, through: int | None) -> None:
        change: Item = (
            {"UpdateExpression": "REMOVE through"}
            if through is None
            else {
                "UpdateExpression": "SET through = :through",
                "ExpressionAttributeValues": {":through": {"N": str(through)}},
            }
        )
        try:
            await call(
                DEPENDENCY,
                self.client.update_item,
                TableName=self.table,
                Key=keys.subscription(order_id, connection_id),
                ConditionExpression="attribute_exists(pk)",
                **change,
            )
        except ClientError as error:
            if error_code(error) != _REFUSED:
                raise

    async def unsubscribe(self, order_id: str, connection_id: str) -> None:
        await self._delete(keys.subscription(order_id, connection_id))

    async def subscribed_orders(self, connection_id: str) -> list[str]:
        found = await self._query(
            IndexName="byConnection",
            KeyConditionExpression="connectionId = :connection",
            ExpressionAttributeValues={":connection": {"S": connection_id}},
        )
        return [item["orderId"]["S"] for item in found]

    async def watchers(self, order_id: str) -> list[Subscription]:
        found = await self._query(
            KeyConditionExpression="pk = :order AND begins_with(sk, :prefix)",
            ExpressionAttributeValues={
                ":order": keys.order(order_id)["pk"],
                ":prefix": {"S": keys.SUBSCRIPTION_PREFIX},
            },
            ConsistentRead=True,
        )
        return [items.subscription(item) for item in found]

    async def followers(self, user_id: str) -> list[Connection]:
        found = await self._query(
            KeyConditionExpression="pk = :user AND begins_with(sk, :prefix)",
            ExpressionAttributeValues={
                ":user": keys.follower(user_id, "")["pk"],
                ":prefix": {"S": keys.CONNECTION_PREFIX},
            },
            ConsistentRead=True,
        )
        return [items.follower(user_id, item) for item in found]

    async def _put(self, item: Item) -> None:
        await call(DEPENDENCY, self.client.put_item, TableName=self.table, Item=item)

    async def _delete(self, key: keys.Key) -> Item:
        """What was there."""
        answer = await call(DEPENDENCY, self.client.delete_item, TableName=self.table, Key=key, ReturnValues="ALL_OLD")
        deleted: Item = answer.get("Attributes", {})
        return deleted

    async def _query(self, **parameters: Any) -> list[Item]:
        found: list[Item] = []
        while True:
            answer = await call(DEPENDENCY, self.client.query, TableName=self.table, **parameters)
            found += answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return found
            parameters["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def _stored(error: ClientError) -> Item:
    """What a refused condition found in the table, or nothing; any other error goes on."""
    if error_code(error) != _REFUSED:
        raise error
    item: Item = error.response.get("Item", {})  # type: ignore[assignment]
    return item
