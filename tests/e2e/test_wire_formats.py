"""Each client that users arrive with submits and watches as it always did, whenever it connects."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from local.stack import Stack
from order_engine.service.accept_order import PUBLIC, order_id_under
from tests.e2e.clients import HAPPY_PATH, SELL_SOL, Client, Json, inject, run, until

IN_OUT: Json = {"inputToken": "SOL", "outputToken": "USDC", "amount": 1.5}
BASE_QUOTE: Json = {"baseToken": "SOL", "quoteToken": "USDC", "amount": 2.5, "side": "buy"}
MARKET: Json = {"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": 1, "slippageBps": 100}

OVER_HTTP = {
    "baseToken/quoteToken/side": ("/orders/execute", BASE_QUOTE),
    "inputToken/outputToken": ("/api/orders/execute", IN_OUT),
    "tokenIn/tokenOut": ("/api/orders/execute", MARKET),
    "canonical": ("/api/orders", SELL_SOL),
}


def assert_whole(events: list[Json]) -> None:
    assert [event["status"] for event in events] == HAPPY_PATH
    assert [event["sequence"] for event in events] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("dialect", OVER_HTTP)
@pytest.mark.parametrize("moment", ["before", "during", "after"])
def test_an_order_over_http_is_watched_by_its_id(stack: Stack, dialect: str, moment: str) -> None:
    path, order = OVER_HTTP[dialect]

    async def scenario(client: Client) -> list[Json]:
        key = f"{moment}-{uuid4()}"
        if moment == "before":
            # The worker is held up until the client is connected.
            order_id = order_id_under(order.get("userId", PUBLIC), key)
            inject(stack, order_id, {"execute_order.orders.save.routing": ("delay", 1)}, milliseconds=2_000)
        accepted = await client.submit(path, key=key, **order)
        if moment == "during":
            await client.reaches(accepted["orderId"], "building")
        if moment == "after":
            await client.outcome(accepted["orderId"])
        async with client.watch(orderId=accepted["orderId"]) as watch:
            if moment == "before":
                assert (await client.order(accepted["orderId"]))["status"] == "pending"
            return await watch.end()

    assert_whole(run(stack, scenario))


def test_form_page_an_order_by_connecting(stack: Stack) -> None:
    async def scenario(client: Client) -> list[Json]:
        async with client.watch(tokenIn="SOL", tokenOut="USDC", amount="1.5") as watch:
            return await watch.end()

    events = run(stack, scenario)
    assert_whole(events)
    assert events[-1]["txHash"]
    assert float(events[-1]["finalPrice"]) > 0


def test_a_users_socket_carries_all_their_orders(stack: Stack) -> None:
    user = f"user-{uuid4()}"

    async def scenario(client: Client) -> dict[str, list[Json]]:
        first = await client.submit("/orders/execute", **BASE_QUOTE, userId=user)
        async with client.watch(userId=user) as watch:
            await watch.next()
            second = await client.submit("/orders/execute", **BASE_QUOTE, userId=user)
            other = await client.submit("/orders/execute", **BASE_QUOTE, userId="somebody else")
            await client.outcome(other["orderId"])
            return {order["orderId"]: await watch.end(order["orderId"]) for order in (first, second)} | {
                "seen": [{"orderId": event["orderId"]} for event in watch.events]
            }

    seen = run(stack, scenario)
    assert len({event["orderId"] for event in seen.pop("seen")}) == 2
    for events in seen.values():
        assert_whole(events)


def test_submitting_over_the_socket(stack: Stack) -> None:
    async def scenario(client: Client) -> list[Any]:
        ends = []
        for frame in (SELL_SOL, {"action": "submit", "order": SELL_SOL}, {"action": "execute", "order": IN_OUT}):
            async with client.watch() as watch:
                await watch.say(frame)
                accepted = await watch.answer() if not watch.events else watch.events[0]
                ends.append((accepted["orderId"], await watch.end(accepted["orderId"])))
        return ends

    for _, events in run(stack, scenario):
        assert_whole(events)


def test_the_acceptance_says_what_existing_clients_read(stack: Stack) -> None:
    async def scenario(client: Client) -> Json:
        return await client.submit("/orders/execute", **BASE_QUOTE, userId="u1")

    accepted = run(stack, scenario)
    assert accepted["status"] == "pending"
    assert accepted["message"] == "Order received and queued for processing"
    assert accepted.keys() == {"orderId", "status", "message", "timestamp", "sequence"}


def test_events_have_what_existing_clients_read(stack: Stack) -> None:
    async def scenario(client: Client) -> list[Json]:
        accepted = await client.submit("/api/orders/execute", **MARKET)
        async with client.watch(orderId=accepted["orderId"]) as watch:
            return await watch.end()

    _, routing, building, submitted, confirmed = run(stack, scenario)
    assert routing["progress"] < building["progress"] < submitted["progress"] < confirmed["progress"] == 100
    assert building["dex"] == building["quote"]["dex"] in {"raydium", "meteora"}
    assert {quote["dex"] for quote in building["quotes"]} == {"raydium", "meteora"}
    assert building["route"][0]["tokenIn"] == "wSOL"
    assert confirmed["txHash"] == submitted["signature"]
    assert Decimal(confirmed["amountOut"]) >= Decimal(submitted["minAmountOut"])


def test_a_late_subscriber_asks_for_what_it_has_not_seen(stack: Stack) -> None:
    async def scenario(client: Client) -> list[int]:
        accepted = await client.submit()
        await client.outcome(accepted["orderId"])
        async with client.watch() as watch:
            await watch.say({"action": "subscribe", "orderId": accepted["orderId"], "after": 3})
            return [event["sequence"] for event in await watch.end()]

    assert run(stack, scenario) == [4, 5]


def test_a_ping_finds_a_lost_last_frame(stack: Stack) -> None:
    async def scenario(client: Client) -> tuple[Json, str]:
        accepted = await client.submit()
        async with client.watch(orderId=accepted["orderId"]) as watch:
            await watch.end()
            await watch.say({"action": "ping"})
            return await watch.answer(), accepted["orderId"]

    pong, order_id = run(stack, scenario)
    assert pong["type"] == "pong"
    assert pong["sequences"] == {order_id: 5}


def test_connecting_to_an_order_that_does_not_exist_is_answered_by_a_first_frame(stack: Stack) -> None:
    async def scenario(client: Client) -> Json:
        async with client.watch(orderId=str(uuid4())) as watch:
            return await watch.answer()

    assert run(stack, scenario)["code"] == "ORDER_NOT_FOUND"


def test_a_client_that_vanished_is_cleaned_up(stack: Stack) -> None:
    async def scenario(client: Client) -> None:
        before = await asyncio.to_thread(traces_of_connections, stack)
        order_id = await client.submit_slowly("execute_order.chain.look_up", milliseconds=3_000)
        async with client.watch(orderId=order_id) as watch:
            await watch.next()
            mine = await asyncio.to_thread(traces_of_connections, stack) - before
            assert len(mine) == 2
            watch.socket.transport.abort()

        async def has_gone() -> bool:
            return not mine & await asyncio.to_thread(traces_of_connections, stack)

        await until(has_gone, 30, "the connection and its subscription to go")

    run(stack, scenario)


def traces_of_connections(stack: Stack) -> set[tuple[str, str]]:
    """Keys of everything in the table that belongs to a connection."""
    answer = stack.client("dynamodb").scan(
        TableName=stack.outputs["OrdersTableName"],
        FilterExpression="sk = :connection OR begins_with(sk, :subscription)",
        ExpressionAttributeValues={":connection": {"S": "CONN"}, ":subscription": {"S": "SUB#"}},
    )
    return {(item["pk"]["S"], item["sk"]["S"]) for item in answer["Items"]}


def test_a_failure_is_pushed_with_what_existing_clients_read(stack: Stack) -> None:
    async def scenario(client: Client) -> Json:
        order_id = await client.submit_with_faults({"execute_order.chain.send": ("revert", 3)})
        async with client.watch(orderId=order_id) as watch:
            return (await watch.end(seconds=90))[-1]

    failed = run(stack, scenario)
    assert (failed["status"], failed["orderId"] != "", failed["progress"]) == ("failed", True, 100)
    assert failed["error"].startswith("Reverted by")
    assert failed["dex"] in {"raydium", "meteora"}
