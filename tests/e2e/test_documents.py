"""What the documents for clients say is what the deployed stack does, example by example and answer by answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from local.stack import Stack
from order_engine.adapters import items, keys
from order_engine.domain.events import timestamp
from order_engine.service.accept_order import PUBLIC, order_id_under
from order_engine.service.follow_orders import MAX_SUBSCRIPTIONS
from order_engine.service.ports import Subscription
from tests.documents.documents import (
    assert_documented,
    asyncapi,
    examples,
    message_of_client,
    message_of_server,
    openapi,
    operation_at,
    replies,
)
from tests.documents.test_documents import collected
from tests.e2e.clients import ENDINGS, SELL_SOL, Client, Json, Watch, inject, run
from tests.unit.test_frames import BAD_FRAMES

NO_ORDER = "5f1b0e3c-0000-4000-8000-00000000000a"
BODY_OF_16_KB = json.dumps(SELL_SOL) + " " * 16_384


async def documented(watch: Watch) -> tuple[str, Json]:
    """The next frame, and the one message of the document that it is."""
    frame = await watch.next()
    return message_of_server(frame), frame


async def answered(watch: Watch) -> tuple[str, Json]:
    """The next frame that is no event. Those before it are documented too."""
    while True:
        message, frame = await documented(watch)
        if "progress" not in frame:
            return message, frame


async def told(watch: Watch, order_id: str) -> list[str]:
    """The messages about this order, up to its last one; repeated ones, which are documented too, once."""
    seen: dict[int, str] = {}
    while not ENDINGS.intersection(seen.values()):
        message, frame = await documented(watch)
        if "progress" in frame and frame["orderId"] == order_id:
            seen[frame["sequence"]] = message
    return list(seen.values())


# The WebSocket


def test_every_example_of_a_clients_frame_is_answered_as_its_operation_says(stack: Stack) -> None:
    async def scenario(client: Client) -> None:
        async with client.watch() as watch:
            for message in ("submit", "order", "subscribe", "ping", "unsubscribe"):
                for example in examples(message):
                    await watch.say(example)
                    answer, frame = await answered(watch)
                    assert answer == replies(message)[0], f"{example} is answered by {frame}"

    run(stack, scenario)


def test_every_example_of_a_query_string_is_answered_by_events(stack: Stack) -> None:
    (story, *_) = examples("submit")
    query = asyncapi()["channels"]["live"]["bindings"]["ws"]["query"]

    async def first_frame(client: Client, parameters: Json) -> str:
        async with client.watch(**parameters) as watch:
            if parameters.keys() == {"userId"}:
                await client.submit(**SELL_SOL, **parameters)
            return (await documented(watch))[0]

    async def scenario(client: Client) -> list[str]:
        accepted = await client.submit(**story["order"])
        assert accepted["orderId"] == query["examples"][0]["orderId"]
        await client.outcome(accepted["orderId"])
        return await asyncio.gather(*(first_frame(client, example) for example in query["examples"]))

    with_order, with_after, *others = run(stack, scenario)
    assert (with_order, with_after) == ("pending", "submitted")
    assert len(others) == 4
    assert set(others) <= {"pending", "routing"}


def test_every_status_is_told_as_documented(stack: Stack) -> None:
    async def watched(client: Client, order_id: str) -> list[str]:
        async with client.watch(orderId=order_id) as watch:
            return await told(watch, order_id)

    async def confirmed(client: Client, **order: Any) -> list[str]:
        accepted = await client.submit(**order)
        return await watched(client, accepted["orderId"])

    async def exhausted(client: Client) -> list[str]:
        return await watched(client, await client.submit_with_faults({"execute_order.chain.send": ("revert", 3)}))

    async def expired(client: Client) -> list[str]:
        key = f"late-{uuid4()}"
        order_id = order_id_under(PUBLIC, key)
        inject(stack, order_id, {"execute_order.orders.save.routing": ("delay", 1)}, milliseconds=1_500)
        await client.submit(key=key, **SELL_SOL, expiresAt=timestamp(datetime.now(UTC) + timedelta(seconds=1)))
        return await watched(client, order_id)

    async def scenario(client: Client) -> Sequence[list[str]]:
        return await asyncio.gather(
            confirmed(client, **SELL_SOL),
            confirmed(client, baseToken="SOL", quoteToken="USDC", side="buy", amount=1),
            confirmed(client, tokenIn="BONK", tokenOut="JUP", amount=1),
            exhausted(client),
            expired(client),
        )

    lives = run(stack, scenario)
    happy = ["pending", "routing", "building", "submitted", "confirmed"]
    assert list(lives[:3]) == [happy, happy, ["pending", "routing", "failed"]]
    assert lives[3] == [*happy[:4] * 3, "failed"]
    assert lives[4] == ["pending", "routing", "expired"]


def test_every_error_code_is_answered_as_documented_and_the_connection_stays(stack: Stack) -> None:
    async def refusal(watch: Watch, frame: object) -> str:
        await watch.say(frame)
        message, answer = await answered(watch)
        assert message == "error", f"{frame} is answered by {answer}"
        return str(answer["code"])

    async def scenario(client: Client) -> set[str]:
        mine = SELL_SOL | {"clientOrderId": f"mine-{uuid4()}"}
        async with client.watch() as watch:
            await watch.say({"action": "submit", "order": mine})
            _, accepted = await answered(watch)
            await told(watch, accepted["orderId"])

            codes = {await refusal(watch, text) for text, _ in BAD_FRAMES}
            codes.add(await refusal(watch, BODY_OF_16_KB))
            codes.add(await refusal(watch, {"action": "subscribe", "orderId": NO_ORDER}))
            codes.add(await refusal(watch, mine | {"amount": "2"}))
            inject(stack, "*", {"ws_connect.connections.subscribed_orders": ("refuse", 1)})
            codes.add(await refusal(watch, {"action": "ping"}))
            with broken_order(stack) as broken:
                codes.add(await refusal(watch, {"action": "subscribe", "orderId": broken}))
            with many_subscriptions(stack, accepted["orderId"]):
                codes.add(await refusal(watch, SELL_SOL))

            await watch.say({"action": "ping"})
            assert (await answered(watch))[0] == "pong"
        return codes

    assert run(stack, scenario) == set(asyncapi()["components"]["schemas"]["SocketErrorCode"]["enum"])


def test_what_is_wrong_with_a_query_string_is_a_first_frame_as_documented(stack: Stack) -> None:
    async def first_frame(client: Client, parameters: Json) -> tuple[str, str]:
        async with client.watch(**parameters) as watch:
            message, frame = await documented(watch)
            return message, frame["code"]

    async def scenario(client: Client) -> list[tuple[str, str]]:
        wishes = ({"orderId": "1"}, {"orderId": NO_ORDER}, SELL_SOL | {"amount": "-1"})
        return await asyncio.gather(*(first_frame(client, wish) for wish in wishes))

    assert run(stack, scenario) == [
        ("error", "VALIDATION_FAILED"),
        ("error", "ORDER_NOT_FOUND"),
        ("error", "VALIDATION_FAILED"),
    ]


@contextmanager
def broken_order(stack: Stack) -> Iterator[str]:
    """The id of an order whose item has lost all that it had: reading it is a bug's work."""
    order_id, table = str(uuid4()), stack.outputs["OrdersTableName"]
    stack.client("dynamodb").put_item(TableName=table, Item=keys.order(order_id))
    try:
        yield order_id
    finally:
        stack.client("dynamodb").delete_item(TableName=table, Key=keys.order(order_id))


@contextmanager
def many_subscriptions(stack: Stack, order_id: str) -> Iterator[None]:
    """Whoever watches this order watches as many others as may be."""
    dynamodb, table = stack.client("dynamodb"), stack.outputs["OrdersTableName"]
    (mine,) = dynamodb.query(
        TableName=table,
        KeyConditionExpression="pk = :order AND begins_with(sk, :prefix)",
        ExpressionAttributeValues={
            ":order": keys.order(order_id)["pk"],
            ":prefix": {"S": keys.SUBSCRIPTION_PREFIX},
        },
    )["Items"]
    connection_id = mine["connectionId"]["S"]
    others = [Subscription(str(uuid4()), connection_id, datetime.now(UTC)) for _ in range(MAX_SUBSCRIPTIONS - 1)]
    puts = [{"PutRequest": {"Item": items.new_subscription(other)}} for other in others]
    deletes = [{"DeleteRequest": {"Key": keys.subscription(other.order_id, connection_id)}} for other in others]
    write_all(dynamodb, table, puts)
    try:
        yield
    finally:
        write_all(dynamodb, table, deletes)


def write_all(dynamodb: Any, table: str, writes: list[Json]) -> None:
    for first in range(0, len(writes), 25):
        dynamodb.batch_write_item(RequestItems={table: writes[first : first + 25]})


# HTTP


def test_the_document_that_is_served_is_the_one_in_docs(stack: Stack) -> None:
    assert httpx.get(f"{stack.endpoints.http}/openapi.json", timeout=30).json() == openapi()


async def asked(client: Client, method: str, path: str, **request: Any) -> httpx.Response:
    """The answer, which is one that the document has."""
    response = await client.http.request(method, path, **request)
    media_type = response.headers["content-type"].partition(";")[0]
    assert_documented(method, httpx.URL(path).path, response.status_code, media_type, response.json())
    return response


def test_every_example_request_of_the_document_succeeds(stack: Stack) -> None:
    async def scenario(client: Client) -> list[str]:
        accepted = await client.submit()
        sent = []
        for path, method, operation in operations():
            for request in example_requests(operation):
                response = await asked(client, method, path.format_map(accepted), **request)
                assert str(response.status_code) == success(operation), f"{method} {path} {request}: {response.text}"
                sent.append(f"{method} {path}")
        return sent

    sent = run(stack, scenario)
    assert set(sent) == {f"{method} {path}" for path, method, _ in operations()}
    assert len(sent) > len(set(sent))


def operations() -> Iterator[tuple[str, str, Json]]:
    for path, methods in openapi()["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def example_requests(operation: Json) -> Iterator[Json]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content:
        for example in content["examples"].values():
            yield {"json": example["value"]}
        return
    yield {}
    for parameter in operation.get("parameters", []):
        for example in parameter["schema"].get("examples", []) + parameter.get("examples", []):
            yield {"params": {parameter["name"]: example}}


def success(operation: Json) -> str:
    (status,) = (status for status in operation["responses"] if status.startswith("2"))
    return str(status)


Faults = dict[str, tuple[str, int]]

# What leads to each refusal: the request, and what has to be away for it.
REFUSED_ORDERS: dict[int, tuple[Json, Faults]] = {
    400: ({"content": "{", "headers": {"Content-Type": "application/json"}}, {}),
    413: ({"content": BODY_OF_16_KB, "headers": {"Content-Type": "application/json"}}, {}),
    415: ({"content": "{}", "headers": {"Content-Type": "text/plain"}}, {}),
    422: ({"json": SELL_SOL | {"amount": "0"}}, {}),
    503: ({"json": SELL_SOL}, {"submit_order.orders.add": ("refuse", 1)}),
}
VENUES_AWAY: Faults = {f"submit_order.venues.{venue}.quote": ("refuse", 1) for venue in ("raydium", "meteora")}
REFUSED: dict[str, dict[int, tuple[Json, Faults]]] = {
    **{f"POST {path}": REFUSED_ORDERS for path in ("/api/orders", "/api/orders/execute", "/orders/execute")},
    "POST /api/quotes": REFUSED_ORDERS | {503: ({"json": SELL_SOL}, VENUES_AWAY)},
    "GET /api/orders": {
        400: ({"params": {"cursor": "abc"}}, {}),
        422: ({"params": {"limit": 0}}, {}),
        503: ({}, {"submit_order.history.find": ("refuse", 1)}),
    },
    "GET /api/orders/{orderId}": {404: ({}, {}), 503: ({}, {"submit_order.orders.get": ("refuse", 1)})},
}


def test_every_documented_refusal_happens_as_documented(stack: Stack) -> None:
    async def scenario(client: Client) -> dict[str, set[int]]:
        seen: dict[str, set[int]] = {}
        for name, refusals in REFUSED.items():
            method, path = name.split()
            for request, faults in refusals.values():
                if faults:
                    inject(stack, "*", faults)
                response = await asked(client, method, path.format(orderId=NO_ORDER), **request)
                seen.setdefault(name, set()).add(response.status_code)
        return seen

    assert run(stack, scenario) == {
        f"{method} {path}": refusals
        for path, method, operation in operations()
        # What is our fault cannot be asked for.
        if (refusals := {int(status) for status in operation["responses"]} - {200, 202, 500})
    }


# The collection


def test_every_http_request_of_the_collection_succeeds(stack: Stack) -> None:
    async def scenario(client: Client) -> None:
        known = {"baseUrl": "", "orderId": NO_ORDER}
        for request in collected("http"):
            http = request["http"]
            path = filled(http["url"], known)
            for parameter in http.get("params", []):
                if parameter["type"] == "path":
                    path = path.replace(f":{parameter['name']}", filled(parameter["value"], known))
            headers = {header["name"]: filled(header["value"], known) for header in http.get("headers", [])}
            body = {"json": json.loads(filled(http["body"]["data"], known))} if "body" in http else {}
            response = await asked(client, http["method"], path, headers=headers, **body)
            assert str(response.status_code) == success(operation_at(http["method"], path)), response.text
            for action in request.get("runtime", {}).get("actions", []):
                assert action["selector"]["expression"] == "res.body.orderId"
                known[action["variable"]["name"]] = response.json()["orderId"]

    run(stack, scenario)


@pytest.mark.parametrize("request_", collected("websocket"), ids=lambda request: request["info"]["name"])
def test_every_websocket_request_of_the_collection_is_answered(stack: Stack, request_: Json) -> None:
    websocket = request_["websocket"]

    async def scenario(client: Client) -> None:
        known = {"wsUrl": stack.endpoints.ws, "orderId": (await client.submit())["orderId"]}
        query = httpx.URL(filled(websocket["url"], known)).params
        async with client.watch(**query) as watch:
            for message in websocket["message"]:
                frame = json.loads(filled(message["message"]["data"], known))
                await watch.say(frame)
                assert (await answered(watch))[0] == replies(message_of_client(frame))[0]

    run(stack, scenario)


def filled(text: str, known: Json) -> str:
    """With the variables in it, as Bruno fills them in."""
    for name, value in {"$guid": str(uuid4()), **known}.items():
        text = text.replace(f"{{{{{name}}}}}", value)
    assert "{{" not in text
    return text
