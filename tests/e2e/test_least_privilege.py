"""Every permission is enough, and every one is needed: the deployed stack, its emulator enforcing IAM.

One scenario after the other uses all that the functions may do, without a denial. Then one permission at a time is
taken from its role, and the scenario that uses it meets the denial of just that.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from local.stack import Stack
from order_client.cli.target import LOCAL_STACK
from order_engine.adapters import items
from order_engine.domain.orders import Order, SwapRequest
from order_engine.domain.quotes import Swap, SwapMode
from order_engine.service.ports import Connection, Subscription
from tests.e2e.clients import HAPPY_PATH, SELL_SOL, Client, Json, client_of, run, until
from tests.e2e.stacks import running_stack
from tests.e2e.test_faults import has_replayed
from tests.e2e.test_recovery import sweep
from tests.e2e.test_wire_formats import traces_of_connections
from tests.infrastructure.test_permissions import CONNECTIONS, PERMISSIONS

PARAMETERS = {"QuoteDelayMs": "0", "LandingMinMs": "0", "LandingMaxMs": "0", "RevertRate": "0"}

NOT_ENFORCED = {
    # ministack 1.5.33 keeps the logs of functions itself, whatever their roles say.
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    # Its event sources look into queues directly, where AWS's use the role of the function.
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
}


class Grant(NamedTuple):
    function: str
    action: str
    resource: str


class Denial(NamedTuple):
    principal: str
    action: str
    resource: str


# Scenarios


async def an_order_is_executed(client: Client) -> None:
    accepted = await client.submit()
    assert (await client.outcome(accepted["orderId"]))["status"] == "confirmed"
    await client.recorded(accepted["orderId"])


async def orders_are_read(client: Client) -> None:
    user = f"user-{uuid4()}"
    order = await a_still_order(client, user)
    assert (await client.order(order.order_id))["orderId"] == order.order_id
    for query in ({}, {"userId": user}):
        response = await client.http.get("/api/orders", params=query)
        assert order.order_id in [listed["orderId"] for listed in response.json()["orders"]], response.text


async def an_order_is_tried_three_times_and_replayed(client: Client) -> None:
    accepted = await client.submit(**SELL_SOL, minAmountOut="1000000")
    order_id = accepted["orderId"]
    assert (await client.outcome(order_id))["errorCode"] == "ATTEMPTS_EXHAUSTED"
    await until(lambda: asyncio.to_thread(has_replayed, client.stack, order_id), 30, "a dead letter")
    await until(lambda: attempts(client, order_id, 4), 30, "the replayed order's first attempt")


async def an_order_is_put_off_while_postgres_is_away(client: Client) -> None:
    client.stack.postgres.stop()
    try:
        accepted = await client.submit()
        await until(lambda: asyncio.to_thread(delayed_orders, client.stack), 30, "a copy of the message")
    finally:
        client.stack.postgres.start()
    await client.recorded(accepted["orderId"])


async def an_order_that_stands_still_is_reminded_of(client: Client) -> None:
    order = await a_still_order(client, f"user-{uuid4()}")
    await asyncio.to_thread(sweep, client.stack)
    assert (await client.outcome(order.order_id))["status"] == "confirmed"


async def an_order_is_watched_and_its_client_leaves(client: Client) -> None:
    accepted = await client.submit()
    async with client.watch(orderId=accepted["orderId"]) as watch:
        await watch.end()
        assert watch.statuses() == HAPPY_PATH
        [mine] = [key for key in await traces(client, accepted["orderId"]) if key[1] == "CONN"]
    await until(lambda: are_gone(client, {mine}), 10, "the connection to go")


async def a_client_says_all_there_is_to_say(client: Client) -> None:
    async with client.watch() as watch:
        await watch.say({"action": "submit", "order": SELL_SOL})
        (event, *_) = await watch.end()
        await watch.say({"action": "subscribe", "orderId": event["orderId"]})
        assert (await watch.answer())["type"] == "subscribed"
        await watch.say({"action": "ping"})
        assert (await watch.answer())["sequences"] == {event["orderId"]: 5}
        await watch.say({"action": "unsubscribe", "orderId": event["orderId"]})
        assert (await watch.answer())["type"] == "unsubscribed"
        await watch.say({"action": "submit", "order": SELL_SOL | {"expiresAt": "2020-01-01T00:00:00Z"}})
        assert "expiresAt" in json.dumps(await watch.answer())


async def a_user_is_followed(client: Client) -> None:
    user = f"user-{uuid4()}"
    known = await a_still_order(client, user)
    async with client.watch(userId=user) as watch:
        assert (await watch.next())["orderId"] == known.order_id
        accepted = await client.submit(**SELL_SOL, userId=user)
        await watch.end(accepted["orderId"])


async def an_order_is_placed_by_connecting(client: Client) -> None:
    async with client.watch(**SELL_SOL) as watch:
        await watch.end()
        assert watch.statuses() == HAPPY_PATH


async def a_client_that_has_gone_is_forgotten(client: Client) -> None:
    order = await a_still_order(client, f"user-{uuid4()}")
    connection = Connection(f"gone-{uuid4()}", long_ago())
    put(client.stack, items.new_connection(connection))
    put(client.stack, items.new_subscription(Subscription(order.order_id, connection.connection_id, long_ago())))
    tell(client.stack, {"kind": "replay", "orderId": order.order_id, "connectionId": connection.connection_id})
    mine = {key for key in traces_of_connections(client.stack) if connection.connection_id in "".join(key)}
    await until(lambda: are_gone(client, mine), 10, "the connection and its subscription to go")


async def nonsense_among_the_statuses_is_put_aside(client: Client) -> None:
    tell(client.stack, {"kind": "nonsense", "orderId": (nonsense := str(uuid4()))})
    await until(lambda: asyncio.to_thread(is_put_aside, client.stack, nonsense), 10, "a dead letter")


Scenario = Callable[[Client], Coroutine[Any, Any, None]]

SHOWN_BY: dict[Scenario, set[Grant]] = {
    an_order_is_executed: {
        Grant("SubmitOrder", "dynamodb:PutItem", "OrdersTable"),
        Grant("SubmitOrder", "sqs:SendMessage", "OrderQueue"),
        Grant("ExecuteOrder", "dynamodb:UpdateItem", "OrdersTable"),
        Grant("ExecuteOrder", "dynamodb:BatchGetItem", "LedgerTable"),
        Grant("ExecuteOrder", "dynamodb:PutItem", "LedgerTable"),
        Grant("ExecuteOrder", "sqs:SendMessage", "StatusQueue"),
    },
    orders_are_read: {
        Grant("SubmitOrder", "dynamodb:GetItem", "OrdersTable"),
        Grant("SubmitOrder", "dynamodb:BatchGetItem", "OrdersTable"),
        Grant("SubmitOrder", "dynamodb:Query", "OrdersTable/index/live"),
        Grant("SubmitOrder", "dynamodb:Query", "OrdersTable/index/liveByUser"),
    },
    an_order_is_tried_three_times_and_replayed: {
        Grant("ExecuteOrder", "sqs:ChangeMessageVisibility", "OrderQueue"),
    },
    an_order_is_put_off_while_postgres_is_away: {
        Grant("ExecuteOrder", "sqs:SendMessage", "OrderQueue"),
    },
    an_order_that_stands_still_is_reminded_of: {
        Grant("WatchOrders", "dynamodb:Query", "OrdersTable/index/live"),
        Grant("WatchOrders", "dynamodb:BatchGetItem", "OrdersTable"),
        Grant("WatchOrders", "dynamodb:UpdateItem", "OrdersTable"),
        Grant("WatchOrders", "sqs:SendMessage", "OrderQueue"),
        Grant("ExecuteOrder", "dynamodb:GetItem", "OrdersTable"),
    },
    an_order_is_watched_and_its_client_leaves: {
        Grant("WsConnect", "dynamodb:PutItem", "OrdersTable"),
        Grant("WsConnect", "dynamodb:DeleteItem", "OrdersTable"),
        Grant("WsConnect", "sqs:SendMessage", "StatusQueue"),
        Grant("WsNotify", "dynamodb:GetItem", "OrdersTable"),
        Grant("WsNotify", "dynamodb:UpdateItem", "OrdersTable"),
        Grant("WsNotify", "dynamodb:Query", "OrdersTable"),
        Grant("WsNotify", "execute-api:ManageConnections", CONNECTIONS),
    },
    an_order_is_placed_by_connecting: {
        Grant("WsConnect", "sqs:SendMessage", "OrderQueue"),
    },
    a_client_says_all_there_is_to_say: {
        Grant("WsConnect", "dynamodb:GetItem", "OrdersTable"),
        Grant("WsConnect", "dynamodb:BatchGetItem", "OrdersTable"),
        Grant("WsConnect", "dynamodb:Query", "OrdersTable/index/byConnection"),
        Grant("WsConnect", "execute-api:ManageConnections", CONNECTIONS),
    },
    a_user_is_followed: {
        Grant("SubmitOrder", "sqs:SendMessage", "StatusQueue"),
        Grant("WsConnect", "dynamodb:Query", "OrdersTable/index/liveByUser"),
        Grant("WsNotify", "dynamodb:PutItem", "OrdersTable"),
        Grant("WsNotify", "sqs:SendMessage", "StatusQueue"),
    },
    a_client_that_has_gone_is_forgotten: {
        Grant("WsNotify", "dynamodb:DeleteItem", "OrdersTable"),
    },
    nonsense_among_the_statuses_is_put_aside: {
        Grant("WsNotify", "sqs:ChangeMessageVisibility", "StatusQueue"),
    },
}


def name_of(case: Scenario | Grant) -> str:
    return " ".join(case) if isinstance(case, Grant) else case.__name__


CASES = [(grant, scenario) for scenario, grants in SHOWN_BY.items() for grant in sorted(grants)]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with running_stack("least-privilege", PARAMETERS) as running:
        yield running


def test_every_permission_is_shown_to_be_needed_but_those_that_the_emulator_does_not_enforce() -> None:
    granted = {Grant(function, *permission) for function, some in PERMISSIONS.items() for permission in some}
    assert {grant for grant, _ in CASES} == {grant for grant in granted if grant.action not in NOT_ENFORCED}


@pytest.mark.parametrize("scenario", SHOWN_BY, ids=name_of)
def test_the_roles_allow_all_that_is_needed(stack: Stack, scenario: Scenario) -> None:
    denials = Denials(stack)
    run(stack, scenario)
    assert denials.so_far() == []


@pytest.mark.parametrize(("grant", "scenario"), CASES, ids=name_of)
def test_without_any_one_permission_something_is_denied(stack: Stack, grant: Grant, scenario: Scenario) -> None:
    async def until_denied() -> None:
        async with client_of(stack) as client:
            ending = asyncio.create_task(scenario(client))
            try:
                await until(lambda: asyncio.to_thread(denials.so_far), 20, f"a denial ({ending})")
            finally:
                ending.cancel()
                await asyncio.gather(ending, return_exceptions=True)

    with without(stack, grant) as (role, arn):
        denials = Denials(stack)
        asyncio.run(until_denied())
    for denial in denials.so_far():
        assert f"/{role}/" in denial.principal
        assert denial.action == grant.action
        assert fnmatchcase(denial.resource, arn)


# What scenarios are made of


async def a_still_order(client: Client, user: str) -> Order:
    """Accepted long ago, and its message was lost."""
    request = SwapRequest(Swap("SOL", "USDC", 1_500_000_000, SwapMode.EXACT_IN), slippage_bps=100, user_id=user)
    order = Order(str(uuid4()), user, request, "fingerprint", keyed=False, created_at=long_ago()).accepted(long_ago())
    await asyncio.to_thread(put, client.stack, items.new_order(order))
    return order


def long_ago() -> datetime:
    return datetime.now(UTC) - timedelta(hours=1)


def put(stack: Stack, item: Json) -> None:
    stack.client("dynamodb").put_item(TableName=stack.outputs["OrdersTableName"], Item=item)


def tell(stack: Stack, message: Json) -> None:
    stack.client("sqs").send_message(
        QueueUrl=stack.outputs["StatusQueueUrl"],
        MessageBody=json.dumps({"after": 0, "tries": 0} | message),
        MessageGroupId=message["orderId"],
        MessageDeduplicationId=str(uuid4()),
    )


def is_put_aside(stack: Stack, text: str) -> bool:
    url = stack.outputs["StatusDeadLetterQueueUrl"]
    answer = stack.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
    return any(text in message["Body"] for message in answer.get("Messages", []))


def delayed_orders(stack: Stack) -> int:
    name = "ApproximateNumberOfMessagesDelayed"
    answer = stack.client("sqs").get_queue_attributes(QueueUrl=stack.outputs["OrderQueueUrl"], AttributeNames=[name])
    return int(answer["Attributes"][name])


async def attempts(client: Client, order_id: str, least: int) -> bool:
    return [event["status"] for event in (await client.order(order_id))["events"]].count("routing") >= least


async def traces(client: Client, order_id: str) -> set[tuple[str, str]]:
    """Keys of the connections that watch this order, and of their subscriptions."""
    found = await asyncio.to_thread(traces_of_connections, client.stack)
    connections = {sk.removeprefix("SUB#") for pk, sk in found if pk == f"ORDER#{order_id}"}
    return {key for key in found if any(connection in "".join(key) for connection in connections)}


async def are_gone(client: Client, keys: set[tuple[str, str]]) -> bool:
    return not keys & await asyncio.to_thread(traces_of_connections, client.stack)


# Roles


class Denials:
    """What the emulator has denied from now on."""

    def __init__(self, stack: Stack) -> None:
        self._log = stack.directory / "emulator.log"
        self._begin = self._log.stat().st_size

    def so_far(self) -> list[Denial]:
        with self._log.open("rb") as log:
            log.seek(self._begin)
            words = (line.decode(errors="replace").split() for line in log)
            return [Denial(*denial[1:]) for denial in words if denial[:1] == ["DENIED"]]


@contextmanager
def without(stack: Stack, grant: Grant) -> Iterator[tuple[str, str]]:
    """The role's name, and the ARN that it may not use for this action meanwhile."""
    iam, ids = stack.client("iam"), physical_ids(stack)
    policy = {"RoleName": ids[f"{grant.function}Role"], "PolicyName": grant.function}
    granted = iam.get_role_policy(**policy)["PolicyDocument"]
    logical_id, *path = grant.resource.split("/")
    suffix = "/".join([ids[logical_id].rpartition("/")[2], *path])
    pairs = [(action, arn) for statement in granted["Statement"] for action, arn in each(statement)]
    (taken,) = [pair for pair in pairs if pair[0] == grant.action and pair[1].endswith(suffix)]
    rest = [{"Effect": "Allow", "Action": action, "Resource": arn} for action, arn in pairs if (action, arn) != taken]
    iam.put_role_policy(**policy, PolicyDocument=json.dumps({**granted, "Statement": rest}))
    try:
        yield policy["RoleName"], taken[1]
    finally:
        iam.put_role_policy(**policy, PolicyDocument=json.dumps(granted))


def each(statement: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    actions, resources = (
        value if isinstance(value, list) else [value] for value in (statement["Action"], statement["Resource"])
    )
    for action in actions:
        yield from ((action, resource) for resource in resources)


def physical_ids(stack: Stack) -> dict[str, str]:
    pages = stack.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=LOCAL_STACK)
    return {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for page in pages
        for resource in page["StackResourceSummaries"]
    }
