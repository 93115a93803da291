"""What an order costs however many there were before it, and are beside it: rows in Postgres, calls to DynamoDB."""

from __future__ import annotations

import asyncio
import os
import re
from collections import Counter
from collections.abc import Awaitable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count, cycle, islice, product
from typing import Any, TypeVar

import boto3
import psycopg
import pytest
from moto import mock_aws
from psycopg import ClientCursor
from psycopg.rows import DictRow, dict_row

from local.postgres import Postgres
from order_engine.adapters import items
from order_engine.adapters.database import connect
from order_engine.adapters.dynamodb import DynamoConnections, DynamoOrders
from order_engine.adapters.keys import LIVE_SHARDS
from order_engine.adapters.migrations import apply_migrations
from order_engine.adapters.postgres import ENDED, GET, find_query
from order_engine.domain.orders import Order, Status, SwapRequest
from order_engine.service.accept_order import AcceptOrder
from order_engine.service.follow_orders import FollowOrders
from order_engine.service.notify_clients import NotifyClients
from order_engine.service.ports import Connection, OrderFilter, Position, StatusMessage, Subscription
from order_engine.service.read_orders import ReadOrders
from order_engine.service.watch_orders import WatchOrders
from tests.builders import SELL_SOL, a_confirmed_order, an_order, claim, confirm
from tests.contract.conftest import new_database
from tests.contract.test_orders import TABLE, create_table
from tests.fakes import (
    NOON,
    CountingRandomness,
    FrozenClock,
    InMemoryHistory,
    RecordingOrderQueue,
    RecordingSockets,
    RecordingStatusQueue,
)

Value = TypeVar("Value")

# Postgres

# Made to mislead a planner, which takes values for evenly spread and independent: what expired, what "early" ordered
# and all of RAY is in the oldest tenth; "bot" has another tenth, and it, "early" and what expired never meet BONK.
A_MILLION_ORDERS = """
INSERT INTO orders (id, type, status, owner, user_id, token_in, token_out, swap_mode, amount, slippage_bps, created_at,
                    updated_at, sequence, attempts, transaction_hash)
SELECT md5(number::text)::uuid::text, 'market', status, 'public', user_id, token_in, 'USDC', 'exactIn', 1, 100,
       timestamptz '2026-01-01Z' + number * interval '1 second', timestamptz '2026-11-21Z', 5, 1,
       CASE WHEN status = 'confirmed' THEN 'signature' END
FROM generate_series(1, 1000000) AS number,
LATERAL (
    SELECT CASE WHEN number <= 100000 AND number % 2 = 0 THEN 'expired'
                WHEN number % 50 = 1 THEN 'failed'
                ELSE 'confirmed' END,
           CASE WHEN number <= 100000 AND number % 2 = 1 THEN 'early'
                WHEN number > 100000 AND number % 9 = 0 THEN 'bot'
                WHEN number % 3 = 1 THEN 'user-' || number * 7 % 10000 END,
           CASE WHEN number <= 100000 AND number % 2 = 1 THEN 'RAY'
                WHEN number % 9 = 1 THEN 'BONK'
                ELSE 'SOL' END
) AS made (status, user_id, token_in)
"""

# Of every tenth order only, for the time it takes; no other order's events are read with one's own.
THEIR_EVENTS = """
INSERT INTO order_status_history (order_id, sequence, status, payload, created_at)
SELECT md5(number::text)::uuid::text, sequence, 'confirmed', '{"orderId": "…"}', timestamptz '2026-01-01Z'
FROM generate_series(10, 1000000, 10) AS number, generate_series(1, 5) AS sequence
"""

FIRST = datetime.fromisoformat("2026-01-01T00:00:00Z")
HOUR = timedelta(hours=1)
LIMIT = 101  # the longest page of the API, and one to know whether there is another


@pytest.fixture(scope="module")
def million_orders_url(postgres: Postgres) -> str:
    url = new_database(postgres)
    apply_migrations(url)
    with psycopg.connect(url) as connection:
        connection.execute("ALTER TABLE order_status_history SET UNLOGGED")
        connection.execute("ALTER TABLE orders SET UNLOGGED")
        connection.execute("SET session_replication_role = replica")  # as a dump is restored: no look-ups of keys
        indexes = connection.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'orders' AND indexname <> 'orders_pkey'"
        ).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}".encode())
        connection.execute(A_MILLION_ORDERS)
        for _, definition in indexes:
            connection.execute(definition.encode())
        connection.execute(THEIR_EVENTS)
        connection.execute("ANALYZE orders, order_status_history")
    return url


@dataclass(frozen=True)
class Reading:
    """What a statement took."""

    nodes: list[dict[str, Any]]

    @property
    def pages(self) -> int:
        """Of 8 KB, from disk or memory, those of the index included."""
        return int(self.nodes[0]["Shared Hit Blocks"]) + int(self.nodes[0]["Shared Read Blocks"])

    @property
    def kinds(self) -> set[str]:
        return {node["Node Type"] for node in self.nodes}

    @property
    def ended(self) -> int:
        """Rows that came out of the orders."""
        return sum(node["Actual Rows"] for node in self.nodes if node.get("Relation Name") == "orders")

    @property
    def unwanted(self) -> int:
        """Rows that were read and did not match."""
        return sum(node.get("Rows Removed by Filter", 0) for node in self.nodes)


def reading(connection: psycopg.Connection[DictRow], statement: str, parameters: dict[str, Any]) -> Reading:
    """Of the statement as a worker runs it after some repetitions: prepared."""
    used = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", statement)))
    numbered = re.sub(r"%\((\w+)\)s", lambda found: f"${used.index(found[1]) + 1}", statement)
    connection.execute(f"DEALLOCATE ALL; PREPARE wanted AS {numbered}".encode(), prepare=False)
    explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE wanted ({', '.join(['%s'] * len(used))})"
    with ClientCursor(connection, row_factory=dict_row) as cursor:
        cursor.execute(explain.encode(), [parameters[name] for name in used])
        [answer] = cursor.fetchall()
    return Reading(list(nodes_of(answer["QUERY PLAN"][0]["Plan"])))


def nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes_of(inner)


VALUES: dict[str, list[Any]] = {
    "status": [Status.CONFIRMED, Status.FAILED, Status.EXPIRED, Status.PENDING],
    "user_id": ["bot", "early", "user-77", "nobody"],
    "pair": [("SOL", "USDC"), ("RAY", "USDC"), ("BONK", "USDC"), ("WIF", "USDC")],
}
TIMES = [
    {},
    {"since": FIRST + 277 * HOUR},
    {"until": FIRST + HOUR},
    {"since": FIRST + 99 * HOUR, "until": FIRST + 100 * HOUR},
]
PLACES = [None, Position(FIRST + 138 * HOUR, "order")]


@pytest.mark.parametrize("plan", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize(
    "asked",
    [
        (),
        ("status",),
        ("user_id",),
        ("pair",),
        ("status", "user_id"),
        ("status", "pair"),
        ("user_id", "pair"),
        ("status", "user_id", "pair"),
    ],
    ids=" and ".join,
)
def test_a_list_out_of_a_million_orders_reads_little_more_than_its_page(
    million_orders_url: str, asked: tuple[str, ...], plan: str
) -> None:
    with connect(million_orders_url, connect_seconds=2, statement_seconds=2) as connection:
        connection.execute(f"SET plan_cache_mode = {plan}".encode())
        for wanted, times, before in product(product(*(VALUES[name] for name in asked)), TIMES, PLACES):
            for type in (None, "market"):
                filter = OrderFilter(**dict(zip(asked, wanted, strict=True)), **times, type=type)
                read = reading(connection, *find_query(filter, before=before, limit=LIMIT))
                assert not read.kinds & {"Seq Scan", "Sort", "Incremental Sort"}, (filter, before, read.nodes)
                assert read.unwanted == 0, (filter, before, read.nodes)
                assert read.pages <= 2 * LIMIT, (filter, before, read.nodes)


def test_one_order_out_of_a_million_is_read_with_its_events_and_nothing_else(million_orders_url: str) -> None:
    with connect(million_orders_url, connect_seconds=2, statement_seconds=2) as connection:
        [order] = connection.execute("SELECT md5('500000')::uuid::text AS id").fetchall()
        read = reading(connection, GET, {"order_id": order["id"]})

    assert "Seq Scan" not in read.kinds
    assert read.unwanted == 0
    assert read.pages <= 20


A_BUSY_HOUR = """
INSERT INTO orders (id, type, status, owner, token_in, token_out, swap_mode, amount, slippage_bps, created_at,
                    updated_at, sequence, attempts, price_improvement_bps, transaction_hash)
SELECT 'busy-' || number, 'market', 'confirmed', 'public', 'SOL', 'USDC', 'exactIn', 1, 100, ended - interval '3 s',
       ended, 5, 1, number, 'signature'
FROM generate_series(1, 3600) AS number, LATERAL (SELECT timestamptz '2026-11-21T12:00Z' + number * interval '1 s')
     AS times (ended)
"""


def test_the_statistics_of_an_hour_read_its_own_orders_and_none_of_a_million_others(million_orders_url: str) -> None:
    hour = {"since": NOON + timedelta(seconds=1), "until": NOON + HOUR}
    with connect(million_orders_url, connect_seconds=2, statement_seconds=2) as connection:

        def readings() -> list[Reading]:
            found = []
            for plan in ("force_custom_plan", "force_generic_plan"):
                connection.execute(f"SET plan_cache_mode = {plan}".encode())
                found.append(reading(connection, ENDED, hour))
            return found

        quiet = readings()
        with connection.transaction(force_rollback=True):
            connection.execute(A_BUSY_HOUR)
            busy = readings()

    for read in quiet + busy:
        assert "Seq Scan" not in read.kinds, read.nodes
        assert "orders_by_end" in {node.get("Index Name") for node in read.nodes}
    assert all(read.pages <= 10 and read.ended == 0 for read in quiet), quiet
    assert all(read.pages <= 200 and read.ended == 3_599 for read in busy), busy


# DynamoDB

MOST_SETTLED = int(os.environ.get("GROWTH_ORDERS", "10000"))
"""100,000 take a minute and a half, nearly all of it to fill moto."""


@dataclass(frozen=True)
class Cost:
    calls: Counter[str]
    items: int
    """That were read, whether or not they were any use."""


@dataclass
class Meter:
    """Counts what is asked of DynamoDB and what it has to read for that."""

    calls: Counter[str] = field(default_factory=Counter)
    items: int = 0

    def __call__(self, model: Any, parsed: dict[str, Any], **_: object) -> None:
        self.calls[model.name] += 1
        self.items += parsed.get("ScannedCount", 0) + ("Item" in parsed)
        self.items += sum(len(found) for found in parsed.get("Responses", {}).values())

    def take(self) -> Cost:
        cost = Cost(self.calls, self.items)
        self.calls, self.items = Counter(), 0
        return cost


class World:
    """Many orders and clients in one table; what one more order and its client cost there can be measured."""

    def __init__(self, client: Any) -> None:
        self.client, self.meter = client, Meter()
        self.orders, self.connections = DynamoOrders(client, TABLE), DynamoConnections(client, TABLE)
        self.clock, self.randomness = FrozenClock(NOON + HOUR), CountingRandomness()
        self.ids = (f"00000000-0000-4000-8000-{number:012x}" for number in count())
        self.live: list[Order] = []
        client.meta.events.register("after-call.dynamodb", self.meter)

    def add_settled(self, number: int) -> None:
        finished = a_confirmed_order(user_id="somebody")
        settled = replace(finished, sent_through=finished.sequence, recorded_through=finished.sequence)
        self.put(items.new_order(replace(settled, order_id=order_id)) for order_id in islice(self.ids, number))

    def add_live(self, number: int) -> None:
        """Each of a user of its own, and none in need of a reminder."""
        ids = islice(self.ids, number)
        waiting = [replace(claim(an_order(id, user_id=f"user-{id}")), retry_at=NOON + 24 * HOUR) for id in ids]
        self.live += waiting
        self.put(items.new_order(order) for order in waiting)

    def add_connections(self, number: int) -> None:
        """Each watches a live order and follows its user."""
        for order, connection_id in zip(cycle(self.live), islice(self.ids, number)):
            assert order.request.user_id is not None
            connection = Connection(connection_id, NOON, order.request.user_id)
            subscription = Subscription(order.order_id, connection_id, NOON, order.sequence)
            self.put(
                [
                    items.new_connection(connection),
                    items.new_follower(order.request.user_id, connection),
                    items.new_subscription(subscription),
                ]
            )

    def put(self, wanted: Iterable[dict[str, Any]]) -> None:
        requests = [{"PutRequest": {"Item": item}} for item in wanted]
        for start in range(0, len(requests), 25):
            self.client.batch_write_item(RequestItems={TABLE: requests[start : start + 25]})

    def costs(self) -> dict[str, Cost]:
        """Of each step in the life of one order."""
        return asyncio.run(self._costs())

    async def _costs(self) -> dict[str, Cost]:
        costs: dict[str, Cost] = {}
        statuses, history = RecordingStatusQueue(), InMemoryHistory()
        ends = {"connections": self.connections, "orders": self.orders, "statuses": statuses, "clock": self.clock}
        accept = AcceptOrder(
            orders=self.orders,
            queue=RecordingOrderQueue(),
            statuses=statuses,
            clock=self.clock,
            randomness=self.randomness,
        )
        follow, notify = FollowOrders(**ends), NotifyClients(sockets=RecordingSockets(), **ends)  # type: ignore[arg-type]
        read = ReadOrders(orders=self.orders, history=history)
        watch = WatchOrders(orders=self.orders, queue=RecordingOrderQueue(), clock=self.clock)

        async def paid(step: str, work: Awaitable[Value]) -> Value:
            self.meter.take()
            result = await work
            costs[step] = self.meter.take()
            return result

        # Of its own in each run: what a connection watched outlives it for a while.
        socket = self.randomness.token()
        await paid("connect", follow.connect(socket, user_id="me"))
        order = await paid("accept", accept(SwapRequest(SELL_SOL, 100, user_id="me")))
        await paid("subscribe", follow.subscribe(socket, order.order_id))
        await paid("read one", read.one(order.order_id))
        for message in statuses.messages:
            await paid(f"notify of {type(message).__name__}", notify(message))
        claimed, confirmed = claim(order), confirm(order)
        await paid("claim", self.orders.save(order, claimed))
        await paid("confirm", self.orders.save(claimed, confirmed))
        await paid("push", notify(StatusMessage(order.order_id, "me", confirmed.events[1:])))
        await paid("ping", follow.high_water(socket))
        await paid("list of a user", read.page(OrderFilter(user_id="me"), before=None, limit=20))
        await paid("list", read.page(OrderFilter(), before=None, limit=20))
        await paid("sweep", watch(self.clock.now() + HOUR))
        settled = replace(confirmed, sent_through=confirmed.sequence, recorded_through=confirmed.sequence)
        await paid("settle", self.orders.save(confirmed, settled))
        await paid("disconnect", follow.disconnect(socket))
        return costs


@pytest.fixture
def world(aws_credentials: None) -> Iterator[World]:
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        create_table(client)
        yield World(client)


def test_no_step_of_an_order_costs_more_for_the_orders_settled_before_it(world: World) -> None:
    world.add_live(30)
    world.add_settled(100)
    costs = world.costs()
    settled = 100
    while settled < MOST_SETTLED:
        world.add_settled(9 * settled)
        settled *= 10
        assert world.costs() == costs, settled


def test_no_step_of_an_order_costs_more_for_connections_that_wait_for_others(world: World) -> None:
    world.add_live(50)
    world.add_connections(10)
    costs = world.costs()
    world.add_connections(1_000)
    assert world.costs() == costs


def test_only_the_sweep_and_the_list_of_all_read_the_live_orders_of_others(world: World) -> None:
    world.add_live(10)
    few = world.costs()
    world.add_live(490)
    many = world.costs()

    assert {step for step in many if many[step] != few[step]} == {"list", "sweep"}
    # A page of the sweep, 100 orders, may be all in one shard or in another: it reads the keys of both.
    assert many["sweep"].items <= 500 * (LIVE_SHARDS + 1)
    assert many["sweep"].calls == {"Query": 6 * LIVE_SHARDS, "BatchGetItem": 5}
    # The list reads one such page, however many there are.
    assert many["list"].items <= 100 * (LIVE_SHARDS + 1)
    assert many["list"].calls == {"Query": LIVE_SHARDS, "BatchGetItem": 1}
