"""What every `OrderRepository` guarantees: the same cases through the fake and through DynamoDB (moto)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from samtranslator.yaml_helper import yaml_parse

from order_engine.adapters.dynamodb import DynamoConnections, DynamoOrders
from order_engine.domain.errors import StateChanged
from order_engine.domain.orders import Order
from order_engine.service.ports import (
    Connection,
    ConnectionRepository,
    OrderRepository,
    Position,
    Subscription,
)
from tests.builders import a_confirmed_order, a_failed_order, a_fill, an_order, claim, submit
from tests.fakes import NOON, InMemoryConnections, InMemoryOrders

TABLE = "orders"
IDS = [f"00000000-0000-4000-8000-{number:012x}" for number in range(300)]
CONNECTION = Connection("connection", NOON)


@pytest.fixture
def dynamodb(aws_credentials: None) -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        create_table(client)
        yield client


def create_table(client: Any) -> None:
    """As template.yaml says."""
    template = yaml_parse(Path("template.yaml").read_text())
    wanted = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
    properties = template["Resources"]["OrdersTable"]["Properties"]
    client.create_table(TableName=TABLE, **{name: properties[name] for name in wanted})


@pytest.fixture(params=["in memory", "dynamodb"])
def orders(request: pytest.FixtureRequest) -> OrderRepository:
    if request.param == "in memory":
        return InMemoryOrders()
    return DynamoOrders(request.getfixturevalue("dynamodb"), TABLE)


@pytest.fixture(params=["in memory", "dynamodb"])
def connections(request: pytest.FixtureRequest) -> ConnectionRepository:
    if request.param == "in memory":
        return InMemoryConnections()
    return DynamoConnections(request.getfixturevalue("dynamodb"), TABLE)


def test_an_order_that_was_asked_for_something_else_is_not_written(orders: OrderRepository) -> None:
    order = an_order(IDS[0])
    asyncio.run(orders.add(order))
    other = replace(order, fingerprint="another")
    with pytest.raises(StateChanged):
        asyncio.run(orders.save(other, claim(other)))
    assert asyncio.run(orders.get(IDS[0])) == order


def test_an_order_that_is_not_stored_is_not_written(dynamodb: Any) -> None:
    order = an_order(IDS[0])
    with pytest.raises(StateChanged):
        asyncio.run(DynamoOrders(dynamodb, TABLE).save(order, claim(order)))


@pytest.mark.parametrize(
    "order",
    [
        an_order(IDS[0], user_id="u1", client_order_id="c1", keyed=True, expires_at=NOON + timedelta(days=1)),
        an_order(IDS[0], limit=123),
        claim(an_order(IDS[0])),
        submit(an_order(IDS[0])),
        a_confirmed_order(IDS[0]),
        a_failed_order(IDS[0]),
        replace(a_confirmed_order(IDS[0]), sent_through=5, recorded_through=5),
        an_order(IDS[0]).reminded(NOON),
    ],
    ids=["keyed", "limited", "claimed", "submitted", "confirmed", "failed", "recorded", "reminded"],
)
def test_an_order_comes_back_as_it_was_stored(orders: OrderRepository, order: Order) -> None:
    asyncio.run(orders.add(order))
    assert asyncio.run(orders.get(order.order_id)) == order


def test_an_unknown_order_is_none(orders: OrderRepository) -> None:
    assert asyncio.run(orders.get(IDS[0])) is None


def test_adding_an_id_twice_gives_back_the_first_order_unchanged(orders: OrderRepository) -> None:
    first, second = an_order(IDS[0]), an_order(IDS[0], owner="somebody else")
    assert asyncio.run(orders.add(first)) is None
    assert asyncio.run(orders.add(second)) == first
    assert asyncio.run(orders.get(IDS[0])) == first


def test_a_step_appends_its_events_and_clears_what_it_ends(orders: OrderRepository) -> None:
    submitted = submit(an_order(IDS[0]))
    asyncio.run(orders.add(submitted))
    assert submitted.route is not None
    confirmed = submitted.confirmed(a_fill(submitted.route), submitted.updated_at + timedelta(seconds=2))
    asyncio.run(orders.save(submitted, confirmed))
    found = asyncio.run(orders.get(IDS[0]))
    assert found == confirmed
    assert found is not None
    assert found.transaction is None
    assert found.lease is None


def test_a_write_from_an_outdated_state_is_refused(orders: OrderRepository) -> None:
    order = an_order(IDS[0])
    asyncio.run(orders.add(order))
    asyncio.run(orders.save(order, claim(order)))
    late = claim(order, token="late", message_id="late")
    with pytest.raises(StateChanged):
        asyncio.run(orders.save(order, replace(late, claim_id="late")))
    assert asyncio.run(orders.get(IDS[0])) == claim(order)


def test_saving_again_what_is_stored_already_is_no_conflict(orders: OrderRepository) -> None:
    order = an_order(IDS[0])
    asyncio.run(orders.add(order))
    asyncio.run(orders.save(order, claim(order)))
    asyncio.run(orders.save(order, claim(order)))
    found = asyncio.run(orders.get(IDS[0]))
    assert found == claim(order)


def test_a_quiet_change_is_stored_without_an_event(orders: OrderRepository) -> None:
    order = claim(an_order(IDS[0]))
    asyncio.run(orders.add(order))
    asyncio.run(orders.save(order, replace(order.released(), sent_through=2)))
    found = asyncio.run(orders.get(IDS[0]))
    assert found is not None
    assert (found.lease, found.sent_through, found.sequence) == (None, 2, 2)


def test_live_orders_are_listed_newest_first_until_they_are_in_the_history(orders: OrderRepository) -> None:
    confirmed = a_confirmed_order(IDS[0], created_at=NOON)
    recorded = replace(confirmed, sent_through=5, recorded_through=5)
    asyncio.run(orders.add(confirmed))
    asyncio.run(orders.add(an_order(IDS[1], created_at=NOON + timedelta(seconds=1), user_id="u1")))
    asyncio.run(orders.add(an_order(IDS[2], created_at=NOON + timedelta(seconds=2))))
    live = asyncio.run(orders.live(user_id=None, before=None, limit=10))
    assert [order.order_id for order in live] == [IDS[2], IDS[1], IDS[0]]
    asyncio.run(orders.save(confirmed, recorded))
    live = asyncio.run(orders.live(user_id=None, before=None, limit=10))
    assert [order.order_id for order in live] == [IDS[2], IDS[1]]
    mine = asyncio.run(orders.live(user_id="u1", before=None, limit=10))
    assert [order.order_id for order in mine] == [IDS[1]]


def test_a_replayed_order_is_live_again(orders: OrderRepository) -> None:
    failed = a_failed_order(IDS[0])
    recorded = replace(failed, sent_through=failed.sequence, recorded_through=failed.sequence)
    asyncio.run(orders.add(recorded))
    assert asyncio.run(orders.live(user_id=None, before=None, limit=10)) == []
    asyncio.run(orders.save(recorded, recorded.replayed("replay", NOON + timedelta(hours=1))))
    assert len(asyncio.run(orders.live(user_id=None, before=None, limit=10))) == 1


def test_pages_of_live_orders_visit_each_once(orders: OrderRepository) -> None:
    for number in range(23):
        asyncio.run(orders.add(an_order(IDS[number], created_at=NOON + timedelta(seconds=number // 2))))
    seen: list[str] = []
    before: Position | None = None
    while page := asyncio.run(orders.live(user_id=None, before=before, limit=5)):
        seen += [order.order_id for order in page]
        before = Position(page[-1].created_at, page[-1].order_id)
    assert seen == sorted(seen, key=IDS.index, reverse=True)
    assert sorted(seen) == IDS[:23]


def test_the_oldest_live_orders_come_first_until_a_moment(orders: OrderRepository) -> None:
    for number in range(23):
        asyncio.run(orders.add(an_order(IDS[number], created_at=NOON + timedelta(seconds=number // 2))))
    settled = replace(a_confirmed_order(IDS[30], created_at=NOON), sent_through=5, recorded_through=5)
    asyncio.run(orders.add(settled))
    seen: list[str] = []
    after: Position | None = None
    until = NOON + timedelta(seconds=10)
    while page := asyncio.run(orders.oldest_live(after=after, until=until, limit=5)):
        seen += [order.order_id for order in page]
        after = Position(page[-1].created_at, page[-1].order_id)
    assert seen == IDS[:20]


def test_sequences_of_many_orders_come_in_one_answer(orders: OrderRepository) -> None:
    for order_id in IDS[:120]:
        asyncio.run(orders.add(an_order(order_id)))
    asyncio.run(orders.add(a_confirmed_order(IDS[120])))
    sequences = asyncio.run(orders.sequences(IDS[:122]))
    assert len(sequences) == 121
    assert sequences[IDS[120]] == 5


def test_a_subscription_is_live_once_its_replay_has_run(connections: ConnectionRepository) -> None:
    asyncio.run(connections.add(CONNECTION))
    asyncio.run(connections.subscribe(Subscription(IDS[0], "connection", NOON)))
    assert asyncio.run(connections.watchers(IDS[0])) == [Subscription(IDS[0], "connection", NOON, None)]
    asyncio.run(connections.advance(IDS[0], "connection", 4))
    assert asyncio.run(connections.watchers(IDS[0])) == [Subscription(IDS[0], "connection", NOON, 4)]
    asyncio.run(connections.subscribe(Subscription(IDS[0], "connection", NOON)))
    assert asyncio.run(connections.watchers(IDS[0])) == [Subscription(IDS[0], "connection", NOON, None)]
    asyncio.run(connections.advance(IDS[0], "connection", 7))
    asyncio.run(connections.advance(IDS[0], "connection", None))
    assert asyncio.run(connections.watchers(IDS[0])) == [Subscription(IDS[0], "connection", NOON, None)]


def test_a_subscription_that_was_removed_is_not_brought_back(connections: ConnectionRepository) -> None:
    asyncio.run(connections.subscribe(Subscription(IDS[0], "connection", NOON)))
    asyncio.run(connections.unsubscribe(IDS[0], "connection"))
    asyncio.run(connections.advance(IDS[0], "connection", 4))
    assert asyncio.run(connections.watchers(IDS[0])) == []


def test_a_connection_that_is_removed_follows_nobody_any_more(connections: ConnectionRepository) -> None:
    asyncio.run(connections.add(Connection("connection", NOON, "u1")))
    asyncio.run(connections.add(Connection("other", NOON, "u1")))
    asyncio.run(connections.remove("connection"))
    asyncio.run(connections.remove("never there"))
    assert asyncio.run(connections.get("connection")) is None
    assert asyncio.run(connections.get("other")) == Connection("other", NOON, "u1")
    assert asyncio.run(connections.followers("u1")) == [Connection("other", NOON, "u1")]


def test_a_connection_knows_its_user_and_its_orders(connections: ConnectionRepository) -> None:
    asyncio.run(connections.add(Connection("connection", NOON, "u1")))
    for order_id in IDS[:3]:
        asyncio.run(connections.subscribe(Subscription(order_id, "connection", NOON)))
    assert asyncio.run(connections.get("connection")) == Connection("connection", NOON, "u1")
    assert sorted(asyncio.run(connections.subscribed_orders("connection"))) == IDS[:3]
    assert asyncio.run(connections.followers("u2")) == []


def test_a_settled_order_expires_in_thirty_days_unless_a_key_holds_it(dynamodb: Any) -> None:
    orders = DynamoOrders(dynamodb, TABLE)
    for order_id, keyed in ((IDS[0], False), (IDS[1], True)):
        order = a_confirmed_order(order_id, keyed=keyed)
        asyncio.run(orders.add(order))
        assert "ttl" not in item(dynamodb, order_id)
        asyncio.run(orders.save(order, replace(order, sent_through=5, recorded_through=5)))
    assert item(dynamodb, IDS[0])["ttl"]["N"] == str(int((NOON + timedelta(days=30)).timestamp()))
    assert "ttl" not in item(dynamodb, IDS[1])


def test_connections_and_subscriptions_expire_by_themselves(dynamodb: Any) -> None:
    connections = DynamoConnections(dynamodb, TABLE)
    asyncio.run(connections.add(Connection("connection", NOON, "u1")))
    asyncio.run(connections.subscribe(Subscription(IDS[0], "connection", NOON)))
    left_over = dynamodb.scan(TableName=TABLE)["Items"]
    assert len(left_over) == 3
    assert {entry["ttl"]["N"] for entry in left_over} == {str(int((NOON + timedelta(hours=3)).timestamp()))}


def item(dynamodb: Any, order_id: str) -> dict[str, Any]:
    key = {"pk": {"S": f"ORDER#{order_id}"}, "sk": {"S": "ORDER"}}
    found: dict[str, Any] = dynamodb.get_item(TableName=TABLE, Key=key)["Item"]
    return found
