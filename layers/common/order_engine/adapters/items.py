"""Orders, connections and subscriptions as DynamoDB items: the one place that knows both forms.

What is only ever read whole (request, route, transaction, each event) is stored as JSON text: it is smaller than a
map, quicker to read, and an event stays byte for byte what was written.
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from order_engine.adapters import keys
from order_engine.domain.events import parse_timestamp, timestamp
from order_engine.domain.orders import Lease, Order, Status, SwapRequest
from order_engine.domain.quotes import Leg, Route, Swap, SwapMode
from order_engine.domain.transactions import Transaction
from order_engine.service.ports import Connection, Subscription

Item = dict[str, Any]

KEPT_AFTER_RECORDING = timedelta(days=30)
CONNECTION_LIFE = timedelta(hours=3)
"""API Gateway closes a WebSocket after two hours; what is left over an hour later is nobody's."""


def new_order(order: Order) -> Item:
    """All attributes of an order's first write."""
    constants = {
        "orderId": {"S": order.order_id},
        "owner": {"S": order.owner},
        "request": {"S": _request_text(order.request)},
        "fingerprint": {"S": order.fingerprint},
        "keyed": {"BOOL": order.keyed},
        "createdAt": {"S": timestamp(order.created_at)},
        "events": {"L": order_events(order)},
    }
    present = {name: value for name, value in order_state(order).items() if value is not None}
    return keys.order(order.order_id) | constants | present


def order_events(order: Order, *, after: int = 0) -> list[Item]:
    return [{"S": _json(event)} for event in order.events_after(after)]


def order_state(order: Order) -> dict[str, Item | None]:
    """Every attribute that a step may change, but the events; None is for one that must not be there."""
    is_live = not order.is_settled
    expires = not is_live and not order.keyed
    user_id = order.request.user_id
    return {
        "status": {"S": order.status.value},
        "sequence": {"N": str(order.sequence)},
        "fence": {"N": str(order.fence)},
        "claimId": {"S": order.claim_id},
        "lease": {"S": _lease_text(order.lease)} if order.lease else None,
        "claimants": {"S": _json(order.claimants)} if order.claimants else None,
        "failedAttempts": {"N": str(order.failed_attempts)},
        "retryAt": {"S": timestamp(order.retry_at)} if order.retry_at else None,
        "limit": {"N": str(order.limit)} if order.limit is not None else None,
        "route": {"S": _route_text(order.route)} if order.route else None,
        "transaction": {"S": _transaction_text(order.transaction)} if order.transaction else None,
        "sentThrough": {"N": str(order.sent_through)},
        "recordedThrough": {"N": str(order.recorded_through)},
        "reminders": {"N": str(order.reminders)} if order.reminders else None,
        "remindedAt": {"S": timestamp(order.reminded_at)} if order.reminded_at else None,
        "live": {"S": keys.live_shard(order.order_id)} if is_live else None,
        "liveUser": {"S": user_id} if is_live and user_id is not None else None,
        "position": {"S": keys.position(order.created_at, order.order_id)} if is_live else None,
        "ttl": _epoch(order.updated_at + KEPT_AFTER_RECORDING) if expires else None,
    }


def order(item: Item) -> Order:
    return Order(
        order_id=item["orderId"]["S"],
        owner=item["owner"]["S"],
        request=_request(item["request"]["S"]),
        fingerprint=item["fingerprint"]["S"],
        keyed=item["keyed"]["BOOL"],
        created_at=parse_timestamp(item["createdAt"]["S"]),
        status=Status(item["status"]["S"]),
        events=tuple(json.loads(event["S"]) for event in item["events"]["L"]),
        fence=int(item["fence"]["N"]),
        claim_id=item["claimId"]["S"],
        lease=_lease(item["lease"]["S"]) if "lease" in item else None,
        claimants=tuple(json.loads(item["claimants"]["S"])) if "claimants" in item else (),
        failed_attempts=int(item["failedAttempts"]["N"]),
        retry_at=parse_timestamp(item["retryAt"]["S"]) if "retryAt" in item else None,
        limit=int(item["limit"]["N"]) if "limit" in item else None,
        route=_route(item["route"]["S"]) if "route" in item else None,
        transaction=_transaction(item["transaction"]["S"]) if "transaction" in item else None,
        sent_through=int(item["sentThrough"]["N"]),
        recorded_through=int(item["recordedThrough"]["N"]),
        reminders=int(item["reminders"]["N"]) if "reminders" in item else 0,
        reminded_at=parse_timestamp(item["remindedAt"]["S"]) if "remindedAt" in item else None,
    )


def new_connection(connection: Connection) -> Item:
    item = keys.connection(connection.connection_id) | _connected(connection.connected_at)
    return item if connection.user_id is None else item | {"userId": {"S": connection.user_id}}


def connection(connection_id: str, item: Item) -> Connection:
    user_id = item.get("userId", {}).get("S")
    return Connection(connection_id, parse_timestamp(item["connectedAt"]["S"]), user_id)


def new_follower(user_id: str, connection: Connection) -> Item:
    return keys.follower(user_id, connection.connection_id) | _connected(connection.connected_at)


def follower(user_id: str, item: Item) -> Connection:
    connection_id = item["sk"]["S"].removeprefix(keys.CONNECTION_PREFIX)
    return Connection(connection_id, parse_timestamp(item["connectedAt"]["S"]), user_id)


def new_subscription(subscription: Subscription) -> Item:
    item = (
        keys.subscription(subscription.order_id, subscription.connection_id)
        | {"orderId": {"S": subscription.order_id}, "connectionId": {"S": subscription.connection_id}}
        | {"since": {"S": timestamp(subscription.since)}, "ttl": _epoch(subscription.since + CONNECTION_LIFE)}
    )
    return item if subscription.through is None else item | {"through": {"N": str(subscription.through)}}


def subscription(item: Item) -> Subscription:
    return Subscription(
        order_id=item["orderId"]["S"],
        connection_id=item["connectionId"]["S"],
        since=parse_timestamp(item["since"]["S"]),
        through=int(item["through"]["N"]) if "through" in item else None,
    )


def _connected(at: datetime) -> Item:
    return {"connectedAt": {"S": timestamp(at)}, "ttl": _epoch(at + CONNECTION_LIFE)}


def _epoch(at: datetime) -> Item:
    return {"N": str(int(at.timestamp()))}


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _request_text(request: SwapRequest) -> str:
    expires_at = timestamp(request.expires_at) if request.expires_at else None
    return _json(asdict(request) | {"expires_at": expires_at})


def _request(text: str) -> SwapRequest:
    fields = json.loads(text)
    swap = fields["swap"]
    fields["swap"] = Swap(**(swap | {"mode": SwapMode(swap["mode"])}))
    if fields["expires_at"] is not None:
        fields["expires_at"] = parse_timestamp(fields["expires_at"])
    return SwapRequest(**fields)


def _lease_text(lease: Lease) -> str:
    return _json(asdict(lease) | {"until": timestamp(lease.until)})


def _lease(text: str) -> Lease:
    fields = json.loads(text)
    return Lease(**(fields | {"until": parse_timestamp(fields["until"])}))


def _route_text(route: Route) -> str:
    exact = {"impact_bps": str(route.impact_bps), "improvement_bps": str(route.improvement_bps)}
    return _json(asdict(route) | exact)


def _route(text: str) -> Route:
    fields = json.loads(text)
    exact = {name: Decimal(fields[name]) for name in ("impact_bps", "improvement_bps")}
    return Route(**(fields | exact | {"legs": tuple(Leg(**leg) for leg in fields["legs"])}))


def _transaction_text(transaction: Transaction) -> str:
    return _json(asdict(transaction) | {"payload": base64.b64encode(transaction.payload).decode()})


def _transaction(text: str) -> Transaction:
    fields = json.loads(text)
    return Transaction(**(fields | {"payload": base64.b64decode(fields["payload"])}))
