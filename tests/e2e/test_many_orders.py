"""Sixty orders at once, and one key from twenty clients."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import accumulate
from typing import Any
from uuid import uuid4

import psycopg

from local.stack import Stack
from local.workers import cpu_seconds, workers
from tests.e2e.audit import all_settled
from tests.e2e.clients import ENDINGS, SELL_SOL, Client, Json, ledger, run
from tests.e2e.workers import needs_proc

ORDERS = 60
WORKERS = 10


def test_sixty_orders_at_once_all_end_none_lost_and_every_record_agrees(stack: Stack) -> None:
    orders = run(stack, watched_orders)
    assert len({order["orderId"] for order in orders}) == ORDERS
    assert {order["status"] for order in orders} == {"confirmed"}
    for order in orders:
        assert [event["sequence"] for event in order["seen"]] == list(range(1, order["sequence"] + 1))
        assert order["seen"] == order["events"] == recorded_events(stack, order["orderId"])
    landed = [(entry["orderId"], entry["signature"]) for entry in ledger(stack) if entry["outcome"] == "landed"]
    ids = {order["orderId"] for order in orders}
    confirmed = sorted((order["orderId"], order["txHash"]) for order in orders)
    assert sorted(swap for swap in landed if swap[0] in ids) == confirmed
    assert 1 < most_at_once(orders) <= WORKERS


@needs_proc
def test_of_many_orders_that_revert_all_watchers_early_and_late_are_told_one_end_and_the_true_one(
    stack: Stack, report: Callable[[str], None]
) -> None:
    """Two of five transactions revert, and several notifiers tell of them."""

    async def scenario(client: Client) -> tuple[list[Json], list[list[Json]]]:
        orders = await watched_orders(client)
        return orders, await asyncio.gather(*(story(client, order["orderId"]) for order in orders))

    stack.deploy(RevertRate="0.4")
    try:
        idle = seconds_used(stack, "WsNotify")
        orders, seen_late = run(stack, scenario)
        busy = [pid for pid, seconds in seconds_used(stack, "WsNotify").items() if seconds > idle.get(pid, 0)]
    finally:
        stack.deploy()
    retried = [order for order in orders if order["events"][-1]["attempt"] > 1]
    failed = [order for order in orders if order["status"] == "failed"]
    misled = [order for order in orders if order not in failed and "failed" in told(order["seen"])]
    report(
        f"{ORDERS} early and {ORDERS} late watchers, {len(busy)} notifiers; {len(retried)} orders were tried again,"
        f" {len(failed)} failed, and {len(misled)} others were said to have failed"
    )
    assert len(retried) > ORDERS / 10, "too few reverts to show anything"
    assert len(busy) > 1
    assert not misled
    for order, late in zip(orders, seen_late, strict=True):
        assert order["seen"] == late == order["events"]
        assert [status for status in told(late) if status in ENDINGS] == [order["status"]]


def told(events: list[Json]) -> list[str]:
    return [event["status"] for event in events]


def seconds_used(stack: Stack, function: str) -> dict[int, float]:
    """Of processor time, by each process of the function."""
    return {pid: cpu_seconds(pid) for pid in workers(stack, function)}


async def story(client: Client, order_id: str) -> list[Json]:
    async with client.watch(orderId=order_id) as watch:
        return await watch.end(seconds=120)


async def watched_orders(client: Client) -> list[Json]:
    """Sixty at once, each with what a client of its own has `seen` of it, when all are settled."""

    async def watched() -> tuple[str, list[Json]]:
        order_id = (await client.submit())["orderId"]
        return order_id, await story(client, order_id)

    seen = dict(await asyncio.gather(*(watched() for _ in range(ORDERS))))
    await all_settled(client.stack, set(seen), 60)
    return [await client.order(order_id) | {"seen": events} for order_id, events in seen.items()]


def recorded_events(stack: Stack, order_id: str) -> list[Json]:
    with psycopg.connect(stack.endpoints.postgres) as connection:
        rows = connection.execute(
            "SELECT payload FROM order_status_history WHERE order_id = %s ORDER BY sequence", [order_id]
        )
        return [row[0] for row in rows]


def most_at_once(orders: list[Json]) -> int:
    """How many orders were between routing and their end at the same time."""
    changes: list[tuple[str, int]] = []
    for order in orders:
        times = {event["status"]: event["timestamp"] for event in order["events"]}
        changes += [(times["routing"], 1), (times["confirmed"], -1)]
    return max(accumulate(change for _, change in sorted(changes)))


def test_the_list_shows_each_order_once_page_by_page_while_they_execute(stack: Stack) -> None:
    user = f"user-{uuid4()}"

    async def scenario(client: Client) -> tuple[set[str], list[str], list[str]]:
        submitted = await asyncio.gather(*(client.submit(**SELL_SOL, userId=user) for _ in range(12)))
        ids = {order["orderId"] for order in submitted}
        live = await pages(client, userId=user)
        for order_id in ids:
            await client.recorded(order_id)
        return ids, live, await pages(client, userId=user)

    ids, live, finished = run(stack, scenario)
    for listed in (live, finished):
        assert len(listed) == len(set(listed))
        assert set(listed) == ids


async def pages(client: Client, **query: Any) -> list[str]:
    listed: list[str] = []
    parameters = {"limit": 5} | query
    while True:
        page = (await client.http.get("/api/orders", params=parameters)).json()
        listed += [order["orderId"] for order in page["orders"]]
        if page["nextCursor"] is None:
            return listed
        parameters["cursor"] = page["nextCursor"]


def test_one_key_from_twenty_clients_at_the_same_moment_is_one_order(stack: Stack) -> None:
    key = f"key-{uuid4()}"

    async def scenario(client: Client) -> tuple[list[Json], Json]:
        answers = await asyncio.gather(*(client.submit(key=key, **SELL_SOL) for _ in range(20)))
        await client.recorded(answers[0]["orderId"])
        return [*answers, await client.submit(key=key, **SELL_SOL)], await client.order(answers[0]["orderId"])

    answers, order = run(stack, scenario)
    assert all(answer == answers[0] for answer in answers)
    assert order["status"] == "confirmed"
    assert [entry["orderId"] for entry in ledger(stack)].count(order["orderId"]) == 1


def test_the_same_key_with_another_order_is_refused(stack: Stack) -> None:
    async def scenario(client: Client) -> Json:
        key = f"key-{uuid4()}"
        await client.submit(key=key, **SELL_SOL)
        response = await client.http.post(
            "/api/orders", json=SELL_SOL | {"amount": 2}, headers={"Idempotency-Key": key}
        )
        answer: Json = response.json()
        return answer

    refused = run(stack, scenario)
    assert (refused["status"], refused["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
