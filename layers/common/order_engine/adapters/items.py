"""Orders, connections and subscriptions as DynamoDB items: the one place that knows both forms.

What is only ever read whole (request, route, transaction, each event) is stored as packed JSON text: an event stays
byte for byte what was written, and every write of an order, which costs by the whole item's size, costs half.
"""

from __future__ import annotations

import base64
import json
import zlib
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

_RAW = -15
"""zlib's word for neither header nor checksum."""

# What most texts are made of; the commonest last, as the nearest is the cheapest to refer to. Stored orders are read
# with it: whoever changes a byte of it can read them no more.
_FAMILIAR = (
    b'"expires_at":null,"user_id":null,"client_order_id":null}"slippage_bps":100,"limit":null,'
    b'{"swap":{"token_in":"SOL","token_out":"USDC","amount":"mode":"exactOut"},"exactIn"},'
    b'{"signature":"payload":"last_valid_block_height":'
    b'"improvement_bps":{"dex":"reason":"legs":[{"dex":"raydium","pool":"wSOL-USDC","token_in":"wSOL",'
    b'"token_out":"USDC","amount_in":"amount_out":"fee":}],"amount_in":"amount_out":"impact_bps":"improvement_bps":"'
    b'"error":"errorCode":"retryable":true,"lastErrorCode":"retryAt":"2026-SLIPPAGE_TOLERANCE_EXCEEDED"Reverted by '
    b'"status":"failed","progress":100,"status":"confirmed","message":"Swapped on "txHash":'
    b'"executedPrice":"finalPrice":"'
    b'"fees":{"venues":[{"dex":"token":"amount":"}],"network":{"token":"SOL","amount":"0.000005"}},'
    b'"priceImprovementBps":"'
    b'"slippageBps":"0"}"status":"submitted","progress":75,"message":"Transaction submitted to "signature":"'
    b'"lastValidBlockHeight":"maxAmountIn":"minAmountOut":"'
    b'"status":"building","progress":50,"message":"Route chosen: "reason":" gives  USDC,  bps more than "route":['
    b'"quotes":[{"dex":"raydium","pool":"wSOL-USDC","tokenIn":"wSOL","tokenOut":"USDC","amountIn":"amountOut":"'
    b'"fee":"0.00"feeToken":"SOL","priceImpactBps":"0"},{"dex":"meteora","pool":"quote":{"dex":"'
    b'"status":"routing","progress":25,"message":"Comparing venues"}'
    b'{"orderId":"","sequence":1,"status":"pending","progress":10,"attempt":1,"timestamp":"2026-'
    b'.000Z","message":"Order received and queued for processing"}'
)


def new_order(order: Order) -> Item:
    """All attributes of an order's first write."""
    constants = {
        "orderId": {"S": order.order_id},
        "owner": {"S": order.owner},
        "request": _packed(_json(_request_fields(order.request))),
        "fingerprint": {"S": order.fingerprint},
        "keyed": {"BOOL": order.keyed},
        "createdAt": {"S": timestamp(order.created_at)},
        "events": {"L": order_events(order)},
    }
    present = {name: value for name, value in order_state(order).items() if value is not None}
    return keys.order(order.order_id) | constants | present


def order_events(order: Order, *, after: int = 0) -> list[Item]:
    return [_packed(_json(event)) for event in order.events_after(after)]


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
        "route": _packed(_route_text(order.route)) if order.route else None,
        "transaction": _packed(_transaction_text(order.transaction)) if order.transaction else None,
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
        request=_request(json.loads(_unpacked(item["request"]))),
        fingerprint=item["fingerprint"]["S"],
        keyed=item["keyed"]["BOOL"],
        created_at=parse_timestamp(item["createdAt"]["S"]),
        status=Status(item["status"]["S"]),
        events=tuple(json.loads(_unpacked(event)) for event in item["events"]["L"]),
        fence=int(item["fence"]["N"]),
        claim_id=item["claimId"]["S"],
        lease=_lease(item["lease"]["S"]) if "lease" in item else None,
        claimants=tuple(json.loads(item["claimants"]["S"])) if "claimants" in item else (),
        failed_attempts=int(item["failedAttempts"]["N"]),
        retry_at=parse_timestamp(item["retryAt"]["S"]) if "retryAt" in item else None,
        limit=int(item["limit"]["N"]) if "limit" in item else None,
        route=_route(_unpacked(item["route"])) if "route" in item else None,
        transaction=_transaction(_unpacked(item["transaction"])) if "transaction" in item else None,
        sent_through=int(item["sentThrough"]["N"]),
        recorded_through=int(item["recordedThrough"]["N"]),
        reminders=int(item["reminders"]["N"]) if "reminders" in item else 0,
        reminded_at=parse_timestamp(item["remindedAt"]["S"]) if "remindedAt" in item else None,
    )


def acceptance(order: Order) -> Item:
    """All that there is to know of an order that nobody has claimed, JSON-ready."""
    return {
        "owner": order.owner,
        "request": _request_fields(order.request),
        "fingerprint": order.fingerprint,
        "keyed": order.keyed,
        "createdAt": timestamp(order.created_at),
    }


def accepted_order(order_id: str, acceptance: Item) -> Order:
    created_at = parse_timestamp(acceptance["createdAt"])
    return Order(
        order_id=order_id,
        owner=acceptance["owner"],
        request=_request(acceptance["request"]),
        fingerprint=acceptance["fingerprint"],
        keyed=acceptance["keyed"],
        created_at=created_at,
    ).accepted(created_at)


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


def _packed(text: str) -> Item:
    packer = zlib.compressobj(wbits=_RAW, zdict=_FAMILIAR)
    return {"B": packer.compress(text.encode()) + packer.flush()}


def _unpacked(attribute: Item) -> str:
    return zlib.decompressobj(wbits=_RAW, zdict=_FAMILIAR).decompress(attribute["B"]).decode()


def _request_fields(request: SwapRequest) -> Item:
    expires_at = timestamp(request.expires_at) if request.expires_at else None
    return asdict(request) | {"expires_at": expires_at}


def _request(fields: Item) -> SwapRequest:
    swap, expires_at = fields["swap"], fields["expires_at"]
    exact = {
        "swap": Swap(**(swap | {"mode": SwapMode(swap["mode"])})),
        "expires_at": None if expires_at is None else parse_timestamp(expires_at),
    }
    return SwapRequest(**(fields | exact))


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
