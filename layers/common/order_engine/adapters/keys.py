"""Keys of the orders table, and what each is for.

| access                                   | key                                                        |
|------------------------------------------|------------------------------------------------------------|
| an order, with its events                | pk ORDER#{order}   sk ORDER                                |
| who watches an order                     | pk ORDER#{order}   sk begins with SUB#                     |
| one connection's watch of one order      | pk ORDER#{order}   sk SUB#{connection}                     |
| a connection                             | pk CONN#{connection}  sk CONN                              |
| who follows a user                       | pk USER#{user}     sk CONN#{connection}                    |
| live orders by age                       | index live         live LIVE#{shard}, position             |
| a user's live orders, newest first       | index liveByUser   liveUser {user}, position               |
| what a connection watches                | index byConnection connectionId {connection}, orderId      |
| faults to inject (local stack only)      | pk FAULT#{order or *}  sk FAULT                            |

The indexes are sparse: an order is in them until it is settled. Their keys never change while it is, so that
the many writes of an order cost nothing there.
"""

from __future__ import annotations

from datetime import datetime

from order_engine.domain.events import timestamp

Key = dict[str, dict[str, str]]

LIVE_SHARDS = 4
"""One index partition takes 1,000 writes a second; an order is two of them, so this takes 2,000 orders a second."""

SUBSCRIPTION_PREFIX = "SUB#"
CONNECTION_PREFIX = "CONN#"


def order(order_id: str) -> Key:
    return _key(f"ORDER#{order_id}", "ORDER")


def subscription(order_id: str, connection_id: str) -> Key:
    return _key(f"ORDER#{order_id}", SUBSCRIPTION_PREFIX + connection_id)


def connection(connection_id: str) -> Key:
    return _key(f"CONN#{connection_id}", "CONN")


def follower(user_id: str, connection_id: str) -> Key:
    return _key(f"USER#{user_id}", CONNECTION_PREFIX + connection_id)


def fault(scope: str) -> Key:
    return _key(f"FAULT#{scope}", "FAULT")


def live_shard(order_id: str) -> str:
    return f"LIVE#{int(order_id[-4:], 16) % LIVE_SHARDS}"


def position(created_at: datetime, order_id: str) -> str:
    return f"{timestamp(created_at)}#{order_id}"


def _key(pk: str, sk: str) -> Key:
    return {"pk": {"S": pk}, "sk": {"S": sk}}
